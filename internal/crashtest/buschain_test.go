package crashtest

import (
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"bellhop/internal/mail/smtptest"
	"bellhop/internal/onboarding"
)

// chainRounds is how often Bellhop, its bus or both are ended.
const chainRounds = 24

// underWay is how many mails travel by a bus that loses everything.
const underWay = 20

// chain is Bellhop with its mails travelling by a bus of its own process.
type chain struct {
	*rig
	bus *busRig
	rng *rand.Rand

	process    *process // Bellhop's; nil while there is none
	kills      int      // of Bellhop
	busKills   int
	busOutages int
}

func newChain(t *testing.T) *chain {
	t.Helper()
	binary, dir := built(t, mortal), filepath.Join(t.TempDir(), "data")
	b := newBusRig(t, binary, nil)
	b.start()
	c := &chain{bus: b, rng: seeded(t)}
	c.rig = rigOf(t, binary, "--data-dir", dir, "--queue", "servicebus", "--servicebus-connection-string", b.connect)
	c.dir = dir
	c.withTown(citizensOfMany)
	c.setup()
	return c
}

// setup makes the queues, as an operator does.
func (c *chain) setup() {
	c.t.Helper()
	out, err := exec.Command(c.binary, "setup", "servicebus", "--servicebus-connection-string", c.bus.connect).CombinedOutput()
	if err != nil {
		c.t.Fatalf("setup servicebus: %v\n%s", err, out)
	}
}

// run starts Bellhop unless it runs.
func (c *chain) run() {
	c.t.Helper()
	if c.process != nil {
		return
	}
	if c.process = c.start(); c.process == nil {
		c.t.Fatal("died without being killed")
	}
}

// kill kills Bellhop.
func (c *chain) kill() {
	c.process.kill()
	c.process = nil
	c.kills++
}

// crowded lets people come while something is done.
func (c *chain) crowded(do func(ctx context.Context)) {
	c.t.Helper()
	c.run()
	p := c.process
	ctx, cancel := context.WithCancel(c.t.Context())
	var people sync.WaitGroup
	people.Go(func() { p.load(ctx, clients/2) })
	pause(ctx, between(c.rng, 0, 400*time.Millisecond))
	do(ctx)
	cancel()
	people.Wait()
}

// round ends Bellhop, the bus or both, or takes the bus away for a while.
func (c *chain) round(kind int) {
	c.t.Helper()
	c.crowded(func(ctx context.Context) {
		switch kind {
		case 0:
			c.kill()
		case 1:
			c.killBus()
			c.bus.start()
			pause(ctx, between(c.rng, 0, 400*time.Millisecond))
		case 2:
			c.killBus()
			c.kill()
			c.bus.start()
		default:
			c.busOutages++
			c.killBus()
			pause(ctx, between(c.rng, time.Second, 3*time.Second))
			c.bus.start()
		}
	})
}

func (c *chain) killBus() {
	c.bus.process.kill()
	c.busKills++
}

// finish waits until every mail is in a finished state, and ends Bellhop.
func (c *chain) finish() {
	c.t.Helper()
	c.run()
	c.town.hear(c.process.url)
	report := c.settled()
	c.town.examine(c.process.url)
	c.process.stop()
	c.process = nil
	c.judge(report)
	c.t.Logf("Bellhop was killed %d times, the bus %d times, %d of them for some seconds", c.kills, c.busKills, c.busOutages)
}

// T1, C1.1: with its mails travelling by a bus of its own process, Bellhop, the
// bus and both are killed at random moments, and the bus is away for some
// seconds. Everybody who was answered 202 has one mail, or copies that the
// ledger knows of.
func TestC1_1_BellhopAndItsBusKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("takes minutes: messages of the dead are locked for one")
	}
	t.Parallel()
	c := newChain(t)
	for n := range chainRounds {
		c.round(n % 4)
	}
	c.finish()
}

// C1.3: the bus loses everything but its keys while mails travel by it. The
// ledger is the truth: it sends their messages again.
func TestC1_3_BusLosesEverything(t *testing.T) {
	if testing.Short() {
		t.Skip("takes minutes: the ledger gives messages their time")
	}
	t.Parallel()
	c := newChain(t)
	// The mail server takes nothing before that, so that mails are under way.
	lost := make(chan struct{})
	lose := sync.OnceFunc(func() { close(lost) })
	defer lose()
	c.sink.SetScript(func(e smtptest.Event) *smtptest.Fault {
		if e.Step == smtptest.MailFrom {
			<-lost
		}
		return nil
	})
	c.crowded(func(ctx context.Context) {
		queued := func() int64 { return c.verify().States[onboarding.Queued] }
		c.await("mails to be under way", func() bool { return queued() > underWay })
		c.killBus()
		c.t.Logf("%d mails were under way when the bus lost everything", queued())
		for _, file := range []string{"bus.db", "bus.db-wal", "bus.db-shm"} {
			if err := os.Remove(filepath.Join(c.bus.dir, file)); err != nil && !os.IsNotExist(err) {
				c.t.Fatal(err)
			}
		}
		lose()
		c.bus.start()
		c.setup()
		pause(ctx, time.Second)
	})
	c.finish()
}
