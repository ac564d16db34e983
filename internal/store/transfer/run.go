package transfer

import (
	"context"
	"errors"
	"fmt"

	"bellhop/internal/onboarding"

	"github.com/google/uuid"
)

// Options configure [Run]. From and To are required.
type Options struct {
	// From and To name the two stores for people, without secrets.
	From, To string
	// Chunk is how many rows are read and put at once. Default: 500.
	Chunk int
	// Progress, if set, is told of each chunk. It runs on the caller's
	// goroutine.
	Progress func(Progress)
}

// Progress says how far a move has come.
type Progress struct {
	// Step is what is being done, such as "copy".
	Step string
	Kind Kind
	// Rows is how many rows of the kind are done.
	Rows int64
}

// Report is what a move has done.
type Report struct {
	// Already tells that the move had been completed before.
	Already bool
	// Moved is what the target holds: the same as the source. Nil when Already
	// is set.
	Moved Digests
}

// Run moves everything from one store to another, or completes a move that was
// interrupted. It refuses a pair of stores that cannot be moved, before
// anything is changed: [ErrMoved], [ErrUnfinished], [ErrInUse], [ErrNothing],
// [ErrNotEmpty], [ErrSame]. On any other error the source may go on serving, or the move must
// be run again; opening the stores tells which.
func Run(ctx context.Context, from Source, to Target, o Options) (Report, error) {
	if o.Chunk == 0 {
		o.Chunk = 500
	}
	if o.Progress == nil {
		o.Progress = func(Progress) {}
	}
	m := &move{from: from, to: to, Options: o}
	already, err := m.begin(ctx)
	if err != nil || already {
		return Report{Already: already}, err
	}
	moved, err := m.carry(ctx)
	if err != nil {
		return Report{}, err
	}
	return Report{Moved: moved}, m.complete(ctx)
}

// move is one run of a move.
type move struct {
	from Source
	to   Target
	Options
	source, target Mark // as they are
}

// begin finds out where the move stands, and opens both ends for it. It tells
// whether nothing is left to do.
func (m *move) begin(ctx context.Context) (already bool, err error) {
	if err := m.look(ctx); err != nil {
		return false, err
	}
	if m.arrived() {
		return true, m.leave(ctx)
	}
	if err := m.mayLeave(ctx); err != nil {
		return false, fmt.Errorf("move from %s: %w", m.From, err)
	}
	if err := m.mayFill(ctx); err != nil {
		return false, fmt.Errorf("move to %s: %w", m.To, err)
	}
	if m.source.Stage != Moved {
		if err := m.markSource(ctx, Leaving); err != nil {
			return false, err
		}
	}
	if err := m.from.Rest(ctx); err != nil {
		return false, fmt.Errorf("bring mails to rest: %w", err)
	}
	return false, m.open(ctx)
}

// look reads both marks, and settles what an earlier move the other way round
// has left open.
func (m *move) look(ctx context.Context) (err error) {
	if m.source, err = m.from.Mark(ctx); err != nil {
		return fmt.Errorf("look at %s: %w", m.From, err)
	}
	if m.target, err = m.to.Mark(ctx); err != nil {
		return fmt.Errorf("look at %s: %w", m.To, err)
	}
	if m.target.Stage == Moved && m.source.Stage == Arrived && m.source.Move == m.target.Move {
		return m.markTarget(ctx, Left)
	}
	return nil
}

// arrived tells whether this very move has been completed, but for the last
// mark.
func (m *move) arrived() bool {
	return m.target.Stage == Arrived && m.source.Move == m.target.Move && (m.source.Stage == Moved || m.source.Stage == Left)
}

// mayLeave tells whether this store can be a source, and gives the move its id:
// an interrupted one keeps it, wherever it was going to.
func (m *move) mayLeave(ctx context.Context) error {
	if m.source.Stage == Moved && m.target.Stage == Filling && m.target.Move == m.source.Move {
		return nil
	}
	if err := m.source.Serve(); err != nil {
		return err
	}
	used, err := hasSignUps(ctx, m.from)
	if err == nil && !used {
		err = ErrNothing
	}
	return err
}

// mayFill tells whether the other store can be this move's target.
func (m *move) mayFill(ctx context.Context) error {
	switch m.target.Stage {
	case Filling:
		if m.target.Move != m.source.Move {
			return m.target.Serve()
		}
		return nil
	case Moved:
		return m.target.Serve()
	case Left:
		return nil
	}
	if m.target.Move != "" && m.target.Move == m.source.Move {
		return ErrSame
	}
	used, err := hasSignUps(ctx, m.to)
	if err == nil && used {
		err = ErrNotEmpty
	}
	return err
}

// hasSignUps tells whether a store has, or had, sign-ups or mails. Secrets that
// a process made when it first looked at it do not count.
func hasSignUps(ctx context.Context, rows Rows) (bool, error) {
	totals, err := rows.Totals(ctx)
	if err != nil {
		return false, err
	}
	people, err := rows.SignUps(ctx, 0, 1)
	return totals.Accepted > 0 || len(people) > 0, err
}

