package busadmin

import (
	"context"
	"io"
	"log/slog"

	"bellhop/internal/bus"
)

// Config is what the emulator's Config.json asks for.
type Config struct {
	// Namespace is the namespace's name in the file. The bus has no use for it.
	Namespace string
	// Queues are in the order of the file; no two have the same name.
	Queues []Queue
}

// Queue is one queue that is asked for.
type Queue struct {
	Name     string
	Settings bus.Settings
}

// ParseConfig reads a Config.json. An error that is about what is in the file
// is [Faults], with everything that is wrong.
func ParseConfig(r io.Reader) (*Config, error) {
	return &Config{}, nil
}

// Apply creates the queues that are missing and alters those that are there
// and differ from the file, so that whoever edits the file and starts again
// gets what it says. Queues that the file does not name stay. What was created
// and altered is logged. The first queue that fails ends it.
func (c *Config) Apply(ctx context.Context, b *bus.Bus, logger *slog.Logger) error {
	return nil
}

// Fault is one thing that is wrong with a file.
type Fault struct {
	// Path is where, such as
	// UserConfig.Namespaces[0].Queues[2].Properties.LockDuration.
	Path string
	// Problem says what was expected, and what was found.
	Problem string
}

// String is the fault on one line.
func (f Fault) String() string { return f.Path + ": " + f.Problem }

// Faults is all that is wrong with a file. An empty Faults is never returned as
// an error.
type Faults []Fault

// Error lists the faults, one a line.
func (f Faults) Error() string { return "" }
