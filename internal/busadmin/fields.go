package busadmin

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// fields are the elements of a request's QueueDescription, and what is wrong
// with them. An element that is not there, or is nil, has its default.
type fields struct {
	elements map[string]*element
	faults   Faults
}

// queueElements are the elements of a QueueDescription, in the documented
// order. The service tells those marked false, and takes them back unread.
var queueElements = map[string]bool{
	"LockDuration": true, "MaxSizeInMegabytes": true, "RequiresDuplicateDetection": true, "RequiresSession": true,
	"DefaultMessageTimeToLive": true, "DeadLetteringOnMessageExpiration": true, "DuplicateDetectionHistoryTimeWindow": true,
	"MaxDeliveryCount": true, "EnableBatchedOperations": true, "SizeInBytes": false, "MessageCount": false,
	"IsAnonymousAccessible": true, "AuthorizationRules": true, "Status": true, "ForwardTo": true, "UserMetadata": true,
	"CreatedAt": false, "UpdatedAt": false, "AccessedAt": false, "SupportOrdering": false, "CountDetails": false,
	"AutoDeleteOnIdle": true, "EnablePartitioning": true, "EntityAvailabilityStatus": false,
	"ForwardDeadLetteredMessagesTo": true, "EnableExpress": true, "MaxMessageSizeInKilobytes": true,
}

// readFields finds the QueueDescription in an entry. A description of
// something else is a refusal.
func readFields(body []byte) (*fields, error) {
	entry, err := parseXML(body)
	if err != nil {
		return nil, badRequest(err.Error())
	}
	if entry.name.Space != atomSpace || entry.name.Local != "entry" {
		return nil, badRequest("want an entry of Atom")
	}
	content := entry.child(atomSpace, "content")
	if content == nil || len(content.children) != 1 || content.children[0].name.Space != serviceSpace {
		return nil, badRequest("want an entry whose content is one QueueDescription")
	}
	description := content.children[0]
	switch kind := description.name.Local; kind {
	case "QueueDescription":
	case "TopicDescription", "SubscriptionDescription", "RuleDescription":
		return nil, notSupported(strings.TrimSuffix(kind, "Description") + "s")
	default:
		return nil, badRequest(fmt.Sprintf("want a QueueDescription, found %.64q", kind))
	}
	f := &fields{elements: make(map[string]*element)}
	for _, e := range description.children {
		f.take(e)
	}
	return f, nil
}

func (f *fields) take(e *element) {
	name := e.name.Local
	settable, known := queueElements[name]
	switch {
	case !known || e.name.Space != serviceSpace && e.name.Space != "":
		f.faults.add(fmt.Sprintf("%.64q", name), "unknown element of a QueueDescription")
	case f.elements[name] != nil:
		f.faults.add(name, "it is there twice")
	case settable && e.instance("nil") != "true":
		f.elements[name] = e
	}
}

// text is an element's content.
func (f *fields) text(name string) (text string, given bool) {
	e, given := f.elements[name]
	if !given {
		return "", false
	}
	return e.content(), true
}

// duration is an element's wording and meaning.
func (f *fields) duration(name, fallback string, in span) (wording string, d time.Duration) {
	wording, given := f.text(name)
	if !given {
		wording = fallback
	}
	d, problem := in.read(wording)
	f.faults.add(name, problem)
	return wording, d
}

func (f *fields) integer(name string, fallback, low, high int64) int64 {
	text, given := f.text(name)
	if !given {
		return fallback
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) || n < low || n > high {
		f.faults.add(name, fmt.Sprintf("want %d to %d, found %.32q", low, high, text))
	}
	return n
}

func (f *fields) boolean(name string, fallback bool) bool {
	text, given := f.text(name)
	if !given {
		return fallback
	}
	switch strings.ToLower(text) {
	case "true", "1":
		return true
	case "false", "0":
		return false
	}
	f.faults.add(name, fmt.Sprintf("want true or false, found %.32q", text))
	return fallback
}

// unchangeable is a boolean that an update may repeat and not change.
func (f *fields) unchangeable(name string, current bool) bool {
	asked := f.boolean(name, current)
	if asked != current {
		f.faults.add(name, fmt.Sprintf("The value for the %s property of an existing Queue cannot be changed", name))
	}
	return asked
}

// unsupported refuses what is not the default of an element that has no other
// value here.
func (f *fields) unsupported(isDefault func(text string) bool, names ...string) {
	for _, name := range names {
		if text, given := f.text(name); given && !isDefault(text) {
			f.faults.add(name, fmt.Sprintf("%.64q is not supported yet; leave it out", text))
		}
	}
}

func isFalse(text string) bool { return text == "0" || strings.EqualFold(text, "false") }

func isEmpty(text string) bool { return text == "" }

func isForever(text string) bool {
	d, ok := parseDuration(text)
	return ok && d == forever
}
