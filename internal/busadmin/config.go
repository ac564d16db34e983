package busadmin

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"bellhop/internal/bus"
)

// Config is what the emulator's Config.json asks for.
type Config struct {
	// Namespace is the namespace's name in the file. The bus has no use for it.
	Namespace string
	// Queues are in the order of the file; no two have the same name, in
	// whatever case.
	Queues []Queue
}

// Queue is one queue that is asked for.
type Queue struct {
	Name     string
	Settings bus.Settings
}

// The defaults of a queue in Config.json, which are not those of the admin API.
const (
	fileDeliveryCount = 3
	fileTTL           = "PT1H"
	fileWindow        = "PT20S"

	maxFile = 4 << 20

	// wholeFile is the path of faults that are in no part of it.
	wholeFile = "Config.json"
)

// fileWindowSpan is the service's with the emulator's shorter beginning.
var fileWindowSpan = span{windowSpan.low / 4, windowSpan.high}

// ParseConfig reads a Config.json of the official emulator, at most 4 MiB, with
// its comments, in the emulator's defaults. It takes all that the emulator
// takes of queues, and where Service Bus itself takes more, that too: more than
// 50 queues, a time to live beyond an hour, a delivery count beyond 10, a
// duplicate window beyond five minutes. Keys may be in any case; null is as if
// left out.
//
// An error that is about what is in the file is [Faults], with everything that
// is wrong: broken JSON, unknown keys, names that are there twice, values out of
// range, and what is not supported yet (topics, sessions, forwarding).
func ParseConfig(r io.Reader) (*Config, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	if len(text) > maxFile {
		return nil, Faults{{wholeFile, fmt.Sprintf("want at most %d bytes", maxFile)}}
	}
	root, err := parseJSON(text)
	if err != nil {
		return nil, Faults{{wholeFile, "want JSON: " + err.Error()}}
	}
	var p configParser
	config := p.config(root)
	if err := p.faults.err(); err != nil {
		return nil, err
	}
	return config, nil
}

// configParser collects what is wrong on its way. Its methods are given the
// path of what they read.
type configParser struct{ faults Faults }

func (p *configParser) config(root any) *Config {
	config := &Config{}
	top := p.object(wholeFile, root, "UserConfig")
	user := p.required("UserConfig", top["UserConfig"], "Namespaces", "Logging")
	if user == nil {
		return config
	}
	p.logging("UserConfig.Logging", user["Logging"])
	const path = "UserConfig.Namespaces"
	namespaces, ok := p.list(path, user["Namespaces"])
	if ok && len(namespaces) != 1 {
		p.faults.add(path, fmt.Sprintf("want exactly one namespace, found %d", len(namespaces)))
	}
	for i, namespace := range namespaces {
		p.namespace(fmt.Sprintf("%s[%d]", path, i), namespace, config)
	}
	return config
}

func (p *configParser) namespace(path string, value any, config *Config) {
	namespace := p.required(path, value, "Name", "Queues", "Topics")
	if namespace == nil {
		return
	}
	config.Namespace = p.name(path+".Name", namespace["Name"])
	if topics, _ := p.list(path+".Topics", namespace["Topics"]); len(topics) > 0 {
		p.faults.add(path+".Topics", fmt.Sprintf("topics are not supported yet, found %d; want an empty list, or none", len(topics)))
	}
	first := map[string]string{} // where each name was first
	queues, _ := p.list(path+".Queues", namespace["Queues"])
	for i, value := range queues {
		at := fmt.Sprintf("%s.Queues[%d]", path, i)
		q := p.queue(at, value)
		lower := strings.ToLower(q.Name)
		if before, twice := first[lower]; twice && lower != "" {
			p.faults.add(at+".Name", fmt.Sprintf("want a name of its own, found %.300q, which %s has", q.Name, before))
			continue
		}
		first[lower] = at
		config.Queues = append(config.Queues, q)
	}
}

func (p *configParser) queue(path string, value any) (q Queue) {
	members := p.required(path, value, "Name", "Properties")
	if members == nil {
		return q
	}
	if q.Name = p.name(path+".Name", members["Name"]); q.Name != "" {
		p.faults.add(path+".Name", nameProblem(q.Name))
	}
	q.Settings = p.properties(path+".Properties", members["Properties"])
	return q
}

