package lifecycle_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"bellhop/internal/lifecycle"
	"bellhop/internal/lifecycle/lifecycletest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errBroken = errors.New("broken")

// journal notes what services do, in order.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) note(line string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, line)
}

func (j *journal) expect(t *testing.T, want ...string) {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	if !slices.Equal(j.lines, want) {
		t.Errorf("journal:\n got %q\nwant %q", j.lines, want)
	}
}

// service drains in the given time, or as soon as it is cut.
func (j *journal) service(name string, drains time.Duration) lifecycle.Service {
	return lifecycle.Service{Name: name, Run: func(ctx context.Context, drain <-chan struct{}) error {
		<-drain
		j.note("drain " + name)
		select {
		case <-time.After(drains):
			j.note("end " + name)
		case <-ctx.Done():
			j.note("cut " + name)
		}
		return nil
	}}
}

func failing(name string, err error) lifecycle.Service {
	return lifecycle.Service{Name: name, Run: func(context.Context, <-chan struct{}) error { return err }}
}

func run(ctx context.Context, timeout time.Duration, services ...lifecycle.Service) error {
	return lifecycle.Run(ctx, timeout, slog.New(slog.NewTextHandler(io.Discard, nil)), services...)
}

// endsAfter is a context whose end is asked for after d.
func endsAfter(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestDrainsInReverseOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		start := time.Now()
		err := run(endsAfter(t, time.Minute), 25*time.Second, j.service("heartbeat", 0), j.service("sender", 10*time.Second), j.service("web", 5*time.Second))
		if err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
		j.expect(t, "drain web", "end web", "drain sender", "end sender", "drain heartbeat", "end heartbeat")
		if took := time.Since(start); took != 75*time.Second {
			t.Errorf("took %v, want 1m15s: no waiting but for the services", took)
		}
	})
}

// TestTimeoutCuts is C1.13: the limit holds for all services together.
func TestTimeoutCuts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		start := time.Now()
		err := run(endsAfter(t, 0), 25*time.Second, j.service("heartbeat", time.Hour), j.service("sender", time.Hour), j.service("web", 10*time.Second))
		if err != nil {
			t.Errorf("Run = %v, want nil: a cut is no error", err)
		}
		j.expect(t, "drain web", "end web", "drain sender", "cut sender", "drain heartbeat", "cut heartbeat")
		if took := time.Since(start); took != 25*time.Second {
			t.Errorf("took %v, want the timeout of 25s", took)
		}
	})
}

// TestCutKeepsTheOrder is C1.13: what was cut may still rely, while it records
// that, on the services it was listed after.
func TestCutKeepsTheOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		heartbeat := lifecycle.Worker("heartbeat", func(ctx context.Context) error {
			<-ctx.Done()
			j.note("end heartbeat")
			return nil
		})
		sender := lifecycle.Service{Name: "sender", Run: func(ctx context.Context, drain <-chan struct{}) error {
			<-drain
			<-ctx.Done()
			<-time.After(time.Second)
			j.note("recorded")
			return nil
		}}
		if err := run(endsAfter(t, 0), 25*time.Second, heartbeat, sender); err != nil {
			t.Errorf("Run = %v, want nil: a cut is no error", err)
		}
		j.expect(t, "recorded", "end heartbeat")
	})
}

func TestFirstExitStopsAll(t *testing.T) {
	for _, test := range []struct {
		name string
		err  error
		want error
	}{{"with an error", errBroken, errBroken}, {"without one", nil, lifecycle.ErrEnded}} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var j journal
				err := run(t.Context(), time.Minute, j.service("sender", time.Second), failing("store", test.err), j.service("web", time.Second))
				if !errors.Is(err, test.want) || !strings.HasPrefix(err.Error(), "store: ") {
					t.Errorf("Run = %v, want store: %v", err, test.want)
				}
				j.expect(t, "drain web", "end web", "drain sender", "end sender")
			})
		})
	}
}

func TestErrorsAreJoined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		late := lifecycle.Service{Name: "late", Run: func(_ context.Context, drain <-chan struct{}) error {
			<-drain
			return io.ErrUnexpectedEOF
		}}
		// It ends on its own while the others are being drained.
		during := lifecycle.Service{Name: "during", Run: func(context.Context, <-chan struct{}) error {
			<-time.After(time.Second)
			return io.ErrClosedPipe
		}}
		var j journal
		err := run(t.Context(), time.Minute, late, during, j.service("web", 2*time.Second), failing("first", errBroken))
		if err == nil || err.Error() != "first: broken\nduring: io: read/write on closed pipe\nlate: unexpected EOF" {
			t.Errorf("Run = %v, want the first error first and no other lost", err)
		}
	})
}

func TestStuckServiceIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		stuck := lifecycle.Service{Name: "stuck", Run: func(context.Context, <-chan struct{}) error {
			<-release
			return nil
		}}
		start := time.Now()
		err := run(endsAfter(t, 0), time.Minute, stuck)
		if !errors.Is(err, lifecycle.ErrStuck) || !strings.HasPrefix(err.Error(), "stuck: ") {
			t.Errorf("Run = %v, want stuck: %v", err, lifecycle.ErrStuck)
		}
		if took := time.Since(start); took != time.Minute+lifecycle.Grace {
			t.Errorf("took %v, want the timeout and the grace", took)
		}
		close(release)
		synctest.Wait()
	})
}

func TestRunWithoutServices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if err := run(endsAfter(t, time.Second), time.Minute); err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
	})
}

func TestWorker(t *testing.T) {
	loop := func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	}
	lifecycletest.Stress(t, func(*testing.T) lifecycle.Service { return lifecycle.Worker("loop", loop) })
	t.Run("its own error", func(t *testing.T) {
		w := lifecycle.Worker("loop", func(context.Context) error { return errBroken })
		if err := w.Run(t.Context(), nil); err != errBroken {
			t.Errorf("Run = %v, want %v", err, errBroken)
		}
	})
	t.Run("an error at the end", func(t *testing.T) {
		w := lifecycle.Worker("loop", func(ctx context.Context) error { <-ctx.Done(); return errBroken })
		drain := make(chan struct{})
		close(drain)
		if err := w.Run(t.Context(), drain); err != errBroken {
			t.Errorf("Run = %v, want %v", err, errBroken)
		}
	})
}

func TestSignals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		signals, aborted := make(chan os.Signal, 2), make(chan struct{})
		ctx, stop := lifecycle.Signals(t.Context(), signals, func() { close(aborted) })
		defer stop()
		synctest.Wait()
		if ctx.Err() != nil {
			t.Fatal("the context ended without a signal")
		}
		signals <- syscall.SIGTERM
		<-ctx.Done()
		if cause := context.Cause(ctx); cause.Error() != "signal: terminated" {
			t.Errorf("cause = %v, want the signal's name", cause)
		}
		synctest.Wait()
		select {
		case <-aborted:
			t.Fatal("aborted at the first signal")
		default:
		}
		signals <- syscall.SIGINT
		<-aborted
	})
}

func TestSignalsStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := lifecycle.Signals(t.Context(), make(chan os.Signal), func() { t.Error("aborted") })
		stop()
		stop()
		if ctx.Err() == nil {
			t.Error("stop leaves the context running")
		}
	})
}
