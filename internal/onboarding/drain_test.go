package onboarding_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"bellhop/internal/mail"
	"bellhop/internal/onboarding"
	"bellhop/internal/queue"
)

// C1.13: a drain lets attempts finish, and takes no new ones.
func TestC1_13_DrainFinishesWhatIsUnderWay(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		dotting, answer := make(chan struct{}, 4), make(chan struct{})
		r.server.set(nil, func(string) mail.Outcome {
			dotting <- struct{}{}
			<-answer
			return mail.Outcome{Class: mail.Accepted, Phase: mail.PhaseDot, Code: 250}
		})
		r.run()
		r.signUp(10)
		for range 4 { // all workers are past the dot
			<-dotting
		}
		r.drain()
		synctest.Wait()
		close(answer)
		r.running.Wait()
		if s := r.states(); s[onboarding.Sent] != 4 || s[onboarding.Queued]+s[onboarding.Due] != 6 {
			t.Errorf("%v", s)
		}
		r.verify()
	})
}

// C1.13, A6.5: when the drain's time is over, attempts before the dot are cut
// and their mails due again without a loss; those past the dot stay in
// committing, for nobody knows.
func TestA6_5_CutBeforeTheDotIsDueAgain(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		begun := make(chan struct{}, 4)
		r.server.set(func(ctx context.Context, _ string) *mail.Outcome {
			begun <- struct{}{}
			<-ctx.Done()
			o := mail.Cancelled(mail.PhaseRcpt)
			return &o
		}, nil)
		r.run()
		ids := r.signUp(4)
		for range 4 {
			<-begun
		}
		r.drain()
		synctest.Wait()
		r.cut()
		r.running.Wait()
		if s := r.states(); s[onboarding.Due] != 4 {
			t.Errorf("%v, want all due", s)
		}
		for _, id := range ids {
			if len(r.server.handedOver(id)) > 0 {
				t.Errorf("%s was handed over after it was cut", id)
			}
		}
		r.verify()
	})
}

// C1.5: a mail whose claims end without an outcome again and again is poison;
// the ledger ends it, whatever the queue does.
func TestC1_5_PoisonEnds(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		id := r.signUp(1)[0]
		gen := int64(1)
		for n := range r.policy.MaxClaims {
			who := onboarding.NewIncarnation()
			if err := r.store.Heartbeat(t.Context(), who); err != nil {
				t.Fatal(err)
			}
			h, err := r.store.Claim(t.Context(), onboarding.Claim{Ref: onboarding.Ref{Mail: id, Gen: gen}, Holder: who, Op: "x"})
			if err != nil || h.Claims != n+1 {
				t.Fatalf("claim %d: %+v, %v", n, h, err)
			}
			if err := r.store.Leave(t.Context(), who); err != nil { // as good as dead
				t.Fatal(err)
			}
			gen++
		}
		r.run()
		r.within(time.Minute, "failed", func() bool { return r.states()[onboarding.Failed] == 1 })
		if r.server.attempts() != 0 {
			t.Error("tried once more")
		}
	})
}

// C1.3: a purged queue heals itself. What was lost is relayed again once
// something sent later has come through, if need be a marker.
func TestC1_3_PurgedQueueHeals(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.signUp(20)
		refs, _, err := r.store.DueMails(t.Context(), onboarding.Urgent, 100)
		if err != nil || len(refs) != 20 {
			t.Fatalf("%d due, %v", len(refs), err)
		}
		if err := r.store.Relayed(t.Context(), refs); err != nil { // and no message was ever sent
			t.Fatal(err)
		}
		r.run()
		r.within(long, "all sent", func() bool { return r.states()[onboarding.Sent] == 20 })
		r.verify()
	})
}

// A message that cannot be read is set aside with a reason and stops nobody.
func TestC1_5_UndecodableMessageIsSetAside(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		if err := r.queue.Send(t.Context(), onboarding.Urgent.Queue(), queue.Message{ID: "x", Body: []byte("what is this")}); err != nil {
			t.Fatal(err)
		}
		r.run()
		r.signUp(5)
		r.within(time.Minute, "all sent", func() bool { return r.states()[onboarding.Sent] == 5 })
		letters, _, err := r.queue.DeadLetters(t.Context(), onboarding.Urgent.Queue(), "", 10)
		if err != nil || len(letters) != 1 || letters[0].Reason != "Undecodable" {
			t.Errorf("%+v, %v", letters, err)
		}
	})
}

// A5.6, C1.6: a mail server that is down costs no mail an attempt, and all
// mails arrive when it is back.
func TestA5_6_OutageCostsNothing(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.server.set(func(context.Context, string) *mail.Outcome { return down() }, nil)
		r.run()
		ids := r.signUp(200)
		wait(time.Minute)
		before := r.server.attempts()
		wait(time.Minute)
		if n := r.server.attempts() - before; n < 2 || n > 10 {
			t.Errorf("%d probes a minute into the outage, want one every 15 s", n)
		}
		r.server.set(nil, nil)
		r.within(30*time.Second, "all sent", func() bool { return r.states()[onboarding.Sent] == 200 })
		for _, id := range ids {
			if n := len(r.server.handedOver(id)); n != 1 {
				t.Errorf("%s was handed over %d times", id, n)
			}
		}
		r.verify()
	})
}

// C1.15: a ledger that has failed for good does not hold up the end of the
// process: only a restart helps, and what it finds is committing.
func TestC1_15_AFailedLedgerIsNotWaitedFor(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.claims = failed{r.store}
		r.run()
		r.signUp(1)
		r.within(time.Minute, "handed over", func() bool { return r.server.attempts() == 1 })
		began := time.Now()
		r.drain()
		r.running.Wait() // and nobody has cut anything
		if took := time.Since(began); took > time.Second {
			t.Errorf("the sender ended after %v", took)
		}
	})
}

// failed is a ledger whose disk fails when an outcome is recorded.
type failed struct{ onboarding.Claims }

func (failed) Record(context.Context, onboarding.Claim, onboarding.Result) (onboarding.State, error) {
	return "", onboarding.ErrGone
}

// C1.5: a mail that panics when it is rendered stops nobody, and is tried again
// like one that cannot be rendered.
func TestC1_5_APanicStopsNobody(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		bad := r.signUp(1)[0]
		r.composer.panics = "ada." + string(bad)[:8] + "@example.com"
		r.run()
		r.signUp(5)
		r.within(time.Minute, "the others sent", func() bool { return r.states()[onboarding.Sent] == 5 })
		r.within(2*r.policy.Expiry, "given up", func() bool { return r.states()[onboarding.Expired] == 1 })
		dead, _, err := r.store.DeadMails(t.Context(), "", 10)
		if err != nil || len(dead) != 1 || dead[0].ID != bad || strings.Contains(dead[0].Reason, "@") {
			t.Errorf("%+v, %v, want the one that panicked, and no address", dead, err)
		}
		r.verify()
	})
}
