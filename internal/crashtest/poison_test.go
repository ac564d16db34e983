package crashtest

import (
	"path/filepath"
	"testing"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// C1.5: a mail that kills its process as soon as it is claimed is found out by
// the number of its claims, so each of them must survive the kill.
func TestC1_5_EveryClaimIsCounted(t *testing.T) {
	t.Parallel()
	r := newRig(t, build(t, "-tags", "crashpoints"))
	const deaths = 8
	for n := range deaths {
		p := r.start("BELLHOP_CRASHPOINT=claimed:1")
		if p != nil && n == 0 {
			p.load(t.Context(), 1) // until it has died of its first mail
		}
		if p != nil {
			<-p.gone
		}
	}
	if claims := r.number("SELECT max(claims) FROM mails"); claims < deaths {
		t.Errorf("%d claims are counted after %d deaths", claims, deaths)
	}
}

// number asks the store's file.
func (r *rig) number(sql string) int64 {
	r.t.Helper()
	conn, err := sqlite.OpenConn(filepath.Join(r.dir, "store.db"), sqlite.OpenReadOnly)
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.Close()
	n, err := sqlitex.ResultInt64(conn.Prep(sql))
	if err != nil {
		r.t.Fatal(err)
	}
	return n
}
