package storetest

import (
	"slices"
	"time"

	"bellhop/internal/onboarding"
	"bellhop/internal/signup"
	"bellhop/internal/store/transfer"

	"github.com/google/uuid"
)

// fromHere fills the source and returns what it holds once it is at rest.
func (tr *trip) fromHere() (f filled, want sight) {
	tr.Helper()
	tr.visit(tr.from, func(w *world) { f = fill(w) })
	tr.rest(tr.from)
	tr.visit(tr.from, func(w *world) { want = w.see() })
	return f, want
}

// rest brings the mails at a site to rest.
func (tr *trip) rest(s *Site) {
	tr.Helper()
	tr.with(s, func(m Moving) {
		was, err := m.Mark(tr.ctx)
		tr.must(err)
		tr.must(m.SetMark(tr.ctx, was, transfer.Mark{Stage: transfer.Leaving, Move: uuid.NewString(), Place: there}))
		tr.must(m.Rest(tr.ctx))
	})
}

func restMoves(tr *trip) {
	w := tr.at(tr.from)
	f, before := fill(w), w.see()
	// Closed like a process that dies: what it holds stays held.
	tr.people = w.people
	tr.must(w.Close())
	tr.rest(tr.from)
	tr.rest(tr.from)
	tr.visit(tr.from, func(w *world) {
		for i, row := range w.rows() {
			want := before.Rows[i].State
			switch want {
			case onboarding.Queued, onboarding.Sending:
				want = onboarding.Due
			case onboarding.Committing:
				want = onboarding.Unknown
			}
			equal(w, "the state of number "+string(row.ID), row.State, want)
		}
		equal(w, "the queued mail's generation", w.ref(f.queued.Mail).Gen, f.queued.Gen+1)
		waited := before.Rows[slices.Index(f.all, f.queued.Mail)].Overdue
		equal(w, "how long it has waited", w.row(f.queued.Mail).Overdue, waited)
		equal(w, "mails accepted", w.books().Accepted, before.Books.Accepted)
		called := w.row(f.all[len(f.all)-1])
		equal(w, "one called off past the dot", called.State, onboarding.Unknown)
		equal(w, "is held", called.Held, true)
	})
}

func everythingArrives(tr *trip) {
	f, want := tr.fromHere()
	report := tr.moves()
	if report.Already || report.Moved[transfer.KindMails].Rows != int64(len(want.Rows)) || report.Moved[transfer.KindKeys].Rows != 2 {
		tr.Errorf("the report is %+v, want %d mails and 2 keys", report, len(want.Rows))
	}
	tr.visit(tr.to, func(w *world) {
		w.same(w.see(), want)
		if !want.Report.OK {
			w.Errorf("verify: %+v", want.Report)
		}
		secret, err := w.Store.SharedKey(w.ctx, "mint", []byte("another"))
		w.must(err)
		equal(w, "the shared key", string(secret), string(f.secret))
	})
}

// targetWorksOn lets everything that was due be sent at the target, and more.
func targetWorksOn(tr *trip) {
	tr.fromHere()
	tr.moves()
	tr.visit(tr.to, func(w *world) {
		last := w.rows()[len(w.rows())-1].Number
		fresh := w.accept()
		equal(w, "the new mail's number", w.row(fresh).Number, last+1)
		w.Advance(2 * time.Hour)
		w.sweep(me)
		for _, ref := range w.relay() {
			h, err := w.Store.Claim(w.ctx, w.newClaim(ref, me))
			w.must(err)
			if h.State == onboarding.Suppressed {
				continue
			}
			w.must(w.Store.Committing(w.ctx, h.Claim, rendered(h)))
			w.record(h.Claim, to(onboarding.Sent))
		}
		for _, id := range w.dead() {
			w.must(w.Store.Discard(w.ctx, id))
		}
		report, err := onboarding.Verify(w.ctx, w.Store, w.policy)
		w.must(err)
		equal(w, "verify", report.OK, true)
		for _, state := range []onboarding.State{onboarding.Queued, onboarding.Sending, onboarding.Committing} {
			equal(w, "mails "+string(state), w.books().States[state], 0)
		}
		equal(w, "urgent mails that are due", len(w.due()), 0)
	})
}

