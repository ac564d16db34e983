package enumerationtest

import (
	"bufio"
	"fmt"
	"maps"
	"net"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"bellhop/internal/redistest"
)

// times is how often each request is made while the commands are counted. What
// the process sends by itself meanwhile, a heartbeat now and then, is less than
// half as much of each kind and does not count.
const times = 16

// monitor listens to all that a Redis is told.
type monitor struct {
	*testing.T
	redis *redistest.Server
	said  *bufio.Reader
	marks int
}

func listen(t *testing.T, redis *redistest.Server) *monitor {
	conn, err := net.Dial("tcp", redis.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(5 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte("MONITOR\r\n")); err != nil {
		t.Fatal(err)
	}
	m := &monitor{T: t, redis: redis, said: bufio.NewReader(conn)}
	if answer := m.line(); answer != "+OK" {
		t.Fatalf("MONITOR: %s", answer)
	}
	return m
}

func (m *monitor) line() string {
	m.Helper()
	line, err := m.said.ReadString('\n')
	if err != nil {
		m.Fatalf("listen to Redis: %v", err)
	}
	return strings.TrimRight(line, "\r\n")
}

// mark says something to Redis, and returns what others said before it.
func (m *monitor) mark() (before []string) {
	m.Helper()
	m.marks++
	mark := fmt.Sprintf("mark-%d", m.marks)
	if _, err := m.redis.Do("ECHO", mark); err != nil {
		m.Fatal(err)
	}
	for {
		line := m.line()
		if strings.Contains(line, mark) {
			return before
		}
		before = append(before, line)
	}
}

var (
	// A line of MONITOR is +TIME [DB CLIENT] "COMMAND" "ARGUMENT"..., where the
	// client is "lua" for what a script does by itself.
	monitored = regexp.MustCompile(`^\+[\d.]+ \[\d+ (\S+)\] (.*)$`)
	argument  = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
)

// during counts what clients send while ask is made so many times, each kind per
// time: a command by its name, a script by its hash and how much it is given. A
// PUBLISH tells relays of new mails, once for all that came since the last, and
// is left out.
func (m *monitor) during(ask []func()) map[string]int {
	m.Helper()
	m.mark()
	for _, request := range ask {
		request()
	}
	all := map[string]int{}
	for _, line := range m.mark() {
		parts := monitored.FindStringSubmatch(line)
		if parts == nil {
			m.Fatalf("MONITOR says %q", line)
		}
		words := argument.FindAllString(parts[2], -1)
		name := strings.ToLower(strings.Trim(words[0], `"`))
		if parts[1] == "lua" || name == "publish" {
			continue
		}
		if name == "evalsha" {
			name += " " + words[1] + " keys " + words[2]
		}
		all[fmt.Sprintf("%s of %d words", name, len(words))]++
	}
	each := map[string]int{}
	for name, n := range all {
		if n = (n + len(ask)/2) / len(ask); n > 0 {
			each[name] = n
		}
	}
	return each
}

// listed is what was counted, for people.
func listed(commands map[string]int) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(commands)) {
		fmt.Fprintf(&b, "  %d × %s\n", commands[name], name)
	}
	return b.String()
}

// crowd is so many addresses of a kind.
func crowd(t *testing.T, p *program, address func(*testing.T, *program) string) (all []string) {
	for range times {
		all = append(all, address(t, p))
	}
	return all
}

// causes counts what a request about each of some addresses makes the program
// send, and what more does after it.
func (m *monitor) causes(what measurement, p *program, about []string, more func(*visitor)) map[string]int {
	m.Helper()
	var asks []func()
	for _, address := range about {
		v := visit(m.T, p)
		request := what.before(v, address)
		asks = append(asks, func() { request(); more(v) })
	}
	return m.during(asks)
}

// B1.5, I7: what a process sends to Redis for a request is the same for every
// kind of address, command by command: nothing is looked up for some and not for
// others. It is the work itself that is compared, on however busy a machine.
func TestB1_5_EveryAddressCausesTheSameCommands(t *testing.T) {
	redis := redistest.Start(t, redistest.Options{})
	// As many as this test asks itself about one address.
	at := []string{"--data-dir", t.TempDir(), "--store", redis.URL(0), "--queue", "redis", "--mail-budget", "1/10m", "--limit-address", "6/1h"}
	sending := serve(t, at...)
	makers, known := kinds(new(addresses)), map[string][]string{}
	fresh := func() []string { return crowd(t, sending, makers["new"]) }
	for kind, address := range makers {
		if kind != "new" {
			known[kind] = crowd(t, sending, address)
		}
	}
	sending.stop() // what it sends to Redis is about mails
	web := serve(t, append(at, "--roles", "web")...)
	m := listen(t, redis)
	nothing := func(*visitor) {}
	for _, what := range measurements() {
		want := m.causes(what, web, fresh(), nothing)
		for kind, about := range known {
			if got := m.causes(what, web, about, nothing); !maps.Equal(got, want) {
				t.Errorf("%s, %s: Redis is sent\n%sand for a new address\n%s", what.name, kind, listed(got), listed(want))
			}
		}
		// The comparison finds work that is done besides.
		if got := m.causes(what, web, fresh(), func(v *visitor) { v.askByAPI("else@example.com") }); len(want) == 0 || maps.Equal(got, want) {
			t.Errorf("%s: a request more, and Redis is sent the same:\n%s", what.name, listed(got))
		}
	}
}
