package storetest

import (
	"context"
	"errors"

	"bellhop/internal/onboarding"
	"bellhop/internal/store/transfer"
)

var errCut = errors.New("cut off, says the test")

// fuse cuts a move off at its n-th write, before or after it is made.
type fuse struct {
	left  int
	after bool
	blown bool
}

// burn makes one write, unless the fuse has blown or blows before it.
func (f *fuse) burn(write func() error) error {
	f.left--
	if f.blown || f.left == 0 && !f.after {
		f.blown = true
		return errCut
	}
	err := write()
	if f.left == 0 {
		f.blown = true
		return errors.Join(err, errCut)
	}
	return err
}

type fusedSource struct {
	transfer.Source
	*fuse
}

func (s *fusedSource) SetMark(ctx context.Context, was, is transfer.Mark) error {
	return s.burn(func() error { return s.Source.SetMark(ctx, was, is) })
}

func (s *fusedSource) Rest(ctx context.Context) error {
	return s.burn(func() error { return s.Source.Rest(ctx) })
}

type fusedTarget struct {
	transfer.Target
	*fuse
}

func (t *fusedTarget) SetMark(ctx context.Context, was, is transfer.Mark) error {
	return t.burn(func() error { return t.Target.SetMark(ctx, was, is) })
}

func (t *fusedTarget) Empty(ctx context.Context) error {
	return t.burn(func() error { return t.Target.Empty(ctx) })
}

func (t *fusedTarget) PutTotals(ctx context.Context, totals transfer.Totals) error {
	return t.burn(func() error { return t.Target.PutTotals(ctx, totals) })
}

func (t *fusedTarget) PutKeys(ctx context.Context, keys []transfer.Key) error {
	return t.burn(func() error { return t.Target.PutKeys(ctx, keys) })
}

func (t *fusedTarget) PutSignUps(ctx context.Context, signUps []transfer.SignUp) error {
	return t.burn(func() error { return t.Target.PutSignUps(ctx, signUps) })
}

func (t *fusedTarget) PutMails(ctx context.Context, mails []transfer.Mail) error {
	return t.burn(func() error { return t.Target.PutMails(ctx, mails) })
}

func (t *fusedTarget) PutDocuments(ctx context.Context, documents []transfer.Document) error {
	return t.burn(func() error { return t.Target.PutDocuments(ctx, documents) })
}

func (t *fusedTarget) PutRequests(ctx context.Context, requests []transfer.Request) error {
	return t.burn(func() error { return t.Target.PutRequests(ctx, requests) })
}

func (t *fusedTarget) PutSessions(ctx context.Context, sessions []transfer.Session) error {
	return t.burn(func() error { return t.Target.PutSessions(ctx, sessions) })
}

func (t *fusedTarget) PutCharges(ctx context.Context, charges []transfer.Charge) error {
	return t.burn(func() error { return t.Target.PutCharges(ctx, charges) })
}

// moveFused runs a move that is cut off at its n-th write. It tells whether the
// move came to its end before.
func (tr *trip) moveFused(n int, after bool) (done bool) {
	tr.Helper()
	f := &fuse{left: n, after: after}
	_, err := tr.move(tr.from, tr.to, func(e *ends) {
		e.from, e.to = &fusedSource{e.from, f}, &fusedTarget{e.to, f}
	})
	if f.blown != errors.Is(err, errCut) || !f.blown && err != nil {
		tr.Fatalf("cut off at write %d: %v", n, err)
	}
	return !f.blown
}

// atMostOne checks that no two stores would serve the mails.
func (tr *trip) atMostOne(mails int64) {
	tr.Helper()
	serving := 0
	for _, s := range []*Site{tr.from, tr.to} {
		switch n, err := tr.serves(s); {
		case err == nil && n == mails:
			serving++
		case err == nil && n > 0:
			tr.Errorf("a store serves %d mails of %d", n, mails)
		case err != nil:
			tr.refused(s)
		}
	}
	if serving > 1 {
		tr.Error("both stores would serve the mails")
	}
}

// interrupted cuts a move off at each of its writes in turn.
func interrupted(tr *trip) {
	for n, done := 1, false; !done; n++ {
		for _, after := range []bool{false, true} {
			step := newTrip(tr.T, tr.opens[here], tr.opens[there])
			_, want := step.fromHere()
			done = step.moveFused(n, after)
			if !done {
				step.atMostOne(want.Books.Accepted)
				step.moves()
			}
			step.refused(step.from)
			step.visit(step.to, func(w *world) { w.same(w.see(), want) })
			if tr.Failed() {
				tr.Fatalf("cut off at write %d, after it: %v", n, after)
			}
		}
	}
}

// interruptedAndServed goes on at the source after a move that was cut off
// while it copied, and then moves again.
func interruptedAndServed(tr *trip) {
	_, want := tr.fromHere()
	if tr.moveFused(10, true) {
		tr.Fatal("the move came to its end")
	}
	var fresh onboarding.MailID
	tr.visit(tr.from, func(w *world) {
		fresh = w.accept()
		w.erase(w.accept())
	})
	tr.moves()
	tr.visit(tr.to, func(w *world) {
		equal(w, "mails accepted", w.books().Accepted, want.Books.Accepted+2)
		w.ref(fresh)
	})
}

// lastStepMissing moves back what a move has brought that was cut off before
// its last mark: nothing is missing there.
func lastStepMissing(tr *trip) {
	_, want := tr.fromHere()
	if _, err := tr.move(tr.from, tr.to, func(e *ends) { e.from = &neverLeft{e.from} }); !errors.Is(err, errCut) {
		tr.Fatalf("the move: %v, want %v", err, errCut)
	}
	tr.refused(tr.from)
	third := tr.another(here)
	tr.visit(third, func(w *world) { w.accept() })
	tr.notMoved(third, tr.from, 1, nil, transfer.ErrMoved)
	_, err := tr.move(tr.to, tr.from, nil)
	tr.must(err)
	tr.visit(tr.from, func(w *world) { w.same(w.see(), want) })
	tr.refused(tr.to)
}

// neverLeft is cut off before it learns that everything has arrived.
type neverLeft struct{ transfer.Source }

func (s *neverLeft) SetMark(ctx context.Context, was, is transfer.Mark) error {
	if is.Stage == transfer.Left {
		return errCut
	}
	return s.Source.SetMark(ctx, was, is)
}
