package onboarding

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"
)

var testLinks = NewLinks("https://example.com/", []byte("0123456789abcdef0123456789abcdef"))

// tokenOf is the token of a link.
func tokenOf(t testing.TB, l Links, id MailID, mint int) string {
	t.Helper()
	link, err := l.Link(id, mint)
	if err != nil {
		t.Fatal(err)
	}
	return link[strings.LastIndexByte(link, '/')+1:]
}

// I5: a link is derived, so the same mint gives the same link, and another
// mint, mail or key another one.
func TestLinksAreDerived(t *testing.T) {
	id := NewMailID(subject, SignUp, 1)
	for purpose, want := range map[Purpose]string{SignUp: "https://example.com/confirm/", SignIn: "https://example.com/signIn/"} {
		link, err := testLinks.Link(NewMailID(subject, purpose, 1), 1)
		if err != nil || !strings.HasPrefix(link, want) || len(link) <= len(want) {
			t.Errorf("link %q, %v, want it below %s", link, err, want)
		}
	}
	if link, err := testLinks.Link(NewMailID(subject, Welcome, 1), 1); err != nil || link != "https://example.com/" {
		t.Errorf("a welcome leads to %q, %v", link, err)
	}
	first := tokenOf(t, testLinks, id, 1)
	if first != tokenOf(t, testLinks, id, 1) {
		t.Error("the same mint gives another link")
	}
	seen := map[string]bool{first: true}
	for _, other := range []string{
		tokenOf(t, testLinks, id, 2), tokenOf(t, testLinks, NewMailID(subject, SignUp, 2), 1),
		tokenOf(t, testLinks, NewMailID(subject, SignIn, 1), 1), tokenOf(t, NewLinks("https://example.com", []byte("another")), id, 1),
	} {
		if seen[other] {
			t.Errorf("two links are the same: %q", other)
		}
		seen[other] = true
	}
	for _, bad := range []MailID{"x.sign-up.1", "nonsense", MailID(strings.ToUpper(string(subject)) + ".sign-up.1"), MailID("urn:uuid:" + subject + ".sign-up.1")} {
		if link, err := testLinks.Link(bad, 1); err == nil {
			t.Errorf("%s has the link %q", bad, link)
		}
	}
}

// Links and codes are in people's mailboxes while a new version is installed: it
// must derive the same ones.
func TestLinksStayWhatTheyAre(t *testing.T) {
	id := NewMailID(subject, SignUp, 1)
	if got, want := tokenOf(t, testLinks, id, 2), "AZLzpHtsfY6fASNFZ4mrzQECcMg-oyTkkeEQS39DWWKSng"; got != want {
		t.Errorf("token %s, want %s", got, want)
	}
	if got, want := testLinks.Code(id, 2), "954434"; got != want {
		t.Errorf("code %s, want %s", got, want)
	}
}

// What Link makes, Open takes apart.
func TestLinksRoundTrip(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		who := uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(r, "subject"))
		purpose := rapid.SampledFrom([]Purpose{SignUp, SignIn}).Draw(r, "purpose")
		step, mint := rapid.IntRange(1, math.MaxInt32).Draw(r, "step"), rapid.IntRange(1, math.MaxInt32).Draw(r, "mint")
		id := NewMailID(who.String(), purpose, step)
		gotID, gotMint, err := testLinks.Open(purpose, tokenOf(t, testLinks, id, mint))
		if err != nil || gotID != id || gotMint != mint {
			r.Fatalf("%s, %d was opened as %s, %d, %v", id, mint, gotID, gotMint, err)
		}
	})
}

