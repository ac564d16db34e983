package limit

import "encoding/binary"

const (
	sketchRows = 4
	// sketchFactor is how many cells a row has for each key that is known
	// exactly.
	sketchFactor = 4
)

// sketch remembers theoretical arrival times coarsely (a count-min sketch of
// maxima): each key has a cell in every row, which holds the latest time of all
// keys that share it. The earliest of a key's cells is never before its own
// time. Time itself empties it. Its cells are made when it first has something
// to remember: most processes never see that many keys at a time.
type sketch struct {
	cells int // of a row
	rows  [sketchRows][]int64
}

func newSketch(size int) sketch { return sketch{cells: size * sketchFactor} }

func (s *sketch) raise(key Key, arrival int64) {
	for row := range s.rows {
		if s.rows[row] == nil {
			s.rows[row] = make([]int64, s.cells)
		}
		cell := s.cell(row, key)
		*cell = max(*cell, arrival)
	}
}

func (s *sketch) read(key Key) (arrival int64) {
	if s.rows[0] == nil {
		return 0
	}
	arrival = *s.cell(0, key)
	for row := 1; row < sketchRows; row++ {
		arrival = min(arrival, *s.cell(row, key))
	}
	return arrival
}

// cell spreads a key differently over each row (double hashing).
func (s *sketch) cell(row int, key Key) *int64 {
	first, second := key.halves()
	return &s.rows[row][(second+uint64(row)*(first|1))%uint64(s.cells)]
}

func (k Key) halves() (first, second uint64) {
	return binary.LittleEndian.Uint64(k[:8]), binary.LittleEndian.Uint64(k[8:])
}
