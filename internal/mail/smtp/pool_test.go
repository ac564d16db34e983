package smtp_test

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gosmtp "github.com/emersion/go-smtp"

	"bellhop/internal/mail"
	"bellhop/internal/mail/smtp"
	"bellhop/internal/mail/smtptest"
)

// A4.7: a kept connection that the server has ended costs no attempt, however
// it ended and whenever before the content that shows.
func TestDeadKeptConnectionCostsNoAttempt(t *testing.T) {
	second := func(step smtptest.Step, fault smtptest.Fault) smtptest.Script {
		mails := new(atomic.Int32)
		return func(e smtptest.Event) *smtptest.Fault {
			if e.Step == smtptest.MailFrom {
				mails.Add(1)
			}
			if e.Conn == 1 && e.Step == step && mails.Load() == 2 {
				return &fault
			}
			return nil
		}
	}
	for name, script := range map[string]smtptest.Script{
		"eof at mail":     second(smtptest.MailFrom, smtptest.Fault{Then: smtptest.EOF}),
		"reset at mail":   second(smtptest.MailFrom, smtptest.Fault{Then: smtptest.RST}),
		"421 at mail":     second(smtptest.MailFrom, smtptest.Fault{Reply: "421 4.4.2 idle for too long", Then: smtptest.EOF}),
		"garbage at mail": second(smtptest.MailFrom, smtptest.Fault{Reply: "bye!", Then: smtptest.EOF}),
		"eof at rcpt":     second(smtptest.RcptTo, smtptest.Fault{Then: smtptest.EOF}),
		"eof at data":     second(smtptest.Data, smtptest.Fault{Then: smtptest.EOF}),
		"dropped":         nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := smtptest.Start(t, smtptest.Options{Script: script})
			client := newClient(t, server, nil)
			mustAccept(t, client, 1)
			if script == nil {
				server.Drop()
			}
			mustAccept(t, client, 2)
			if server.Connections() != 2 || server.Count() != 2 {
				t.Errorf("%d connections, %d mails; want 2 and 2", server.Connections(), server.Count())
			}
		})
	}
}

// The same on a fresh connection is an outcome, not another try: a server that
// is down must not be hammered.
func TestFreshConnectionIsTriedOnce(t *testing.T) {
	server := smtptest.Start(t, smtptest.Options{Script: smtptest.At(smtptest.MailFrom, smtptest.Fault{Then: smtptest.EOF})})
	client := newClient(t, server, nil)
	if o := send(t.Context(), client, 1); o.Class != mail.ProviderDown || server.Connections() != 1 {
		t.Errorf("%v after %d connections", o.Class, server.Connections())
	}
}

func TestConnectionsAreRenewed(t *testing.T) {
	var quits atomic.Int32
	server := smtptest.Start(t, smtptest.Options{Script: func(e smtptest.Event) *smtptest.Fault {
		if e.Step == smtptest.Quit {
			quits.Add(1)
		}
		return nil
	}})
	client := newClient(t, server, func(c *smtp.Config) { c.MailsPerConnection = 10 })
	for n := range 25 {
		mustAccept(t, client, n)
	}
	if server.Connections() != 3 || server.Count() != 25 {
		t.Errorf("%d connections, %d mails; want 3 and 25", server.Connections(), server.Count())
	}
	if err := client.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if quits.Load() != 3 {
		t.Errorf("%d of 3 connections ended with QUIT", quits.Load())
	}
}

func TestIdleConnectionsAreEnded(t *testing.T) {
	server := smtptest.Start(t, smtptest.Options{})
	client := newClient(t, server, func(c *smtp.Config) { c.IdleTTL = 10 * time.Millisecond })
	mustAccept(t, client, 1)
	waitIdle(t, server)
	mustAccept(t, client, 2)
	if n := server.Connections(); n != 2 {
		t.Errorf("%d connections, want 2", n)
	}
}

