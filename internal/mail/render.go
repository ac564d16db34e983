package mail

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Renderer makes the bytes of mails. It may be used by many goroutines.
type Renderer struct {
	templates *Templates
	from      From
	site      string
	buffers   sync.Pool // of *buffers
}

// buffers are the parts of one mail while it is being made.
type buffers struct {
	subject, text, html, mail bytes.Buffer
}

// Request is all that the bytes of a mail depend on beside templates and
// settings.
type Request struct {
	// Variant is which mail it is.
	Variant string
	// To is the recipient's sendable address.
	To string
	// Link is the mail's one link, under the public URL.
	Link string
	// ValidFor is how long the link works from now on; said in words, minutes
	// at the finest.
	ValidFor time.Duration
	// MessageID is the mail's own, see [MessageID].
	MessageID string
	// Date is the Date header: the same for every attempt, so that a copy has
	// the same bytes.
	Date time.Time
}

// Rendered is a mail ready to be sent.
type Rendered struct {
	Body []byte
	// Hash is the SHA-256 of Body.
	Hash [sha256.Size]byte
}

// NewRenderer makes mails from a sender, for the site at publicURL.
func NewRenderer(templates *Templates, from From, publicURL string) (*Renderer, error) {
	site, err := url.Parse(publicURL)
	if err != nil || site.Host == "" {
		return nil, fmt.Errorf("make mails for %q: expected a public URL such as https://example.com", publicURL)
	}
	r := &Renderer{templates: templates, from: from, site: site.Host}
	r.buffers.New = func() any { return new(buffers) }
	return r, nil
}

// From is whom the mails come from.
func (r *Renderer) From() From { return r.from }

// Render makes a mail. Equal requests give equal bytes. Errors hold neither
// the recipient nor the link.
func (r *Renderer) Render(request Request) (Rendered, error) {
	t, ok := r.templates.byVariant[request.Variant]
	if !ok {
		return Rendered{}, fmt.Errorf("render mail: no variant is called %q", request.Variant)
	}
	b := r.buffers.Get().(*buffers)
	defer r.buffers.Put(b)
	b.reset()
	facts := Facts{Link: request.Link, ValidFor: inWords(request.ValidFor), Sender: r.sender(), Site: r.site}
	parts := [...]*bytes.Buffer{&b.subject, &b.text, &b.html}
	for i, ending := range endings {
		if err := t.write(parts[i], ending, facts); err != nil {
			return Rendered{}, fmt.Errorf("render mail %s%s: %w", request.Variant, ending, err)
		}
	}
	err := build(&b.mail, Message{
		From: r.from, To: request.To, Subject: strings.TrimSpace(b.subject.String()), Date: request.Date,
		MessageID: request.MessageID, Text: b.text.String(), HTML: b.html.String(),
	})
	if err != nil {
		return Rendered{}, fmt.Errorf("render mail %s: %w", request.Variant, err)
	}
	body := slices.Clone(b.mail.Bytes())
	return Rendered{Body: body, Hash: sha256.Sum256(body)}, nil
}

func (r *Renderer) sender() string {
	if r.from.Name != "" {
		return r.from.Name
	}
	return r.site
}

func (b *buffers) reset() {
	for _, buffer := range []*bytes.Buffer{&b.subject, &b.text, &b.html, &b.mail} {
		buffer.Reset()
	}
}
