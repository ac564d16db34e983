package crashtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// The pace of a crowd: what matters is what breaks meanwhile, and several tests
// share the machine.
const (
	crowdSize  = 12
	crowdPause = 10 * time.Millisecond  // between two people of a client
	crowdRetry = 200 * time.Millisecond // before somebody tries again; at most twice that
)

// crowd is people who sign up at several doors. Each has an Idempotency-Key and
// tries again, wherever that is, until there is a 202.
type crowd struct {
	rig    *rig
	doors  func() []string // where one can sign up
	leaves time.Duration   // how long an answer is waited for

	refused, unanswered, cut, again atomic.Int64
	slowest                         atomic.Int64 // the longest that a 503 took
}

// come lets people come until ctx ends, and returns when all of them are
// answered.
func (c *crowd) come(ctx context.Context, rng *rand.Rand) {
	var clients sync.WaitGroup
	for range crowdSize {
		own := split(rng)
		clients.Go(func() {
			client := &http.Client{Transport: &http.Transport{}, Timeout: c.leaves}
			defer client.CloseIdleConnections()
			for pause(ctx, crowdPause) && !c.rig.t.Failed() {
				if !c.errand(client, own) {
					c.person(client, own)
				}
			}
		})
	}
	clients.Wait()
	c.rig.t.Logf("%d people; 503 %d times, the slowest after %v; no answer %d times, cut off %d times; %d asked again after their 202",
		c.rig.people.Load(), c.refused.Load(), time.Duration(c.slowest.Load()).Round(time.Millisecond), c.unanswered.Load(), c.cut.Load(), c.again.Load())
}

// errand lets one of the town, if there is one, take a step every other time.
func (c *crowd) errand(client *http.Client, rng *rand.Rand) bool {
	doors := c.doors()
	if c.rig.town == nil || len(doors) == 0 || rng.IntN(2) == 0 {
		return false
	}
	ctx, cancel := context.WithTimeout(c.rig.t.Context(), patience)
	defer cancel()
	return c.rig.town.errand(&visit{ctx: ctx, client: client, door: doors[rng.IntN(len(doors))], rng: rng})
}

// pause waits, and tells whether ctx goes on.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// person signs up until that is answered, and one of ten once more.
func (c *crowd) person(client *http.Client, rng *rand.Rand) {
	to := c.rig.newPerson()
	ctx, cancel := context.WithTimeout(c.rig.t.Context(), patience)
	defer cancel()
	first := ""
	for first == "" {
		if ctx.Err() != nil {
			c.rig.t.Errorf("%s was not answered in %v", to, patience)
		}
		if c.rig.t.Failed() {
			return
		}
		if first = c.ask(ctx, client, rng, to); first == "" {
			pause(ctx, crowdRetry+rand.N(crowdRetry))
		}
	}
	c.rig.promise(first, to)
	c.rig.town.settle(first, to, rng)
	if rng.IntN(10) == 0 {
		c.again.Add(1)
		if id := c.ask(ctx, client, rng, to); id != "" && id != first {
			c.rig.t.Errorf("%s has one key and two sign-ups, %s and %s", to, first, id)
		}
	}
}

// ask tries once, at any door. It returns the sign-up's id, "" if there is
// none.
func (c *crowd) ask(ctx context.Context, client *http.Client, rng *rand.Rand, to string) string {
	doors := c.doors()
	if len(doors) == 0 {
		c.unanswered.Add(1)
		return ""
	}
	req, err := signUpRequest(ctx, doors[rng.IntN(len(doors))], to)
	if err != nil {
		c.rig.t.Error(err)
		return ""
	}
	req.Header.Set("Idempotency-Key", "key.of."+to)
	began := time.Now()
	resp, err := client.Do(req)
	if err != nil {
		c.silence(err)
		return ""
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusAccepted:
		id, err := signUpID(resp.Body)
		if err != nil {
			c.silence(err) // cut off in the midst of it
		}
		return id
	case http.StatusServiceUnavailable:
		c.refusal(resp, time.Since(began))
		return ""
	}
	body, _ := io.ReadAll(resp.Body)
	c.rig.t.Errorf("%s was answered %s: %s", to, resp.Status, body)
	return ""
}

// silence looks at why there was no answer. A connection may be cut off because
// nobody was there any more, or, on a machine so busy that the request took
// seconds to be written, because nobody waits that long for one; whoever is cut off
// knows at once and asks again. Only who waits and hears nothing was not answered.
func (c *crowd) silence(err error) {
	var failed net.Error
	if errors.As(err, &failed) && failed.Timeout() {
		c.unanswered.Add(1)
		return
	}
	c.cut.Add(1)
}

// refusal looks at a 503.
func (c *crowd) refusal(resp *http.Response, took time.Duration) {
	c.refused.Add(1)
	for old := c.slowest.Load(); int64(took) > old && !c.slowest.CompareAndSwap(old, int64(took)); old = c.slowest.Load() {
	}
	if err := retryAfter(resp); err != nil {
		c.rig.t.Error(err)
	}
}

// retryAfter is nil if a refusal says when to come again.
func retryAfter(resp *http.Response) error {
	if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err != nil || s < 1 || s > 60 {
		return fmt.Errorf("a 503 came with Retry-After: %q, want some seconds", resp.Header.Get("Retry-After"))
	}
	return nil
}
