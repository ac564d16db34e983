package transfer_test

import (
	"path/filepath"
	"testing"
	"time"

	"bellhop/internal/onboarding"
	"bellhop/internal/sqlitedb"
	"bellhop/internal/store/sqlite"
	"bellhop/internal/store/storetest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Each pair of stores is tested with the store that knows more of the other.
func TestMoveFromSQLiteToSQLite(t *testing.T) { storetest.RunTransfer(t, openSQLite, openSQLite) }

func openSQLite(t testing.TB, p onboarding.Policy, now func() time.Time) *storetest.Site {
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
