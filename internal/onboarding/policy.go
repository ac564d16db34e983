package onboarding

import "time"

// Policy holds the ledger's times and bounds. The zero value is not usable:
// start from [DefaultPolicy].
type Policy struct {
	// Heartbeat is how often an incarnation says it is alive. Default: 3 s.
	Heartbeat time.Duration
	// DeadAfter is how old a heartbeat may be. Default: 10 s.
	DeadAfter time.Duration
	// HoldMost is how long a living incarnation may hold a mail: longer than the
	// longest SMTP conversation. What it holds longer it has lost track of, or
	// the store has lost what it said. Default: 1 h.
	HoldMost time.Duration
	// StaleAfter is how long a queued mail may lag behind what was sent after
	// it. Default: 60 s.
	StaleAfter time.Duration
	// MarkerAfter is how long a lane with queued mails may be silent before
	// the relay sends a marker. Default: 30 s.
	MarkerAfter time.Duration
	// RecheckAfter is how old a Committing may be when the dot is written
	// without a Check. Default: 0.5 s.
	RecheckAfter time.Duration
	// LaneLimit is how many messages the relay keeps in a lane. Default: 10 000.
	LaneLimit int64
	// RelayBatch is how many mails the relay moves in one commit. Default: 256.
	RelayBatch int
	// MaxClaims is how often a mail may be claimed without an outcome before
	// it ends failed as poison. Default: 20.
	MaxClaims int
	// AloneFrom is the number of such claims from which the mail is sent with
	// nothing else under way in the process. Default: 5.
	AloneFrom int
	// UnknownPause is how long an unknown waits for a late reply before the
	// copy is sent. Default: 5 s.
	UnknownPause time.Duration
	// MaxCopies is how many copies of an unknown mail with a link are submitted; a
	// copy that was certainly not delivered is not counted. Default: 1.
	MaxCopies int
	// Expiry is how long a sign-up's mail makes sense, and how long its link
	// lives from the moment it is sent; a welcome makes sense as long.
	// Default: 72 h.
	Expiry time.Duration
	// SignInExpiry is Expiry for sign-in mails. Default: 15 min.
	SignInExpiry time.Duration
	// CodeLife is how long the code in a mail can be typed, from the moment it
	// is sent. Default: 15 min.
	CodeLife time.Duration
	// Budgets bound the mails to one address. Default: [DefaultBudgets].
	Budgets Budgets
	// Retention is how long finished mails are kept before they are purged; 0
	// keeps them for ever. Only stores that declare it look at it. Default: 0.
	Retention time.Duration
	// Retry is the waiting time after each counted attempt; the last repeats.
	// Each is drawn at random from nothing up to the value (full jitter), but
	// never under a server's own hint. Default: 1m,5m,15m,30m,1h,2h,4h,8h.
	Retry []time.Duration
}

// DefaultPolicy returns the defaults.
func DefaultPolicy() Policy {
	return Policy{
		Heartbeat:    3 * time.Second,
		DeadAfter:    10 * time.Second,
		HoldMost:     time.Hour,
		StaleAfter:   time.Minute,
		MarkerAfter:  30 * time.Second,
		RecheckAfter: 500 * time.Millisecond,
		LaneLimit:    10_000,
		RelayBatch:   256,
		MaxClaims:    20,
		AloneFrom:    5,
		UnknownPause: 5 * time.Second,
		MaxCopies:    1,
		Expiry:       72 * time.Hour,
		SignInExpiry: 15 * time.Minute,
		CodeLife:     15 * time.Minute,
		Budgets:      DefaultBudgets(),
		Retry: []time.Duration{
			time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute,
			time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour,
		},
	}
}

// Gap is how long the heartbeat of an incarnation that judges others may have
// been away: half of DeadAfter. What kept it away may have kept away others',
// who were heard a little earlier before it, and will be a little later after
// it; so it must be too short for any of them to be taken for dead.
func (p Policy) Gap() time.Duration { return p.DeadAfter / 2 }

// CopiesOf is how many copies of a mail may be sent after its outcome was
// unknown. Losing a mail with a link in it locks a person out, and a second one
// is harmless: the same Message-ID, the same link. A welcome is not worth a
// doubt: it is held.
func (p Policy) CopiesOf(v Variant) int {
	switch v {
	case Confirm, AlreadyRegistered, SignInLink:
		return p.MaxCopies
	}
	return 0
}

// ExpiryOf is how long a mail of a purpose makes sense, and how long its link
// lives from the moment it is sent.
func (p Policy) ExpiryOf(purpose Purpose) time.Duration {
	if purpose == SignIn {
		return p.SignInExpiry
	}
	return p.Expiry
}
