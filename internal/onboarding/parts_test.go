package onboarding

import (
	"strings"
	"testing"
	"time"

	"bellhop/internal/queue"
)

const subject = "0192f3a4-7b6c-7d8e-9f01-23456789abcd"

func TestMailID(t *testing.T) {
	id := NewMailID(subject, SignUp, 2)
	s, p, step, err := id.Parse()
	if err != nil || s != subject || p != SignUp || step != 2 || id.Subject() != subject {
		t.Errorf("%q parsed to %q, %q, %d, %v", id, s, p, step, err)
	}
	for _, bad := range []MailID{"", "a", "a.b", "a.b.0", "a.b.-1", "a.b.01", "a.b.1.1", ".b.1", "a..1", MailID(strings.Repeat("a", 100) + ".b.1")} {
		if _, _, _, err := bad.Parse(); err == nil {
			t.Errorf("%q was parsed", bad)
		}
		if bad.Subject() != "" {
			t.Errorf("%q has a subject", bad)
		}
	}
}

func TestMessagesRoundTrip(t *testing.T) {
	ref := Ref{Mail: NewMailID(subject, SignUp, 1), Gen: 7}
	got, err := decodeMessage(mailMessage("x", ref))
	if err != nil || got.ref != ref || !got.marker.IsZero() {
		t.Errorf("mail: %+v, %v", got, err)
	}
	sent := time.Date(2026, 11, 22, 17, 0, 0, 123456000, time.UTC)
	got, err = decodeMessage(markerMessage("x", sent))
	if err != nil || !got.marker.Equal(sent) {
		t.Errorf("marker: %+v, %v", got, err)
	}
	for _, bad := range []map[string]string{nil, {"mail": "x", "gen": "1"}, {"mail": string(ref.Mail)}, {"mail": string(ref.Mail), "gen": "0"}, {"marker": "soon"}} {
		if _, err := decodeMessage(queue.Message{Properties: bad}); err == nil {
			t.Errorf("%v was decoded", bad)
		}
	}
}

// Design rule: a link is derived, so the same mint gives the same link, and
// another mint, mail or key another one.
func TestLinksAreDerived(t *testing.T) {
	key, id := []byte("0123456789abcdef0123456789abcdef"), NewMailID(subject, SignUp, 1)
	link := func(key []byte, id MailID, mint int) string {
		t.Helper()
		l, err := NewLinks("https://example.com/", key).Link(id, mint)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	first := link(key, id, 1)
	if !strings.HasPrefix(first, "https://example.com/confirm/") || first != link(key, id, 1) {
		t.Errorf("link %q", first)
	}
	seen := map[string]bool{first: true}
	for _, other := range []string{link(key, id, 2), link(key, NewMailID(subject, SignUp, 2), 1), link([]byte("another"), id, 1)} {
		if seen[other] {
			t.Errorf("two links are the same: %q", other)
		}
		seen[other] = true
	}
	if _, err := NewLinks("https://example.com", key).Link("x.sign-up.1", 1); err == nil {
		t.Error("a link for a subject that is no UUID")
	}
}

// A5.4: the schedule's last value repeats, a draw is never over its value, and
// never under the server's hint.
func TestA5_4_RetrySchedule(t *testing.T) {
	p := Policy{Retry: []time.Duration{time.Minute, time.Hour}}
	for n, most := range map[int]time.Duration{0: time.Minute, 1: time.Minute, 2: time.Hour, 3: time.Hour, 99: time.Hour} {
		low := most
		for range 200 {
			d := p.retryAfter(n, 0)
			if d < 0 || d > most {
				t.Fatalf("attempt %d: %v", n, d)
			}
			low = min(low, d)
		}
		if low > most/2 {
			t.Errorf("attempt %d: never under %v: no jitter", n, low)
		}
	}
	if d := p.retryAfter(1, 10*time.Minute); d < 10*time.Minute {
		t.Errorf("under the server's hint: %v", d)
	}
}
