package crashtest

import (
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// C1.5: a mail that kills its process as soon as it is claimed is found out by
// the number of its claims, so each of them must survive the kill.
func TestC1_5_EveryClaimIsCounted(t *testing.T) {
	t.Parallel()
	r := newRig(t, built(t, mortal))
	const deaths = 8
	r.dieOfClaims("web,relay,sender", deaths)
	if claims := r.number("SELECT sum(claims) FROM mails"); claims < deaths {
		t.Errorf("%d claims are counted after %d deaths", claims, deaths)
	}
}

// The same on Redis, where another process gives back what the dead have
// claimed, ten seconds after each death.
func TestC1_5_EveryClaimIsCountedOnRedis(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for deaths to be found out")
	}
	t.Parallel()
	server := durable(t)
	r := newRedisRig(t, built(t, mortal), server.URL(0))
	if _, err := r.launch(nil, "relay"); err != nil {
		t.Fatal(err)
	}
	const deaths = 3
	r.dieOfClaims("web,sender", deaths)
	claims := 0
	rows, err := server.Do("KEYS", "{bellhop}:mail:*")
	if err != nil {
		t.Fatal(err)
	}
	for row := range strings.Lines(rows) {
		counted, err := server.Do("HGET", strings.TrimSpace(row), "claims")
		n, _ := strconv.Atoi(counted)
		if err != nil {
			t.Fatal(err)
		}
		claims += n
	}
	if claims < deaths {
		t.Errorf("%d claims are counted after %d deaths", claims, deaths)
	}
}

// dieOfClaims lets so many processes die, each as soon as it has claimed a
// mail.
func (r *rig) dieOfClaims(roles string, deaths int) {
	r.t.Helper()
	for n := range deaths {
		p, err := r.launch([]string{"BELLHOP_CRASHPOINT=claimed:1"}, roles)
		if err != nil {
			r.t.Fatal(err)
		}
		if p != nil && n == 0 {
			p.load(r.t.Context(), 1) // until it has died of its first mail
		}
		if p != nil {
			<-p.gone
		}
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
