// Package transfer moves everything a store holds to another store: people and
// their accounts, sessions and requests to sign in, the ledger of their mails
// and what was charged to budgets, idempotency keys, shared secrets and
// documents, and totals. Both stores are stopped meanwhile. Each store's own
// package reads and writes the rows; this one decides what may be moved where,
// in which order, and whether all of it has arrived.
//
// What is not moved are the limits on how often somebody may ask, which a store
// may keep for its processes: they begin anew, as they do in a process that is
// started again.
//
// # Never two
//
// Two stores with the same mails would send each of them twice. So a move
// leaves a [Mark] in both stores, durably, at each step, and a process that
// serves opens no store whose mark forbids it (see [Mark.Serve]):
//
//	step                        source     target     who may serve
//	                            -          -          source
//	1. the move gets its id     leaving    -          source
//	2. all mails come to rest   leaving    -          source
//	3. the target is emptied    leaving    filling    source
//	4. copy, compare            leaving    filling    source
//	5.                          moved      filling    nobody
//	6.                          moved      arrived    target
//	7.                          left       arrived    target
//
// A move may end anywhere, in a crash or an error. Running it again goes on
// under the same id: it copies everything anew, or, from step 6 on, only sets
// what marks are missing.
//
// # What it knows
//
// The words of the domain, and no store.
package transfer

import (
	"context"
	"errors"
)

var (
	// ErrMoved is returned for a store whose mails now belong to another one.
	ErrMoved = errors.New("this store was moved away")
	// ErrUnfinished is returned for a store that a move has not filled to the
	// end.
	ErrUnfinished = errors.New("a move into this store was not completed")
	// ErrAway is returned to a process that still serves from a store that was,
	// or is being, moved away.
	ErrAway = errors.New("this store was moved away, or is being moved: end this process")
	// ErrInUse is returned for a store that some process is using.
	ErrInUse = errors.New("the store is in use")
	// ErrChanged is returned when a store's mark is not the expected one any
	// more: somebody has used the store, or moved it, meanwhile.
	ErrChanged = errors.New("the store was used while it was being moved: stop every process and move it again")
	// ErrNothing is returned for a source without sign-ups.
	ErrNothing = errors.New("no sign-up was ever stored here")
	// ErrNotEmpty is returned for a target with sign-ups or mails of its own.
	ErrNotEmpty = errors.New("the store to move to has sign-ups of its own: name an empty one")
	// ErrSame is returned when source and target are one store.
	ErrSame = errors.New("both names lead to the same store")
	// ErrDiffers is returned when the target does not hold what the source
	// holds. The source was not given up: it may go on serving.
	ErrDiffers = errors.New("what has arrived differs from what was sent")
)

// Rows reads all that a store holds, in the neutral form of this package. What
// it returns must not change between two calls as long as nobody writes.
type Rows interface {
	// Totals reads what no row tells.
	Totals(ctx context.Context) (Totals, error)
	// Keys reads all shared secrets, ordered by name.
	Keys(ctx context.Context) ([]Key, error)
	// Documents reads all documents, ordered by name.
	Documents(ctx context.Context) ([]Document, error)
	// SignUps reads up to limit sign-ups with a number above after, in the
	// order of their numbers. None means that there are no more.
	SignUps(ctx context.Context, after int64, limit int) ([]SignUp, error)
	// Mails reads up to limit mails with a number above after, in the order of
	// their numbers. None means that there are no more.
	Mails(ctx context.Context, after int64, limit int) ([]Mail, error)
	// Requests, Sessions and Charges read up to limit rows from a place on, ""
	// at first, and return the place to go on from, "" at the end; there may be
	// no rows before the end. Their order is the store's own: that of time as
	// far as the store needs it.
	Requests(ctx context.Context, from string, limit int) (rows []Request, next string, err error)
	Sessions(ctx context.Context, from string, limit int) (rows []Session, next string, err error)
	Charges(ctx context.Context, from string, limit int) (rows []Charge, next string, err error)
}

// Marked is a store that knows where it stands in a move.
type Marked interface {
	// Mark reads the mark; the zero Mark when there is none.
	Mark(ctx context.Context) (Mark, error)
	// SetMark replaces the mark, durably before it returns, if it is still the
	// one given as was, and if no process uses the store. [ErrChanged],
	// [ErrInUse]. A store that several processes may open forgets a mark of
	// stage Leaving when one of them begins to serve, but not its id: it
	// becomes a mark of stage Stayed.
	SetMark(ctx context.Context, was, is Mark) error
}

// Source is a store that everything is taken from. Nothing else uses it.
type Source interface {
	Rows
	Marked
	// Rest brings all mails into states that need no process: queued → due
	// with its generation raised, keeping its time; what was held is recovered
	// as from a dead holder (sending → due, committing → unknown). The mark
	// must be of stage Leaving, or [ErrChanged] is returned and nothing done;
	// nothing is left to do when it is Moved. Doing it again changes nothing.
	Rest(ctx context.Context) error
}

// Target is a store that everything is put into. Nothing else uses it.
type Target interface {
	Rows
	Marked
	// Empty removes everything but the mark, which must be of stage Filling,
	// or nothing is removed: [ErrChanged].
	Empty(ctx context.Context) error
	// These add what is not there yet, in the order of the numbers or in that
	// in which it was read; sign-ups before mails and sessions. They may be
	// durable later than they return, but not later than the next SetMark does.
	PutTotals(ctx context.Context, t Totals) error
	PutKeys(ctx context.Context, keys []Key) error
	PutDocuments(ctx context.Context, documents []Document) error
	PutSignUps(ctx context.Context, signUps []SignUp) error
	PutRequests(ctx context.Context, requests []Request) error
	PutMails(ctx context.Context, mails []Mail) error
	PutSessions(ctx context.Context, sessions []Session) error
	PutCharges(ctx context.Context, charges []Charge) error
}
