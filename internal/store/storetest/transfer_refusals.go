package storetest

import (
	"context"
	"errors"
	"reflect"
	"strings"

	"bellhop/internal/onboarding"
	"bellhop/internal/signup"
	"bellhop/internal/store/transfer"
)

// refused checks that no process may serve at a site.
func (tr *trip) refused(s *Site) {
	tr.Helper()
	if _, err := tr.serves(s); !errors.Is(err, transfer.ErrMoved) && !errors.Is(err, transfer.ErrUnfinished) {
		tr.Fatalf("serving there: %v, want %v or %v", err, transfer.ErrMoved, transfer.ErrUnfinished)
	}
}

// notMoved checks that a move fails with an error, and that the source serves
// all its mails as before.
func (tr *trip) notMoved(from, to *Site, mails int64, wrap func(*ends), want error) {
	tr.Helper()
	if _, err := tr.move(from, to, wrap); !errors.Is(err, want) {
		tr.Fatalf("the move: %v, want %v", err, want)
	}
	if got, err := tr.serves(from); err != nil || got != mails {
		tr.Errorf("the source serves %d mails: %v, want %d", got, err, mails)
	}
}

func sourceServesNoMore(tr *trip) {
	_, want := tr.fromHere()
	tr.moves()
	_, err := tr.serves(tr.from)
	if !errors.Is(err, transfer.ErrMoved) || !strings.Contains(err.Error(), "to "+there) {
		tr.Errorf("serving from the source: %v, want %v and where to", err, transfer.ErrMoved)
	}
	mails, err := tr.serves(tr.to)
	if err != nil || mails != want.Books.Accepted {
		tr.Errorf("the target serves %d mails: %v, want %d", mails, err, want.Books.Accepted)
	}
	if _, err := tr.move(tr.from, tr.another(there), nil); !errors.Is(err, transfer.ErrMoved) {
		tr.Errorf("moving it elsewhere: %v, want %v", err, transfer.ErrMoved)
	}
}

func runAgain(tr *trip) {
	tr.fromHere()
	tr.moves()
	var want sight
	tr.visit(tr.to, func(w *world) {
		w.accept()
		want = w.see()
	})
	for range 2 {
		if report := tr.moves(); !report.Already {
			tr.Errorf("a completed move was made again: %+v", report)
		}
	}
	tr.visit(tr.to, func(w *world) { w.same(w.see(), want) })
}

// anotherMove checks that a store that is being filled takes nothing from any
// other source.
func anotherMove(tr *trip) {
	tr.fromHere()
	third := tr.another(here)
	tr.visit(third, func(w *world) { w.accept() })
	lost := errors.New("the line is cut")
	if _, err := tr.move(tr.from, tr.to, func(e *ends) { e.to = &torn{Target: e.to, err: lost} }); !errors.Is(err, lost) {
		tr.Fatalf("the move: %v, want %v", err, lost)
	}
	tr.refused(tr.to)
	tr.notMoved(third, tr.to, 1, nil, transfer.ErrUnfinished)
	if _, err := tr.move(tr.to, third, nil); !errors.Is(err, transfer.ErrUnfinished) {
		tr.Errorf("moving on what has not arrived: %v, want %v", err, transfer.ErrUnfinished)
	}
	tr.moves()
}

// torn takes no mails.
type torn struct {
	transfer.Target
	err error
}

func (t *torn) PutMails(context.Context, []transfer.Mail) error { return t.err }

func targetNotEmpty(tr *trip) {
	_, want := tr.fromHere()
	tr.visit(tr.to, func(w *world) { w.accept() })
	tr.notMoved(tr.from, tr.to, want.Books.Accepted, nil, transfer.ErrNotEmpty)
	mails, err := tr.serves(tr.to)
	if err != nil || mails != 1 {
		tr.Errorf("the target serves %d mails: %v, want 1", mails, err)
	}
}

func sourceEmpty(tr *trip) {
	tr.visit(tr.from, func(w *world) {
		_, err := w.Store.SharedKey(w.ctx, "mint", []byte("never used"))
		w.must(err)
	})
	tr.notMoved(tr.from, tr.to, 0, nil, transfer.ErrNothing)
	if _, err := tr.serves(tr.to); err != nil {
		tr.Errorf("serving from the target: %v", err)
	}
}

// sameStore moves a store onto itself, under two names.
func sameStore(tr *trip) {
	if !tr.from.Shared {
		return // it can be open only once
	}
	_, want := tr.fromHere()
	tr.notMoved(tr.from, tr.from, want.Books.Accepted, nil, transfer.ErrSame)
}

