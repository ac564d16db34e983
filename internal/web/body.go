package web

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"
)

// input is a form as it was sent, before anything is checked.
type input struct {
	first, last, email string
	// key is the hidden field of our own page, "" from anywhere else.
	key string
}

// field returns where a field's value goes, nil for a name we do not know.
func (in *input) field(name string) *string {
	switch name {
	case "first":
		return &in.first
	case "last":
		return &in.last
	case "email":
		return &in.email
	}
	return nil
}

// bodyKind is a content type that a form may come in.
type bodyKind string

const (
	jsonBody       bodyKind = "application/json"
	urlencodedBody bodyKind = "application/x-www-form-urlencoded"
	multipartBody  bodyKind = "multipart/form-data"
)

// readInput reads and decodes a request's body. Its errors are problems.
func readInput(w http.ResponseWriter, r *http.Request) (in input, kind bodyKind, err error) {
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
		in, err = decodeJSON(body)
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
		return "", "", unsupported("A compressed body is not accepted.")
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
		return "", "", unsupported("Send " + string(jsonBody) + ", " + string(urlencodedBody) + " or " + string(multipartBody) + ".")
	}
	if charset := params["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
		return kind, "", unsupported("Only UTF-8 is understood.")
	}
	return kind, boundary, nil
}

func unsupported(message string) *problem {
	return &problem{status: http.StatusUnsupportedMediaType, code: "unsupported_media_type", message: message}
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

// malformed is the problem of a body that cannot be read. The field is "" if
// no single one is at fault; it is a name we know, or one that was sent.
func malformed(field, format string, args ...any) *problem {
	p := &problem{status: http.StatusBadRequest, code: "malformed", message: fmt.Sprintf(format, args...)}
	if field != "" {
		p.fields = map[string]string{field: p.message}
	}
	return p
}
