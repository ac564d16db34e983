package redis

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// errReply is returned for a reply that no step gives.
var errReply = errors.New("the step's reply is not one of ours")

// reply reads a step's reply, value by value. What is missing or of another
// kind is noted, and everything after it is zero.
type reply struct {
	values []any
	err    error
}

func newReply(v any) *reply {
	values, ok := v.([]any)
	if !ok {
		return &reply{err: fmt.Errorf("%w: %T", errReply, v)}
	}
	return &reply{values: values}
}

func (r *reply) more() bool { return r.err == nil && len(r.values) > 0 }

func (r *reply) next() any {
	if r.err == nil && len(r.values) == 0 {
		r.err = fmt.Errorf("%w: it is too short", errReply)
	}
	if r.err != nil {
		return nil
	}
	v := r.values[0]
	r.values = r.values[1:]
	return v
}

func (r *reply) text() string {
	switch v := r.next().(type) {
	case string:
		return v
	case int64:
		return strconv.FormatInt(v, 10)
	}
	return ""
}

func (r *reply) int() int64 {
	switch v := r.next().(type) {
	case int64:
		return v
	case string:
		if v == "" {
			return 0
		}
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil && r.err == nil {
			r.err = fmt.Errorf("%w: want a number, got %q", errReply, v)
		}
		return n
	}
	return 0
}

func (r *reply) bool() bool { return r.int() != 0 }

// list reads a reply within the reply.
func (r *reply) list() *reply {
	if v := r.next(); r.err == nil {
		return newReply(v)
	}
	return &reply{err: r.err}
}

// note takes over the error of a reply within the reply.
func (r *reply) note(within *reply) *reply {
	if r.err == nil {
		r.err = within.err
	}
	return r
}

// hex reads hexadecimal digits; nothing leaves what is there.
func (r *reply) hex(to []byte) {
	text := r.text()
	if text == "" || r.err != nil {
		return
	}
	if len(text) != hex.EncodedLen(len(to)) {
		r.err = fmt.Errorf("%w: want %d hexadecimal digits", errReply, hex.EncodedLen(len(to)))
		return
	}
	if _, err := hex.Decode(to, []byte(text)); err != nil {
		r.err = fmt.Errorf("%w: %w", errReply, err)
	}
}

// time reads a time in milliseconds, seconds one in seconds; zero for none.
func (r *reply) time() (t time.Time) {
	if at := r.int(); at != 0 {
		t = time.UnixMilli(at)
	}
	return t
}

func (r *reply) seconds() (t time.Time) {
	if at := r.int(); at != 0 {
		t = time.Unix(at, 0)
	}
	return t
}

// wait reads a time in milliseconds until something; negative for never.
func (r *reply) wait() time.Duration {
	if ms := r.int(); ms >= 0 {
		return time.Duration(ms) * time.Millisecond
	}
	return -1
}
