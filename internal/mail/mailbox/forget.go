package mailbox

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"bellhop/internal/address"
	"bellhop/internal/durable"
)

// errForgotten is why a mail is not kept that was under way to somebody who is
// to be forgotten.
var errForgotten = errors.New("the recipient was forgotten meanwhile")

// Forget takes every mail to these addresses out of the mailbox, and off the
// disk before it returns. A mail that is under way to one of them is not kept,
// however far it has come; one that is begun afterwards is. So whoever first
// makes sure that a person gets no new mails, and then calls Forget, leaves
// nothing behind. When ctx ends, what is being written at that moment is taken
// away a little later.
func (m *Mailbox) Forget(ctx context.Context, addresses []address.Address) error {
	theirs := matcher(addresses)
	gone, writing := m.strike(theirs)
	err := m.remove(gone)
	for _, t := range writing {
		select {
		case <-t.written:
		case <-ctx.Done():
			err = errors.Join(err, ctx.Err())
		}
	}
	if len(gone)+len(writing) > 0 {
		err = errors.Join(err, durable.SyncDir(m.dir))
	}
	if err != nil {
		return fmt.Errorf("forget mails: %w", err)
	}
	return nil
}

// strike takes mails off the list, and marks those under way.
func (m *Mailbox) strike(theirs func(to string) bool) (gone []Summary, writing []*transaction) {
	m.mu.Lock()
	defer m.mu.Unlock()
	kept := m.kept[:0:0]
	for _, s := range m.kept {
		if theirs(s.To) {
			gone = append(gone, s)
		} else {
			kept = append(kept, s)
		}
	}
	m.kept = kept
	for t := range m.open {
		if theirs(t.to) {
			t.forgotten = true
			if t.writing {
				writing = append(writing, t)
			}
		}
	}
	return gone, writing
}

// matcher tells whether a mail is to one of the addresses, however it is
// written.
func matcher(addresses []address.Address) func(to string) bool {
	keys := make([]string, len(addresses))
	for i, a := range addresses {
		keys[i] = a.Key()
	}
	return func(to string) bool {
		a, err := address.Parse(to)
		return err == nil && slices.Contains(keys, a.Key())
	}
}
