package smtp_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"bellhop/internal/mail"
	"bellhop/internal/mail/smtp"
	"bellhop/internal/mail/smtptest"
)

// mishap is one kind of fault of the matrix.
type mishap struct {
	name  string
	fault smtptest.Fault
}

var mishaps = []mishap{
	{"4xx", smtptest.Fault{Reply: "451 4.3.0 try again"}},
	{"5xx", smtptest.Fault{Reply: "554 5.5.0 no"}},
	{"421", smtptest.Fault{Reply: "421 4.3.2 shutting down", Then: smtptest.EOF}},
	{"eof", smtptest.Fault{Then: smtptest.EOF}},
	{"rst", smtptest.Fault{Then: smtptest.RST}},
	{"stall", smtptest.Fault{Then: smtptest.Stall}},
	{"garbage", smtptest.Fault{Reply: "what?", Then: smtptest.Stall}},
	{"half a reply", smtptest.Fault{Reply: "250-", Then: smtptest.EOF}},
}

// A9.3 and A5.1: every phase with every fault, from outside: the class of the
// outcome, what the server's log holds, and that the next mail is sent.
func TestFaultMatrix(t *testing.T) {
	const D, T, P, U = mail.ProviderDown, mail.Temporary, mail.Permanent, mail.Unknown
	classes := []struct {
		step  smtptest.Step
		phase mail.Phase
		want  [8]mail.Class // in the order of mishaps
	}{
		{smtptest.Connect, mail.PhaseGreeting, [8]mail.Class{D, D, D, D, D, D, D, D}},
		{smtptest.Hello, mail.PhaseHello, [8]mail.Class{D, D, D, D, D, D, D, D}},
		{smtptest.Auth, mail.PhaseAuth, [8]mail.Class{D, D, D, D, D, D, D, D}},
		{smtptest.MailFrom, mail.PhaseMail, [8]mail.Class{T, P, D, D, D, D, D, D}},
		{smtptest.RcptTo, mail.PhaseRcpt, [8]mail.Class{T, P, T, T, T, T, T, T}},
		{smtptest.Data, mail.PhaseData, [8]mail.Class{T, P, T, T, T, T, T, T}},
		{smtptest.Dot, mail.PhaseDot, [8]mail.Class{T, P, T, U, U, U, U, U}},
	}
	for _, row := range classes {
		for i, m := range mishaps {
			t.Run(fmt.Sprintf("%s/%s", row.step, m.name), func(t *testing.T) {
				t.Parallel()
				got := runFault(t, row.step, m.fault, 0)
				if got.Phase == mail.PhaseDial && row.step == smtptest.Connect {
					got.Phase = row.phase // a reset may overtake the end of connecting
				}
				if got.Class != row.want[i] || got.Phase != row.phase {
					t.Errorf("%v at %v, want %v at %v: %s", got.Class, got.Phase, row.want[i], row.phase, got.Explain())
				}
			})
		}
	}
}

// A5.1, last rows: the server takes the mail and the answer is lost, or comes
// and the connection breaks right behind it.
func TestAcceptedThenBroken(t *testing.T) {
	for _, tc := range []struct {
		name  string
		fault smtptest.Fault
		want  mail.Class
	}{
		{"eof", smtptest.Fault{Then: smtptest.EOF}, mail.Unknown},
		{"rst", smtptest.Fault{Then: smtptest.RST}, mail.Unknown},
		{"stall", smtptest.Fault{Then: smtptest.Stall}, mail.Unknown},
		{"garbage", smtptest.Fault{Reply: "99 bottles", Then: smtptest.Stall}, mail.Unknown},
		{"intermediate", smtptest.Fault{Reply: "354 again", Then: smtptest.Stall}, mail.Unknown},
		{"250 then eof", smtptest.Fault{Reply: "250 2.0.0 ok", Then: smtptest.EOF}, mail.Accepted},
		{"251 then rst", smtptest.Fault{Reply: "251 2.1.5 will forward", Then: smtptest.EOF}, mail.Accepted},
		{"late 250", smtptest.Fault{Delay: 300 * time.Millisecond, Reply: "250 2.0.0 ok"}, mail.Accepted},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tc.fault.Accept = true
			if got := runFault(t, smtptest.Dot, tc.fault, 1); got.Class != tc.want {
				t.Errorf("%v, want %v: %s", got.Class, tc.want, got.Explain())
			}
		})
	}
}