// open makes the target this move's, and empty.
func (m *move) open(ctx context.Context) error {
	if err := m.markTarget(ctx, Filling); err != nil {
		return err
	}
	if err := m.to.Empty(ctx); err != nil {
		return fmt.Errorf("empty %s: %w", m.To, err)
	}
	return nil
}

// carry copies everything, reads it again at both ends and compares.
func (m *move) carry(ctx context.Context) (Digests, error) {
	if err := m.copy(ctx); err != nil {
		return nil, err
	}
	sent, err := m.digest(ctx, m.from, "read source")
	if err != nil {
		return nil, fmt.Errorf("check %s: %w", m.From, err)
	}
	got, err := m.digest(ctx, m.to, "read target")
	if err != nil {
		return nil, fmt.Errorf("check %s: %w", m.To, err)
	}
	return got, compare(sent, got)
}

func (m *move) digest(ctx context.Context, rows Rows, step string) (Digests, error) {
	return digest(ctx, rows, m.Chunk, m.noting(step))
}

func (m *move) noting(step string) func(Kind, int64) {
	return func(k Kind, rows int64) { m.Progress(Progress{Step: step, Kind: k, Rows: rows}) }
}

// copy copies everything.
func (m *move) copy(ctx context.Context) error {
	totals, err := m.from.Totals(ctx)
	if err == nil {
		err = m.to.PutTotals(ctx, totals)
	}
	if err != nil {
		return fmt.Errorf("copy totals: %w", err)
	}
	for _, carry := range []func(context.Context) error{
		copying(m, KindKeys, whole(m.from.Keys), m.to.PutKeys),
		copying(m, KindDocuments, whole(m.from.Documents), m.to.PutDocuments),
		copying(m, KindSignUps, numbered(m.from.SignUps, numberOfSignUp), m.to.PutSignUps),
		copying(m, KindRequests, m.from.Requests, m.to.PutRequests),
		copying(m, KindMails, numbered(m.from.Mails, numberOfMail), m.putMails),
		copying(m, KindSessions, m.from.Sessions, m.to.PutSessions),
		copying(m, KindCharges, m.from.Charges, m.to.PutCharges),
	} {
		if err := carry(ctx); err != nil {
			return err
		}
	}
	return nil
}

// copying copies all rows of a kind.
func copying[T any](m *move, kind Kind, read page[T], put func(context.Context, []T) error) func(context.Context) error {
	return func(ctx context.Context) error {
		done, note := int64(0), m.noting("copy")
		for rows, err := range chunks(ctx, kind, read, m.Chunk) {
			if err == nil {
				err = put(ctx, rows)
			}
			if err != nil {
				return fmt.Errorf("copy %s: %w", kind, err)
			}
			done += int64(len(rows))
			note(kind, done)
		}
		return nil
	}
}

func (m *move) putMails(ctx context.Context, mails []Mail) error {
	if err := atRest(mails); err != nil {
		return err
	}
	return m.to.PutMails(ctx, mails)
}

// atRest fails if a mail is still on its way: it would be nobody's at the
// target.
func atRest(mails []Mail) error {
	for _, m := range mails {
		if m.State == onboarding.Queued || m.State.Held() {
			return fmt.Errorf("mail number %d is %s: %w", m.Number, m.State, ErrChanged)
		}
	}
	return nil
}

// compare names the kinds that differ.
func compare(sent, got Digests) error {
	var errs []error
	for _, kind := range Kinds() {
		if s, g := sent[kind], got[kind]; s != g {
			errs = append(errs, fmt.Errorf("%w: %d %s with the sum %x at the source, %d with %x at the target",
				ErrDiffers, s.Rows, kind, s.Sum, g.Rows, g.Sum))
		}
	}
	return errors.Join(errs...)
}

// complete gives the source up, and only then lets the target serve.
func (m *move) complete(ctx context.Context) error {
	if m.source.Stage != Moved {
		if err := m.markSource(ctx, Moved); err != nil {
			return err
		}
	}
	if err := m.markTarget(ctx, Arrived); err != nil {
		return err
	}
	return m.leave(ctx)
}

// leave notes at the source that nothing is missing at the target.
func (m *move) leave(ctx context.Context) error {
	if m.source.Stage == Left {
		return nil
	}
	return m.markSource(ctx, Left)
}

// markSource sets the source's mark to a stage. A move that has no id yet gets
// one.
func (m *move) markSource(ctx context.Context, stage Stage) error {
	is := Mark{Stage: stage, Move: m.source.Move, Place: m.To}
	if m.source.Stage == "" || m.source.Stage == Arrived {
		is.Move = uuid.NewString()
	}
	if err := m.from.SetMark(ctx, m.source, is); err != nil {
		return fmt.Errorf("mark %s as %s: %w", m.From, stage, err)
	}
	m.source = is
	return nil
}

// markTarget sets the target's mark to a stage. Only the mark of an earlier
// move the other way round keeps its id and its place.
func (m *move) markTarget(ctx context.Context, stage Stage) error {
	is := Mark{Stage: stage, Move: m.source.Move, Place: m.From}
	if err := m.to.SetMark(ctx, m.target, is); err != nil {
		return fmt.Errorf("mark %s as %s: %w", m.To, stage, err)
	}
	m.target = is
	return nil
}
