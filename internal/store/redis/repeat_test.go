package redis_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"bellhop/internal/onboarding"
	"bellhop/internal/redisdb"
	"bellhop/internal/redistest"
	"bellhop/internal/signup"
	"bellhop/internal/store/redis"
)

// hand is a store that one caller works on, with a clock in hand and with names
// that are the same each time.
type hand struct {
	*redis.Store
	t      *testing.T
	ctx    context.Context
	url    string
	clock  *clock
	policy onboarding.Policy
	forms  int
	claims int
	claim  onboarding.Claim // the one that a test is about
	mail   onboarding.MailID
}

// The incarnations of these tests.
const (
	me    onboarding.Incarnation = "incarnation-me"
	other onboarding.Incarnation = "incarnation-other"
)

func newHand(t *testing.T, url string) *hand {
	t.Helper()
	p := onboarding.DefaultPolicy()
	p.Retention = 40 * time.Hour
	p.MaxClaims = 3
	p.Budgets[onboarding.BudgetSignUp] = []onboarding.Allowance{{Mails: 1, Per: 10 * time.Minute}, {Mails: 3, Per: 24 * time.Hour}}
	return newHandWith(t, url, p)
}

func newHandWith(t *testing.T, url string, p onboarding.Policy) *hand {
	t.Helper()
	clock := &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	h := &hand{t: t, ctx: within(t), url: url, clock: clock, policy: p}
	h.Store = connect(t, redisdb.Settings{URL: url}, redis.Options{Policy: p, Now: clock.Now})
	return h
}

// nextID names the next form. A repeated one has an id of its own.
func (h *hand) nextID() string {
	h.forms++
	return fmt.Sprintf("00000000-0000-4000-8000-%012d", h.forms)
}

// accept stores a sign-up and makes its mail the one that the test is about.
func (h *hand) accept(expiry time.Duration) onboarding.Ref {
	h.t.Helper()
	id := h.nextID()
	a := form(id, h.forms, false)
	a.Mails[0].Expiry = expiry
	_, err := h.Accept(h.ctx, a)
	ok(h.t, err)
	h.mail = a.Mails[0].ID
	return onboarding.Ref{Mail: h.mail, Gen: 1}
}

// due is a mail that is due.
func (h *hand) due() onboarding.Ref { h.t.Helper(); return h.accept(h.policy.Expiry) }

func (h *hand) queued() {
	h.t.Helper()
	ok(h.t, h.Relayed(h.ctx, []onboarding.Ref{h.due()}))
}

func (h *hand) newClaim(ref onboarding.Ref, by onboarding.Incarnation) onboarding.Claim {
	h.claims++
	return onboarding.Claim{Ref: ref, Holder: by, Op: fmt.Sprint("op-", h.claims)}
}

func (h *hand) take(ref onboarding.Ref, by onboarding.Incarnation) {
	h.t.Helper()
	h.claim = h.newClaim(ref, by)
	_, err := h.Claim(h.ctx, h.claim)
	ok(h.t, err)
}

func (h *hand) sending() { h.t.Helper(); h.take(h.due(), me) }

func (h *hand) commit() {
	h.t.Helper()
	ok(h.t, h.Committing(h.ctx, h.claim, onboarding.Rendered{Mint: 1, BodyHash: [32]byte{7}}))
}

func (h *hand) committing() { h.t.Helper(); h.sending(); h.commit() }

// result is one that has everything in it.
func result(to onboarding.State) onboarding.Result {
	return onboarding.Result{To: to, After: time.Hour, Counts: true, Reason: "because of " + string(to),
		Reply: onboarding.Reply{Phase: "dot", Code: 450, Enhanced: "4.2.0", Text: "not now"}}
}

// in brings a mail that was committing to an outcome.
func (h *hand) in(state onboarding.State) {
	h.t.Helper()
	h.committing()
	_, err := h.Record(h.ctx, h.claim, result(state))
	ok(h.t, err)
}

// copying is a copy about to be made: the outcome of the first attempt is
// unknown, and the mail was claimed again.
func (h *hand) copying() {
	h.t.Helper()
	h.in(onboarding.Unknown)
	h.clock.Advance(h.policy.UnknownPause)
	h.sweep()
	h.take(onboarding.Ref{Mail: h.mail, Gen: 2}, me)
}

func (h *hand) sweep() {
	h.t.Helper()
	_, err := h.Sweep(h.ctx, me, 100)
	ok(h.t, err)
}

func (h *hand) beat(by ...onboarding.Incarnation) {
	h.t.Helper()
	for _, who := range by {
		ok(h.t, h.Heartbeat(h.ctx, who))
	}
}

