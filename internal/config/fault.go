package config

import (
	"fmt"
	"strings"
)

// Fault is one thing that is wrong with the settings.
type Fault struct {
	// Flag is the setting's flag without its dashes.
	Flag string
	// Source is the environment variable the value came from, "" for the flag
	// itself or a default.
	Source string
	// Problem says what was expected and what was found instead. It never
	// holds a secret.
	Problem string
	// Remedy says what to do.
	Remedy string
}

// String is the fault on one line.
func (f Fault) String() string {
	name := "--" + f.Flag
	if f.Source != "" {
		name += " (from " + f.Source + ")"
	}
	return fmt.Sprintf("%s: %s; %s", name, f.Problem, f.Remedy)
}

// Faults is all that is wrong with the settings. An empty Faults is never
// returned as an error.
type Faults []Fault

// Error lists the faults, one a line.
func (f Faults) Error() string {
	var b strings.Builder
	if len(f) == 1 {
		b.WriteString("a setting is wrong:")
	} else {
		fmt.Fprintf(&b, "%d settings are wrong:", len(f))
	}
	for _, fault := range f {
		b.WriteString("\n  " + fault.String())
	}
	return b.String()
}

// add notes a fault.
func (f *Faults) add(flag, problem, remedy string) {
	*f = append(*f, Fault{Flag: flag, Problem: problem, Remedy: remedy})
}

// err is nil when there are none.
func (f Faults) err() error {
	if len(f) == 0 {
		return nil
	}
	return f
}
