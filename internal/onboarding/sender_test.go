package onboarding_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"bellhop/internal/mail"
	"bellhop/internal/onboarding"
)

// bubble runs a test with a rig and a fake clock.
func bubble(t *testing.T, test func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.close()
		test(t, r)
	})
}

func TestEveryMailArrivesOnce(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.run()
		ids := r.signUp(500)
		r.within(time.Minute, "all sent", func() bool { return r.states()[onboarding.Sent] == 500 })
		for _, id := range ids {
			if n := len(r.server.handedOver(id)); n != 1 {
				t.Errorf("%s was handed over %d times", id, n)
			}
		}
		r.verify()
	})
}

// ordered is a ledger that notes which mails are in committing on disk.
type ordered struct {
	onboarding.Claims
	mu         sync.Mutex
	committing map[onboarding.MailID]bool
	before     func(onboarding.MailID) error // called before Committing
}

func (o *ordered) Committing(ctx context.Context, c onboarding.Claim, r onboarding.Rendered) error {
	if o.before != nil {
		if err := o.before(c.Mail); err != nil {
			return err
		}
	}
	err := o.Claims.Committing(ctx, c, r)
	if err == nil {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.committing[c.Mail] = true
	}
	return err
}

// A6.2: at the moment of the dot the mail is in committing, durably.
func TestA6_2_DotOnlyAfterCommitting(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		ledger := &ordered{Claims: r.store, committing: make(map[onboarding.MailID]bool)}
		r.claims = ledger
		r.server.set(nil, func(to string) mail.Outcome {
			ledger.mu.Lock()
			defer ledger.mu.Unlock()
			if !ledger.committing[onboarding.MailID(to)] {
				t.Errorf("the dot of %s was written before its committing", to)
			}
			return mail.Outcome{Class: mail.Accepted, Phase: mail.PhaseDot, Code: 250}
		})
		r.run()
		r.signUp(20)
		r.within(time.Minute, "all sent", func() bool { return r.states()[onboarding.Sent] == 20 })
	})
}

// A mail that is called off while its content is on the way is not handed
// over; neither is one whose ledger cannot be reached.
func TestNoDotWithoutTheLedger(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		ledger := &ordered{Claims: r.store, committing: make(map[onboarding.MailID]bool)}
		ledger.before = func(id onboarding.MailID) error {
			_, err := r.store.Cancel(t.Context(), id.Subject(), "called off")
			return err
		}
		r.claims = ledger
		r.run()
		ids := r.signUp(3)
		r.within(time.Minute, "all cancelled", func() bool { return r.states()[onboarding.Cancelled] == 3 })
		for _, id := range ids {
			if len(r.server.handedOver(id)) > 0 {
				t.Errorf("%s was handed over although it was called off", id)
			}
		}
		r.verify()
	})
}

// A6.4: a holder that was stopped for long between committing and the dot asks
// again, and does not write the dot when its mail has become another's.
func TestA6_4_SlowHolderAsksAgain(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		slow := &slowCommitting{Claims: r.store, pause: 2 * time.Second, then: func(id onboarding.MailID) {
			if _, err := r.store.Cancel(context.Background(), id.Subject(), "called off"); err != nil {
				t.Error(err)
			}
		}}
		r.claims = slow
		r.run()
		id := r.signUp(1)[0]
		r.within(time.Minute, "cancelled", func() bool { return r.states()[onboarding.Cancelled] == 1 })
		if len(r.server.handedOver(id)) > 0 {
			t.Error("handed over after it was called off")
		}
	})
}

// slowCommitting is a ledger whose answer to Committing takes its time.
type slowCommitting struct {
	onboarding.Claims
	pause time.Duration
	then  func(onboarding.MailID)
}

func (s *slowCommitting) Committing(ctx context.Context, c onboarding.Claim, r onboarding.Rendered) error {
	err := s.Claims.Committing(ctx, c, r)
	<-time.After(s.pause)
	s.then(c.Mail)
	return err
}

