// Package wire is the codec of AMQP 1.0 (OASIS Standard, 29 October 2012): it
// turns bytes into values, frames, performatives and message sections, and
// back. It opens no connection, keeps no state between calls, starts no
// goroutine, and imports nothing of this module.
//
// # Values
//
// [Decode] and [Append] translate between bytes and Go values. Each AMQP type
// has exactly one Go type, so that what was a symbol stays a symbol:
//
//	null        nil              decimal32   Decimal32 ([4]byte)
//	boolean     bool             decimal64   Decimal64 ([8]byte)
//	ubyte       uint8            decimal128  Decimal128 ([16]byte)
//	ushort      uint16           char        Char
//	uint        uint32           timestamp   Timestamp (milliseconds)
//	ulong       uint64           uuid        UUID (RFC 4122 order)
//	byte        int8             binary      []byte
//	short       int16            string      string
//	int         int32            symbol      Symbol
//	long        int64            list        List
//	float       float32          map         Map (ordered)
//	double      float64          array       Array
//	                             described   Described
//
// A Go int, a time.Time or a map[string]any is none of these and is refused:
// the caller says which AMQP type is meant.
//
// # Frames
//
// A [Reader] cuts a byte stream into protocol headers and frames;
// [DecodePerformative] and [DecodeSASL] read a frame's body. [AppendFrame],
// [AppendTransfer], [AppendSASL] and [AppendEmptyFrame] write frames into a
// slice. Performatives and delivery states are always pointers.
//
// A field is an [Optional] when its absence differs from Go's zero value;
// any other field is left out on the wire when it is zero, unless the
// specification makes it mandatory.
//
// # Messages
//
// [ParseMessage] cuts a message into raw sections without looking inside, so
// that a broker forwards [Sections.Bare] byte for byte and rewrites only the
// header and the annotations. [DecodeMessage] reads everything.
//
// # Bad input
//
// No input panics. What is wrong is an [*Error] with the AMQP condition to
// answer with and a sentence for the peer; it never quotes the peer's data.
// Memory stays within a small factor of the input's size: counts are checked
// against the bytes that are there, compound values nest at most [MaxDepth]
// deep, and elements that take no bytes are limited to [MaxZeroWidth].
//
// All functions are safe for concurrent use; a Reader is not.
package wire
