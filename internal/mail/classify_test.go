package mail_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"bellhop/internal/mail"
)

var allPhases = []mail.Phase{
	mail.PhaseDial, mail.PhaseTLS, mail.PhaseGreeting, mail.PhaseHello, mail.PhaseAuth,
	mail.PhaseMail, mail.PhaseRcpt, mail.PhaseData, mail.PhaseDot, mail.PhaseAfter,
}

// result is one thing that can happen at a phase.
type result struct {
	name  string
	reply mail.Reply // zero: an error
	err   error
}

var results = []result{
	{name: "250", reply: mail.Reply{Code: 250, Status: [3]int{2, 0, 0}, Text: "queued"}},
	{name: "450", reply: mail.Reply{Code: 450, Text: "try later"}},
	{name: "451 4.7.1", reply: mail.Reply{Code: 451, Status: [3]int{4, 7, 1}, Text: "greylisted"}},
	{name: "452 4.5.3", reply: mail.Reply{Code: 452, Status: [3]int{4, 5, 3}}},
	{name: "550", reply: mail.Reply{Code: 550, Text: "no"}},
	{name: "550 5.1.1", reply: mail.Reply{Code: 550, Status: [3]int{5, 1, 1}, Text: "no such user"}},
	{name: "421", reply: mail.Reply{Code: 421, Status: [3]int{4, 3, 2}, Text: "shutting down"}},
	{name: "454", reply: mail.Reply{Code: 454, Status: [3]int{4, 7, 0}}},
	{name: "552 5.2.2", reply: mail.Reply{Code: 552, Status: [3]int{5, 2, 2}, Text: "mailbox full"}},
	{name: "552", reply: mail.Reply{Code: 552}},
	{name: "550 5.7.1", reply: mail.Reply{Code: 550, Status: [3]int{5, 7, 1}}},
	{name: "550 5.1.8", reply: mail.Reply{Code: 550, Status: [3]int{5, 1, 8}}},
	{name: "530 5.7.0", reply: mail.Reply{Code: 530, Status: [3]int{5, 7, 0}}},
	{name: "503", reply: mail.Reply{Code: 503}},
	{name: "550 4.2.1", reply: mail.Reply{Code: 550, Status: [3]int{4, 2, 1}}}, // A5.3: the enhanced code wins
	{name: "450 5.1.1", reply: mail.Reply{Code: 450, Status: [3]int{5, 1, 1}}}, // A5.3
	{name: "354", reply: mail.Reply{Code: 354}},
	{name: "garbage", err: fmt.Errorf("%w: short response", mail.ErrGarbled)},
	{name: "eof", err: io.EOF},
	{name: "timeout", err: &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}},
	{name: "reset", err: &net.OpError{Op: "read", Err: syscall.ECONNRESET}},
	{name: "write failed", err: fmt.Errorf("%w: broken pipe", mail.ErrDotNotWritten)},
}