func oldMessagesRefused(tr *trip) {
	f, _ := tr.fromHere()
	tr.moves()
	tr.visit(tr.to, func(w *world) {
		w.refusesClaim(f.queued)
		h := w.claim(f.queued.Mail)
		equal(w, "the generation it is claimed in", h.Claim.Gen, f.queued.Gen+1)
	})
}

func repeatAfterMove(tr *trip) {
	f, _ := tr.fromHere()
	tr.moves()
	tr.visit(tr.to, func(w *world) {
		for _, keyed := range f.keyed {
			w.isOf(keyed.form, keyed.stored)
			w.conflicts(keyed.form)
		}
		w.isOf(withKey(w.acceptance(), f.older.form.Key.Hash[0]), f.older.stored)
		equal(w, "a repeat after more than a day", w.acceptForm(again(w, f.forgotten)).Repeated, false)
		w.Advance(20 * time.Hour)
		equal(w, "a repeat once the key's day is over", w.acceptForm(again(w, f.keyed[0].form)).Repeated, false)
	})
}

func copyAfterMove(tr *trip) {
	var pausing onboarding.Held
	var f filled
	tr.visit(tr.from, func(w *world) {
		f = fill(w)
		pausing = w.unknown()
	})
	tr.moves()
	tr.visit(tr.to, func(w *world) {
		h := w.claim(f.copyDue)
		equal(w, "copy", h.Copy, true)
		equal(w, "mint", h.NextMint(), 1)
		equal(w, "hash", h.BodyHash, [32]byte{7})
		w.Advance(w.policy.UnknownPause)
		w.sweep(me)
		h = w.claim(pausing.Claim.Mail)
		equal(w, "copy", h.Copy, true)
		equal(w, "mint", h.NextMint(), pausing.NextMint())
	})
}

func erasedAfterMove(tr *trip) {
	f, _ := tr.fromHere()
	tr.moves()
	tr.visit(tr.to, func(w *world) {
		for _, id := range f.erased {
			_, err := w.Store.Person(w.ctx, id.Subject())
			w.wantErr(err, signup.ErrNotFound)
			w.must(w.Store.Erase(w.ctx, id.Subject()))
		}
		bystander := f.keyed[0]
		w.erase(bystander.form.Mails[0].ID)
		_, err := w.Store.Person(w.ctx, bystander.stored.ID)
		w.wantErr(err, signup.ErrNotFound)
		w.isOf(bystander.form, bystander.stored)
	})
}

// purgedAfterMove moves mails of which a store that purges after a time knows
// nothing but their names.
func purgedAfterMove(tr *trip) {
	tr.policy.Retention = kept
	tr.from, tr.to = tr.another(here), tr.another(there)
	f, _ := tr.fromHere()
	var want sight
	tr.visit(tr.from, func(w *world) {
		w.Advance(kept)
		w.accept()
		w.heartbeat(other)
		w.sweep(other)
		w.must(w.Store.Leave(w.ctx, other))
		want = w.see()
	})
	tr.moves()
	tr.visit(tr.to, func(w *world) {
		w.same(w.see(), want)
		for _, id := range f.all {
			if purposeOf(id) == onboarding.SignIn {
				continue // of a request that is forgotten nothing stays
			}
			a := w.acceptance()
			a.Mails = []onboarding.Owed{{ID: id, Expiry: time.Hour}}
			if _, err := w.Store.Accept(w.ctx, a); err == nil {
				w.Errorf("mail %s is owed again", id)
			}
		}
		w.Advance(kept)
		w.heartbeat(other)
		w.sweep(other)
	})
}

func thereAndBack(tr *trip) {
	tr.fromHere()
	tr.moves()
	var fresh onboarding.MailID
	var want sight
	tr.visit(tr.to, func(w *world) {
		fresh = w.accept()
		w.erase(w.accept())
	})
	tr.rest(tr.to)
	tr.visit(tr.to, func(w *world) { want = w.see() })
	_, err := tr.move(tr.to, tr.from, nil)
	tr.must(err)
	tr.visit(tr.from, func(w *world) {
		w.same(w.see(), want)
		equal(w, "the new mail is there", slices.Contains(w.due(), w.ref(fresh)), true)
		w.accept()
	})
	tr.refused(tr.to)
	tr.moves()
	tr.refused(tr.from)
	mails, err := tr.serves(tr.to)
	tr.must(err)
	if want := want.Books.Accepted + 1; mails != want {
		tr.Errorf("%d mails are there after the third move, want %d", mails, want)
	}
}