func targetLookedAt(tr *trip) {
	f, _ := tr.fromHere()
	tr.visit(tr.to, func(w *world) {
		_, err := w.Store.SharedKey(w.ctx, "mint", []byte("never used"))
		w.must(err)
		_, err = w.Store.SharedKey(w.ctx, "unheard of", []byte("never used"))
		w.must(err)
	})
	tr.moves()
	tr.visit(tr.to, func(w *world) {
		secret, err := w.Store.SharedKey(w.ctx, "mint", []byte("another"))
		w.must(err)
		equal(w, "the shared key", string(secret), string(f.secret))
	})
}

func inUse(tr *trip) {
	tr.visit(tr.from, func(w *world) { w.accept() })
	for _, s := range []*Site{tr.from, tr.to} {
		if !s.Shared {
			continue // whoever has it open for a move is alone with it
		}
		w := tr.at(s)
		w.heartbeat(me)
		if _, err := tr.move(tr.from, tr.to, nil); !errors.Is(err, transfer.ErrInUse) {
			tr.Errorf("the move: %v, want %v", err, transfer.ErrInUse)
		}
		tr.Advance(2 * tr.policy.DeadAfter)
		tr.leave(w)
	}
	tr.moves()
}

// sleeperRefused lets a process go on that was stopped before the move, and
// knows nothing of it.
func sleeperRefused(tr *trip) {
	if !tr.from.Shared {
		return // the move holds what it would need
	}
	w := tr.at(tr.from)
	w.heartbeat(me)
	ref := w.ref(w.accept())
	h := w.committing(w.accept())
	tr.Advance(2 * tr.policy.DeadAfter)
	tr.moves()
	_, err := w.Store.Accept(w.ctx, w.acceptance())
	w.wantErr(err, signup.ErrUnavailable)
	_, err = w.Store.Claim(w.ctx, w.newClaim(ref, me))
	w.wantErr(err, transfer.ErrAway)
	_, err = w.Store.Record(w.ctx, h.Claim, to(onboarding.Sent))
	w.wantErr(err, onboarding.ErrGone)
	w.wantErr(w.Store.Heartbeat(w.ctx, me), transfer.ErrAway)
	tr.must(w.Close())
	mails, err := tr.serves(tr.to)
	if err != nil || mails != 2 {
		tr.Errorf("the target serves %d mails: %v, want 2", mails, err)
	}
}

// servedMeanwhile lets a process take a sign-up at the source after everything
// was compared.
func servedMeanwhile(tr *trip) {
	if !tr.from.Shared {
		return // there is no meanwhile
	}
	tr.fromHere()
	if _, err := tr.move(tr.from, tr.to, func(e *ends) {
		e.from = &beforeMoved{Source: e.from, do: func() {
			tr.visit(tr.from, func(w *world) { w.accept() })
		}}
	}); !errors.Is(err, transfer.ErrChanged) {
		tr.Errorf("the move: %v, want %v", err, transfer.ErrChanged)
	}
	mails, err := tr.serves(tr.from)
	tr.must(err)
	tr.moves()
	if got, err := tr.serves(tr.to); err != nil || got != mails {
		tr.Errorf("the target serves %d mails: %v, want %d", got, err, mails)
	}
}

// beforeMoved does something just before the source is given up.
type beforeMoved struct {
	transfer.Source
	do func()
}

func (b *beforeMoved) SetMark(ctx context.Context, was, is transfer.Mark) error {
	if is.Stage == transfer.Moved {
		b.do()
	}
	return b.Source.SetMark(ctx, was, is)
}

// differs checks that a difference in any kind of row keeps the source alive.
func differs(tr *trip) {
	_, want := tr.fromHere()
	for _, f := range []forger{
		{totals: func(t *transfer.Totals) { t.Copies++ }},
		{key: func(k *transfer.Key) { k.Secret = append(transfer.Secret{1}, k.Secret...) }},
		{signUp: func(s *transfer.SignUp) { s.Last += "x" }},
		{mail: func(m *transfer.Mail) { m.Reason += "x" }},
		{document: func(d *transfer.Document) { d.Version++ }},
		{request: func(r *transfer.Request) { r.Tries++ }},
		{session: func(s *transfer.Session) { s.Hash[31] ^= 1 }},
		{charge: func(c *transfer.Charge) { c.At++ }},
	} {
		tr.notMoved(tr.from, tr.to, want.Books.Accepted, func(e *ends) {
			f.Target = e.to
			e.to = &f
		}, transfer.ErrDiffers)
		tr.refused(tr.to)
	}
	tr.moves()
}

