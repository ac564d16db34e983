package signup_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
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

// B7.8: what is over its time is purged every ten minutes, to the end when
// there is more than goes at once; failures are said once, and the end of them.
func TestB7_8_KeepRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFake()
		var answers []func() (signup.Purged, error)
		store.purge = func() (signup.Purged, error) {
			if len(answers) == 0 {
				return signup.Purged{}, nil
			}
			answer := answers[0]
			answers = answers[1:]
			return answer()
		}
		some := func(more bool) func() (signup.Purged, error) {
			return func() (signup.Purged, error) {
				return signup.Purged{SignUps: 2, SignIns: 3, Sessions: 4, More: more}, nil
			}
		}
		fail := func() (signup.Purged, error) { return signup.Purged{}, fmt.Errorf("no: %w", signup.ErrUnavailable) }
		var out bytes.Buffer
		log := slog.New(slog.NewTextHandler(&out, nil))
		service := over(store, func(s *signup.Settings) { s.Retention.Unconfirmed = 99 * time.Hour })
		answers = append(answers, some(true), some(true), some(false), fail, fail, fail)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- service.KeepRetention(ctx, log) }()

		pass := func(d time.Duration, purges int, said ...string) {
			t.Helper()
			<-time.After(d)
			synctest.Wait()
			if len(store.purges) != purges {
				t.Errorf("%d purges, want %d", len(store.purges), purges)
			}
			if lines := strings.Count(out.String(), "\n"); lines != len(said) {
				t.Errorf("said %d things, want %q:\n%s", lines, said, &out)
			}
			for _, line := range said {
				if !strings.Contains(out.String(), line) {
					t.Errorf("did not say %q:\n%s", line, &out)
				}
			}
			out.Reset()
		}
		pass(time.Minute, 3, "sign_ups=6 sign_ins=9 sessions=12")
		pass(11*time.Minute, 4, "cannot purge")
		pass(22*time.Minute, 6)
		pass(11*time.Minute, 7, "works again")
		pass(11*time.Minute, 8)
		want := signup.Retention{Unconfirmed: 99 * time.Hour, SignIns: 24 * time.Hour, Limit: 500}
		for _, got := range store.purges {
			if got != want {
				t.Errorf("purged %+v, want %+v", got, want)
			}
		}
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
		store.purge = func() (signup.Purged, error) {
			stop()
			if len(store.purges) > 1 {
				return signup.Purged{}, context.Canceled
			}
			return signup.Purged{SignUps: 1, More: true}, nil
		}
		var out bytes.Buffer
		if err := over(store).KeepRetention(ctx, slog.New(slog.NewTextHandler(&out, nil))); err != nil || len(store.purges) != 1 {
			t.Errorf("%v after %d purges", err, len(store.purges))
		}
		if strings.Contains(out.String(), "cannot") {
			t.Errorf("said %s", &out)
		}
	})
}
