package redis_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"bellhop/internal/onboarding"
	"bellhop/internal/redisdb"
	"bellhop/internal/redistest"
	"bellhop/internal/signup"
	"bellhop/internal/sqlitedb"
	"bellhop/internal/store/redis"
	"bellhop/internal/store/sqlite"
	"bellhop/internal/store/storetest"
	"bellhop/internal/store/transfer"
)

func TestMoves(t *testing.T) {
	inRedis := sites(redistest.Start(t, redistest.Options{}))
	t.Run("FromSQLite", func(t *testing.T) { storetest.RunTransfer(t, inSQLite, inRedis) })
	t.Run("ToSQLite", func(t *testing.T) { storetest.RunTransfer(t, inRedis, inSQLite) })
	t.Run("FromRedisToRedis", func(t *testing.T) { storetest.RunTransfer(t, inRedis, inRedis) })
}

// A mark that was set must not be lost, or both stores might serve.
func TestMarksSurviveTheServersEnd(t *testing.T) {
	for name, persistence := range map[string]redistest.Persistence{"Always": redistest.Always, "EverySec": redistest.EverySec} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t, redistest.Options{Persistence: persistence})
			want := transfer.Mark{Stage: transfer.Filling, Move: "m", Place: "elsewhere"}
			m := openTransfer(t, server)
			if err := m.SetMark(t.Context(), transfer.Mark{}, want); err != nil {
				t.Fatal(err)
			}
			server.Kill()
			server.Restart()
			if got, err := openTransfer(t, server).Mark(t.Context()); err != nil || got != want {
				t.Errorf("the mark is %+v: %v, want %+v", got, err, want)
			}
		})
	}
}