// live lets time pass while some say that they are alive.
func (h *hand) live(d time.Duration, alive ...onboarding.Incarnation) {
	h.t.Helper()
	for ; d > 0; d -= h.policy.Heartbeat {
		h.clock.Advance(min(d, h.policy.Heartbeat))
		h.beat(alive...)
	}
}

func (h *hand) cancelled() {
	h.t.Helper()
	_, err := h.Cancel(h.ctx, h.mail.Subject(), "nobody wants it")
	ok(h.t, err)
}

// step is one call of a caller, and how a test comes there.
type step struct {
	name    string
	prepare func(h *hand)
	call    func(h *hand) (any, error)
	again   error  // what it says the second time
	at      string // what a request has in it whose answer is lost. Default: any step's
}

// Whatever a caller asks of the store, when the answer is lost and the call is
// made again, everything is as if it had been made once, and the answer too.
func TestEveryStepWhoseAnswerWasLostMayBeRepeated(t *testing.T) {
	server := redistest.Start(t, redistest.Options{})
	db := 0
	for _, s := range allSteps() {
		db += 2
		t.Run(s.name, func(t *testing.T) {
			once := newHand(t, server.URL(db))
			s.prepare(once)
			want, err := s.call(once)
			ok(t, err)

			proxy := redistest.NewProxy(t, server.Addr())
			twice := newHand(t, fmt.Sprintf("redis://%s/%d", proxy.Addr(), db+1))
			s.prepare(twice)
			if s.at == "" {
				s.at = "EVALSHA"
			}
			proxy.CutBeforeReply(s.at, 1)
			if _, err := s.call(twice); !errors.Is(err, signup.ErrUnavailable) || proxy.Cuts() != 1 {
				t.Fatalf("with its answer cut off (%d cuts) it says %v, want %v", proxy.Cuts(), err, signup.ErrUnavailable)
			}
			got, err := s.call(twice)
			if !errors.Is(err, s.again) {
				t.Fatalf("made again it says %v, want %v", err, s.again)
			}
			if s.again == nil && got != want {
				t.Errorf("made again it returns\n%v, and made once\n%v", got, want)
			}
			for _, d := range differences(dump(t, server.URL(db+1)), dump(t, server.URL(db))) {
				t.Error(d)
			}
			for _, fault := range inspect(server.URL(db + 1)) {
				t.Error(fault)
			}
		})
	}
}

// allSteps are all that change anything, from every state that makes a
// difference.
func allSteps() (all []step) {
	all = append(all, peopleSteps...)
	all = append(all, claimSteps...)
	all = append(all, recordSteps()...)
	all = append(all, presenceSteps...)
	all = append(all, operatorSteps()...)
	all = append(all, accountSteps()...)
	return append(all, sweepSteps()...)
}

// nothing is what a call returns that has nothing to say, or other things to say
// the second time.
func nothing(err error) (any, error) { return nil, err }

func fresh(*hand) {}

var peopleSteps = []step{
	{name: "AcceptUnderAKeyWithAFreshID", prepare: fresh, call: func(h *hand) (any, error) {
		accepted, err := h.Accept(h.ctx, form(h.nextID(), 1, true))
		return fmt.Sprint(accepted.ID, accepted.At), err
	}},
	{name: "AcceptUnderAKeyOfLongAgo", prepare: func(h *hand) {
		_, err := h.Accept(h.ctx, form(h.nextID(), 1, true))
		ok(h.t, err)
		h.clock.Advance(24 * time.Hour)
	}, call: func(h *hand) (any, error) {
		accepted, err := h.Accept(h.ctx, form(h.nextID(), 1, true))
		return fmt.Sprint(accepted.ID, accepted.At), err
	}},
	{name: "AcceptWithoutAKeyUnderTheSameID", prepare: fresh, call: func(h *hand) (any, error) {
		accepted, err := h.Accept(h.ctx, form("00000000-0000-4000-8000-000000000001", 1, false))
		return fmt.Sprint(accepted), err
	}},
	{name: "Erase", prepare: func(h *hand) {
		h.in(onboarding.Failed)
	}, call: func(h *hand) (any, error) { return nothing(h.Erase(h.ctx, h.mail.Subject())) }},
	{name: "EraseOfWhatIsHeld", prepare: (*hand).committing,
		call: func(h *hand) (any, error) { return nothing(h.Erase(h.ctx, h.mail.Subject())) }},
	{name: "EraseOfAKey", prepare: func(h *hand) {
		_, err := h.Accept(h.ctx, form(h.nextID(), 1, true))
		ok(h.t, err)
	}, call: func(h *hand) (any, error) {
		return nothing(h.Erase(h.ctx, "00000000-0000-4000-8000-000000000001"))
	}},
	{name: "SharedKey", prepare: fresh, call: func(h *hand) (any, error) {
		h.claims++ // two callers draw two keys
		secret, err := h.SharedKey(h.ctx, "mint", []byte{0, 255, byte(h.claims)})
		return string(secret[min(1, len(secret)):min(2, len(secret))]), err
	}},
}

