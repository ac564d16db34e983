package redis_test

import (
	"context"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"bellhop/internal/onboarding"
	"bellhop/internal/redisdb"
	"bellhop/internal/redistest"
	"bellhop/internal/sqlitedb"
	"bellhop/internal/store/redis"
	"bellhop/internal/store/sqlite"
	"bellhop/internal/store/storetest"
)

func TestMoves(t *testing.T) {
	inRedis := sites(redistest.Start(t, redistest.Options{}))
	t.Run("FromSQLite", func(t *testing.T) { storetest.RunTransfer(t, inSQLite, inRedis) })
	t.Run("ToSQLite", func(t *testing.T) { storetest.RunTransfer(t, inRedis, inSQLite) })
	t.Run("FromRedisToRedis", func(t *testing.T) { storetest.RunTransfer(t, inRedis, inRedis) })
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
