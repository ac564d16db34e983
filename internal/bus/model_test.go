package bus_test

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"bellhop/internal/bus"

	"pgregory.net/rapid"
)

// item is a message as the model knows it.
type item struct {
	seq      int64
	origin   int64
	id       string
	state    bus.State
	count    int
	ttl      time.Duration
	enqueued time.Time
	expires  time.Time // zero: never
	reason   string
	note     string // set by the latest settlement with properties

	held  bool
	token bus.LockToken
	until time.Time
}

// box is a queue, or its dead-letter queue, in the model.
type box struct {
	name  string
	next  int64
	items map[int64]*item
}

func newBox(name string) *box { return &box{name: name, next: 1, items: map[int64]*item{}} }

// inOrder returns the items that match, by sequence number.
func (b *box) inOrder(match func(*item) bool) (all []*item) {
	for _, seq := range slices.Sorted(maps.Keys(b.items)) {
		if it := b.items[seq]; match(it) {
			all = append(all, it)
		}
	}
	return all
}

func (b *box) put(it *item) {
	it.seq = b.next
	b.next++
	b.items[it.seq] = it
}

// model is the bus in memory: one queue and its dead letters.
type model struct {
	*broker
	rt         *rapid.T
	settings   bus.Settings
	main, dead *box
	seen       map[string]time.Time
	tokens     []bus.LockToken // every one ever given, with some that never were
}

func (m *model) now() time.Time { return m.clock.Now() }

func (m *model) check(ok bool, format string, args ...any) {
	if !ok {
		m.rt.Fatalf(format, args...)
	}
}

// expiry is when a message that becomes active now expires.
func (m *model) expiry(ttl time.Duration) time.Time {
	if ttl == 0 || m.settings.DefaultTTL != 0 && m.settings.DefaultTTL < ttl {
		ttl = m.settings.DefaultTTL
	}
	if ttl == 0 {
		return time.Time{}
	}
	return m.now().Add(ttl)
}

func (m *model) bury(it *item, reason string) {
	delete(m.main.items, it.seq)
	it.origin, it.state, it.held = it.seq, bus.Active, false
	if reason != "" {
		it.reason = reason
	}
	m.dead.put(it)
}

// giveBack is the end of a hold that counts.
func (m *model) giveBack(b *box, it *item) {
	it.held = false
	if b == m.dead {
		return
	}
	it.count++
	if it.count >= m.settings.MaxDeliveryCount {
		m.bury(it, bus.ReasonMaxDeliveryCount)
	}
}

// settle does what is due.
func (m *model) settle() {
	for _, b := range []*box{m.main, m.dead} {
		ended := b.inOrder(func(it *item) bool { return it.held && !m.now().Before(it.until) })
		slices.SortStableFunc(ended, func(a, b *item) int { return a.until.Compare(b.until) })
		for _, it := range ended {
			m.giveBack(b, it)
		}
	}
	due := m.main.inOrder(func(it *item) bool { return !it.held && !m.due(it).IsZero() && !m.due(it).After(m.now()) })
	slices.SortStableFunc(due, func(a, b *item) int {
		return cmp.Or(m.due(a).Compare(m.due(b)), cmp.Compare(a.state, b.state))
	})
	for _, it := range due {
		switch {
		case it.state == bus.Scheduled:
			delete(m.main.items, it.seq)
			it.state, it.enqueued, it.expires = bus.Active, m.now(), m.expiry(it.ttl)
			m.main.put(it)
		case m.settings.DeadLetterOnExpiration:
			m.bury(it, bus.ReasonExpired)
		default:
			delete(m.main.items, it.seq)
		}
	}
}

func (m *model) due(it *item) time.Time {
	switch it.state {
	case bus.Scheduled:
		return it.enqueued
	case bus.Active:
		return it.expires
	}
	return time.Time{}
}

