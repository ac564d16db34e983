package crashtest

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"

	"bellhop/internal/porttest"
)

// busRig is "bellhop bus" with one data directory and one port, process after
// process.
type busRig struct {
	t       *testing.T
	binary  string
	dir     string
	flags   []string
	wrap    []string // what the program is run under, such as strace
	listen  string   // where every process listens
	connect string   // the connection string
	process *busProcess
}

// busProcess is one run of "bellhop bus".
type busProcess struct {
	cmd    *exec.Cmd
	output transcript
	ending atomic.Bool   // it is to be killed: what fails from now on is no fault
	gone   chan struct{} // closed when it has ended
}

// busQueues are the queues of a rig, with their settings as the emulator's
// Config.json has them.
type busQueues map[string]map[string]any

func newBusRig(t *testing.T, binary string, queues busQueues, flags ...string) *busRig {
	t.Helper()
	b := &busRig{t: t, binary: binary, dir: filepath.Join(t.TempDir(), "bus"), listen: porttest.Hold(t), flags: flags}
	if len(queues) == 0 {
		return b
	}
	type queue struct {
		Name       string
		Properties map[string]any
	}
	var listed []queue
	for name, properties := range queues {
		listed = append(listed, queue{name, properties})
	}
	config, err := json.Marshal(map[string]any{"UserConfig": map[string]any{
		"Namespaces": []any{map[string]any{"Name": "sbemulatorns", "Queues": listed, "Topics": []any{}}},
		"Logging":    map[string]any{"Type": "Console"},
	}})
	b.must(err)
	path := filepath.Join(t.TempDir(), "Config.json")
	b.must(os.WriteFile(path, config, 0o600))
	b.flags = append(b.flags, "--config", path)
	return b
}

func (b *busRig) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// busConnect is the line of a greeting that matters.
var busConnect = regexp.MustCompile(`Connect +(\S+)\n`)

// start starts a process and waits until it has greeted.
func (b *busRig) start() *busProcess {
	b.t.Helper()
	p := &busProcess{gone: make(chan struct{})}
	command := slices.Concat(b.wrap, []string{b.binary, "bus", "--listen", b.listen, "--data-dir", b.dir}, b.flags)
	p.cmd = exec.Command(command[0], command[1:]...)
	p.cmd.Stdout, p.cmd.Stderr = &p.output, &p.output
	b.must(p.cmd.Start())
	go func() {
		defer close(p.gone)
		_ = p.cmd.Wait()
	}()
	b.t.Cleanup(func() {
		p.kill()
		if b.t.Failed() && p == b.process {
			b.t.Logf("bellhop bus said last:\n%s", p.output.tail())
		}
	})
	b.process = p
	b.await("the bus to greet", func() bool {
		select {
		case <-p.gone:
			b.t.Fatalf("bellhop bus has ended:\n%s", p.output.tail())
		default:
		}
		connect := busConnect.FindStringSubmatch(p.output.String())
		if connect == nil {
			return false
		}
		b.connect = connect[1]
		return true
	})
	return p
}

// await looks until a condition holds.
func (b *busRig) await(what string, holds func() bool) {
	b.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !holds(); <-tick.C {
		if time.Now().After(deadline) {
			b.t.Fatalf("waited in vain for %s", what)
		}
	}
}

// kill ends the process as kill -9 does, and waits for it.
func (p *busProcess) kill() {
	p.ending.Store(true)
	_ = p.cmd.Process.Signal(syscall.SIGKILL)
	<-p.gone
}

// stop ends the process of the rig in good order, also under strace.
func (b *busRig) stop() {
	b.t.Helper()
	b.process.ending.Store(true)
	raw, err := os.ReadFile(filepath.Join(b.dir, "lock"))
	b.must(err)
	pid, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	b.must(err)
	b.must(syscall.Kill(pid, syscall.SIGTERM))
	select {
	case <-b.process.gone:
	case <-time.After(patience):
		b.t.Fatal("bellhop bus did not stop")
	}
	if code := b.process.cmd.ProcessState.ExitCode(); code != 0 {
		b.t.Errorf("bellhop bus: exit code %d after SIGTERM", code)
	}
}