func openTransfer(t *testing.T, server *redistest.Server) *redis.Transfer {
	t.Helper()
	client, err := redisdb.Open(redisdb.Settings{URL: server.URL(0), Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	m, err := redis.OpenTransfer(t.Context(), redis.Options{Client: client, Policy: onboarding.DefaultPolicy()})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// What one run of a move has sent may reach the server when the next one is
// under way, or when all of it is over.
func TestStepsOfAnOlderRunAreNotTaken(t *testing.T) {
	ctx := t.Context()
	server := redistest.Start(t, redistest.Options{})
	older, newer := openTransfer(t, server), openTransfer(t, server)
	filling := transfer.Mark{Stage: transfer.Filling, Move: "m", Place: "elsewhere"}
	leaving := transfer.Mark{Stage: transfer.Leaving, Move: "m", Place: "elsewhere"}
	for _, err := range []error{older.SetMark(ctx, transfer.Mark{}, filling), newer.SetMark(ctx, filling, filling)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	puts := map[string]func(*redis.Transfer) error{
		"Empty":        func(m *redis.Transfer) error { return m.Empty(ctx) },
		"PutTotals":    func(m *redis.Transfer) error { return m.PutTotals(ctx, transfer.Totals{}) },
		"PutKeys":      func(m *redis.Transfer) error { return m.PutKeys(ctx, nil) },
		"PutDocuments": func(m *redis.Transfer) error { return m.PutDocuments(ctx, make([]transfer.Document, 1)) },
		"PutSignUps":   func(m *redis.Transfer) error { return m.PutSignUps(ctx, make([]transfer.SignUp, 1)) },
		"PutRequests":  func(m *redis.Transfer) error { return m.PutRequests(ctx, make([]transfer.Request, 1)) },
		"PutSessions":  func(m *redis.Transfer) error { return m.PutSessions(ctx, make([]transfer.Session, 1)) },
		"PutCharges":   func(m *redis.Transfer) error { return m.PutCharges(ctx, make([]transfer.Charge, 1)) },
		"PutMails": func(m *redis.Transfer) error {
			return m.PutMails(ctx, []transfer.Mail{{Number: 1, ID: "a.sign-up.1", State: onboarding.Purged}})
		},
	}
	for name, put := range puts {
		if err := put(older); !errors.Is(err, transfer.ErrChanged) {
			t.Errorf("%s of the older run: %v, want %v", name, err, transfer.ErrChanged)
		}
	}
	if err := newer.Empty(ctx); err != nil {
		t.Error(err)
	}
	if err := newer.SetMark(ctx, filling, leaving); err != nil {
		t.Fatal(err)
	}
	if err := older.Rest(ctx); !errors.Is(err, transfer.ErrChanged) {
		t.Errorf("Rest of the older run: %v, want %v", err, transfer.ErrChanged)
	}
	if err := newer.Rest(ctx); err != nil {
		t.Error(err)
	}
	for name, put := range puts {
		if err := put(newer); !errors.Is(err, transfer.ErrChanged) {
			t.Errorf("%s where nothing is filled: %v, want %v", name, err, transfer.ErrChanged)
		}
	}
}

// An idempotency key goes when its day is over, wherever it was used.
func TestKeysAreForgottenAfterAMove(t *testing.T) {
	ctx := t.Context()
	server := redistest.Start(t, redistest.Options{})
	m := openTransfer(t, server)
	filling := transfer.Mark{Stage: transfer.Filling, Move: "m", Place: "elsewhere"}
	person := transfer.SignUp{
		Number: 1, ID: "a", Email: "a@example.com", Status: "pending",
		Key: &[32]byte{}, KeyUsed: time.Now().Add(-24 * time.Hour).UnixMilli(),
	}
	err := errors.Join(m.SetMark(ctx, transfer.Mark{}, filling), m.PutSignUps(ctx, []transfer.SignUp{person}),
		m.SetMark(ctx, filling, transfer.Mark{Stage: transfer.Arrived, Move: "m", Place: "elsewhere"}))
	if err != nil {
		t.Fatal(err)
	}
	client, err := redisdb.Open(redisdb.Settings{URL: server.URL(0), Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	s, err := redis.Open(ctx, redis.Options{Client: client, Policy: onboarding.DefaultPolicy()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Sweep(ctx, "me", 10); err != nil {
		t.Fatal(err)
	}
	key := "{bellhop}:key:" + strings.Repeat("0", 64)
	if got, err := server.Do("EXISTS", key); err != nil || got != "0" {
		t.Errorf("%s of it is there: %v, want nothing", got, err)
	}
}

// What a store is filled with is of the form that this program writes, also
// where an older one had left something behind; and a store of the form before
// can be moved as it is.
func TestMovesOfAnOlderForm(t *testing.T) {
	ctx := t.Context()
	source, target := redistest.Start(t, redistest.Options{}), redistest.Start(t, redistest.Options{})
	const id = "01890000-0000-7000-8000-00000000000a"
	for _, command := range []string{
		"SET {bellhop}:version 1",
		"HSET {bellhop}:subject:" + id + " first A last B email a@example.com status pending accepted 1700000000 mail:sign-up.1 000000000001",
		"XADD {bellhop}:signups 1-0 id " + id,
		"HSET {bellhop}:counts signups 1 accepted 1 sent 1",
		"HSET {bellhop}:mail:000000000001 id " + id + ".sign-up.1 lane urgent created 1700000000000 keeps 1000 state sent gen 1" +
			" commits 1 mint 1 minted 1700000000500 expires 1700000001000 ended 1700000000600",
		"XADD {bellhop}:finished * n 000000000001 ended 1700000000600",
	} {
		do(t, source, command)
	}
	do(t, target, "SET {bellhop}:version 1")
	do(t, target, "HSET {bellhop}:move stage left id m place elsewhere")

	_, err := transfer.Run(ctx, openTransfer(t, source), openTransfer(t, target), transfer.Options{From: "here", To: "there"})
	if err != nil {
		t.Fatal(err)
	}
	if v := do(t, source, "GET {bellhop}:version") + do(t, target, "GET {bellhop}:version"); v != "12" {
		t.Errorf("the forms are %q, want 1 and 2", v)
	}
	s := connect(t, redisdb.Settings{URL: target.URL(0), Timeout: time.Minute}, redis.Options{})
	if p, err := s.Person(ctx, id); err != nil || p.Status != signup.Pending || p.Address.Typed() != "a@example.com" {
		t.Errorf("the person is %v: %v", p, err)
	}
	if faults := inspect(target.URL(0)); len(faults) > 0 {
		t.Errorf("the structures do not fit the rows: %v", faults)
	}
}

// do sends a command, word by word.
func do(t *testing.T, server *redistest.Server, command string) string {
	t.Helper()
	reply, err := server.Do(strings.Fields(command)...)
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	return reply
}

// Emptying takes what is the store's, and nothing else of the same Redis.
func TestEmptyLeavesOthersAlone(t *testing.T) {
	ctx := t.Context()
	server := redistest.Start(t, redistest.Options{})
	for _, key := range []string{"{bellhop}:subject:x", "bellhop", "{bellhop-urgent}:queue", "x{bellhop}:mail"} {
		if _, err := server.Do("SET", key, "1"); err != nil {
			t.Fatal(err)
		}
	}
	m := openTransfer(t, server)
	if err := m.SetMark(ctx, transfer.Mark{}, transfer.Mark{Stage: transfer.Filling, Move: "m", Place: "elsewhere"}); err != nil {
		t.Fatal(err)
	}
	if err := m.Empty(ctx); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"{bellhop}:subject:x": "0", "{bellhop}:move": "1", "{bellhop}:version": "1",
		"bellhop": "1", "{bellhop-urgent}:queue": "1", "x{bellhop}:mail": "1",
	} {
		if got, err := server.Do("EXISTS", key); err != nil || got != want {
			t.Errorf("%s exists: %s, %v, want %s", key, got, err, want)
		}
	}
}

// sites makes each site a database of the server, and looks at the end whether
// what is left there fits together.
func sites(server *redistest.Server) storetest.OpenSite {
	var used atomic.Int32
	return func(t testing.TB, p onboarding.Policy, now func() time.Time) *storetest.Site {
		t.Helper()
		db := int(used.Add(1)) % 2000
		client, err := redisdb.Open(redisdb.Settings{URL: server.URL(db), Timeout: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := client.Close(); err != nil {
				t.Error(err)
			}
			if faults := inspect(server.URL(db)); len(faults) > 0 {
				t.Errorf("the structures do not fit the rows: %v", faults)
			}
		})
		opts := redis.Options{Client: client, Policy: p, Now: now}
		return &storetest.Site{
			Shared: true,
			Serve: func() (storetest.Serving, error) {
				s, err := redis.Open(context.Background(), opts)
				if err != nil {
					return nil, err
				}
				return s, nil
			},
			Move: func() (storetest.Moving, error) {
				m, err := redis.OpenTransfer(context.Background(), opts)
				if err != nil {
					return nil, err
				}
				return m, nil
			},
		}
	}
}

func inSQLite(t testing.TB, p onboarding.Policy, now func() time.Time) *storetest.Site {
	opts := sqlite.Options{Path: filepath.Join(t.TempDir(), "store.db"), Policy: p, Now: now, Durability: sqlitedb.Off}
	return &storetest.Site{
		Serve: func() (storetest.Serving, error) {
			s, err := sqlite.Open(opts)
			if err != nil {
				return nil, err
			}
			return s, nil
		},
		Move: func() (storetest.Moving, error) {
			m, err := sqlite.OpenTransfer(opts)
			if err != nil {
				return nil, err
			}
			return m, nil
		},
	}
}
