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

// Which mail is sent for what.
func TestChooseVariant(t *testing.T) {
	for _, test := range []struct {
		purpose    Purpose
		registered bool
		want       Variant
		lane       Lane
		code       bool
		copies     int
		expiry     time.Duration
	}{
		{SignUp, false, Confirm, Urgent, true, 2, time.Hour},
		{SignUp, true, AlreadyRegistered, Urgent, false, 2, time.Hour},
		{SignIn, true, SignInLink, Urgent, true, 2, time.Minute},
		{SignIn, false, SignInLink, Urgent, true, 2, time.Minute},
		{Welcome, true, Welcomed, Bulk, false, 0, time.Hour},
		{Welcome, false, Welcomed, Bulk, false, 0, time.Hour},
	} {
		got, err := ChooseVariant(test.purpose, test.registered)
		if err != nil || got != test.want || got.HasCode() != test.code {
			t.Errorf("%s, registered %t: %q with a code: %t, %v", test.purpose, test.registered, got, got.HasCode(), err)
		}
		if lane := test.purpose.Lane(); lane != test.lane {
			t.Errorf("%s travels in %s", test.purpose, lane)
		}
		policy := Policy{MaxCopies: 2, Expiry: time.Hour, SignInExpiry: time.Minute}
		if n := policy.CopiesOf(got); n != test.copies {
			t.Errorf("%d copies of %s, want %d", n, got, test.copies)
		}
		if d := policy.ExpiryOf(test.purpose); d != test.expiry {
			t.Errorf("a mail for %s makes sense for %v, want %v", test.purpose, d, test.expiry)
		}
	}
	if v, err := ChooseVariant("series", false); err == nil {
		t.Errorf("%q for a purpose that nobody knows", v)
	}
	if n := (Policy{MaxCopies: 2}).CopiesOf("series"); n != 0 {
		t.Errorf("%d copies of a mail that nobody knows", n)
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
