package signup

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
	"golang.org/x/text/unicode/norm"
)

const (
	maxNameRunes = 64
	// The joiners are the only invisible characters that names need: Persian
	// and several Indic scripts are misspelt without them.
	zeroWidthNonJoiner = '\u200c'
	zeroWidthJoiner    = '\u200d'
	brailleBlank       = '\u2800' // a pattern without dots
)

// parseName returns a name in NFC, with single spaces. An empty one is fine.
//
// A name is somebody else's text in our mails and pages, so whatever reorders,
// hides, or makes a link is refused (A1.11).
func parseName(s string) (string, error) {
	if !utf8.ValidString(s) {
		return "", errNameEncoding
	}
	s = singleSpaces(norm.NFC.String(strings.TrimSpace(s)))
	if utf8.RuneCountInString(s) > maxNameRunes {
		return "", errNameLong
	}
	previous := ' '
	for i, r := range s {
		if !isNameRune(r) && !joins(previous, r, s[i:]) {
			return "", errNameSign
		}
		previous = r
	}
	if holdsLink(s) {
		return "", errNameLink
	}
	return s, nil
}

// singleSpaces makes every run of spaces, of whatever width, one plain space.
func singleSpaces(s string) string {
	if !strings.Contains(s, "  ") && strings.IndexFunc(s, isWideSpace) < 0 {
		return s
	}
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.Is(unicode.Zs, r) }), " ")
}

func isWideSpace(r rune) bool { return r > utf8.RuneSelf && unicode.Is(unicode.Zs, r) }

// isNameRune refuses control, format (bidi overrides among them), private and
// line-separating characters, those that are there and not to be seen (fillers,
// the blank of Braille), and what a broken encoding leaves behind.
func isNameRune(r rune) bool {
	if r < utf8.RuneSelf {
		return r >= ' ' && r != 0x7f
	}
	return r != utf8.RuneError && r != brailleBlank &&
		!unicode.In(r, unicode.C, unicode.Zl, unicode.Zp, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// joins tells whether r is where it belongs: a joiner between two letters, or what
// selects a variant behind something of which there are some.
func joins(previous, r rune, rest string) bool {
	if unicode.Is(unicode.Variation_Selector, r) {
		return !unicode.Is(unicode.Zs, previous) && !unicode.Is(unicode.Variation_Selector, previous)
	}
	if r != zeroWidthJoiner && r != zeroWidthNonJoiner {
		return false
	}
	next, _ := utf8.DecodeRuneInString(rest[utf8.RuneLen(r):])
	return isLetter(previous) && isLetter(next)
}

func isLetter(r rune) bool { return unicode.In(r, unicode.L, unicode.M) }

// holdsLink tells whether a mail program would make a link of some part of s.
func holdsLink(s string) bool {
	if !strings.ContainsAny(s, ".:") && isASCII(s) {
		return false
	}
	// What looks like a letter or a dot counts as one.
	s = strings.ToLower(norm.NFKC.String(s))
	s = strings.Map(plain, s)
	if strings.Contains(s, "://") || strings.Contains(s, "www.") {
		return true
	}
	for word := range strings.FieldsFuncSeq(s, endsHost) {
		if isHost(strings.Trim(word, ".")) {
			return true
		}
	}
	return false
}

// plain is r without what is not to be seen of it: negative for nothing.
func plain(r rune) rune {
	switch {
	case r == '。':
		return '.'
	case r == zeroWidthJoiner, r == zeroWidthNonJoiner, unicode.Is(unicode.Variation_Selector, r):
		return -1
	}
	return r
}

// endsHost tells whether r cannot be part of a host name.
func endsHost(r rune) bool {
	return r != '.' && r != '-' && !isLetter(r) && !unicode.IsDigit(r)
}

// isHost tells whether word is a dotted name under a top-level domain that
// exists.
func isHost(word string) bool {
	dot := strings.LastIndexByte(word, '.')
	if dot <= 0 {
		return false
	}
	tld, err := idna.Punycode.ToASCII(word[dot+1:])
	if err != nil {
		return false
	}
	// A label before it, for the domains that are listed as "*.tld" only.
	_, listed := publicsuffix.PublicSuffix("bellhop." + tld)
	return listed
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
