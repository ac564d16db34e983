package onboarding_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"bellhop/internal/onboarding"
)

// deaf is a ledger whose claims are made, and whose answers are lost: so many
// of each claim, of the first made on each mail.
type deaf struct {
	onboarding.Claims
	lose int

	mu    sync.Mutex
	first map[onboarding.MailID]string // the claim's operation
	lost  map[onboarding.MailID]int
}

func newDeaf(claims onboarding.Claims, lose int) *deaf {
	return &deaf{Claims: claims, lose: lose, first: map[onboarding.MailID]string{}, lost: map[onboarding.MailID]int{}}
}

func (d *deaf) Claim(ctx context.Context, c onboarding.Claim) (onboarding.Held, error) {
	held, err := d.Claims.Claim(ctx, c)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.first[c.Mail] == "" {
		d.first[c.Mail] = c.Op
	}
	if err != nil || d.first[c.Mail] != c.Op || d.lost[c.Mail] >= d.lose {
		return held, err
	}
	d.lost[c.Mail]++
	return onboarding.Held{}, errors.New("the connection broke")
}

// A living process holds what it has claimed, whether or not it was told. It
// must find out, or a person waits for a mail until the store finds it strange.
func TestALostAnswerToAClaimHoldsNothingUp(t *testing.T) {
	for name, lose := range map[string]int{"once": 1, "for as long as it is asked for": 1000} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, r *rig) {
				r.claims = newDeaf(r.store, lose)
				r.run()
				ids := r.signUp(20)
				r.within(time.Minute, "all sent", func() bool { return r.states()[onboarding.Sent] == 20 })
				for _, id := range ids {
					if n := len(r.server.handedOver(id)); n != 1 {
						t.Errorf("%s was handed over %d times", id, n)
					}
				}
				r.verify()
			})
		})
	}
}
