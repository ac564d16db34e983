package crashtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
)

// load signs people up from several clients until the process is gone or ctx
// ends, and keeps what it was promised. Where there is a town they also go on
// from there.
func (p *process) load(ctx context.Context, clients int) {
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			v := &visit{ctx: ctx, client: client, door: p.url, rng: rand.New(rand.NewPCG(rand.Uint64(), 0))}
			for ctx.Err() == nil && p.running() {
				if town := p.rig.town; town != nil && v.rng.IntN(2) == 0 && town.errand(v) {
					continue
				}
				if p.crowded() {
					pause(ctx, crowdPause)
				} else if p.signUp(v) != nil {
					return
				}
			}
		})
	}
	all.Wait()
}

// crowded tells whether too many wait for their mail to let more come in: on a
// slow machine whoever goes on from there would wait behind all of them.
func (p *process) crowded() bool {
	waiting := p.signedUp.Load() - int64(p.rig.sink.Count()-p.sentSoFar)
	return p.rig.ahead > 0 && waiting > p.rig.ahead
}

// signUp signs one new person up. Only a 202 is a promise.
func (p *process) signUp(v *visit) error {
	to := p.rig.newPerson()
	req, err := signUpRequest(v.ctx, v.door, to)
	if err != nil {
		return err
	}
	resp, err := v.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		return errors.New(resp.Status)
	}
	id, err := signUpID(resp.Body)
	if err == nil {
		p.signedUp.Add(1)
		p.rig.promise(id, to)
		p.rig.town.settle(id, to, v.rng)
	}
	return err
}

// newPerson is the address of somebody who has not come before.
func (r *rig) newPerson() string { return fmt.Sprintf("person.%d@example.com", r.people.Add(1)) }

func signUpRequest(ctx context.Context, url, to string) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/createUser",
		strings.NewReader(fmt.Sprintf(`{"first":"Ada","last":"Lovelace","email":%q}`, to)))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	return req, nil
}

// signUpID reads the id that a sign-up was given.
func signUpID(body io.Reader) (string, error) {
	var got struct{ ID string }
	err := json.NewDecoder(body).Decode(&got)
	return got.ID, err
}
