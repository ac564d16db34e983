package web_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"

	"bellhop/internal/web"
)

type selection = goquery.Selection

var confirmMail = web.Mail{
	ID: "m1", To: "ada@example.com", Subject: "Confirm <your> address", MessageID: "<x.sign-up.1@localhost>",
	Text:       "Hello\nhttp://localhost:6969/confirm/a?b=1&c=<2> and https://x.example\nhttpd",
	HTML:       `<!doctype html><html><HEAD><title>x</title></head><body><a href="http://localhost:6969/confirm/a">Confirm</a></body></html>`,
	ReceivedAt: time.Date(2026, 11, 22, 18, 4, 5, 0, time.FixedZone("", 3600)),
	Source:     []byte("Subject: x\r\n\r\n<b>\r\n"),
}

func TestMailboxIsOffWithoutMailbox(t *testing.T) {
	h := newHouse(t, home, nil)
	for _, path := range []string{"/mailbox", "/mailbox/messages", "/mailbox/m1", "/mailbox/m1/html", "/mailbox/m1/source"} {
		wantStatus(t, h.ask("GET", "http://localhost"+path, ""), http.StatusNotFound)
	}
}

func TestMailboxList(t *testing.T) {
	h := newHouse(t, home, mails{})
	doc := page(t, h.ask("GET", "http://localhost/mailbox", ""))
	if doc.Find(".mails").Length() != 0 || !strings.Contains(doc.Find("main").Text(), "No mail yet") {
		t.Error("an empty mailbox does not say so")
	}
	var box mails
	for i := range 120 {
		box = append(box, web.Mail{ID: fmt.Sprint("m", i), Subject: fmt.Sprint("mail ", i)})
	}
	h = newHouse(t, home, box)
	for _, tt := range []struct {
		query, first, newer, older string
		count                      int
	}{
		{"", "/mailbox/m0", "", "/mailbox?page=2", 50},
		{"?page=2", "/mailbox/m50", "/mailbox?page=1", "/mailbox?page=3", 50},
		{"?page=3", "/mailbox/m100", "/mailbox?page=2", "", 20},
	} {
		doc := page(t, h.ask("GET", "http://localhost/mailbox"+tt.query, ""))
		items := doc.Find(".mails a")
		if items.Length() != tt.count || items.First().AttrOr("href", "") != tt.first {
			t.Errorf("%q: %d mails from %q", tt.query, items.Length(), items.First().AttrOr("href", ""))
		}
		newer, older := doc.Find("a[rel=prev]").AttrOr("href", ""), doc.Find("a[rel=next]").AttrOr("href", "")
		if newer != tt.newer || older != tt.older {
			t.Errorf("%q: newer %q, older %q", tt.query, newer, older)
		}
	}
	for _, bad := range []string{"0", "-1", "4", "x", "99999999999999999999"} {
		wantStatus(t, h.ask("GET", "http://localhost/mailbox?page="+bad, ""), http.StatusNotFound)
	}
	// A full last page has nothing after it.
	full := newHouse(t, home, box[:100])
	if page(t, full.ask("GET", "http://localhost/mailbox?page=2", "")).Find("a[rel=next]").Length() != 0 {
		t.Error("a page after the last")
	}
	wantStatus(t, full.ask("GET", "http://localhost/mailbox?page=3", ""), http.StatusNotFound)
}

func TestMailPage(t *testing.T) {
	h := newHouse(t, home, mails{confirmMail})
	w := h.ask("GET", "http://localhost/mailbox/m1", "")
	doc := page(t, w)
	if got := doc.Find("h1").Text(); got != confirmMail.Subject {
		t.Errorf("heading %q", got)
	}
	if got := doc.Find("pre.text").Text(); got != confirmMail.Text {
		t.Errorf("text %q", got)
	}
	var links []string
	doc.Find("pre.text a").Each(func(_ int, a *selection) { links = append(links, a.AttrOr("href", "")) })
	if want := "[http://localhost:6969/confirm/a?b=1&c= https://x.example]"; fmt.Sprint(links) != want {
		t.Errorf("links %v, want %s", links, want)
	}
	frame := doc.Find("iframe")
	if frame.AttrOr("src", "") != "/mailbox/m1/html" || frame.AttrOr("title", "") == "" {
		t.Error("no frame with a title")
	}
	if sandbox, ok := frame.Attr("sandbox"); !ok || strings.Contains(sandbox, "script") || strings.Contains(sandbox, "same-origin") {
		t.Errorf("sandbox %q", sandbox)
	}
	if csp := w.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "frame-src 'self'") || !strings.Contains(csp, "frame-ancestors 'none'") {
		t.Errorf("policy %q", csp)
	}
	if got := doc.Find("time").AttrOr("datetime", ""); got != "2026-11-22T17:04:05Z" {
		t.Errorf("received %q", got)
	}
}

