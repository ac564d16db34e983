package busserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
	goamqp "github.com/Azure/go-amqp"

	"bellhop/internal/bus"
	"bellhop/internal/sas"
)

// trySend tells how sending one message ends.
func (r *rig) trySend(c *azservicebus.Client, queue string) error {
	r.Helper()
	s, err := c.NewSender(queue, nil)
	if err != nil {
		return err
	}
	return s.SendMessage(r.ctx, &azservicebus.Message{Body: []byte("x")}, nil)
}

// tryReceive tells how receiving one message ends, nil also when none came in
// time: a refusal is worth all patience.
func (r *rig) tryReceive(c *azservicebus.Client, queue string, wait time.Duration) error {
	r.Helper()
	rec := r.receiver(c, queue, nil)
	ctx, cancel := context.WithTimeout(r.ctx, wait)
	defer cancel()
	_, err := rec.ReceiveMessages(ctx, 1, nil)
	if errors.Is(err, context.DeadlineExceeded) && r.ctx.Err() == nil {
		return nil
	}
	return err
}

// A rule that may only listen cannot send, and the reverse; the other half
// works.
func TestSDKRights(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	senders, listeners := r.clientOf(r.connectionString(sendOnly, otherKey)), r.clientOf(r.connectionString(listenOnly, otherKey))
	r.must(r.trySend(senders, "orders"))
	m := r.receiveOne(r.receiver(listeners, "orders", nil))
	if string(m.Body) != "x" {
		t.Errorf("got %q", m.Body)
	}
	err := r.trySend(listeners, "orders")
	r.code(err, azservicebus.CodeUnauthorizedAccess)
	r.says(err, "Unauthorized access. 'Send' claim(s) are required to perform this operation")
	_, err = r.receiver(senders, "orders", nil).ReceiveMessages(r.ctx, 1, nil)
	r.code(err, azservicebus.CodeUnauthorizedAccess)
	r.says(err, "Unauthorized access. 'Listen' claim(s) are required to perform this operation")

	// The same over $management, which both may attach.
	s := r.sender(senders, "orders")
	numbers, err := s.ScheduleMessages(r.ctx, []*azservicebus.Message{{}}, r.clock.now().Add(time.Hour), nil)
	r.must(err)
	r.must(s.CancelScheduledMessages(r.ctx, numbers, nil))
	rec := r.receiver(listeners, "orders", nil)
	_, err = rec.PeekMessages(r.ctx, 1, nil)
	r.must(err)
	r.must(rec.RenewMessageLock(r.ctx, m, nil))
}