// A5.2: 421 ends the connection, whatever the phase; any other refusal leaves
// it for the next mail, after RSET.
func TestRefusalsAndTheConnection(t *testing.T) {
	for _, tc := range []struct {
		step        smtptest.Step
		reply       string
		connections int
	}{
		{smtptest.MailFrom, "421 4.3.2 bye", 2}, {smtptest.RcptTo, "421 4.7.0 slow down", 2},
		{smtptest.Data, "421 4.3.2 bye", 2}, {smtptest.Dot, "421 4.3.2 bye", 2},
		{smtptest.MailFrom, "451 4.3.0 later", 1}, {smtptest.RcptTo, "550 5.1.1 unknown", 1},
		{smtptest.Data, "451 4.3.0 later", 1}, {smtptest.Dot, "451 4.3.0 later", 1},
		// More than was asked for: the replies and the commands are out of step.
		{smtptest.RcptTo, "450 4.2.0 later\r\n250 2.0.0 ok", 2}, {smtptest.Dot, "451 4.3.0 later\r\n250 2.0.0 ok", 2},
		{smtptest.Data, "354 go on\r\n250 2.0.0 accepted already", 2},
	} {
		t.Run(string(tc.step)+" "+tc.reply, func(t *testing.T) {
			t.Parallel()
			server := smtptest.Start(t, smtptest.Options{Script: smtptest.At(tc.step, smtptest.Fault{Reply: tc.reply})})
			client := newClient(t, server, nil)
			if o := send(t.Context(), client, 1); o.Class == mail.Accepted || o.Class == mail.Unknown {
				t.Errorf("%+v", o)
			}
			server.SetScript(nil)
			mustAccept(t, client, 2)
			if server.Connections() != tc.connections || server.Count() != 1 {
				t.Errorf("%d connections, %d mails; want %d and 1", server.Connections(), server.Count(), tc.connections)
			}
		})
	}
}

// A refused RSET costs the connection, not the next mail.
func TestRefusedReset(t *testing.T) {
	server := smtptest.Start(t, smtptest.Options{Script: smtptest.First(
		smtptest.For(envelope(1).To, smtptest.At(smtptest.RcptTo, smtptest.Fault{Reply: "550 5.1.1 unknown"})),
		smtptest.At(smtptest.Reset, smtptest.Fault{Reply: "500 what"}),
	)})
	client := newClient(t, server, nil)
	if o := send(t.Context(), client, 1); o.Class != mail.Permanent || !o.Suppress {
		t.Errorf("%+v", o)
	}
	mustAccept(t, client, 2)
	if server.Connections() != 2 {
		t.Errorf("%d connections, want 2", server.Connections())
	}
}

func TestGreylistedOnce(t *testing.T) {
	server := smtptest.Start(t, smtptest.Options{Script: smtptest.Once(smtptest.RcptTo, smtptest.Fault{Reply: "450 4.2.0 greylisted, come back"})})
	client := newClient(t, server, nil)
	if o := send(t.Context(), client, 1); o.Reason != mail.ReasonGreylisted || o.RetryAtLeast < 5*time.Minute {
		t.Errorf("%+v", o)
	}
	mustAccept(t, client, 1)
}

// No more connections than configured, whatever the number of senders, and all
// of them kept.
func TestManySendersFewConnections(t *testing.T) {
	server := smtptest.Start(t, smtptest.Options{})
	client := newClient(t, server, func(c *smtp.Config) { c.Connections = 4 })
	var wg sync.WaitGroup
	for worker := range 12 {
		wg.Go(func() {
			for n := range 10 {
				if o := send(t.Context(), client, worker*10+n); o.Class != mail.Accepted {
					t.Error(o.Explain())
				}
			}
		})
	}
	wg.Wait()
	if server.Count() != 120 || server.Connections() > 4 {
		t.Errorf("%d mails over %d connections; want 120 over at most 4", server.Count(), server.Connections())
	}
}

