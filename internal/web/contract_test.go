package web_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/gin-gonic/gin"

	"bellhop/internal/web"
)

// contract is openapi.yaml, to hold answers against.
type contract struct {
	doc    *openapi3.T
	router routers.Router
}

// theContract returns it as it is served.
var theContract = sync.OnceValues(func() (*contract, error) { return readContract(web.Description()) })

func readContract(text []byte) (*contract, error) {
	openapi3.DefineStringFormatValidator("uuid", openapi3.NewRegexpFormatValidator(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`))
	openapi3filter.RegisterBodyDecoder("application/jwk-set+json", openapi3filter.JSONBodyDecoder)
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	if err := doc.Validate(context.Background()); err != nil {
		return nil, fmt.Errorf("validate: %w", err)
	}
	router, err := gorillamux.NewRouter(doc)
	return &contract{doc, router}, err
}

// check returns what is wrong with an answer: JSON must be as it is described
// for its route and status, and an error where nothing is described.
func (k *contract) check(r *http.Request, status int, h http.Header, body []byte) error {
	media, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	isJSON := media == "application/json" || strings.HasSuffix(media, "+json")
	if r.Method == http.MethodHead || !isJSON && status != http.StatusNoContent {
		return nil
	}
	route, parameters, err := k.router.FindRoute(r)
	if err != nil || status == http.StatusMethodNotAllowed {
		if status == http.StatusNoContent { // a preflight
			return nil
		}
		var value any
		if err := json.Unmarshal(body, &value); err != nil {
			return err
		}
		return k.doc.Components.Schemas["Error"].Value.VisitJSON(value)
	}
	return openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: r, PathParams: parameters, Route: route},
		Status:                 status, Header: h, Body: io.NopCloser(bytes.NewReader(body)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true},
	})
}

// checked is a handler whose answers are held against the contract.
func checked(t testing.TB, next http.Handler) http.Handler {
	k, err := theContract()
	if err != nil {
		t.Fatalf("openapi.yaml: %v", err)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		copied := &tee{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(copied, r)
		if err := k.check(r, copied.status, w.Header(), copied.body.Bytes()); err != nil {
			t.Errorf("%s %s answers %d, against openapi.yaml: %v\n%s", r.Method, r.URL.Path, copied.status, err, copied.body.Bytes())
		}
	})
}

// tee keeps a copy of an answer.
type tee struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (w *tee) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *tee) Write(b []byte) (int, error) {
	w.body.Write(b)
	return w.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (w *tee) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// pages are the routes that answer a request which succeeds with a page, a
// redirect or a file, whoever asks.
func isPage(method, path string) bool {
	switch method + " " + path {
	case "GET /createUser", "GET /confirm/:token", "GET /signIn", "GET /signIn/code", "GET /signIn/:token",
		"GET /me/delete", "POST /me/delete", "POST /me/sessions/:id/end",
		"GET /mailbox", "GET /mailbox/:id", "GET /mailbox/:id/html", "GET /mailbox/:id/source":
		return true
	}
	return strings.HasSuffix(path, ".css") || strings.HasSuffix(path, ".svg")
}

// Every route that answers JSON is described, and every one that is described is
// there.
func TestEveryRouteIsDescribed(t *testing.T) {
	k, err := theContract()
	if err != nil {
		t.Fatal(err)
	}
	described := map[string]bool{}
	for path, item := range k.doc.Paths.Map() {
		for method := range item.Operations() {
			described[method+" "+path] = true
		}
	}
	routes := newHouse(t, home, mails{}).routes.(interface{ Routes() gin.RoutesInfo }).Routes()
	for _, route := range routes {
		if route.Method == "HEAD" || isPage(route.Method, route.Path) {
			continue
		}
		name := route.Method + " " + strings.NewReplacer(":token", "{token}", ":id", "{id}").Replace(route.Path)
		if !described[name] {
			t.Errorf("%s is not in openapi.yaml", name)
		}
		delete(described, name)
	}
	for name := range described {
		t.Errorf("%s is in openapi.yaml, and there is no such route", name)
	}
	if len(routes) < 40 {
		t.Errorf("only %d routes", len(routes))
	}
}

// What scripts of other origins may use is what is described, but for what is
// for operators.
func TestCORSRoutesAreDescribed(t *testing.T) {
	k, err := theContract()
	if err != nil {
		t.Fatal(err)
	}
	h := sharingHouse(t)
	for path, item := range k.doc.Paths.Map() {
		for method := range item.Operations() {
			w := h.ask("OPTIONS", strings.NewReplacer("{token}", "x", "{id}", "x").Replace(path), "", "Origin: "+listed, "Access-Control-Request-Method: "+method)
			shared := slices.Contains(strings.Split(w.Header().Get("Access-Control-Allow-Methods"), ", "), method)
			if own := slices.Contains([]string{"/health", "/readyz", "/mailbox/messages"}, path); shared == own {
				t.Errorf("%s %s: shared %v", method, path, shared)
			}
		}
	}
}

// Every operation says what each error of its kind looks like.
func TestErrorsAreDescribed(t *testing.T) {
	k, err := theContract()
	if err != nil {
		t.Fatal(err)
	}
	for path, item := range k.doc.Paths.Map() {
		for method, operation := range item.Operations() {
			want := []string{}
			if method != "GET" {
				want = append(want, "403", "500", "503")
			}
			if method == "POST" {
				want = append(want, "400", "408", "413", "415")
			}
			if operation.Security == nil || len(*operation.Security) > 0 {
				want = append(want, "401", "500", "503")
			}
			for _, status := range want {
				if operation.Responses.Value(status) == nil {
					t.Errorf("%s %s: no answer %s is described", method, path, status)
				}
			}
		}
	}
}

// The check can fail: an answer that has a field too many, one too few, or a
// status that nobody told of is noticed.
func TestContractNotices(t *testing.T) {
	k, err := theContract()
	if err != nil {
		t.Fatal(err)
	}
	const id = `"id":"01900000-0000-7000-8000-000000000001"`
	for _, tt := range []struct {
		method, path string
		status       int
		body         string
		ok           bool
	}{
		{"POST", "/createUser", 202, `{` + id + `,"status":"pending","message":"x","token":"x"}`, true},
		{"POST", "/createUser", 202, `{` + id + `,"status":"pending","message":"x"}`, false},
		{"POST", "/createUser", 202, `{` + id + `,"status":"pending","message":"x","token":"x","known":true}`, false},
		{"POST", "/createUser", 202, `{` + id + `,"status":"confirmed","message":"x","token":"x"}`, false},
		{"POST", "/createUser", 202, `{"id":"7","status":"pending","message":"x","token":"x"}`, false},
		{"POST", "/createUser", 200, `{` + id + `,"status":"pending","message":"x","token":"x"}`, false},
		{"POST", "/createUser", 400, `{"error":{"code":"malformed","message":"x"}}`, true},
		{"POST", "/createUser", 400, `{"error":{"code":"malformed"}}`, false},
		{"POST", "/createUser", 418, `{"error":{"code":"teapot","message":"x"}}`, false},
		{"GET", "/nothing", 404, `{"error":{"code":"not_found","message":"x"}}`, true},
		{"GET", "/nothing", 404, `{"message":"x"}`, false},
		{"POST", "/confirm/abc", 410, `{"error":{"code":"link-dead","message":"x"}}`, true},
		{"DELETE", "/me", 204, ``, true},
		{"DELETE", "/me", 200, `{}`, false},
		{"PUT", "/me", 405, `{"error":{"code":"method_not_allowed","message":"x"}}`, true},
	} {
		err := k.check(request(tt.method, tt.path, ""), tt.status, http.Header{"Content-Type": {"application/json; charset=utf-8"}}, []byte(tt.body))
		if (err == nil) != tt.ok {
			t.Errorf("%s %s %d %s: %v", tt.method, tt.path, tt.status, tt.body, err)
		}
	}
	unauthorized := http.Header{"Content-Type": {"application/json"}}
	if k.check(request("GET", "/me", ""), 401, unauthorized, []byte(`{"error":{"code":"unauthorized","message":"x"}}`)) == nil {
		t.Error("a 401 without WWW-Authenticate is taken")
	}
}

func TestDescriptionIsServed(t *testing.T) {
	h := newHouse(t, home, nil)
	w := h.ask("GET", "/openapi.yaml", "")
	wantStatus(t, w, http.StatusOK)
	if w.Header().Get("Content-Type") != "application/yaml" || !bytes.HasPrefix(w.Body.Bytes(), []byte("openapi: 3.")) {
		t.Errorf("answer %v\n%.100s", w.Header(), w.Body)
	}
	if _, err := readContract(w.Body.Bytes()); err != nil {
		t.Error(err)
	}
	wantStatus(t, h.ask("HEAD", "/openapi.yaml", ""), http.StatusOK)
}

// operation is one that openapi.yaml describes, and a request that it takes.
type operation struct {
	method, path string // path as it is described
	body         string // "" for none
	token        string // of the kind it wants, "" for none
}

func (o operation) ask(h *house, body string, headers ...string) int {
	if o.token != "" {
		headers = append(headers, "Authorization: Bearer "+o.token)
	}
	target := strings.NewReplacer("{token}", "x", "{id}", "x").Replace(o.path)
	return h.ask(o.method, target, body, headers...).Code
}

// operations are all but those for operators and other programs.
func operations(t *testing.T, h *house) (all []operation) {
	t.Helper()
	k, err := theContract()
	must(t, err)
	tokens := map[string]string{
		"access":        h.program(t, "ada@example.com").AccessToken,
		"signUpPending": arrive(t, h),
		"signInPending": object[struct{ Status, Message, Token string }](t,
			h.ask("POST", "/signIn", `{"email":"ada@example.com"}`, "Content-Type: application/json")).Token,
	}
	for path, item := range k.doc.Paths.Map() {
		for method, described := range item.Operations() {
			if slices.Contains(described.Tags, "service") {
				continue
			}
			o := operation{method: method, path: path}
			if described.RequestBody != nil {
				example, err := json.Marshal(described.RequestBody.Value.Content.Get("application/json").Example)
				must(t, err)
				o.body = string(example)
			}
			for _, schemes := range *described.Security {
				for name := range schemes {
					o.token = tokens[name]
				}
			}
			all = append(all, o)
		}
	}
	return all
}

// Each operation refuses what it must refuse as it is described: a body that is
// too large, of another kind or broken, a token that is none, another site's
// page; and says when the store is gone. (What the answers look like is looked
// at beside each request.)
func TestEveryOperationRefusesAsDescribed(t *testing.T) {
	h := newHouse(t, home, nil)
	all := operations(t, h)
	const asJSON = "Content-Type: application/json"
	for _, o := range all {
		want := func(status int, what string, got int) {
			if got != status {
				t.Errorf("%s %s, %s: status %d, want %d", o.method, o.path, what, got, status)
			}
		}
		if o.body != "" {
			want(400, "no JSON", o.ask(h, "{", asJSON))
			want(400, "a field nobody knows", o.ask(h, `{"x":"y"}`, asJSON))
			want(413, "a large body", o.ask(h, strings.Repeat(" ", 16<<10+1), asJSON))
			want(415, "plain text", o.ask(h, o.body, "Content-Type: text/plain"))
			want(415, "a compressed body", o.ask(h, o.body, asJSON, "Content-Encoding: gzip"))
		}
		if o.method != "GET" {
			want(403, "another site's page", o.ask(h, o.body, asJSON, "Sec-Fetch-Site: cross-site"))
		}
		if o.token != "" {
			for _, made := range []string{"", "x", o.token + "x"} {
				wrong := o
				wrong.token = made
				want(401, "a token that is none", wrong.ask(h, o.body, asJSON))
			}
		}
	}
	if len(all) < 15 {
		t.Errorf("only %d operations", len(all))
	}
	must(t, h.store.Close())
	for _, o := range all {
		if o.path == "/token/refresh" { // the example's token is refused before the store is asked
			continue
		}
		status := o.ask(h, o.body, asJSON)
		if link := strings.Contains(o.path, "{token}"); status != 503 && !(link && status == 410) {
			t.Errorf("%s %s without a store: status %d, want 503", o.method, o.path, status)
		}
	}
}
