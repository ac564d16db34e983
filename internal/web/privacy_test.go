package web_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"

	"bellhop/internal/signup"
)

// B7.1: whatever happens to it, nothing of a person reaches a log, a metric or
// an error page.
func TestNothingPersonalLeaks(t *testing.T) {
	h := newHouse(t, home, mails{})
	const first, last, address, key, link = "Canaryfirst", "Canarylast", "canary@canary.example", "canary-key", "canary-link"
	body := fmt.Sprintf(`{"first":%q,"last":%q,"email":%q}`, first, last, address)
	form := url.Values{"first": {first}, "last": {last}, "email": {address}, "key": {key}}

	made := object[acceptedAnswer](t, h.json(body, "Idempotency-Key: "+key)).Token
	signature := made[strings.LastIndexByte(made, '.')+1:]
	secret := []string{"canary", signature}
	var outcomes []string // what is not answered to the person concerned
	note := func(body string) { outcomes = append(outcomes, body) }
	h.form(form)
	h.ask("GET", "/", "", "Authorization: Bearer "+made)
	h.ask("GET", "/confirm/"+link+"?x="+link, "")
	note(h.ask("GET", "/"+link, "", "Accept: "+browser).Body.String())
	note(h.ask("GET", "/", "", "Authorization: Bearer "+made+"x").Body.String())
	note(h.ask("GET", "http://localhost/mailbox/"+link, "", "Accept: "+browser, "Referer: http://x/"+link).Body.String())
	note(h.json(`{"first":"Canaryfirst\u0000","email":"canary"}`).Body.String())
	note(h.json(body+"canary", "Idempotency-Key: "+key).Body.String())
	note(h.json(strings.Replace(body, first, "Canaryother", 1), "Idempotency-Key: "+key).Body.String())
	for _, fail := range []error{signup.ErrUnavailable, fmt.Errorf("disk on fire")} {
		h.store.fail = fail
		note(h.json(body).Body.String())
		note(h.form(form).Body.String())
		note(h.ask("GET", "/", "", "Authorization: Bearer "+made).Body.String())
	}
	h.store.panics = fmt.Errorf("cannot store %s %s", first, address)
	note(h.json(body).Body.String())
	note(h.form(form).Body.String())

	everything := append(outcomes, h.log.String(), strings.Join(h.metrics.requests, "\n"), strings.Join(h.metrics.results, "\n"))
	for _, text := range everything {
		for _, canary := range secret {
			if at := strings.Index(strings.ToLower(text), strings.ToLower(canary)); at >= 0 {
				t.Errorf("%q in: %s", canary, text[max(0, at-200):min(len(text), at+200)])
			}
		}
	}
	for _, want := range []string{`"sign-up accepted"`, `"request answered"`, `"request failed"`, `"handler panicked"`} {
		if !strings.Contains(h.log.String(), want) {
			t.Errorf("nothing was logged as %s", want)
		}
	}
}

// B7.2: no input makes a second record, or one that is not JSON.
func TestLogInjection(t *testing.T) {
	h := newHouse(t, home, nil)
	const attack = "x\r\n{\"level\":\"ERROR\",\"msg\":\"forged\"}\n\x1b[31m\u2028"
	h.json(fmt.Sprintf(`{"first":%q,"email":%q}`, attack, attack))
	h.form(url.Values{"first": {attack}, "email": {attack}, "key": {attack}})
	h.ask("GET", "/"+url.PathEscape(attack), "", "User-Agent: "+attack, "Accept: "+attack, "Authorization: Bearer "+attack, "Cookie: session="+attack)
	h.ask("GET", "/confirm/"+url.PathEscape(attack), "", "Referer: "+attack)
	h.ask("POST", "/createUser", attack, "Content-Type: "+attack, "Idempotency-Key: "+attack)
	records := 0
	lines := bufio.NewScanner(bytes.NewReader(h.log.Bytes()))
	for ; lines.Scan(); records++ {
		var record map[string]any
		if err := json.Unmarshal(lines.Bytes(), &record); err != nil || record["msg"] != "request answered" {
			t.Errorf("record %q, %v", lines.Text(), err)
		}
	}
	if records != 5 {
		t.Errorf("%d records of 5 requests", records)
	}
}

// B7.1: a body that breaks off, or is no body, is the client's affair: it is no
// error of ours, and the client's address, which the error holds, is in no log.
func TestB7_1_ABodyThatBreaksIsNotOurError(t *testing.T) {
	client := &net.TCPAddr{IP: net.IPv4(198, 51, 100, 7), Port: 50000}
	for _, length := range []int64{100, -1} { // -1 is chunked
		for _, broken := range []error{
			&net.OpError{Op: "read", Net: "tcp", Addr: client, Err: syscall.ECONNRESET},
			errors.New("invalid byte in chunk length"),
			io.ErrUnexpectedEOF,
		} {
			h := newHouse(t, home, nil)
			r := httptest.NewRequest(http.MethodPost, "/createUser", io.MultiReader(strings.NewReader("{"), iotest.ErrReader(broken)))
			r.ContentLength = length
			r.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != http.StatusBadRequest {
				t.Errorf("%v: answered %d", broken, w.Code)
			}
			if said := h.log.String(); strings.Contains(said, "ERROR") || strings.Contains(said, client.IP.String()) {
				t.Errorf("%v: logged %s", broken, said)
			}
		}
	}
}
