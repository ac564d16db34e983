package onboarding

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"bellhop/internal/crashpoint"
	"bellhop/internal/mail"
	"bellhop/internal/queue"
)

// recordWithin bounds how long the ledger is asked to take an outcome after
// the process was told to end; claimTries is how often it is asked for one
// claim.
const (
	recordWithin = 3 * time.Second
	claimTries   = 5
)

var (
	errLockLost = errors.New("the message's lock was lost")
	errRender   = errors.New("the mail could not be rendered")
)

// handle takes one message to its end, perhaps as the probe of an open circuit.
// ctx ends when attempts are to be cut.
func (s *Sender) handle(ctx context.Context, lane Lane, d queue.Delivery, probe bool) {
	m, err := decodeMessage(d.Message())
	if err != nil {
		s.settled(lane, d.DeadLetter(ctx, "Undecodable", err.Error()))
		return
	}
	if !m.marker.IsZero() {
		if err := s.deps.Arrivals.Arrived(ctx, lane, m.marker); err != nil {
			s.deps.Log.Warn("marker not recorded", "lane", lane, "error", err)
		}
		s.settled(lane, d.Complete(ctx))
		return
	}
	crashpoint.Here(crashpoint.Received)
	claim := Claim{Ref: m.ref, Holder: s.deps.Self, Op: fmt.Sprintf("%s/%d", s.deps.Self, s.claims.Add(1))}
	held, err := s.claim(ctx, claim)
	switch {
	case errors.Is(err, ErrRefused): // told before, called off, or not ours: the message means nothing
	case err != nil:
		s.deps.Log.Warn("claim failed: the message goes back", "mail", m.ref.Mail, "error", err)
		if ctx.Err() == nil { // otherwise leaving gives it back
			s.finish(ctx, Held{Claim: claim}, Result{To: Due, After: jitter(pumpRetry), Reason: "the claim was not answered"})
		}
		s.settled(lane, d.Abandon(ctx))
		return
	case held.State == Sending:
		crashpoint.Here(crashpoint.Claimed)
		s.send(ctx, lane, d, held, probe)
	default:
		s.logUnsent(ctx, held)
	}
	crashpoint.Here(crashpoint.Recorded)
	s.settled(lane, d.Complete(context.WithoutCancel(ctx)))
	crashpoint.Here(crashpoint.Completed)
}

// claim claims a mail. Without an answer nobody knows whether that was done,
// and what a living process holds is taken back by nobody else for long: so the
// same claim is made again, which is done once and says the same each time.
func (s *Sender) claim(ctx context.Context, c Claim) (held Held, err error) {
	for range claimTries {
		held, err = s.deps.Claims.Claim(ctx, c)
		if err == nil || errors.Is(err, ErrRefused) || ctx.Err() != nil {
			return held, err
		}
		pause(ctx, jitter(pumpRetry), nil)
	}
	return held, err
}

// settled looks at the answer to a settlement. Whatever it is, the ledger has
// decided already: a message that comes again will be refused.
func (s *Sender) settled(lane Lane, err error) {
	if err != nil && !errors.Is(err, queue.ErrLockLost) {
		s.deps.Log.Debug("settling failed: the message may come again", "lane", lane, "error", err)
	}
}

// send makes one attempt under a claim and records how it ended.
func (s *Sender) send(ctx context.Context, lane Lane, d queue.Delivery, h Held, probe bool) {
	attempt, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := s.keepLock(attempt, d, cancel)
	defer stop()
	if h.Claims >= s.deps.Policy.AloneFrom {
		s.alone.Lock()
		defer s.alone.Unlock()
	} else {
		s.alone.RLock()
		defer s.alone.RUnlock()
	}
	outcome, err := s.submit(attempt, lane, h, probe)
	if err == nil && outcome.Class == mail.Unknown && ctx.Err() != nil {
		return // cut past its dot: committing says all that is known
	}
	s.finish(ctx, h, s.resultOf(h, outcome, err))
}

