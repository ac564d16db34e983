package crashtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"bellhop/internal/onboarding"
)

// B2.3, T9: a link is used by a hundred at the same moment, half of them at one
// process and half at another. One of them has a session; the others are told
// that it was used, and nobody is before that one has come.
func TestB2_3_OneOfAHundredAtTwoProcesses(t *testing.T) {
	t.Parallel()
	const people = 5
	r := newRedisRig(t, built(t, shipped), durable(t).URL(0)).withTown(people)
	var doors []*visit
	for range 2 {
		doors = append(doors, &visit{ctx: t.Context(), client: &http.Client{Timeout: patience, Transport: &http.Transport{}}, door: r.start().url})
	}
	defer func() {
		for _, v := range doors {
			v.client.CloseIdleConnections()
		}
	}()
	for range people {
		c := &citizen{town: r.town, to: r.newPerson()}
		r.town.citizens = append(r.town.citizens, c)
		status, answer := c.call(doors[0], http.MethodPost, "/createUser", "", fmt.Sprintf(`{"first":"Ada","email":%q}`, c.to))
		var signedUp struct{ ID string }
		if err := json.Unmarshal(answer, &signedUp); err != nil || status != http.StatusAccepted {
			t.Fatalf("a sign-up was answered %d: %s", status, answer)
		}
		r.promise(signedUp.ID, c.to)
		c.owed(signedUp.ID, onboarding.SignUp)
		c.race(doors, c.links[0])
		if !askSignIn(c, doors[1]) {
			t.Fatal("to ask for a link to sign in was not answered")
		}
		c.race(doors, c.links[1])
		for _, v := range doors {
			if n := c.sessions(v); n != len(c.links) {
				t.Errorf("%s has %d sessions of %d links", c.to, n, len(c.links))
			}
		}
	}
	r.judge(r.settled())
}

// race uses a link, once it has come, from a hundred places at once.
func (c *citizen) race(doors []*visit, l *link) {
	t := c.town.rig.t
	t.Helper()
	c.town.rig.await("the mail to come", func() bool {
		token, err := c.town.post.link(l.mail)
		if err != nil {
			t.Fatal(err)
		}
		return token != ""
	})
	token, _ := c.town.post.link(l.mail)
	type use struct {
		status           int
		answer           []byte
		called, returned time.Time
	}
	uses := make([]use, 100)
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range uses {
		all.Go(func() {
			u := &uses[i]
			<-start
			u.called = time.Now()
			u.status, u.answer = c.redeem(doors[i%len(doors)], l, token)
			u.returned = time.Now()
		})
	}
	close(start)
	all.Wait()
	var winner *use
	for i := range uses {
		switch u := &uses[i]; {
		case u.status == http.StatusOK && winner == nil:
			winner = u
			c.redeemed(l, u.status, u.answer)
		case u.status != http.StatusConflict:
			c.wrong(fmt.Sprintf("use %d of the link of %s", i, l.mail), u.status, u.answer)
		}
	}
	for _, u := range uses {
		if winner == nil || u.returned.Before(winner.called) {
			t.Fatalf("somebody was told that the link of %s was used, and nobody had: %s", l.mail, u.answer)
		}
	}
}

// sessions is how many the account has.
func (c *citizen) sessions(v *visit) int {
	c.town.rig.t.Helper()
	status, answer := c.call(v, http.MethodGet, "/me/sessions", c.access, "")
	var list []struct{ ID string }
	if err := json.Unmarshal(answer, &list); err != nil || status != http.StatusOK {
		c.wrong("/me/sessions", status, answer)
	}
	return len(list)
}
