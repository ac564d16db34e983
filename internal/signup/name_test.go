package signup

import (
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

func TestParseName(t *testing.T) {
	for _, tt := range []struct {
		in, want string
		err      error
	}{
		{"", "", nil},
		{"   ", "", nil},
		{"Ada", "Ada", nil},
		{"\t Ada\r\n", "Ada", nil},
		{"Ada  Maria \u00a0 \u2003 King", "Ada Maria King", nil},
		{"Zoe\u0308", "Zoë", nil}, // B6.2: NFC
		{"O'Brien-Smith", "O'Brien-Smith", nil},
		{"Martin Luther King, Jr.", "Martin Luther King, Jr.", nil},
		{"J.R.R.", "J.R.R.", nil},
		{"Mr.Smith", "Mr.Smith", nil},
		{"Dr. Li", "Dr. Li", nil},
		{"Dr.Li", "", errNameLink}, // .li exists
		{"李小龍", "李小龍", nil},
		{"علی\u200cرضا", "علی\u200cرضا", nil},
		{"क\u094d\u200dष", "क\u094d\u200dष", nil},
		{"🦊", "🦊", nil},
		{"❤\ufe0f", "❤\ufe0f", nil},
		{"辻\U000e0100", "辻\U000e0100", nil},
		{strings.Repeat("ü", 64), strings.Repeat("ü", 64), nil},
		{strings.Repeat("u\u0308", 64), strings.Repeat("ü", 64), nil},
		{strings.Repeat("ü", 65), "", errNameLong},
		{strings.Repeat("a", 10_000), "", errNameLong},

		{"Ada\xff", "", errNameEncoding},
		{"Ada\nBcc: x", "", errNameSign},
		{"Ada\rx", "", errNameSign},
		{"Ada\tKing", "", errNameSign},
		{"Ada\x00", "", errNameSign},
		{"Ada\x1b[31m", "", errNameSign},
		{"Ada\x7f", "", errNameSign},
		{"Ada\u0085x", "", errNameSign},
		{"Ada\u2028x", "", errNameSign},
		{"Ada\u2029x", "", errNameSign},
		{"Ada\u202egnik", "", errNameSign}, // bidi override
		{"Ada\u2066x", "", errNameSign},
		{"Ada\u200ex", "", errNameSign},
		{"A\u00adda", "", errNameSign}, // soft hyphen
		{"Ada\ufeffx", "", errNameSign},
		{"Ada\u200bx", "", errNameSign},
		{"\u200dAda", "", errNameSign}, // joiner with nothing to join
		{"Ada\u200d", "", errNameSign},
		{"Ada \u200d x", "", errNameSign},
		{"Ada\ue000", "", errNameSign},
		{"\u3164", "", errNameSign}, // Hangul filler
		{"\uffa0", "", errNameSign},
		{"A\u034fda", "", errNameSign}, // grapheme joiner, which joins nothing
		{"\u2800", "", errNameSign},    // Braille, no dots
		{"\ufe0f", "", errNameSign},    // a variant of nothing
		{"Ada \ufe0f", "", errNameSign},
		{"❤\ufe0f\ufe0f", "", errNameSign},
		{"Ada\ufffd", "", errNameSign},
		{"A\U000e0041", "", errNameSign}, // tag character

		{"http://x", "", errNameLink},
		{"HTTPS://x", "", errNameLink},
		{"Win at www.prizes", "", errNameLink},
		{"WWW.prizes", "", errNameLink},
		{"Go to evil.com now", "", errNameLink},
		{"evil.COM!", "", errNameLink},
		{"evil.co.uk/win", "", errNameLink},
		{"(evil.museum)", "", errNameLink},
		{"evil.com.", "", errNameLink},
		{"ada@evil.com", "", errNameLink},
		{"evil.com.np", "", errNameLink}, // listed as *.np only
		{"пример.рф", "", errNameLink},
		{"ｅｖｉｌ．ｃｏｍ", "", errNameLink},
		{"evil。com", "", errNameLink},
		{"evil.c\u200dom", "", errNameLink},
		{"evil.c\ufe0fom", "", errNameLink},
		{"x：／／y", "", errNameLink},
	} {
		got, err := parseName(tt.in)
		if got != tt.want || err != tt.err {
			t.Errorf("parseName(%q) = %q, %v; want %q, %v", tt.in, got, err, tt.want, tt.err)
		}
	}
}

// A name that is accepted is accepted again as it is, fits, and cannot break a
// line.
func FuzzParseName(f *testing.F) {
	for _, seed := range []string{"Ada", " Zoe\u0308  x", "evil.com", "a\u200db", "ｅ．ｃｏｍ", "\xff", "علی\u200cرضا"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		name, err := parseName(in)
		if err != nil {
			return
		}
		if again, err := parseName(name); err != nil || again != name {
			t.Errorf("%q became %q, and that %q, %v", in, name, again, err)
		}
		if utf8.RuneCountInString(name) > 64 || !norm.NFC.IsNormalString(name) || strings.ContainsAny(name, "\r\n\x00\x1b\u2028\u202e") {
			t.Errorf("%q was accepted as %q", in, name)
		}
		if lower := strings.ToLower(name); strings.Contains(lower, "://") || strings.Contains(lower, "www.") || strings.Contains(lower+" ", "x.com ") {
			t.Errorf("%q was accepted as %q", in, name)
		}
	})
}