// A5.1, A5.2, A5.3: the table, whole. One letter per class: Accepted,
// Temporary, Permanent, Unknown, provider-Down; "s" suppresses the address,
// "t" asks to slow down, "x" ends the connection.
func TestOutcomeTable(t *testing.T) {
	setup := map[string]string{ // dial, tls, greeting, hello, auth: never the mail's fault
		"421": "D t x",
	}
	wants := map[mail.Phase]map[string]string{
		mail.PhaseMail: {
			"250": "D x", "450": "T", "451 4.7.1": "T", "452 4.5.3": "T t", "550": "P", "550 5.1.1": "P", "421": "D t x", "454": "T t",
			"552 5.2.2": "T", "552": "P", "550 5.7.1": "D", "550 5.1.8": "D", "530 5.7.0": "D", "503": "D", "550 4.2.1": "T", "450 5.1.1": "P",
			"354": "D x", "garbage": "D x", "eof": "D x", "timeout": "D x", "reset": "D x", "write failed": "D x",
		},
		mail.PhaseRcpt: {
			"250": "T x", "450": "T", "451 4.7.1": "T", "452 4.5.3": "T t", "550": "P", "550 5.1.1": "P s", "421": "T t x", "454": "T t",
			"552 5.2.2": "T", "552": "T", "550 5.7.1": "P", "550 5.1.8": "D", "530 5.7.0": "D", "503": "P", "550 4.2.1": "T", "450 5.1.1": "P s",
			"354": "T x", "garbage": "T x", "eof": "T x", "timeout": "T x", "reset": "T x", "write failed": "T x",
		},
		mail.PhaseData: {
			"250": "T x", "450": "T", "451 4.7.1": "T", "452 4.5.3": "T t", "550": "P", "550 5.1.1": "P s", "421": "T t x", "454": "T t",
			"552 5.2.2": "T", "552": "P", "550 5.7.1": "P", "550 5.1.8": "P", "530 5.7.0": "D", "503": "P", "550 4.2.1": "T", "450 5.1.1": "P s",
			"354": "T x", "garbage": "T x", "eof": "T x", "timeout": "T x", "reset": "T x", "write failed": "T x",
		},
		mail.PhaseDot: {
			"250": "A", "450": "T", "451 4.7.1": "T", "452 4.5.3": "T t", "550": "P", "550 5.1.1": "P s", "421": "T t x", "454": "T t",
			"552 5.2.2": "T", "552": "P", "550 5.7.1": "P", "550 5.1.8": "P", "530 5.7.0": "P", "503": "P", "550 4.2.1": "T", "450 5.1.1": "P s",
			"354": "U x", "garbage": "U x", "eof": "U x", "timeout": "U x", "reset": "U x", "write failed": "T x",
		},
	}
	for _, phase := range allPhases {
		for _, r := range results {
			want := wants[phase][r.name]
			switch {
			case phase == mail.PhaseAfter:
				want = "A x"
			case phase < mail.PhaseMail && setup[r.name] != "":
				want = setup[r.name]
			case phase < mail.PhaseMail:
				want = "D x"
			}
			if got := letters(classify(phase, r)); got != want {
				t.Errorf("%s at %s: %q, want %q", r.name, phase, got, want)
			}
		}
	}
}

func classify(phase mail.Phase, r result) mail.Outcome {
	if r.err != nil {
		return mail.ClassifyError(phase, r.err)
	}
	return mail.Classify(phase, r.reply)
}

func letters(o mail.Outcome) string {
	s := map[mail.Class]string{mail.Accepted: "A", mail.Temporary: "T", mail.Permanent: "P", mail.Unknown: "U", mail.ProviderDown: "D"}[o.Class]
	for _, flag := range []struct {
		on     bool
		letter string
	}{{o.Suppress, " s"}, {o.Throttle, " t"}, {o.Close, " x"}} {
		if flag.on {
			s += flag.letter
		}
	}
	return s
}

// A5.1 is total: whatever the code, a phase has exactly one class, only the
// dot can be accepted or unknown, and everything can be explained.
func TestClassifyIsTotal(t *testing.T) {
	for _, phase := range allPhases {
		for code := -1; code <= 1000; code++ {
			for _, status := range [][3]int{{}, {2, 0, 0}, {4, 2, 2}, {4, 7, 28}, {5, 1, 1}, {5, 7, 515}, {-1, -1, -1}, {9, 9, 9}, {5, 1234, 1}} {
				o := mail.Classify(phase, mail.Reply{Code: code, Status: status, Text: "text"})
				checkOutcome(t, phase, o)
				if t.Failed() {
					t.Fatalf("code %d status %v: %+v", code, status, o)
				}
			}
		}
		for _, r := range results {
			checkOutcome(t, phase, classify(phase, r))
		}
		checkOutcome(t, phase, mail.ClassifyError(phase, nil))
	}
}

func checkOutcome(t *testing.T, phase mail.Phase, o mail.Outcome) {
	t.Helper()
	if o.Class < mail.Accepted || o.Class > mail.ProviderDown || o.Phase != phase || o.Reason == "" {
		t.Errorf("not classified: %+v", o)
	}
	if (o.Class == mail.Accepted || o.Class == mail.Unknown) && phase < mail.PhaseDot {
		t.Errorf("%v before the dot at %v", o.Class, phase)
	}
	if o.Class == mail.ProviderDown && (o.CountsAttempt() || o.Suppress || phase > mail.PhaseData) {
		t.Errorf("provider-down at %v: %+v", phase, o)
	}
	if o.Suppress && o.Class != mail.Permanent {
		t.Errorf("suppresses without being permanent: %+v", o)
	}
	if text := o.Explain(); text == "" || strings.Contains(text, "nothing is known") || strings.Contains(text, "none") {
		t.Errorf("%+v is explained as %q", o, text)
	}
}

