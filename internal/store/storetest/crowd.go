package storetest

import (
	"errors"
	"slices"
	"sync"
	"time"

	"bellhop/internal/address"
	"bellhop/internal/onboarding"
	"bellhop/internal/signup"
)

// crowd is an account with more of everything than a store handles at once.
type crowd struct {
	who     address.Address
	account signup.Person
	session string
	others  []string            // the account's other sign-ups, in the order of acceptance
	signIns []string            // its requests to sign in, in the order in which it asked
	mails   []onboarding.MailID // of both, in the order in which they were owed
}

// crowdSize is more than two pages of what stores page by.
const crowdSize = 2*signup.MostPeople + 5

func (w *world) crowd() *crowd {
	w.Helper()
	c := &crowd{who: w.someone()}
	c.account = w.account(c.who)
	c.session = w.sessions(c.account.ID)[0]
	for range crowdSize {
		w.Advance(time.Millisecond)
		signUp, request := w.acceptFor(c.who), w.ask(c.who)
		c.others, c.signIns = append(c.others, signUp.Subject()), append(c.signIns, request.Subject())
		c.mails = append(c.mails, signUp, request)
	}
	w.Advance(resendAfter) // another mail is within the budget again
	return c
}

// active counts those of a crowd's mails that could still be sent.
func (c *crowd) active(rows []onboarding.AuditRow) (n int) {
	for _, row := range rows {
		if slices.Contains(c.mails, row.ID) && slices.Contains(activeStates(), row.State) {
			n++
		}
	}
	return n
}

// isGone wants nothing of a crowd to be left but its mails, called off.
func (w *world) isGone(c *crowd) {
	w.Helper()
	for _, id := range append(slices.Clone(c.others), c.account.ID) {
		_, err := w.Store.Person(w.ctx, id)
		w.wantErr(err, signup.ErrNotFound)
	}
	for _, id := range c.signIns {
		_, err := w.Store.Try(w.ctx, id, 5)
		w.wantErr(err, signup.ErrNotFound)
	}
	w.noSession(c.session)
	equal(w, "mails that can still be sent", c.active(w.rows()), 0)
}

// eraseFullSteps erases accounts with about as much as one step handles, of one
// kind: the last of it is not forgotten.
func eraseFullSteps(w *world) {
	const full = 100
	for _, more := range []int{-1, 0, 1, 2} {
		signUps, requests := w.someone(), w.someone()
		accounts := []signup.Person{w.account(signUps), w.account(requests)}
		var mails []onboarding.MailID
		for range full + more {
			mails = append(mails, w.acceptFor(signUps), w.ask(requests))
		}
		for _, account := range accounts {
			w.must(w.Store.Erase(w.ctx, account.ID))
			_, err := w.Store.Person(w.ctx, account.ID)
			w.wantErr(err, signup.ErrNotFound)
		}
		equal(w, "people", len(w.peopleOf(signUps)), 0)
		equal(w, "mails that can still be sent", (&crowd{mails: mails}).active(w.rows()), 0)
	}
}

func eraseCrowd(w *world) {
	c, bystander := w.crowd(), w.accept()
	held, committed := w.claim(c.mails[0]), w.committing(c.mails[len(c.mails)-1])
	w.must(w.Store.Erase(w.ctx, c.account.ID))
	w.wantErr(w.Store.Committing(w.ctx, held.Claim, rendered(held)), onboarding.ErrRefused)
	w.wantErr(w.Store.Check(w.ctx, committed.Claim), onboarding.ErrRefused)
	equal(w, "how a mail ends that was being sent", w.record(committed.Claim, to(onboarding.Due)), onboarding.Cancelled)
	w.isGone(c)
	equal(w, "people", len(w.peopleOf(c.who)), 0)
	w.person(bystander.Subject())
	w.isIn(bystander, onboarding.Due)
	w.reopen()
	w.isGone(c)
}

// eraseCrowdBesideOthers erases a crowd twice at once, while others sign up, ask
// and redeem with its address. Whoever is answered finds all of it gone.
func eraseCrowdBesideOthers(w *world) {
	c := w.crowd()
	late := w.redemption(w.sent(c.mails[len(c.mails)-2]), c.who)
	var busy sync.WaitGroup
	erased := make(chan struct{})
	for i := range 2 {
		busy.Go(func() {
			if err := w.caller(i).Erase(w.ctx, c.account.ID); err != nil {
				w.Errorf("erase: %v", err)
			}
			rows, err := allRows(w.ctx, w.caller(i))
			if n := c.active(rows); err != nil || n > 0 {
				w.Errorf("when the erasure was answered %d mails could still be sent (%v)", n, err)
			}
			if i == 0 {
				close(erased)
			}
		})
	}
	came := make(chan string, 1000)
	requests := make([]signup.SignInRequest, cap(came))
	forms := make([]signup.Acceptance, cap(came))
	for i := range forms {
		forms[i], requests[i] = w.formOf(c.who), w.request(c.who)
	}
	busy.Go(func() {
		defer close(came)
		for i := range forms {
			select {
			case <-erased:
				return
			default:
			}
			_, err := w.caller(i).Accept(w.ctx, forms[i])
			_, _, resend := w.caller(i).Resend(w.ctx, signup.Resend{SignUp: c.others[i%len(c.others)], Expiry: time.Hour, Most: 2})
			if err := errors.Join(err, w.caller(i).Ask(w.ctx, requests[i]), resend); err != nil {
				w.Errorf("beside an erasure: %v", err)
			}
			came <- forms[i].Person.ID
		}
	})
	busy.Go(func() {
		if _, err := w.caller(1).Redeem(w.ctx, late); err != nil && !errors.Is(err, signup.ErrLinkDead) {
			w.Errorf("redeem beside an erasure: %v", err)
		}
	})
	busy.Wait()
	w.isGone(c)
	w.noSession(late.Session.ID)
	for id := range came { // before the erasure was done, or after it, when the address was nobody's
		p, err := w.Store.Person(w.ctx, id)
		if err == nil && p.Status != signup.Pending || err != nil && !errors.Is(err, signup.ErrNotFound) {
			w.Errorf("who came beside the erasure is %s, %v", p.Status, err)
		}
	}
	w.redeemFails(late, signup.ErrLinkDead)
	w.Advance(resendAfter)
	w.account(c.who) // the address is free
}