// A6.3: a confirm mail whose outcome is unknown is sent once more after the
// pause, with the same bytes; a second unknown is held for an operator.
func TestA6_3_UnknownIsCopiedOnce(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.server.set(nil, func(string) mail.Outcome { return cutOff() })
		r.run()
		id := r.signUp(1)[0]
		began := time.Now()
		r.within(long, "two hand-overs", func() bool { return len(r.server.handedOver(id)) == 2 })
		if d := time.Since(began); d < r.policy.UnknownPause {
			t.Errorf("the copy went out after %v, before the pause was over", d)
		}
		if both := r.server.handedOver(id); both[0] != both[1] {
			t.Errorf("the copy differs:\n%s\n%s", both[0], both[1])
		}
		wait(time.Minute)
		if n := len(r.server.handedOver(id)); n != 2 || r.states()[onboarding.Unknown] != 1 {
			t.Errorf("%d hand-overs, %v: want it held", n, r.states())
		}
		report := r.verify()
		if len(report.Unknown) != 1 || len(report.Copies) != 1 {
			t.Errorf("%+v", report)
		}
	})
}

// I5: an attempt that was certainly not delivered mints anew; a copy never
// carries another link than the mail it may be a copy of.
func TestMintNumbers(t *testing.T) {
	for _, test := range []struct {
		name  string
		first mail.Outcome
		want  string
	}{
		{"refused for now after the dot", *outcome(mail.Temporary, mail.PhaseDot, 451, mail.ReasonUnavailable), "mint 2"},
		{"unknown", cutOff(), "mint 1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, r *rig) {
				var once sync.Once
				r.server.set(nil, func(string) mail.Outcome {
					o := mail.Outcome{Class: mail.Accepted, Phase: mail.PhaseDot, Code: 250}
					once.Do(func() { o = test.first })
					return o
				})
				r.run()
				id := r.signUp(1)[0]
				r.within(long, "sent", func() bool { return r.states()[onboarding.Sent] == 1 })
				all := r.server.handedOver(id)
				if last := all[len(all)-1]; !strings.Contains(last, test.want) {
					t.Errorf("the last attempt says %q, want %s", last, test.want)
				}
			})
		})
	}
}

// A5.1: what each class of outcome makes of a mail.
func TestA5_1_OutcomesMoveTheMail(t *testing.T) {
	for _, test := range []struct {
		name string
		out  *mail.Outcome
		want onboarding.State
		more bool // it is tried again
	}{
		{"permanent at RCPT", outcome(mail.Permanent, mail.PhaseRcpt, 550, mail.ReasonNoMailbox), onboarding.Failed, false},
		{"temporary at RCPT", outcome(mail.Temporary, mail.PhaseRcpt, 451, mail.ReasonUnavailable), onboarding.Expired, true},
		{"throttled", &mail.Outcome{Class: mail.Temporary, Phase: mail.PhaseRcpt, Code: 421, Reason: mail.ReasonThrottled, Throttle: true, RetryAtLeast: 20 * time.Second}, onboarding.Expired, true},
		{"provider down", down(), onboarding.Expired, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, r *rig) {
				r.server.set(func(context.Context, string) *mail.Outcome { return test.out }, nil)
				r.run()
				r.signUp(1)
				r.within(long, "ended", func() bool { return r.states()[test.want] == 1 })
				if tries := r.server.attempts(); (tries > 1) != test.more {
					t.Errorf("%d attempts", tries)
				}
				r.verify()
			})
		})
	}
}

// A5.4: greylisting's hint is kept, and the mail gets through.
func TestA5_4_HintIsKept(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		var once sync.Once
		r.server.set(func(context.Context, string) (o *mail.Outcome) {
			once.Do(func() {
				o = &mail.Outcome{Class: mail.Temporary, Phase: mail.PhaseRcpt, Code: 450, Reason: mail.ReasonGreylisted, RetryAtLeast: time.Minute}
			})
			return o
		}, nil)
		r.run()
		r.signUp(1)
		wait(50 * time.Second)
		if n := r.server.attempts(); n != 1 {
			t.Errorf("%d attempts before the hint was over", n)
		}
		r.within(time.Minute, "sent", func() bool { return r.states()[onboarding.Sent] == 1 })
	})
}
