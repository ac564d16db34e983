package storetest

import (
	"slices"
	"time"

	"bellhop/internal/address"
	"bellhop/internal/onboarding"
	"bellhop/internal/signup"
)

// tried is how many codes fillTried has tried.
const tried = 3

// citizens names what fillAccounts made, for the tests that ask for one of it.
type citizens struct {
	owner     signup.Person // an account with all that can be around one
	confirmed signup.Redemption
	rival     onboarding.Held // another sign-up of the owner's, whose link was not used
	discarded string          // one whose names were discarded when it was
	signedIn  signup.Redemption
	asked     onboarding.Held // a request of the owner's, whose link was not used

	api    signup.NewSession // rotated twice
	hashes [][32]byte        // of its secrets

	tried      onboarding.Held // a sign-up for which codes were tried
	triedOf    address.Address
	older      onboarding.Held // a sign-up without a fingerprint
	olderOf    address.Address
	olderOwner signup.Person // an account that was one

	stranger, forgotten, nameless onboarding.MailID

	full address.Address // its budget is used up
	gone address.Address // of an account that was erased, and used its budget up
}

// fillAccounts brings a store to where everything that accounts add to it is in
// use.
func (w *world) fillAccounts() (c citizens) {
	w.setDocument("signing-keys", "first", 0, true)
	w.setDocument("signing-keys", "\x00second\xff", 1, true)
	w.setDocument("empty", "", 0, true)
	w.fillOwner(&c)
	w.fillSessions(&c)
	w.fillTried(&c)
	w.fillRequests(&c)
	w.fillBudgets(&c)
	return c
}

// fillOwner makes accounts and other sign-ups of their addresses.
func (w *world) fillOwner(c *citizens) {
	who := w.someone()
	form := w.formOf(who)
	form.Person.Locale = "de"
	form.Person.Consent = signup.Consent{Text: "2026-01", Origin: [16]byte{1, 15: 2}}
	first := w.sent(w.stored(form))
	w.Advance(10 * time.Minute) // for the budget
	c.rival = w.mailed(who)
	w.Advance(10 * time.Minute)
	discarded := w.mailed(who)
	c.confirmed = w.redemption(first, who)
	w.redeem(c.confirmed)
	c.owner = w.person(form.Person.ID)
	w.redeem(w.redemption(discarded, who))
	c.discarded = discarded.Claim.Mail.Subject()

	c.olderOf = w.someone()
	c.older = w.sent(w.stored(w.ofOlderProgram(c.olderOf)))
	older := w.someone()
	c.olderOwner = w.redeem(w.redemption(w.sent(w.stored(w.ofOlderProgram(older))), older)).Account

	muted := w.formOf(w.someone())
	muted.Muted = "a robot"
	w.suppressed(w.stored(withKey(muted, 9)))
}

// fillSessions makes sessions: used, rotated, ended, and over.
func (w *world) fillSessions(c *citizens) {
	account, opened := w.session(signup.API)
	c.api, c.hashes = opened, [][32]byte{opened.Hash}
	for number := range 2 {
		next := [32]byte{0xa0, byte(number)}
		w.Advance(2 * time.Minute)
		w.rotate(signup.Rotation{ID: opened.ID, Number: number, Hash: c.hashes[number], Next: next, Grace: time.Second})
		c.hashes = append(c.hashes, next)
	}
	w.must(w.Store.EndSession(w.ctx, account.ID, w.another(account).ID))

	r := w.redemption(w.sent(w.ask(c.owner.Address)), c.owner.Address)
	r.Session.Idle = time.Minute
	w.redeem(r)
	w.Advance(time.Minute)
	w.noSession(r.Session.ID)
	w.must(w.Store.Seen(w.ctx, c.confirmed.Session.ID))
}

// fillTried makes a sign-up for which codes were tried.
func (w *world) fillTried(c *citizens) {
	c.triedOf = w.someone()
	c.tried = w.mailed(c.triedOf)
	for range tried {
		w.try(c.tried.Claim.Mail.Subject(), tried)
	}
}

// fillRequests makes requests to sign in: some that time has taken, and some
// that it has not.
func (w *world) fillRequests(c *citizens) {
	past := w.request(c.owner.Address)
	w.must(w.Store.Ask(w.ctx, past))
	w.record(w.committing(past.Mail.ID).Claim, to(onboarding.Failed))
	w.must(w.Store.Discard(w.ctx, past.Mail.ID))
	c.nameless = past.Mail.ID
	c.forgotten = w.sent(w.ask(c.owner.Address)).Claim.Mail
	w.Advance(time.Hour)
	_, err := w.Store.Purge(w.ctx, signup.Retention{Unconfirmed: 1000 * time.Hour, SignIns: time.Minute, Limit: 100})
	w.must(err)

	c.stranger = w.ask(w.someone())
	w.endsAtClaim(c.stranger, onboarding.Cancelled)
	muted := w.request(c.owner.Address)
	muted.Muted, muted.Locale, muted.Budget = "too many", "en-GB", onboarding.BudgetDevice
	w.must(w.Store.Ask(w.ctx, muted))
	c.signedIn = w.redemption(w.sent(w.ask(c.owner.Address)), c.owner.Address)
	c.signedIn.Session.Kind = signup.API
	w.redeem(c.signedIn)
	c.asked = w.sent(w.ask(c.owner.Address))
	w.try(c.asked.Claim.Mail.Subject(), tried)
}