// exportCrowd wants everything of a crowd, once and in order.
func exportCrowd(w *world) {
	c := w.crowd()
	stranger := w.account(w.someone())
	d := w.dossier(c.account.ID)
	var others, signIns []string
	for _, p := range d.SignUps {
		others = append(others, p.ID)
	}
	for _, r := range d.SignIns {
		signIns = append(signIns, r.ID)
	}
	sameIDs(w, "other sign-ups", others, c.others)
	sameIDs(w, "requests to sign in", signIns, c.signIns)
	samePerson(w, "the last sign-up", d.SignUps[crowdSize-1], w.person(c.others[crowdSize-1]))
	var mails []onboarding.MailID
	for _, m := range d.Mails {
		mails = append(mails, m.ID)
		if m.State == "" || m.Created.IsZero() || m.ID.Subject() == stranger.ID {
			w.Fatalf("a mail in the dossier is %+v", m)
		}
	}
	own := []onboarding.MailID{onboarding.NewMailID(c.account.ID, onboarding.SignUp, 1), onboarding.NewMailID(c.account.ID, onboarding.Welcome, 1)}
	if want := append(own, c.mails...); !slices.Equal(mails, want) {
		w.Fatalf("the mails are %v, want %v", mails, want)
	}
	equal(w, "sessions", len(d.Sessions), 1)
	equal(w, "charges", len(d.Charged[onboarding.BudgetSignUp]), 1)
}

// exportCrowdWhileItGoes exports a crowd while others sign up with its address,
// and while it is erased: what is there all the time is there once, and of an
// account that is gone there is nothing.
func exportCrowdWhileItGoes(w *world) {
	c := w.crowd()
	var busy sync.WaitGroup
	busy.Go(func() {
		for i, id := range c.others[:crowdSize/2] {
			if err := w.caller(i).Erase(w.ctx, id); err != nil {
				w.Errorf("erase: %v", err)
			}
		}
	})
	stay := c.others[crowdSize/2:]
	for range 5 {
		times := map[string]int{}
		for _, p := range w.dossier(c.account.ID).SignUps {
			times[p.ID]++
		}
		for _, id := range c.others {
			if n := times[id]; n > 1 || n == 0 && slices.Contains(stay, id) {
				w.Errorf("a sign-up is there %d times", n)
			}
		}
	}
	busy.Wait()
	busy.Go(func() {
		if err := w.caller(1).Erase(w.ctx, c.account.ID); err != nil {
			w.Errorf("erase: %v", err)
		}
	})
	for there := true; there; {
		d, err := w.Store.Export(w.ctx, c.account.ID)
		if there = err == nil; there {
			samePerson(w, "the account", d.Person, c.account)
		} else {
			w.wantErr(err, signup.ErrNotFound)
		}
	}
	busy.Wait()
}

// othersOf lists the others of an address, page by page, and calls between after
// each page.
func (w *world) othersOf(to address.Address, between func(page []signup.Person)) (ids []string) {
	w.Helper()
	for next, more := "", true; more; {
		page, after, err := w.Store.Others(w.ctx, to.Fingerprint(secret), next)
		w.must(err)
		if len(page) > signup.MostPeople {
			w.Fatalf("a page has %d people, want %d at most", len(page), signup.MostPeople)
		}
		for _, p := range page {
			ids = append(ids, p.ID)
		}
		next, more = after, after != ""
		between(page)
	}
	return ids
}

func othersInOrder(w *world) {
	c := w.crowd()
	pages := 0
	ids := w.othersOf(c.who, func(page []signup.Person) {
		samePerson(w, "one of the others", page[0], w.person(page[0].ID))
		pages++
	})
	sameIDs(w, "the others", ids, c.others)
	equal(w, "pages", pages, 3)
	who := w.someone()
	for range 2 * signup.MostPeople { // of whom none is an account
		ids = append(ids, w.acceptFor(who).Subject())
	}
	sameIDs(w, "others than no account", w.othersOf(who, func([]signup.Person) {}), ids[crowdSize:])
}

func othersGoOn(w *world) {
	c := w.crowd()
	var gone []string
	ids := w.othersOf(c.who, func(page []signup.Person) {
		for _, i := range []int{0, len(page) - 1} {
			w.must(w.Store.Erase(w.ctx, page[i].ID))
			gone = append(gone, page[i].ID)
		}
	})
	sameIDs(w, "the others", ids, c.others)
	left := slices.DeleteFunc(slices.Clone(c.others), func(id string) bool { return slices.Contains(gone, id) })
	sameIDs(w, "those who are left", w.othersOf(c.who, func([]signup.Person) {}), left)
}

func othersOfNobody(w *world) {
	who := w.someone()
	w.account(who)
	w.acceptFor(w.someone())
	w.stored(w.ofOlderProgram(who))
	equal(w, "others", len(w.othersOf(who, func([]signup.Person) {})), 0)
	_, _, err := w.Store.Others(w.ctx, who.Fingerprint(secret), "nothing")
	if err == nil {
		w.Fatal("what is no cursor is taken for one")
	}
}