// The mail's own HTML runs nothing, whoever wrote it.
func TestMailHTML(t *testing.T) {
	fragment := web.Mail{ID: "m2", HTML: "<p>x"}
	h := newHouse(t, home, mails{confirmMail, fragment})
	w := h.ask("GET", "http://localhost/mailbox/m1/html", "")
	csp := w.Header().Get("Content-Security-Policy")
	for _, want := range []string{"sandbox ", "default-src 'none'", "style-src 'unsafe-inline'", "frame-ancestors 'self'"} {
		if !strings.Contains(csp, want) {
			t.Errorf("policy %q, want %s", csp, want)
		}
	}
	if strings.Contains(csp, "allow-scripts") || strings.Contains(csp, "allow-same-origin") {
		t.Errorf("policy %q", csp)
	}
	if want := strings.Replace(confirmMail.HTML, "<HEAD>", `<HEAD><base target="_blank">`, 1); w.Body.String() != want {
		t.Errorf("body %s", w.Body)
	}
	if got := h.ask("GET", "http://localhost/mailbox/m2/html", "").Body.String(); got != `<base target="_blank"><p>x` {
		t.Errorf("body of a fragment %s", got)
	}
}

func TestMailSource(t *testing.T) {
	h := newHouse(t, home, mails{confirmMail})
	w := h.ask("GET", "http://localhost/mailbox/m1/source", "", "Accept: "+browser)
	if w.Body.String() != string(confirmMail.Source) || w.Header().Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("source %q as %q", w.Body, w.Header().Get("Content-Type"))
	}
}

func TestMailboxMessages(t *testing.T) {
	h := newHouse(t, home, mails{})
	if got := h.ask("GET", "http://localhost/mailbox/messages", "").Body.String(); got != "[]" {
		t.Errorf("an empty mailbox is %s", got)
	}
	h = newHouse(t, home, mails{confirmMail, {ID: "m0"}})
	var got []map[string]any
	if err := json.Unmarshal(h.ask("GET", "http://localhost/mailbox/messages", "").Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"id": "m1", "to": confirmMail.To, "subject": confirmMail.Subject, "text": confirmMail.Text,
		"html": confirmMail.HTML, "messageId": confirmMail.MessageID, "receivedAt": "2026-11-22T18:04:05+01:00"}
	if len(got) != 2 || fmt.Sprint(got[0]) != fmt.Sprint(want) {
		t.Errorf("messages %v", got)
	}
}

// overtaken is a mailbox whose older mail was just pushed out.
type overtaken struct{ mails }

func (o overtaken) Get(ctx context.Context, id string) (web.Mail, error) {
	if id == "old" {
		return web.Mail{}, fmt.Errorf("read: %w", web.ErrNoMail)
	}
	return o.mails.Get(ctx, id)
}

func (o overtaken) List(context.Context) ([]web.Mail, error) {
	return append(o.mails, web.Mail{ID: "old"}), nil
}

// broken is a mailbox that cannot be read.
type broken struct{}

func (broken) Get(context.Context, string) (web.Mail, error) {
	return web.Mail{}, errors.New("disk on fire")
}

func (broken) List(context.Context) ([]web.Mail, error) { return nil, errors.New("disk on fire") }

func TestMailboxFaults(t *testing.T) {
	h := newHouse(t, home, overtaken{mails{confirmMail}})
	w := h.ask("GET", "http://localhost/mailbox/messages", "")
	wantStatus(t, w, http.StatusOK)
	if n := strings.Count(w.Body.String(), `"id"`); n != 1 {
		t.Errorf("%d messages, want 1", n)
	}
	wantStatus(t, h.ask("GET", "http://localhost/mailbox/old", ""), http.StatusNotFound)

	h = newHouse(t, home, broken{})
	for _, path := range []string{"/mailbox", "/mailbox/messages", "/mailbox/m1", "/mailbox/m1/html", "/mailbox/m1/source"} {
		w := h.ask("GET", "http://localhost"+path, "")
		wantStatus(t, w, http.StatusInternalServerError)
		if strings.Contains(w.Body.String(), "fire") {
			t.Errorf("%s shows the cause", path)
		}
	}
}

// B4.7: another name that was pointed at this machine (DNS rebinding) reads no
// mail.
func TestMailboxHosts(t *testing.T) {
	h := newHouse(t, "https://Desk.example:8443", mails{confirmMail})
	for host, want := range map[string]int{
		"localhost": 200, "localhost:6969": 200, "LOCALHOST:1": 200, "127.0.0.1:6969": 200, "127.9.9.9": 200,
		"[::1]:6969": 200, "[::1]": 200, "desk.example": 200, "desk.example:8443": 200,
		"evil.example": 421, "localhost.evil.example": 421, "127.0.0.1.evil.example": 421, "10.0.0.1": 421,
		"0.0.0.0": 421, "[::]": 421, "": 421, "desk.example.evil": 421, "evil.example:localhost": 421,
	} {
		for _, path := range []string{"/mailbox", "/mailbox/messages", "/mailbox/m1", "/mailbox/m1/html", "/mailbox/m1/source"} {
			r := request("GET", path, "", "X-Forwarded-Host: localhost")
			r.Host = host
			if w := serve(h, r); w.Code != want {
				t.Errorf("Host %q, %s: status %d, want %d", host, path, w.Code, want)
			}
		}
	}
}
