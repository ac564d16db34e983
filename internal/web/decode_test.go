package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// B6.2: what a JSON body may look like.
func TestDecodeJSON(t *testing.T) {
	for _, tt := range []struct {
		body string
		want input
		code string // "" for accepted
		at   string // the field at fault
	}{
		{body: `{"first":"Ada","last":"King","email":"ada@example.com"}`, want: input{first: "Ada", last: "King", email: "ada@example.com"}},
		{body: " \t\r\n{ \"email\" : \"a\" ,\n\"first\":\"b\" } \n", want: input{email: "a", first: "b"}},
		{body: `{}`},
		{body: ` { } `},
		{body: `{"first":"\u0041\"\\\n\ud83e\udd8a","last":null}`, want: input{first: "A\"\\\n🦊"}},
		{body: `{"f\u0069rst":"Ada"}`, want: input{first: "Ada"}},
		{body: `{"first":"}","last":"\\"}`, want: input{first: "}", last: `\`}},
		{body: `{"first":"\ud800"}`, want: input{first: "\ufffd"}}, // no name may hold it

		{body: ``, code: "malformed"},
		{body: `   `, code: "malformed"},
		{body: `null`, code: "malformed"},
		{body: `"first"`, code: "malformed"},
		{body: `[{"first":"Ada"}]`, code: "malformed"},
		{body: `{"first":"Ada"`, code: "malformed"},
		{body: `{"first":"Ada",}`, code: "malformed"},
		{body: `{"first" "Ada"}`, code: "malformed"},
		{body: `{first:"Ada"}`, code: "malformed"},
		{body: `{'first':'Ada'}`, code: "malformed"},
		{body: `{"first":"A` + "\n" + `da"}`, code: "malformed"},
		{body: `{"first":"Ada"}{}`, code: "malformed"},
		{body: `{"first":"Ada"} x`, code: "malformed"},
		{body: "{\"first\":\"A\xffda\"}", code: "malformed"},
		{body: "\ufeff{}", code: "malformed"},
		{body: `{"first":"a","first":"a"}`, code: "malformed"},
		{body: `{"first":"a","last":"b","email":"c","last":"b"}`, code: "malformed"},
		{body: `{"first":"a","\u0066irst":"a"}`, code: "malformed"},
		{body: `{"first":null,"first":"a"}`, code: "malformed"},
		{body: `{"First":"a"}`, code: "malformed", at: "First"},
		{body: `{"key":"a"}`, code: "malformed", at: "key"},
		{body: `{"first":"a","admin":true}`, code: "malformed", at: "admin"},
		{body: `{"` + strings.Repeat("ü", 100) + `":1}`, code: "malformed", at: strings.Repeat("ü", 20)},
		{body: `{"first":1}`, code: "malformed", at: "first"},
		{body: `{"last":["a"]}`, code: "malformed", at: "last"},
		{body: `{"email":{"a":"b"}}`, code: "malformed", at: "email"},
		{body: `{"email":true}`, code: "malformed", at: "email"},
		{body: strings.Repeat(`{"first":`, 1500) + `1` + strings.Repeat(`}`, 1500), code: "malformed", at: "first"},
		{body: strings.Repeat(`[`, 16000), code: "malformed"},
	} {
		got, err := decodeJSON([]byte(tt.body), signUpFields())
		wantDecoded(t, tt.body, got, tt.want, err, tt.code, tt.at)
	}
}

// Each route takes its own fields from JSON, and those of our pages from forms
// alone.
func TestDecodeTakesItsOwnFields(t *testing.T) {
	for _, tt := range []struct {
		body   string
		fields []string
		want   input
		code   string
	}{
		{`{"code":"123456"}`, codeFields(), input{code: "123456"}, ""},
		{`{"email":"a"}`, signInFields(), input{email: "a"}, ""},
		{`{"refresh_token":"r"}`, refreshFields(), input{refreshToken: "r"}, ""},
		{``, noFields(), input{}, ""},
		{" \n", noFields(), input{}, ""},
		{`{}`, noFields(), input{}, ""},
		{``, codeFields(), input{}, "malformed"},
		{`null`, noFields(), input{}, "malformed"},
		{`{"code":"123456"}`, noFields(), input{}, "malformed"},
		{`{"code":"123456"}`, signUpFields(), input{}, "malformed"},
		{`{"first":"a","code":"1"}`, codeFields(), input{}, "malformed"},
		{`{"next":"/me"}`, codeFields(), input{}, "malformed"},
		{`{"email":"a","consent":"2026-11"}`, signUpFields(), input{email: "a", consent: "2026-11"}, ""},
		{`{"email":"a","consent":"2026-11"}`, signInFields(), input{}, "malformed"},
		{`{"stamp":"x","consent":"c"}`, signUpFields(), input{}, "malformed"},
		{`{"website":""}`, signUpFields(), input{}, "malformed"},
	} {
		got, err := decodeJSON([]byte(tt.body), tt.fields)
		var p problem
		if err != nil {
			p = *err.(*problem)
		}
		if got != tt.want || p.code != tt.code {
			t.Errorf("%q for %v: %+v, %v", tt.body, tt.fields, got, err)
		}
	}
	got, err := decodeURLEncoded([]byte("code=1&next=%2Fme&consent=c&stamp=s&website=w&key=k&refresh_token=r"))
	if want := (input{code: "1", next: "/me", consent: "c", stamp: "s", website: "w", key: "k", refreshToken: "r"}); got != want || err != nil {
		t.Errorf("decoded %+v, %v", got, err)
	}
}

func wantDecoded(t *testing.T, body string, got, want input, err error, code, at string) {
	t.Helper()
	var p problem
	if err != nil {
		p = *err.(*problem)
	}
	if got != want || p.code != code {
		t.Errorf("%.80q: decoded %+v, %v; want %+v, %q", body, got, err, want, code)
	}
	if code != "" && p.status != http.StatusBadRequest {
		t.Errorf("%.80q: status %d, want 400", body, p.status)
	}
	if _, named := p.fields[at]; at != "" && !named || at == "" && len(p.fields) != 0 {
		t.Errorf("%.80q: fields %q, want %q", body, p.fields, at)
	}
}

func TestDecodeURLEncoded(t *testing.T) {
	many := strings.Repeat("x=1&", maxFields)
	for _, tt := range []struct {
		body string
		want input
		code string
	}{
		{body: "first=Ada&last=&email=ada%40example.com&key=k&utm=1", want: input{first: "Ada", email: "ada@example.com", key: "k"}},
		{body: "first=Ada+Maria&last=K%C3%B6nig", want: input{first: "Ada Maria", last: "König"}},
		{body: ""},
		{body: "first=a&first=a", code: "malformed"},
		{body: "first=a&x=1&x=2", code: "malformed"},
		{body: "first=%ff", code: "malformed"},
		{body: "%ff=1", code: "malformed"},
		{body: "first=%zz", code: "malformed"},
		{body: "first=a;last=b", code: "malformed"},
		{body: many + "first=a", code: "malformed"},
		{body: "a=1&b=1&c=1&d=1&e=1&f=1&g=1&h=1&i=1&j=1&k=1&l=1&m=1&n=1&o=1&p=1&q=1&r=1&s=1&first=Ada", want: input{first: "Ada"}},
	} {
		got, err := decodeURLEncoded([]byte(tt.body))
		wantDecoded(t, tt.body, got, tt.want, err, tt.code, "")
	}
}

func TestDecodeMultipart(t *testing.T) {
	part := func(disposition, value string) string {
		return "--b\r\nContent-Disposition: form-data; " + disposition + "\r\n\r\n" + value + "\r\n"
	}
	many := ""
	for i := range maxFields + 1 {
		many += part(`name="x`+string(rune('a'+i))+`"`, "1")
	}
	for _, tt := range []struct {
		body string
		want input
		code string
	}{
		{body: part(`name="first"`, "Ada") + part(`name="email"`, "a@b.example") + part(`name="key"`, "k") + part(`name="x"`, "1") + "--b--\r\n",
			want: input{first: "Ada", email: "a@b.example", key: "k"}},
		{body: part(`name="first"`, "two\r\nlines") + "--b--", want: input{first: "two\r\nlines"}},
		{body: "", code: "malformed"},
		{body: part(`name="first"`, "Ada"), code: "malformed"}, // cut short
		{body: part(`name="first"`, "Ada") + "--b", code: "malformed"},
		{body: part(`name="first"`, "a") + part(`name="first"`, "a") + "--b--\r\n", code: "malformed"},
		{body: part(`name="first"; filename="a.txt"`, "Ada") + "--b--\r\n", code: "malformed"},
		{body: part(`name="first"`, "\xff") + "--b--\r\n", code: "malformed"},
		{body: many + "--b--\r\n", code: "malformed"},
		{body: "--b\r\nnonsense\r\n\r\nx\r\n--b--\r\n", code: "malformed"},
	} {
		got, err := decodeMultipart([]byte(tt.body), "b")
		wantDecoded(t, tt.body, got, tt.want, err, tt.code, "")
	}
	if _, err := decodeMultipart(nil, ""); err == nil {
		t.Error("no boundary was accepted")
	}
}

// What is accepted is what the standard library reads.
func FuzzDecodeJSON(f *testing.F) {
	f.Add([]byte(`{"first":"Ada","last":null,"email":"ada@example.com"}`))
	f.Add([]byte(` { "f\u0069rst" : "\ud83e\udd8a\\\"" } `))
	f.Add([]byte(`{"first":1}`))
	f.Add([]byte(`{"first":"a","first":"b"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := decodeJSON(body, signUpFields())
		if err != nil {
			if _, ok := errors.AsType[*problem](err); !ok {
				t.Fatalf("%q: %v is no problem", body, err)
			}
			return
		}
		var reference map[string]*string
		if err := json.Unmarshal(body, &reference); err != nil {
			t.Fatalf("%q accepted, but: %v", body, err)
		}
		for name, value := range map[string]string{"first": got.first, "last": got.last, "email": got.email} {
			if want := reference[name]; want == nil && value != "" || want != nil && value != *want {
				t.Errorf("%q: %s is %q", body, name, value)
			}
			delete(reference, name)
		}
		if len(reference) > 0 {
			t.Errorf("%q accepted with unknown fields %v", body, reference)
		}
	})
}

func FuzzDecodeForm(f *testing.F) {
	f.Add([]byte("first=Ada&last=&email=ada%40example.com&key=k"))
	f.Add([]byte("first=a&first=b"))
	f.Add([]byte("%66irst=a+b;"))
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := decodeURLEncoded(body)
		if err != nil {
			return
		}
		values, err := url.ParseQuery(string(body))
		if err != nil {
			t.Fatalf("%q accepted, but: %v", body, err)
		}
		if want := formInput(values); got != want {
			t.Errorf("%q: decoded %+v, want %+v", body, got, want)
		}
		for name, list := range values {
			if len(list) > 1 || len(values) > maxFields {
				t.Errorf("%q accepted with %d fields, %d of name %q", body, len(values), len(list), name)
			}
		}
	})
}

// formInput is what the standard library reads.
func formInput(values url.Values) input {
	return input{
		first: values.Get("first"), last: values.Get("last"), email: values.Get("email"), code: values.Get("code"),
		refreshToken: values.Get("refresh_token"), key: values.Get("key"), next: values.Get("next"),
		consent: values.Get("consent"), stamp: values.Get("stamp"), website: values.Get("website"),
	}
}

func FuzzDecodeMultipart(f *testing.F) {
	f.Add([]byte("--b\r\nContent-Disposition: form-data; name=\"first\"\r\n\r\nAda\r\n--b--\r\n"))
	f.Add([]byte("--b\r\nContent-Disposition: form-data; name=\"first\"; filename=x\r\n\r\nAda\r\n--b--\r\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := decodeMultipart(body, "b")
		if err != nil {
			return
		}
		form, err := multipart.NewReader(bytes.NewReader(body), "b").ReadForm(maxBodyBytes)
		if err != nil {
			t.Fatalf("%q accepted, but: %v", body, err)
		}
		values := url.Values(form.Value)
		if want := formInput(values); got != want {
			t.Errorf("%q: decoded %+v, want %+v", body, got, want)
		}
		if len(form.File) > 0 {
			t.Errorf("%q accepted with a file", body)
		}
	})
}

func TestAcceptsHTML(t *testing.T) {
	for accept, want := range map[string]bool{
		"text/html": true,
		"text/html,application/xhtml+xml,*/*;q=0.8": true,
		"application/json, Text/HTML ;level=1":      true,
		"text/html;q=0.1":                           true,
		"":                                          false,
		"*/*":                                       false,
		"application/json":                          false,
		"text/htmlx":                                false,
		"text/html;q=0":                             false,
		"text/html; q=0.000":                        false,
	} {
		if got := acceptsHTML([]string{accept}); got != want {
			t.Errorf("Accept %q: page %t, want %t", accept, got, want)
		}
	}
	if acceptsHTML(nil) || !acceptsHTML([]string{"text/plain", "text/html"}) {
		t.Error("several Accept lines are one list, none is none")
	}
}
