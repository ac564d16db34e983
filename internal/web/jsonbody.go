package web

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxShownName is how much of an unknown field's name is repeated back.
const maxShownName = 40

var errNotJSON = malformed("", "problem.not-json")

// decodeJSON reads one object of strings, strictly (B6.2): every name is one of
// the fields and there once. A body of nothing is fine where no field is taken. A null is a field that is not there. Nothing may nest.
//
// The library says whether the body is valid JSON; what is valid is taken apart
// here, because the library takes a name that comes twice, or in other case,
// and its token reader costs as much as all else we do for a sign-up.
func decodeJSON(body []byte, fields []string) (in input, err error) {
	rest := skipSpace(body)
	if len(fields) == 0 && len(rest) == 0 {
		return input{}, nil
	}
	if !utf8.Valid(body) || !json.Valid(body) || rest[0] != '{' {
		return input{}, errNotJSON
	}
	seen := make([]*string, 0, 4) // as many as any body of ours has
	rest = skipSpace(rest[1:])
	for rest[0] != '}' {
		var target *string
		if target, rest, err = decodeMember(&in, rest, fields); err != nil {
			return input{}, err
		}
		if slices.Contains(seen, target) {
			return input{}, malformed("", "problem.field-twice")
		}
		seen = append(seen, target)
	}
	return in, nil
}

// decodeMember reads a name and its value from valid JSON. It returns where
// the value went, and what comes after it and its comma.
func decodeMember(in *input, body []byte, fields []string) (target *string, rest []byte, err error) {
	name, rest := cutString(body)
	if !slices.Contains(fields, name) {
		name = truncate(name, maxShownName)
		if len(fields) == 0 {
			return nil, nil, malformed(name, "problem.no-fields", "name", strconv.Quote(name))
		}
		return nil, nil, malformed(name, "problem.unknown-field", "name", strconv.Quote(name), "known", strings.Join(fields, ", "))
	}
	target = in.field(name)
	rest = skipSpace(skipSpace(rest)[1:]) // the colon
	switch rest[0] {
	case '"':
		*target, rest = cutString(rest)
	case 'n':
		rest = rest[len("null"):]
	default:
		return nil, nil, malformed(name, "problem.no-string", "name", name)
	}
	if rest = skipSpace(rest); rest[0] == ',' {
		rest = skipSpace(rest[1:])
	}
	return target, rest, nil
}

// cutString reads the string that valid JSON begins with.
func cutString(body []byte) (s string, rest []byte) {
	end := 1
	for body[end] != '"' {
		if body[end] == '\\' {
			end++
		}
		end++
	}
	literal, rest := body[:end+1], body[end+1:]
	if bytes.IndexByte(literal, '\\') < 0 {
		return string(literal[1:end]), rest
	}
	_ = json.Unmarshal(literal, &s) // valid, so it cannot fail
	return s, rest
}

func skipSpace(body []byte) []byte { return bytes.TrimLeft(body, " \t\r\n") }

// truncate shortens s to at most n bytes, on a character's boundary.
func truncate(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
