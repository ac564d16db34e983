package redis_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"bellhop/internal/onboarding"
	"bellhop/internal/signup"
)

// beats are the incarnations that the store remembers.
func (h *hand) beats() string {
	h.t.Helper()
	names, err := h.raw().ZRange(h.ctx, "{bellhop}:beats", 0, -1).Result()
	ok(h.t, err)
	return strings.Join(names, " ")
}

// A dead one that holds more than one sweep takes back is not forgotten before
// the last, and then it is: the sweeps after it look at others.
func TestTheDeadAreRememberedUntilAllTheyHeldIsTakenBack(t *testing.T) {
	h := startHand(t)
	h.beat(other)
	for range 5 {
		h.take(h.due(), other)
	}
	h.beat(me)
	h.live(20*time.Second, me)
	recovered := 0
	for range 3 {
		swept, err := h.Sweep(h.ctx, me, 2)
		ok(t, err)
		recovered += swept.Recovered
	}
	if recovered != 5 {
		t.Errorf("%d mails were recovered, want 5", recovered)
	}
	if left := h.beats(); left != string(me) {
		t.Errorf("the store remembers %q, want only %q", left, me)
	}
	sound(t, h.Store, h.url)
}

func TestWhoLeavesWithNothingIsForgotten(t *testing.T) {
	h := startHand(t)
	h.unchanged("coming and going", func() {
		h.beat(me)
		ok(t, h.Leave(h.ctx, me))
	})
}

// C1.9: one that was heard in a time that is yet to come, before the clock was
// set back, is dead if it is not heard again.
func TestTheDeadOfTheFutureAreRecovered(t *testing.T) {
	h := startHand(t)
	h.beat(other)
	h.take(h.due(), other)
	h.clock.Advance(-time.Hour)
	h.beat(me)
	h.live(20*time.Second, me)
	swept, err := h.Sweep(h.ctx, me, 100)
	ok(t, err)
	if swept.Recovered != 1 {
		t.Errorf("%d mails were recovered, want the one", swept.Recovered)
	}
	sound(t, h.Store, h.url)
}

// C1.9: a clock that is set back a little does not keep anyone from judging for
// longer than it takes at a start.
func TestAfterTheClockWasSetBackALittleOneJudgesAfterTheUsualTime(t *testing.T) {
	h := startHand(t)
	h.take(h.due(), other)
	h.beat(me)
	h.clock.Advance(-h.policy.Gap() + time.Second)
	h.beat(me)
	h.live(h.policy.DeadAfter, me)
	swept, err := h.Sweep(h.ctx, me, 100)
	ok(t, err)
	if swept.Recovered != 1 {
		t.Errorf("%d mails were recovered, want the one", swept.Recovered)
	}
}

// A wait that is long and right is no reason to sweep again at once.
func TestALongWaitIsNoWorkForASweep(t *testing.T) {
	h := startHand(t)
	h.take(h.accept(10*h.policy.Expiry), me)
	later := result(onboarding.Due)
	later.After = 5 * h.policy.Expiry
	_, err := h.Record(h.ctx, h.claim, later)
	ok(t, err)
	swept, err := h.Sweep(h.ctx, me, 1)
	ok(t, err)
	if swept.More {
		t.Error("a sweep that had nothing to do asks for another at once")
	}
}

// A key may be used again after its day, and is not forgotten then because of
// the first use.
func TestAKeyThatIsUsedAgainHasAnotherDay(t *testing.T) {
	h := startHand(t)
	use := func() (repeated bool) {
		t.Helper()
		accepted, err := h.Accept(h.ctx, form(h.nextID(), 1, true))
		ok(t, err)
		return accepted.Repeated
	}
	use()
	h.clock.Advance(24 * time.Hour)
	if use() {
		t.Error("a key is known after its day")
	}
	h.sweep()
	if !use() {
		t.Error("a key that was used again is not known")
	}
	sound(t, h.Store, h.url)
}

// A mail that was replayed is kept for its time from its second end on.
func TestTheTimeOfAMailThatEndedTwiceBeginsAtItsSecondEnd(t *testing.T) {
	h := startHand(t)
	h.in(onboarding.Failed)
	h.clock.Advance(h.policy.Retention / 2)
	ok(t, h.Replay(h.ctx, h.mail))
	h.take(onboarding.Ref{Mail: h.mail, Gen: 2}, me)
	h.record(onboarding.Failed)
	for _, want := range []int{0, 1} {
		h.clock.Advance(h.policy.Retention / 2)
		swept, err := h.Sweep(h.ctx, me, 100)
		ok(t, err)
		if swept.Purged != want {
			t.Errorf("%d mails were purged, want %d", swept.Purged, want)
		}
	}
}

// C1.9: after the clock was set back, neither keys nor finished mails are kept
// until it comes there again, nor is anything behind them. They keep their time
// from then on.
func TestLogsFromTheFutureKeepNothingForEver(t *testing.T) {
	h := startHand(t)
	const year = 365 * 24 * time.Hour
	both := func() (key int) {
		t.Helper()
		key = h.forms + 1
		_, err := h.Accept(h.ctx, form(h.nextID(), key, true))
		ok(t, err)
		h.in(onboarding.Sent)
		return key
	}
	h.clock.Advance(year)
	key := both()
	h.clock.Advance(-year)
	both()
	h.sweep()
	elsewhere := form(h.nextID(), key, true)
	elsewhere.Key.Form[15]++
	if _, err := h.Accept(h.ctx, elsewhere); !errors.Is(err, signup.ErrConflict) {
		t.Errorf("a key from the future was forgotten at once: %v", err)
	}
	h.state(onboarding.Sent)
	h.clock.Advance(time.Hour)
	both()

	h.clock.Advance(h.policy.Retention - time.Hour)
	purged := 0
	for more := true; more; {
		swept, err := h.Sweep(h.ctx, me, 1) // one by one
		ok(t, err)
		purged, more = purged+swept.Purged, swept.More
	}
	if purged != 2 {
		t.Errorf("%d mails were purged, want the two whose time has passed", purged)
	}
	keys, err := h.raw().Keys(h.ctx, "{bellhop}:key:*").Result()
	ok(t, err)
	if len(keys) != 0 {
		t.Errorf("%d keys are left after a day and a half", len(keys))
	}
	sound(t, h.Store, h.url)
}
