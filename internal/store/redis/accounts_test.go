package redis_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"bellhop/internal/onboarding"
	"bellhop/internal/redisdb"
	"bellhop/internal/redistest"
	"bellhop/internal/signup"
	"bellhop/internal/store/redis"
)

// charged is when sign-up mails were charged to whom the latest form was about.
func (h *hand) charged() (times []string) {
	h.t.Helper()
	key := fmt.Sprintf("{bellhop}:charged:%x", fingerprint(h.person()))
	return strings.Fields(h.raw().HGet(h.ctx, key, string(onboarding.BudgetSignUp)).Val())
}

// The keys of a store are not without end: no more is remembered of a budget
// than what its allowances count, and nothing when its time is over.
func TestABudgetRemembersNoMoreThanItsAllowancesCount(t *testing.T) {
	h := startHand(t)
	h.in(onboarding.Sent)
	for range 9 {
		h.clock.Advance(12 * time.Hour)
		h.again()
		h.sendMail()
	}
	want := []string{}
	for ago := 2; ago >= 0; ago-- {
		want = append(want, fmt.Sprint(h.clock.Now().Add(-time.Duration(ago)*12*time.Hour).UnixMilli()))
	}
	if got := h.charged(); !slices.Equal(got, want) {
		t.Errorf("after ten mails the times of %v are remembered, want the latest three: %v", got, want)
	}
	sound(t, h.Store, h.url)
	h.clock.Advance(24*time.Hour - time.Millisecond)
	h.sweep()
	if got := h.charged(); !slices.Equal(got, want[2:]) {
		t.Errorf("a day after the last mail %v are remembered, want %v", got, want[2:])
	}
	h.clock.Advance(time.Millisecond)
	h.sweep()
	left, err := h.raw().Exists(h.ctx, fmt.Sprintf("{bellhop}:charged:%x", fingerprint(1)), "{bellhop}:charges").Result()
	ok(t, err)
	entries, err := h.raw().XLen(h.ctx, "{bellhop}:charges").Result()
	ok(t, err)
	if left > 1 || entries > 0 {
		t.Errorf("there are %d keys of budgets, and %d charges in the log, want none", left-1, entries)
	}
}

// C1.9: what was charged in the future, before the clock was set back, counts
// from then on, and hides nothing behind it.
func TestChargesFromTheFutureKeepNothingForEver(t *testing.T) {
	h := startHand(t)
	const year = 365 * 24 * time.Hour
	h.clock.Advance(year)
	h.in(onboarding.Sent)
	h.againSent()
	h.clock.Advance(-year)
	h.againSent()
	h.sweep()
	now := fmt.Sprint(h.clock.Now().UnixMilli())
	if got, want := h.charged(), []string{now, now, now}; !slices.Equal(got, want) {
		t.Errorf("the charges are at %v, want %v", got, want)
	}
	sound(t, h.Store, h.url)
	h.clock.Advance(24 * time.Hour)
	for more := true; more; {
		swept, err := h.Sweep(h.ctx, me, 1) // one by one
		ok(t, err)
		more = swept.More
	}
	if got := h.charged(); len(got) != 0 {
		t.Errorf("a day later there are charges at %v", got)
	}
}

// A sender that knows a mail is sent is believed when the store has lost that it
// was committing: it has lost the charge, too.
func TestAMailThatWasSentUnknownToTheStoreIsCharged(t *testing.T) {
	h := startHand(t)
	h.sending()
	h.record(onboarding.Sent)
	if got := h.charged(); len(got) != 1 || h.row(1)["mint"] != "1" {
		t.Errorf("charged at %v, with mint %s; want once, and the first mint", got, h.row(1)["mint"])
	}
	h.again()
	h.willClaim()
	held, err := h.Claim(h.ctx, h.claim)
	ok(t, err)
	if held.State != onboarding.Suppressed {
		t.Errorf("the next mail to the same address is %s, want it suppressed", held.State)
	}

	h.clock.Advance(time.Hour)
	h.in(onboarding.Due) // which was charged
	h.clock.Advance(time.Hour)
	h.take(onboarding.Ref{Mail: h.mail, Gen: 2}, me)
	h.record(onboarding.Unknown)
	h.clock.Advance(h.policy.UnknownPause)
	h.sweep()
	h.take(onboarding.Ref{Mail: h.mail, Gen: 3}, me)
	h.record(onboarding.Sent)
	if got := h.charged(); len(got) != 1 || h.row(3)["mint"] != "2" {
		t.Errorf("charged at %v, with mint %s; want once, and the mint of the first that may have arrived", got, h.row(3)["mint"])
	}
	sound(t, h.Store, h.url)
}

