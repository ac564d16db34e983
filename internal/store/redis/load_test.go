package redis_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bellhop/internal/onboarding"
	"bellhop/internal/signup"
	"bellhop/internal/store/redis"

	"github.com/google/uuid"
)

// load is callers that sign people up through a store, send them their mail, and
// confirm the address if it arrived, however often the store is away meanwhile, and that write down each promise
// they were given: every success that was returned.
type load struct {
	t     testing.TB
	store *redis.Store
	// forgets says that the store may lose what it has not promised to keep, as
	// a master does in a failover: a claim is made again then.
	forgets bool

	ctx     context.Context // ends every call
	abort   context.CancelFunc
	callers sync.WaitGroup
	over    atomic.Bool // no one new is signed up
	forms   atomic.Int64
	done    chan struct{} // one for each step that succeeded, while there is room
	failed  chan struct{} // one for each that did not

	mu    sync.Mutex
	notes map[int]*note
}

// note is what was promised of one form.
type note struct {
	id        string           // the sign-up was stored under it
	committed bool             // the dot may have been written
	state     onboarding.State // was recorded
	session   string           // was opened when the address was confirmed
}

func newLoad(t testing.TB, store *redis.Store) *load {
	l := &load{t: t, store: store, notes: map[int]*note{}, done: make(chan struct{}, 1<<16), failed: make(chan struct{}, 1<<16)}
	l.ctx, l.abort = context.WithCancel(context.Background())
	t.Cleanup(func() {
		l.abort()
		l.callers.Wait()
	})
	return l
}

// start lets so many callers begin.
func (l *load) start(callers int) {
	for range callers {
		l.callers.Go(func() {
			for !l.over.Load() && l.ctx.Err() == nil {
				l.life()
			}
		})
	}
}

// finish waits until every form that was begun has come to its end.
func (l *load) finish() {
	l.t.Helper()
	l.over.Store(true)
	limit := time.AfterFunc(patience, l.abort)
	defer limit.Stop()
	l.callers.Wait()
	if l.ctx.Err() != nil {
		l.t.Fatal("the callers have not come to an end")
	}
}

// stop ends everything in the middle.
func (l *load) stop() {
	l.abort()
	l.callers.Wait()
}

// await waits for so many more steps to succeed.
func (l *load) await(n int) {
	l.t.Helper()
	drain(l.done)
	l.receive(n, l.done, nil)
}

// awaitTrouble waits until a step fails, or so many have succeeded in spite of
// everything.
func (l *load) awaitTrouble(n int) {
	l.t.Helper()
	drain(l.done)
	drain(l.failed)
	l.receive(n, l.done, l.failed)
}

func (l *load) receive(n int, from, or chan struct{}) {
	l.t.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for range n {
		select {
		case <-from:
		case <-or:
			return
		case <-limit.C:
			l.t.Fatal("nothing succeeds any more")
		}
	}
}

func drain(c chan struct{}) {
	for {
		select {
		case <-c:
		default:
			return
		}
	}
}

// retry is how long a caller waits before it makes a step again.
const retry = 2 * time.Millisecond

// insist makes a step until it succeeds, or until everything is over.
func (l *load) insist(step func() error) bool {
	for {
		err := step()
		switch {
		case err == nil:
			token(l.done)
			return true
		case l.ctx.Err() != nil:
			return false
		case !errors.Is(err, signup.ErrUnavailable):
			l.t.Errorf("a step failed for another reason than that the store is away: %v", err)
			l.abort()
			return false
		}
		token(l.failed)
		pause := time.NewTimer(retry)
		select {
		case <-pause.C:
		case <-l.ctx.Done():
		}
		pause.Stop()
	}
}