func (p *configParser) properties(path string, value any) (s bus.Settings) {
	members := p.object(path, value, "DeadLetteringOnMessageExpiration", "DefaultMessageTimeToLive", "DuplicateDetectionHistoryTimeWindow",
		"ForwardDeadLetteredMessagesTo", "ForwardTo", "LockDuration", "MaxDeliveryCount", "RequiresDuplicateDetection", "RequiresSession")
	at := func(key string) (string, any) { return path + "." + key, members[key] }
	duration := func(key, fallback string, in span) (string, time.Duration) {
		where, value := at(key)
		return p.duration(where, value, fallback, in)
	}
	flag := func(key string) bool { return p.flag(at(key)) }
	var w wording
	w.LockDuration, s.LockDuration = duration("LockDuration", defaultLockDuration, lockSpan)
	w.DefaultMessageTimeToLive, s.DefaultTTL = duration("DefaultMessageTimeToLive", fileTTL, ttlSpan)
	if s.DefaultTTL == forever {
		s.DefaultTTL = 0
	}
	var window time.Duration
	w.DuplicateWindow, window = duration("DuplicateDetectionHistoryTimeWindow", fileWindow, fileWindowSpan)
	if flag("RequiresDuplicateDetection") {
		s.DuplicateWindow = window
	}
	s.DeadLetterOnExpiration = flag("DeadLetteringOnMessageExpiration")
	where, count := at("MaxDeliveryCount")
	s.MaxDeliveryCount = p.integer(where, count, fileDeliveryCount, 1, bus.MaxDeliveries)
	if flag("RequiresSession") {
		p.faults.add(path+".RequiresSession", "sessions are not supported yet; want false")
	}
	for _, key := range []string{"ForwardTo", "ForwardDeadLetteredMessagesTo"} {
		where, target := at(key)
		if p.text(where, target) != "" {
			p.faults.add(where, `forwarding is not supported yet; want ""`)
		}
	}
	s.Described = w.String()
	return s
}

// logging checks what only the emulator uses.
func (p *configParser) logging(path string, value any) {
	if value == nil {
		return
	}
	members := p.object(path, value, "Type")
	if members == nil {
		return
	}
	kinds := []string{"File", "Console", "File,Console", "Console,File"}
	if kind := p.text(path+".Type", members["Type"]); !slices.Contains(kinds, kind) {
		p.faults.add(path+".Type", fmt.Sprintf("want File, Console, or both with a comma, found %.64q", kind))
	}
}

// required is object, and a fault for nothing.
func (p *configParser) required(path string, value any, known ...string) map[string]any {
	if value == nil {
		p.faults.add(path, "want an object, found none")
		return nil
	}
	return p.object(path, value, known...)
}

// object is an object's members by the names in known. Nothing is an empty one,
// something else is nil.
func (p *configParser) object(path string, value any, known ...string) map[string]any {
	members := map[string]any{}
	if value == nil {
		return members
	}
	o, ok := value.(object)
	if !ok {
		p.faults.add(path, "want an object, found "+kindOf(value))
		return nil
	}
	seen := map[string]bool{}
	for _, m := range o {
		i := slices.IndexFunc(known, func(name string) bool { return strings.EqualFold(name, m.key) })
		switch {
		case i < 0:
			p.faults.add(strings.TrimPrefix(fmt.Sprintf("%s.%.64s", path, m.key), wholeFile+"."), "unknown key; want one of "+strings.Join(known, ", "))
		case seen[known[i]]:
			p.faults.add(path+"."+known[i], "it is there twice")
		default:
			seen[known[i]] = true
			members[known[i]] = m.value
		}
	}
	return members
}

// list is a list's values; nothing is an empty one.
func (p *configParser) list(path string, value any) (list []any, ok bool) {
	list, ok = value.([]any)
	if !ok && value != nil {
		p.faults.add(path, "want a list, found "+kindOf(value))
		return nil, false
	}
	return list, true
}

// name is a text that must be there.
func (p *configParser) name(path string, value any) string {
	name, ok := value.(string)
	if !ok || name == "" {
		p.faults.add(path, "want a name, found "+kindOf(value))
	}
	return name
}

// text is a text; nothing is an empty one.
func (p *configParser) text(path string, value any) string {
	text, ok := value.(string)
	if !ok && value != nil {
		p.faults.add(path, "want a text, found "+kindOf(value))
	}
	return text
}

func (p *configParser) flag(path string, value any) bool {
	flag, ok := value.(bool)
	if !ok && value != nil {
		p.faults.add(path, "want true or false, found "+kindOf(value))
	}
	return flag
}

func (p *configParser) integer(path string, value any, fallback, low, high int) int {
	if value == nil {
		return fallback
	}
	text, isNumber := value.(json.Number)
	n, err := strconv.Atoi(string(text))
	if !isNumber || err != nil || n < low || n > high {
		p.faults.add(path, fmt.Sprintf("want %d to %d, found %s", low, high, kindOf(value)))
	}
	return n
}

// duration is the wording of a duration in the span, and its meaning.
func (p *configParser) duration(path string, value any, fallback string, in span) (wording string, d time.Duration) {
	wording, ok := fallback, true
	if value != nil {
		wording, ok = value.(string)
	}
	if !ok {
		p.faults.add(path, "want a text such as PT1M, found "+kindOf(value))
		return "", 0
	}
	d, problem := in.read(wording)
	p.faults.add(path, problem)
	return wording, d
}
