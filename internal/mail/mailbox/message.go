package mailbox

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	netmail "net/mail"
	"os"
	"slices"
	"strings"
	"time"
)

// Summary is a mail in the list. ReceivedAt is in UTC.
type Summary struct {
	ID         string
	To         string
	Subject    string
	MessageID  string // with its angle brackets
	ReceivedAt time.Time
}

// Message is a whole mail.
type Message struct {
	Summary
	// Text and HTML are the two parts, decoded; a part that is missing or
	// cannot be read is empty.
	Text, HTML string
	// Source is the mail byte by byte.
	Source []byte
}

// List returns the mails that are kept, newest first.
func (m *Mailbox) List() []Summary {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := slices.Clone(m.kept)
	slices.Reverse(list)
	return list
}

// Get reads one mail. [ErrNotFound] if it is not there.
func (m *Mailbox) Get(id string) (Message, error) {
	m.mu.Lock()
	at, found := slices.BinarySearchFunc(m.kept, Summary{ID: id}, byID)
	var summary Summary
	if found {
		summary = m.kept[at]
	}
	m.mu.Unlock()
	if !found { // whatever id is, it never becomes part of a path
		return Message{}, ErrNotFound
	}
	source, err := os.ReadFile(m.path(id))
	if errors.Is(err, fs.ErrNotExist) { // made room for a newer one just now
		return Message{}, ErrNotFound
	}
	if err != nil {
		return Message{}, fmt.Errorf("read mail: %w", err)
	}
	message := Message{Summary: summary, Source: source}
	message.Text, message.HTML = parts(source)
	return message, nil
}

// summarise reads a mail's headers. What cannot be read is left empty.
func summarise(id string, source []byte) Summary {
	received, _, _ := parseID(id)
	s := Summary{ID: id, ReceivedAt: received}
	parsed, err := netmail.ReadMessage(bytes.NewReader(source))
	if err != nil {
		return s
	}
	s.To, s.MessageID = parsed.Header.Get("To"), parsed.Header.Get("Message-Id")
	s.Subject, err = new(mime.WordDecoder).DecodeHeader(parsed.Header.Get("Subject"))
	if err != nil {
		s.Subject = parsed.Header.Get("Subject")
	}
	return s
}

// parts finds the text and the HTML of a mail.
func parts(source []byte) (text, html string) {
	parsed, err := netmail.ReadMessage(bytes.NewReader(source))
	if err != nil {
		return "", ""
	}
	_, params, err := mime.ParseMediaType(parsed.Header.Get("Content-Type"))
	if err != nil || params["boundary"] == "" {
		return decode(parsed.Body, parsed.Header.Get("Content-Transfer-Encoding")), ""
	}
	reader := multipart.NewReader(parsed.Body, params["boundary"])
	for {
		part, err := reader.NextRawPart()
		if err != nil {
			return text, html
		}
		content := decode(part, part.Header.Get("Content-Transfer-Encoding"))
		switch kind, _, _ := mime.ParseMediaType(part.Header.Get("Content-Type")); kind {
		case "text/plain":
			text = content
		case "text/html":
			html = content
		}
	}
}

// decode undoes the transfer encodings Bellhop writes.
func decode(r io.Reader, encoding string) string {
	if strings.EqualFold(encoding, "quoted-printable") {
		r = quotedprintable.NewReader(r)
	}
	content, err := io.ReadAll(r)
	if err != nil {
		return ""
	}
	return strings.ReplaceAll(string(content), "\r\n", "\n")
}