// once is how a client tries that must not do anything twice by itself.
func once() azservicebus.RetryOptions { return azservicebus.RetryOptions{MaxRetries: -1} }

// client is a client of the official SDK.
func (b *busRig) client(retry azservicebus.RetryOptions) *azservicebus.Client {
	b.t.Helper()
	c, err := azservicebus.NewClientFromConnectionString(b.connect, &azservicebus.ClientOptions{RetryOptions: retry})
	b.must(err)
	return c
}

// leave closes a client whose bus may be gone.
func leave(c *azservicebus.Client) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = c.Close(ctx)
}

func (b *busRig) sender(c *azservicebus.Client, queue string) *azservicebus.Sender {
	b.t.Helper()
	s, err := c.NewSender(queue, nil)
	b.must(err)
	return s
}

func (b *busRig) receiver(c *azservicebus.Client, queue string, o azservicebus.ReceiverOptions) *azservicebus.Receiver {
	b.t.Helper()
	r, err := c.NewReceiverForQueue(queue, &o)
	b.must(err)
	return r
}

// stuckAfter is how long a queue that is not empty may give nothing.
const stuckAfter = 2 * time.Minute

// drain takes everything that can be received and gives it to each. It blames
// the bus for a queue that does not become empty. Messages are completed, and not
// deleted as they are received: on a slow machine those would be on their way to
// a receiver that had given up, and seen by nobody.
func (b *busRig) drain(c *azservicebus.Client, blame func(string, ...any), queue string, sub azservicebus.SubQueue, each func(*azservicebus.ReceivedMessage)) {
	b.t.Helper()
	ctx := b.t.Context()
	last := time.Now()
	r := b.receiver(c, queue, azservicebus.ReceiverOptions{SubQueue: sub})
	defer r.Close(ctx)
	for empty, got := false, 1; !empty || got > 0; empty = b.isEmpty(ctx, c, queue, sub) {
		some, stop := context.WithTimeout(ctx, time.Second)
		all, err := r.ReceiveMessages(some, 100, nil)
		stop()
		if err != nil && some.Err() == nil {
			b.t.Fatalf("drain %s: %v", queue, err)
		}
		if got = len(all); got > 0 {
			last = time.Now()
		}
		for _, m := range b.complete(ctx, r, all) {
			each(m)
		}
		if time.Since(last) > stuckAfter {
			blame("%s does not become empty", queue)
			return
		}
	}
}

// complete completes messages together, and returns those for which that worked:
// the others come again.
func (b *busRig) complete(ctx context.Context, r *azservicebus.Receiver, all []*azservicebus.ReceivedMessage) (done []*azservicebus.ReceivedMessage) {
	b.t.Helper()
	errs := make([]error, len(all))
	var completing sync.WaitGroup
	for i, m := range all {
		completing.Go(func() { errs[i] = r.CompleteMessage(ctx, m, nil) })
	}
	completing.Wait()
	for i, m := range all {
		switch err := errs[i]; {
		case err == nil:
			done = append(done, m)
		case !isCode(err, azservicebus.CodeLockLost):
			b.t.Fatalf("complete %s: %v", m.MessageID, err)
		}
	}
	return done
}

// isEmpty tells whether nothing is there that could be received now or later.
func (b *busRig) isEmpty(ctx context.Context, c *azservicebus.Client, queue string, sub azservicebus.SubQueue) bool {
	b.t.Helper()
	r := b.receiver(c, queue, azservicebus.ReceiverOptions{SubQueue: sub})
	defer r.Close(ctx)
	from := int64(0)
	for {
		some, err := r.PeekMessages(ctx, 250, &azservicebus.PeekMessagesOptions{FromSequenceNumber: &from})
		if err != nil {
			b.t.Fatalf("peek into %s: %v", queue, err)
		}
		if len(some) == 0 {
			return true
		}
		for _, m := range some {
			if m.State != azservicebus.MessageStateDeferred {
				return false
			}
			from = *m.SequenceNumber + 1
		}
	}
}

// label names the n-th of something.
func label(kind string, n int64) string { return fmt.Sprintf("%s.%d", kind, n) }
