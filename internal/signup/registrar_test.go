package signup_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"bellhop/internal/address"
	"bellhop/internal/signup"
)

// B7.7: after an erasure whoever keeps mails is told which addresses are free,
// however they were written; also when nobody waits for the answer any more.
func TestB7_7_EraseForgetsAddresses(t *testing.T) {
	for _, test := range []struct {
		name   string
		status signup.Status
		want   []string
	}{
		{"an account", signup.Confirmed, []string{"Ada@example.com", "ada@example.com"}},
		{"a sign-up", signup.Pending, []string{"Ada@example.com"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			store := newFake()
			id := store.join(t, "Ada@example.com", test.status)
			store.join(t, "ada@example.com", signup.Pending)
			store.join(t, "ada@example.com", signup.Pending)
			store.join(t, "bob@example.com", signup.Pending)
			var forgotten []string
			service := over(store, func(s *signup.Settings) {
				s.Forget = func(ctx context.Context, all []address.Address) {
					if ctx.Err() != nil || len(store.erased) == 0 {
						t.Errorf("told when %v were erased, %v", store.erased, ctx.Err())
					}
					for _, a := range all {
						forgotten = append(forgotten, a.Sendable())
					}
				}
			})
			gone, leave := context.WithCancel(t.Context())
			leave()
			if err := service.Erase(gone, id); err != nil {
				t.Fatal(err)
			}
			slices.Sort(forgotten)
			if !slices.Equal(forgotten, test.want) || !slices.Equal(store.erased, []string{id}) {
				t.Errorf("forgotten %v, erased %v", forgotten, store.erased)
			}
			forgotten = nil
			if err := service.Erase(t.Context(), id); err != nil || len(forgotten) > 0 || len(store.erased) != 2 {
				t.Errorf("again: %v, forgotten %v", err, forgotten)
			}
		})
	}
}

func TestEraseFails(t *testing.T) {
	store := newFake()
	id := store.join(t, "ada@example.com", signup.Confirmed)
	service := over(store, func(s *signup.Settings) {
		s.Forget = func(context.Context, []address.Address) { t.Error("forgotten") }
	})
	for _, store.err = range []error{signup.ErrUnavailable, signup.ErrNotFound} {
		if err := service.Erase(t.Context(), id); !errors.Is(err, store.err) {
			t.Errorf("%v, want %v", err, store.err)
		}
	}
	if _, err := service.Export(t.Context(), id); !errors.Is(err, signup.ErrNotFound) {
		t.Errorf("%v", err)
	}
	store.err = nil
	if d, err := service.Export(t.Context(), id); err != nil || d.Person.ID != id {
		t.Errorf("%+v, %v", d, err)
	}
}

// An operator finds people by what people say: an id or an address.
func TestFind(t *testing.T) {
	store := newFake()
	id := store.join(t, "ada@example.com", signup.Pending)
	service := over(store)
	for _, what := range []string{id, strings.ToUpper(id), "ada@example.com", " Ada@EXAMPLE.com "} {
		if all, err := service.Find(t.Context(), what); err != nil || len(all) != 1 || all[0].ID != id {
			t.Errorf("%q: %+v, %v", what, all, err)
		}
	}
	for _, what := range []string{uuid.NewString(), "bob@example.com"} {
		if all, err := service.Find(t.Context(), what); !errors.Is(err, signup.ErrNotFound) {
			t.Errorf("%q: %+v, %v", what, all, err)
		}
	}
	if _, err := service.Find(t.Context(), "ada"); err == nil || errors.Is(err, signup.ErrNotFound) {
		t.Errorf("neither: %v", err)
	}
	store.err = signup.ErrUnavailable
	for _, what := range []string{id, "ada@example.com"} {
		if _, err := service.Find(t.Context(), what); !errors.Is(err, signup.ErrUnavailable) {
			t.Errorf("%q: %v", what, err)
		}
	}
}

