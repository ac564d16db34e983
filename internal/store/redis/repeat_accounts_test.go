package redis_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"bellhop/internal/onboarding"
	"bellhop/internal/redistest"
	"bellhop/internal/signup"
)

// session names a session, the same each time.
func session(number int) string { return fmt.Sprintf("10000000-0000-4000-8000-%012d", number) }

// hash is that of a session's secret.
func hash(number int) [32]byte { return [32]byte{1: byte(number), 31: 2} }

// person is the number of whom the latest form was about.
func (h *hand) person() int { return h.forms }

// redemption exchanges the latest mint of the mail that the test is about for
// the session of a number.
func (h *hand) redemption(number int) signup.Redemption {
	return signup.Redemption{
		Mail: h.mail, Number: 1, Within: h.policy.Expiry, Fingerprint: fingerprint(h.person()), Welcome: h.policy.Expiry,
		Session: signup.NewSession{ID: session(number), Kind: signup.API, Hash: hash(0), Idle: 48 * time.Hour, Life: 240 * time.Hour},
	}
}

func (h *hand) redeem(number int) signup.Redeemed {
	h.t.Helper()
	redeemed, err := h.Redeem(h.ctx, h.redemption(number))
	ok(h.t, err)
	return redeemed
}

// account is a person whose address is confirmed. The first session is theirs.
func (h *hand) account() (id string) {
	h.t.Helper()
	h.in(onboarding.Sent)
	return h.redeem(1).Account.ID
}

// again is another sign-up of whom the latest form was about.
func (h *hand) again(change ...func(*signup.Acceptance)) {
	h.t.Helper()
	h.claims++
	a := form(fmt.Sprintf("30000000-0000-4000-8000-%012d", h.claims), h.person(), false)
	for _, c := range change {
		c(&a)
	}
	_, err := h.Accept(h.ctx, a)
	ok(h.t, err)
	h.mail = a.Mails[0].ID
}

// againSent is one whose mail was sent, later.
func (h *hand) againSent(change ...func(*signup.Acceptance)) {
	h.t.Helper()
	h.clock.Advance(time.Hour)
	h.again(change...)
	h.sendMail()
}

// sendMail sends the mail that the test is about, which is due.
func (h *hand) sendMail() {
	h.t.Helper()
	h.take(onboarding.Ref{Mail: h.mail, Gen: 1}, me)
	h.commit()
	h.record(onboarding.Sent)
}

// request is a wish of whom the latest form was about to sign in.
func (h *hand) request() signup.SignInRequest {
	h.claims++
	id := fmt.Sprintf("20000000-0000-4000-8000-%012d", h.claims)
	return signup.SignInRequest{
		ID: id, Fingerprint: fingerprint(h.person()), Budget: onboarding.BudgetDevice, Locale: "de",
		Mail: onboarding.Owed{ID: onboarding.NewMailID(id, onboarding.SignIn, 1), Expiry: h.policy.SignInExpiry},
	}
}

// ask stores such a request, and makes its mail the one that the test is about.
func (h *hand) ask() (id string) {
	h.t.Helper()
	r := h.request()
	ok(h.t, h.Ask(h.ctx, r))
	h.mail = r.Mail.ID
	return r.ID
}

// older makes a sign-up what an older program would have stored.
func older(a *signup.Acceptance) { a.Fingerprint = [16]byte{} }

func muted(a *signup.Acceptance) { a.Muted = "nobody fills in this field" }

// everythingOfAnAccount is one with all that an account can have.
func (h *hand) everythingOfAnAccount() (id string) {
	h.t.Helper()
	id = h.account()
	h.again()
	h.ask()
	h.sendMail()
	h.redeem(2)
	h.clock.Advance(time.Minute)
	h.ask()
	return id
}

// accountSteps are those that only accounts have, and what becomes of mails
// because of them.
func accountSteps() (all []step) {
	all = append(all, mailSteps...)
	all = append(all, redeemSteps()...)
	all = append(all, sessionSteps...)
	return append(all, leavingSteps()...)
}

