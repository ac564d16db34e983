package busadmin

import (
	"encoding/xml"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"bellhop/internal/bus"
)

// FuzzEntry: whatever comes is read or refused; what is read is within the
// limits, and comes back the same from what is answered.
func FuzzEntry(f *testing.F) {
	for _, elements := range []string{
		``, `<LockDuration>PT30S</LockDuration><UserMetadata>x</UserMetadata>`,
		`<RequiresDuplicateDetection>true</RequiresDuplicateDetection><DuplicateDetectionHistoryTimeWindow>PT4H</DuplicateDetectionHistoryTimeWindow>`,
		`<DefaultMessageTimeToLive>P10675199DT2H48M5.4775807S</DefaultMessageTimeToLive><Status>Disabled</Status>`,
		`<AuthorizationRules><AuthorizationRule i:type="SharedAccessAuthorizationRule"><ClaimType>SharedAccessKey</ClaimType><ClaimValue>None</ClaimValue>` +
			`<Rights><AccessRights>Send</AccessRights></Rights><KeyName>k</KeyName></AuthorizationRule></AuthorizationRules><MaxSizeInMegabytes>5</MaxSizeInMegabytes>`,
	} {
		f.Add([]byte(entryOf(elements)))
	}
	f.Add([]byte(`<!DOCTYPE a [<!ENTITY b "c">]><entry/>`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(body) > maxBody {
			return
		}
		read, err := readFields(body)
		if err != nil {
			return
		}
		settings, err := read.settings(nil, 256<<10)
		if err != nil {
			return
		}
		within(t, settings)
		q := bus.Queue{Name: "q", Settings: settings, Created: time.Unix(1e9, 0), Updated: time.Unix(1e9, 0)}
		text, err := xml.Marshal(place{root: "https://h/", name: "h"}.entry(&q, 256<<10))
		if err != nil {
			t.Fatal(err)
		}
		again, err := readFields(text)
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		if same, err := again.settings(&settings, 256<<10); err != nil || !reflect.DeepEqual(same, settings) {
			t.Fatalf("%+v comes back as %+v, %v", settings, same, err)
		}
	})
}

// within checks the limits of Service Bus.
func within(t *testing.T, s bus.Settings) {
	t.Helper()
	if s.LockDuration < 5*time.Second || s.LockDuration > 5*time.Minute || s.MaxDeliveryCount < 1 || s.MaxDeliveryCount > 2000 ||
		s.DefaultTTL < 0 || s.DuplicateWindow < 0 || s.DuplicateWindow > 7*day || s.MaxSizeBytes < 0 || s.MaxSizeBytes >= maxMegabytes<<20 {
		t.Fatalf("out of the limits: %+v", s)
	}
}

// FuzzConfig: whatever comes is read or refused, and what is read is within the
// limits.
func FuzzConfig(f *testing.F) {
	sample, err := os.ReadFile("testdata/Config.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(sample))
	f.Add(`{"UserConfig":{"Namespaces":[{"Name":"n","Queues":[{"Name":"q"},]}]}} // end`)
	f.Add(`{"UserConfig":/* " */{"Namespaces":[],"Logging":{"Type":"File\""}}}`)
	f.Add(strings.Repeat("[", 100))
	f.Fuzz(func(t *testing.T, text string) {
		config, err := ParseConfig(strings.NewReader(text))
		if (err == nil) != (config != nil) {
			t.Fatal(config, err)
		}
		if err != nil {
			if _, ok := err.(Faults); !ok || err.Error() == "" {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		for _, q := range config.Queues {
			within(t, q.Settings)
			if problem := nameProblem(q.Name); problem != "" {
				t.Fatal(problem)
			}
		}
	})
}