func TestHintsOfOutcomes(t *testing.T) {
	for _, tc := range []struct {
		reply mail.Reply
		least time.Duration
		why   mail.Reason
		costs bool
	}{
		{mail.Reply{Code: 450, Status: [3]int{4, 2, 0}}, 5 * time.Minute, mail.ReasonGreylisted, true},
		{mail.Reply{Code: 451, Text: "Temporarily deferred, Greylisted"}, 5 * time.Minute, mail.ReasonGreylisted, true},
		{mail.Reply{Code: 452, Status: [3]int{4, 2, 2}}, time.Hour, mail.ReasonMailboxFull, true},
		{mail.Reply{Code: 552, Status: [3]int{5, 2, 2}}, time.Hour, mail.ReasonMailboxFull, true},
		{mail.Reply{Code: 421, Status: [3]int{4, 7, 0}}, time.Minute, mail.ReasonThrottled, false},
		{mail.Reply{Code: 451, Status: [3]int{4, 3, 0}}, 0, mail.ReasonUnavailable, true},
		{mail.Reply{Code: 550, Status: [3]int{5, 7, 1}}, 0, mail.ReasonPolicy, true},
		{mail.Reply{Code: 552, Status: [3]int{5, 3, 4}}, 0, mail.ReasonTooLarge, true},
	} {
		o := mail.Classify(mail.PhaseRcpt, tc.reply)
		if o.RetryAtLeast != tc.least || o.Reason != tc.why || o.CountsAttempt() != tc.costs {
			t.Errorf("%+v: %+v", tc.reply, o)
		}
	}
	if o := mail.Cancelled(mail.PhaseData); o.Class != mail.Temporary || o.CountsAttempt() || !o.Close {
		t.Errorf("cancelled: %+v", o)
	}
}

// A5.3, B7.1: what the server said is kept short and without addresses.
func TestScrub(t *testing.T) {
	for in, want := range map[string]string{
		"2.0.0 Ok: queued as 4bXyZ1":                                                       "2.0.0 Ok: queued as 4bXyZ1",
		"<ana@example.com>: Recipient address rejected":                                    "[address] Recipient address rejected",
		"SRS0=ana=40example.com blocked":                                                   "[address] blocked",
		"see https://x.example/?a=ana%40example.com now":                                   "see [address] now",
		"user Ana.Maria is unknown":                                                        "user [address] is unknown",
		"line one\r\nline\ttwo\x00 \x1b[31mred\u202e":                                      "line one line two [31mred",
		"spam: http://x.example/confirm/AaIEtzW3d06JrckSVkX3YQEBeaGv75y-7asqpAzur9NGw now": "spam: http://x.example/confirm/[secret] now",
		"Ok 0100018f5c5e4b0e-4b5f0c1e-6f0e-4c55-9d7d-0123456789ab-000000":                  "Ok 0100018f5c5e4b0e-4b5f0c1e-6f0e-4c55-9d7d-0123456789ab-000000",
		"a\xff": "a?",
	} {
		if got := mail.Scrub(in, "ana.maria"); got != want {
			t.Errorf("Scrub(%q) = %q, want %q", in, got, want)
		}
	}
	if got := mail.Scrub(strings.Repeat("ü", 1000)); len(got) > mail.MaxText || !strings.HasPrefix(got, "üü") || strings.Contains(got, "\uFFFD") {
		t.Errorf("%d bytes", len(got))
	}
	o := mail.ClassifyError(mail.PhaseRcpt, errors.New("write to ana@example.com failed"))
	if all := fmt.Sprintf("%v %+v %s %v", o, o, o.Explain(), o.LogValue()); strings.Contains(all, "ana") {
		t.Errorf("an address is in %s", all)
	}
}
