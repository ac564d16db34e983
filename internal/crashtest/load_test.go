package crashtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
)

// load signs people up from several clients until the process is gone or ctx
// ends, and keeps what it was promised.
func (p *process) load(ctx context.Context, clients int) {
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for ctx.Err() == nil && p.signUp(ctx, client) == nil {
			}
		})
	}
	all.Wait()
}

// signUp signs one new person up. Only a 202 is a promise.
func (p *process) signUp(ctx context.Context, client *http.Client) error {
	to := p.rig.newPerson()
	req, err := signUpRequest(ctx, p.url, to)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		return errors.New(resp.Status)
	}
	id, err := signUpID(resp.Body)
	if err == nil {
		p.rig.promise(id, to)
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