// However many have signed up with an address, all of them are found, and of an
// account all addresses that mails of them went to.
func TestNobodyOfManyIsLeftOut(t *testing.T) {
	const many = 2*signup.MostPeople + 50
	store := newFake()
	for range many {
		store.join(t, "ada@example.com", signup.Pending)
	}
	found := func() []signup.Person {
		t.Helper()
		all, err := over(store).Find(t.Context(), "ada@example.com")
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	ids := make(map[string]bool)
	all := found()
	for _, p := range all {
		ids[p.ID] = true
	}
	if len(ids) != many || len(all) != many {
		t.Errorf("%d were found, of whom %d differ, want %d", len(all), len(ids), many)
	}
	store.othersErr = signup.ErrUnavailable
	if all, err := over(store).Find(t.Context(), "ada@example.com"); !errors.Is(err, signup.ErrUnavailable) {
		t.Errorf("%d were found, %v, though a page of them could not be read", len(all), err)
	}
	store.othersErr = nil

	account := all[0]
	account.Status = signup.Confirmed
	store.listed = func() { store.people[account.ID] = account }
	if all := found(); len(all) != 1 || all[0].ID != account.ID {
		t.Errorf("one became the account while they were listed: found %d, first %+v", len(all), all[0])
	}

	last := slices.Max(slices.Collect(maps.Keys(store.people)))
	store.people["z"] = signup.Person{ID: "z", Address: parse(t, "ADA@example.com"), Status: signup.Pending}
	var forgotten []address.Address
	service := over(store, func(s *signup.Settings) {
		s.Forget = func(_ context.Context, all []address.Address) { forgotten = all }
	})
	if err := service.Erase(t.Context(), account.ID); err != nil || len(forgotten) != 2 || last >= "z" {
		t.Errorf("%v, forgotten %d addresses, want 2", err, len(forgotten))
	}
}

// B7.8: what is over its time is purged every ten minutes, to the end when
// there is more than goes at once; failures are said once, and the end of them.
func TestB7_8_KeepRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFake()
		some := func(more bool) answer {
			return answer{signup.Purged{SignUps: 2, SignIns: 3, Sessions: 4, More: more}, nil}
		}
		fail := answer{err: fmt.Errorf("no: %w", signup.ErrUnavailable)}
		answers := []answer{some(true), some(true), some(false), fail, fail, fail}
		purges := make(chan signup.Retention, 100)
		store.purge = func(r signup.Retention) (a answer) {
			purges <- r
			if len(answers) > 0 {
				a, answers = answers[0], answers[1:]
			}
			return a
		}
		out := make(lines, 100)
		service := over(store, func(s *signup.Settings) { s.Retention.Unconfirmed = 99 * time.Hour })
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- service.KeepRetention(ctx, slog.New(slog.NewTextHandler(out, nil))) }()

		pass := func(d time.Duration, want int, said ...string) {
			t.Helper()
			<-time.After(d)
			synctest.Wait()
			if len(purges) != want || len(out) != len(said) {
				t.Errorf("%d purges, want %d; said %d things, want %q", len(purges), want, len(out), said)
			}
			for _, wanted := range said {
				if line := <-out; !strings.Contains(line, wanted) {
					t.Errorf("said %s, want %q", line, wanted)
				}
			}
			for range len(purges) {
				if got := <-purges; got != (signup.Retention{Unconfirmed: 99 * time.Hour, SignIns: 24 * time.Hour, Limit: 500}) {
					t.Errorf("purged %+v", got)
				}
			}
		}
		pass(time.Minute, 3, "sign_ups=6 sign_ins=9 sessions=12")
		pass(11*time.Minute, 1, "cannot purge")
		pass(22*time.Minute, 2)
		pass(11*time.Minute, 1, "works again")
		pass(11*time.Minute, 1)
		stop()
		synctest.Wait()
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
		default:
			t.Error("it goes on after the end")
		}
	})
}

// The end is not held up by a purge that has much to do, and is no failure.
func TestKeepRetentionEndsInTheMiddle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFake()
		ctx, stop := context.WithCancel(t.Context())
		purges := 0
		store.purge = func(signup.Retention) answer {
			stop()
			purges++
			return answer{signup.Purged{SignUps: 1, More: true}, nil}
		}
		out := make(lines, 100)
		if err := over(store).KeepRetention(ctx, slog.New(slog.NewTextHandler(out, nil))); err != nil || purges != 1 {
			t.Errorf("%v after %d purges", err, purges)
		}
		ctx, stop = context.WithCancel(t.Context())
		store.purge = func(signup.Retention) answer { stop(); return answer{err: context.Canceled} }
		if err := over(store).KeepRetention(ctx, slog.New(slog.NewTextHandler(out, nil))); err != nil || len(out) > 0 {
			t.Errorf("%v, said %d things", err, len(out))
		}
	})
}

// lines is a log, line by line.
type lines chan string

func (l lines) Write(line []byte) (int, error) {
	l <- string(line)
	return len(line), nil
}