// A long name makes Redis keep the fields of a sign-up in no order.
func TestTheLatestMailIsThatOfTheHighestStep(t *testing.T) {
	h := startHand(t)
	for number := range 20 {
		a := form(h.nextID(), h.person(), false)
		a.Person.First = strings.Repeat("x", 100)
		for step := 2; step <= 12; step++ {
			a.Mails = append(a.Mails, onboarding.Owed{ID: onboarding.NewMailID(a.Person.ID, onboarding.SignUp, step), Expiry: time.Hour})
		}
		_, err := h.Accept(h.ctx, a)
		ok(t, err)
		p, err := h.Progress(h.ctx, a.Person.ID)
		ok(t, err)
		if p.Step != 12 {
			t.Fatalf("the latest mail of sign-up %d is of step %d, want 12", number, p.Step)
		}
	}
}

// A link may name a mail that is not there, of somebody who is.
func TestALinkToAMailThatIsNotThereIsDead(t *testing.T) {
	h := startHand(t)
	h.in(onboarding.Sent)
	r := h.redemption(1)
	r.Mail = onboarding.NewMailID(h.mail.Subject(), onboarding.SignUp, 2)
	_, err := h.Redeem(h.ctx, r)
	_, looked := h.Mint(h.ctx, r.Mail)
	if !errors.Is(err, signup.ErrLinkDead) || !errors.Is(looked, signup.ErrLinkDead) {
		t.Errorf("redeeming it: %v; looking at it: %v; want %v", err, looked, signup.ErrLinkDead)
	}
}

// Of a mail that was purged its name is left, and that is said; and that it was
// as old as its sign-up.
func TestWhatIsToldOfAPurgedMail(t *testing.T) {
	h := startHand(t)
	h.in(onboarding.Sent)
	h.clock.Advance(h.policy.Retention)
	h.sweep()
	dossier, err := h.Export(h.ctx, h.mail.Subject())
	ok(t, err)
	if want := (signup.MailRecord{ID: h.mail, State: onboarding.Purged}); len(dossier.Mails) != 1 || dossier.Mails[0] != want {
		t.Errorf("mails are %+v, want %+v", dossier.Mails, want)
	}
	p, err := h.Progress(h.ctx, h.mail.Subject())
	ok(t, err)
	if want := (signup.Progress{State: onboarding.Purged, Step: 1, Age: h.policy.Retention}); p != want {
		t.Errorf("progress is %+v, want %+v", p, want)
	}
}

// The names of mails that are owed to a request to sign in go with the last
// that is left of them, whichever that is: people sign in for years.
func TestOfARequestThatIsOverNothingIsLeft(t *testing.T) {
	for name, ends := range map[string][]func(h *hand){
		"TheRequestFirst": {(*hand).purgeAll, (*hand).sweep},
		"TheMailFirst":    {(*hand).sweep, (*hand).purgeAll},
	} {
		t.Run(name, func(t *testing.T) {
			h := startHand(t)
			h.account()
			id := h.ask()
			h.sendMail()
			h.clock.Advance(h.policy.Retention)
			ends[0](h)
			if !h.raw().HExists(h.ctx, "{bellhop}:subject:"+id, "mail:sign-in.1").Val() {
				t.Error("half of it is over, and the mail has no name any more")
			}
			sound(t, h.Store, h.url)
			ends[1](h)
			for key, value := range dump(t, h.url) {
				if strings.Contains(key+value, id) {
					t.Errorf("%s is still in %s: %s", id, key, value)
				}
			}
			sound(t, h.Store, h.url)
		})
	}
}

func (h *hand) purgeAll() {
	h.t.Helper()
	_, err := h.Purge(h.ctx, retention)
	ok(h.t, err)
}

