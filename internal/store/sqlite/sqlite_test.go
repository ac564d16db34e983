package sqlite_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"bellhop/internal/address"
	"bellhop/internal/onboarding"
	"bellhop/internal/signup"
	"bellhop/internal/store/sqlite"

	"github.com/google/uuid"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSmoke(t *testing.T) {
	ctx := context.Background()
	s, err := sqlite.Open(sqlite.Options{Path: filepath.Join(t.TempDir(), "s.db"), Policy: onboarding.DefaultPolicy()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	a, _ := address.Parse("Ann@example.com")
	id := uuid.NewString()
	mail := onboarding.NewMailID(id, onboarding.SignUp, 1)
	key := [32]byte{1}
	acc := signup.Acceptance{Person: signup.Person{ID: id, First: "Ann", Last: "Lee", Address: a}, Mails: []onboarding.Owed{{ID: mail, Expiry: time.Hour}}, Key: &key}
	p, rep, err := s.Accept(ctx, acc)
	if err != nil || rep {
		t.Fatal(p, rep, err)
	}
	if p, rep, err = s.Accept(ctx, acc); err != nil || !rep || p.ID != id {
		t.Fatal(p, rep, err)
	}
	refs, next, err := s.DueMails(ctx, onboarding.Urgent, 10)
	if err != nil || len(refs) != 1 || next >= 0 {
		t.Fatal(refs, next, err)
	}
	if err := s.Relayed(ctx, refs); err != nil {
		t.Fatal(err)
	}
	if err := s.Heartbeat(ctx, "me"); err != nil {
		t.Fatal(err)
	}
	c := onboarding.Claim{Ref: refs[0], Holder: "me", Op: "1"}
	h, err := s.Claim(ctx, c)
	if err != nil || h.To != "Ann@example.com" {
		t.Fatal(h, err)
	}
	if err := s.Committing(ctx, c, onboarding.Rendered{Mint: h.NextMint(), BodyHash: [32]byte{2}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Check(ctx, c); err != nil {
		t.Fatal(err)
	}
	st, err := s.Record(ctx, c, onboarding.Result{To: onboarding.Sent})
	if err != nil || st != onboarding.Sent {
		t.Fatal(st, err)
	}
	b, err := s.Books(ctx)
	t.Log(b, err)
	rows, err := s.Audit(ctx, 0, 10)
	t.Log(rows, err)
	sw, err := s.Sweep(ctx, "me", 10)
	t.Log(sw, err)
	if err := s.Erase(ctx, id); err != nil {
		t.Fatal(err)
	}
	t.Log(s.Person(ctx, id))
}
