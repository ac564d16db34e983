package onboarding_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"bellhop/internal/address"
	"bellhop/internal/mail"
	"bellhop/internal/onboarding"
	"bellhop/internal/signup"
)

// mark is a fingerprint for an address in these tests.
func mark(a address.Address) address.Fingerprint { return a.Fingerprint([]byte("secret")) }

// to gives a sign-up an address of its own, and a fingerprint.
func (r *rig) to(email string) func(*signup.Acceptance) {
	return func(a *signup.Acceptance) {
		a.Person.Address = r.address(email)
		a.Fingerprint = mark(a.Person.Address)
	}
}

// account makes an account, by the link of a mail that was sent, and returns
// the id of the welcome it is owed. It must run.
func (r *rig) account(email string) onboarding.MailID {
	r.t.Helper()
	id := r.accept(r.to(email))
	r.relay.Notify(onboarding.Urgent)
	r.within(time.Minute, "its mail sent", func() bool { return len(r.server.handedOver(id)) == 1 })
	_, err := r.store.Redeem(context.Background(), signup.Redemption{
		Mail: id, Number: 1, Within: time.Hour, Fingerprint: mark(r.address(email)), Welcome: r.policy.Expiry,
		Session: signup.NewSession{ID: uuid.NewString(), Kind: signup.Browser, Idle: time.Hour, Life: time.Hour},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return onboarding.NewMailID(id.Subject(), onboarding.Welcome, 1)
}

// ask stores a request to sign in and returns the id of its mail.
func (r *rig) ask(email string) onboarding.MailID {
	r.t.Helper()
	who := uuid.NewString()
	id := onboarding.NewMailID(who, onboarding.SignIn, 1)
	err := r.store.Ask(context.Background(), signup.SignInRequest{
		ID: who, Fingerprint: mark(r.address(email)), Budget: onboarding.BudgetSignIn,
		Mail: onboarding.Owed{ID: id, Expiry: r.policy.SignInExpiry},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.relay.Notify(onboarding.Urgent)
	return id
}

// I4: a welcome is not worth a doubt. One whose outcome is unknown is held for
// an operator, and not sent again.
func TestI4_AnUnknownWelcomeIsHeld(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.server.set(nil, func(to string) mail.Outcome {
			if _, purpose, _, _ := onboarding.MailID(to).Parse(); purpose == onboarding.Welcome {
				return cutOff()
			}
			return mail.Outcome{Class: mail.Accepted, Phase: mail.PhaseDot, Code: 250}
		})
		r.run()
		welcome := r.account("ada@example.com")
		r.relay.Notify(onboarding.Bulk)
		r.within(time.Minute, "unknown", func() bool { return r.states()[onboarding.Unknown] == 1 })
		wait(r.policy.UnknownPause + time.Minute)
		if n := len(r.server.handedOver(welcome)); n != 1 || r.states()[onboarding.Unknown] != 1 {
			t.Errorf("handed over %d times, %v: want it held", n, r.states())
		}
		dead, _, err := r.store.DeadMails(t.Context(), "", 10)
		if err != nil || len(dead) != 1 || dead[0].ID != welcome || dead[0].State != onboarding.Unknown {
			t.Errorf("given up: %+v, %v, want the welcome", dead, err)
		}
		if report := r.verify(); !slices.Equal(report.Unknown, []string{string(welcome)}) || len(report.Copies) != 0 {
			t.Errorf("%+v", report)
		}
	})
}

// A mail to sign in makes sense for minutes: while the mail server is down it
// expires, and whoever asked has asked again by then.
func TestSignInMailsExpire(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.run()
		r.account("ada@example.com")
		r.within(time.Minute, "welcomed", func() bool { return r.states()[onboarding.Sent] == 2 })
		r.server.set(func(context.Context, string) *mail.Outcome { return down() }, nil)
		id := r.ask("ada@example.com")
		wait(r.policy.SignInExpiry - 20*time.Second)
		if n := r.states()[onboarding.Expired]; n != 0 {
			t.Errorf("%d expired before its time", n)
		}
		r.within(40*time.Second, "expired", func() bool { return r.states()[onboarding.Expired] == 1 })
		r.server.set(nil, nil)
		wait(time.Minute)
		if n := len(r.server.handedOver(id)); n != 0 {
			t.Errorf("handed over %d times after its time", n)
		}
		r.verify()
	})
}

