package sqlite_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"bellhop/internal/onboarding"
	"bellhop/internal/signup"
	"bellhop/internal/store/sqlite"
	"bellhop/internal/store/transfer"

	zombie "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// openTransfer opens the store of a new directory to be moved.
func openTransfer(t *testing.T) (*sqlite.Transfer, sqlite.Options) {
	t.Helper()
	opts := sqlite.Options{Path: filepath.Join(t.TempDir(), "store.db"), Policy: onboarding.DefaultPolicy()}
	m, err := sqlite.OpenTransfer(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m, opts
}

// Neither the owner nor a reader takes a store for the truth that is not.
func TestMarkedStoresAreNotOpened(t *testing.T) {
	ctx := context.Background()
	m, opts := openTransfer(t)
	was := transfer.Mark{}
	for _, step := range []struct {
		stage transfer.Stage
		want  error
	}{
		{transfer.Leaving, nil}, {transfer.Stayed, nil},
		{transfer.Moved, transfer.ErrMoved}, {transfer.Left, transfer.ErrMoved},
		{transfer.Filling, transfer.ErrUnfinished}, {transfer.Arrived, nil},
	} {
		is := transfer.Mark{Stage: step.stage, Move: "m", Place: "elsewhere"}
		if err := m.SetMark(ctx, was, is); err != nil {
			t.Fatal(err)
		}
		was = is
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
		s, err := sqlite.Open(opts)
		if !errors.Is(err, step.want) {
			t.Errorf("opening a store that is %s: %v, want %v", step.stage, err, step.want)
		}
		if err == nil {
			_ = s.Close()
		}
		r, err := sqlite.OpenReader(opts)
		if !errors.Is(err, step.want) {
			t.Errorf("reading a store that is %s: %v, want %v", step.stage, err, step.want)
		}
		if err == nil {
			_ = r.Close()
		}
		if m, err = sqlite.OpenTransfer(opts); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = m.Close() })
	}
}

// Numbers stay what they were where some are missing, and a tombstone is
// enough of a purged mail.
func TestNumbersWithGapsAndTombstones(t *testing.T) {
	ctx := context.Background()
	m, opts := openTransfer(t)
	const a, b = "01890000-0000-7000-8000-00000000000a", "01890000-0000-7000-8000-00000000000b"
	err := errors.Join(
		m.PutTotals(ctx, transfer.Totals{Accepted: 3}),
		m.PutSignUps(ctx, []transfer.SignUp{
			{Number: 3, ID: a, First: "A", Last: "A", Email: "a@example.com", Status: signup.Pending, Accepted: 1},
			{Number: 7, ID: b, Status: "erased", Accepted: 2},
		}),
		m.PutMails(ctx, []transfer.Mail{
			{Number: 2, ID: a + ".sign-up.1", State: onboarding.Purged},
			{Number: 3, ID: b + ".welcome.1", State: onboarding.Purged},
		}))
	if err != nil {
		t.Fatal(err)
	}
	people, err := m.SignUps(ctx, 3, 10)
	if err != nil || len(people) != 1 || people[0].Number != 7 {
		t.Errorf("after number 3 come %v: %v, want number 7", people, err)
	}
	mails, err := m.Mails(ctx, 0, 10)
	if err != nil || len(mails) != 2 || mails[0].Number != 2 || mails[1].Lane != onboarding.Bulk {
		t.Errorf("the mails are %+v: %v", mails, err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if n := expiring(t, opts.Path); n != 0 {
		t.Errorf("%d finished mails are in the index of those that expire", n)
	}
	s, err := sqlite.Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	report, err := onboarding.Verify(ctx, s, opts.Policy)
	if err != nil || report.States[onboarding.Purged] != 2 || len(report.Lost) != 1 {
		t.Errorf("verify finds %+v: %v, want 2 purged and number 1 lost", report, err)
	}
	swept, err := s.Sweep(ctx, "me", 10)
	if err != nil || swept.Expired != 0 {
		t.Errorf("the sweep: %+v, %v", swept, err)
	}
}

// expiring counts the mails in the index of those that expire.
func expiring(t *testing.T, path string) int64 {
	t.Helper()
	conn, err := zombie.OpenConn(path, zombie.OpenReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	n, err := sqlitex.ResultInt64(conn.Prep("SELECT count(*) FROM mails WHERE expires = 1"))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestPutMailsRefusesWhatIsNoMail(t *testing.T) {
	m, _ := openTransfer(t)
	for _, mail := range []transfer.Mail{
		{Number: 1, ID: "no id", State: onboarding.Purged},
		{Number: 1, ID: "a.sign-up.1", State: "lost"},
		{Number: 1, ID: "a.sign-up.1", State: onboarding.Due}, // at no time
	} {
		if err := m.PutMails(context.Background(), []transfer.Mail{mail}); err == nil {
			t.Errorf("%+v was put", mail)
		}
	}
	if found, err := m.Mails(context.Background(), 0, 10); err != nil || len(found) != 0 {
		t.Errorf("there are %+v: %v", found, err)
	}
}

// A store from before there were moves is one that never took part in any.
func TestOpensAStoreOfTheFirstSchema(t *testing.T) {
	opts := sqlite.Options{Path: filepath.Join(t.TempDir(), "store.db"), Policy: onboarding.DefaultPolicy()}
	first, err := os.ReadFile("schema/0001_ledger.sql")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := zombie.OpenConn(opts.Path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(sqlitex.ExecuteScript(conn, string(first)+"; PRAGMA user_version = 1;", nil), conn.Close()); err != nil {
		t.Fatal(err)
	}
	s, err := sqlite.Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	openReader(t, opts.Path)
}
