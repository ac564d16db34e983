package crashtest

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"bellhop/internal/mail/smtptest"
	"bellhop/internal/onboarding"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// owed is how many mails wait for the mail server in the test below.
const owed = 100_000

// I6, A5.7: with a mail server that is down and a hundred thousand mails owed,
// once the lane is full and the circuit open, nothing but probes changes rows;
// and none of it makes a sign-up fail.
func TestI6_OnlyProbesChangeRows(t *testing.T) {
	t.Parallel()
	r := newRig(t, built(t, shipped))
	r.sink.SetScript(smtptest.At(smtptest.Connect, smtptest.Fault{Then: smtptest.EOF}))
	p := r.start()
	if p == nil {
		t.Fatal("did not start")
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for r.people.Load() < owed && ctx.Err() == nil {
			<-tick.C
		}
		cancel()
	}()
	p.load(ctx, 32)
	if n := len(r.acked); n < owed-32 {
		t.Fatalf("%d of %d sign-ups were answered 202 while the mail server was down", n, owed)
	}
	r.await("the lane to be full", func() bool {
		return r.verify().States[onboarding.Queued] >= onboarding.DefaultPolicy().LaneLimit-1
	})
	r.awaitProbes(2)
	probes := r.sink.Connections() // before reading, which takes long enough for probes of its own
	before := r.rows()
	r.awaitProbes(3)
	after := r.rows()
	probes = r.sink.Connections() - probes
	changed := 0
	for id, row := range after {
		if before[id] != row {
			changed++
		}
	}
	// The probe's own row changes, and one that takes its place in the lane.
	if changed > 2*(probes+1) {
		t.Errorf("%d rows changed while %d probes were made", changed, probes)
	}
	if report := r.verify(); !report.OK || report.States[onboarding.Sent] > 0 {
		t.Errorf("%+v", report.States)
	}
}

// awaitProbes waits until the mail server has seen n more connections.
func (r *rig) awaitProbes(n int) {
	r.t.Helper()
	want := r.sink.Connections() + n
	r.await(fmt.Sprintf("%d probes", n), func() bool { return r.sink.Connections() >= want })
}

// rows reads every mail's row from the file, as text.
func (r *rig) rows() map[string]string {
	r.t.Helper()
	conn, err := sqlite.OpenConn(filepath.Join(r.dir, "store.db"), sqlite.OpenReadOnly)
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.Close()
	rows := make(map[string]string)
	err = sqlitex.Execute(conn, "SELECT * FROM mails", &sqlitex.ExecOptions{ResultFunc: func(stmt *sqlite.Stmt) error {
		text := ""
		for i := range stmt.ColumnCount() {
			text += stmt.ColumnText(i) + "|"
		}
		rows[stmt.GetText("id")] = text
		return nil
	}})
	if err != nil {
		r.t.Fatal(err)
	}
	return rows
}
