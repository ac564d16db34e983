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
// time. Time itself empties it.
type sketch [sketchRows][]int64

func newSketch(size int) (s sketch) {
	for row := range s {
		s[row] = make([]int64, size*sketchFactor)
	}
	return s
}

func (s *sketch) raise(key Key, arrival int64) {
	for row := range s {
		cell := s.cell(row, key)
		*cell = max(*cell, arrival)
	}
}

func (s *sketch) read(key Key) int64 {
	arrival := *s.cell(0, key)
	for row := 1; row < sketchRows; row++ {
		arrival = min(arrival, *s.cell(row, key))
	}
	return arrival
}

// cell spreads a key differently over each row (double hashing).
func (s *sketch) cell(row int, key Key) *int64 {
	first, second := key.halves()
	return &s[row][(second+uint64(row)*(first|1))%uint64(len(s[row]))]
}

func (k Key) halves() (first, second uint64) {
	return binary.LittleEndian.Uint64(k[:8]), binary.LittleEndian.Uint64(k[8:])
}