// Each sign-up is judged once, in pages, and those that stay hide none.
func TestPurgeGoesThroughAllSignUpsOnce(t *testing.T) {
	h := startHand(t)
	for range 130 { // more than a page
		h.due()
		if h.person()%2 == 0 {
			ok(t, h.Erase(h.ctx, h.mail.Subject()))
		}
	}
	h.clock.Advance(25 * time.Hour)
	h.due()
	var gone []int
	for more := true; more; {
		purged, err := h.Purge(h.ctx, signup.Retention{Unconfirmed: 24 * time.Hour, SignIns: time.Hour, Limit: 40})
		ok(t, err)
		gone, more = append(gone, purged.SignUps), purged.More
	}
	if want := []int{40, 25}; !slices.Equal(gone, want) {
		t.Errorf("%v were purged at a time, want %v", gone, want)
	}
	if judged := h.raw().Get(h.ctx, "{bellhop}:judged").Val(); judged != "130" {
		t.Errorf("sign-ups were judged up to %s, want 130", judged)
	}
	sound(t, h.Store, h.url)
}

// C1.9: what was stored in the future, before the clock was set back, is kept
// for its time from then on, and keeps nothing behind it for longer.
func TestPurgeDoesNotWaitForTheFuture(t *testing.T) {
	h := startHand(t)
	const year = 365 * 24 * time.Hour
	h.clock.Advance(year)
	account := h.account() // which is in the way, and stays
	before, err := h.Person(h.ctx, account)
	ok(t, err)
	ok(t, h.EndSession(h.ctx, account, session(1)))
	h.ask()
	for range 3 {
		h.due()
	}
	gone := h.account()
	h.ask()
	ok(t, h.Erase(h.ctx, gone))
	h.clock.Advance(-year)
	h.due()
	h.ask()
	for _, want := range []signup.Purged{{}, {SignUps: 4, SignIns: 2}} {
		purged, err := h.Purge(h.ctx, signup.Retention{Unconfirmed: time.Hour, SignIns: time.Hour, Limit: 100})
		ok(t, err)
		if purged != want {
			t.Errorf("purged %+v, want %+v", purged, want)
		}
		sound(t, h.Store, h.url)
		h.clock.Advance(time.Hour + time.Second)
	}
	if after, err := h.Person(h.ctx, account); err != nil || !after.Accepted.Equal(before.Accepted) {
		t.Errorf("the account is of %v now, %v; it was of %v", after.Accepted, err, before.Accepted)
	}
}

// What a clock that was ahead has made of a session is put right when it is
// next used.
func TestASessionFromTheFutureIsSeenNow(t *testing.T) {
	h := startHand(t)
	h.clock.Advance(24 * time.Hour)
	account := h.account()
	h.clock.Advance(-24 * time.Hour)
	ok(t, h.Seen(h.ctx, session(1)))
	h.clock.Advance(48*time.Hour - time.Millisecond)
	for _, want := range []int{1, 0} {
		sessions, err := h.Sessions(h.ctx, account)
		ok(t, err)
		dossier, err := h.Export(h.ctx, account)
		ok(t, err)
		if len(sessions) != want || len(dossier.Sessions) != want {
			t.Errorf("%d sessions are there, and %d are exported, want %d", len(sessions), len(dossier.Sessions), want)
		}
		h.clock.Advance(time.Millisecond)
	}
	sound(t, h.Store, h.url)
}

// A sign-up of an older program comes before all others of its address.
func TestASignUpOfAnOlderProgramJoinsTheOthers(t *testing.T) {
	h := startHand(t)
	h.due()
	h.again(older)
	old := h.mail.Subject()
	h.sendMail()
	h.again()
	r := h.redemption(1)
	r.Mail, r.Fingerprint = onboarding.NewMailID(old, onboarding.SignUp, 1), [16]byte{}
	h.unchanged("a redemption without a fingerprint", func() {
		if _, err := h.Redeem(h.ctx, r); err == nil {
			t.Error("an address was confirmed that nobody knows")
		}
	})
	r.Fingerprint = fingerprint(h.person())
	redeemed, err := h.Redeem(h.ctx, r)
	ok(t, err)
	people, err := h.People(h.ctx, r.Fingerprint)
	ok(t, err)
	if len(people) != 3 || people[0].ID != old || redeemed.Account.ID != old {
		t.Errorf("people are %v, want three, and first %s", people, old)
	}
	sound(t, h.Store, h.url)
}