// I7: a stranger's wish to sign in is a mail owed like any other, which ends
// cancelled at its claim: nothing is dialled for it.
func TestI7_StrangersAreNotMailed(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.run()
		r.ask("nobody@example.com")
		r.within(time.Minute, "cancelled", func() bool { return r.states()[onboarding.Cancelled] == 1 })
		if n := r.server.attempts(); n != 0 {
			t.Errorf("%d attempts", n)
		}
		r.verify()
	})
}

// B5.3, B5.6: a mail over its address's budget, or of a form that was caught,
// ends suppressed at its claim: nothing is dialled for it.
func TestB5_3_OverBudgetNothingIsDialled(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.run()
		r.account("ada@example.com") // its mail is charged; the welcome is not
		r.within(time.Minute, "welcomed", func() bool { return r.states()[onboarding.Sent] == 2 })
		before := r.server.attempts()
		r.accept(r.to("ada@example.com"))
		r.accept(func(a *signup.Acceptance) { r.to("bob@example.com")(a); a.Muted = "honeypot" })
		r.relay.Notify(onboarding.Urgent)
		r.within(time.Minute, "suppressed", func() bool { return r.states()[onboarding.Suppressed] == 2 })
		if n := r.server.attempts() - before; n != 0 {
			t.Errorf("%d attempts", n)
		}
		r.verify()
	})
}

// B5.3: of two mails for one address that are under way at once, one is within
// the budget. The other loses it at Committing, with its content at the mail
// server's: it is broken off before the dot, and nothing more is recorded.
func TestB5_3_BudgetLostAtCommitting(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		var both sync.WaitGroup
		both.Add(2)
		r.server.set(func(context.Context, string) *mail.Outcome {
			both.Done()
			both.Wait() // until the other is as far
			return nil
		}, nil)
		r.run()
		ids := []onboarding.MailID{r.accept(r.to("ada@example.com")), r.accept(r.to("Ada@example.com"))}
		r.relay.Notify(onboarding.Urgent)
		r.within(time.Minute, "one sent, one suppressed", func() bool {
			s := r.states()
			return s[onboarding.Sent] == 1 && s[onboarding.Suppressed] == 1
		})
		wait(time.Minute)
		if n := len(r.server.handedOver(ids[0])) + len(r.server.handedOver(ids[1])); n != 1 {
			t.Errorf("handed over %d times, want once", n)
		}
		if tried, aborted := r.server.attempts(), r.server.abortions(); tried != 2 || aborted != 1 {
			t.Errorf("%d attempts, %d broken off, want 2 and 1", tried, aborted)
		}
		r.verify()
	})
}

// B7.7: a person who is erased while their mail is on its way to the dot does
// not get it.
func TestB7_7_ErasedBeforeTheDot(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		begun, erased := make(chan struct{}), make(chan struct{})
		r.server.set(func(context.Context, string) *mail.Outcome {
			close(begun)
			<-erased
			return nil
		}, nil)
		r.run()
		id := r.accept(r.to("ada@example.com"))
		r.relay.Notify(onboarding.Urgent)
		<-begun
		if err := r.store.Erase(t.Context(), id.Subject()); err != nil {
			t.Fatal(err)
		}
		close(erased)
		synctest.Wait()
		r.within(time.Minute, "cancelled", func() bool { return r.states()[onboarding.Cancelled] == 1 })
		if n := len(r.server.handedOver(id)); n != 0 || r.server.abortions() != 1 {
			t.Errorf("handed over %d times, broken off %d times", n, r.server.abortions())
		}
		r.verify()
	})
}