var claimSteps = []step{
	{name: "Relayed", prepare: func(h *hand) { h.due() },
		call: func(h *hand) (any, error) {
			return nothing(h.Relayed(h.ctx, []onboarding.Ref{{Mail: h.mail, Gen: 1}}))
		}},
	{name: "Arrived", prepare: (*hand).queued,
		call: func(h *hand) (any, error) { return nothing(h.Arrived(h.ctx, onboarding.Urgent, h.clock.Now())) }},
	{name: "ClaimOfADueMail", prepare: func(h *hand) { h.claim = h.newClaim(h.due(), me) }, call: claimAgain},
	{name: "ClaimOfAQueuedMail", prepare: func(h *hand) {
		h.queued()
		h.claim = h.newClaim(onboarding.Ref{Mail: h.mail, Gen: 1}, me)
	}, call: claimAgain},
	{name: "ClaimOfAnExpiredMail", prepare: func(h *hand) {
		h.claim = h.newClaim(h.due(), me)
		h.clock.Advance(h.policy.Expiry)
	}, call: claimAgain},
	{name: "ClaimOfPoison", prepare: func(h *hand) {
		h.beat(me)
		ref := h.due()
		for range h.policy.MaxClaims {
			h.take(ref, me)
			ok(h.t, h.Leave(h.ctx, me))
			ref.Gen++
		}
		h.claim = h.newClaim(ref, me)
	}, call: claimAgain},
	{name: "ClaimOfACopy", prepare: func(h *hand) {
		h.copying()
		_, err := h.Record(h.ctx, h.claim, onboarding.Result{To: onboarding.Due})
		ok(h.t, err)
		h.claim = h.newClaim(onboarding.Ref{Mail: h.mail, Gen: 3}, me)
	}, call: claimAgain},
	{name: "Committing", prepare: (*hand).sending, call: commitAgain(7)},
	{name: "CommittingOfACopy", prepare: (*hand).copying, call: commitAgain(7)},
	{name: "CommittingOfADifferingCopy", prepare: (*hand).copying, call: commitAgain(8)},
	{name: "Check", prepare: func(h *hand) { h.beat(me); h.committing() },
		call: func(h *hand) (any, error) { return nothing(h.Check(h.ctx, h.claim)) }},
}

func claimAgain(h *hand) (any, error) {
	held, err := h.Claim(h.ctx, h.claim)
	return held, err
}

func commitAgain(body byte) func(h *hand) (any, error) {
	return func(h *hand) (any, error) {
		return nothing(h.Committing(h.ctx, h.claim, onboarding.Rendered{Mint: 1, BodyHash: [32]byte{body}}))
	}
}

// recordSteps are all outcomes from all states.
func recordSteps() (all []step) {
	outcomes := []onboarding.State{onboarding.Sent, onboarding.Due, onboarding.Failed, onboarding.Unknown}
	for from, prepare := range map[string]func(h *hand){
		"Sending":        (*hand).sending,
		"Committing":     (*hand).committing,
		"Unknown":        func(h *hand) { h.in(onboarding.Unknown) },
		"ACopy":          func(h *hand) { h.copying(); h.commit() },
		"AnUnknownCopy":  func(h *hand) { h.copying(); h.commit(); h.record(onboarding.Unknown) },
		"CalledOff":      func(h *hand) { h.committing(); h.cancelled() },
		"AnExpiringMail": func(h *hand) { h.take(h.accept(time.Minute), me); h.commit() },
	} {
		for _, to := range outcomes {
			if from == "Sending" && to != onboarding.Due && to != onboarding.Failed {
				continue
			}
			all = append(all, step{name: fmt.Sprintf("RecordOf%sFrom%s", to, from), prepare: prepare, call: recordAgain(result(to))})
		}
	}
	drained := onboarding.Result{To: onboarding.Due, Drained: true}
	return append(all, step{name: "RecordOfAClaimGivenBack", prepare: (*hand).sending, call: recordAgain(drained)})
}

func (h *hand) record(to onboarding.State) {
	h.t.Helper()
	_, err := h.Record(h.ctx, h.claim, result(to))
	ok(h.t, err)
}

func recordAgain(r onboarding.Result) func(h *hand) (any, error) {
	return func(h *hand) (any, error) {
		state, err := h.Record(h.ctx, h.claim, r)
		return state, err
	}
}