// B7.7: nothing of a person is left in any key, whatever they did; but for what
// was charged to their address.
func TestAfterErasingAnAccountNothingOfItIsLeft(t *testing.T) {
	h := startHand(t)
	id := h.everythingOfAnAccount()
	words := []string{"First1", "person1", fmt.Sprintf("%x", fingerprint(1)), session(1), session(2), fmt.Sprintf("%x", hash(0)), "2026-02", "locale:de", "not now"}
	for _, word := range words {
		if !strings.Contains(fmt.Sprint(dump(t, h.url)), word) {
			t.Errorf("%q is not there even before: this test proves nothing", word)
		}
	}
	ok(t, h.Erase(h.ctx, id))
	for _, word := range words {
		for key, value := range dump(t, h.url) {
			if strings.Contains(key+value, word) && !strings.HasPrefix(key, "{bellhop}:charge") {
				t.Errorf("%q is still in %s: %s", word, key, value)
			}
		}
	}
	h.purgeAll()
	sound(t, h.Store, h.url)
}

// What a server threw away that was allowed to is gone, and stops nothing else.
func TestAnAccountThatVanishedStopsNothing(t *testing.T) {
	h := startHand(t)
	account := h.account()
	h.ask()
	h.sendMail()
	r := h.redemption(2)
	ok(t, h.raw().Del(h.ctx, fmt.Sprintf("{bellhop}:account:%x", fingerprint(1))).Err())
	if _, err := h.Redeem(h.ctx, r); !errors.Is(err, signup.ErrLinkDead) {
		t.Errorf("a link to the account of an address that is none's: %v, want %v", err, signup.ErrLinkDead)
	}
	ok(t, h.raw().Set(h.ctx, fmt.Sprintf("{bellhop}:account:%x", fingerprint(1)), account, 0).Err())
	h.ask()
	ok(t, h.raw().Del(h.ctx, "{bellhop}:subject:"+account).Err())
	if _, _, err := h.Session(h.ctx, session(1)); !errors.Is(err, signup.ErrNotFound) {
		t.Errorf("the session of an account that is gone: %v, want %v", err, signup.ErrNotFound)
	}
	h.willClaim()
	if held, err := h.Claim(h.ctx, h.claim); err != nil || held.State != onboarding.Cancelled {
		t.Errorf("a mail to an account that is gone is %s, %v; want it cancelled", held.State, err)
	}
	ok(t, h.raw().Del(h.ctx, "{bellhop}:session:"+session(1)).Err())
	h.clock.Advance(1000 * time.Hour)
	purged, err := h.Purge(h.ctx, retention)
	ok(t, err)
	if want := (signup.Purged{SignIns: 2, Sessions: 1}); purged != want {
		t.Errorf("purged %+v, want %+v", purged, want)
	}
}

// A store that a program without accounts has written is used as it is, and
// none of that program starts on it any more.
func TestAStoreOfTheFormBefore(t *testing.T) {
	server := redistest.Start(t, redistest.Options{})
	for db, tt := range []struct {
		version, stage string
		command        bool
		after          string // the version
		fits           bool
	}{
		{"", "", false, "2", true},
		{"1", "", false, "2", true},
		{"1", "", true, "1", true},
		{"1", "leaving", false, "2", true},
		{"1", "stayed", false, "2", true},
		{"1", "arrived", false, "2", true},
		{"1", "left", false, "1", false},
		{"1", "filling", false, "1", false},
		{"2", "", false, "2", true},
		{"3", "", false, "3", false},
		{"3", "leaving", false, "3", false},
	} {
		t.Run(fmt.Sprintf("%s%s%v", tt.version, tt.stage, tt.command), func(t *testing.T) {
			h := &hand{t: t, ctx: within(t), url: server.URL(db)}
			if tt.version != "" {
				ok(t, h.raw().Set(h.ctx, "{bellhop}:version", tt.version, 0).Err())
			}
			if tt.stage != "" {
				ok(t, h.raw().HSet(h.ctx, "{bellhop}:move", "stage", tt.stage).Err())
			}
			client, err := redisdb.Open(redisdb.Settings{URL: h.url})
			ok(t, err)
			defer client.Close()
			s, err := redis.Open(h.ctx, redis.Options{Client: client, Policy: onboarding.DefaultPolicy(), Command: tt.command})
			if (err == nil) != tt.fits {
				t.Errorf("opening it: %v", err)
			}
			if s != nil {
				ok(t, s.Close())
			}
			if got := h.raw().Get(h.ctx, "{bellhop}:version").Val(); got != tt.after {
				t.Errorf("its version is %q then, want %q", got, tt.after)
			}
			if got := h.raw().HGet(h.ctx, "{bellhop}:move", "stage").Val(); tt.fits && got == "leaving" || !tt.fits && got != tt.stage {
				t.Errorf("it is %q then", got)
			}
		})
	}
}
