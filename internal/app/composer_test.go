package app

import (
	"io"
	"mime/quotedprintable"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"bellhop/internal/mail"
	"bellhop/internal/onboarding"
)

const composerSite = "https://signup.example.com"

func newComposer(t *testing.T) *composer {
	t.Helper()
	templates, err := mail.LoadTemplates("")
	if err != nil {
		t.Fatal(err)
	}
	renderer, err := mail.NewRenderer(templates, mail.From{Name: "Bellhop", Address: "hello@example.com"}, composerSite)
	if err != nil {
		t.Fatal(err)
	}
	policy := onboarding.DefaultPolicy()
	policy.CodeLife = 10 * time.Minute
	return &composer{renderer: renderer, links: onboarding.NewLinks(composerSite, []byte("the key of links and codes")), policy: policy}
}

// readable is a mail's source without its encoding.
func readable(t *testing.T, body []byte) string {
	t.Helper()
	text, err := io.ReadAll(quotedprintable.NewReader(strings.NewReader(string(body))))
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(text), "\r\n", "\n")
}

// Every mail that the ledger can ask for is rendered, with the link of its
// purpose, and with a code where its link may be replaced by one.
func TestComposerKnowsEveryMail(t *testing.T) {
	c := newComposer(t)
	for _, test := range []struct {
		purpose    onboarding.Purpose
		registered bool
		link       string
		within     string
		code       bool
	}{
		{onboarding.SignUp, false, composerSite + "/confirm/", "works for 72 hours", true},
		{onboarding.SignUp, true, composerSite + "/confirm/", "works for 72 hours", false},
		{onboarding.SignIn, true, composerSite + "/signIn/", "works for 15 minutes", true},
		{onboarding.Welcome, true, composerSite + "/\n", "", false},
	} {
		variant, err := onboarding.ChooseVariant(test.purpose, test.registered)
		if err != nil {
			t.Fatal(err)
		}
		id := onboarding.NewMailID(uuid.NewString(), test.purpose, 2)
		held := onboarding.Held{
			Claim: onboarding.Claim{Ref: onboarding.Ref{Mail: id}}, Variant: variant, To: "ana@example.org", Created: time.Unix(1_800_000_000, 0), Mint: 3,
		}
		envelope, rendered, err := c.Compose(held)
		if err != nil || envelope.To != "ana@example.org" || envelope.From != "hello@example.com" {
			t.Fatalf("%s: %+v, %v", variant, envelope, err)
		}
		text := readable(t, rendered.Body)
		code := c.links.Code(id, 4)
		if !strings.Contains(text, test.link) || !strings.Contains(text, test.within) || !strings.Contains(text, "<"+string(id)+"@example.com>") {
			t.Errorf("%s lacks %q, %q or its Message-ID:\n%s", variant, test.link, test.within, text)
		}
		if strings.Contains(text, "\n"+code+"\n") != test.code || strings.Contains(text, "The code works for 10 minutes") != test.code {
			t.Errorf("%s: want a code: %t:\n%s", variant, test.code, text)
		}
		if link, err := c.links.Link(id, 4); err != nil || !strings.Contains(text, "\n"+link+"\n") {
			t.Errorf("%s lacks the link of its mint:\n%s", variant, text)
		}
	}
}

// I4, I5: a copy is the same mail, byte by byte; another attempt carries
// another link and another code.
func TestComposerRepeatsACopy(t *testing.T) {
	c := newComposer(t)
	held := onboarding.Held{
		Claim:   onboarding.Claim{Ref: onboarding.Ref{Mail: onboarding.NewMailID(uuid.NewString(), onboarding.SignIn, 1)}},
		Variant: onboarding.SignInLink, To: "ana@example.org", Created: time.Unix(1_800_000_000, 0),
	}
	hash := func(h onboarding.Held) [32]byte {
		_, rendered, err := c.Compose(h)
		if err != nil {
			t.Fatal(err)
		}
		return rendered.Hash
	}
	first := hash(held)
	held.Mint = 1
	if again := hash(held); again == first {
		t.Error("another mint gave the same mail")
	}
	held.Copy = true
	if hash(held) != first {
		t.Error("a copy differs from what it is a copy of")
	}
	held.Locale = "de-AT"
	if _, rendered, err := c.Compose(held); err != nil || !strings.Contains(readable(t, rendered.Body), "Guten Tag,") {
		t.Errorf("a mail to somebody who reads German: %v", err)
	}
	held.Claim.Mail = "nonsense"
	if _, _, err := c.Compose(held); err == nil {
		t.Error("a mail without an id was rendered")
	}
}
