package sqlite

import (
	"fmt"
	"slices"

	"bellhop/internal/onboarding"

	"zombiezen.com/go/sqlite"
)

// counts are the totals the store keeps instead of counting rows: see
// countNames for what each place holds.
type counts [len(fixedCounts) + 2*(1+stateCount)]int64

const (
	accepted  = iota // mails ever owed
	copies           // sent after an unknown
	differing        // copies that were not byte-identical
	laneStart        // then, for each lane, arrived and one count per state

	stateCount = 11
)

// The tables of names. Their order is the order of counts.
var (
	fixedCounts = [...]string{accepted: "accepted", copies: "copies", differing: "differing"}
	states      = onboarding.States()
	lanes       = onboarding.Lanes()
	countNames  = nameCounts()
)

func nameCounts() []string {
	names := fixedCounts[:]
	for _, lane := range lanes {
		names = append(names, string(lane)+".arrived")
		for _, state := range states {
			names = append(names, string(lane)+"."+string(state))
		}
	}
	return names
}

// arrived is the place of the time at which the latest-sent message that came
// through a lane was sent.
func arrived(l onboarding.Lane) int {
	return laneStart + slices.Index(lanes, l)*(1+stateCount)
}

// mailsIn is the place of the number of a lane's mails in a state.
func mailsIn(l onboarding.Lane, s onboarding.State) int {
	return arrived(l) + 1 + slices.Index(states, s)
}

// loadCounts reads what the file holds; a count that is not there is 0.
func loadCounts(conn *sqlite.Conn) (c counts, err error) {
	_, err = query(conn, "SELECT name, value FROM counters", func(r *row) error {
		name := r.text()
		i := slices.Index(countNames, name)
		if i < 0 {
			return fmt.Errorf("counter %q is unknown", name)
		}
		c[i] = r.int()
		return nil
	})
	return c, err
}

// writeCounts runs at the end of each group and writes what has changed.
func (s *Store) writeCounts(conn *sqlite.Conn) error {
	for i, n := range s.counts {
		if n == s.written[i] {
			continue
		}
		_, err := query(conn, `INSERT INTO counters (name, value) VALUES (?, ?)
			ON CONFLICT (name) DO UPDATE SET value = excluded.value`, nil, countNames[i], n)
		if err != nil {
			return fmt.Errorf("write counter %s: %w", countNames[i], err)
		}
	}
	s.written = s.counts
	return nil
}

// count reads one of the totals as they are now, the current group included.
func (s *Store) count(i int) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts[i]
}
