package web

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/url"
	"unicode/utf8"
)

// maxFields is how many fields a form may have. Ours have up to eight; browsers'
// extensions and tools add some, which are passed over.
const maxFields = 20

// keyField is the hidden field that makes sending our page's form twice one
// sign-up.
const keyField = "key"

var (
	errManyFields = malformed("", "problem.many-fields", "most", maxFields)
	errFormUTF8   = malformed("", "problem.form-utf8")
	errMultipart  = malformed("", "problem.multipart")
)

// formFields takes a form's fields one by one.
type formFields struct {
	in   input
	seen []string
}

func (f *formFields) add(name, value string) error {
	if len(f.seen) == maxFields {
		return errManyFields
	}
	if !utf8.ValidString(name) || !utf8.ValidString(value) {
		return errFormUTF8
	}
	for _, earlier := range f.seen {
		if earlier == name {
			return malformed("", "problem.field-twice")
		}
	}
	f.seen = append(f.seen, name)
	if target := f.in.pageField(name); target != nil {
		*target = value
	}
	return nil
}

// decodeURLEncoded reads application/x-www-form-urlencoded.
func decodeURLEncoded(body []byte) (input, error) {
	if bytes.Count(body, []byte("&")) >= maxFields {
		return input{}, errManyFields
	}
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return input{}, malformed("", "problem.form-encoding", "form", urlencodedBody)
	}
	var f formFields
	for name, list := range values {
		for _, value := range list {
			if err := f.add(name, value); err != nil {
				return input{}, err
			}
		}
	}
	return f.in, nil
}

// decodeMultipart reads multipart/form-data. Files are refused.
func decodeMultipart(body []byte, boundary string) (input, error) {
	if boundary == "" {
		return input{}, errMultipart
	}
	var f formFields
	parts := multipart.NewReader(bytes.NewReader(body), boundary)
	for {
		part, err := parts.NextPart()
		if err == io.EOF {
			return f.in, nil
		}
		if err != nil {
			return input{}, errMultipart
		}
		if part.FileName() != "" {
			return input{}, malformed("", "problem.files")
		}
		value, err := io.ReadAll(part)
		if err != nil {
			return input{}, errMultipart
		}
		if err := f.add(part.FormName(), string(value)); err != nil {
			return input{}, err
		}
	}
}
