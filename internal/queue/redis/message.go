package redis

import (
	"fmt"
	"iter"
	"strings"

	"bellhop/internal/queue"
)

// maxProperties is ours, beside the limits of [queue.Message]: a script cannot
// handle any number of them.
const maxProperties = 1000

// The fields of a stream's entry. A property is a field of its own, so that a
// person can read it in any tool for Redis.
const (
	fieldID       = "id"
	fieldBody     = "body"
	fieldProperty = "p:" // and the property's name
)

func checkSize(m queue.Message) error {
	if len(m.Properties) > maxProperties {
		return fmt.Errorf("%w: %d properties, the limit is %d", queue.ErrTooLarge, len(m.Properties), maxProperties)
	}
	return m.CheckSize()
}

// appendFields appends how many arguments follow, and the entry's fields.
func appendFields(args []any, m queue.Message) []any {
	n := 2 + 2*len(m.Properties)
	if len(m.Body) > 0 {
		n += 2
	}
	args = append(args, n, fieldID, m.ID)
	for key, value := range m.Properties {
		args = append(args, fieldProperty+key, value)
	}
	if len(m.Body) > 0 {
		args = append(args, fieldBody, m.Body)
	}
	return args
}

// decode makes a message of any entry, whoever wrote it: fields that are not
// ours are left out, and one without an id of its own goes by the entry's. Who
// receives it must look at what it says anyway.
func decode(entry string, fields []any) queue.Message {
	m := queue.Message{ID: entry}
	for name, value := range pairs(fields) {
		key, property := strings.CutPrefix(name, fieldProperty)
		switch {
		case property:
			if m.Properties == nil {
				m.Properties = make(map[string]string, len(fields)/2)
			}
			m.Properties[key] = value
		case name == fieldID:
			m.ID = value
		case name == fieldBody:
			m.Body = []byte(value)
		}
	}
	return m
}

// pairs are an entry's fields and values.
func pairs(fields []any) iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for i := 0; i+1 < len(fields); i += 2 {
			name, _ := fields[i].(string)
			value, _ := fields[i+1].(string)
			if !yield(name, value) {
				return
			}
		}
	}
}

// taken is one entry in the answer to the script that receives.
type taken struct {
	id     string
	count  int
	fields []any
}

// parseTaken reads the answer of the script that receives: where to go on with
// the sweep, and entries.
func parseTaken(reply any) (cursor string, entries []taken) {
	parts, _ := reply.([]any)
	if len(parts) != 2 {
		return "", nil
	}
	cursor, _ = parts[0].(string)
	list, _ := parts[1].([]any)
	for _, item := range list {
		if entry, _ := item.([]any); len(entry) == 3 {
			id, _ := entry[0].(string)
			count, _ := entry[1].(int64)
			fields, _ := entry[2].([]any)
			entries = append(entries, taken{id: id, count: int(count), fields: fields})
		}
	}
	return cursor, entries
}
