package web

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"
)

// input is a request's body as it was sent, before anything is checked. Which
// fields it takes is each route's to say.
type input struct {
	first, last, email string
	consent            string // the version of the text that was shown
	code               string
	refreshToken       string

	// What only our own pages have: a JSON body cannot.
	key     string // makes sending a form twice one sign-up
	next    string // where to go afterwards
	stamp   string // when the form was shown
	website string // hidden, and empty unless a robot filled it in
}

// The fields of each kind of body.
func signUpFields() []string  { return []string{"first", "last", "email", "consent"} }
func signInFields() []string  { return []string{"email"} }
func codeFields() []string    { return []string{"code"} }
func refreshFields() []string { return []string{"refresh_token"} }
func noFields() []string      { return nil }

// field returns where a field's value goes, nil for a name we do not know.
func (in *input) field(name string) *string {
	switch name {
	case "first":
		return &in.first
	case "last":
		return &in.last
	case "email":
		return &in.email
	case "consent":
		return &in.consent
	case "code":
		return &in.code
	case "refresh_token":
		return &in.refreshToken
	}
	return nil
}

// pageField returns where the value of a form's field goes, nil for a name we do
// not know.
func (in *input) pageField(name string) *string {
	switch name {
	case keyField:
		return &in.key
	case "next":
		return &in.next
	case "stamp":
		return &in.stamp
	case "website":
		return &in.website
	}
	return in.field(name)
}

// bodyKind is a content type that a form may come in.
type bodyKind string

const (
	jsonBody       bodyKind = "application/json"
	urlencodedBody bodyKind = "application/x-www-form-urlencoded"
	multipartBody  bodyKind = "multipart/form-data"
)

// readInput reads and decodes a request's body, of which JSON may have the given
// fields and no others. Its errors are problems.
func readInput(w http.ResponseWriter, r *http.Request, fields []string) (in input, kind bodyKind, err error) {
	kind, boundary, err := kindOf(r.Header)
	if err != nil {
		return input{}, kind, err
	}
	body, err := readBody(w, r)
	if err != nil {
		return input{}, kind, err
	}
	switch kind {
	case jsonBody:
		in, err = decodeJSON(body, fields)
	case urlencodedBody:
		in, err = decodeURLEncoded(body)
	case multipartBody:
		in, err = decodeMultipart(body, boundary)
	}
	return in, kind, err
}

// kindOf reads Content-Type and refuses whatever we would have to guess at.
func kindOf(h http.Header) (kind bodyKind, boundary string, err error) {
	contentType := h.Get("Content-Type")
	if encoding := h.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return "", "", unsupported("problem.compressed")
	}
	if bodyKind(contentType) == jsonBody { // what programs send
		return jsonBody, "", nil
	}
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		media = ""
	}
	kind = bodyKind(media)
	switch kind {
	case jsonBody, urlencodedBody:
	case multipartBody:
		boundary = params["boundary"]
	default:
		return "", "", unsupported("problem.content-type")
	}
	if charset := params["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
		return kind, "", unsupported("problem.charset")
	}
	return kind, boundary, nil
}

// unsupported is the problem of a body in a form that we do not read. The text
// says which we do.
func unsupported(key string) *problem {
	text := message{key: key, values: []any{"json", jsonBody, "form", urlencodedBody, "multipart", multipartBody}}
	return &problem{status: http.StatusUnsupportedMediaType, code: "unsupported_media_type", text: text}
}

// readBody reads at most 16 KiB, and nothing of a body that says it is longer.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	var body []byte
	var err error
	switch n := r.ContentLength; {
	case n > maxBodyBytes:
		return nil, errTooLarge
	case n >= 0:
		body = make([]byte, n)
		_, err = io.ReadFull(r.Body, body)
	default:
		body, err = io.ReadAll(http.MaxBytesReader(w, r.Body, maxBodyBytes))
	}
	return body, bodyProblem(err)
}

// bodyProblem is what a failed read of a body comes to. Whatever it is, it is
// the client or the way to it: a connection that broke, chunks that are none.
// The error itself may hold the client's address and is not passed on.
func bodyProblem(err error) error {
	if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return err
	}
	return errCutShort
}

// malformed is the problem of a body that cannot be read, with a text of the
// catalogue and its values. The field is "" if no single one is at fault; it is
// a name we know, or one that was sent.
func malformed(field, key string, values ...any) *problem {
	p := &problem{status: http.StatusBadRequest, code: "malformed", text: message{key: key, values: values}}
	if field != "" {
		p.fields = map[string]message{field: p.text}
	}
	return p
}
