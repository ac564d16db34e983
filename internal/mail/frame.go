package mail

import (
	"io"
	"slices"
	"strings"
)

// frame is a part executed for certain facts, cut where the link and the code
// go: mails of one kind differ in nothing else, and putting the two between
// strings costs a hundredth of executing a template.
type frame struct {
	facts  Facts   // without a link, and with any code for those that have one
	pieces []piece // nil if the part does more with link or code than show them
}

// piece is a text and what comes after it.
type piece struct {
	text string
	then slot
}

type slot int

const (
	nothing slot = iota
	theLink
	theCode
)

// probes are links and codes to find out where they go. Two links of different
// length show a template that looks at the link, two codes one that looks at
// the code, or happens to hold such a number.
var probes = [...]struct{ link, code string }{
	{"https://link.invalid/confirm/AAAA", "804251"},
	{"https://link.invalid/confirm/BBBBBBBB", "297306"},
}

// write executes one part, or puts link and code into its frame.
func (t *template) write(w io.Writer, ending string, facts Facts) error {
	if !isPlainLink(facts.Link) || !isPlainCode(facts.Code) {
		return t.execute(w, ending, facts)
	}
	f, err := t.frame(ending, facts)
	if err != nil {
		return err
	}
	if f.pieces == nil {
		return t.execute(w, ending, facts)
	}
	fill := [...]string{theLink: facts.Link, theCode: facts.Code}
	for _, p := range f.pieces {
		if _, err := io.WriteString(w, p.text); err != nil {
			return err
		}
		if _, err := io.WriteString(w, fill[p.then]); err != nil {
			return err
		}
	}
	return nil
}

// frame returns the part's frame for these facts, made at their first mail.
func (t *template) frame(ending string, facts Facts) (*frame, error) {
	facts.Link = ""
	withCode := facts.Code != ""
	if withCode {
		facts.Code = probes[0].code
	}
	if known, ok := t.frames.Load(ending); ok && known.(*frame).facts == facts {
		return known.(*frame), nil
	}
	var pieces [len(probes)][]piece
	for i, probe := range probes {
		var out strings.Builder
		with := facts
		with.Link = probe.link
		if withCode {
			with.Code = probe.code
		}
		if err := t.execute(&out, ending, with); err != nil {
			return nil, err
		}
		pieces[i] = cut(out.String(), with.Link, with.Code)
	}
	f := &frame{facts: facts}
	if slices.Equal(pieces[0], pieces[1]) {
		f.pieces = pieces[0]
	}
	t.frames.Store(ending, f)
	return f, nil
}

// cut cuts a text where the link and the code are; an empty code is nowhere.
func cut(text, link, code string) (pieces []piece) {
	for {
		at, length, found := strings.Index(text, link), len(link), theLink
		if code != "" {
			if c := strings.Index(text, code); c >= 0 && (at < 0 || c < at) {
				at, length, found = c, len(code), theCode
			}
		}
		if at < 0 {
			return append(pieces, piece{text, nothing})
		}
		pieces = append(pieces, piece{text[:at], found})
		text = text[at+length:]
	}
}

// isPlainLink tells whether a link looks the same in text and in HTML.
func isPlainLink(link string) bool {
	for i := range len(link) {
		c := link[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~:/", c) >= 0) {
			return false
		}
	}
	return true
}

// isPlainCode tells whether a code is digits, as many as there always are, or
// none at all.
func isPlainCode(code string) bool {
	for i := range len(code) {
		if code[i] < '0' || code[i] > '9' {
			return false
		}
	}
	return code == "" || len(code) == len(probes[0].code)
}