var mailSteps = []step{
	{name: "Resend", prepare: func(h *hand) { h.in(onboarding.Sent); h.clock.Advance(time.Hour) },
		call: func(h *hand) (any, error) {
			p, _, err := h.Resend(h.ctx, signup.Resend{SignUp: h.mail.Subject(), Expiry: time.Hour, After: time.Minute, Most: 5})
			return p, err
		}},
	{name: "Ask", prepare: func(h *hand) { h.account() }, call: func(h *hand) (any, error) {
		r := h.request()
		h.claims--
		return nothing(h.Ask(h.ctx, r))
	}},
	{name: "ClaimOfAMutedMail", prepare: func(h *hand) { h.due(); h.again(muted); h.willClaim() }, call: claimAgain},
	{name: "ClaimOverBudget", prepare: func(h *hand) { h.in(onboarding.Sent); h.again(); h.willClaim() }, call: claimAgain},
	{name: "ClaimOfAKnownAddress", prepare: func(h *hand) { h.account(); h.again(); h.willClaim() }, call: claimAgain},
	{name: "ClaimOfAStrangersRequest", prepare: func(h *hand) { h.due(); h.ask(); h.willClaim() }, call: claimAgain},
	{name: "ClaimOfARequest", prepare: func(h *hand) { h.account(); h.ask(); h.willClaim() }, call: claimAgain},
	{name: "CommittingOverBudget", prepare: (*hand).usedUpSinceTheClaim, call: func(h *hand) (any, error) {
		_, err := commitAgain(7)(h)
		if errors.Is(err, onboarding.ErrRefused) {
			return "refused", nil
		}
		return nothing(err)
	}},
	{name: "CommittingOfARequest", prepare: func(h *hand) {
		h.account()
		h.ask()
		h.take(onboarding.Ref{Mail: h.mail, Gen: 1}, me)
	}, call: commitAgain(7)},
	{name: "SetDocument", prepare: fresh, call: func(h *hand) (any, error) {
		_, err := h.SetDocument(h.ctx, "ring", []byte{0, 255, ' '}, 0)
		return nothing(err)
	}},
}

// willClaim prepares a claim of the mail that the test is about.
func (h *hand) willClaim() { h.claim = h.newClaim(onboarding.Ref{Mail: h.mail, Gen: 1}, me) }

// usedUpSinceTheClaim is a mail about to be committed; another one to the same
// address, that was claimed together with it, was faster.
func (h *hand) usedUpSinceTheClaim() {
	h.t.Helper()
	slow := h.due()
	h.take(slow, me)
	claim := h.claim
	h.again()
	h.take(onboarding.Ref{Mail: h.mail, Gen: 1}, me)
	h.commit()
	h.claim, h.mail = claim, slow.Mail
}

// redeemSteps are the ways to a session.
func redeemSteps() (all []step) {
	for name, prepare := range map[string]func(h *hand){
		"TheFirst":  func(h *hand) { h.in(onboarding.Sent) },
		"Anothers":  func(h *hand) { h.account(); h.againSent() },
		"ARequest":  func(h *hand) { h.account(); h.ask(); h.sendMail() },
		"AnOlder":   func(h *hand) { h.due(); h.againSent(older) },
		"ALateOne":  func(h *hand) { h.in(onboarding.Sent); h.clock.Advance(h.policy.Expiry - time.Millisecond) },
		"AnUnknown": func(h *hand) { h.in(onboarding.Unknown) },
		"WithMore": func(h *hand) {
			h.in(onboarding.Sent)
			h.clock.Advance(time.Hour)
			_, _, err := h.Resend(h.ctx, signup.Resend{SignUp: h.mail.Subject(), Expiry: time.Hour, Most: 5})
			ok(h.t, err)
		},
	} {
		all = append(all, step{name: "RedeemOf" + name, prepare: prepare, call: func(h *hand) (any, error) {
			redeemed, err := h.Redeem(h.ctx, h.redemption(7))
			return fmt.Sprint(redeemed), err
		}})
	}
	return all
}

// rotation is from a number to the next.
func rotation(number int) signup.Rotation {
	return signup.Rotation{ID: session(1), Number: number, Hash: hash(number), Next: hash(number + 1), Grace: 30 * time.Second}
}

func (h *hand) rotate(number int) {
	h.t.Helper()
	_, err := h.Rotate(h.ctx, rotation(number))
	ok(h.t, err)
}