func token(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (l *load) write(number int, what func(*note)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.notes[number] == nil {
		l.notes[number] = &note{}
	}
	what(l.notes[number])
}

// verdicts are how the attempts end, in turn.
var verdicts = []onboarding.State{onboarding.Sent, onboarding.Due, onboarding.Sent, onboarding.Failed, onboarding.Unknown}

// life is one form, from the sign-up to the outcome of the first attempt.
func (l *load) life() {
	number := int(l.forms.Add(1))
	id, fine := l.signUp(number)
	if !fine {
		return
	}
	l.write(number, func(n *note) { n.id = id })
	claim, fine := l.commit(number, onboarding.NewMailID(id, onboarding.SignUp, 1))
	if !fine {
		return
	}
	l.write(number, func(n *note) { n.committed = true })
	want := verdicts[number%len(verdicts)]
	fine = l.insist(func() error {
		got, err := l.store.Record(l.ctx, claim, onboarding.Result{To: want, Counts: true, Reason: "because", Reply: onboarding.Reply{Code: 250, Text: "so it is"}})
		if err == nil && got != want {
			l.t.Errorf("%s was recorded, and the mail is %s", want, got)
		}
		return err
	})
	if !fine {
		return
	}
	l.write(number, func(n *note) { n.state = want })
	if want == onboarding.Sent {
		l.confirm(number, id)
	}
}

// confirm redeems the link in a mail that was sent.
func (l *load) confirm(number int, id string) {
	r := signup.Redemption{
		Mail: onboarding.NewMailID(id, onboarding.SignUp, 1), Number: 1, Within: time.Hour, Fingerprint: fingerprint(number), Welcome: time.Hour,
		Session: signup.NewSession{ID: uuid.NewString(), Kind: signup.Browser, Idle: time.Hour, Life: time.Hour},
	}
	fine := l.insist(func() error {
		redeemed, err := l.store.Redeem(l.ctx, r)
		if err == nil && (!redeemed.Confirmed || redeemed.Account.ID != id) {
			l.t.Errorf("the link of sign-up %d confirmed %v, and is for the account %s", number, redeemed.Confirmed, redeemed.Account.ID)
		}
		return err
	})
	if fine {
		l.write(number, func(n *note) { n.session = r.Session.ID })
	}
}

// signUp sends the form in, each time under an id of its own as the service
// does.
func (l *load) signUp(number int) (id string, fine bool) {
	fine = l.insist(func() error {
		a := form(uuid.NewString(), number, true)
		accepted, err := l.store.Accept(l.ctx, a)
		if err == nil && !accepted.Repeated && accepted.ID != a.Person.ID {
			l.t.Errorf("%s was stored, and told of as %s", a.Person.ID, accepted.ID)
		}
		id = accepted.ID
		return err
	})
	return id, fine
}

// commit brings a mail to the point of no return.
func (l *load) commit(number int, mail onboarding.MailID) (c onboarding.Claim, fine bool) {
	c = onboarding.Claim{Ref: onboarding.Ref{Mail: mail, Gen: 1}, Holder: "caller"}
	to := fmt.Sprintf("person%d@example.com", number)
	for try := 0; ; try++ {
		c.Op = fmt.Sprintf("%d/%d", number, try)
		if number%2 == 0 && !l.insist(func() error { return l.store.Relayed(l.ctx, []onboarding.Ref{c.Ref}) }) {
			return c, false
		}
		fine := l.insist(func() error {
			held, err := l.store.Claim(l.ctx, c)
			if err == nil && (held.To != to || held.State != onboarding.Sending) {
				l.t.Errorf("the mail of %s was claimed as that of %s, and is %s", to, held.To, held.State)
			}
			return err
		})
		if !fine {
			return c, false
		}
		lost := false
		fine = l.insist(func() error {
			err := l.store.Committing(l.ctx, c, onboarding.Rendered{Mint: 1, BodyHash: [32]byte{7}})
			if l.forgets && errors.Is(err, onboarding.ErrRefused) {
				lost = true
				return nil
			}
			return err
		})
		if !lost || l.ctx.Err() != nil {
			return c, fine && !lost
		}
	}
}

// missing is every promise that a store does not keep.
func (l *load) missing(s *redis.Store) (found []string) {
	l.t.Helper()
	rows := audit(l.t, s)
	for number, n := range l.notes {
		if n.id == "" {
			continue
		}
		p, err := s.Person(within(l.t), n.id)
		if err != nil || p.First != fmt.Sprint("First", number) {
			found = append(found, fmt.Sprintf("sign-up %d: %q, %v", number, p.First, err))
		}
		row, there := rows[onboarding.NewMailID(n.id, onboarding.SignUp, 1)]
		switch {
		case !there:
			found = append(found, fmt.Sprintf("sign-up %d has no mail", number))
		case n.committed && len(row.Attempts) != 1:
			found = append(found, fmt.Sprintf("mail %d was committing once, the ledger knows of %d attempts", number, len(row.Attempts)))
		case n.state != "" && row.State != n.state:
			found = append(found, fmt.Sprintf("mail %d was recorded as %s, and is %s", number, n.state, row.State))
		}
		if n.session != "" {
			if _, of, err := s.Session(within(l.t), n.session); err != nil || of.ID != n.id || of.Status != signup.Confirmed {
				found = append(found, fmt.Sprintf("sign-up %d was confirmed, and its session is that of %q, who is %s: %v", number, of.ID, of.Status, err))
			}
		}
	}
	return found
}

// keeps fails the test if a store does not keep what was promised, and returns
// how many promises that were.
func (l *load) keeps(s *redis.Store) (promises int) {
	l.t.Helper()
	if found := l.missing(s); len(found) > 0 {
		l.t.Errorf("%d promises are broken:\n%s", len(found), strings.Join(found[:min(len(found), 20)], "\n"))
	}
	for _, n := range l.notes {
		promises++
		if n.committed {
			promises++
		}
		if n.state != "" {
			promises++
		}
		if n.session != "" {
			promises++
		}
	}
	return promises
}

// keepsExactly is keeps for callers that have come to the end: each form is one
// sign-up with one mail, whose one attempt has ended; and an account that is owed
// a welcome, if it was sent.
func (l *load) keepsExactly(s *redis.Store) {
	l.t.Helper()
	promises := l.keeps(s)
	forms, accounts := int(l.forms.Load()), 0
	for number := range l.notes {
		if verdicts[number%len(verdicts)] == onboarding.Sent {
			accounts++
		}
	}
	if promises != 3*forms+accounts {
		l.t.Errorf("%d promises were made for %d forms and %d accounts, want three and one for each", promises, forms, accounts)
	}
	books, err := s.Books(within(l.t))
	ok(l.t, err)
	if books.Accepted != int64(forms+accounts) || books.Copies != 0 {
		l.t.Errorf("%d forms and %d accounts became %d mails, and %d copies", forms, accounts, books.Accepted, books.Copies)
	}
}