func (m *model) send(t *rapid.T) {
	var messages []bus.Message
	var want []int64
	for range rapid.IntRange(1, 3).Draw(t, "messages") {
		msg := text(rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}).Draw(t, "id"))
		msg.TTL = rapid.SampledFrom([]time.Duration{0, 0, 4 * time.Second, time.Minute}).Draw(t, "ttl")
		delay := rapid.SampledFrom([]time.Duration{0, 0, -time.Second, 3 * time.Second, 30 * time.Second}).Draw(t, "delay")
		if delay != 0 {
			msg.ScheduledEnqueueTime = m.now().Add(delay)
		}
		messages = append(messages, msg)
		want = append(want, m.sent(msg, delay))
	}
	got, err := m.Send(m.tb.Context(), "q", messages...)
	m.check(err == nil, "send: %v", err)
	m.check(slices.Equal(got, want), "sent as %v, want %v", got, want)
}

func (m *model) sent(msg bus.Message, delay time.Duration) int64 {
	if seen, ok := m.seen[msg.MessageID]; m.settings.DuplicateWindow > 0 {
		if ok && seen.After(m.now().Add(-m.settings.DuplicateWindow)) {
			return 0
		}
		m.seen[msg.MessageID] = m.now()
	}
	it := &item{id: msg.MessageID, ttl: msg.TTL, enqueued: m.now()}
	if delay > 0 {
		it.state, it.enqueued = bus.Scheduled, m.now().Add(delay)
	} else {
		it.expires = m.expiry(msg.TTL)
	}
	m.main.put(it)
	return it.seq
}

func (m *model) box(t *rapid.T) *box {
	return rapid.SampledFrom([]*box{m.main, m.main, m.dead}).Draw(t, "box")
}

func (m *model) receive(t *rapid.T) {
	b := m.box(t)
	opts := bus.ReceiveOptions{Limit: rapid.IntRange(1, 3).Draw(t, "limit"), NoWait: true, Delete: rapid.IntRange(0, 4).Draw(t, "delete") == 0}
	got, err := m.Receive(m.tb.Context(), b.name, opts)
	m.check(err == nil, "receive: %v", err)
	want := b.inOrder(func(it *item) bool { return it.state == bus.Active && !it.held })
	m.took(b, got, want[:min(len(want), opts.Limit)], opts.Delete)
}

// took compares what was received and notes the locks.
func (m *model) took(b *box, got []bus.Received, want []*item, remove bool) {
	m.check(len(got) == len(want), "received %d messages from %s, want %d", len(got), b.name, len(want))
	for i, it := range want {
		m.same(got[i], it)
		if remove {
			m.check(got[i].LockToken == bus.LockToken{}, "a deleted message has a lock token")
			delete(b.items, it.seq)
			continue
		}
		it.held, it.token, it.until = true, got[i].LockToken, m.now().Add(m.settings.LockDuration)
		m.check(got[i].LockedUntil.Equal(it.until), "locked until %s, want %s", got[i].LockedUntil, it.until)
		m.tokens = append(m.tokens, it.token)
	}
}

func (m *model) same(got bus.Received, it *item) {
	reason, _ := got.Properties[bus.DeadLetterReason].(string)
	note, _ := got.Properties["note"].(string)
	g := fmt.Sprintln(got.SequenceNumber, got.EnqueuedSequenceNumber, got.MessageID, string(got.Body.Bytes), got.State, got.DeliveryCount,
		got.EnqueuedTime.UnixMilli(), got.ExpiresAt.UnixMilli(), reason, note)
	w := fmt.Sprintln(it.seq, it.origin, it.id, string(got.Body.Bytes), it.state, it.count, it.enqueued.UnixMilli(), it.expires.UnixMilli(), it.reason, it.note)
	m.check(g == w, "message\n%swant\n%s", g, w)
}

