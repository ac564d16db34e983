package redis_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"bellhop/internal/address"
	"bellhop/internal/onboarding"
	"bellhop/internal/redistest"
	"bellhop/internal/signup"

	goredis "github.com/redis/go-redis/v9"
)

// C1.6 for people: no step takes longer because there are many accounts,
// sessions, requests and charges, of many people or of one.
func TestNoStepTakesLongerAmongManyAccounts(t *testing.T) {
	server := redistest.Start(t, redistest.Options{})
	few, many := town(t, server.URL(0), 30), town(t, server.URL(1), rounds(3000, 1000))
	for name, step := range everydayOfAccounts {
		hardlyLonger(t, name, few.shortest(step), func() time.Duration { return many.shortest(step) })
	}
}

// town is a store with so many accounts, sign-ups that were not confirmed, and
// requests to sign in.
func town(t *testing.T, url string, people int) *hand {
	t.Helper()
	h := newHand(t, url)
	h.clock.Advance(-time.Hour)
	for number := range people {
		h.in(onboarding.Sent)
		h.redeem(1000 + number)
		h.ask()
		h.again()
	}
	h.clock.Advance(time.Hour)
	return h
}

// everydayOfAccounts is what people do.
var everydayOfAccounts = map[string]timed{
	"AcceptAgain": {call: func(h *hand) error { h.again(); return nil }},
	"Others":      {call: func(h *hand) error { _, _, err := h.Others(h.ctx, fingerprint(1), ""); return err }},
	"People":      {call: func(h *hand) error { _, err := h.People(h.ctx, fingerprint(1)); return err }},
	"Progress":    {call: func(h *hand) error { _, err := h.Progress(h.ctx, h.first()); return err }},
	"Resend": {prepare: func(h *hand) { h.due() }, call: func(h *hand) error {
		_, _, err := h.Resend(h.ctx, signup.Resend{SignUp: h.mail.Subject(), Expiry: time.Hour, Most: 5})
		return err
	}},
	"Ask":  {call: func(h *hand) error { return h.Ask(h.ctx, h.request()) }},
	"Mint": {prepare: func(h *hand) { h.in(onboarding.Sent) }, call: func(h *hand) error { _, err := h.Mint(h.ctx, h.mail); return err }},
	"Try": {prepare: func(h *hand) { h.in(onboarding.Sent) },
		call: func(h *hand) error { _, err := h.Try(h.ctx, h.mail.Subject(), 5); return err }},
	"Redeem": {prepare: func(h *hand) { h.in(onboarding.Sent) },
		call: func(h *hand) error { _, err := h.Redeem(h.ctx, h.redemption(10_000+h.forms)); return err }},
	"Claim": {prepare: func(h *hand) { h.ask(); h.willClaim() },
		call: func(h *hand) error { _, err := h.Claim(h.ctx, h.claim); return err }},
	"Session":  {call: func(h *hand) error { _, _, err := h.Session(h.ctx, session(1000)); return err }},
	"Seen":     {call: func(h *hand) error { h.clock.Advance(2 * time.Minute); return h.Seen(h.ctx, session(1000)) }},
	"Sessions": {call: func(h *hand) error { _, err := h.Sessions(h.ctx, h.first()); return err }},
	"Export":   {call: func(h *hand) error { _, err := h.Export(h.ctx, h.first()); return err }},
	"Erase": {prepare: func(h *hand) { h.in(onboarding.Sent); h.redeem(20_000 + h.forms) },
		call: func(h *hand) error { return h.Erase(h.ctx, h.mail.Subject()) }},
	"EndSession": {prepare: func(h *hand) { h.in(onboarding.Sent); h.redeem(30_000 + h.forms) },
		call: func(h *hand) error { return h.EndSession(h.ctx, h.mail.Subject(), session(30_000+h.forms)) }},
	"Purge": {call: func(h *hand) error {
		_, err := h.Purge(h.ctx, signup.Retention{Unconfirmed: 24 * time.Hour, SignIns: 24 * time.Hour, Limit: 10})
		return err
	}},
	"Sweep": {call: func(h *hand) error { _, err := h.Sweep(h.ctx, me, 5); return err }},
}

// Whoever has much, or whom somebody else gave much, holds up nobody: what is done
// with it is more steps, and none of them a longer one.
func TestNoStepTakesLongerForWhomMuchIsHeld(t *testing.T) {
	h := startHand(t)
	for _, step := range []struct {
		name string
		call func(account string) error
	}{
		{"Erase", func(account string) error { return h.Erase(h.ctx, account) }},
		{"Others", func(string) error { return h.pagesOfOthers(fingerprint(h.person()), func([]signup.Person) {}) }},
		{"Export", func(account string) error { _, err := h.Export(h.ctx, account); return err }},
	} {
		hardlyLonger(t, step.name, h.longestStep(250, step.call), func() time.Duration { return h.longestStep(rounds(2500, 1500), step.call) })
	}
}

// pagesOfOthers hands on who else has signed up with an address, page by page.
func (h *hand) pagesOfOthers(f address.Fingerprint, hand func(page []signup.Person)) error {
	for next, more := "", true; more; {
		page, after, err := h.Others(h.ctx, f, next)
		if err != nil {
			return err
		}
		hand(page)
		next, more = after, after != ""
	}
	return nil
}

