package busadmin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// maxNesting is how deep a Config.json may be nested; the schema needs ten.
const maxNesting = 32

// member is one key of an object, as it is written.
type member struct {
	key   string
	value any
}

// object keeps its members' order and repetitions. The other values are those
// of encoding/json: []any, string, json.Number, bool and nil.
type object []member

// parseJSON reads JSON in the form of the emulator: with comments, with commas
// after the last of several, perhaps with a byte order mark. The error names
// the line.
func parseJSON(text []byte) (any, error) {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	plain := withoutExtras(text)
	var whole json.RawMessage
	if err := json.Unmarshal(plain, &whole); err != nil {
		return nil, atLine(text, err)
	}
	decoder := json.NewDecoder(bytes.NewReader(plain))
	decoder.UseNumber()
	return readValue(decoder, 0)
}

// readValue reads the next value of valid JSON.
func readValue(decoder *json.Decoder, depth int) (any, error) {
	if depth > maxNesting {
		return nil, fmt.Errorf("want at most %d values inside each other", maxNesting)
	}
	token, err := decoder.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('{'):
		return readObject(decoder, depth)
	case json.Delim('['):
		return readArray(decoder, depth)
	}
	return token, nil
}

func readObject(decoder *json.Decoder, depth int) (any, error) {
	o := object{}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		value, err := readValue(decoder, depth+1)
		if err != nil {
			return nil, err
		}
		o = append(o, member{key.(string), value})
	}
	_, err := decoder.Token()
	return o, err
}

func readArray(decoder *json.Decoder, depth int) (any, error) {
	list := []any{}
	for decoder.More() {
		value, err := readValue(decoder, depth+1)
		if err != nil {
			return nil, err
		}
		list = append(list, value)
	}
	_, err := decoder.Token()
	return list, err
}

// atLine says in which line the JSON is broken.
func atLine(text []byte, err error) error {
	var broken *json.SyntaxError
	if !errors.As(err, &broken) {
		return err
	}
	before := text[:min(max(int(broken.Offset)-1, 0), len(text))]
	return fmt.Errorf("line %d: %w", bytes.Count(before, []byte("\n"))+1, err)
}

// withoutExtras puts spaces in the place of comments and of commas before a
// closing bracket, so that what remains is plain JSON with all else where it
// was.
func withoutExtras(text []byte) []byte {
	plain := bytes.Clone(text)
	var last byte // the latest byte that is neither space nor comment
	comma := -1   // where it is, if it is a comma that follows a value
	for i := 0; i < len(plain); i++ {
		c := plain[i]
		if end := commentEnd(plain, i); end > i {
			blank(plain[i:end])
			i = end - 1
			continue
		}
		switch c {
		case ' ', '\t', '\r', '\n':
			continue
		case '"':
			i = stringEnd(plain, i) - 1
		case '}', ']':
			if last == ',' && comma >= 0 {
				plain[comma] = ' '
			}
		}
		comma = -1
		if c == ',' && strings.IndexByte("\x00,:[{", last) < 0 {
			comma = i
		}
		last = c
	}
	return plain
}

// commentEnd is where the comment that begins at i ends, i if there is none.
func commentEnd(text []byte, i int) int {
	rest := text[i:]
	var length int
	switch {
	case bytes.HasPrefix(rest, []byte("//")):
		length = bytes.IndexByte(rest, '\n')
	case bytes.HasPrefix(rest, []byte("/*")):
		if length = bytes.Index(rest[2:], []byte("*/")); length >= 0 {
			length += 4
		}
	default:
		return i
	}
	if length < 0 {
		return len(text)
	}
	return i + length
}

// stringEnd is where the string that begins at i ends.
func stringEnd(text []byte, i int) int {
	for i++; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(text)
}

// blank leaves only the ends of lines.
func blank(text []byte) {
	for i, c := range text {
		if c != '\n' {
			text[i] = ' '
		}
	}
}

// kindOf names a value for people, with the value if it is short.
func kindOf(value any) string {
	switch v := value.(type) {
	case nil:
		return "none"
	case object:
		return "an object"
	case []any:
		return "a list"
	case string:
		return fmt.Sprintf("%.64q", v)
	case json.Number:
		return fmt.Sprintf("%.32s", v)
	case bool:
		return strconv.FormatBool(v)
	}
	return "something else"
}