// keepLock renews the message's lock at a third of its length. When that fails
// the attempt is cancelled: short of the dot it ends there.
func (s *Sender) keepLock(ctx context.Context, d queue.Delivery, lost context.CancelCauseFunc) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	third := max(time.Until(d.LockedUntil())/3, time.Second)
	var keeper sync.WaitGroup
	keeper.Go(func() {
		for {
			pause(ctx, third, nil)
			if ctx.Err() != nil {
				return
			}
			if err := d.Renew(ctx); err != nil && (errors.Is(err, queue.ErrLockLost) || time.Now().After(d.LockedUntil())) {
				lost(errLockLost)
				return
			}
		}
	})
	return func() { cancel(); keeper.Wait() }
}

// submit renders the mail and takes it to the server. The final dot is written
// only after the ledger's Committing is on disk. That is asked for once the
// server has accepted the recipient, so that the disk and the network are
// waited for together; not sooner, because a crash between Committing and the
// dot leaves an unknown that was never sent. An error means that nothing was
// submitted: the mail could not be rendered ([errRender]), or the ledger did
// not stand behind the dot.
func (s *Sender) submit(ctx context.Context, lane Lane, h Held, probe bool) (mail.Outcome, error) {
	envelope, rendered, err := s.compose(h)
	if err != nil {
		return mail.Outcome{}, fmt.Errorf("%w: %w", errRender, err)
	}
	seen := Attempt{Lane: lane, Variant: h.Variant}
	defer func() { s.observe(seen, h, probe) }()
	commit := s.committing(ctx, h, Rendered{Mint: h.NextMint(), BodyHash: rendered.Hash})
	envelope.Underway = commit.start
	began := time.Now()
	tx, failed := s.deps.Transport.Begin(ctx, envelope, rendered.Body)
	seen.Begin = time.Since(began)
	if failed != nil {
		_ = commit.wait() // begun or not, it must be over before the outcome is recorded
		seen.Outcome = *failed
		return *failed, nil
	}
	crashpoint.Here(crashpoint.Begun)
	commit.start()
	waited := time.Now()
	if err := s.mayWriteDot(ctx, h, commit); err != nil {
		tx.Abort()
		seen.Outcome = mail.Cancelled(mail.PhaseData)
		return mail.Outcome{}, err
	}
	seen.Wait = time.Since(waited)
	crashpoint.Here(crashpoint.Committed)
	dotted := time.Now()
	seen.Outcome = tx.Commit(ctx)
	seen.Dot = time.Since(dotted)
	crashpoint.Here(crashpoint.Replied)
	return seen.Outcome, nil
}

// compose renders. A panic is this mail's failure and nobody else's: it would
// end the process, and again after each start, until the ledger calls the mail
// poison. What it says may hold anything, so only its stack is logged.
func (s *Sender) compose(h Held) (envelope mail.Envelope, rendered mail.Rendered, err error) {
	defer func() {
		if recover() != nil {
			s.deps.Log.Error("rendering panicked", "mail", h.Claim.Mail, "stack", string(debug.Stack()))
			err = errors.New("a panic")
		}
	}()
	return s.deps.Composer.Compose(h)
}

// mayWriteDot returns nil once the ledger stands behind the dot: Committing is
// on disk, and was asked for a moment ago or has been looked at again.
func (s *Sender) mayWriteDot(ctx context.Context, h Held, c *committing) error {
	if err := c.wait(); err != nil {
		return err
	}
	if time.Since(c.asked) <= s.deps.Policy.RecheckAfter {
		return nil
	}
	return s.deps.Claims.Check(ctx, h.Claim)
}

// committing is the ledger's Committing, perhaps under way.
type committing struct {
	start func()       // does nothing the second time
	wait  func() error // nil if it was never started
	asked time.Time    // when it was started; to be read after wait
}

func (s *Sender) committing(ctx context.Context, h Held, r Rendered) *committing {
	var (
		c       committing
		once    sync.Once
		running sync.WaitGroup
		err     error
	)
	c.start = func() {
		once.Do(func() {
			c.asked = time.Now()
			running.Go(func() { err = s.deps.Claims.Committing(ctx, h.Claim, r) })
		})
	}
	c.wait = func() error { running.Wait(); return err }
	return &c
}

