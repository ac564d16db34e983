// Package redis keeps people and the ledger of mails in Redis. It implements
// [signup.Store] and [onboarding.Ledger] for any number of processes.
//
// # How it writes
//
// Every step of a mail is one Lua script (see the folder lua), which the server
// runs with nothing in between: it loads the mail, looks whether its generation
// and its holder are still those the caller knows, and saves it. That is what
// makes each step a compare-and-set. A step that its caller makes again, because
// the answer was lost, changes nothing and says the same: accepting is known by
// the sign-up's id, a claim and what follows by the claim's own id, relaying by
// the generation.
//
// What accepts a sign-up, lets a mail pass the point of no return, records an
// outcome or is done for an operator waits for as many replicas as the client was
// told to, a repeat too.
//
// # What is where
//
// All keys begin with the tag "{bellhop}", so that in a Cluster they are on one
// node and one script can work on them. N is a mail's number, in twelve digits:
// the value of the counter accepted that it raised.
//
//	subject:UUID       a sign-up, or a request to sign in; mail:PURPOSE.STEP is N
//	mail:N             a row of the ledger; attempts:N those that were not simply accepted
//	due:LANE           numbers by the time they are due; queued:LANE by when they were sent
//	expiring           due and queued mails by their expiry
//	held:INCARNATION   what a process has claimed, by when
//	unknown, dead      by when a copy is made; by when they were given up
//	away               when no mail server was reached, if that was the last thing heard of it
//	finished           a log, for retention; purged, a bit for each number
//	beats, healthy     when a process was last heard, and since when without a gap
//	signups            a log of ids by number; judged, up to which number Purge has looked
//	requests           a log of requests to sign in (id, at), for Purge
//	account:F          the id of the account of a fingerprint, 32 hexadecimal digits
//	of:F, asked:F      sign-ups of a fingerprint by their number; requests by their time
//	charged:F          what was charged to each budget: times, the oldest first, with spaces
//	charges            a log of them (of, budget, at), in the order of their times
//	session:UUID       a session; sessions:ACCOUNT, those of an account by when they were opened
//	ending             sessions by when they are over, unless they are used before
//	key:HASH, uses     idempotency keys, and a log of them in the order of their use
//	counts, keys       totals; secrets that all processes share
//	documents          texts that all processes share, each behind its version and a space
//	limit:KEY          how far ahead of its rate somebody is, while that is in the future
//	version, move      of what form it all is; where the store stands in a move
//
// A subject with a status is a sign-up, whose status is pending, confirmed or
// erased; one with a field asked is a request to sign in; one with neither is
// what is left of a request that was forgotten: the names of its mails, as long
// as they are in the ledger. Fields that are empty are not there. Times are unix
// milliseconds but for accepted and confirmed, which are seconds.
//
//	sign-up   first last email status accepted key form, fingerprint locale muted consent origin,
//	          confirmed used by tries
//	request   asked fingerprint budget locale muted, used by tries
//	session   account kind number hash opened seen idle ends, before rotated
//
// Key and form are those of its idempotency key, while that is known; a sign-up
// of an older program has no form. Consent is the version of the text, origin 32
// hexadecimal digits; used and by are when a subject was redeemed, and the
// session that it opened; of an erased sign-up status, accepted and mail:… are
// left, and key and form for their day. A sign-up that an older program stored
// has no fingerprint until it is redeemed, and is not in of:F until then, with
// the score 0. Hash is that of a session's latest secret, before the one that it
// replaced when it was last rotated; idle is how long a session may be unused. A
// mail that was charged to a budget has the field charged.
//
// Nothing has a time to live but the limits, which may be lost: what else goes,
// goes by a sweep, and is counted.
package redis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"bellhop/internal/onboarding"
	"bellhop/internal/redisdb"
	"bellhop/internal/signup"
	"bellhop/internal/store/transfer"
)

var (
	_ signup.Store      = (*Store)(nil)
	_ onboarding.Ledger = (*Store)(nil)
)

// Tag is the hash tag of all the store's keys.
const Tag = "{bellhop}"

// form is the version of what is stored, and formBefore that of a program which
// knows no accounts. What it has stored can be read as it is, and a process of
// it that runs beside newer ones harms nothing: what it takes in has no
// fingerprint, and what it sends no budget. But it would leave people behind if
// it moved the store elsewhere; so once a newer process has served here, none of
// it starts any more.
const (
	form       = "2"
	formBefore = "1"
)

// ErrForm is returned by [Open] when another version of bellhop wrote what is
// there.
var ErrForm = errors.New("what is in this Redis was written by another version of bellhop")

// ErrEmpty is returned by [Open] for a command when nothing was ever stored.
var ErrEmpty = errors.New("no sign-up was ever stored here")

// ErrGone is why a store has failed that was emptied while it was open.
var ErrGone = errors.New("what was in this Redis is gone: it was emptied, or came back without its data")

// Options configure [Open]. Client and Policy are required.
type Options struct {
	// Client is not closed by the store.
	Client *redisdb.Client
	// Policy holds the ledger's times and bounds.
	Policy onboarding.Policy
	// Now is the store's clock, for tests; every process must have the same.
	// Default: the server's own.
	Now func() time.Time
	// Announce tells the relays of other processes of each lane in which a
	// sign-up made mails due, so that they need not look for them.
	Announce bool
	// Command is for one that serves nobody: it leaves a Redis without a store
	// as it is, and a move that is under way.
	Command bool
	// Logger is told of announcements that fail. Default: nothing is logged.
	Logger *slog.Logger
}

