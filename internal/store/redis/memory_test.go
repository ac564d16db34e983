package redis_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"bellhop/internal/address"
	"bellhop/internal/onboarding"
	"bellhop/internal/redisdb"
	"bellhop/internal/redistest"
	"bellhop/internal/signup"
	"bellhop/internal/store/redis"

	"github.com/google/uuid"
)

// measured is how many sign-ups the measurement of memory makes of each kind.
const measured = 20_000

// BenchmarkMemory measures what a sign-up and its mail take of a server's
// memory, in bytes, with values as long as real ones: what used_memory grew by,
// divided by their number. Times mean nothing here.
//
//	go test ./internal/store/redis -run '^$' -bench Memory
func BenchmarkMemory(b *testing.B) {
	taken := onboarding.Reply{Phase: "dot", Code: 250, Enhanced: "2.0.0", Text: "Ok: queued as 4dKx7T2vQzJ9"}
	wordy := taken
	wordy.Text = "OK  1772366400 5b1f17b1804b1-47aa0388f3csi2210337f8f.123 - gsmtp, accepted for delivery"
	for range b.N {
		m := weigh(b, false)
		due := m.grown()
		m.relay()
		queued := m.grown()
		m.claim()
		sending := m.grown()
		m.record(onboarding.Sent, taken)
		sent := m.grown()
		m.purge()
		purged := m.grown()

		m = weigh(b, false)
		m.claim()
		m.record(onboarding.Sent, wordy)
		wordily := m.grown()

		m = weigh(b, false)
		m.claim()
		m.record(onboarding.Failed, wordy)
		failed := m.grown()

		m = weigh(b, true)
		keyed := m.grown()
		m.forget()
		forgotten := m.grown()

		b.ReportMetric(0, "ns/op")
		for _, value := range []struct {
			name  string
			bytes float64
		}{
			{"due", due}, {"queued", queued}, {"sending", sending}, {"sent", sent}, {"sent_long_answer", wordily},
			{"failed", failed}, {"purged", purged}, {"key", keyed - due}, {"key_forgotten", forgotten - due},
		} {
			b.ReportMetric(value.bytes, "B/"+value.name)
			b.Logf("%-18s %6.0f bytes", value.name, value.bytes)
		}
	}
}

// scales are a fresh server with many sign-ups.
type scales struct {
	b      *testing.B
	ctx    context.Context
	server *redistest.Server
	store  *redis.Store
	clock  *clock
	base   int
	ids    []string
	self   onboarding.Incarnation
}

// weigh stores sign-ups in a fresh server.
func weigh(b *testing.B, keys bool) *scales {
	b.Helper()
	p := onboarding.DefaultPolicy()
	p.Retention = time.Hour
	m := &scales{b: b, ctx: context.Background(), server: redistest.Start(b, redistest.Options{}), clock: &clock{now: time.Now()}, self: onboarding.NewIncarnation()}
	m.store = connect(b, redisdb.Settings{URL: m.server.URL(0)}, redis.Options{Policy: p, Now: m.clock.Now})
	ok(b, m.store.Heartbeat(m.ctx, m.self))
	m.base = m.used()
	for range measured {
		id, err := uuid.NewV7()
		ok(b, err)
		m.ids = append(m.ids, id.String())
	}
	m.each(func(i int) error {
		_, err := m.store.Accept(m.ctx, realistic(m.ids[i], i, keys))
		return err
	})
	return m
}

// realistic is a form whose values are about as long as people's are.
func realistic(id string, i int, key bool) signup.Acceptance {
	first := []string{"Ada", "Katharina", "José", "Min-jun", "Oluwaseun"}[i%5]
	last := []string{"Lovelace", "Schönberger", "García Hernández", "Kim", "Adeyemi"}[i/5%5]
	to, err := address.Parse(fmt.Sprintf("%s%d@mail.example.com", []string{"ada", "katharina.s", "jose.garcia"}[i%3], i))
	if err != nil {
		panic(err) // it is an address
	}
	a := form(id, i, key)
	a.Person.First, a.Person.Last, a.Person.Address = first, last, to
	return a
}

// each does something for each sign-up, many at once.
func (m *scales) each(do func(i int) error) {
	m.b.Helper()
	const callers = 64
	var group sync.WaitGroup
	for c := range callers {
		group.Go(func() {
			for i := c; i < measured; i += callers {
				if err := do(i); err != nil {
					m.b.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	if m.b.Failed() {
		m.b.FailNow()
	}
}

// ref is a mail's reference: it was never due twice.
func (m *scales) ref(i int) onboarding.Ref {
	return onboarding.Ref{Mail: onboarding.NewMailID(m.ids[i], onboarding.SignUp, 1), Gen: 1}
}

func (m *scales) relay() {
	m.b.Helper()
	m.each(func(i int) error { return m.store.Relayed(m.ctx, []onboarding.Ref{m.ref(i)}) })
}

func (m *scales) hold(i int) onboarding.Claim {
	return onboarding.Claim{Ref: m.ref(i), Holder: m.self, Op: fmt.Sprintf("%s/%d", m.self, i)}
}

func (m *scales) claim() {
	m.b.Helper()
	m.each(func(i int) error { _, err := m.store.Claim(m.ctx, m.hold(i)); return err })
}

func (m *scales) record(to onboarding.State, reply onboarding.Reply) {
	m.b.Helper()
	m.each(func(i int) error {
		rendered := onboarding.Rendered{Mint: 1, BodyHash: [32]byte{byte(i), byte(i >> 8), 31: 1}}
		if err := m.store.Committing(m.ctx, m.hold(i), rendered); err != nil {
			return err
		}
		reason := "the mail server refused it (at " + reply.Phase + ": " + reply.Text + ")"
		_, err := m.store.Record(m.ctx, m.hold(i), onboarding.Result{To: to, Counts: true, Reason: reason, Reply: reply})
		return err
	})
}

// purge lets the retention pass, and forget a key's day.
func (m *scales) purge()  { m.b.Helper(); m.sweep(2 * time.Hour) }
func (m *scales) forget() { m.b.Helper(); m.sweep(25 * time.Hour) }

func (m *scales) sweep(after time.Duration) {
	m.b.Helper()
	m.clock.Advance(after)
	for more := true; more; {
		swept, err := m.store.Sweep(m.ctx, m.self, 1000)
		ok(m.b, err)
		more = swept.More
	}
}

// grown is how many bytes each sign-up takes now.
func (m *scales) grown() float64 {
	m.b.Helper()
	return float64(m.used()-m.base) / measured
}

// used is the memory in use but for the buffers of connections, once it stands
// still: tables that grow are moved a bit at a time.
func (m *scales) used() int {
	m.b.Helper()
	again := time.NewTicker(200 * time.Millisecond)
	defer again.Stop()
	last := 0
	for range 100 {
		info, err := m.server.Do("INFO", "memory")
		ok(m.b, err)
		used := field(m.b, info, "used_memory") - field(m.b, info, "mem_clients_normal")
		if change := used - last; change > -1000 && change < 1000 {
			return used
		}
		last = used
		<-again.C
	}
	m.b.Fatal("the memory in use does not stand still")
	return 0
}

// field is a number in an INFO.
func field(t testing.TB, info, name string) int {
	t.Helper()
	for line := range strings.Lines(info) {
		if value, is := strings.CutPrefix(line, name+":"); is {
			n, err := strconv.Atoi(strings.TrimSpace(value))
			ok(t, err)
			return n
		}
	}
	t.Fatalf("there is no %s in %s", name, info)
	return 0
}
