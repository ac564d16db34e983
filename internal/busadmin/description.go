package busadmin

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"bellhop/internal/bus"
)

// The limits of Service Bus for a queue, in the terms of the admin API.
const (
	maxRules            = 12
	maxMegabytes        = 80 << 10 // the largest of any tier; here it means no limit
	defaultMegabytes    = 1024
	defaultMaxDelivery  = 10
	defaultLockDuration = "PT1M"
	defaultWindow       = "PT10M"
)

var (
	lockSpan   = span{5 * time.Second, 5 * time.Minute}
	ttlSpan    = span{time.Second, forever}
	windowSpan = span{20 * time.Second, 7 * day}
)

// statusNames are the admin API's names of a queue's status.
var statusNames = map[bus.Status]string{
	bus.StatusActive: "Active", bus.StatusDisabled: "Disabled",
	bus.StatusSendDisabled: "SendDisabled", bus.StatusReceiveDisabled: "ReceiveDisabled",
}

// wording is what a description says beyond what the bus knows, and how it said
// it. It is kept with the queue, as JSON.
type wording struct {
	LockDuration             string              `json:"lockDuration,omitempty"`
	DefaultMessageTimeToLive string              `json:"defaultMessageTimeToLive,omitempty"`
	DuplicateWindow          string              `json:"duplicateWindow,omitempty"`
	Unbatched                bool                `json:"unbatched,omitempty"`
	AuthorizationRules       []authorizationRule `json:"authorizationRules,omitempty"`
}

// wordingOf is what was kept with a queue; what was not written here is none.
func wordingOf(s bus.Settings) (w wording) {
	if json.Unmarshal([]byte(s.Described), &w) != nil {
		return wording{}
	}
	return w
}

// String is the form it is kept in.
func (w wording) String() string {
	text, err := json.Marshal(w)
	if err != nil {
		return "" // strings and flags: cannot happen
	}
	return string(text)
}

// settings are what a request asks for, complete: what it does not name has the
// service's default, but on an update (current is not nil) what cannot change
// stays.
func (f *fields) settings(current *bus.Settings, maxMessageBytes int) (bus.Settings, error) {
	var s bus.Settings
	var w wording
	w.LockDuration, s.LockDuration = f.duration("LockDuration", defaultLockDuration, lockSpan)
	w.DefaultMessageTimeToLive, s.DefaultTTL = f.duration("DefaultMessageTimeToLive", foreverText, ttlSpan)
	if s.DefaultTTL == forever {
		s.DefaultTTL = 0
	}
	s.DeadLetterOnExpiration = f.boolean("DeadLetteringOnMessageExpiration", false)
	s.MaxDeliveryCount = int(f.integer("MaxDeliveryCount", defaultMaxDelivery, 1, bus.MaxDeliveries))
	if size := f.integer("MaxSizeInMegabytes", defaultMegabytes, 1, maxMegabytes); size < maxMegabytes {
		s.MaxSizeBytes = size << 20
	}
	w.Unbatched = !f.boolean("EnableBatchedOperations", true)
	w.AuthorizationRules = f.rules()
	s.Status = f.status()
	s.UserMetadata = f.metadata()
	f.duplicates(&s, &w, current)
	if current != nil {
		f.unchangeable("RequiresSession", false)
		f.unchangeable("EnablePartitioning", false)
	} else {
		f.unsupported(isFalse, "RequiresSession", "EnablePartitioning")
	}
	f.unsupported(isFalse, "EnableExpress", "IsAnonymousAccessible")
	f.unsupported(isEmpty, "ForwardTo", "ForwardDeadLetteredMessagesTo")
	f.unsupported(isForever, "AutoDeleteOnIdle")
	f.unsupported(func(text string) bool { return text == fmt.Sprint(maxMessageBytes>>10) }, "MaxMessageSizeInKilobytes")
	s.Described = w.String()
	return s, f.faults.err()
}

// duplicates reads whether duplicates are dropped, and for how long.
func (f *fields) duplicates(s *bus.Settings, w *wording, current *bus.Settings) {
	var detected bool
	if current != nil {
		detected = f.unchangeable("RequiresDuplicateDetection", current.DuplicateWindow > 0)
	} else {
		detected = f.boolean("RequiresDuplicateDetection", false)
	}
	var window time.Duration
	w.DuplicateWindow, window = f.duration("DuplicateDetectionHistoryTimeWindow", defaultWindow, windowSpan)
	if detected {
		s.DuplicateWindow = window
	}
}