// forger changes something in one row of each call.
type forger struct {
	transfer.Target
	totals   func(*transfer.Totals)
	key      func(*transfer.Key)
	document func(*transfer.Document)
	signUp   func(*transfer.SignUp)
	request  func(*transfer.Request)
	mail     func(*transfer.Mail)
	session  func(*transfer.Session)
	charge   func(*transfer.Charge)
}

func (f *forger) PutTotals(ctx context.Context, t transfer.Totals) error {
	if f.totals != nil {
		f.totals(&t)
	}
	return f.Target.PutTotals(ctx, t)
}

func (f *forger) PutKeys(ctx context.Context, keys []transfer.Key) error {
	if f.key != nil {
		f.key(&keys[0])
	}
	return f.Target.PutKeys(ctx, keys)
}

func (f *forger) PutSignUps(ctx context.Context, signUps []transfer.SignUp) error {
	if i := 0; f.signUp != nil && signUps[i].Email != "" {
		f.signUp(&signUps[i])
	}
	return f.Target.PutSignUps(ctx, signUps)
}

func (f *forger) PutMails(ctx context.Context, mails []transfer.Mail) error {
	if i := 0; f.mail != nil && mails[i].State != onboarding.Purged {
		f.mail(&mails[i])
	}
	return f.Target.PutMails(ctx, mails)
}

func (f *forger) PutDocuments(ctx context.Context, documents []transfer.Document) error {
	if f.document != nil {
		f.document(&documents[0])
	}
	return f.Target.PutDocuments(ctx, documents)
}

func (f *forger) PutRequests(ctx context.Context, requests []transfer.Request) error {
	if f.request != nil {
		f.request(&requests[0])
	}
	return f.Target.PutRequests(ctx, requests)
}

func (f *forger) PutSessions(ctx context.Context, sessions []transfer.Session) error {
	if f.session != nil {
		f.session(&sessions[0])
	}
	return f.Target.PutSessions(ctx, sessions)
}

func (f *forger) PutCharges(ctx context.Context, charges []transfer.Charge) error {
	if f.charge != nil {
		f.charge(&charges[0])
	}
	return f.Target.PutCharges(ctx, charges)
}

func notBeingMoved(tr *trip) {
	tr.visit(tr.from, func(w *world) { fill(w) })
	tr.with(tr.from, func(m Moving) {
		all := func() []transfer.Mail {
			mails, err := m.Mails(tr.ctx, 0, 1000)
			tr.must(err)
			return mails
		}
		before := all()
		for _, stage := range []transfer.Stage{"", transfer.Stayed, transfer.Moved, transfer.Left, transfer.Arrived} {
			was, err := m.Mark(tr.ctx)
			tr.must(err)
			if stage != "" {
				tr.must(m.SetMark(tr.ctx, was, transfer.Mark{Stage: stage, Move: "m", Place: there}))
			}
			if err := m.Empty(tr.ctx); !errors.Is(err, transfer.ErrChanged) {
				tr.Errorf("emptying one that is %q: %v, want %v", stage, err, transfer.ErrChanged)
			}
			if err := m.Rest(tr.ctx); stage != transfer.Moved && !errors.Is(err, transfer.ErrChanged) {
				tr.Errorf("bringing one to rest that is %q: %v, want %v", stage, err, transfer.ErrChanged)
			}
		}
		if !reflect.DeepEqual(all(), before) {
			tr.Error("something was done")
		}
	})
}

func markCAS(tr *trip) {
	filling := transfer.Mark{Stage: transfer.Filling, Move: "m", Place: here}
	arrived := transfer.Mark{Stage: transfer.Arrived, Move: "m", Place: here}
	tr.with(tr.to, func(m Moving) {
		tr.must(m.SetMark(tr.ctx, transfer.Mark{}, filling))
		for _, was := range []transfer.Mark{{}, arrived, {Stage: transfer.Filling, Move: "n", Place: here}} {
			if err := m.SetMark(tr.ctx, was, arrived); !errors.Is(err, transfer.ErrChanged) {
				tr.Errorf("replacing %+v as %+v: %v, want %v", filling, was, err, transfer.ErrChanged)
			}
		}
		tr.must(m.SetMark(tr.ctx, filling, filling))
	})
	tr.refused(tr.to)
	tr.with(tr.to, func(m Moving) {
		is, err := m.Mark(tr.ctx)
		tr.must(err)
		if is != filling {
			tr.Errorf("the mark is %+v, want %+v", is, filling)
		}
		tr.must(m.SetMark(tr.ctx, filling, arrived))
	})
	if _, err := tr.serves(tr.to); err != nil {
		tr.Errorf("serving where everything has arrived: %v", err)
	}
}
