// Package web is Bellhop's front desk: the pages and the JSON API over HTTP.
//
// It knows the domain of people ([People], topic by topic) and the interfaces
// below, and no store, no queue and no mail. A request goes through one
// middleware per file (observe, headers, recovery, cors, cross-origin, guard) to
// a handler that returns an error or nothing; problem.go alone turns errors into
// answers.
//
// # Answers
//
// A browser (Accept names text/html, or a form is posted) gets pages, everybody
// else JSON. Errors are {"error": {"code", "message", "fields"}} in JSON and one
// page in HTML. All pages work without JavaScript; the policy in headers.go lets
// none run. What they say is in texts/, a file for each language, chosen by
// Accept-Language; JSON is in English.
//
// # Who asks
//
// Pages go by cookies and JSON by bearer tokens, never the other way round: no
// other site can make a browser use the API in its visitor's name. There are
// three kinds of each: of an account's session, of a sign-up that is pending,
// and of a request to sign in. Nothing but what a mail carries makes one of the
// first kind out of the others.
//
// GET and HEAD change nothing: links in mails lead to a page with a button.
//
// # Privacy
//
// A path may hold a link's token and a form holds a person: neither is logged
// nor counted, only the route's pattern, the status and the time. No page or
// answer about a sign-up tells what else is known of its address.
package web

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"time"
)

// People is all that the front desk asks of the domain. Each topic's file
// declares its part, and *[signup.Service] is all of them.
type People interface {
	SignUps
	Standings
	SignIns
	Redemptions
	Sessions
	Refreshes
	Accounts
}

// Readiness tells whether the process can do its work now.
type Readiness interface {
	// Ready answers by the time ctx ends. It is called concurrently.
	Ready(ctx context.Context) Ready
}

// Ready is how a process is. The zero value is ready.
type Ready struct {
	// Unavailable tells that requests should go elsewhere.
	Unavailable bool
	// Degraded tells that requests are welcome although something is broken.
	Degraded bool
	// Reason says in words what is wrong, for operators. No personal data.
	Reason string
}

// ErrNoMail is returned by a [Mailbox] for a mail it does not have.
var ErrNoMail = errors.New("no such mail")

// Mailbox keeps the mails of a development set-up. Its methods are called
// concurrently.
type Mailbox interface {
	// List returns the mails there are, newest first. Text, HTML and Source
	// may be left out.
	List(ctx context.Context) ([]Mail, error)
	// Get returns one mail. [ErrNoMail] if it is not there, or no more.
	Get(ctx context.Context, id string) (Mail, error)
}

// Mail is a mail in the [Mailbox].
type Mail struct {
	ID         string    `json:"id"`
	To         string    `json:"to"`
	Subject    string    `json:"subject"`
	Text       string    `json:"text"`
	HTML       string    `json:"html"`
	MessageID  string    `json:"messageId"`
	ReceivedAt time.Time `json:"receivedAt"`
	// Source is the mail as it was sent.
	Source []byte `json:"-"`
}

// Metrics counts. Its methods are called concurrently and must be quick.
type Metrics interface {
	// SignUp counts a form by its result, one of the Result constants.
	SignUp(result string)
	// Request takes an answered request: its route's pattern ("none" for no
	// route), the status and how long it took.
	Request(route string, status int, took time.Duration)
	// Panic counts a handler that panicked.
	Panic()
	// Limited counts a request that was refused because there were too many, by
	// what it asked for.
	Limited(class string)
	// Muted counts a form whose sender did not behave as people do, by what
	// gave it away.
	Muted(reason string)
	// Redemption counts a link or a code (by) of a purpose, by its result:
	// "confirmed", "signed-in", "used", "dead", "wrong" or "failed".
	Redemption(purpose, by, result string)
	// Refresh counts a refresh token by its result: "refreshed", "reused",
	// "refused" or "failed".
	Refresh(result string)
	// Erasure counts an account whose owner has deleted it.
	Erasure()
}

// The results of a form.
const (
	ResultAccepted    = "accepted"    // stored
	ResultRepeated    = "repeated"    // stored before under the same key
	ResultConflict    = "conflict"    // the key was used with other values
	ResultInvalid     = "invalid"     // some values cannot be used
	ResultMalformed   = "malformed"   // could not be read at all
	ResultUnavailable = "unavailable" // the store is down or full, or who asked has left
	ResultFailed      = "failed"      // something of ours broke
)

// Config is what a front desk is made of. Mailbox and Metrics may be nil, all
// else without a default is required.
type Config struct {
	// PublicURL is how people reach us: scheme and host, no path. It decides
	// whether cookies are secure and whom the mailbox answers.
	PublicURL *url.URL
	People    People
	// SignUpTokens are the pending sessions of sign-ups, SignInTokens those of
	// requests to sign in. A token of one must be refused as the other.
	SignUpTokens, SignInTokens PendingTokens
	// Secrets carry browser sessions and refresh tokens, Access the access
	// tokens of API sessions.
	Secrets SessionSecrets
	Access  AccessTokens
	// Stamps say when a form was shown.
	Stamps Stamps
	// SessionLife is how long a browser keeps a session's cookie. Whether the
	// session goes on, only the store knows. Default: 30 days.
	SessionLife time.Duration
	// Guard says who may ask how often. Default: everybody, as often as they
	// like.
	Guard Guard
	// CORSOrigins are the web apps elsewhere whose scripts may use the JSON API,
	// each exactly as browsers write it: https://app.example.com. Default: none.
	CORSOrigins []string
	Readiness   Readiness
	// Mailbox is shown under /mailbox. Nil for no such pages.
	Mailbox Mailbox
	Metrics Metrics
	Log     *slog.Logger
}

func (c *Config) secure() bool { return c.PublicURL.Scheme == "https" }

// noMetrics counts nothing.
type noMetrics struct{}

func (noMetrics) SignUp(string)                      {}
func (noMetrics) Request(string, int, time.Duration) {}
func (noMetrics) Panic()                             {}
func (noMetrics) Limited(string)                     {}
func (noMetrics) Muted(string)                       {}
func (noMetrics) Redemption(_, _, _ string)          {}
func (noMetrics) Refresh(string)                     {}
func (noMetrics) Erasure()                           {}