func TestRateIsKept(t *testing.T) {
	server := smtptest.Start(t, smtptest.Options{})
	client := newClient(t, server, func(c *smtp.Config) { c.Rate = 100 })
	begin := time.Now()
	for n := range 21 {
		mustAccept(t, client, n)
	}
	if took := time.Since(begin); took < 200*time.Millisecond {
		t.Errorf("21 mails at 100 a second took only %v", took)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if o := send(ctx, client, 22); o.Reason != mail.ReasonCancelled {
		t.Errorf("%+v", o)
	}
}

// A server that stops reading: the content is not delivered, and the sender
// comes free.
func TestServerStopsReading(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	over := make(chan struct{})
	serving.Go(func() { readUntilData(t, listener, over) })
	client := newClientURL(t, "smtp://"+listener.Addr().String(), func(c *smtp.Config) { c.Timeouts.Block = time.Second })
	if tx, o := client.Begin(t.Context(), envelope(1), body(1, 64<<20)); o == nil {
		tx.Abort()
		t.Error("64 MiB went into a server that does not read")
	} else if o.Class != mail.Temporary || o.Phase != mail.PhaseData || o.Reason != mail.ReasonTimeout {
		t.Errorf("%+v", o)
	}
	close(over)
	_ = listener.Close()
	serving.Wait()
}

// readUntilData plays a server until its 354 and then holds still.
func readUntilData(t *testing.T, listener net.Listener, over <-chan struct{}) {
	conn, err := listener.Accept()
	if err != nil {
		t.Error(err)
		return
	}
	defer func() { _ = conn.Close() }()
	buffer := make([]byte, 1024)
	for _, answer := range []string{"220 hi", "250 hi", "250 ok", "250 ok", "354 go on"} {
		if _, err := conn.Write([]byte(answer + "\r\n")); err != nil {
			t.Error(err)
		}
		if answer != "354 go on" {
			if _, err := conn.Read(buffer); err != nil {
				t.Error(err)
			}
		}
	}
	<-over
}

func TestRefusesWhatMustNotReachTheWire(t *testing.T) {
	client := newClientURL(t, "smtp://127.0.0.1:1", nil)
	good := body(1, 0)
	for name, tc := range map[string]struct {
		from, to string
		body     []byte
	}{
		"no recipient":        {"a@b", "", good},
		"bracket":             {"a@b", "a@b> SIZE=1", good},
		"line break":          {"a@b", "a@b\r\nRCPT TO:<c@d>", good},
		"recipient not ASCII": {"a@b", "jürgen@example.com", good},
		"sender with a space": {"a b", "a@b", good},
		"bare LF":             {"a@b", "a@b", []byte("a\n.\r\nb\r\n")},
		"bare CR":             {"a@b", "a@b", []byte("a\r.\r\nb\r\n")},
		"CR CR LF":            {"a@b", "a@b", []byte("a\r\r\n")},
		"no last line end":    {"a@b", "a@b", []byte("a\r\nb")},
		"empty":               {"a@b", "a@b", nil},
	} {
		if _, o := client.Begin(t.Context(), mail.Envelope{From: tc.from, To: tc.to}, tc.body); o == nil || o.Class != mail.Permanent {
			t.Errorf("%s: %+v", name, o)
		}
	}
}

// BenchmarkPool beside BenchmarkBareClient: what Begin, Commit and the pool
// cost on top of a bare loop over go-smtp's client. 16 connections each.
func BenchmarkPool(b *testing.B) {
	server := benchServer(b)
	endpoint, err := smtp.ParseURL(server.URL())
	if err != nil {
		b.Fatal(err)
	}
	client, err := smtp.New(smtp.Config{Endpoint: endpoint, Hello: "bellhop.test"})
	if err != nil {
		b.Fatal(err)
	}
	content := body(1, 5000)
	sixteen(b, func(next func() bool) {
		for next() {
			tx, refused := client.Begin(b.Context(), envelope(1), content)
			if refused != nil {
				b.Error(refused.Explain())
				return
			}
			if o := tx.Commit(b.Context()); o.Class != mail.Accepted {
				b.Error(o.Explain())
			}
		}
	})
	if err := client.Close(b.Context()); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkBareClient(b *testing.B) {
	server := benchServer(b)
	content := body(1, 5000)
	sixteen(b, func(next func() bool) {
		client, err := gosmtp.Dial(server.Addr())
		if err != nil {
			b.Error(err)
			return
		}
		defer func() { _ = client.Close() }()
		for next() {
			if err := bareSend(client, content); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func bareSend(client *gosmtp.Client, content []byte) error {
	if err := client.Mail(envelope(1).From, nil); err != nil {
		return err
	}
	if err := client.Rcpt(envelope(1).To, nil); err != nil {
		return err
	}
	data, err := client.Data()
	if err != nil {
		return err
	}
	if _, err := data.Write(content); err != nil {
		return err
	}
	return data.Close()
}

func benchServer(b *testing.B) *smtptest.Server {
	b.Helper()
	return smtptest.Start(b, smtptest.Options{NoSync: true, Forget: true})
}

// sixteen runs loop in 16 goroutines until b.N turns were taken.
func sixteen(b *testing.B, loop func(next func() bool)) {
	b.Helper()
	b.ReportAllocs()
	var turns atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	for range 16 {
		wg.Go(func() { loop(func() bool { return turns.Add(1) <= int64(b.N) }) })
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "mails/s")
}
