package sqlite_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"bellhop/internal/onboarding"
	"bellhop/internal/signup"
	"bellhop/internal/store/sqlite"

	zombie "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// before is what a program without accounts has left: two people, one of them
// erased, one with an idempotency key, and their mails.
const before = `
	INSERT INTO signups VALUES
		(1, '6f1f0000-0000-4000-8000-000000000001', 'Ada', 'Lovelace', 'ada@example.com', 'pending', 1700000000),
		(3, '6f1f0000-0000-4000-8000-000000000003', '', '', '', 'erased', 1700000001);
	INSERT INTO idempotency VALUES (1, zeroblob(32), unixepoch() * 1000);
	INSERT INTO mails (seq, id, lane, created_at, keeps, state, gen, commits, mint, minted_at, expires_at, expires) VALUES
		(1, '6f1f0000-0000-4000-8000-000000000001.sign-up.1', 'urgent', 1700000000000, 1000, 'sent', 1, 1, 1, 1700000000500, 1700000001000, 0),
		(2, '6f1f0000-0000-4000-8000-000000000003.sign-up.1', 'urgent', 1700000001000, 1000, 'cancelled', 2, 0, 0, 0, 1700000002000, 0);
	INSERT INTO counters VALUES ('accepted', 2), ('urgent.sent', 1), ('urgent.cancelled', 1);
	INSERT INTO keys VALUES ('mint', x'0102');
	PRAGMA user_version = 2;`

func TestAStoreFromBeforeAccountsOpensAndKeepsItsData(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	conn, err := zombie.OpenConn(path, zombie.OpenReadWrite, zombie.OpenCreate, zombie.OpenWAL)
	if err != nil {
		t.Fatal(err)
	}
	script := ""
	for _, name := range []string{"0001_ledger.sql", "0002_move.sql"} {
		part, err := os.ReadFile(filepath.Join("schema", name))
		if err != nil {
			t.Fatal(err)
		}
		script += string(part)
	}
	if err := errors.Join(sqlitex.ExecuteScript(conn, script+before, nil), conn.Close()); err != nil {
		t.Fatal(err)
	}
	s, err := sqlite.Open(sqlite.Options{Path: path, Policy: onboarding.DefaultPolicy()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx := context.Background()
	p, err := s.Person(ctx, "6f1f0000-0000-4000-8000-000000000001")
	if err != nil || p.First != "Ada" || p.Address.Typed() != "ada@example.com" || p.Accepted.Unix() != 1700000000 || p.Status != signup.Pending {
		t.Errorf("the person is %v now (%v)", p, err)
	}
	if _, err := s.Person(ctx, "6f1f0000-0000-4000-8000-000000000003"); !errors.Is(err, signup.ErrNotFound) {
		t.Errorf("the erased person: %v", err)
	}
	secret, err := s.SharedKey(ctx, "mint", []byte("another"))
	if err != nil || string(secret) != "\x01\x02" {
		t.Errorf("the key is %x (%v)", secret, err)
	}
	// Nobody can tell what came under that key: a form is taken for a repeat.
	a := signup.Acceptance{Person: p, Key: &signup.Key{Form: [16]byte{1}}}
	if accepted, err := s.Accept(ctx, a); err != nil || !accepted.Repeated || accepted.ID != p.ID {
		t.Errorf("a form under the key is taken for %+v (%v)", accepted, err)
	}
	report, err := onboarding.Verify(ctx, s, onboarding.DefaultPolicy())
	if err != nil || !report.OK {
		t.Errorf("verify: %+v (%v)", report, err)
	}
	var broken []string
	check, err := zombie.OpenConn(path, zombie.OpenReadOnly)
	if err == nil {
		err = sqlitex.ExecuteTransient(check, "SELECT 'row of ' || \"table\" FROM pragma_foreign_key_check UNION ALL SELECT * FROM pragma_integrity_check WHERE integrity_check <> 'ok'", &sqlitex.ExecOptions{
			ResultFunc: func(stmt *zombie.Stmt) error { broken = append(broken, stmt.ColumnText(0)); return nil },
		})
		err = errors.Join(err, check.Close())
	}
	if err != nil || len(broken) > 0 {
		t.Errorf("the file is broken: %q (%v)", broken, err)
	}
	// B7.7: what the migration carried over is in the file once, and then not.
	if err := errors.Join(s.Erase(ctx, p.ID), s.Close()); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(path)
	if err != nil || bytes.Contains(file, []byte("ada@example.com")) {
		t.Errorf("the erased address is still in the file (%v)", err)
	}
}