// A signature that has expired, is by another key or another rule, or is for
// another queue.
func TestSDKRefusedSignatures(t *testing.T) {
	t.Parallel()
	var log logged
	r := newRig(t, func(o *Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	r.queue("orders2", bus.Settings{})
	root := r.keys.Root()
	signed := func(resource, rule, key string, expires time.Time) string {
		token, err := sas.Sign(resource, rule, key, expires)
		r.must(err)
		return fmt.Sprintf("Endpoint=sb://%s;SharedAccessSignature=%s;UseDevelopmentEmulator=true", r.addr, token)
	}
	soon := time.Now().Add(time.Hour)
	for name, c := range map[string]struct {
		connection, says string
	}{
		"expired":      {signed("sb://"+r.addr+"/orders", root.Name, root.Key, time.Now().Add(-time.Hour)), "ExpiredToken: The token is expired. Expiration time: "},
		"another key":  {r.connectionString(root.Name, otherKey), "InvalidSignature"},
		"unknown rule": {r.connectionString("nobody", root.Key), "InvalidSignature"},
		"elsewhere":    {signed("sb://"+r.addr+"/orders2", root.Name, root.Key, soon), "InvalidAudience"},
	} {
		client := r.clientOf(c.connection)
		for _, err := range []error{r.trySend(client, "orders"), r.tryReceive(client, "orders", patience)} {
			r.code(err, azservicebus.CodeUnauthorizedAccess)
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: %v, want %q", name, err, c.says)
			}
		}
	}
	r.must(r.trySend(r.clientOf(signed("sb://"+r.addr+"/orders", root.Name, root.Key, soon)), "orders"))
	r.must(r.trySend(r.clientOf(signed("sb://"+r.addr, root.Name, root.Key, soon)), "orders"))
	if n := strings.Count(log.String(), "its key is not of this bus"); n != 1 {
		t.Errorf("wrong keys are in the log %d times, want once for all of a minute:\n%s", n, log.String())
	}
}

// logged is a log that is read while it is written.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// An entity that is not there is CodeNotFound in less than 10 s.
func TestSDKNotFound(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.client()
	began := time.Now()
	for name, err := range map[string]error{
		"send": r.trySend(c, "missing"), "receive": r.tryReceive(c, "missing", patience),
		"subscription": func() error {
			rec, err := c.NewReceiverForSubscription("orders", "sub", nil)
			r.must(err)
			_, err = rec.PeekMessages(r.ctx, 1, nil)
			return err
		}(),
	} {
		var e *azservicebus.Error
		if !errors.As(err, &e) || e.Code != azservicebus.CodeNotFound || !strings.Contains(err.Error(), "could not be found") {
			t.Errorf("%s: %v", name, err)
		}
		if name == "subscription" && (err == nil || !strings.Contains(err.Error(), "Subscriptions of topics are not supported")) {
			t.Errorf("%s: %v does not say why", name, err)
		}
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
}

// Any key is let in where that is asked for, but not what is malformed or
// has expired; so is a token of another kind.
func TestSDKAcceptAnyKey(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *Options) { o.AcceptAnyKey = true })
	r.must(r.trySend(r.clientOf(r.connectionString("whoever", "whatever")), "orders"))
	r.must(r.trySend(r.clientOf(r.connectionString(sas.RootRule, "SAS_KEY_VALUE")), "orders"))
	r.code(r.trySend(r.clientOf(r.connectionString("whoever", "whatever")), "missing"), azservicebus.CodeNotFound)
	token, err := sas.Sign("sb://"+r.addr, "whoever", "whatever", time.Now().Add(-time.Hour))
	r.must(err)
	r.code(r.trySend(r.clientOf(fmt.Sprintf("Endpoint=sb://%s;SharedAccessSignature=%s;UseDevelopmentEmulator=true", r.addr, token)), "orders"), azservicebus.CodeUnauthorizedAccess)
	r.code(r.trySend(r.clientOf(fmt.Sprintf("Endpoint=sb://%s;SharedAccessSignature=%s;UseDevelopmentEmulator=true", r.addr, "SharedAccessSignature nonsense")), "orders"), azservicebus.CodeUnauthorizedAccess)
}

// A token that is no signature is let in only where any key is.
func TestTokensOfOtherKinds(t *testing.T) {
	t.Parallel()
	for _, any := range []bool{false, true} {
		r := newRig(t, func(o *Options) { o.AcceptAnyKey = any })
		cbs := r.caller(r.dial(goamqp.SASLTypeAnonymous()), "$cbs")
		for _, c := range []struct {
			kind, token string
			lets        bool
		}{{"jwt", "header.body.signature", any}, {"jwt", "", false}, {"jwt", " ", false}, {"amqp:saml", "x", false}} {
			m := tokenRequest("sb://127.0.0.1/orders", c.token)
			m.ApplicationProperties["type"] = c.kind
			status, answer := r.call(cbs, m)
			if want := map[bool]int32{true: 202, false: 401}[c.lets]; status != want {
				t.Errorf("any key %v: %s token %q got %v", any, c.kind, c.token, answer.ApplicationProperties)
			}
		}
	}
}

