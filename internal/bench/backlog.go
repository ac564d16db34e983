package bench

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"bellhop/internal/address"
	"bellhop/internal/onboarding"
	"bellhop/internal/signup"

	"github.com/google/uuid"
)

// signUpsOneByOne returns the sorted times from the request to the mail
// server's acceptance, in milliseconds.
func signUpsOneByOne(ctx context.Context, serve, sink *process) ([]float64, error) {
	var (
		numbers signUpNumber
		out     []float64
	)
	numbers.n.Store(1 << 33) // a Redis may know those of the measurement before, and an address gets so many mails only
	for n := range oneAtATime {
		began := time.Now()
		if err := post(ctx, http.DefaultClient, "http://"+serve.address+"/createUser", numbers.body()); err != nil {
			return nil, err
		}
		taken, err := sink.ask(fmt.Sprintf("await %d", n+1))
		if err != nil {
			return nil, err
		}
		out = append(out, float64(time.Unix(0, taken).Sub(began).Microseconds())/1000)
	}
	slices.Sort(out)
	return out, nil
}

// fewOwed is the small backlog that the large one is compared with.
const fewOwed = 1000

// mailsTimed is how many mails are timed at the start of a backlog.
const mailsTimed = 20_000

// measureOwed drains the start of a large backlog, and all of a smaller one.
func measureOwed(ctx context.Context, o Options, dir string, s *sheet) error {
	for _, b := range []struct {
		name string
		owed int
	}{{"few owed", mailsTimed}, {"many owed", o.Owed}} {
		path := filepath.Join(dir, fmt.Sprint("owed-", b.owed))
		fmt.Fprintf(o.Progress, "storing %d sign-ups\n", b.owed)
		if err := fill(ctx, o, path, b.owed); err != nil {
			return err
		}
		if err := drainStart(ctx, o, path, b.name, s); err != nil {
			return err
		}
	}
	s.add("rate with many owed against few", "of its rate", s.last("mails, many owed")/s.last("mails, few owed"))
	return nil
}

func drainStart(ctx context.Context, o Options, dir, name string, s *sheet) error {
	began := time.Now()
	sink, serve, stop, err := startPair(ctx, o, dir)
	if err != nil {
		return err
	}
	defer stop()
	s.add("start until ready, "+name, "ms", float64(time.Since(began).Milliseconds()))
	first, err := sink.ask(fmt.Sprintf("await %d", fewOwed))
	if err != nil {
		return err
	}
	cpu, err := serve.cpu()
	if err != nil {
		return err
	}
	last, err := sink.ask(fmt.Sprintf("await %d", mailsTimed))
	if err != nil {
		return err
	}
	after, err := serve.cpu()
	mails := float64(mailsTimed - fewOwed)
	s.add("mails, "+name, "mails/s", mails/time.Unix(0, last).Sub(time.Unix(0, first)).Seconds())
	s.add("mail, server CPU each, "+name, "µs", float64((after-cpu).Microseconds())/mails)
	s.add("memory of the server, "+name, "MB", serve.memory())
	return err
}

// fill stores sign-ups whose mails are due, without a server.
func fill(ctx context.Context, o Options, dir string, n int) error {
	store, err := o.OpenStore(dir)
	if err != nil {
		return err
	}
	var (
		wait sync.WaitGroup
		errs = make(chan error, o.Workers)
		next = make(chan int)
	)
	for range o.Workers {
		wait.Go(func() {
			for i := range next {
				if err := accept(ctx, store, i); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	for i := range n {
		select {
		case next <- i:
			continue
		case err = <-errs:
		}
		break
	}
	close(next)
	wait.Wait()
	return errors.Join(err, store.Close())
}

func accept(ctx context.Context, store Accepter, i int) error {
	to, err := address.Parse(fmt.Sprintf("ada.%d@example.com", i))
	if err != nil {
		return err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	_, err = store.Accept(ctx, signup.Acceptance{
		Person:      signup.Person{ID: id.String(), First: "Ada", Last: "Lovelace", Address: to},
		Fingerprint: to.Fingerprint([]byte("bench")),
		Mails:       []onboarding.Owed{{ID: onboarding.NewMailID(id.String(), onboarding.SignUp, 1), Expiry: 72 * time.Hour}},
	})
	return err
}
