package web_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"bellhop/internal/limit"
	"bellhop/internal/signup"
	"bellhop/internal/web"
)

// nowhere is a store that keeps nothing.
type nowhere struct{ signup.Store }

func (nowhere) Accept(_ context.Context, a signup.Acceptance) (signup.Accepted, error) {
	return signup.Accepted{ID: a.Person.ID, At: accepted}, nil
}

func (nowhere) Person(context.Context, string) (signup.Person, error) {
	return signup.Person{}, signup.ErrNotFound
}

// discard is a ResponseWriter that costs next to nothing.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(status int)      { d.status = status }

// BenchmarkCreateUserJSON compares all we do for a JSON sign-up, the store
// apart, with a Gin handler that decodes the same JSON and answers 202.
func BenchmarkCreateUserJSON(b *testing.B) {
	b.Run("bare", func(b *testing.B) { benchmarkPost(b, bareGin()) })
	b.Run("bellhop", func(b *testing.B) { benchmarkPost(b, overNowhere(b)) })
	b.Run("guarded", func(b *testing.B) { benchmarkPost(b, overNowhere(b, guarded)) })
}

// guarded adds limits that are never reached.
func guarded(c *web.Config) {
	often := limit.Rate{Events: 1 << 30, Per: time.Second}
	c.Guard = web.Guard{Limiter: limit.NewMemory(0, nil), Secret: make([]byte, 32), PerIP: often, Total: often}
}

func bareGin() http.Handler {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.POST("/createUser", func(c *gin.Context) {
		var form struct{ First, Last, Email string }
		if err := c.ShouldBindJSON(&form); err != nil {
			c.Status(http.StatusBadRequest)
			return
		}
		c.JSON(http.StatusAccepted, gin.H{"status": "pending"})
	})
	return r
}

func overNowhere(b *testing.B, changes ...func(*web.Config)) http.Handler {
	return houseWith(b, home, nil, func(c *web.Config) {
		c.People = signup.NewService(nowhere{}, signup.Settings{})
		c.Metrics, c.Log = nil, slog.New(slog.DiscardHandler)
		for _, change := range changes {
			change(c)
		}
	}).routes
}

func benchmarkPost(b *testing.B, handler http.Handler) {
	const form = `{"first":"Ada","last":"Lovelace","email":"ada.lovelace@example.com"}`
	r := request("POST", "/createUser", form, "Content-Type: application/json",
		"User-Agent: benchmark", "Accept: */*", "Idempotency-Key: 0190a5e4-6b1c-7cde-8f00-0123456789ab")
	body := strings.NewReader(form)
	r.Body = io.NopCloser(body)
	b.ReportAllocs()
	for b.Loop() {
		body.Reset(form)
		w := discard{header: make(http.Header)}
		handler.ServeHTTP(&w, r)
		if w.status != http.StatusAccepted {
			b.Fatalf("status %d", w.status)
		}
	}
}