func (m *model) receiveDeferred(t *rapid.T) {
	b := m.box(t)
	seqs := rapid.SliceOfNDistinct(rapid.Int64Range(1, b.next), 1, 2, rapid.ID).Draw(t, "numbers")
	slices.Sort(seqs)
	var want []*item
	for _, seq := range seqs {
		if it, ok := b.items[seq]; ok && it.state == bus.Deferred && !it.held {
			want = append(want, it)
		}
	}
	got, err := m.ReceiveDeferred(m.tb.Context(), b.name, bus.ReceiveOptions{}, seqs...)
	if len(want) < len(seqs) {
		m.check(errors.Is(err, bus.ErrMessageNotFound), "receive deferred %v: %v", seqs, err)
		return
	}
	m.check(err == nil, "receive deferred: %v", err)
	m.took(b, got, want, false)
}

// holder draws a token and finds who has it, if the lock lives.
func (m *model) holder(t *rapid.T) (bus.LockToken, *box, *item) {
	token := rapid.SampledFrom(m.tokens).Draw(t, "token")
	for _, b := range []*box{m.main, m.dead} {
		for _, it := range b.items {
			if it.held && it.token == token {
				return token, b, it
			}
		}
	}
	return token, nil, nil
}

// settled checks a settlement's error and, if it took place, applies it.
func (m *model) settled(err error, it *item, apply func()) {
	if it == nil {
		m.check(errors.Is(err, bus.ErrLockLost), "settled a lost lock: %v", err)
		return
	}
	m.check(err == nil, "settle: %v", err)
	it.held = false
	apply()
}

func (m *model) complete(t *rapid.T) {
	token, b, it := m.holder(t)
	m.settled(m.Complete(m.tb.Context(), token), it, func() { delete(b.items, it.seq) })
}

func (m *model) note(t *rapid.T, it *item) bus.Properties {
	note := rapid.SampledFrom([]string{"", "x", "y"}).Draw(t, "note")
	if note == "" {
		return nil
	}
	if it != nil {
		it.note = note
	}
	return bus.Properties{"note": note}
}

func (m *model) abandon(t *rapid.T) {
	token, b, it := m.holder(t)
	m.settled(m.Abandon(m.tb.Context(), token, m.note(t, it)), it, func() { m.giveBack(b, it) })
}

func (m *model) deferIt(t *rapid.T) {
	token, b, it := m.holder(t)
	m.settled(m.Defer(m.tb.Context(), token, m.note(t, it)), it, func() {
		it.state = bus.Deferred
		if b == m.main {
			it.count++
		}
	})
}

func (m *model) deadLetter(t *rapid.T) {
	token, b, it := m.holder(t)
	if b == m.dead && it != nil {
		m.check(errors.Is(m.DeadLetter(m.tb.Context(), token, "twice", "", nil), bus.ErrInvalid), "a dead letter died again")
		return
	}
	m.settled(m.DeadLetter(m.tb.Context(), token, "Unwanted", "", m.note(t, it)), it, func() { m.bury(it, "Unwanted") })
}

func (m *model) renew(t *rapid.T) {
	token, _, it := m.holder(t)
	until, err := m.Renew(m.tb.Context(), token)
	m.settled(err, it, func() {
		it.held, it.until = true, m.now().Add(m.settings.LockDuration)
		m.check(until.Equal(it.until), "renewed until %s, want %s", until, it.until)
	})
}

func (m *model) cancel(t *rapid.T) {
	seq := rapid.Int64Range(1, m.main.next).Draw(t, "number")
	err := m.CancelScheduled(m.tb.Context(), "q", seq)
	if it, ok := m.main.items[seq]; !ok || it.state != bus.Scheduled {
		m.check(errors.Is(err, bus.ErrMessageNotFound), "cancelled %d: %v", seq, err)
		return
	}
	m.check(err == nil, "cancel: %v", err)
	delete(m.main.items, seq)
}

