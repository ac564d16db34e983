package web_test

import (
	"encoding/json"
	"net/url"
	"os"
	"strings"
	"testing"
)

// Accept-Language chooses the language of pages and mails; JSON stays English.
func TestAcceptLanguage(t *testing.T) {
	for accept, want := range map[string]struct{ page, heading, mail string }{
		"de-CH,de;q=0.9,en;q=0.8": {"de", "Willkommen. Wir checken Sie ein.", "de"},
		"en-US,en;q=0.5":          {"en", "Welcome. Let’s check you in.", "en"},
		"fr":                      {"en", "Welcome. Let’s check you in.", ""},
		"":                        {"en", "Welcome. Let’s check you in.", ""},
	} {
		h := newHouse(t, home, nil)
		v := h.visitor(t)
		v.language = accept
		w := v.get("/createUser")
		doc := page(t, w)
		if doc.Find("html").AttrOr("lang", "") != want.page || w.Header().Get("Content-Language") != want.page || doc.Find("h1").Text() != want.heading {
			t.Errorf("%q: %s, %s, %q", accept, doc.Find("html").AttrOr("lang", ""), w.Header().Get("Content-Language"), doc.Find("h1").Text())
		}
		v.signUp("Ada", "ada@example.com")
		if p := h.store.only(t); p.Locale != want.mail || !strings.HasPrefix(p.Consent.Text, want.page+".") {
			t.Errorf("%q: stored locale %q, consent %q", accept, p.Locale, p.Consent.Text)
		}
		if got := h.letter(t).locale; got != want.mail {
			t.Errorf("%q: mail in %q", accept, got)
		}
		v = h.member(t, "Bob", "bob@example.com")
		v.language = accept
		v.askSignIn("bob@example.com")
		if got := h.letter(t).locale; got != want.mail {
			t.Errorf("%q: mail to sign in in %q", accept, got)
		}
		w = h.json("{", "Accept-Language: "+accept)
		if got := object[problem](t, w); got.Error.Message != "The body must be one valid JSON object, in UTF-8." {
			t.Errorf("%q: JSON says %q", accept, got.Error.Message)
		}
		if page(t, v.get("/nothing")).Find("h1").Text() == "Not found" != (want.page == "en") {
			t.Errorf("%q: a problem in the wrong language", accept)
		}
	}
}

// Every reason why a field is refused is said in the language of the page; in
// English it is what JSON says.
func TestFieldErrorsAreTranslated(t *testing.T) {
	h := newHouse(t, home, nil)
	long := strings.Repeat("a", 65)
	german, english := fieldTexts(t, "de"), fieldTexts(t, "en")
	// Bytes that are no UTF-8 are refused before, and no page has the header.
	said := map[string]bool{
		"field.first.encoding": true, "field.last.encoding": true, "field.email.encoding": true, "field.Idempotency-Key.key": true,
	}
	v := h.visitor(t)
	v.language = "de"
	for _, tt := range []struct{ field, value string }{
		{"first", ""}, {"first", long}, {"first", "\ufffd"}, {"first", "a\u202eb"}, {"first", "evil.com"}, {"first", "a\nb"},
		{"last", long}, {"last", "\ufffd"}, {"last", "a\u202eb"}, {"last", "evil.com"},
		{"email", ""}, {"email", long + "@example.com"}, {"email", "a\ufffd@example.com"}, {"email", "ada"}, {"email", "a b@example.com"},
		{"email", "ü@example.com"}, {"email", "ada@localhost"}, {"email", "ada@[127.0.0.1]"}, {"email", "ada@127.0.0.1"},
	} {
		values := url.Values{"first": {"Ada"}, "email": {"ada@example.com"}}
		values.Set(tt.field, tt.value)
		reason := page(t, v.post("/createUser", values)).Find("#" + tt.field + "-error").Text()
		key := keyOf(german, reason, "field."+tt.field+".")
		said[key] = true
		body, err := json.Marshal(map[string]string{"first": values.Get("first"), "last": values.Get("last"), "email": values.Get("email")})
		must(t, err)
		if got := object[problem](t, h.json(string(body))).Error.Fields[tt.field]; key == "" || got != english[key] {
			t.Errorf("%s %q: the page says %q (%s), JSON %q; English is %q", tt.field, tt.value, reason, key, got, english[key])
		}
	}
	for key := range german {
		if !said[key] {
			t.Errorf("%s was never said", key)
		}
	}
}

// keyOf finds the key of a text among those with a prefix, "" for none.
func keyOf(texts map[string]string, said, prefix string) string {
	for key, text := range texts {
		if strings.HasPrefix(key, prefix) && text == said {
			return key
		}
	}
	return ""
}

// fieldTexts are the texts about fields of a language.
func fieldTexts(t *testing.T, language string) map[string]string {
	t.Helper()
	raw, err := os.ReadFile("texts/" + language + ".json")
	must(t, err)
	var all map[string]string
	must(t, json.Unmarshal(raw, &all))
	for key := range all {
		if !strings.HasPrefix(key, "field.") {
			delete(all, key)
		}
	}
	return all
}
