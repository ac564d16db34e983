package enumerationtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"
)

// visitor is somebody who asks: a program, or a browser without JavaScript.
type visitor struct {
	*testing.T
	at     *program
	client *http.Client
	token  string          // sent as a bearer token unless empty
	used   map[string]bool // links
}

func visit(t *testing.T, at *program) *visitor {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar, Timeout: time.Minute, Transport: new(http.Transport),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	t.Cleanup(client.CloseIdleConnections)
	return &visitor{T: t, at: at, client: client, used: map[string]bool{}}
}

// answer is all that somebody can see of one.
type answer struct {
	status int
	header http.Header
	body   string
}

func (v *visitor) do(method, path, accept, contentType, body string) answer {
	v.Helper()
	r, err := http.NewRequestWithContext(v.Context(), method, v.at.url+path, strings.NewReader(body))
	if err != nil {
		v.Fatal(err)
	}
	r.Header.Set("Accept", accept)
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
		r.Header.Set("Origin", v.at.url)
	}
	if v.token != "" {
		r.Header.Set("Authorization", "Bearer "+v.token)
	}
	response, err := v.client.Do(r)
	if err != nil {
		v.Fatalf("%s %s: %v", method, path, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		v.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(text)}
}

func (v *visitor) getJSON(path string) answer { return v.do("GET", path, "application/json", "", "") }
func (v *visitor) getPage(path string) answer { return v.do("GET", path, "text/html", "", "") }

func (v *visitor) postJSON(path string, fields map[string]string) answer {
	v.Helper()
	if fields == nil {
		fields = map[string]string{}
	}
	body, err := json.Marshal(fields)
	if err != nil {
		v.Fatal(err)
	}
	return v.do("POST", path, "application/json", "application/json", string(body))
}

// submit sends the form of a page that goes to action, with all its hidden
// fields and some filled in.
func (v *visitor) submit(page answer, action string, fill map[string]string) answer {
	v.Helper()
	document, err := goquery.NewDocumentFromReader(strings.NewReader(page.body))
	if err != nil {
		v.Fatal(err)
	}
	form := document.Find(fmt.Sprintf("form[action=%q]", action))
	if form.Length() != 1 {
		v.Fatalf("%d forms go to %s on:\n%s", form.Length(), action, page.body)
	}
	values := url.Values{}
	form.Find("input[name]").Each(func(_ int, field *goquery.Selection) {
		values.Set(field.AttrOr("name", ""), field.AttrOr("value", ""))
	})
	for name, value := range fill {
		values.Set(name, value)
	}
	return v.do("POST", action, "text/html", "application/x-www-form-urlencoded", values.Encode())
}

func (v *visitor) want(a answer, status int) answer {
	v.Helper()
	if a.status != status {
		v.Fatalf("answered %d, want %d: %s", a.status, status, a.body)
	}
	return a
}

// field reads one of a JSON answer.
func (v *visitor) field(a answer, name string) string {
	v.Helper()
	var fields map[string]any
	if err := json.Unmarshal([]byte(a.body), &fields); err != nil {
		v.Fatalf("read %q: %v", a.body, err)
	}
	return fmt.Sprint(fields[name])
}

// signUp signs up as a program, which has the pending session from then on.
func (v *visitor) signUp(address string) answer {
	v.Helper()
	a := v.want(v.postJSON("/createUser", map[string]string{"first": "Ada", "email": address}), http.StatusAccepted)
	v.token = v.field(a, "token")
	return a
}

// settled waits until the mail of a pending session needs no more waiting for.
func (v *visitor) settled() answer {
	v.Helper()
	return v.eventually("/signup/status", func(a answer) bool { return v.field(a, "mail") == "handed-over" })
}

// mailed waits until somebody's mail is in the mailbox.
func (v *visitor) mailed(address string) {
	v.Helper()
	v.eventually("/mailbox/messages", func(a answer) bool { return strings.Contains(a.body, address) })
}

func (v *visitor) eventually(path string, done func(answer) bool) answer {
	v.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(time.Minute)
	for {
		if a := v.getJSON(path); done(a) {
			return a
		}
		select {
		case <-tick.C:
		case <-deadline:
			v.Fatalf("%s is still %s", path, v.getJSON(path).body)
		}
	}
}

var linkInMail = regexp.MustCompile(`/confirm/[\w-]+`)

// confirm signs up with an address, follows the oldest link to it that this
// visitor has not used, whoever asked for it, and has the
// account's session from then on.
func (v *visitor) confirm(address string) {
	v.Helper()
	v.signUp(address)
	var link string
	v.eventually("/mailbox/messages", func(a answer) bool {
		var mails []struct{ To, Text string }
		if err := json.Unmarshal([]byte(a.body), &mails); err != nil {
			v.Fatal(err)
		}
		for _, m := range mails {
			if found := linkInMail.FindString(m.Text); strings.Contains(m.To, address) && !v.used[found] {
				link = found
			}
		}
		return link != ""
	})
	v.token, v.used[link] = "", true
	v.token = v.field(v.want(v.postJSON(link, nil), http.StatusOK), "access_token")
}

var (
	uuids       = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)
	jwts        = regexp.MustCompile(`eyJ[\w-]+\.[\w-]+\.[\w-]+`)
	hidden      = regexp.MustCompile(`(<input type="hidden" name="\w+" value=")([^"]*)`)
	typed       = regexp.MustCompile(`typed=[\w-]+`)
	counts      = regexp.MustCompile(`("resendIn":|another mail in )\d+`) // by the second; they know this sign-up only
	metaRefresh = regexp.MustCompile(`(?i)http-equiv="?refresh`)
)

// seen is an answer as it must be for every address: without the address
// itself, and with what is drawn or derived replaced by its length.
func (v *visitor) seen(what string, a answer, address string) string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s: %d\n", what, a.status)
	a.header.Del("Date")
	if err := a.header.Write(&b); err != nil {
		v.Fatal(err)
	}
	b.WriteString("\n" + a.body)
	text := strings.ReplaceAll(b.String(), address, "ADDRESS")
	text = uuids.ReplaceAllString(text, "UUID")
	text = jwts.ReplaceAllStringFunc(text, func(s string) string { return fmt.Sprintf("TOKEN[%d]", len(s)) })
	text = hidden.ReplaceAllStringFunc(text, func(s string) string {
		parts := hidden.FindStringSubmatch(s)
		return fmt.Sprintf("%sVALUE[%d]", parts[1], len(parts[2]))
	})
	text = typed.ReplaceAllStringFunc(text, func(s string) string { return fmt.Sprintf("typed=VALUE[%d]", len(s)) })
	return counts.ReplaceAllString(text, "${1}N")
}
