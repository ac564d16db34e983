package sas

import (
	"fmt"
	"strings"
)

// Rights is a set of what a rule allows. The zero value allows nothing.
type Rights uint8

const (
	// Send allows sending to an entity.
	Send Rights = 1 << iota
	// Listen allows receiving from an entity and settling what was received.
	Listen
	// manage is what Manage has beyond the other two.
	manage
	// Manage allows to create, change, read and delete entities. It includes
	// Send and Listen.
	Manage = manage | Send | Listen
)

// Has tells whether r includes all of want.
func (r Rights) Has(want Rights) bool { return r&want == want }

// Names are the rights' names as the service writes them, Manage first. Manage
// is always named together with the two it includes, which is what the admin
// API wants.
func (r Rights) Names() (names []string) {
	for _, named := range [...]struct {
		right Rights
		name  string
	}{{Manage, "Manage"}, {Send, "Send"}, {Listen, "Listen"}} {
		if r.Has(named.right) {
			names = append(names, named.name)
		}
	}
	return names
}

// String joins Names with commas; it is "none" for no rights.
func (r Rights) String() string {
	if names := r.Names(); len(names) > 0 {
		return strings.Join(names, ",")
	}
	return "none"
}

// ParseRights reads the names of rights, in any case. No names are no rights.
func ParseRights(names ...string) (r Rights, err error) {
	for _, name := range names {
		switch {
		case strings.EqualFold(name, "Manage"):
			r |= Manage
		case strings.EqualFold(name, "Send"):
			r |= Send
		case strings.EqualFold(name, "Listen"):
			r |= Listen
		default:
			return 0, fmt.Errorf("want the rights Manage, Send or Listen, got %.32q", name)
		}
	}
	return r, nil
}
