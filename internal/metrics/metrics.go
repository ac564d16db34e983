// Package metrics turns what the rooms report into Prometheus metrics. It
// counts and never decides; labels are states, classes and phases, never
// anything about a person.
package metrics

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"bellhop/internal/mail"
	"bellhop/internal/onboarding"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// scrapeWithin bounds what one scrape may ask of the store.
const scrapeWithin = 5 * time.Second

// Metrics is one process's metrics, with a registry of its own. All methods
// may be called concurrently.
type Metrics struct {
	registry  *prometheus.Registry
	signUps   *prometheus.CounterVec
	requests  *prometheus.HistogramVec
	attempts  *prometheus.CounterVec
	phases    *prometheus.HistogramVec
	delay     prometheus.Histogram
	groupSize *prometheus.HistogramVec
	groupTime *prometheus.HistogramVec
	syncTime  *prometheus.HistogramVec
	panics    prometheus.Counter
	doors
}

// New makes the metrics of a process.
func New() *Metrics {
	seconds := prometheus.ExponentialBuckets(0.0001, 2.5, 16) // 0.1 ms to 93 s
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		signUps: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "bellhop_signups_total",
			Help: "Sign-ups by what became of them."}, []string{"result"}),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "bellhop_http_request_seconds",
			Help: "Time to answer a request.", Buckets: seconds}, []string{"route", "code"}),
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "bellhop_mail_attempts_total",
			Help: "Attempts to submit a mail, by how and where they ended."}, []string{"lane", "variant", "outcome", "phase"}),
		phases: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "bellhop_mail_phase_seconds",
			Help: "Time of an attempt: begin (up to the final dot), wait (for the ledger), dot (until the answer).", Buckets: seconds}, []string{"phase"}),
		delay: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "bellhop_mail_delay_seconds",
			Help: "Time from the sign-up to the mail server's acceptance.", Buckets: prometheus.ExponentialBuckets(0.001, 3, 16)}),
		groupSize: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "bellhop_commit_callers",
			Help: "Callers that shared one commit.", Buckets: prometheus.ExponentialBuckets(1, 2, 10)}, []string{"database"}),
		groupTime: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "bellhop_commit_seconds",
			Help: "Time of one commit, without the wait for the disk.", Buckets: seconds}, []string{"database"}),
		syncTime: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "bellhop_sync_seconds",
			Help: "Time of one wait for the disk, which all commits made meanwhile share.", Buckets: seconds}, []string{"database"}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{Name: "bellhop_http_panics_total",
			Help: "Requests whose handler panicked."}),
		doors: newDoors(),
	}
	m.registry.MustRegister(m.signUps, m.requests, m.attempts, m.phases, m.delay, m.groupSize, m.groupTime, m.syncTime, m.panics,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.registry.MustRegister(m.doors.collectors()...)
	return m
}

// Handler serves the metrics in Prometheus's text format.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}

// SignUp counts a sign-up by its result.
func (m *Metrics) SignUp(result string) { m.signUps.WithLabelValues(result).Inc() }

// Request takes an answered request.
func (m *Metrics) Request(route string, status int, took time.Duration) {
	m.requests.WithLabelValues(route, strconv.Itoa(status)).Observe(took.Seconds())
}

// Attempt takes one attempt to submit a mail.
func (m *Metrics) Attempt(a onboarding.Attempt) {
	m.attempts.WithLabelValues(string(a.Lane), string(a.Variant), a.Outcome.Class.String(), a.Outcome.Phase.String()).Inc()
	m.phases.WithLabelValues("begin").Observe(a.Begin.Seconds())
	if a.Dot > 0 {
		m.phases.WithLabelValues("wait").Observe(a.Wait.Seconds())
		m.phases.WithLabelValues("dot").Observe(a.Dot.Seconds())
	}
	if a.Outcome.Class == mail.Accepted {
		m.delay.Observe(a.Age.Seconds())
	}
}

// Commit takes one commit of a database: "store" or "bus", or "queue" for one in
// Redis. There it is a group of steps, and took includes the way and the disk.
func (m *Metrics) Commit(database string, callers int, took time.Duration) {
	m.groupSize.WithLabelValues(database).Observe(float64(callers))
	m.groupTime.WithLabelValues(database).Observe(took.Seconds())
}

// Sync takes one wait of a database for the disk.
func (m *Metrics) Sync(database string, took time.Duration) {
	m.syncTime.WithLabelValues(database).Observe(took.Seconds())
}

// Panic counts a request whose handler panicked.
func (m *Metrics) Panic() { m.panics.Inc() }

// WatchLedger adds the ledger's books, read at each scrape.
func (m *Metrics) WatchLedger(books func(context.Context) (onboarding.Books, error), log *slog.Logger) {
	m.registry.MustRegister(&ledgerCollector{books: books, log: log})
}

// WatchLane adds a lane's depth at the broker, read at each scrape.
func (m *Metrics) WatchLane(lane onboarding.Lane, depth func(context.Context) (active, dead int64, err error), log *slog.Logger) {
	m.registry.MustRegister(&laneCollector{lane: string(lane), depth: depth, log: log})
}

// WatchCircuit adds whether the mail server is taken for down.
func (m *Metrics) WatchCircuit(open func() bool) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "bellhop_mail_circuit_open",
		Help: "1 while the mail server is taken for down."}, func() float64 {
		if open() {
			return 1
		}
		return 0
	}))
}
