package sqlite_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"regexp"
	"runtime"
	"sync"
	"testing"

	"bellhop/internal/onboarding"
	"bellhop/internal/sqlitedb"
	"bellhop/internal/store/storetest"
)

// C2 T13: a check that has never caught anything proves nothing. Each of these
// stores makes one mistake on purpose, and the model must find it.

func TestModelCatchesAStoreWithoutCompareAndSet(t *testing.T) {
	modelCatches(t, sentWrongly, func(_ *owner, s storetest.Store) storetest.Store {
		return &yesSayer{Store: s, mints: map[onboarding.MailID]int{}, told: map[onboarding.MailID]onboarding.Held{}}
	})
}

func TestModelCatchesADeadProcessesCommittingTakenForDue(t *testing.T) {
	modelCatches(t, sentWrongly, func(_ *owner, s storetest.Store) storetest.Store {
		return &optimist{Store: s, claims: map[onboarding.MailID]onboarding.Claim{}}
	})
}

func TestModelCatchesABudgetThatIsChargedForEveryAttempt(t *testing.T) {
	modelCatches(t, `its budget was not used up|were never made`, mistakes()["charges-per-attempt"])
}

func TestModelCatchesASecondRedemption(t *testing.T) {
	modelCatches(t, `redeeming mail .* want this link or code was used before`, mistakes()["redeems-again"])
}

func TestModelCatchesAMailThatGoesToTheSpellingOfTheSignUp(t *testing.T) {
	modelCatches(t, `claimed for another recipient`, func(_ *owner, s storetest.Store) storetest.Store { return &talker{s} })
}

const sentWrongly = `was taken [2-9] times|after its person was erased|there is nobody to send it to|was recorded as sent and is`

// yesSayer never refuses a holder: whoever asks may send.
type yesSayer struct {
	storetest.Store
	mints map[onboarding.MailID]int // the last of each mail
	told  map[onboarding.MailID]onboarding.Held
}

func (s *yesSayer) Claim(ctx context.Context, c onboarding.Claim) (onboarding.Held, error) {
	h, err := s.Store.Claim(ctx, c)
	if errors.Is(err, onboarding.ErrRefused) && s.mints[c.Mail] > 0 {
		told := s.told[c.Mail]
		return onboarding.Held{Claim: c, State: onboarding.Sending, Variant: told.Variant, To: told.To, Mint: s.mints[c.Mail]}, nil
	}
	if err == nil && h.State == onboarding.Sending {
		s.told[c.Mail] = h
	}
	return h, err
}

func (s *yesSayer) Committing(ctx context.Context, c onboarding.Claim, r onboarding.Rendered) error {
	err := s.Store.Committing(ctx, c, r)
	if err == nil {
		s.mints[c.Mail] = r.Mint
	}
	return agree(err)
}

func (s *yesSayer) Check(ctx context.Context, c onboarding.Claim) error {
	return agree(s.Store.Check(ctx, c))
}

func (s *yesSayer) Record(ctx context.Context, c onboarding.Claim, r onboarding.Result) (onboarding.State, error) {
	state, err := s.Store.Record(ctx, c, r)
	if errors.Is(err, onboarding.ErrRefused) {
		return r.To, nil
	}
	return state, err
}

func agree(err error) error {
	if errors.Is(err, onboarding.ErrRefused) {
		return nil
	}
	return err
}

// talker tells whoever signs up that there is an account.
type talker struct{ storetest.Store }

func (s *talker) Claim(ctx context.Context, c onboarding.Claim) (onboarding.Held, error) {
	h, err := s.Store.Claim(ctx, c)
	if err == nil && h.State == onboarding.Sending && h.Variant == onboarding.AlreadyRegistered {
		p, err := s.Person(ctx, c.Mail.Subject())
		h.To = p.Address.Sendable()
		return h, err
	}
	return h, err
}

