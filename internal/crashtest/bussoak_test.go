package crashtest

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/Azure/go-amqp"

	"bellhop/internal/amqp/wire"
)

// What the bus has to bear, and how much memory it may take for it at most.
//
// The process grew by some 75 KiB for each connection with its ten links while
// they were made. The collector lets the heap grow to five times what is held
// before it looks, so 280 KiB a connection are allowed. The process itself,
// SQLite's memory and what waits for clients that do not read, of which a
// connection has a few hundred KiB, come to it. Whoever kept the garbage, or all
// that a deaf client has asked for, would be over it soon.
const (
	soakConns   = 1000
	soakLinks   = 10 // of each
	connMemory  = 280 << 10
	otherMemory = 120 << 20
)

// polite is a client that does nothing unusual, while others do.
type polite struct {
	sends   atomic.Int64
	slowest atomic.Int64 // ns
	err     atomic.Pointer[error]
}

// patientSend is how long a polite client waits for a confirmation.
const patientSend = 60 * time.Second

// send sends until ctx ends.
func (p *polite) send(ctx context.Context, s *amqp.Sender) {
	for ctx.Err() == nil {
		began := time.Now()
		patient, cancel := context.WithTimeout(ctx, patientSend)
		err := s.Send(patient, amqp.NewMessage([]byte("polite")), nil)
		cancel()
		if err != nil {
			if ctx.Err() == nil {
				p.err.Store(&err)
			}
			return
		}
		p.slowest.Store(max(p.slowest.Load(), int64(time.Since(began))))
		p.sends.Add(1)
		pause(ctx, 5*time.Millisecond)
	}
}

// soak is a bus under strain.
type soak struct {
	*busRig
	polite polite
	limit  int64 // of the process's memory, bytes
}

// served fails unless the polite client is served while something is done, and
// the process keeps within its memory.
func (s *soak) served(what string, do func()) {
	s.t.Helper()
	before, began := s.polite.sends.Load(), time.Now()
	do()
	s.await("the polite client to be served", func() bool {
		return s.polite.sends.Load() >= before+20 || s.polite.err.Load() != nil
	})
	if err := s.polite.err.Load(); err != nil {
		s.t.Fatalf("%s: the polite client is not served: %v", what, *err)
	}
	peak, now := s.memory("VmHWM"), s.memory("VmRSS")
	s.t.Logf("%s: %v, %d polite sends, the slowest so far %v; %d MiB now, %d at most so far", what, time.Since(began).Round(time.Millisecond),
		s.polite.sends.Load()-before, time.Duration(s.polite.slowest.Load()).Round(time.Millisecond), now>>20, peak>>20)
	if peak > s.limit {
		s.t.Errorf("%s: the bus has taken %d MiB, more than %d", what, peak>>20, s.limit>>20)
	}
}

var memoryLine = regexp.MustCompile(`(\w+):\s+(\d+) kB`)

// memory is a number of bytes from the process's status.
func (s *soak) memory(what string) int64 {
	s.t.Helper()
	raw, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(s.process.cmd.Process.Pid), "status"))
	s.must(err)
	for _, line := range memoryLine.FindAllSubmatch(raw, -1) {
		if string(line[1]) == what {
			kib, err := strconv.ParseInt(string(line[2]), 10, 64)
			s.must(err)
			return kib << 10
		}
	}
	s.t.Fatalf("no %s in\n%s", what, raw)
	return 0
}

// A thousand connections, ten thousand links, clients that do not read, that
// take their time, or that write without end and sense: the memory of the bus
// is bounded, and whoever is polite is served meanwhile.
func TestBusBearsWhatClientsDo(t *testing.T) {
	t.Parallel()
	conns := soakConns
	if testing.Short() {
		conns = 50
	}
	raiseFiles(t, uint64(conns)+200)
	s := &soak{
		busRig: newBusRig(t, built(t, shipped), nil, "--queue", "polite,crowd,deaf", "--tls-self-signed"),
		limit:  otherMemory + int64(conns)*connMemory,
	}
	s.start()
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	link, err := s.session(ctx).NewSender(ctx, "polite", nil)
	s.must(err)
	all.Go(func() { s.polite.send(ctx, link) })
	s.served("nobody else", func() {})
	s.served("a crowd", func() { s.crowd(conns) })
	s.served("a client that does not read", func() { s.deaf(ctx) })
	s.served("clients that take their time", s.loris)
	for what, prefix := range s.preludes() {
		s.served("garbage "+what, func() { s.garbage(what, prefix) })
	}
	s.served("signs of life", s.signs)
}

