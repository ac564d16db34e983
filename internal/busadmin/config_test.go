package busadmin

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"bellhop/internal/bus"
)

func TestConfigOfTheEmulator(t *testing.T) {
	sample, err := os.ReadFile("testdata/Config.json")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"as it is": string(sample), "with a mark": "\ufeff" + string(sample), "of Windows": strings.ReplaceAll(string(sample), "\n", "\r\n"),
	} {
		got, err := ParseConfig(strings.NewReader(text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want := &Config{Namespace: "sbemulatorns", Queues: []Queue{
			{"queue.1", bus.Settings{LockDuration: time.Minute, MaxDeliveryCount: 3, DefaultTTL: time.Hour}},
			{"defaults", bus.Settings{LockDuration: time.Minute, MaxDeliveryCount: 3, DefaultTTL: time.Hour}},
			{"Strict/Orders", bus.Settings{LockDuration: 30 * time.Second, MaxDeliveryCount: 3, DefaultTTL: time.Hour, DuplicateWindow: 20 * time.Second, DeadLetterOnExpiration: true}},
		}}
		for i := range got.Queues {
			got.Queues[i].Settings.Described = ""
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v\nwant %+v", name, got, want)
		}
	}
}

// oneQueue is a file with these properties of one queue.
func oneQueue(properties string) string {
	return `{"UserConfig":{"Namespaces":[{"Name":"n","Queues":[{"Name":"q","Properties":{` + properties + `}}]}]}}`
}

// TestConfigGoesBeyondTheEmulator: the service's own ranges, where they are wider.
func TestConfigGoesBeyondTheEmulator(t *testing.T) {
	got, err := ParseConfig(strings.NewReader(oneQueue(`"DefaultMessageTimeToLive": "P14D", "MaxDeliveryCount": 2000, "DuplicateDetectionHistoryTimeWindow": "P7D",
		"RequiresDuplicateDetection": true, "LockDuration": null, "ForwardTo": null`)))
	if err != nil {
		t.Fatal(err)
	}
	got.Queues[0].Settings.Described = ""
	want := bus.Settings{LockDuration: time.Minute, MaxDeliveryCount: 2000, DefaultTTL: 14 * day, DuplicateWindow: 7 * day}
	if got.Queues[0].Settings != want {
		t.Errorf("got %+v, want %+v", got.Queues[0].Settings, want)
	}
	if got, err = ParseConfig(strings.NewReader(oneQueue(`"DefaultMessageTimeToLive": "P10675199DT2H48M5.4775807S"`))); err != nil || got.Queues[0].Settings.DefaultTTL != 0 {
		t.Errorf("for ever: %v, %v", got, err)
	}
	var many strings.Builder
	for i := range 51 {
		fmt.Fprintf(&many, `{"Name":"queue-%d"},`, i)
	}
	if got, err = ParseConfig(strings.NewReader(`{"UserConfig":{"Namespaces":[{"Name":"n","Queues":[` + many.String() + `]}]}}`)); err != nil || len(got.Queues) != 51 {
		t.Errorf("51 queues: %v", err)
	}
}

// TestConfigFaults: each is named with its place, with what was wanted and what
// was found.
func TestConfigFaults(t *testing.T) {
	const at, queue = "UserConfig.Namespaces[0]", "UserConfig.Namespaces[0].Queues[0]"
	namespace := func(members string) string { return `{"UserConfig":{"Namespaces":[{` + members + `}]}}` }
	for _, c := range []struct {
		text string
		want string // all faults
	}{
		{oneQueue(`"LockDuration": "PT10M"`), queue + ".Properties.LockDuration: want PT5S to PT5M, found PT10M"},
		{oneQueue(`"LockDuration": "ten"`), queue + `.Properties.LockDuration: want a duration such as PT1M or P14D, found "ten"`},
		{oneQueue(`"LockDuration": 60`), queue + `.Properties.LockDuration: want a text such as PT1M, found 60`},
		{oneQueue(`"DefaultMessageTimeToLive": "PT0.999S"`), queue + ".Properties.DefaultMessageTimeToLive: want PT1S or more, found PT0.999S"},
		{oneQueue(`"DuplicateDetectionHistoryTimeWindow": "PT4S"`), queue + ".Properties.DuplicateDetectionHistoryTimeWindow: want PT5S to P7D, found PT4S"},
		{oneQueue(`"MaxDeliveryCount": 0`), queue + ".Properties.MaxDeliveryCount: want 1 to 2000, found 0"},
		{oneQueue(`"MaxDeliveryCount": 2.5`), queue + ".Properties.MaxDeliveryCount: want 1 to 2000, found 2.5"},
		{oneQueue(`"MaxDeliveryCount": "3"`), queue + `.Properties.MaxDeliveryCount: want 1 to 2000, found "3"`},
		{oneQueue(`"RequiresDuplicateDetection": "true"`), queue + `.Properties.RequiresDuplicateDetection: want true or false, found "true"`},
		{oneQueue(`"RequiresSession": true`), queue + ".Properties.RequiresSession: sessions are not supported yet; want false"},
		{oneQueue(`"ForwardTo": "a", "ForwardDeadLetteredMessagesTo": "b"`), queue + `.Properties.ForwardTo: forwarding is not supported yet; want ""` + "\n" +
			queue + `.Properties.ForwardDeadLetteredMessagesTo: forwarding is not supported yet; want ""`},
		{oneQueue(`"ForwardTo": []`), queue + `.Properties.ForwardTo: want a text, found a list`},
		{oneQueue(`"LockDurations": 1`), queue + `.Properties.LockDurations: unknown key; want one of DeadLetteringOnMessageExpiration, DefaultMessageTimeToLive, ` +
			`DuplicateDetectionHistoryTimeWindow, ForwardDeadLetteredMessagesTo, ForwardTo, LockDuration, MaxDeliveryCount, RequiresDuplicateDetection, RequiresSession`},
		{oneQueue(`"LockDuration": "PT1M", "lockduration": "PT2M"`), queue + ".Properties.LockDuration: it is there twice"},
		{namespace(`"Name":"n","Queues":[{"Name":"-"}]`), queue + `.Name: want 1 to 260 letters, digits, '.', '-', '_' or '/', the first and the last a letter or digit, and no /subscriptions/; found "-"`},
		{namespace(`"Name":"n","Queues":[{"Name":"a"},{"Name":"b"},{"Name":"A"}]`), at + `.Queues[2].Name: want a name of its own, found "A", which ` + queue + ` has`},
		{namespace(`"Name":"n","Queues":[null, 7]`), queue + ": want an object, found none\n" + at + ".Queues[1]: want an object, found 7"},
		{namespace(`"Name":"n","Queues":{}`), at + ".Queues: want a list, found an object"},
		{namespace(`"Name":"n","Topics":[{"Name":"t"}]`), at + ".Topics: topics are not supported yet, found 1; want an empty list, or none"},
		{namespace(`"Queues":[]`), at + ".Name: want a name, found none"},
		{namespace(`"Name":7`), at + ".Name: want a name, found 7"},
		{namespace(`"Name":"","Queues":[{}]`), at + ".Name: want a name, found \"\"\n" + queue + ".Name: want a name, found none"},
		{namespace(`"Name":"n","Queue":[]`), at + `.Queue: unknown key; want one of Name, Queues, Topics`},
		{`{"UserConfig":{"Namespaces":[{"Name":"a"},{"Name":"b"}]}}`, "UserConfig.Namespaces: want exactly one namespace, found 2"},
		{`{"UserConfig":{"Namespaces":[]}}`, "UserConfig.Namespaces: want exactly one namespace, found 0"},
		{`{"UserConfig":{"Namespaces":"n"}}`, `UserConfig.Namespaces: want a list, found "n"`},
		{`{"UserConfig":{"Namespaces":[{"Name":"n"}],"Logging":{"Type":"Syslog"}}}`, `UserConfig.Logging.Type: want File, Console, or both with a comma, found "Syslog"`},
		{`{"UserConfig":{"Namespaces":[{"Name":"n"}],"Logging":true}}`, "UserConfig.Logging: want an object, found true"},
		{`{"UserConfig":null}`, "UserConfig: want an object, found none"},
		{`{}`, "UserConfig: want an object, found none"},
		{`{"Other":{}}`, `Other: unknown key; want one of UserConfig` + "\nUserConfig: want an object, found none"},
		{`[]`, "Config.json: want an object, found a list\nUserConfig: want an object, found none"},
		{``, "Config.json: want JSON: line 1: unexpected end of JSON input"},
		{"{\n  // fine\n  \"UserConfig\": {,}\n}", "Config.json: want JSON: line 3: invalid character ',' looking for beginning of object key string"},
		{"{\n/* no end", "Config.json: want JSON: line 2: unexpected end of JSON input"},
		{`{} {}`, "Config.json: want JSON: line 1: invalid character '{' after top-level value"},
		{`{"a":[,]}`, "Config.json: want JSON: line 1: invalid character ',' looking for beginning of value"},
		{`{"a":[1,,]}`, "Config.json: want JSON: line 1: invalid character ',' looking for beginning of value"},
		{strings.Repeat("[", 40) + strings.Repeat("]", 40), "Config.json: want JSON: want at most 32 values inside each other"},
		{strings.Repeat("[", 100_000), "Config.json: want JSON: line 1: invalid character '[' exceeded max depth"},
		{strings.Repeat(" ", maxFile+1), "Config.json: want at most 4194304 bytes"},
	} {
		got, err := ParseConfig(strings.NewReader(c.text))
		var faults Faults
		if !errors.As(err, &faults) || got != nil || err.Error() != c.want {
			t.Errorf("%.200s\ngot  %v\nwant %s", c.text, err, c.want)
		}
	}
}

// TestConfigFaultsAreBounded: a file that is wrong throughout does not drown
// its reader.
func TestConfigFaultsAreBounded(t *testing.T) {
	_, err := ParseConfig(strings.NewReader(`{"UserConfig":{"Namespaces":[{"Name":"n","Queues":[` + strings.Repeat(`{"Name":"-"},`, 1000) + `]}]}}`))
	lines := strings.Split(fmt.Sprint(err), "\n")
	if len(lines) != 101 || !strings.HasPrefix(lines[100], "and ") {
		t.Errorf("%d lines, the last %q", len(lines), lines[len(lines)-1])
	}
}

func TestConfigThatCannotBeRead(t *testing.T) {
	_, err := ParseConfig(iotest.ErrReader(io.ErrNoProgress))
	if !errors.Is(err, io.ErrNoProgress) {
		t.Error(err)
	}
}

func TestComments(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{`{"a": "// no, /* this */ is \" text", } // end`, `{"a":"// no, /* this */ is \" text"}`},
		{"[1, // one\n 2, /* two */ ]", `[1,2]`}, {"/**/[/*/*/1,\n//\n]", `[1]`}, {`[1]//`, `[1]`}, {`["\\",]`, `["\\"]`}, {`[{},[],]`, `[{},[]]`},
	} {
		got, err := parseJSON([]byte(c.text))
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		want, err := parseJSON([]byte(c.want))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %v, want %v, %v", c.text, got, want, err)
		}
	}
}