// optimist believes that what a dead process was about to submit was not
// submitted: its sweep and its recovery turn committing into due.
type optimist struct {
	storetest.Store
	claims map[onboarding.MailID]onboarding.Claim // the last to commit each mail
}

func (s *optimist) Committing(ctx context.Context, c onboarding.Claim, r onboarding.Rendered) error {
	s.claims[c.Mail] = c
	return s.Store.Committing(ctx, c, r)
}

func (s *optimist) Sweep(ctx context.Context, by onboarding.Incarnation, limit int) (swept onboarding.Swept, err error) {
	err = s.recovering(ctx, func() error {
		swept, err = s.Store.Sweep(ctx, by, limit)
		return err
	})
	return swept, err
}

func (s *optimist) Leave(ctx context.Context, by onboarding.Incarnation) error {
	return s.recovering(ctx, func() error { return s.Store.Leave(ctx, by) })
}

// recovering records every mail that recover takes from committing to unknown
// as not delivered, in the name of its dead holder.
func (s *optimist) recovering(ctx context.Context, recover func() error) error {
	before, err := s.in(ctx, onboarding.Committing)
	if err != nil {
		return err
	}
	if err := recover(); err != nil {
		return err
	}
	after, err := s.in(ctx, onboarding.Unknown)
	if err != nil {
		return err
	}
	for id := range after {
		if before[id] {
			if _, err := s.Record(ctx, s.claims[id], onboarding.Result{To: onboarding.Due}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *optimist) in(ctx context.Context, state onboarding.State) (map[onboarding.MailID]bool, error) {
	rows, err := s.Audit(ctx, 0, 10_000)
	found := map[onboarding.MailID]bool{}
	for _, row := range rows {
		if row.State == state {
			found[row.ID] = true
		}
	}
	return found, err
}

// modelCatches runs the model over a store with a mistake and wants it to fail
// for a reason like that.
func modelCatches(t *testing.T, reason string, mistake mistake) {
	set(t, "rapid.nofailfile", "true") // the failure is wanted
	set(t, "rapid.shrinktime", "0s")
	set(t, "rapid.checks", "200")
	caught := &recorder{name: t.Name()}
	var group sync.WaitGroup
	group.Go(func() { // rapid ends the goroutine of a failed test
		storetest.Model(caught, storetest.Features{}, mistaken(t, sqlitedb.Off, mistake))
	})
	group.Wait()
	if !regexp.MustCompile(reason).MatchString(caught.message) {
		t.Fatalf("the model did not notice the mistake, but said: %q", caught.message)
	}
}

func set(t *testing.T, name, value string) {
	old := flag.Lookup(name).Value.String()
	if err := flag.Set(name, value); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = flag.Set(name, old) })
}

// recorder is a test that may fail. It keeps the first failure's message.
type recorder struct {
	name    string
	failed  bool
	message string
}

func (r *recorder) note(message string) {
	if !r.failed {
		r.failed, r.message = true, message
	}
}

func (r *recorder) Helper()                        {}
func (r *recorder) Name() string                   { return r.name }
func (r *recorder) Logf(string, ...any)            {}
func (r *recorder) Log(...any)                     {}
func (r *recorder) Skipf(string, ...any)           { runtime.Goexit() }
func (r *recorder) Skip(...any)                    { runtime.Goexit() }
func (r *recorder) SkipNow()                       { runtime.Goexit() }
func (r *recorder) Errorf(format string, a ...any) { r.note(fmt.Sprintf(format, a...)) }
func (r *recorder) Error(a ...any)                 { r.note(fmt.Sprint(a...)) }
func (r *recorder) Fatalf(format string, a ...any) { r.Errorf(format, a...); runtime.Goexit() }
func (r *recorder) Fatal(a ...any)                 { r.Error(a...); runtime.Goexit() }
func (r *recorder) FailNow()                       { r.note("failed"); runtime.Goexit() }
func (r *recorder) Fail()                          { r.note("failed") }
func (r *recorder) Failed() bool                   { return r.failed }
