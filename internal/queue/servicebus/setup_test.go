package servicebus

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"bellhop/internal/bus"
	"bellhop/internal/queue"
	"bellhop/internal/sas"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus/admin"
)

func TestPrepare(t *testing.T) {
	for name, secure := range map[string]bool{"HTTP": false, "HTTPS": true} {
		t.Run(name, func(t *testing.T) {
			w := startWire(t, secure)
			other := bus.Settings{LockDuration: 30 * time.Second, MaxDeliveryCount: 10, DefaultTTL: time.Hour, DuplicateWindow: time.Minute}
			w.makeQueue("other", other)
			all, err := Prepare(within(t), w.options(), "new", "other")
			w.must(err)
			if len(all) != 2 || !all[0].Created || len(all[0].Differences) != 0 || all[1].Created {
				t.Errorf("prepared %+v", all)
			}
			want := []Difference{
				{"LockDuration", "PT30S", "PT1M"},
				{"MaxDeliveryCount", "10", "100"},
				{"DefaultMessageTimeToLive", "PT1H", wantTTL},
				{"RequiresDuplicateDetection", "true", "false"},
			}
			if got := all[1].Differences; !slices.Equal(got, want) {
				t.Errorf("differences %q, want %q", got, want)
			}
			made, err := w.bus.Queue(t.Context(), "new")
			w.must(err)
			if s := made.Settings; s.LockDuration != time.Minute || s.MaxDeliveryCount != 100 || s.DefaultTTL != 0 || s.DuplicateWindow != 0 {
				t.Errorf("made with %+v", s)
			}
			kept, err := w.bus.Queue(t.Context(), "other")
			w.must(err)
			if s := kept.Settings; s.LockDuration != other.LockDuration || s.MaxDeliveryCount != other.MaxDeliveryCount || s.DefaultTTL != other.DefaultTTL {
				t.Errorf("what was there became %+v", s)
			}
			again, err := Prepare(within(t), w.options(), "new")
			if err != nil || len(again) != 1 || again[0].Created || len(again[0].Differences) != 0 {
				t.Errorf("prepared again %+v, %v", again, err)
			}
		})
	}
}

func TestPrepareNeedsTheRight(t *testing.T) {
	w := startWire(t, false)
	for name, opts := range map[string]Options{
		"a key without the right": w.optionsOf(onlyListen, theirKey),
		"a wrong key":             w.optionsOf(sas.RootRule, theirKey),
		"a rule that is not":      w.optionsOf("nobody", theirKey),
	} {
		all, err := Prepare(within(t), opts, "new")
		if !errors.Is(err, ErrRefused) || len(all) != 0 || strings.Contains(err.Error(), theirKey) {
			t.Errorf("%s: prepared %+v, %v", name, all, err)
			continue
		}
		if said := err.Error(); !strings.Contains(said, "the key or the token is not accepted, or does not have the right Manage (") {
			t.Errorf("%s: it says %s", name, said)
		}
	}
}

// What the status of an answer means to people. Who is known and lacks the right
// is not sent to look at the key.
func TestRefusal(t *testing.T) {
	forbidden := refusal(&azcore.ResponseError{StatusCode: http.StatusForbidden})
	if said := forbidden.Error(); !errors.Is(forbidden, ErrRefused) || !strings.Contains(said, ": the right Manage is needed (") || strings.Contains(said, "key") {
		t.Errorf("403: it says %s", said)
	}
	if err := refusal(&azcore.ResponseError{StatusCode: http.StatusNotFound}); !errors.Is(err, queue.ErrUnknownQueue) {
		t.Errorf("404: %v", err)
	}
	for _, other := range []error{&azcore.ResponseError{StatusCode: http.StatusConflict}, errors.New("no route")} {
		if err := refusal(other); err != other {
			t.Errorf("%v became %v", other, err)
		}
	}
}

func TestDifferences(t *testing.T) {
	yes, no := true, false
	lock, ttl, deliveries, status, elsewhere := "PT60S", wantTTL, int32(100), admin.EntityStatusActive, "elsewhere"
	good := admin.QueueProperties{
		LockDuration: &lock, MaxDeliveryCount: &deliveries, DefaultMessageTimeToLive: &ttl, AutoDeleteOnIdle: &ttl,
		RequiresDuplicateDetection: &no, RequiresSession: &no, Status: &status,
	}
	if got := differences(good); len(got) != 0 {
		t.Errorf("differences of what is as it should be: %q", got)
	}
	if got := differences(admin.QueueProperties{}); len(got) != 5 {
		t.Errorf("differences of what nobody knows: %q", got)
	}
	for setting, change := range map[string]func(*admin.QueueProperties){
		"RequiresSession":  func(p *admin.QueueProperties) { p.RequiresSession = &yes },
		"AutoDeleteOnIdle": func(p *admin.QueueProperties) { p.AutoDeleteOnIdle = &lock },
		"ForwardTo":        func(p *admin.QueueProperties) { p.ForwardTo = &elsewhere },
		"Status":           func(p *admin.QueueProperties) { off := admin.EntityStatusDisabled; p.Status = &off },
	} {
		p := good
		change(&p)
		if got := differences(p); len(got) != 1 || got[0].Setting != setting {
			t.Errorf("%s: differences %q", setting, got)
		}
	}
}

func TestSameSpan(t *testing.T) {
	for _, test := range []struct {
		a, b string
		same bool
	}{
		{"PT1M", "PT60S", true}, {"PT1M", "PT1M0S", true}, {"P1D", "PT24H", true}, {"PT1M", "PT30S", false},
		{wantTTL, "P10675199DT2H48M5.4775807S", true}, {wantTTL, "P14D", false}, {"P", "", false}, {"1 minute", "1 minute", false},
		{"P99999999999999999999D", "P99999999999999999999D", false},
	} {
		if got := sameSpan(test.a, test.b); got != test.same {
			t.Errorf("%s and %s: %v", test.a, test.b, got)
		}
	}
}

func TestCommands(t *testing.T) {
	unknown := `"$NAMESPACE"`
	for host, namespace := range map[string]string{
		"contoso.servicebus.windows.net": "contoso", "Contoso.ServiceBus.usgovcloudapi.net:5671": "Contoso", "contoso.servicebus.chinacloudapi.cn": "contoso",
		"": unknown, "127.0.0.1:25672": unknown, "localhost:5672": unknown, "localhost": unknown, "[::1]:5672": unknown, "bus.example.com": unknown,
	} {
		got := Commands(host, "one", "two")
		want := `az servicebus queue create --resource-group "$RESOURCE_GROUP" --namespace-name ` + namespace + ` --name one --lock-duration PT1M --max-delivery-count 100 --default-message-time-to-live ` + wantTTL + "\n"
		if namespace == unknown && host != "" {
			want = "# " + host + " is not in Azure. NAMESPACE is the part before .servicebus.windows.net of one that is.\n" + want
		}
		if rest, ok := strings.CutPrefix(got, want); !ok || strings.Count(rest, "\n") != 1 || !strings.Contains(rest, "--namespace-name "+namespace+" --name two ") {
			t.Errorf("commands for %q:\n%s", host, got)
		}
	}
}
