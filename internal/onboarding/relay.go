package onboarding

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"bellhop/internal/crashpoint"
	"bellhop/internal/queue"
)

// How long a lane's loop waits when nothing tells it to look sooner.
const (
	relayRetry    = time.Second            // after an error
	relayLooks    = time.Second            // at the latest: another process may have made a mail due
	relayPace     = 5 * time.Millisecond   // between two looks: mails that become due meanwhile share one
	fullLanePause = 100 * time.Millisecond // while a full lane is emptying
	sweepEvery    = time.Second
	sweepRows     = 256
	markerMost    = 10 * time.Minute // between two markers
)

// Relay moves mails that are due from the ledger to their lane's queue, and
// sweeps the ledger. Several relays may run over one ledger: moving a mail
// twice costs a message and nothing else.
type Relay struct {
	outbox Outbox
	queue  queue.Sender
	policy Policy
	self   Incarnation
	log    *slog.Logger

	wake map[Lane]chan struct{} // buffered by one: there may be mails due
	sent atomic.Int64           // numbers the messages of this incarnation
}

// NewRelay makes a relay that works under the given incarnation, whose
// heartbeat somebody else keeps up.
func NewRelay(outbox Outbox, q queue.Sender, policy Policy, self Incarnation, log *slog.Logger) *Relay {
	r := &Relay{outbox: outbox, queue: q, policy: policy, self: self, log: log, wake: make(map[Lane]chan struct{})}
	for _, lane := range Lanes() {
		r.wake[lane] = make(chan struct{}, 1)
	}
	return r
}

// Notify says that a mail of the lane may be due now. It never waits.
func (r *Relay) Notify(lane Lane) {
	select {
	case r.wake[lane] <- struct{}{}:
	default:
	}
}

// Run relays and sweeps until ctx ends, and returns nil then.
func (r *Relay) Run(ctx context.Context) error {
	var loops sync.WaitGroup
	for _, lane := range Lanes() {
		loops.Go(func() { r.runLane(ctx, lane) })
	}
	loops.Go(func() { r.runSweep(ctx) })
	loops.Wait()
	return nil
}

func (r *Relay) runLane(ctx context.Context, lane Lane) {
	failing := false
	for ctx.Err() == nil {
		wait, err := r.moveDue(ctx, lane)
		if err != nil && ctx.Err() == nil {
			if !failing {
				r.log.Warn("relay: mails stay due until this is over", "lane", lane, "error", err)
			}
			wait = jitter(relayRetry)
		} else if failing {
			r.log.Info("relay: moving mails again", "lane", lane)
		}
		failing = err != nil
		if wait < 0 || wait > relayLooks {
			wait = relayLooks
		}
		if wait > 0 {
			pause(ctx, relayPace, nil)
		}
		pause(ctx, wait, r.wake[lane])
	}
}

// moveDue relays one batch and returns how long until the next mail is due;
// negative if there is none.
func (r *Relay) moveDue(ctx context.Context, lane Lane) (time.Duration, error) {
	queued, err := r.outbox.QueuedMails(ctx, lane)
	if err != nil {
		return 0, fmt.Errorf("count queued mails: %w", err)
	}
	room := r.policy.LaneLimit - queued
	if room <= 0 {
		return fullLanePause, nil
	}
	refs, next, err := r.outbox.DueMails(ctx, lane, int(min(room, int64(r.policy.RelayBatch))))
	if err != nil {
		return 0, fmt.Errorf("read due mails: %w", err)
	}
	if len(refs) == 0 {
		return next, nil
	}
	messages := make([]queue.Message, len(refs))
	for i, ref := range refs {
		messages[i] = mailMessage(r.messageID(), ref)
	}
	if err := r.queue.Send(ctx, lane.Queue(), messages...); err != nil {
		return 0, fmt.Errorf("send %d messages: %w", len(messages), err)
	}
	crashpoint.Here(crashpoint.Relayed)
	if err := r.outbox.Relayed(ctx, refs); err != nil {
		return 0, fmt.Errorf("mark mails queued: %w", err)
	}
	crashpoint.Here(crashpoint.Marked)
	return next, nil
}

// messageID is fresh for each try to send: a broker's duplicate window must
// not swallow a message that says the same as an earlier one.
func (r *Relay) messageID() string {
	return fmt.Sprintf("%s-%d", r.self, r.sent.Add(1))
}

func (r *Relay) runSweep(ctx context.Context) {
	markers := make(map[Lane]*laneWatch)
	for _, lane := range Lanes() {
		markers[lane] = &laneWatch{}
	}
	for ctx.Err() == nil {
		swept, err := r.outbox.Sweep(ctx, r.self, sweepRows)
		if err != nil && ctx.Err() == nil {
			r.log.Warn("sweep failed", "error", err)
		}
		if swept.Recovered+swept.Requeued+swept.Copied > 0 {
			r.log.Info("swept", "recovered", swept.Recovered, "requeued", swept.Requeued, "copied", swept.Copied, "expired", swept.Expired)
			for _, lane := range Lanes() {
				r.Notify(lane)
			}
		}
		if swept.More && err == nil {
			continue
		}
		for lane, watch := range markers {
			if err := r.watchLane(ctx, lane, watch); err != nil && ctx.Err() == nil {
				r.log.Warn("marker failed", "lane", lane, "error", err)
			}
		}
		pause(ctx, sweepEvery, nil)
	}
}

// laneWatch is what one relay remembers of a lane between sweeps.
type laneWatch struct {
	arrived time.Time // the lane's progress at the last look
	since   time.Time // when it was last seen to change, or was asked
	wait    time.Duration
}

// watchLane sends a marker when a lane holds queued mails and nothing has come
// through it for a while. Markers get rarer while none arrives: a lane whose
// senders wait for a broken mail server must not fill up with them.
func (r *Relay) watchLane(ctx context.Context, lane Lane, w *laneWatch) error {
	progress, err := r.outbox.Lane(ctx, lane)
	if err != nil {
		return err
	}
	now := time.Now()
	if progress.Queued == 0 || !progress.Arrived.Equal(w.arrived) || w.since.IsZero() {
		*w = laneWatch{arrived: progress.Arrived, since: now, wait: r.policy.MarkerAfter}
		return nil
	}
	if now.Sub(w.since) < w.wait {
		return nil
	}
	w.since, w.wait = now, min(2*w.wait, markerMost)
	return r.queue.Send(ctx, lane.Queue(), markerMessage(r.messageID(), progress.Now))
}

// pause waits for d, or until woken, or for ctx. A negative d waits without a
// limit, zero does not wait at all.
func pause(ctx context.Context, d time.Duration, woken <-chan struct{}) {
	if d == 0 {
		return
	}
	var after <-chan time.Time
	if d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		after = timer.C
	}
	select {
	case <-ctx.Done():
	case <-after:
	case <-woken:
	}
}

// jitter draws a duration around d, from a half to one and a half of it.
func jitter(d time.Duration) time.Duration {
	return d/2 + rand.N(d)
}
