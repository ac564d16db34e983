package mail

import (
	"bytes"
	"crypto/sha256"
	"errors"
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
	// Locale is the language it should be in, a BCP 47 tag; the one that fits
	// best of those there are is chosen, English if none does.
	Locale string
	// To is the recipient's sendable address.
	To string
	// Link is the mail's one link, under the public URL.
	Link string
	// ValidFor is how long the link works from now on; said in words, minutes
	// at the finest. Not said in a welcome.
	ValidFor time.Duration
	// Code is the six digits of a mail to confirm or to sign in; other mails
	// have none, whatever is here. CodeValidFor is how long it works.
	Code         string
	CodeValidFor time.Duration
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
	e := r.templates.edition(request.Locale)
	t, ok := e.byVariant[request.Variant]
	if !ok {
		return Rendered{}, fmt.Errorf("render mail: no variant is called %q", request.Variant)
	}
	facts, err := r.facts(e, request)
	if err != nil {
		return Rendered{}, fmt.Errorf("render mail %s: %w", request.Variant, err)
	}
	b := r.buffers.Get().(*buffers)
	defer r.buffers.Put(b)
	b.reset()
	parts := [...]*bytes.Buffer{&b.subject, &b.text, &b.html}
	for i, ending := range endings {
		if err := t.write(parts[i], ending, facts); err != nil {
			return Rendered{}, fmt.Errorf("render mail %s%s: %w", request.Variant, ending, err)
		}
	}
	err = build(&b.mail, Message{
		From: r.from, To: request.To, Subject: strings.TrimSpace(b.subject.String()), Date: request.Date,
		MessageID: request.MessageID,
	}, b.text.Bytes(), b.html.Bytes())
	if err != nil {
		return Rendered{}, fmt.Errorf("render mail %s: %w", request.Variant, err)
	}
	body := slices.Clone(b.mail.Bytes())
	return Rendered{Body: body, Hash: sha256.Sum256(body)}, nil
}

var (
	errNoLink = errors.New("expected a link")
	errNoCode = errors.New("expected a code of six digits")
)

// facts is what the mail says.
func (r *Renderer) facts(e *edition, request Request) (Facts, error) {
	facts := Facts{Link: request.Link, Sender: r.sender(), Site: r.site, Language: e.tag.String()}
	if facts.Link == "" {
		return Facts{}, errNoLink
	}
	if expires(request.Variant) {
		facts.ValidFor = e.inWords(request.ValidFor)
	}
	if hasCode(request.Variant) {
		if request.Code == "" || !isPlainCode(request.Code) {
			return Facts{}, errNoCode
		}
		facts.Code, facts.CodeValidFor = request.Code, e.inWords(request.CodeValidFor)
	}
	return facts, nil
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