// raiseFiles lets this process have as many files as it may, and the bus, which
// inherits that.
func raiseFiles(t *testing.T, need uint64) {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Cur = limit.Max; limit.Cur < need {
		t.Fatalf("this needs %d open files, and the hard limit is %d", need, limit.Max)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
}

// crowd attaches many links on many connections, which stay.
func (s *soak) crowd(conns int) {
	s.t.Helper()
	var links []byte
	for handle := range uint32(soakLinks) {
		role := wire.Role(handle%2 == 0)
		links = append(links, s.frame(attach(handle, "crowd", role))...)
		if role == wire.RoleReceiver {
			links = append(links, s.frame(credit(handle, 10))...)
		}
	}
	peers := make([]*peer, conns)
	for i := range peers {
		peers[i] = s.peer()
		peers[i].write(append(s.first(5), links...))
	}
	for i, p := range peers {
		err := p.welcomed()
		if err == nil {
			err = p.attached(soakLinks)
		}
		if err != nil {
			s.t.Fatalf("connection %d: %v", i, err)
		}
	}
}

// deaf asks for more than anybody's buffers hold, and does not read it.
func (s *soak) deaf(ctx context.Context) {
	s.t.Helper()
	link, err := s.session(ctx).NewSender(ctx, "deaf", nil)
	s.must(err)
	const count, size = 400, 200 << 10
	for range count {
		s.must(link.Send(ctx, amqp.NewMessage(make([]byte, size)), nil))
	}
	for range 3 {
		p := s.peer()
		p.write(append(s.first(5), s.frame(attach(0, "deaf", wire.RoleReceiver))...))
		s.must(p.welcomed())
		s.must(p.attached(1))
		p.write(s.frame(credit(0, count)))
	}
}

// loris makes clients that say what is right, a byte at a time, from every
// point of the handshake on. All must be sent away.
func (s *soak) loris() {
	s.t.Helper()
	speech := s.first(4)
	hello := []byte{0x16, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3} // how a TLS client begins
	hello = append(hello, make([]byte, 500)...)
	starts := []struct{ said, rest []byte }{{nil, speech}, {nil, hello}, {hello[:5], hello[5:]}}
	for n := range 4 {
		said := len(s.first(n))
		starts = append(starts, struct{ said, rest []byte }{speech[:said], speech[said:]},
			struct{ said, rest []byte }{speech[:said+5], speech[said+5:]})
	}
	nobody, alive := s.anonymous()
	starts = append(starts, struct{ said, rest []byte }{nobody, alive})
	var all sync.WaitGroup
	for _, start := range starts {
		for range 5 {
			p := s.peer()
			p.write(start.said)
			all.Go(func() { p.dawdle(start.rest) })
		}
	}
	for range 5 {
		p := s.peer()
		p.nc = tls.Client(p.nc, &tls.Config{InsecureSkipVerify: true}) // the handshake comes with the first byte
		all.Go(func() { p.dawdle(speech) })
	}
	all.Wait()
}

// anonymous is what a client says that comes in to show a token and never does,
// and the signs of life that it gives.
func (s *soak) anonymous() (said, alive []byte) {
	s.t.Helper()
	speech := s.speech()
	init, err := wire.AppendSASL(nil, &wire.SASLInit{Mechanism: "ANONYMOUS"})
	s.must(err)
	for range 20 {
		alive = wire.AppendEmptyFrame(alive)
	}
	return slices.Concat(speech[0], init, speech[2], speech[3]), alive
}

// dawdle writes slowly until the connection is cut.
func (p *peer) dawdle(rest []byte) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for began := time.Now(); ; <-tick.C {
		if time.Since(began) > time.Minute || len(rest) == 0 {
			p.t.Errorf("a client that has not said what it wants for %v is still there", time.Since(began))
			return
		}
		if _, err := p.nc.Write(rest[:1]); err != nil {
			return
		}
		rest = rest[1:]
	}
}

// preludes are what garbage can follow.
func (s *soak) preludes() map[string][]byte {
	sending := append(s.first(5), s.frame(attach(0, "polite", wire.RoleSender))...)
	endless, _, err := wire.AppendTransfer(nil, 0, &wire.Transfer{
		DeliveryID: wire.Some[uint32](0), DeliveryTag: []byte("tag"), MessageFormat: wire.Some[uint32](0), More: true,
	}, make([]byte, 300), 512)
	s.must(err)
	huge := binary.BigEndian.AppendUint32(nil, 1<<30)
	return map[string][]byte{
		"from the first byte on":       {0xff},
		"in place of a TLS handshake":  {0x16, 3, 1, 64, 0},
		"as HTTP":                      []byte("GET / HTTP/1.1\r\nHost: localhost\r\nX: "),
		"after the header of SASL":     s.first(1),
		"after the header of AMQP":     wire.HeaderOf(wire.ProtocolAMQP).Append(nil),
		"in place of an open":          s.first(3),
		"after a valid open":           s.first(4),
		"as a huge frame":              append(append(s.first(4), huge...), 2, 0, 0, 0),
		"in the midst of a delivery":   append(sending, endless...),
		"as the size of a large frame": append(s.first(4), 0, 0, 0xff, 0xff, 2, 0, 0, 0),
	}
}

// Garbage is offered up to a size that would be noticed, and must be refused
// long before: what is sent then is in the kernel's buffers.
const (
	garbageOffered = 1 << 30
	garbageTaken   = 32 << 20
)

// garbage writes until the connection is cut.
func (s *soak) garbage(what string, prefix []byte) {
	s.t.Helper()
	p := s.peer()
	p.write(prefix)
	chunk := make([]byte, 64<<10)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range chunk {
		chunk[i] = byte(rng.UintN(256)) | 1 // no size is that of a frame that is allowed
	}
	chunk[0] = 0xff
	sent := 0
	for sent < garbageOffered {
		n, err := p.nc.Write(chunk)
		if sent += n; err != nil {
			break
		}
	}
	if sent > garbageTaken {
		s.t.Errorf("%d MiB of garbage %s were taken", sent>>20, what)
	} else {
		s.t.Logf("%d KiB of garbage %s were taken", sent>>10, what)
	}
}

// signs sends signs of life, which a client may do, more than any would.
func (s *soak) signs() {
	s.t.Helper()
	p := s.peer()
	p.write(s.first(4))
	s.must(p.welcomed())
	var chunk []byte
	for len(chunk) < 64<<10 {
		chunk = wire.AppendEmptyFrame(chunk)
	}
	for range 200 {
		p.write(chunk)
	}
	p.write(append(s.frame(&wire.Begin{IncomingWindow: 1, OutgoingWindow: 1}), s.frame(attach(0, "polite", wire.RoleSender))...))
	s.must(p.attached(1))
}