var presenceSteps = []step{
	{name: "TheFirstHeartbeat", prepare: fresh, call: beatAgain},
	{name: "ALaterHeartbeat", prepare: func(h *hand) { h.beat(me); h.live(time.Minute, me) }, call: beatAgain},
	{name: "AHeartbeatAfterSilence", prepare: func(h *hand) { h.beat(me); h.clock.Advance(time.Minute) }, call: beatAgain},
	{name: "Leave", prepare: func(h *hand) { h.beat(me); h.sending() }, call: leaveAgain},
	{name: "LeaveInCommitting", prepare: func(h *hand) { h.beat(me); h.sending(); h.committing() }, call: leaveAgain},
	{name: "LeaveOfManyMails", prepare: func(h *hand) {
		h.beat(me)
		for range 300 {
			h.sending()
		}
	}, call: leaveAgain},
	{name: "LeaveOfAStranger", prepare: func(h *hand) { h.take(h.due(), other) }, call: leaveAgain},
}

func beatAgain(h *hand) (any, error)  { return nothing(h.Heartbeat(h.ctx, me)) }
func leaveAgain(h *hand) (any, error) { return nothing(h.Leave(h.ctx, me)) }

// operatorSteps say the second time that the mail is where it was wanted.
func operatorSteps() (all []step) {
	for _, from := range []onboarding.State{onboarding.Failed, onboarding.Expired, onboarding.Unknown} {
		prepare := func(h *hand) {
			if from == onboarding.Expired {
				h.take(h.accept(time.Minute), me)
				h.record(onboarding.Due)
				return
			}
			h.in(from)
		}
		all = append(all,
			step{name: "ReplayOf" + string(from), prepare: prepare, again: onboarding.ErrWrongState,
				call: func(h *hand) (any, error) { return nothing(h.Replay(h.ctx, h.mail)) }},
			step{name: "DiscardOf" + string(from), prepare: prepare, again: onboarding.ErrWrongState,
				call: func(h *hand) (any, error) { return nothing(h.Discard(h.ctx, h.mail)) }})
	}
	for from, prepare := range map[string]func(h *hand){
		"ADueMail": func(h *hand) { h.due() }, "AQueuedMail": (*hand).queued, "ASendingMail": (*hand).sending,
		"ACommittingMail": (*hand).committing, "AnUnknown": func(h *hand) { h.in(onboarding.Unknown) },
	} {
		all = append(all, step{name: "CancelOf" + from, prepare: prepare, call: func(h *hand) (any, error) {
			_, err := h.Cancel(h.ctx, h.mail.Subject(), "nobody wants it")
			return nothing(err)
		}})
	}
	return all
}

// sweepSteps lose the answer to each part of a sweep that has something of every
// kind to do.
func sweepSteps() (all []step) {
	for _, kind := range []string{"held", "unknown", "expired", "queued", "ahead", "keys", "charges", "finished", "next"} {
		s := step{name: "SweepOf_" + kind, prepare: (*hand).everythingToSweep, call: sweepAgain, at: "\r\n" + kind + "\r\n"}
		if kind == "ahead" {
			s.prepare = (*hand).clockSetBack
		}
		all = append(all, s)
	}
	return all
}

// sweepAgain sweeps twice: what one sweep leaves, such as an unknown that has
// just been brought back, is the next one's.
func sweepAgain(h *hand) (any, error) {
	_, first := h.Sweep(h.ctx, me, 100)
	if first != nil {
		return nothing(first)
	}
	_, second := h.Sweep(h.ctx, me, 100)
	return nothing(second)
}

// everythingToSweep leaves one thing of each kind for a sweep.
func (h *hand) everythingToSweep() {
	h.t.Helper()
	h.beat(me, other)
	h.take(h.due(), other)
	h.take(h.due(), other)
	h.commit()
	h.accept(time.Hour) // expires
	h.in(onboarding.Sent)
	_, err := h.Accept(h.ctx, form(h.nextID(), h.forms, true))
	ok(h.t, err)
	h.clock.Advance(h.policy.Retention)
	h.queued()
	h.clock.Advance(time.Second)
	ok(h.t, h.Arrived(h.ctx, onboarding.Urgent, h.clock.Now()))
	h.in(onboarding.Unknown)
	h.live(2*time.Minute, me)
}

// clockSetBack leaves what waits for a time that will not come soon.
func (h *hand) clockSetBack() {
	h.t.Helper()
	const year = 365 * 24 * time.Hour
	h.clock.Advance(year)
	h.due()
	h.queued()
	h.in(onboarding.Unknown)
	h.clock.Advance(-year)
}
