package web_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"
	"go.uber.org/goleak"

	"bellhop/internal/signup"
	"bellhop/internal/token"
	"bellhop/internal/web"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// accepted is the fake store's clock, standing still.
var accepted = time.Unix(1_800_000_000, 0)

// memory is a store in memory: signup.Store and token.Keys.
type memory struct {
	signup.Store
	mu     sync.Mutex
	people map[string]signup.Person
	keys   map[[32]byte]string
	secret []byte
	fail   error // what every call answers, if set
	panics any   // what every call panics with, if set
}

func newMemory() *memory {
	return &memory{people: map[string]signup.Person{}, keys: map[[32]byte]string{}}
}

func (m *memory) Accept(_ context.Context, a signup.Acceptance) (signup.Person, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.panics != nil {
		panic(m.panics)
	}
	if m.fail != nil {
		return signup.Person{}, false, m.fail
	}
	if a.Key != nil {
		if id, used := m.keys[*a.Key]; used {
			p := m.people[id]
			if p.First != a.Person.First || p.Last != a.Person.Last || p.Address.Sendable() != a.Person.Address.Sendable() {
				return signup.Person{}, false, signup.ErrConflict
			}
			return p, true, nil
		}
		m.keys[*a.Key] = a.Person.ID
	}
	p := a.Person
	p.Status, p.Accepted = signup.Pending, accepted
	m.people[p.ID] = p
	return p, false, nil
}

func (m *memory) Person(_ context.Context, id string) (signup.Person, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return signup.Person{}, m.fail
	}
	p, ok := m.people[id]
	if !ok {
		return signup.Person{}, signup.ErrNotFound
	}
	return p, nil
}

func (m *memory) SharedKey(_ context.Context, _ string, fresh []byte) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.secret == nil {
		m.secret = fresh
	}
	return m.secret, nil
}

// only returns the one sign-up there is.
func (m *memory) only(t *testing.T) signup.Person {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.people) != 1 {
		t.Fatalf("%d sign-ups stored, want 1", len(m.people))
	}
	for _, p := range m.people {
		return p
	}
	panic("unreachable")
}

func (m *memory) empty(t *testing.T) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.people) != 0 {
		t.Errorf("%d sign-ups stored, want none", len(m.people))
	}
}

// counters are web.Metrics that remember.
type counters struct {
	mu       sync.Mutex
	results  []string
	requests []string
	panics   int
}

func (c *counters) SignUp(result string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.results = append(c.results, result)
}

func (c *counters) Request(route string, status int, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests = append(c.requests, route+" "+http.StatusText(status))
	if took < 0 {
		panic("a request took less than no time")
	}
}

func (c *counters) Panic() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.panics++
}

// readiness answers as it is told.
type readiness struct{ answer web.Ready }

func (r *readiness) Ready(context.Context) web.Ready { return r.answer }

// mails is a mailbox, newest first.
type mails []web.Mail

func (m mails) List(context.Context) ([]web.Mail, error) { return m, nil }

func (m mails) Get(_ context.Context, id string) (web.Mail, error) {
	if i := slices.IndexFunc(m, func(mail web.Mail) bool { return mail.ID == id }); i >= 0 {
		return m[i], nil
	}
	return web.Mail{}, web.ErrNoMail
}

// house is a front desk with everything it needs, and what it said.
type house struct {
	http.Handler
	store   *memory
	metrics *counters
	ready   *readiness
	tokens  *token.Pending
	log     *bytes.Buffer
}

func newHouse(t testing.TB, publicURL string, mailbox web.Mailbox) *house {
	t.Helper()
	h := &house{store: newMemory(), metrics: new(counters), ready: new(readiness), log: new(bytes.Buffer)}
	public, err := url.Parse(publicURL)
	if err != nil {
		t.Fatal(err)
	}
	h.tokens, err = token.NewPending(t.Context(), h.store, publicURL, token.SignUpSession, func() time.Time { return accepted })
	if err != nil {
		t.Fatal(err)
	}
	h.Handler, err = web.New(web.Config{
		PublicURL:    public,
		People:       signup.NewService(h.store, signup.Settings{}),
		SignUpTokens: h.tokens,
		Readiness:    h.ready,
		Mailbox:      mailbox,
		Metrics:      h.metrics,
		Log:          slog.New(slog.NewJSONHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// The Accept header of a browser's window.
const browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

// request makes a request with headers given as "Name: value".
func request(method, target, body string, headers ...string) *http.Request {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	return r
}

// ask sends a request and returns the answer, whose body can still be read.
func (h *house) ask(method, target, body string, headers ...string) *httptest.ResponseRecorder {
	return serve(h, request(method, target, body, headers...))
}

func serve(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// json posts a JSON sign-up.
func (h *house) json(body string, headers ...string) *httptest.ResponseRecorder {
	return h.ask("POST", "/createUser", body, append(headers, "Content-Type: application/json")...)
}

// form posts a form as a browser does.
func (h *house) form(values url.Values, headers ...string) *httptest.ResponseRecorder {
	return h.ask("POST", "/createUser", values.Encode(),
		append(headers, "Content-Type: application/x-www-form-urlencoded", "Accept: "+browser)...)
}

func wantStatus(t *testing.T, w *httptest.ResponseRecorder, want int) {
	t.Helper()
	if w.Code != want {
		t.Fatalf("status %d, want %d; body:\n%s", w.Code, want, w.Body)
	}
}

// page parses an answer that must be a page.
func page(t *testing.T, w *httptest.ResponseRecorder) *goquery.Document {
	t.Helper()
	if got := w.Header().Get("Content-Type"); got != "text/html; charset=utf-8" {
		t.Fatalf("Content-Type %q, want a page; body:\n%s", got, w.Body)
	}
	doc, err := goquery.NewDocumentFromReader(bytes.NewReader(w.Body.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// object decodes an answer that must be a JSON object.
func object[T any](t *testing.T, w *httptest.ResponseRecorder) (v T) {
	t.Helper()
	if got := w.Header().Get("Content-Type"); got != "application/json; charset=utf-8" {
		t.Fatalf("Content-Type %q, want JSON; body:\n%s", got, w.Body)
	}
	dec := json.NewDecoder(bytes.NewReader(w.Body.Bytes()))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("%v in %s", err, w.Body)
	}
	return v
}

// problem is the one form of JSON errors.
type problem struct {
	Error struct {
		Code, Message string
		Fields        map[string]string
	}
}
