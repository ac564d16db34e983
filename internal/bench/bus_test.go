package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bellhop/internal/bus"
	"bellhop/internal/sqlitedb"
)

// TestBus builds the program and measures it.
func TestBus(t *testing.T) {
	program := filepath.Join(t.TempDir(), "bellhop")
	if out, err := exec.Command("go", "build", "-o", program, "bellhop/cmd/bellhop").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	for name, test := range map[string]func(*testing.T, string){"parts": measureParts, "one program": oneProgram, "counts": drainCounts} {
		t.Run(name, func(t *testing.T) { test(t, program) })
	}
}

// small are options for a measurement that takes no time and means nothing.
func small(t *testing.T, program string, out io.Writer) (Options, BusOptions) {
	o := Options{Program: program, Dir: t.TempDir(), Rounds: 1, For: 20 * time.Millisecond, JSON: true, Out: out, Progress: t.Output()}
	return o, BusOptions{Messages: 100, Links: 3, Batch: 10, Backlog: 300, Short: 100, Rest: time.Millisecond, OpenBus: openSmall}
}

// openSmall opens the file that bellhop bus does.
func openSmall(dir string, durable bool) (*bus.Bus, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	o := bus.Options{Path: filepath.Join(dir, "bus.db")}
	if !durable {
		o.Durability = sqlitedb.Normal
	}
	return bus.Open(o)
}

// checkFigures wants each sheet that was printed to have figures that are
// numbers, and returns them by name.
func checkFigures(t *testing.T, printed io.Reader) map[string]Figure {
	t.Helper()
	all := map[string]Figure{}
	for d := json.NewDecoder(printed); ; {
		var sheet struct{ Figures []Figure }
		if err := d.Decode(&sheet); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		for _, f := range sheet.Figures {
			others := strings.Contains(f.Name, "others") || strings.Contains(f.Name, "CPU")
			if f.Value < 0 || math.IsInf(f.Value, 0) || f.Value == 0 && !others {
				t.Errorf("%s: %v %s, want a number above 0", f.Name, f.Value, f.Unit)
			}
			all[f.Name] = f
		}
	}
}

// measureParts takes the measurements that need nothing else.
func measureParts(t *testing.T, program string) {
	var out bytes.Buffer
	o, b := small(t, program, &out)
	b.Parts = []string{PartBacklog, PartSDK}
	if err := Bus(t.Context(), o, b); err != nil {
		t.Fatal(err)
	}
	figures := checkFigures(t, &out)
	for name, wantAim := range map[string]bool{
		"durable, send one by one, 1 caller: official client":                         false,
		"durable, receive and complete 10 together, 3 callers: client against engine": false,
		"not durable, send 10 together, 3 callers: engine alone":                      false,
		"memory at rest, 1ms after the start on an empty directory":                   true,
		"from the start after kill -9 to the first message, 300 queued":               true,
		"receive and accept, 300 queued against 100 queued":                           true,
	} {
		if f, ok := figures[name]; !ok || (f.Aim != "") != wantAim {
			t.Errorf("%q is %+v (%t), want a figure, with an aim: %t", name, f, ok, wantAim)
		}
	}
	if left, err := os.ReadDir(o.Dir); err != nil || len(left) > 0 {
		t.Errorf("%v is left in the directory (%v), want nothing", left, err)
	}
}

// oneProgram runs what RabbitMQ is measured with on the bus. That ends with an
// error if a message is lost or comes twice.
func oneProgram(t *testing.T, program string) {
	o, b := small(t, program, io.Discard)
	s := newSheet()
	if err := measureOurs(t.Context(), o, b, 0, filepath.Join(o.Dir, "bus"), s); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"send, 1 link: Bellhop", "send, 3 links: Bellhop", "receive and accept, 1 link: Bellhop", "receive and accept, 3 links: Bellhop"} {
		if s.last(name) <= 0 {
			t.Errorf("%s: %v, want a rate", name, s.last(name))
		}
	}
}

// drainCounts tells when another number of messages comes than was sent.
func drainCounts(t *testing.T, program string) {
	o, _ := small(t, program, io.Discard)
	server, err := startBus(t.Context(), o, filepath.Join(o.Dir, "bus"))
	if err != nil {
		t.Fatal(err)
	}
	defer server.process.stop()
	at := server.broker()
	if err := at.fill(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	if err := at.wantEmpty(t.Context()); err == nil || !strings.Contains(err.Error(), "delivers a message") {
		t.Errorf("wantEmpty is %v with 3 messages queued, want an error", err)
	}
	// It has looked at one, which is locked now.
	err = at.with(t.Context(), 1, func(c *client) error {
		receivers, err := c.receivers(t.Context())
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, _, err = drain(ctx, receivers, 4)
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "received 2 of 4 messages") {
		t.Errorf("draining 4 messages where 2 can be had: %v, want an error that counts", err)
	}
}

// TestTogether ends all when one fails, and returns why.
func TestTogether(t *testing.T) {
	broken := errors.New("broken")
	err := together(t.Context(), 3, func(ctx context.Context, i int) error {
		if i == 1 {
			return broken
		}
		<-ctx.Done()
		return ctx.Err()
	})
	if !errors.Is(err, broken) {
		t.Errorf("err = %v, want that of the one that failed first", err)
	}
}

func TestAims(t *testing.T) {
	s := newSheet()
	for name, a := range map[string]aim{"fast": {limit: 1, atLeast: true}, "slow": {limit: 2, atLeast: true}, "small": {limit: 2}, "large": {limit: 1}} {
		s.add(name, "units", 1.5)
		s.aim(name, a)
	}
	want := map[string]string{"fast": "aim: at least 1, met", "slow": "aim: at least 2, MISSED", "small": "aim: at most 2, met", "large": "aim: at most 1, MISSED"}
	for _, f := range s.figures() {
		if f.Aim != want[f.Name] {
			t.Errorf("%s: %q, want %q", f.Name, f.Aim, want[f.Name])
		}
	}
}

// TestNoRabbitMQ says what to install before anything is measured.
func TestNoRabbitMQ(t *testing.T) {
	o, b := small(t, "", io.Discard)
	b.Parts = []string{PartRabbitMQ}
	t.Setenv("PATH", o.Dir)
	if err := Bus(t.Context(), o, b); err == nil || !strings.Contains(err.Error(), "apt-get install rabbitmq-server") {
		t.Errorf("err = %v, want what to install", err)
	}
}