// The late 4xx: the server reads everything, thinks, and refuses.
func TestLateRefusalAfterTheDot(t *testing.T) {
	for reply, want := range map[string]mail.Class{
		"451 4.3.0 no room": mail.Temporary, "550 5.7.1 spam": mail.Permanent, "552 5.2.2 full": mail.Temporary,
	} {
		t.Run(reply, func(t *testing.T) {
			t.Parallel()
			if got := runFault(t, smtptest.Dot, smtptest.Fault{Delay: 300 * time.Millisecond, Reply: reply}, 0); got.Class != want {
				t.Errorf("%v, want %v: %s", got.Class, want, got.Explain())
			}
		})
	}
}

// runFault sends mail 1 while a step fails, checks that the server's log holds
// exactly accepted copies of it, then sends mail 2 without faults.
func runFault(t *testing.T, step smtptest.Step, fault smtptest.Fault, accepted int) mail.Outcome {
	t.Helper()
	path := filepath.Join(t.TempDir(), "mails.log")
	server := smtptest.Start(t, smtptest.Options{LogPath: path, User: "ana", Password: "secret", Script: smtptest.At(step, fault)})
	client := newClient(t, server, func(c *smtp.Config) {
		c.Endpoint.User, c.Endpoint.Password = "ana", "secret"
		if fault.Then == smtptest.Stall {
			c.Timeouts = stallTimeouts(step)
		}
	})
	got := send(t.Context(), client, 1)
	checkLog(t, path, accepted, 1)
	server.SetScript(nil)
	mustAccept(t, client, 2)
	checkLog(t, path, accepted+1, 1, 2)
	return got
}

// stallTimeouts are short for the phase that stalls, and generous elsewhere.
func stallTimeouts(step smtptest.Step) smtp.Timeouts {
	const short = time.Second
	timeouts := testTimeouts()
	switch step {
	case smtptest.Connect, smtptest.Hello:
		timeouts.Greeting = short
	case smtptest.Data:
		timeouts.Data = short
	case smtptest.Dot:
		timeouts.Dot = short
	default:
		timeouts.Command = short
	}
	return timeouts
}