func (f *fields) status() bus.Status {
	text, given := f.text("Status")
	if !given {
		return bus.StatusActive
	}
	for status, name := range statusNames {
		if strings.EqualFold(name, text) {
			return status
		}
	}
	f.faults.add("Status", fmt.Sprintf("want Active, Disabled, SendDisabled or ReceiveDisabled, found %.32q", text))
	return bus.StatusActive
}

func (f *fields) metadata() string {
	e := f.elements["UserMetadata"]
	if e == nil {
		return ""
	}
	if n := utf8.RuneCountInString(e.text); n > bus.MaxMetadata {
		f.faults.add("UserMetadata", fmt.Sprintf("want at most %d characters, found %d", bus.MaxMetadata, n))
	}
	return e.text
}

// authorizationRule is a rule of access to one queue. It is kept and told, and
// opens nothing: only the namespace's own rules do.
type authorizationRule struct {
	Type         string   `xml:"i:type,attr" json:"-"`
	ClaimType    string   `json:"claimType"`
	ClaimValue   string   `json:"claimValue"`
	Rights       []string `xml:"Rights>AccessRights" json:"rights"`
	CreatedTime  string   `xml:",omitempty" json:"createdTime,omitempty"`
	ModifiedTime string   `xml:",omitempty" json:"modifiedTime,omitempty"`
	KeyName      string   `json:"keyName"`
	PrimaryKey   string   `xml:",omitempty" json:"primaryKey,omitempty"`
	SecondaryKey string   `xml:",omitempty" json:"secondaryKey,omitempty"`
}

// sharedAccess is the one type of rules there is.
const sharedAccess = "SharedAccessAuthorizationRule"

func (f *fields) rules() (rules []authorizationRule) {
	e := f.elements["AuthorizationRules"]
	if e == nil {
		return nil
	}
	if len(e.children) > maxRules {
		f.faults.add("AuthorizationRules", fmt.Sprintf("want at most %d, found %d", maxRules, len(e.children)))
		return nil
	}
	names := make(map[string]bool)
	for i, child := range e.children {
		rule, problem := readRule(child)
		if problem == "" && names[rule.KeyName] {
			problem = "its KeyName is another's, too"
		}
		names[rule.KeyName] = true
		f.faults.add(fmt.Sprintf("AuthorizationRules[%d]", i), problem)
		rules = append(rules, rule)
	}
	return rules
}

func readRule(e *element) (rule authorizationRule, problem string) {
	if e.name.Local != "AuthorizationRule" || !slices.Contains([]string{"", sharedAccess}, e.instance("type")) {
		return rule, "want an AuthorizationRule of type " + sharedAccess
	}
	text := map[string]string{}
	for _, child := range e.children {
		text[child.name.Local] = child.content()
		if child.name.Local != "Rights" {
			continue
		}
		for _, right := range child.children {
			rule.Rights = append(rule.Rights, right.content())
		}
	}
	rule.ClaimType, rule.ClaimValue, rule.KeyName = text["ClaimType"], text["ClaimValue"], text["KeyName"]
	rule.PrimaryKey, rule.SecondaryKey = text["PrimaryKey"], text["SecondaryKey"]
	rule.CreatedTime, rule.ModifiedTime = text["CreatedTime"], text["ModifiedTime"]
	return rule, rule.problem()
}

// problem says what is wrong with a rule. It repeats no key.
func (r authorizationRule) problem() string {
	for _, right := range r.Rights {
		if !slices.Contains([]string{"Manage", "Send", "Listen"}, right) {
			return fmt.Sprintf("want the rights Manage, Send or Listen, found %.32q", right)
		}
	}
	for _, at := range []string{r.CreatedTime, r.ModifiedTime} {
		if _, err := time.Parse(time.RFC3339, at); at != "" && err != nil {
			return fmt.Sprintf("want times such as 2006-01-02T15:04:05Z, found %.32q", at)
		}
	}
	if r.KeyName == "" || len(r.Rights) == 0 {
		return "want a KeyName and at least one right"
	}
	return ""
}