// B2.1: a token with one bit, or its length, changed is nobody's.
func TestB2_1_ForgedLinks(t *testing.T) {
	made := tokenOf(t, testLinks, NewMailID(subject, SignUp, 3), 200)
	raw, err := base64.RawURLEncoding.DecodeString(made)
	if err != nil {
		t.Fatal(err)
	}
	refuse := func(what, token string) {
		t.Helper()
		if id, mint, err := testLinks.Open(SignUp, token); !errors.Is(err, ErrLink) || id != "" || mint != 0 {
			t.Errorf("%s: opened as %q, %d, %v", what, id, mint, err)
		}
	}
	for bit := range len(raw) * 8 {
		forged := append([]byte(nil), raw...)
		forged[bit/8] ^= 1 << (bit % 8)
		refuse(fmt.Sprintf("bit %d", bit), base64.RawURLEncoding.EncodeToString(forged))
	}
	for n := range len(made) {
		refuse(fmt.Sprintf("%d characters", n), made[:n])
	}
	refuse("padded", made+"=")
	refuse("longer", made+"A")
	refuse("twice", made+made)
	refuse("with a line break", made[:10]+"\n"+made[10:])
	refuse("in the other alphabet", base64.StdEncoding.EncodeToString(raw))
	refuse("with the bits that nobody needs", made[:len(made)-1]+string(made[len(made)-1]+1))
	refuse("of another key", tokenOf(t, NewLinks("https://example.com", []byte("another")), NewMailID(subject, SignUp, 3), 200))
	// The numbers in a longer form than they need, with the same MAC.
	long := append(append([]byte(nil), raw[:16]...), 0x83, 0x00)
	refuse("a long number", base64.RawURLEncoding.EncodeToString(append(long, raw[17:]...)))
	huge := binary.AppendUvarint(binary.AppendUvarint(append([]byte(nil), raw[:16]...), math.MaxUint64), 1)
	refuse("a huge number", base64.RawURLEncoding.EncodeToString(append(huge, raw[len(raw)-linkMAC:]...)))
}

// B2.4: a link of one kind is refused where another is asked for.
func TestB2_4_LinksAreForOnePurpose(t *testing.T) {
	all := []Purpose{SignUp, SignIn, Welcome}
	for _, made := range all[:2] {
		token := tokenOf(t, testLinks, NewMailID(subject, made, 1), 1)
		for _, asked := range all {
			if _, _, err := testLinks.Open(asked, token); (err == nil) != (asked == made) {
				t.Errorf("a link for %s, where one for %s is asked for: %v", made, asked, err)
			}
		}
	}
}

// A code is six digits, of all there are, and tells nothing of the link.
func TestCodes(t *testing.T) {
	const n = 60_000
	var count [6][10]int
	distinct := make(map[string]bool, n)
	for mint := range n {
		code := testLinks.Code(NewMailID(subject, SignUp, 1+mint%5), mint+1)
		if len(code) != 6 {
			t.Fatalf("code %q", code)
		}
		for i := range code {
			if code[i] < '0' || code[i] > '9' {
				t.Fatalf("code %q", code)
			}
			count[i][code[i]-'0']++
		}
		distinct[code] = true
	}
	for place := range count {
		for digit, got := range count[place] {
			if got < n/10*9/10 || got > n/10*11/10 { // more than eight standard deviations
				t.Errorf("digit %d is in place %d of %d codes of %d", digit, place, got, n)
			}
		}
	}
	if want := n * 96 / 100; len(distinct) < want { // 58 236 are expected, with a deviation of 40
		t.Errorf("%d codes of %d are distinct, want %d", len(distinct), n, want)
	}
	id := NewMailID(subject, SignUp, 1)
	first := testLinks.Code(id, 1)
	if again := testLinks.Code(id, 1); again != first {
		t.Error("the same mint gives another code")
	}
	if other := NewLinks("https://example.com", []byte("another")); other.Code(id, 1) == first && other.Code(id, 2) == testLinks.Code(id, 2) {
		t.Error("another key gives the same codes")
	}
}

// Whatever comes with a request is refused, or is the one text that Link makes.
func FuzzLinkOpen(f *testing.F) {
	for _, p := range []Purpose{SignUp, SignIn} {
		f.Add(string(p), tokenOf(f, testLinks, NewMailID(subject, p, 1), 1))
		f.Add(string(p), tokenOf(f, testLinks, NewMailID(subject, p, 5), math.MaxInt32))
	}
	f.Add("sign-up", "")
	f.Add("welcome", strings.Repeat("A", maxToken))
	f.Add("sign-in", strings.Repeat("_", maxToken+1))
	f.Fuzz(func(t *testing.T, purpose, token string) {
		id, mint, err := testLinks.Open(Purpose(purpose), token)
		if err != nil {
			if !errors.Is(err, ErrLink) || id != "" || mint != 0 {
				t.Fatalf("%q, %d, %v", id, mint, err)
			}
			return
		}
		if again := tokenOf(t, testLinks, id, mint); again != token {
			t.Fatalf("%q and %q are both good", token, again)
		}
	})
}
