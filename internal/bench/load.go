package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// peak is what a closed loop found.
type peak struct {
	done int64
	rate float64 // requests per second
	cpu  float64 // of the server, µs a request
}

// signUpNumber makes every address of a run another one.
type signUpNumber struct{ n atomic.Int64 }

func (s *signUpNumber) form() form {
	return form{First: "Ada", Last: "Lovelace", Email: fmt.Sprintf("ada.%d@example.com", s.n.Add(1))}
}

func (s *signUpNumber) body() string {
	return fmt.Sprintf(`{"first":"Ada","last":"Lovelace","email":"ada.%d@example.com"}`, s.n.Add(1))
}

// closedLoop lets o.Workers clients sign up one after the other for o.For.
func closedLoop(ctx context.Context, o Options, p *process, address string) (peak, error) {
	var (
		numbers signUpNumber
		url     = "http://" + address + "/createUser"
		workers sync.WaitGroup
		done    atomic.Int64
		failed  = make(chan error, o.Workers)
	)
	client, err := connected(ctx, o, url, &numbers)
	if err != nil {
		return peak{}, err
	}
	defer client.CloseIdleConnections()
	before, err := p.cpu()
	if err != nil {
		return peak{}, err
	}
	began := time.Now()
	for range o.Workers {
		workers.Go(func() {
			for time.Since(began) < o.For {
				if err := post(ctx, client, url, numbers.body()); err != nil {
					failed <- err
					return
				}
				done.Add(1)
			}
		})
	}
	workers.Wait()
	took := time.Since(began)
	after, err := p.cpu()
	select {
	case err = <-failed:
	default:
	}
	n := done.Load()
	if err != nil || n == 0 {
		return peak{}, errors.Join(err, errors.New("the closed loop did not go through"))
	}
	return peak{done: n, rate: float64(n) / took.Seconds(), cpu: float64((after - before).Microseconds()) / float64(n)}, nil
}

// connected returns a client that has a connection for each worker, and opens
// no more: one opened during the measurement might be left unused, and a
// server closes that.
func connected(ctx context.Context, o Options, url string, numbers *signUpNumber) (*http.Client, error) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: o.Workers, MaxConnsPerHost: o.Workers}}
	var (
		workers sync.WaitGroup
		errs    = make(chan error, o.Workers)
	)
	for range o.Workers {
		workers.Go(func() { errs <- post(ctx, client, url, numbers.body()) })
	}
	workers.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return client, nil
}

func post(ctx context.Context, client *http.Client, url, body string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusAccepted {
		return fmt.Errorf("answered %s, want 202", resp.Status)
	}
	return nil
}

// times are answer times in milliseconds.
type times struct{ p50, p99 float64 }

// openLoop sends sign-ups at a fixed rate, whatever the answers do, so that a
// slow moment is seen by everyone who would have come in it.
func openLoop(ctx context.Context, o Options, address string, rate float64) (times, error) {
	var numbers signUpNumber
	numbers.n.Store(1 << 32)
	url := "http://" + address + "/createUser"
	target := func(t *vegeta.Target) error {
		t.Method, t.URL = http.MethodPost, url
		t.Header = http.Header{"Content-Type": {"application/json"}}
		t.Body = []byte(numbers.body())
		return nil
	}
	client, err := connected(ctx, o, url, &numbers)
	if err != nil {
		return times{}, err
	}
	defer client.CloseIdleConnections()
	attacker := vegeta.NewAttacker(vegeta.Client(client), vegeta.Workers(uint64(o.Workers)))
	stop := context.AfterFunc(ctx, func() { attacker.Stop() })
	defer stop()
	var m vegeta.Metrics
	for r := range attacker.Attack(target, vegeta.Rate{Freq: int(rate), Per: time.Second}, o.For, "sign-ups") {
		m.Add(r)
	}
	m.Close()
	if m.Success < 1 {
		return times{}, fmt.Errorf("open loop: only %.2f %% were accepted: %v", 100*m.Success, m.Errors)
	}
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	return times{p50: ms(m.Latencies.P50), p99: ms(m.Latencies.P99)}, nil
}