func apply(t *testing.T, b *bus.Bus, text string) (log string) {
	t.Helper()
	config, err := ParseConfig(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	var written bytes.Buffer
	if err := config.Apply(t.Context(), b, slog.New(slog.NewTextHandler(&written, nil))); err != nil {
		t.Fatal(err)
	}
	return written.String()
}

// TestApply: whoever edits the file and starts again has what it says, and
// keeps what it does not speak of.
func TestApply(t *testing.T) {
	b, ctx := newBus(t, filepath.Join(t.TempDir(), "bus.db")), t.Context()
	if err := b.CreateQueue(ctx, "other", bus.Settings{MaxDeliveryCount: 77}); err != nil {
		t.Fatal(err)
	}
	const first = `"LockDuration": "PT60S", "DefaultMessageTimeToLive": "P2D"`
	if log := apply(t, b, oneQueue(first)); strings.Count(log, "queue created from the configuration") != 1 || strings.Count(log, "\n") != 1 {
		t.Errorf("logged %s", log)
	}
	created, err := b.Queue(ctx, "q")
	if err != nil {
		t.Fatal(err)
	}
	if got := describe(&created, 256<<10); got.LockDuration != "PT60S" || got.DefaultMessageTimeToLive != "P2D" || got.MaxDeliveryCount != 3 || got.DuplicateDetectionHistoryTimeWindow != "PT20S" {
		t.Errorf("got %+v", got)
	}
	if log := apply(t, b, oneQueue(first+`, "MaxDeliveryCount": 3`)); log != "" {
		t.Errorf("logged %s though nothing differs", log)
	}
	if again, err := b.Queue(ctx, "q"); err != nil || !reflect.DeepEqual(again, created) {
		t.Errorf("touched though nothing differs: %+v, %v", again, err)
	}
	// Somebody changes it by the admin API and sends.
	changed := created.Settings
	changed.UserMetadata, changed.Status, changed.MaxSizeBytes, changed.MaxDeliveryCount = "mine", bus.StatusReceiveDisabled, 5<<20, 9
	changed.Described = wording{Unbatched: true, AuthorizationRules: []authorizationRule{{KeyName: "k", Rights: []string{"Send"}}}}.String()
	if err := b.UpdateQueue(ctx, "q", changed); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Send(ctx, "q", bus.Message{}); err != nil {
		t.Fatal(err)
	}
	log := apply(t, b, strings.Replace(oneQueue(`"MaxDeliveryCount": 4, "RequiresDuplicateDetection": true, "DeadLetteringOnMessageExpiration": true`), `"q"`, `"Q"`, 1))
	const want = `changes="[DefaultMessageTimeToLive: P2D to PT1H MaxDeliveryCount: 9 to 4 DeadLetteringOnMessageExpiration: false to true RequiresDuplicateDetection: false to true]"`
	if !strings.Contains(log, "queue altered to what the configuration says") || !strings.Contains(log, want) {
		t.Errorf("logged %s\nwant %s", log, want)
	}
	altered, err := b.Queue(ctx, "q")
	if err != nil {
		t.Fatal(err)
	}
	wantSettings := bus.Settings{LockDuration: time.Minute, MaxDeliveryCount: 4, DefaultTTL: time.Hour, DeadLetterOnExpiration: true, DuplicateWindow: 20 * time.Second,
		UserMetadata: "mine", Status: bus.StatusReceiveDisabled, MaxSizeBytes: 5 << 20, Described: altered.Settings.Described}
	if altered.Settings != wantSettings || altered.Name != "q" || altered.Counts.Active != 1 {
		t.Errorf("got %+v, want settings %+v", altered, wantSettings)
	}
	if got := describe(&altered, 256<<10); got.EnableBatchedOperations || len(got.AuthorizationRules.Rules) != 1 || got.LockDuration != "PT1M" {
		t.Errorf("got %+v", got)
	}
	log = apply(t, b, oneQueue(`"MaxDeliveryCount": 4, "RequiresDuplicateDetection": true, "DeadLetteringOnMessageExpiration": true, "DuplicateDetectionHistoryTimeWindow": "PT1M"`))
	if !strings.Contains(log, `changes="[DuplicateDetectionHistoryTimeWindow: PT20S to PT1M]"`) {
		t.Errorf("logged %s", log)
	}
	if other, err := b.Queue(ctx, "other"); err != nil || other.Settings.MaxDeliveryCount != 77 {
		t.Errorf("another queue: %+v, %v", other, err)
	}
}

func TestApplyFails(t *testing.T) {
	b := newBus(t, filepath.Join(t.TempDir(), "bus.db"))
	config, err := ParseConfig(strings.NewReader(oneQueue("")))
	if err != nil {
		t.Fatal(err)
	}
	if err := config.Apply(t.Context(), b, nil); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := config.Apply(t.Context(), b, nil); !errors.Is(err, bus.ErrClosed) || !strings.Contains(err.Error(), `queue "q"`) {
		t.Error(err)
	}
}