func rotateAgain(number int) func(h *hand) (any, error) {
	return func(h *hand) (any, error) { s, err := h.Rotate(h.ctx, rotation(number)); return s, err }
}

var sessionSteps = []step{
	{name: "Rotate", prepare: func(h *hand) { h.account(); h.clock.Advance(time.Hour) }, call: rotateAgain(0)},
	{name: "RotateTwice", prepare: func(h *hand) { h.account(); h.rotate(0); h.clock.Advance(time.Hour) }, call: rotateAgain(1)},
	{name: "RotateOfAUsedSecret", prepare: func(h *hand) { h.account(); h.rotate(0); h.clock.Advance(time.Hour) },
		call: func(h *hand) (any, error) {
			_, err := rotateAgain(0)(h)
			if errors.Is(err, signup.ErrReused) {
				err = nil
			}
			return nothing(err)
		}, again: signup.ErrNotFound},
	{name: "Seen", prepare: func(h *hand) { h.account(); h.clock.Advance(time.Hour) },
		call: func(h *hand) (any, error) { return nothing(h.Seen(h.ctx, session(1))) }},
	{name: "EndSession", prepare: func(h *hand) { h.everythingOfAnAccount() }, again: signup.ErrNotFound,
		call: func(h *hand) (any, error) { return nothing(h.EndSession(h.ctx, h.first(), session(2))) }},
	{name: "EndSessions", prepare: func(h *hand) { h.everythingOfAnAccount() }, call: func(h *hand) (any, error) {
		_, err := h.EndSessions(h.ctx, h.first())
		return nothing(err)
	}},
}

// first is the id of the first form.
func (h *hand) first() string { return "00000000-0000-4000-8000-000000000001" }

// leavingSteps take people out.
func leavingSteps() []step {
	all := []step{
		{name: "EraseOfAnAccount", prepare: func(h *hand) { h.everythingOfAnAccount() },
			call: func(h *hand) (any, error) { return nothing(h.Erase(h.ctx, h.first())) }},
		{name: "EraseBesideAnAccount", prepare: func(h *hand) { h.account(); h.againSent() },
			call: func(h *hand) (any, error) { return nothing(h.Erase(h.ctx, h.mail.Subject())) }},
	}
	for _, kind := range []string{"signups", "requests", "sessions"} {
		all = append(all, step{name: "PurgeOf_" + kind, prepare: (*hand).everythingToPurge, at: "\r\n" + kind + "\r\n",
			call: func(h *hand) (any, error) {
				_, err := h.Purge(h.ctx, retention)
				return nothing(err)
			}})
	}
	return all
}

// retention is what these tests purge by.
var retention = signup.Retention{Unconfirmed: 24 * time.Hour, SignIns: 24 * time.Hour, Limit: 1000}

// everythingToPurge leaves some of each kind for a purge, and some that stay.
func (h *hand) everythingToPurge() {
	h.t.Helper()
	h.everythingOfAnAccount()
	h.in(onboarding.Sent)
	h.clock.Advance(100 * time.Hour)
	h.in(onboarding.Sent)
	h.ask()
}

// handThrough is a hand on a server of its own, behind a proxy.
func handThrough(t *testing.T) (*hand, *redistest.Proxy) {
	t.Helper()
	proxy := redistest.NewProxy(t, redistest.Start(t, redistest.Options{}).Addr())
	return newHand(t, "redis://"+proxy.Addr()+"/0"), proxy
}

// A try is counted before it is answered, so that nobody has more of them than
// he should: one whose answer was lost is gone.
func TestATryWhoseAnswerWasLostWasCounted(t *testing.T) {
	h, proxy := handThrough(t)
	h.in(onboarding.Sent)
	_, err := h.Try(h.ctx, h.mail.Subject(), 2)
	ok(t, err)
	proxy.CutBeforeReply("EVALSHA", 1)
	if _, err := h.Try(h.ctx, h.mail.Subject(), 2); !errors.Is(err, signup.ErrUnavailable) || proxy.Cuts() != 1 {
		t.Fatalf("with its answer cut off (%d cuts) it says %v", proxy.Cuts(), err)
	}
	if _, err := h.Try(h.ctx, h.mail.Subject(), 2); !errors.Is(err, signup.ErrTries) {
		t.Errorf("a third try of two: %v, want %v", err, signup.ErrTries)
	}
}
