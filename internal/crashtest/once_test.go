package crashtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"bellhop/internal/onboarding"
	"bellhop/internal/redistest"
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
		doors = append(doors, r.town.visitor(r.start().url))
	}
	for range people {
		c := r.newCitizen(doors[0])
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

// newCitizen signs somebody up who has no plan.
func (r *rig) newCitizen(v *visit) *citizen {
	r.t.Helper()
	c := &citizen{town: r.town, to: r.newPerson()}
	r.town.citizens = append(r.town.citizens, c)
	status, answer := c.call(v, http.MethodPost, "/createUser", "", fmt.Sprintf(`{"first":"Ada","email":%q}`, c.to))
	id, err := signUpID(bytes.NewReader(answer))
	if err != nil || status != http.StatusAccepted {
		r.t.Fatalf("a sign-up was answered %d: %s", status, answer)
	}
	r.promise(id, c.to)
	c.owed(id, onboarding.SignUp)
	return c
}

// token is a link's, once that has come.
func (c *citizen) token(l *link) (token string) {
	c.town.rig.t.Helper()
	c.town.rig.await("the mail to come", func() bool {
		var err error
		if token, err = c.town.post.link(l.mail); err != nil {
			c.town.rig.t.Fatal(err)
		}
		return token != ""
	})
	return token
}

// race uses a link, once it has come, from a hundred places at once.
func (c *citizen) race(doors []*visit, l *link) {
	t := c.town.rig.t
	t.Helper()
	token := c.token(l)
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

// A2.4: the answer to a redemption is lost between Redis and the process. Whoever
// used the link has the session all the same.
func TestA2_4_ALostAnswerUsesUpNoLink(t *testing.T) {
	t.Parallel()
	server := durable(t)
	proxy := redistest.NewProxy(t, server.Addr())
	r := newRedisRig(t, built(t, shipped), server.URLAt(proxy.Addr(), 0)).withTown(1)
	v := r.town.visitor(r.start().url)
	c := r.newCitizen(v)
	token := c.token(c.links[0])
	before := proxy.Cuts()
	proxy.CutBeforeReply(string(onboarding.NewMailID(c.links[0].mail.Subject(), onboarding.Welcome, 1)), 1) // which the step names that confirms
	status, answer := c.redeem(v, c.links[0], token)
	if proxy.Cuts() == before {
		t.Error("no answer was lost: this proves nothing")
	}
	if !c.redeemed(c.links[0], status, answer) || !c.links[0].answered {
		t.Errorf("the link was answered %d: %s", status, answer)
	}
	if n := c.sessions(v); n != 1 {
		t.Errorf("there are %d sessions, want 1", n)
	}
	r.judge(r.settled())
}
