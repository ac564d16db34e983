package redis

import (
	"bytes"
	"maps"
	"regexp"
	"strings"
	"testing"

	"bellhop/internal/queue"
)

// reply makes of data any shape of answer: '[' and ']' enclose a list, '#' is a
// number, '-' is nil, anything else is text.
func reply(data []byte) any {
	var all []any
	for len(data) > 0 {
		c := data[0]
		data = data[1:]
		switch c {
		case '[':
			end := bytes.LastIndexByte(data, ']')
			if end < 0 {
				end = len(data)
			}
			all = append(all, reply(data[:end]))
			data = data[min(end+1, len(data)):]
		case '#':
			all = append(all, int64(len(data)))
		case '-':
			all = append(all, nil)
		default:
			all = append(all, string(c))
		}
	}
	return all
}

// Whatever Redis answers, it is read without harm.
func FuzzReplies(f *testing.F) {
	for _, seed := range []string{"", "0[[1#[iabx]]]", "[[][]]", "-[-]", "0[[1#-][#][1#2]]", "[1[iab]]", "1[rxdy]"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		_, entries := parseTaken(reply(data))
		for _, e := range entries {
			if m := decode(e.id, e.fields); m.ID != e.id { // no text here is as long as the field's name
				t.Errorf("decoded %v as %q", e, m.ID)
			}
		}
		parseLetter(reply(data))
		parseLetter(any(string(data)))
	})
}

// Whatever may be sent comes out as it went in.
func FuzzMessage(f *testing.F) {
	f.Add("1", "mail", "9d7e3a52", "", "", []byte("body"))
	f.Add("", "id", "x", "body", "y", []byte{})
	f.Add("p:", "p:p:", "\xff", "reason", "z", []byte{0})
	f.Fuzz(func(t *testing.T, id, key1, value1, key2, value2 string, body []byte) {
		sent := queue.Message{ID: id, Properties: map[string]string{key1: value1, key2: value2}, Body: body}
		args := appendFields(nil, sent)
		if args[0] != len(args)-1 {
			t.Fatalf("%d arguments are announced, %d follow", args[0], len(args)-1)
		}
		fields := args[1:]
		for i, field := range fields { // Redis gives text back
			if b, ok := field.([]byte); ok {
				fields[i] = string(b)
			}
		}
		got := decode("1-1", fields)
		if got.ID != sent.ID || !maps.Equal(got.Properties, sent.Properties) || !bytes.Equal(got.Body, sent.Body) {
			t.Errorf("sent %+v, got %+v", sent, got)
		}
	})
}

// An id that is let through is one that Redis takes for exactly one entry.
func FuzzEntryID(f *testing.F) {
	for _, seed := range []string{"1-1", "-", "+", "1", "0-0", "18446744073709551616-0", "1-1-1", "(1-1", "+1-1"} {
		f.Add(seed)
	}
	exact := regexp.MustCompile(`^[0-9]+-[0-9]+$`)
	f.Fuzz(func(t *testing.T, id string) {
		if _, ok := parseEntryID(id); ok && !exact.MatchString(id) {
			t.Errorf("%q is let through", id)
		}
		if s := queue.ClipReason(strings.Repeat(id, 1+5000/(len(id)+1))); len(s) > queue.MaxReasonBytes || strings.ToValidUTF8(s, "") != s {
			t.Errorf("clipped %q to %d bytes", id, len(s))
		}
	})
}
