package signup

import (
	"maps"
	"slices"
	"strings"
)

// KeyField is the name of the idempotency key among an [Invalid]'s fields.
const KeyField = "Idempotency-Key"

// Invalid says what is wrong with a form, field by field: "first", "last",
// "email" or [KeyField]. It never holds what was typed.
type Invalid struct {
	Fields map[string]FieldError
}

// FieldError is why a field was refused: a stable code for programs and a
// sentence for the person who filled it in.
type FieldError struct {
	Code, Message string
}

// Error lists the fields and codes.
func (v *Invalid) Error() string {
	var b strings.Builder
	b.WriteString("form:")
	for _, field := range slices.Sorted(maps.Keys(v.Fields)) {
		b.WriteString(" " + field + " " + v.Fields[field].Code)
	}
	return b.String()
}

// fieldReason is a reason that this package gives.
type fieldReason struct {
	code, sentence string
}

func (r *fieldReason) Error() string    { return r.code }
func (r *fieldReason) Code() string     { return r.code }
func (r *fieldReason) Sentence() string { return r.sentence }

var (
	errKey          = &fieldReason{"key", "An idempotency key is 1 to 255 visible ASCII characters, given once."}
	errNameMissing  = &fieldReason{"empty", "Please enter your first name."}
	errNameLong     = &fieldReason{"too-long", "A name can have at most 64 characters."}
	errNameEncoding = &fieldReason{"encoding", "This name contains characters that cannot be read."}
	errNameSign     = &fieldReason{"character", "A name cannot contain line breaks or invisible control characters."}
	errNameLink     = &fieldReason{"link", "A name cannot contain a web or e-mail address. After the dot of an abbreviation, put a space."}
)

// InvalidKey is the [Invalid] for an idempotency key that is there and empty,
// or there twice: a [Form] cannot carry either.
func InvalidKey() *Invalid {
	var v Invalid
	v.add(KeyField, errKey)
	return &v
}
