package web_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"
	"go.uber.org/goleak"

	"bellhop/internal/onboarding"
	"bellhop/internal/signup"
	"bellhop/internal/sqlitedb"
	"bellhop/internal/store/sqlite"
	"bellhop/internal/token"
	"bellhop/internal/web"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// accepted is a moment for fakes, standing still.
var accepted = time.Unix(1_800_000_000, 0)

// shelf is the store of a house: the real one, that can be told to fail.
type shelf struct {
	*sqlite.Store
	mu     sync.Mutex
	ids    []string // of the sign-ups that were stored
	fail   error    // what every call of the domain answers, if set
	panics any      // what every call of the domain panics with, if set
}

func (s *shelf) trouble() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.panics != nil {
		panic(s.panics)
	}
	return s.fail
}

func (s *shelf) Accept(ctx context.Context, a signup.Acceptance) (signup.Accepted, error) {
	if err := s.trouble(); err != nil {
		return signup.Accepted{}, err
	}
	accepted, err := s.Store.Accept(ctx, a)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil && !accepted.Repeated {
		s.ids = append(s.ids, accepted.ID)
	}
	return accepted, err
}

func (s *shelf) Person(ctx context.Context, id string) (signup.Person, error) {
	if err := s.trouble(); err != nil {
		return signup.Person{}, err
	}
	return s.Store.Person(ctx, id)
}

func (s *shelf) Progress(ctx context.Context, id string) (signup.Progress, error) {
	if err := s.trouble(); err != nil {
		return signup.Progress{}, err
	}
	return s.Store.Progress(ctx, id)
}

func (s *shelf) Mint(ctx context.Context, id onboarding.MailID) (signup.Mint, error) {
	if err := s.trouble(); err != nil {
		return signup.Mint{}, err
	}
	return s.Store.Mint(ctx, id)
}

func (s *shelf) Session(ctx context.Context, id string) (signup.Session, signup.Person, error) {
	if err := s.trouble(); err != nil {
		return signup.Session{}, signup.Person{}, err
	}
	return s.Store.Session(ctx, id)
}

// count is how many sign-ups were stored.
func (s *shelf) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.ids)
}

// only returns the one sign-up there is.
func (s *shelf) only(t *testing.T) signup.Person {
	t.Helper()
	if n := s.count(); n != 1 {
		t.Fatalf("%d sign-ups stored, want 1", n)
	}
	p, err := s.Store.Person(t.Context(), s.ids[0])
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (s *shelf) empty(t *testing.T) {
	t.Helper()
	if n := s.count(); n != 0 {
		t.Errorf("%d sign-ups stored, want none", n)
	}
}

// clock is the time in a house: the real one, which a test may move on.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time          { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) advance(d time.Duration) { c.ahead.Add(int64(d)) }

// counters are web.Metrics that remember.
type counters struct {
	mu       sync.Mutex
	results  []string
	requests []string
	limited  []string
	muted    []string
	doors    []string // redemptions, refreshes, erasures
	panics   int
}

func (c *counters) note(list *[]string, what ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	*list = append(*list, strings.Join(what, " "))
}

func (c *counters) Limited(class string)                  { c.note(&c.limited, class) }
func (c *counters) Muted(reason string)                   { c.note(&c.muted, reason) }
func (c *counters) Redemption(purpose, by, result string) { c.note(&c.doors, purpose, by, result) }
func (c *counters) Refresh(result string)                 { c.note(&c.doors, "refresh", result) }
func (c *counters) Erasure()                              { c.note(&c.doors, "erasure") }

func (c *counters) SignUp(result string) { c.note(&c.results, result) }

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
	http.Handler              // holds every answer against openapi.yaml
	routes       http.Handler // what web.New made
	public       string
	clock        *clock
	store        *shelf
	people       *signup.Service
	links        onboarding.Links
	metrics      *counters
	ready        *readiness
	tokens       *token.Pending // of sign-ups
	log          *bytes.Buffer
}

func newHouse(t testing.TB, publicURL string, mailbox web.Mailbox) *house {
	t.Helper()
	return houseWith(t, publicURL, mailbox, func(*web.Config) {})
}

// houseWith is newHouse with settings of its own.
func houseWith(t testing.TB, publicURL string, mailbox web.Mailbox, change func(*web.Config)) *house {
	t.Helper()
	h, err := build(t, publicURL, mailbox, change)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// build is houseWith for settings that may be refused.
func build(t testing.TB, publicURL string, mailbox web.Mailbox, change func(*web.Config)) (*house, error) {
	t.Helper()
	h := &house{public: publicURL, clock: new(clock), metrics: new(counters), ready: new(readiness), log: new(bytes.Buffer)}
	c := web.Config{
		Readiness: h.ready, Mailbox: mailbox, Metrics: h.metrics,
		Log: slog.New(slog.NewJSONHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	h.furnish(t, &c)
	change(&c)
	var err error
	if h.routes, err = web.New(c); err != nil {
		return nil, err
	}
	h.Handler = checked(t, h.routes)
	return h, nil
}

// furnish makes the store, and what is made over it.
func (h *house) furnish(t testing.TB, c *web.Config) {
	t.Helper()
	var errs [7]error
	h.store = new(shelf)
	h.store.Store, errs[0] = sqlite.Open(sqlite.Options{
		Path: filepath.Join(t.TempDir(), "store.db"), Policy: onboarding.DefaultPolicy(), Now: h.clock.now, Durability: sqlitedb.Off,
	})
	if errs[0] != nil {
		t.Fatal(errs[0])
	}
	t.Cleanup(func() { _ = h.store.Close() })
	h.links = onboarding.NewLinks(h.public, []byte("mint"))
	h.people = signup.NewService(h.store, signup.Settings{Links: h.links, Secret: []byte("secret")})
	c.People = h.people
	c.PublicURL, errs[1] = url.Parse(h.public)
	h.tokens, errs[2] = token.NewPending(t.Context(), h.store, h.public, token.SignUpSession, h.clock.now)
	c.SignUpTokens = h.tokens
	c.SignInTokens, errs[3] = token.NewPending(t.Context(), h.store, h.public, token.SignInSession, h.clock.now)
	c.Secrets, errs[4] = token.NewSecrets(t.Context(), h.store)
	c.Stamps, errs[5] = token.NewStamps(t.Context(), h.store, h.clock.now)
	c.Access, errs[6] = token.NewAccess(t.Context(), h.store, token.AccessConfig{Issuer: h.public, Audience: h.public}, h.clock.now)
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
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