// Links whose token has expired are detached; a newer token prolongs them.
func TestLinksEndWithTheirToken(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	conn := r.dial(goamqp.SASLTypeAnonymous())
	token := func(expires time.Duration) string {
		token, err := sas.Sign("sb://127.0.0.1/orders", sas.RootRule, r.keys.Root().Key, r.clock.now().Add(expires))
		r.must(err)
		return token.String()
	}
	cbs := r.caller(conn, "$cbs")
	r.putToken(cbs, "sb://127.0.0.1/orders", token(time.Hour))
	session, err := conn.NewSession(r.ctx, nil)
	r.must(err)
	s, err := session.NewSender(r.ctx, "orders", nil)
	r.must(err)
	rec, err := session.NewReceiver(r.ctx, "orders", nil)
	r.must(err)

	r.putToken(cbs, "sb://127.0.0.1/orders", token(2*time.Hour))
	r.advance(90 * time.Minute)
	r.must(s.Send(r.ctx, goamqp.NewMessage([]byte("prolonged")), nil))

	r.advance(31 * time.Minute)
	_, err = rec.Receive(r.ctx, nil)
	if err == nil { // what was sent above
		_, err = rec.Receive(r.ctx, nil)
	}
	r.condition(err, goamqp.ErrCondUnauthorizedAccess)
	r.condition(r.awaitDetach(s), goamqp.ErrCondUnauthorizedAccess)
	_, err = session.NewSender(r.ctx, "orders", nil)
	r.condition(err, goamqp.ErrCondUnauthorizedAccess)

	r.putToken(cbs, "sb://127.0.0.1/orders", token(time.Hour))
	_, err = session.NewSender(r.ctx, "orders", nil)
	r.must(err)
}

// A token's end is noticed without anybody's asking.
func TestTokenExpiresByItself(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	conn := r.dial(goamqp.SASLTypeAnonymous())
	token, err := sas.Sign("sb://127.0.0.1/orders", sas.RootRule, r.keys.Root().Key, time.Now().Add(2*time.Second))
	r.must(err)
	r.putToken(r.caller(conn, "$cbs"), "sb://127.0.0.1/orders", token.String())
	session, err := conn.NewSession(r.ctx, nil)
	r.must(err)
	rec, err := session.NewReceiver(r.ctx, "orders", nil)
	r.must(err)
	_, err = rec.Receive(r.ctx, nil)
	r.condition(err, goamqp.ErrCondUnauthorizedAccess)
}

// Without a valid token the connection is closed.
func TestConnectionWithoutTokenIsClosed(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *Options) { o.TokenTimeout = 200 * time.Millisecond })
	for _, tries := range []bool{false, true} {
		conn := r.dial(goamqp.SASLTypeAnonymous())
		if tries {
			if status, _ := r.call(r.caller(conn, "$cbs"), tokenRequest("sb://127.0.0.1/orders", "nonsense")); status != 401 {
				t.Errorf("status %d for a token that is none", status)
			}
		}
		select {
		case <-conn.Done():
			r.condition(conn.Err(), goamqp.ErrCondUnauthorizedAccess)
		case <-r.ctx.Done():
			t.Fatal("the connection stays")
		}
	}
}

// A rule's name and key as a password; then no token is needed.
func TestPlain(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *Options) { o.TokenTimeout = 200 * time.Millisecond })
	conn := r.dial(goamqp.SASLTypePlain(sendOnly, otherKey))
	session, err := conn.NewSession(r.ctx, nil)
	r.must(err)
	s, err := session.NewSender(r.ctx, "orders", nil)
	r.must(err)
	r.must(s.Send(r.ctx, goamqp.NewMessage([]byte("x")), nil))
	_, err = session.NewReceiver(r.ctx, "orders", nil)
	r.condition(err, goamqp.ErrCondUnauthorizedAccess)
	r.counts("orders", bus.Counts{Active: 1})
	_, err = session.NewSender(r.ctx, "missing", nil)
	r.condition(err, goamqp.ErrCondNotFound)
	for _, wrong := range [][2]string{{sendOnly, "wrong"}, {"nobody", otherKey}} {
		if conn, err := goamqp.Dial(r.ctx, "amqp://"+r.addr, &goamqp.ConnOptions{SASLType: goamqp.SASLTypePlain(wrong[0], wrong[1])}); err == nil {
			conn.Close()
			t.Errorf("%q was let in with a wrong password", wrong[0])
		}
	}
}

// PLAIN is not offered where others can listen, and EXTERNAL nowhere.
func TestMechanisms(t *testing.T) {
	r := newRig(t)
	for _, c := range []struct {
		secure, loopback bool
		want             string
	}{
		{false, false, "[MSSBCBS ANONYMOUS]"}, {true, false, "[MSSBCBS ANONYMOUS PLAIN]"}, {false, true, "[MSSBCBS ANONYMOUS PLAIN]"},
	} {
		if got := fmt.Sprint(handler{r.server}.Mechanisms(transport(c.secure, c.loopback))); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}