// resultOf is what an attempt's end means for the ledger.
func (s *Sender) resultOf(h Held, o mail.Outcome, err error) Result {
	retry := func(atLeast time.Duration) time.Duration { return s.deps.Policy.retryAfter(h.Attempts+1, atLeast) }
	switch {
	case errors.Is(err, errRender):
		return Result{To: Due, After: retry(0), Counts: true, Reason: err.Error()}
	case errors.Is(err, context.Canceled):
		return Result{To: Due, Drained: true, Reason: "the process was stopped before the mail was handed over"}
	case err != nil: // called off, too slow to be sure of the claim, or the store is away
		return Result{To: Due, Reason: "not handed over: " + err.Error()}
	}
	r := Result{
		To: Due, Counts: o.CountsAttempt(), Reason: o.Explain(),
		Reply: Reply{Phase: o.Phase.String(), Code: o.Code, Enhanced: o.Enhanced, Text: o.Text},
	}
	switch o.Class {
	case mail.Accepted:
		r.To = Sent
	case mail.Permanent:
		r.To = Failed
	case mail.Unknown:
		r.To = Unknown
	case mail.ProviderDown: // due at once: it is the circuit that waits
		r.Away = true
	default:
		r.Drained = o.Reason == mail.ReasonCancelled
		if !r.Drained {
			r.After = retry(o.RetryAtLeast)
		}
	}
	return r
}

// finish records the result, however long the store takes to come back while
// the process lives: an outcome that is not recorded is a mail unknown. Once
// the ledger is gone for this process there is nothing to wait for.
func (s *Sender) finish(ctx context.Context, h Held, r Result) {
	write := context.WithoutCancel(ctx)
	var ended time.Time
	for {
		state, err := s.deps.Claims.Record(write, h.Claim, r)
		if err == nil || errors.Is(err, ErrRefused) {
			s.logResult(h, r, state, err)
			return
		}
		s.deps.Log.Error("an outcome is not recorded yet", "mail", h.Claim.Mail, "outcome", r.To, "error", err)
		if errors.Is(err, ErrGone) {
			return
		}
		if ctx.Err() != nil {
			if ended.IsZero() {
				ended = time.Now()
			}
			if time.Since(ended) > recordWithin {
				return
			}
		}
		pause(write, jitter(pumpRetry), nil)
	}
}

func (s *Sender) logResult(h Held, r Result, state State, err error) {
	log := s.deps.Log.Debug
	switch {
	case err != nil:
		log = s.deps.Log.Info
	case state == Unknown:
		log = s.deps.Log.Warn
	case state == Failed || state == Expired:
		log = s.deps.Log.Info
	}
	log("attempt ended", "mail", h.Claim.Mail, "outcome", r.To, "state", state, "copy", h.Copy,
		"phase", r.Reply.Phase, "code", r.Reply.Code, "reason", r.Reason, "again_in", r.After, "error", err)
}

// logUnsent says that a mail was ended at its claim. That nobody is to get it is
// as it should be, and anybody can have it said as often as they like.
func (s *Sender) logUnsent(ctx context.Context, h Held) {
	level := slog.LevelInfo
	if h.State == Suppressed || h.State == Cancelled {
		level = slog.LevelDebug
	}
	s.deps.Log.Log(ctx, level, "mail ended unsent", "mail", h.Claim.Mail, "state", h.State)
}

// observe tells the circuit and the measurements how an attempt ended.
func (s *Sender) observe(a Attempt, h Held, probe bool) {
	a.Age = time.Since(h.Created)
	switch {
	case a.Outcome.Reason == mail.ReasonCancelled:
	case a.Outcome.Class == mail.ProviderDown || a.Outcome.Class == mail.Unknown:
		if s.circuit.Down(probe, a.Outcome.Phase == mail.PhaseAuth) {
			s.deps.Log.Warn("the mail server is taken for down: mails wait, and none loses an attempt",
				"phase", a.Outcome.Phase.String(), "code", a.Outcome.Code, "reason", a.Outcome.Explain())
		}
	default:
		if s.circuit.Up() {
			s.deps.Log.Info("the mail server answers again")
		}
	}
	if s.deps.Observe != nil {
		s.deps.Observe(a)
	}
}