// fillBudgets uses budgets up.
func (w *world) fillBudgets(c *citizens) {
	c.gone, c.full = w.someone(), w.someone()
	w.must(w.Store.Erase(w.ctx, w.account(c.gone).ID))
	w.mailed(c.full)
	w.suppressed(w.acceptFor(c.full))
	w.acceptFor(c.full) // to be suppressed
}

// wholeDossier is what is held of a person, in an order and in a place of the world
// that are the same in every store.
func (w *world) wholeDossier(id string) signup.Dossier {
	w.Helper()
	d, err := w.Store.Export(w.ctx, id)
	w.must(err)
	inUTC(&d.Person)
	for i := range d.SignUps {
		inUTC(&d.SignUps[i])
	}
	for i := range d.Mails {
		d.Mails[i].Created = d.Mails[i].Created.UTC()
		if d.Mails[i].State == onboarding.Purged {
			d.Mails[i] = signup.MailRecord{ID: d.Mails[i].ID, State: onboarding.Purged} // more is not promised
		}
	}
	for i, s := range d.Sessions {
		d.Sessions[i].Opened, d.Sessions[i].Seen, d.Sessions[i].Ends = s.Opened.UTC(), s.Seen.UTC(), s.Ends.UTC()
	}
	for i, s := range d.SignIns {
		d.SignIns[i].Asked, d.SignIns[i].Used = s.Asked.UTC(), s.Used.UTC()
	}
	for _, times := range d.Charged {
		for i, at := range times {
			times[i] = at.UTC()
		}
	}
	sortBy(d.SignUps, func(p signup.Person) string { return p.ID })
	sortBy(d.Mails, func(m signup.MailRecord) string { return string(m.ID) })
	sortBy(d.Sessions, func(s signup.Session) string { return s.ID })
	sortBy(d.SignIns, func(r signup.SignInRecord) string { return r.ID })
	return d
}

func inUTC(p *signup.Person) { p.Accepted, p.Confirmed = p.Accepted.UTC(), p.Confirmed.UTC() }

func sortBy[T any](all []T, key func(T) string) {
	slices.SortFunc(all, func(a, b T) int {
		switch {
		case key(a) < key(b):
			return -1
		case key(a) > key(b):
			return 1
		}
		return 0
	})
}

// movedAccounts fills the source, moves it, and does something at the target.
func (tr *trip) movedAccounts(do func(*world, citizens)) {
	tr.Helper()
	var c citizens
	tr.visit(tr.from, func(w *world) { c = w.fillAccounts() })
	tr.moves()
	tr.visit(tr.to, func(w *world) { do(w, c) })
}

func sessionsWork(tr *trip) {
	tr.movedAccounts(func(w *world, c citizens) {
		for _, opened := range []signup.NewSession{c.confirmed.Session, c.signedIn.Session, c.api} {
			s := w.theSession(opened.ID)
			equal(w, "its kind", s.Kind, opened.Kind)
		}
		equal(w, "its hash", w.theSession(c.api.ID).Hash, c.hashes[2])
		equal(w, "its number", w.theSession(c.api.ID).Number, 2)

		// The one before within its grace, the latest, and one that was used long ago.
		grace := 24 * time.Hour
		again := signup.Rotation{ID: c.api.ID, Number: 1, Hash: c.hashes[1], Next: c.hashes[2], Grace: grace}
		equal(w, "the successor", w.rotate(again).Number, 2)
		third := signup.Rotation{ID: c.api.ID, Number: 2, Hash: c.hashes[2], Next: [32]byte{3}, Grace: grace}
		equal(w, "the successor", w.rotate(third).Number, 3)
		w.rotateFails(signup.Rotation{ID: c.api.ID, Number: 0, Hash: c.hashes[0], Next: c.hashes[1], Grace: grace}, signup.ErrReused)
		w.noSession(c.api.ID)

		w.Advance(idle)
		for _, over := range []signup.NewSession{c.confirmed.Session, c.signedIn.Session} {
			w.noSession(over.ID)
		}
	})
}

