package transfer

import "fmt"

// Stage is where a store stands in a move.
type Stage string

// The stages. A source goes from Leaving to Left, a target from Filling to
// Arrived. The empty stage is that of a store that never took part in a move.
const (
	// Leaving: a move from here has begun, and nothing is given up yet.
	Leaving Stage = "leaving"
	// Stayed: a move from here had begun, and then a process served here again.
	Stayed Stage = "stayed"
	// Moved: all has arrived at the target, which may not serve yet.
	Moved Stage = "moved"
	// Left: the move is complete; what is still here may be overwritten.
	Left Stage = "left"
	// Filling: a move into here has begun.
	Filling Stage = "filling"
	// Arrived: the move into here is complete.
	Arrived Stage = "arrived"
)

// Mark is what a store remembers of the latest move it took part in. It holds
// no secrets.
type Mark struct {
	Stage Stage
	// Move is the move's id, the same in both stores.
	Move string
	// Place names the other store for people, without secrets.
	Place string
}

// Serve tells whether a process may serve from a store with this mark: nil, or
// [ErrMoved] or [ErrUnfinished] with what to do.
func (m Mark) Serve() error {
	switch m.Stage {
	case Moved:
		return fmt.Errorf("%w to %s, but the last step is missing: run the same bellhop migrate again", ErrMoved, m.Place)
	case Left:
		return fmt.Errorf("%w to %s: use that one. Sending from here as well would send mails twice", ErrMoved, m.Place)
	case Filling:
		return fmt.Errorf("%w: run the same bellhop migrate from %s again", ErrUnfinished, m.Place)
	}
	return nil
}
