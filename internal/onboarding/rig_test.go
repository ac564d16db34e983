package onboarding_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"bellhop/internal/address"
	"bellhop/internal/bus"
	"bellhop/internal/mail"
	"bellhop/internal/onboarding"
	"bellhop/internal/queue/embedded"
	"bellhop/internal/signup"
	"bellhop/internal/sqlitedb"
	"bellhop/internal/store/sqlite"

	"github.com/google/uuid"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// long is more than anything in these tests should take, by the fake clock.
const long = 4 * time.Minute

// rig is the real store, the real bus, relay and sender, and a mail server
// made of functions. It belongs into a synctest bubble.
type rig struct {
	t        *testing.T
	store    *sqlite.Store
	bus      *bus.Bus
	queue    *embedded.Queue
	policy   onboarding.Policy
	self     onboarding.Incarnation
	server   *server
	composer composer
	relay    *onboarding.Relay
	claims   onboarding.Claims // what the sender sees of the store

	drain, cut context.CancelFunc
	running    sync.WaitGroup
}

// newRig makes a rig that does not run yet.
func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, policy: onboarding.DefaultPolicy(), self: onboarding.NewIncarnation(), server: &server{}}
	// Every second of the fake clock is work for the real processor.
	r.policy.Expiry = 3 * time.Minute
	r.policy.SignInExpiry = time.Minute
	r.policy.Retry = []time.Duration{20 * time.Second, time.Minute}
	var err error
	r.store, err = sqlite.Open(sqlite.Options{Path: filepath.Join(t.TempDir(), "store.db"), Policy: r.policy, Durability: sqlitedb.Off})
	if err != nil {
		t.Fatal(err)
	}
	r.bus, err = bus.Open(bus.Options{Path: filepath.Join(t.TempDir(), "bus.db"), Durability: sqlitedb.Off})
	if err != nil {
		t.Fatal(err)
	}
	r.queue = embedded.New(r.bus)
	for _, lane := range onboarding.Lanes() {
		if err := r.queue.EnsureQueues(t.Context(), lane.Queue()); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.store.Heartbeat(t.Context(), r.self); err != nil {
		t.Fatal(err)
	}
	r.claims = r.store
	r.relay = onboarding.NewRelay(r.store, r.queue, r.policy, r.self, slog.New(slog.DiscardHandler))
	return r
}

// run starts relay, heartbeat and sender.
func (r *rig) run() {
	r.t.Helper()
	drain, cancelDrain := context.WithCancel(context.Background())
	cut, cancelCut := context.WithCancel(context.Background())
	r.drain, r.cut = cancelDrain, cancelCut
	sender := onboarding.NewSender(onboarding.SenderDeps{
		Claims: r.claims, Arrivals: r.store, Queue: r.queue, Transport: r.server, Composer: r.composer,
		Policy: r.policy, Self: r.self, Workers: 4, Log: slog.New(slog.DiscardHandler),
	})
	log := slog.New(slog.DiscardHandler)
	r.running.Go(func() { _ = r.relay.Run(drain) })
	r.running.Go(func() { _ = onboarding.KeepPresence(drain, r.store, r.self, r.policy, log) })
	r.running.Go(func() {
		if err := sender.Run(drain, cut); err != nil {
			r.t.Error(err)
		}
	})
}

// close ends what runs and closes the files.
func (r *rig) close() {
	r.t.Helper()
	if r.drain != nil {
		r.drain()
		r.running.Wait()
		r.cut()
	}
	if err := errors.Join(r.queue.Close(context.Background()), r.bus.Close(), r.store.Close()); err != nil {
		r.t.Error(err)
	}
}

// signUp accepts n people and returns the ids of their mails.
func (r *rig) signUp(n int) (ids []onboarding.MailID) {
	r.t.Helper()
	for range n {
		ids = append(ids, r.accept(func(a *signup.Acceptance) {}))
	}
	r.relay.Notify(onboarding.Urgent)
	return ids
}

// accept stores one person, changed as a test likes, and returns the id of
// their mail. Nobody is told of it.
func (r *rig) accept(change func(*signup.Acceptance)) onboarding.MailID {
	r.t.Helper()
	who := uuid.NewString()
	id := onboarding.NewMailID(who, onboarding.SignUp, 1)
	a := signup.Acceptance{
		Person: signup.Person{ID: who, First: "Ada", Last: "Lovelace", Address: r.address("ada." + who[:8] + "@example.com")},
		Mails:  []onboarding.Owed{{ID: id, Expiry: r.policy.Expiry}},
	}
	change(&a)
	if _, err := r.store.Accept(context.Background(), a); err != nil {
		r.t.Fatal(err)
	}
	return id
}