// checkLog reads the server's own log: count whole mails, all of them among
// those named, byte by byte.
func checkLog(t *testing.T, path string, count int, among ...int) {
	t.Helper()
	mails, err := smtptest.ReadLog(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(mails) != count {
		t.Errorf("the server's log holds %d mails, want %d", len(mails), count)
	}
	for _, m := range mails {
		found := false
		for _, n := range among {
			found = found || string(m.Body) == string(body(n, 0)) && m.To == envelope(n).To
		}
		if !found {
			t.Errorf("the server's log holds something else: %q", m.Body)
		}
	}
}

// Trap 1: whatever ends a transaction between Begin and Commit, the server
// takes nothing, neither whole nor in part. A QUIT or RSET in that place would
// make the library end the content with a dot.
func TestPartialDataNeverDelivers(t *testing.T) {
	endings := map[string]func(t *testing.T, client *smtp.Client, begun func(context.Context) mail.Transaction){
		"abort": func(t *testing.T, _ *smtp.Client, begun func(context.Context) mail.Transaction) {
			begun(t.Context()).Abort()
		},
		"context ended before commit": func(t *testing.T, _ *smtp.Client, begun func(context.Context) mail.Transaction) {
			ctx, cancel := context.WithCancel(t.Context())
			tx := begun(ctx)
			cancel()
			if o := tx.Commit(ctx); o.Class != mail.Temporary || o.Reason != mail.ReasonCancelled || o.CountsAttempt() {
				t.Errorf("%+v", o)
			}
		},
		"client cut by close": func(t *testing.T, client *smtp.Client, begun func(context.Context) mail.Transaction) {
			tx := begun(t.Context())
			over, cancel := context.WithCancel(t.Context())
			cancel()
			if err := client.Close(over); err != context.Canceled {
				t.Errorf("Close: %v", err)
			}
			if o := tx.Commit(t.Context()); o.Class != mail.Temporary {
				t.Errorf("%+v", o)
			}
		},
	}
	for name, end := range endings {
		for _, size := range []int{0, 10_000, 500_000} {
			t.Run(fmt.Sprintf("%s/%d bytes", name, size), func(t *testing.T) {
				t.Parallel()
				path := filepath.Join(t.TempDir(), "mails.log")
				server := smtptest.Start(t, smtptest.Options{LogPath: path})
				client := newClient(t, server, nil)
				end(t, client, func(ctx context.Context) mail.Transaction {
					tx, refused := client.Begin(ctx, envelope(1), body(1, size))
					if refused != nil {
						t.Fatal(refused.Explain())
					}
					return tx
				})
				waitIdle(t, server) // the server has looked at all that came
				checkLog(t, path, 0)
			})
		}
	}
}

func waitIdle(t *testing.T, server *smtptest.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := server.WaitIdle(ctx); err != nil {
		t.Fatal(err)
	}
}

// A context that ends while Begin waits for an answer ends Begin.
func TestContextEndsBegin(t *testing.T) {
	for _, step := range []smtptest.Step{smtptest.Connect, smtptest.Hello, smtptest.MailFrom, smtptest.RcptTo, smtptest.Data} {
		t.Run(string(step), func(t *testing.T) {
			t.Parallel()
			reached := make(chan struct{})
			server := smtptest.Start(t, smtptest.Options{Script: func(e smtptest.Event) *smtptest.Fault {
				if e.Step != step {
					return nil
				}
				close(reached)
				return &smtptest.Fault{Then: smtptest.Stall}
			}})
			client := newClient(t, server, nil)
			ctx, cancel := context.WithCancel(t.Context())
			go func() { <-reached; cancel() }()
			begun := time.Now()
			if o := send(ctx, client, 1); o.Class != mail.Temporary || o.Reason != mail.ReasonCancelled {
				t.Errorf("%+v", o)
			}
			if took := time.Since(begun); took > testTimeouts().Command/2 {
				t.Errorf("it took %v, as long as the server's silence may last", took)
			}
			waitIdle(t, server)
		})
	}
}

// A6.5: once the dot is begun, a context that ends changes nothing; only Close
// cuts the waiting, and then the outcome is unknown.
func TestCommitWaitsForTheAnswer(t *testing.T) {
	for _, cut := range []bool{false, true} {
		t.Run(fmt.Sprintf("cut by close %v", cut), func(t *testing.T) {
			t.Parallel()
			dot, answer := make(chan struct{}), make(chan struct{})
			server := smtptest.Start(t, smtptest.Options{Script: func(e smtptest.Event) *smtptest.Fault {
				if e.Step == smtptest.Dot {
					close(dot)
					<-answer
				}
				return nil
			}})
			client := newClient(t, server, nil)
			tx, refused := client.Begin(t.Context(), envelope(1), body(1, 0))
			if refused != nil {
				t.Fatal(refused.Explain())
			}
			ctx, cancel := context.WithCancel(t.Context())
			outcome := make(chan mail.Outcome)
			go func() { outcome <- tx.Commit(ctx) }()
			<-dot
			cancel()
			want := mail.Accepted
			if cut {
				want = mail.Unknown
				if err := client.Close(ctx); err != context.Canceled {
					t.Errorf("Close: %v", err)
				}
				defer close(answer)
			} else {
				close(answer)
			}
			if o := <-outcome; o.Class != want {
				t.Errorf("%v, want %v: %s", o.Class, want, o.Explain())
			}
		})
	}
}

// Close lets transactions past the dot have their answer.
func TestCloseWaitsForOpenTransactions(t *testing.T) {
	dot, answer := make(chan struct{}), make(chan struct{})
	server := smtptest.Start(t, smtptest.Options{Script: func(e smtptest.Event) *smtptest.Fault {
		if e.Step == smtptest.Dot {
			close(dot)
			<-answer
		}
		return nil
	}})
	client := newClient(t, server, nil)
	outcome := make(chan mail.Outcome)
	go func() { outcome <- send(t.Context(), client, 1) }()
	<-dot
	closed := make(chan error)
	go func() { closed <- client.Close(t.Context()) }()
	close(answer)
	if o := <-outcome; o.Class != mail.Accepted {
		t.Errorf("%+v", o)
	}
	if err := <-closed; err != nil {
		t.Errorf("Close: %v", err)
	}
	if o := send(t.Context(), client, 2); o.Class != mail.Temporary || o.Reason != mail.ReasonCancelled {
		t.Errorf("after Close: %+v", o)
	}
	waitIdle(t, server)
}