func (m *model) replayOrDiscard(t *rapid.T) {
	seq := rapid.Int64Range(1, m.dead.next).Draw(t, "number")
	replay := rapid.Bool().Draw(t, "replay")
	do := m.Discard
	if replay {
		do = m.Replay
	}
	err := do(m.tb.Context(), "q", seq)
	it, ok := m.dead.items[seq]
	if !ok || it.held {
		m.check(errors.Is(err, bus.ErrMessageNotFound), "dead letter %d: %v", seq, err)
		return
	}
	m.check(err == nil, "dead letter: %v", err)
	delete(m.dead.items, seq)
	if replay {
		m.main.put(it)
		it.state, it.origin, it.count, it.reason = bus.Active, 0, 0, ""
		it.enqueued, it.expires = m.now(), m.expiry(it.ttl)
		all, err := m.Peek(m.tb.Context(), "q", it.seq, 1)
		m.check(err == nil && len(all) == 1 && all[0].MessageID != it.id, "replayed as %v: %v", ids(all), err)
		it.id = all[0].MessageID
	}
}

func (m *model) wait(t *rapid.T) {
	m.clock.advance(rapid.SampledFrom([]time.Duration{time.Millisecond, 3 * time.Second, 10 * time.Second, time.Minute}).Draw(t, "time"))
	m.settle()
	err := m.Tick(m.tb.Context())
	m.check(err == nil, "tick: %v", err)
}

func (m *model) again(*rapid.T) {
	m.reopen()
	for _, b := range []*box{m.main, m.dead} {
		for _, state := range []bus.State{bus.Active, bus.Deferred} {
			for _, it := range b.inOrder(func(it *item) bool { return it.held && it.state == state }) {
				m.giveBack(b, it)
			}
		}
	}
	m.settle()
}

// agree compares everything that can be seen.
func (m *model) agree(*rapid.T) {
	m.settle() // a message given back may have expired while it was held
	var counts bus.Counts
	for _, it := range m.main.items {
		switch it.state {
		case bus.Active:
			counts.Active++
		case bus.Deferred:
			counts.Deferred++
		case bus.Scheduled:
			counts.Scheduled++
		}
	}
	counts.DeadLetter = int64(len(m.dead.items))
	q, err := m.Queue(m.tb.Context(), "q")
	m.check(err == nil && q.Counts == counts, "counts %+v (%v), want %+v", q.Counts, err, counts)
	for _, b := range []*box{m.main, m.dead} {
		got, err := m.Peek(m.tb.Context(), b.name, 0, 250)
		m.check(err == nil, "peek: %v", err)
		want := b.inOrder(func(*item) bool { return true })
		m.check(len(got) == len(want), "%s has %d messages, want %d", b.name, len(got), len(want))
		for i := range got {
			m.same(got[i], want[i])
		}
	}
}

// The bus does what a simple model of it does, whatever one does to it, time
// and sudden ends of the process included.
func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := &model{rt: rt, main: newBox("q"), dead: newBox(dead), seen: map[string]time.Time{}, tokens: []bus.LockToken{{}, {1}}}
		m.broker = &broker{tb: t, path: filepath.Join(t.TempDir(), "bus.db"), clock: newClock()}
		m.start()
		defer m.stop()
		m.settings = bus.Settings{
			LockDuration: 10 * time.Second, MaxDeliveryCount: 3,
			DefaultTTL:             rapid.SampledFrom([]time.Duration{0, 20 * time.Second}).Draw(rt, "default ttl"),
			DeadLetterOnExpiration: rapid.Bool().Draw(rt, "dead-letter expired"),
			DuplicateWindow:        rapid.SampledFrom([]time.Duration{0, 20 * time.Second}).Draw(rt, "window"),
		}
		m.must(m.CreateQueue(t.Context(), "q", m.settings))
		rt.Repeat(map[string]func(*rapid.T){
			"": m.agree, "send": m.send, "send more": m.send, "receive": m.receive, "receive more": m.receive, "receive deferred": m.receiveDeferred,
			"complete": m.complete, "abandon": m.abandon, "defer": m.deferIt, "dead-letter": m.deadLetter, "renew": m.renew,
			"cancel": m.cancel, "replay or discard": m.replayOrDiscard, "wait": m.wait, "reopen": m.again,
		})
	})
}
