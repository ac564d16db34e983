package sessions_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"bellhop/sessions"
)

// A service that greets whoever has a session.
func ExampleVerifier_Middleware() {
	bellhop, token := signedIn() // in real life it runs elsewhere, and an app has the token
	defer bellhop.Close()

	v, err := sessions.New(bellhop.URL, "https://api.example", nil)
	if err != nil {
		log.Fatal(err)
	}
	service := httptest.NewServer(v.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, _ := sessions.FromContext(r.Context())
		fmt.Fprintf(w, "Welcome back, %s.", claims.Account)
	})))
	defer service.Close()

	for _, authorization := range []string{"Bearer " + token, "", "Bearer " + token + "x"} {
		req, err := http.NewRequest("GET", service.URL, nil)
		if err != nil {
			log.Fatal(err)
		}
		req.Header.Set("Authorization", authorization)
		resp, err := service.Client().Do(req)
		if err != nil {
			log.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(resp.Status, strings.TrimSpace(string(body)), resp.Header["Www-Authenticate"])
	}

	// Output:
	// 200 OK Welcome back, 01900000-0000-7000-8000-000000000001. []
	// 401 Unauthorized Unauthorized [Bearer]
	// 401 Unauthorized Unauthorized [Bearer error="invalid_token"]
}

// signedIn plays Bellhop: a server with its keys, and the access token of
// somebody who has signed in.
func signedIn() (bellhop *httptest.Server, token string) {
	d := newDesk()
	bellhop = httptest.NewServer(d)
	d.issuer, d.now = bellhop.URL, time.Now()
	return bellhop, d.token(0)
}
