package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
)

// doors are the counters of who comes in, and who does not.
type doors struct {
	muted       *prometheus.CounterVec
	limited     *prometheus.CounterVec
	redemptions *prometheus.CounterVec
	refreshes   *prometheus.CounterVec
	erasures    prometheus.Counter
}

func newDoors() doors {
	return doors{
		muted: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "bellhop_forms_muted_total",
			Help: "Forms that were answered as always and get no mail, by what they were caught by."}, []string{"reason"}),
		limited: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "bellhop_http_limited_total",
			Help: "Requests answered 429, by what they asked for."}, []string{"class"}),
		redemptions: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "bellhop_redemptions_total",
			Help: "Links and codes that came back, by the mail's purpose and by what became of them."}, []string{"purpose", "by", "result"}),
		refreshes: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "bellhop_session_refreshes_total",
			Help: "Refresh tokens that came, by what became of them: reused ended its session."}, []string{"result"}),
		erasures: prometheus.NewCounter(prometheus.CounterOpts{Name: "bellhop_erasures_total",
			Help: "Sign-ups and accounts that this process erased on demand."}),
	}
}

func (d doors) collectors() []prometheus.Collector {
	return []prometheus.Collector{d.muted, d.limited, d.redemptions, d.refreshes, d.erasures}
}

// Muted counts a form that gets no mail, by the reason: "honeypot", "form-time"
// or "address".
func (d doors) Muted(reason string) { d.muted.WithLabelValues(reason).Inc() }

// Limited counts a request that came too soon, by what it asked for, such as
// "sign-up".
func (d doors) Limited(class string) { d.limited.WithLabelValues(class).Inc() }

// Redemption counts a link or a code (by) of a mail's purpose, by its result:
// "confirmed", "signed-in", "used", "dead" or "wrong".
func (d doors) Redemption(purpose, by, result string) {
	d.redemptions.WithLabelValues(purpose, by, result).Inc()
}

// Refresh counts a refresh token by its result: "refreshed", "reused" or
// "refused".
func (d doors) Refresh(result string) { d.refreshes.WithLabelValues(result).Inc() }

// Erasure counts an erasure.
func (d doors) Erasure() { d.erasures.Inc() }
