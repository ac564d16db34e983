package crashtest

import (
	"fmt"
	"sync"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
)

// place is where a message is, as far as a client can know.
type place uint8

const (
	nowhere place = iota // no doubt about another place
	inQueue
	inDeadLetters
	setAside
	gone
)

func (p place) String() string {
	return [...]string{"nowhere", "in the queue", "among the dead letters", "deferred", "gone"}[p]
}

// note is what the clients know of one message.
type note struct {
	confirmed  bool   // that it was taken
	parcel     int64  // the batch it was sent in; 0 for none
	deliveries uint32 // that a client got
	where      place  // what was confirmed
	doubt      place  // where it was to be brought when the bus died
	seq        int64  // by which it can be asked for
	reason     string // of its death
}

// notes are the clients' own, which is all that a bus is judged by.
type notes struct {
	mu     sync.Mutex
	last   int64
	all    map[string]*note
	faults []string

	sentInDoubt, settledInDoubt int // that were in flight at a kill and have come
}

func newNotes() *notes { return &notes{all: make(map[string]*note)} }

// fault notes what must not be. It is called with mu held.
func (n *notes) fault(format string, args ...any) {
	n.faults = append(n.faults, fmt.Sprintf(format, args...))
}

// blame is fault without mu.
func (n *notes) blame(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.fault(format, args...)
}

// sending notes messages that are about to be sent, and returns their ids.
func (n *notes) sending(kind string, count int) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	ids := make([]string, count)
	parcel := int64(0)
	for i := range ids {
		n.last++
		if count > 1 && parcel == 0 {
			parcel = n.last
		}
		ids[i] = label(kind, n.last)
		n.all[ids[i]] = &note{where: inQueue, parcel: parcel}
	}
	return ids
}

// sent notes that sending was confirmed.
func (n *notes) sent(ids ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, id := range ids {
		n.all[id].confirmed = true
	}
}

// known is the id of a message that was confirmed, "" as long as there is none.
func (n *notes) known() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	for id, known := range n.all {
		if known.confirmed {
			return id
		}
	}
	return ""
}

// received judges a delivery against what was told before. It returns false
// for what should not have come.
func (n *notes) received(m *azservicebus.ReceivedMessage, at place) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	known := n.all[m.MessageID]
	switch {
	case known == nil:
		n.fault("%q has come, which nobody sent", m.MessageID)
		return false
	case at != known.where && at != known.doubt:
		n.fault("%s came %v, and was confirmed to be %v", m.MessageID, at, known.where)
		return false
	case at != inDeadLetters && m.DeliveryCount < known.deliveries+1:
		n.fault("%s was delivered %d times before, and says %d now", m.MessageID, known.deliveries, m.DeliveryCount)
	case at == inDeadLetters && (m.DeadLetterReason == nil || *m.DeadLetterReason != known.reason):
		n.fault("%s is dead of %v, and was to be of %q", m.MessageID, m.DeadLetterReason, known.reason)
	}
	if string(m.Body) != m.MessageID {
		n.fault("%s has the body %q", m.MessageID, m.Body)
	}
	if !known.confirmed && known.deliveries == 0 {
		n.sentInDoubt++
	}
	if known.doubt != nowhere {
		n.settledInDoubt++
	}
	known.deliveries++
	known.where, known.doubt, known.seq = at, nowhere, *m.SequenceNumber
	return true
}

// asks notes that a message is about to be brought somewhere.
func (n *notes) asks(id string, to place, reason string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all[id].doubt = to
	if to == inDeadLetters {
		n.all[id].reason = reason
	}
}

// told notes that this was confirmed.
func (n *notes) told(id string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	known := n.all[id]
	known.where, known.doubt = known.doubt, nowhere
}

// refused notes that this has not happened.
func (n *notes) refused(id string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all[id].doubt = nowhere
}

// scheduled notes by which number a message can be cancelled.
func (n *notes) scheduled(id string, seq int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all[id].seq = seq
}

// aside lists the deferred messages, with the doubtful ones or without them, by
// number.
func (n *notes) aside(doubtful bool) map[int64]string {
	n.mu.Lock()
	defer n.mu.Unlock()
	found := make(map[int64]string)
	for id, known := range n.all {
		if known.where == setAside && known.doubt == nowhere || doubtful && known.doubt == setAside {
			found[known.seq] = id
		}
	}
	return found
}

// taken notes that a message has been taken for good.
func (n *notes) taken(m *azservicebus.ReceivedMessage, at place) {
	if n.received(m, at) {
		n.asks(m.MessageID, gone, "")
		n.told(m.MessageID)
	}
}

// judge is for when everything has been taken. It returns what there was.
func (n *notes) judge() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var confirmed, unconfirmed, doubtful int
	parcels, came := make(map[int64]int), make(map[int64]int)
	for id, known := range n.all {
		there := known.confirmed || known.deliveries > 0
		if known.parcel != 0 {
			parcels[known.parcel]++
			if there {
				came[known.parcel]++
			}
		}
		switch {
		case !there:
			unconfirmed++
			continue
		case known.confirmed:
			confirmed++
		}
		if known.where != gone && known.doubt == gone {
			doubtful++
		} else if known.where != gone {
			n.fault("%s was confirmed to be %v, and is lost", id, known.where)
		}
	}
	for parcel, size := range parcels {
		if came[parcel] != 0 && came[parcel] != size {
			n.fault("of the batch %d of %d messages %d have come", parcel, size, came[parcel])
		}
	}
	return fmt.Sprintf("%d sends confirmed; in flight at a kill: %d sends that came and %d that did not, "+
		"%d settlements without effect and %d completions with it; %d batches",
		confirmed, n.sentInDoubt, unconfirmed, n.settledInDoubt, doubtful, len(parcels))
}
