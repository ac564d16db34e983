package crashtest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

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
	if n := p.oweAll(); n < owed {
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

// oweAll signs people up until so many mails are owed, and returns how many of
// them were answered 202.
func (p *process) oweAll() int64 {
	const doors = 200
	var answered atomic.Int64
	var all sync.WaitGroup
	for range doors {
		all.Go(func() {
			n, err := p.owe(owed / doors)
			if err != nil {
				p.rig.t.Error(err)
			}
			answered.Add(n)
		})
	}
	all.Wait()
	return answered.Load()
}

// owe signs n people up on one connection, some of them at once: a client that
// asks for one after the other would be what takes the time here.
func (p *process) owe(n int) (answered int64, err error) {
	const atOnce = 20
	conn, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	w, r := bufio.NewWriter(conn), bufio.NewReader(conn)
	for done := 0; done < n; done += atOnce {
		for range atOnce {
			req, err := signUpRequest(p.rig.t.Context(), p.url, p.rig.newPerson())
			if err != nil {
				return answered, err
			}
			if err := req.Write(w); err != nil {
				return answered, err
			}
		}
		if err := w.Flush(); err != nil {
			return answered, err
		}
		for range atOnce {
			accepted, err := readAnswer(r)
			if err != nil {
				return answered, err
			}
			answered += accepted
		}
	}
	return answered, nil
}

// readAnswer is 1 if the next answer is a 202.
func readAnswer(r *bufio.Reader) (accepted int64, err error) {
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusAccepted {
		accepted = 1
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return accepted, err
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
