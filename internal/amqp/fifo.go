package amqp

// sending is a delivery that waits for the session's window, or the end of a
// drain that must not overtake one.
type sending struct {
	link    *Outgoing
	message OutMessage
	rest    []byte // of the message
	begun   bool
	drained *uint32 // credit that went unused, when this is the end of a drain
}

// fifo is what waits for a session's window, in order.
type fifo struct {
	items []sending
	head  int
	bytes int
}

func (q *fifo) empty() bool { return q.head == len(q.items) }

func (q *fifo) push(item sending) {
	q.bytes += len(item.rest)
	q.items = append(q.items, item)
}

func (q *fifo) front() *sending { return &q.items[q.head] }

func (q *fifo) pop() {
	q.bytes -= len(q.items[q.head].rest)
	q.items[q.head] = sending{}
	q.head++
	if !q.empty() {
		return
	}
	q.head = 0
	if q.items = q.items[:0]; cap(q.items) > 64 {
		q.items = nil
	}
}

// drop removes what waits for a link.
func (q *fifo) drop(l *Outgoing) {
	old := q.items[q.head:]
	*q = fifo{}
	for _, item := range old {
		if item.link != l {
			q.push(item)
		}
	}
}
