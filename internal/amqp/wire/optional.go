package wire

// Optional is a field that may be absent, which differs from being zero. The
// zero Optional is absent.
type Optional[T any] struct {
	Value   T    // zero when absent
	Present bool // whether the field is there
}

// Some is a field that is there.
func Some[T any](v T) Optional[T] { return Optional[T]{Value: v, Present: true} }

// Or is the field's value, or otherwise when it is absent.
func (o Optional[T]) Or(otherwise T) T {
	if o.Present {
		return o.Value
	}
	return otherwise
}