// Store is the open store. All methods may be called concurrently; after Close
// they fail.
type Store struct {
	tag    *redisdb.Tag
	steps  *steps
	policy onboarding.Policy
	now    func() time.Time
	logger *slog.Logger
	copies string // how many copies may be made of each variant, for the steps
	purses map[onboarding.Purpose]purse

	closed atomic.Bool
	client *redisdb.Client
	once   sync.Once     // for the first fail
	failed chan struct{} // closed when cause is set
	cause  error
	news   chan onboarding.Lane // nil without Announce
	herald sync.WaitGroup
	end    context.CancelFunc // ends the herald
}

// Open makes sure that what is in Redis is of the version this program knows,
// and belongs there: a store that was moved away, or that a move has not filled
// to the end, is refused with [transfer.ErrMoved] or [transfer.ErrUnfinished].
func Open(ctx context.Context, o Options) (*Store, error) {
	s := newStore(o)
	if err := s.begin(ctx, !o.Command); err != nil {
		return nil, fmt.Errorf("open store at %s: %w", o.Client.Settings(), err)
	}
	if o.Announce {
		s.announce()
	}
	return s, nil
}

func newStore(o Options) *Store {
	s := &Store{
		client: o.Client, tag: o.Client.Tag(Tag), steps: newSteps(),
		policy: o.Policy, now: o.Now, logger: o.Logger, copies: copiesOf(o.Policy), purses: pursesOf(o.Policy.Budgets), failed: make(chan struct{}),
	}
	if s.logger == nil {
		s.logger = slog.New(slog.DiscardHandler)
	}
	return s
}

// begin looks whether a process may serve, or a command work, here.
func (s *Store) begin(ctx context.Context, serves bool) error {
	v, err := s.run(ctx, s.steps.open, redisdb.Answered, form, flag(serves), formBefore)
	if err != nil {
		return err
	}
	r := newReply(v)
	version := r.text()
	if version == "" && !serves {
		return ErrEmpty
	}
	if err := checkForm(version); err != nil {
		return err
	}
	mark := r.mark()
	return cmp.Or(r.err, mark.Serve())
}

func checkForm(version string) error {
	if version != form && version != formBefore {
		return fmt.Errorf("%w: its form is %q, this program knows %q and %q", ErrForm, version, formBefore, form)
	}
	return nil
}

// copiesOf is the policy's rule as JSON, for Lua.
func copiesOf(p onboarding.Policy) string {
	var b strings.Builder
	for i, v := range onboarding.Variants() {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%q:%d", string(v), p.CopiesOf(v))
	}
	return "{" + b.String() + "}"
}

// Failed is closed when the store has been moved away under a process that
// serves it, or emptied: the secrets this process knows are not those of the
// next one then. Nothing else is final: whatever happens to Redis, it may come
// back.
func (s *Store) Failed() <-chan struct{} { return s.failed }

// Err is why the store has failed, nil while it has not.
func (s *Store) Err() error {
	select {
	case <-s.failed:
		return s.cause
	default:
		return nil
	}
}

func (s *Store) fail(cause error) {
	s.once.Do(func() {
		s.cause = cause
		close(s.failed)
	})
}

// Close makes every call after it fail. The client stays open.
func (s *Store) Close() error {
	if !s.closed.Swap(true) && s.end != nil {
		s.end()
	}
	s.herald.Wait()
	return nil
}

// Ping tells whether the store takes sign-ups: it writes, and waits for as many
// replicas as a sign-up does.
func (s *Store) Ping(ctx context.Context) error {
	_, err := s.run(ctx, s.steps.ping, redisdb.Replicated)
	return err
}

// run makes a step. Its first argument is the time, if that is not the server's
// to tell.
func (s *Store) run(ctx context.Context, step *redisdb.Script, d redisdb.Durability, args ...any) (any, error) {
	if s.closed.Load() {
		return nil, fmt.Errorf("%w: %w", signup.ErrUnavailable, redisdb.ErrClosed)
	}
	clock := ""
	if s.now != nil {
		clock = fmt.Sprint(s.now().UnixMilli())
	}
	v, err := s.tag.Run(ctx, step, d, append([]any{clock}, args...)...)
	if err != nil && strings.Contains(err.Error(), fenced) {
		s.fail(transfer.ErrAway)
		err = transfer.ErrAway
	}
	if errors.Is(err, redisdb.ErrUnavailable) || errors.Is(err, redisdb.ErrClosed) || errors.Is(err, transfer.ErrAway) {
		err = fmt.Errorf("%w: %w", signup.ErrUnavailable, err)
	}
	return v, err
}

// fenced is how a step is refused that must not be made in this store any more.
const fenced = "AWAY this store"

// ms is a duration in the steps' unit.
func ms(d time.Duration) int64 { return d.Milliseconds() }

// flag is a bool for a step.
func flag(b bool) string {
	if b {
		return "1"
	}
	return ""
}