func linksWork(tr *trip) {
	tr.movedAccounts(func(w *world, c citizens) {
		equal(w, "the same redemption again confirms", w.redeem(c.confirmed).Confirmed, true)
		w.redeem(c.signedIn)
		for _, used := range []signup.Redemption{c.confirmed, c.signedIn} {
			used.Session = newSession(signup.Browser)
			w.redeemFails(used, signup.ErrUsed)
		}
		other := w.redemption(c.asked, c.owner.Address)
		other.Number++
		w.redeemFails(other, signup.ErrLinkDead)

		equal(w, "whose account it is", w.redeem(w.redemption(c.asked, c.owner.Address)).Account.ID, c.owner.ID)
		redeemed := w.redeem(w.redemption(c.rival, c.owner.Address))
		equal(w, "another sign-up of the address confirms", redeemed.Confirmed, false)
		equal(w, "whose account it is", redeemed.Account.ID, c.owner.ID)
		equal(w, "its first name", w.person(c.rival.Claim.Mail.Subject()).First, "")
		equal(w, "the first name of one before", w.person(c.discarded).First, "")
		for of, h := range map[address.Address]onboarding.Held{c.triedOf: c.tried, c.olderOf: c.older} {
			equal(w, "one that waited confirms", w.redeem(w.redemption(h, of)).Confirmed, true)
		}
		equal(w, "people of the one without a fingerprint", len(w.peopleOf(c.olderOf)), 1)
		equal(w, "the account of one that had none", w.peopleOf(c.olderOwner.Address)[0], c.olderOwner.ID)
	})
}

func triesCounted(tr *trip) {
	tr.movedAccounts(func(w *world, c citizens) {
		w.tryFails(c.tried.Claim.Mail.Subject(), tried, signup.ErrTries)
		equal(w, "mints", len(w.try(c.tried.Claim.Mail.Subject(), tried+1)), 1)
		for range tried - 1 {
			w.try(c.asked.Claim.Mail.Subject(), tried)
		}
		w.tryFails(c.asked.Claim.Mail.Subject(), tried, signup.ErrTries)
		w.triesInVain(c.owner.ID)
		w.triesInVain(c.rival.Claim.Mail.Subject())
	})
}

func budgetsRefuse(tr *trip) {
	tr.movedAccounts(func(w *world, c citizens) {
		for _, who := range []address.Address{c.full, c.gone} {
			w.suppressed(w.acceptFor(who))
		}
		for _, ref := range w.due() {
			h, err := w.Store.Claim(w.ctx, w.newClaim(ref, me))
			w.must(err)
			equal(w, "the state of what was due", h.State, onboarding.Suppressed)
		}
		w.Advance(10 * time.Minute)
		for range 2 { // of three a day
			w.mailed(c.full)
			w.Advance(10 * time.Minute)
		}
		w.suppressed(w.acceptFor(c.full))
		h := w.mailed(c.gone)
		equal(w, "the variant", h.Variant, onboarding.Confirm)
		equal(w, "the address of one who is gone is free", w.redeem(w.redemption(h, c.gone)).Confirmed, true)
		equal(w, "the variant for an account", w.mailed(c.olderOwner.Address).Variant, onboarding.AlreadyRegistered)
	})
}

func documentsKeepVersions(tr *trip) {
	tr.movedAccounts(func(w *world, _ citizens) {
		w.document("signing-keys", "\x00second\xff", 2)
		w.document("empty", "", 1)
		w.setDocument("signing-keys", "stale", 1, false)
		w.setDocument("signing-keys", "third", 2, true)
	})
}

// timeTakesAccounts lets everything be taken at the target that time takes.
func timeTakesAccounts(tr *trip) {
	tr.movedAccounts(func(w *world, c citizens) {
		w.Advance(life)
		purge := func() signup.Purged {
			p, err := w.Store.Purge(w.ctx, signup.Retention{Unconfirmed: time.Hour, SignIns: time.Hour, Limit: 100})
			w.must(err)
			return p
		}
		done := purge()
		if done.SignUps == 0 || done.SignIns == 0 || done.Sessions == 0 {
			w.Errorf("purged at first: %+v, want some of each", done)
		}
		if done = purge(); done != (signup.Purged{}) {
			w.Errorf("purged later: %+v, want nothing", done)
		}
		equal(w, "sessions of the owner", len(w.sessions(c.owner.ID)), 0)
		sameIDs(w, "people of the owner's address", w.peopleOf(c.owner.Address), []string{c.owner.ID})
		equal(w, "people whose time was over", len(w.peopleOf(c.full)), 0)
		w.sweep(me)
		d := w.wholeDossier(c.owner.ID)
		for budget, times := range d.Charged {
			equal(w, "charges to "+string(budget), len(times), 0)
		}
		equal(w, "requests to sign in", len(d.SignIns), 0)
	})
}

// namelessMoves moves mails whose subjects are forgotten: they are in the
// ledger, and no more.
func namelessMoves(tr *trip) {
	tr.movedAccounts(func(w *world, c citizens) {
		purged := w.books().States[onboarding.Purged]
		equal(w, "purged mails", purged, 1)
		w.isIn(c.forgotten, onboarding.Sent)
		w.noMint(c.forgotten)
		report, err := onboarding.Verify(w.ctx, w.Store, w.policy)
		w.must(err)
		equal(w, "verify", report.OK, true)
	})
	tr.must(second(tr.move(tr.to, tr.from, nil)))
	tr.visit(tr.from, func(w *world) { equal(w, "purged mails", w.books().States[onboarding.Purged], 1) })
}

func second[T any](_ T, err error) error { return err }