// longestStep is how long the server is busy at once, at most, with a call about
// an account that has so many sign-ups and requests to sign in. Each of the call's
// steps counts with the best of its times: on a busy machine there is always one
// that was interrupted.
func (h *hand) longestStep(size int, call func(account string) error) time.Duration {
	h.t.Helper()
	best := h.stepsOf(size, call)
	for range 2 {
		again := h.stepsOf(size, call)
		if len(again) != len(best) {
			h.t.Fatalf("the same call took %d steps and %d", len(best), len(again))
		}
		for i := range best {
			best[i] = min(best[i], again[i])
		}
	}
	longest := slices.Max(best)
	if longest == 0 {
		h.t.Fatalf("none of %d steps took any time: the test looks in the wrong place", len(best))
	}
	return longest
}

// stepsOf is how long the server was busy with each step of a call.
func (h *hand) stepsOf(size int, call func(account string) error) (took []time.Duration) {
	h.t.Helper()
	account := h.crowd(size)
	log := h.raw()
	ok(h.t, log.ConfigSet(h.ctx, "slowlog-max-len", "100000").Err())
	ok(h.t, log.ConfigSet(h.ctx, "slowlog-log-slower-than", "0").Err())
	ok(h.t, log.Do(h.ctx, "SLOWLOG", "RESET").Err())
	ok(h.t, call(account))
	ok(h.t, log.ConfigSet(h.ctx, "slowlog-log-slower-than", "-1").Err())
	entries, err := log.SlowLogGet(h.ctx, -1).Result()
	ok(h.t, err)
	for _, entry := range entries {
		if strings.EqualFold(entry.Args[0], "EVALSHA") {
			took = append(took, entry.Duration)
		}
	}
	return took
}

// crowd is an account with so many more sign-ups, and requests to sign in.
func (h *hand) crowd(size int) (account string) {
	h.t.Helper()
	h.in(onboarding.Sent)
	account = h.redeem(40_000 + h.forms).Account.ID
	for range size {
		h.again()
		h.ask()
	}
	return account
}

// A page ends with somebody who may have gone when the next is asked for. Those of
// older programs all have one place in the order.
func TestAPageGoesOnBehindOneWhoHasGone(t *testing.T) {
	h := startHand(t)
	account := h.account()
	const many = 2*signup.MostPeople + 50
	of := fmt.Sprintf("{bellhop}:of:%x", fingerprint(1))
	left := make(map[string]bool)
	for range many {
		h.again()
		left[h.mail.Subject()] = true
		ok(t, h.raw().ZAdd(h.ctx, of, goredis.Z{Score: 0, Member: h.mail.Subject()}).Err())
	}
	ok(t, h.pagesOfOthers(fingerprint(1), func(page []signup.Person) {
		for _, p := range page {
			delete(left, p.ID)
		}
		if len(page) > 0 {
			ok(t, h.Erase(h.ctx, page[len(page)-1].ID))
		}
	}))
	if len(left) > 0 {
		t.Errorf("%d of %d were left out", len(left), many)
	}
	ok(t, h.Erase(h.ctx, account))
}

// Whoever is not answered can ask again: until the last step the account is there.
func TestAnErasureThatStopsInTheMiddleCanBeMadeAgain(t *testing.T) {
	h, proxy := handThrough(t)
	if err := h.Erase(h.ctx, session(1)); !errors.Is(err, signup.ErrNotFound) { // from now on the server knows the script
		t.Fatal(err)
	}
	account := h.crowd(250)
	for cut, want := range []int64{500 - 100, 500 - 200} { // a step whose answer was lost was made
		proxy.CutBeforeReply("EVALSHA", 1)
		if err := h.Erase(h.ctx, account); !errors.Is(err, signup.ErrUnavailable) {
			t.Fatalf("with its answer cut off it says %v", err)
		}
		p, err := h.Person(h.ctx, account)
		if err != nil || p.Status != signup.Confirmed {
			t.Errorf("in the middle the account is %s, %v", p.Status, err)
		}
		if left := h.goesWith(); left != want {
			t.Errorf("%d of what goes with it are left after %d steps, want %d", left, cut+1, want)
		}
	}
	ok(t, h.Erase(h.ctx, account))
	if _, err := h.Person(h.ctx, account); !errors.Is(err, signup.ErrNotFound) || h.goesWith() > 0 {
		t.Errorf("at the end the account: %v; %d of what goes with it are left", err, h.goesWith())
	}
	for id, row := range audit(t, h.Store) {
		if row.State == onboarding.Due {
			t.Errorf("mail %s is still due", id)
		}
	}
	sound(t, h.Store, h.url)
}

// goesWith counts the other sign-ups and the requests to sign in of whom the
// latest form was about.
func (h *hand) goesWith() int64 {
	h.t.Helper()
	of, err := h.raw().ZCard(h.ctx, fmt.Sprintf("{bellhop}:of:%x", fingerprint(h.person()))).Result()
	ok(h.t, err)
	asked, err := h.raw().ZCard(h.ctx, fmt.Sprintf("{bellhop}:asked:%x", fingerprint(h.person()))).Result()
	ok(h.t, err)
	return max(0, of-1) + asked // the account is one of them
}
