package mail

import (
	"io"
	"slices"
	"strings"
)

// frame is a part executed for certain facts, cut where the link goes: mails
// of one kind differ in nothing else, and putting a link between two strings
// costs a hundredth of executing a template.
type frame struct {
	facts  Facts    // without a link
	pieces []string // nil if the part does more with a link than show it
}

// probes are links to find out where links go. Two of different length show a
// template that looks at the link.
var probes = [...]string{"https://link.invalid/confirm/AAAA", "https://link.invalid/confirm/BBBBBBBB"}

// write executes one part, or puts the link into its frame.
func (t *template) write(w io.Writer, ending string, facts Facts) error {
	if !isPlainLink(facts.Link) {
		return t.execute(w, ending, facts)
	}
	f, err := t.frame(ending, facts)
	if err != nil {
		return err
	}
	if f.pieces == nil {
		return t.execute(w, ending, facts)
	}
	for i, piece := range f.pieces {
		if i > 0 {
			if _, err := io.WriteString(w, facts.Link); err != nil {
				return err
			}
		}
		if _, err := io.WriteString(w, piece); err != nil {
			return err
		}
	}
	return nil
}

// frame returns the part's frame for these facts, made at their first mail.
func (t *template) frame(ending string, facts Facts) (*frame, error) {
	facts.Link = ""
	if known, ok := t.frames.Load(ending); ok && known.(*frame).facts == facts {
		return known.(*frame), nil
	}
	var pieces [len(probes)][]string
	for i, probe := range probes {
		var out strings.Builder
		with := facts
		with.Link = probe
		if err := t.execute(&out, ending, with); err != nil {
			return nil, err
		}
		pieces[i] = strings.Split(out.String(), probe)
	}
	f := &frame{facts: facts}
	if slices.Equal(pieces[0], pieces[1]) {
		f.pieces = pieces[0]
	}
	t.frames.Store(ending, f)
	return f, nil
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
