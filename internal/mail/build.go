package mail

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"mime/quotedprintable"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	maxLine        = 76 // of headers; quoted-printable keeps to it by itself
	maxEncodedWord = 45 // bytes of UTF-8 in one encoded word: 72 characters
)

var (
	errBadAddrSpec  = errors.New("expected an ASCII address such as name@example.com")
	errBadMessageID = errors.New("expected a Message-ID such as <id@example.com>")
)

// Message is all that a mail's bytes depend on.
type Message struct {
	From From
	// To is the recipient's sendable address.
	To string
	// Subject is one line; control characters become spaces.
	Subject string
	// Date is written in UTC with seconds.
	Date time.Time
	// MessageID holds its angle brackets. The MIME boundary comes from it too.
	MessageID string
	// Text and HTML are the two forms of the content, UTF-8, with any line ends.
	Text, HTML string
}

// Build writes m as multipart/alternative (RFC 2046 section 5.1.4), both parts
// quoted-printable. It is a pure function: equal messages give equal bytes.
// Every line ends in CRLF and has at most 76 characters, but for an address
// that is longer by itself.
func Build(m Message) ([]byte, error) {
	var b bytes.Buffer
	b.Grow(1024 + len(m.Text) + len(m.Text)/8 + len(m.HTML) + len(m.HTML)/8)
	if err := build(&b, m, []byte(m.Text), []byte(m.HTML)); err != nil {
		return nil, fmt.Errorf("build mail: %w", err)
	}
	return b.Bytes(), nil
}

// build writes m, with the two forms of the content beside it.
func build(b *bytes.Buffer, m Message, text, html []byte) error {
	if !isAddrSpec(m.To) || !isAddrSpec(m.From.Address) {
		return errBadAddrSpec
	}
	id, opened := strings.CutPrefix(m.MessageID, "<")
	id, closed := strings.CutSuffix(id, ">")
	if !opened || !closed || !isAddrSpec(id) {
		return errBadMessageID
	}
	boundary := boundaryOf(m.MessageID)
	writeField(b, "From", m.From.header()...)
	writeField(b, "To", m.To)
	writeField(b, "Subject", unstructured(m.Subject)...)
	writeField(b, "Date", m.Date.UTC().Format(time.RFC1123Z))
	writeField(b, "Message-ID", m.MessageID)
	writeField(b, "Auto-Submitted", "auto-generated") // RFC 3834: no vacation replies
	writeField(b, "MIME-Version", "1.0")
	writeField(b, "Content-Type", "multipart/alternative;", `boundary="`+boundary+`"`)
	for _, part := range []struct {
		kind    string
		content []byte
	}{{"text/plain", text}, {"text/html", html}} {
		b.WriteString("\r\n--" + boundary + "\r\n")
		writeField(b, "Content-Type", part.kind+"; charset=utf-8")
		writeField(b, "Content-Transfer-Encoding", "quoted-printable")
		b.WriteString("\r\n")
		if err := writeQuotedPrintable(b, part.content); err != nil {
			return err
		}
	}
	b.WriteString("\r\n--" + boundary + "--\r\n")
	return nil
}

// boundaryOf derives the boundary. "=_" cannot occur in quoted-printable, so
// no content can hold it.
func boundaryOf(messageID string) string {
	sum := sha256.Sum256([]byte(messageID))
	return "=_" + hex.EncodeToString(sum[:12])
}

// writeField writes a header field, folded between words where it must be.
func writeField(b *bytes.Buffer, name string, words ...string) {
	b.WriteString(name)
	b.WriteByte(':')
	column := len(name) + 1
	for _, word := range words {
		if column+1+len(word) > maxLine {
			b.WriteString("\r\n")
			column = 0
		}
		b.WriteByte(' ')
		b.WriteString(word)
		column += 1 + len(word)
	}
	b.WriteString("\r\n")
}

func writeQuotedPrintable(b *bytes.Buffer, content []byte) error {
	w := quotedprintable.NewWriter(b)
	if _, err := w.Write(content); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	if !bytes.HasSuffix(b.Bytes(), []byte("\r\n")) {
		b.WriteString("\r\n")
	}
	return nil
}

// unstructured is a text for a header: as it is where every word is short and
// plain, in encoded words (RFC 2047) otherwise.
func unstructured(s string) []string {
	s = oneLine(s)
	words := strings.Fields(s)
	if !isPlain(s) || strings.Contains(s, "=?") {
		return encodedWords(s)
	}
	for _, word := range words {
		if len(word) > maxLine/2 {
			return encodedWords(s)
		}
	}
	return words
}

// oneLine replaces whatever could end a line, or hide in one.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "\uFFFD"), func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || r == '\u2028' || r == '\u2029'
	}), " ")
}

// isPlain tells whether s is printable ASCII.
func isPlain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// encodedWords splits s between runes into encoded words of base64. Adjacent
// ones are read as one text, without the space between them.
func encodedWords(s string) []string {
	var words []string
	for len(s) > 0 {
		n := min(len(s), maxEncodedWord)
		for n < len(s) && !utf8.RuneStart(s[n]) {
			n--
		}
		words = append(words, "=?utf-8?b?"+base64.StdEncoding.EncodeToString([]byte(s[:n]))+"?=")
		s = s[n:]
	}
	return words
}

// isAddrSpec accepts what can stand in a header as an address: printable ASCII
// without space or brackets, one "@".
func isAddrSpec(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c > '~' || strings.IndexByte("<>()[]\\,;:\"", c) >= 0 {
			return false
		}
	}
	at := strings.IndexByte(s, '@')
	return at > 0 && at < len(s)-1 && strings.LastIndexByte(s, '@') == at
}