func (r *rig) address(email string) address.Address {
	r.t.Helper()
	a, err := address.Parse(email)
	if err != nil {
		r.t.Fatal(err)
	}
	return a
}

// states counts the mails by state.
func (r *rig) states() map[onboarding.State]int64 {
	r.t.Helper()
	books, err := r.store.Books(context.Background())
	if err != nil {
		r.t.Fatal(err)
	}
	return books.States
}

// within waits, by the fake clock, until the condition holds.
func (r *rig) within(d time.Duration, what string, holds func() bool) {
	r.t.Helper()
	for end := time.Now().Add(d); !holds(); {
		if time.Now().After(end) {
			r.t.Fatalf("%v passed and not %s: %v", d, what, r.states())
		}
		wait(time.Second)
	}
}

// wait lets the fake clock go on.
func wait(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// verify fails the test unless every mail is accounted for.
func (r *rig) verify() onboarding.Report {
	r.t.Helper()
	report, err := onboarding.Verify(context.Background(), r.store, r.policy)
	if err != nil || !report.OK {
		r.t.Fatalf("verify: %+v, %v", report, err)
	}
	return report
}

// composer renders a mail that says which mint it is.
type composer struct {
	panics string // at the mail to this address
}

func (c composer) Compose(h onboarding.Held) (mail.Envelope, mail.Rendered, error) {
	if c.panics != "" && h.To == c.panics {
		panic("at " + h.To)
	}
	body := fmt.Appendf(nil, "Message-ID: %s\r\n\r\nmint %d\r\n", h.Claim.Mail, h.NextMint())
	return mail.Envelope{From: "hello@localhost", To: string(h.Claim.Mail)}, mail.Rendered{Body: body, Hash: sha256.Sum256(body)}, nil
}

// server is a mail server made of functions. The zero value takes everything.
type server struct {
	mu sync.Mutex
	// begin and dot say how the steps go; nil for well. They may block.
	begin   func(ctx context.Context, to string) *mail.Outcome
	dot     func(to string) mail.Outcome
	tried   int
	aborted int
	taken   map[string][]string // by recipient: the bodies handed over
}

func (s *server) set(begin func(context.Context, string) *mail.Outcome, dot func(string) mail.Outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begin, s.dot = begin, dot
}

func (s *server) Begin(ctx context.Context, e mail.Envelope, body []byte) (mail.Transaction, *mail.Outcome) {
	s.mu.Lock()
	begin := s.begin
	s.tried++
	s.mu.Unlock()
	if begin != nil {
		if o := begin(ctx, e.To); o != nil {
			return nil, o
		}
	}
	return &transaction{s, e.To, body}, nil
}

func (s *server) Close(context.Context) error { return nil }

// handedOver is what a recipient was sent.
func (s *server) handedOver(to onboarding.MailID) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taken[string(to)]
}

// attempts is how often anything was begun.
func (s *server) attempts() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tried
}

// abortions is how often a transaction was broken off before its dot.
func (s *server) abortions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.aborted
}

type transaction struct {
	server *server
	to     string
	body   []byte
}

func (t *transaction) Commit(context.Context) mail.Outcome {
	s := t.server
	s.mu.Lock()
	dot := s.dot
	s.mu.Unlock()
	o := mail.Outcome{Class: mail.Accepted, Phase: mail.PhaseDot, Reason: mail.ReasonAccepted, Code: 250}
	if dot != nil {
		o = dot(t.to)
	}
	if o.Class == mail.Accepted || o.Class == mail.Unknown {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.taken == nil {
			s.taken = make(map[string][]string)
		}
		s.taken[t.to] = append(s.taken[t.to], string(t.body))
	}
	return o
}

func (t *transaction) Abort() {
	t.server.mu.Lock()
	defer t.server.mu.Unlock()
	t.server.aborted++
}

// The outcomes of a mail server, as the outcome table would have them.
func outcome(class mail.Class, phase mail.Phase, code int, reason mail.Reason) *mail.Outcome {
	return &mail.Outcome{Class: class, Phase: phase, Code: code, Reason: reason}
}

func down() *mail.Outcome {
	return outcome(mail.ProviderDown, mail.PhaseDial, 0, mail.ReasonUnreachable)
}

func cutOff() mail.Outcome { return *outcome(mail.Unknown, mail.PhaseDot, 0, mail.ReasonLost) }
