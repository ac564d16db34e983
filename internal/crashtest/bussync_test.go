package crashtest

import (
	"context"
	"strings"
	"testing"

	"github.com/Azure/go-amqp"
)

// C1.1: fdatasync has returned before the disposition is written that confirms
// a send, and before that which confirms a completion. The system calls of the
// real program are the witness.
func TestC1_1_BusSyncsBeforeItConfirms(t *testing.T) {
	t.Parallel()
	if err := checkBusSynced(t, built(t, shipped)); err != "" {
		t.Error(err)
	}
}

// checkBusSynced sends a message and completes it under strace, and says what
// is wrong, "" for nothing.
func checkBusSynced(t *testing.T, binary string) string {
	t.Helper()
	wrap, trace := traced(t, "4096", "read,pwrite64,write,writev,fsync,fdatasync")
	b := newBusRig(t, binary, nil, "--queue", "orders")
	b.wrap = wrap
	b.start()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	session := b.session(ctx)
	s, err := session.NewSender(ctx, "orders", nil)
	b.must(err)
	b.must(s.Send(ctx, amqp.NewMessage([]byte(canary)), nil))
	r, err := session.NewReceiver(ctx, "orders", &amqp.ReceiverOptions{SettlementMode: amqp.ReceiverSettleModeSecond.Ptr()})
	b.must(err)
	m, err := r.Receive(ctx, nil)
	b.must(err)
	b.must(r.AcceptMessage(ctx, m)) // returns when it is confirmed
	b.stop()
	return busSynced(t, trace)
}

// session is one of go-amqp, which the SDK is built on, with the root's key.
func (b *busRig) session(ctx context.Context) *amqp.Session {
	b.t.Helper()
	conn, err := amqp.Dial(ctx, "amqp://"+b.listen, &amqp.ConnOptions{SASLType: amqp.SASLTypePlain(b.root())})
	b.must(err)
	b.t.Cleanup(func() { _ = conn.Close() })
	session, err := conn.NewSession(ctx, nil)
	b.must(err)
	return session
}

// root is the name and the key in the connection string.
func (b *busRig) root() (name, key string) {
	for part := range strings.SplitSeq(b.connect, ";") {
		what, value, _ := strings.Cut(part, "=")
		switch what {
		case "SharedAccessKeyName":
			name = value
		case "SharedAccessKey":
			key = value
		}
	}
	return name, key
}

// disposition is how strace writes the beginning of one (AMQP 1.0 part 2,
// 2.7.6).
const disposition = `\0S\25\3`

// syncing is what a trace has shown since the client asked for something.
type syncing struct {
	asked, written, done bool
	what                 string
	under                map[string]bool // threads in a sync that began after the write
}

func (s *syncing) ask(what string) {
	*s = syncing{asked: true, what: what, under: map[string]bool{}}
}

// busSynced reads a trace: between a client's message and its confirmation, and
// between its disposition and that one's, there must be a write to the log and
// a sync of it that began later and succeeded.
func busSynced(t *testing.T, trace string) string {
	t.Helper()
	var s syncing
	confirmed := 0
	for c := range calls(t, trace) {
		switch c.name {
		case "read":
			if strings.Contains(c.rest, canary) {
				s.ask("send")
			} else if s.what == "send" && !s.asked && strings.Contains(c.rest, disposition) {
				s.ask("completion")
			}
		case "pwrite64":
			if strings.HasSuffix(c.path, "bus.db-wal") && s.asked && (s.what != "send" || s.written || strings.Contains(c.rest, canary)) {
				s.written, s.done = true, false
				clear(s.under)
			}
		case "fsync", "fdatasync":
			s.sync(c.thread, c.path, c.rest)
		case "write", "writev":
			if !s.asked || !strings.Contains(c.rest, disposition) {
				continue
			}
			switch {
			case !s.written:
				return "a " + s.what + " was confirmed before it was written"
			case !s.done:
				return "a " + s.what + " was confirmed before it was synced to disk"
			}
			confirmed++
			s.asked = false
		}
	}
	if confirmed != 2 {
		return "the trace shows no two confirmations"
	}
	return ""
}

func (s *syncing) sync(thread, path, rest string) {
	if strings.HasSuffix(path, "bus.db-wal") && s.written {
		s.under[thread] = true
	}
	if s.under[thread] && strings.HasSuffix(rest, "= 0") {
		s.done = true
		delete(s.under, thread)
	}
}
