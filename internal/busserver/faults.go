package busserver

// Faults make a server misbehave on demand. The zero value makes none. All
// methods may be called at any time, concurrently.
type Faults struct{}
