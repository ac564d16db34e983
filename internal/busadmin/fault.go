package busadmin

import (
	"fmt"
	"strings"
)

// Fault is one thing that is wrong with a file, or with a description of a
// queue.
type Fault struct {
	// Path is where, such as
	// UserConfig.Namespaces[0].Queues[2].Properties.LockDuration.
	Path string
	// Problem says what was expected, and what was found.
	Problem string
}

// String is the fault on one line.
func (f Fault) String() string { return f.Path + ": " + f.Problem }

// Faults is all that is wrong. An empty Faults is never returned as an error.
type Faults []Fault

// maxListed bounds what Error says of a file that is wrong throughout.
const maxListed = 100

// Error lists the faults, one a line; of very many the first hundred.
func (f Faults) Error() string {
	lines := make([]string, 0, len(f))
	for i, fault := range f {
		if i == maxListed {
			lines = append(lines, fmt.Sprintf("and %d more", len(f)-maxListed))
			break
		}
		lines = append(lines, fault.String())
	}
	return strings.Join(lines, "\n")
}

// add notes a fault; an empty problem is none.
func (f *Faults) add(path, problem string) {
	if problem != "" {
		*f = append(*f, Fault{path, problem})
	}
}

// err is nil when there are none.
func (f Faults) err() error {
	if len(f) == 0 {
		return nil
	}
	return f
}
