package sqlitedb

import (
	"slices"
	"sync"
	"testing"
)

// What is put comes out once, in its order, in pieces of the size asked for,
// and nothing that was put is left behind by closing.
func TestInbox(t *testing.T) {
	in := newInbox()
	const n = 10_000
	var group sync.WaitGroup
	group.Go(func() {
		for i := range n {
			if !in.put(&write{when: moment(i % 256)}) {
				t.Error("an open inbox refused a write")
			}
		}
		in.close()
	})
	defer group.Wait()
	var got []*write
	for in.await() {
		before := len(got)
		if got = in.take(got, 7); len(got)-before > 7 {
			t.Fatalf("took %d, want at most 7", len(got)-before)
		}
	}
	if len(got) != n || slices.Contains(got, nil) {
		t.Fatalf("took %d of %d", len(got), n)
	}
	for i, w := range got {
		if w.when != moment(i%256) {
			t.Fatalf("write %d is out of order", i)
		}
	}
	if in.put(&write{}) {
		t.Error("a closed inbox took a write")
	}
}
