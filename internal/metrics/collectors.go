package metrics

import (
	"context"
	"log/slog"

	"bellhop/internal/onboarding"

	"github.com/prometheus/client_golang/prometheus"
)

var (
	descAccepted  = prometheus.NewDesc("bellhop_mails_accepted_total", "Mails ever owed.", nil, nil)
	descMails     = prometheus.NewDesc("bellhop_mails", "Mails by state.", []string{"state"}, nil)
	descOldestDue = prometheus.NewDesc("bellhop_mails_oldest_due_seconds", "How long the longest-waiting mail whose time has come has waited.", nil, nil)
	descCopies    = prometheus.NewDesc("bellhop_mail_copies_total", "Copies submitted after an outcome was unknown.", nil, nil)
	descDiffering = prometheus.NewDesc("bellhop_mail_copies_differing_total", "Copies that were not byte-identical, because templates or settings had changed.", nil, nil)
	descLane      = prometheus.NewDesc("bellhop_lane_messages", "Messages at the broker.", []string{"lane", "kind"}, nil)
)

// ledgerCollector reads the books when it is scraped.
type ledgerCollector struct {
	books func(context.Context) (onboarding.Books, error)
	log   *slog.Logger
}

// Describe implements [prometheus.Collector].
func (c *ledgerCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descAccepted, descMails, descOldestDue, descCopies, descDiffering} {
		out <- d
	}
}

// Collect implements [prometheus.Collector].
func (c *ledgerCollector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeWithin)
	defer cancel()
	books, err := c.books(ctx)
	if err != nil {
		c.log.Warn("the ledger's books could not be read for a scrape", "error", err)
		return
	}
	out <- prometheus.MustNewConstMetric(descAccepted, prometheus.CounterValue, float64(books.Accepted))
	for _, s := range onboarding.States() {
		out <- prometheus.MustNewConstMetric(descMails, prometheus.GaugeValue, float64(books.States[s]), string(s))
	}
	out <- prometheus.MustNewConstMetric(descOldestDue, prometheus.GaugeValue, books.OldestDue.Seconds())
	out <- prometheus.MustNewConstMetric(descCopies, prometheus.CounterValue, float64(books.Copies))
	out <- prometheus.MustNewConstMetric(descDiffering, prometheus.CounterValue, float64(books.Differing))
}

// laneCollector reads a lane's depth when it is scraped.
type laneCollector struct {
	lane  string
	depth func(context.Context) (active, dead int64, err error)
	log   *slog.Logger
}

// Describe implements [prometheus.Collector]. The collectors of several lanes
// share one description and differ in the label, so it is left unchecked.
func (c *laneCollector) Describe(chan<- *prometheus.Desc) {}

// Collect implements [prometheus.Collector].
func (c *laneCollector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeWithin)
	defer cancel()
	active, dead, err := c.depth(ctx)
	if err != nil {
		c.log.Warn("a lane's depth could not be read for a scrape", "lane", c.lane, "error", err)
		return
	}
	out <- prometheus.MustNewConstMetric(descLane, prometheus.GaugeValue, float64(active), c.lane, "active")
	out <- prometheus.MustNewConstMetric(descLane, prometheus.GaugeValue, float64(dead), c.lane, "dead")
}
