package token

import "context"

// Documents keeps small texts that all processes share, each with a version.
type Documents interface {
	// Document returns a document and its version; nil and 0 if there is none.
	Document(ctx context.Context, name string) (value []byte, version int64, err error)
	// SetDocument replaces the version of a document that the caller has read,
	// 0 for none, by the next one, on disk before it returns. If that is not its
	// version any more, nothing is changed and set is false.
	SetDocument(ctx context.Context, name string, value []byte, version int64) (set bool, err error)
}
