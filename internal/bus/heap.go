package bus

import "time"

// lock is one held message. The fields belong to the writer's goroutine.
type lock struct {
	entry // as it will be when the lock ends
	token LockToken
	until time.Time
	index int // in the heap
}

// lockHeap has the lock that ends first on top (container/heap).
type lockHeap []*lock

func (h lockHeap) Len() int { return len(h) }
func (h lockHeap) Less(i, j int) bool {
	if c := h[i].until.Compare(h[j].until); c != 0 {
		return c < 0
	}
	return h[i].seq < h[j].seq
}
func (h lockHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push implements heap.Interface.
func (h *lockHeap) Push(x any) {
	l := x.(*lock)
	l.index = len(*h)
	*h = append(*h, l)
}

// Pop implements heap.Interface.
func (h *lockHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return last
}

// seqHeap has the lowest sequence number on top (container/heap).
type seqHeap []int64

func (h seqHeap) Len() int           { return len(h) }
func (h seqHeap) Less(i, j int) bool { return h[i] < h[j] }
func (h seqHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push implements heap.Interface.
func (h *seqHeap) Push(x any) { *h = append(*h, x.(int64)) }

// Pop implements heap.Interface.
func (h *seqHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}
