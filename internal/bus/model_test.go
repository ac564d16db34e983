package bus_test

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"bellhop/internal/bus"

	"pgregory.net/rapid"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
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
	expires  time.Time      // zero: never
	sent     bus.Properties // as they were sent
	amended  bus.Properties // set since

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
	status     bus.Status
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

func (m *model) bury(it *item, reason, description string) {
	delete(m.main.items, it.seq)
	it.origin, it.state, it.held = it.seq, bus.Active, false
	set := bus.Properties{bus.DeadLetterReason: reason}
	if description != "" {
		set[bus.DeadLetterErrorDescription] = description
	}
	it.amend(set)
	m.dead.put(it)
}

func (it *item) amend(set bus.Properties) {
	if it.amended == nil && len(set) > 0 {
		it.amended = bus.Properties{}
	}
	maps.Copy(it.amended, set)
}

// giveBack is the end of a hold that counts.
func (m *model) giveBack(b *box, it *item) {
	it.held = false
	if b == m.dead {
		return
	}
	it.count++
	if it.count >= m.settings.MaxDeliveryCount {
		m.bury(it, bus.ReasonMaxDeliveryCount, fmt.Sprintf("The message was delivered %d times without being completed.", it.count))
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
			m.bury(it, bus.ReasonExpired, "The message expired and was dead lettered.")
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
		if note := rapid.SampledFrom([]string{"", "sent"}).Draw(t, "note"); note != "" {
			msg.Properties = bus.Properties{"note": note, "kept": int32(1)}
		}
		msg.TTL = rapid.SampledFrom([]time.Duration{0, 0, 4 * time.Second, time.Minute}).Draw(t, "ttl")
		delay := rapid.SampledFrom([]time.Duration{0, 0, -time.Second, 3 * time.Second, 30 * time.Second}).Draw(t, "delay")
		if delay != 0 {
			msg.ScheduledEnqueueTime = m.now().Add(delay)
		}
		messages = append(messages, msg)
		if m.sends() {
			want = append(want, m.sent(msg, delay))
		}
	}
	var got []int64
	var err error
	if rapid.Bool().Draw(t, "start") {
		done := make(chan struct{})
		m.StartSend("q", messages, func(seqs []int64, failure error) {
			got, err = seqs, failure
			close(done)
		})
		<-done
	} else {
		got, err = m.Send(m.tb.Context(), "q", messages...)
	}
	if !m.sends() {
		m.check(errors.Is(err, bus.ErrDisabled), "sent while disabled: %v", err)
		return
	}
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
	it := &item{id: msg.MessageID, sent: msg.Properties, ttl: msg.TTL, enqueued: m.now()}
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
	if !m.receives() {
		m.check(errors.Is(err, bus.ErrDisabled), "received while disabled: %v", err)
		return
	}
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
	properties := maps.Clone(it.sent)
	if properties == nil && it.amended != nil {
		properties = bus.Properties{}
	}
	maps.Copy(properties, it.amended)
	g := fmt.Sprintf("%d %d %s %s %d %d %d %d %#v %#v\n", got.SequenceNumber, got.EnqueuedSequenceNumber, got.MessageID, got.Body.Bytes, got.State,
		got.DeliveryCount, got.EnqueuedTime.UnixMilli(), got.ExpiresAt.UnixMilli(), got.Properties, got.Amended)
	w := fmt.Sprintf("%d %d %s %s %d %d %d %d %#v %#v\n", it.seq, it.origin, it.id, got.Body.Bytes, it.state,
		it.count, it.enqueued.UnixMilli(), it.expires.UnixMilli(), properties, it.amended)
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
	if !m.receives() {
		m.check(errors.Is(err, bus.ErrDisabled), "received deferred while disabled: %v", err)
		return
	}
	if len(want) < len(seqs) {
		m.check(errors.Is(err, bus.ErrMessageNotFound), "receive deferred %v: %v", seqs, err)
		return
	}
	m.check(err == nil, "receive deferred: %v", err)
	m.took(b, got, want, false)
}

// holder finds what a token holds, if its lock lives.
func (m *model) holder(token bus.LockToken) (*box, *item) {
	for _, b := range []*box{m.main, m.dead} {
		for _, it := range b.items {
			if it.held && it.token == token {
				return b, it
			}
		}
	}
	return nil, nil
}

// apply does what a settlement does.
func (m *model) apply(s bus.Settlement, b *box, it *item) {
	it.held = false
	switch s.Kind {
	case bus.Complete:
		delete(b.items, it.seq)
	case bus.Abandon:
		it.amend(s.Modify)
		m.giveBack(b, it)
	case bus.Defer:
		it.amend(s.Modify)
		it.state = bus.Deferred
		if b == m.main {
			it.count++
		}
	case bus.DeadLetter:
		it.amend(s.Modify)
		m.bury(it, s.Reason, s.Description)
	}
}

// token draws a live lock's token more often than any.
func (m *model) token(t *rapid.T) bus.LockToken {
	var live []bus.LockToken
	for _, b := range []*box{m.main, m.dead} {
		for _, it := range b.inOrder(func(it *item) bool { return it.held }) {
			live = append(live, it.token)
		}
	}
	if len(live) > 0 && rapid.IntRange(0, 3).Draw(t, "live") > 0 {
		return rapid.SampledFrom(live).Draw(t, "live token")
	}
	return rapid.SampledFrom(m.tokens).Draw(t, "token")
}

// settlement draws one.
func (m *model) settlement(t *rapid.T) bus.Settlement {
	s := bus.Settlement{Token: m.token(t)}
	s.Kind = rapid.SampledFrom([]bus.SettleKind{bus.Complete, bus.Abandon, bus.Defer, bus.DeadLetter, bus.Release}).Draw(t, "kind")
	s.Queue = rapid.SampledFrom([]string{"", "Q", dead, "other"}).Draw(t, "queue")
	if note := rapid.SampledFrom([]string{"", "x", "y"}).Draw(t, "note"); note != "" && (s.Kind == bus.Abandon || s.Kind == bus.Defer || s.Kind == bus.DeadLetter) {
		s.Modify = bus.Properties{"note": note}
	}
	if s.Kind == bus.DeadLetter {
		s.Reason, s.Description = "Unwanted", rapid.SampledFrom([]string{"", "Nobody wants it."}).Draw(t, "description")
	}
	return s
}

// settled applies a settlement and returns the error it must have.
func (m *model) settled(s bus.Settlement) error {
	b, it := m.holder(s.Token)
	if it == nil || s.Queue != "" && !strings.EqualFold(s.Queue, b.name) {
		return bus.ErrLockLost
	}
	if b == m.dead && s.Kind == bus.DeadLetter {
		return bus.ErrInvalid
	}
	m.apply(s, b, it)
	return nil
}

func (m *model) settleOne(t *rapid.T) {
	s := m.settlement(t)
	s.Queue = "" // these calls have none
	want := m.settled(s)
	ctx := m.tb.Context()
	var err error
	switch s.Kind {
	case bus.Complete:
		err = m.Complete(ctx, s.Token)
	case bus.Abandon:
		err = m.Abandon(ctx, s.Token, s.Modify)
	case bus.Defer:
		err = m.Defer(ctx, s.Token, s.Modify)
	case bus.DeadLetter:
		err = m.DeadLetter(ctx, s.Token, s.Reason, s.Description, s.Modify)
	case bus.Release:
		err = m.Release(ctx, s.Token)
	}
	m.check(errors.Is(err, want), "%+v: %v, want %v", s, err, want)
}

func (m *model) settleMany(t *rapid.T) {
	all := rapid.SliceOfN(rapid.Custom(m.settlement), 1, 5).Draw(t, "settlements")
	want := make([]error, len(all))
	for i, s := range all {
		want[i] = m.settled(s)
	}
	for i, err := range m.startSettle(all...) {
		m.check(errors.Is(err, want[i]), "%+v: %v, want %v", all[i], err, want[i])
	}
}

func (m *model) renew(t *rapid.T) {
	tokens := rapid.SliceOfN(rapid.Custom(m.token), 1, 3).Draw(t, "tokens")
	name := rapid.SampledFrom([]string{"", "", "Q", dead, "other"}).Draw(t, "queue")
	ends, err := m.RenewLocks(m.tb.Context(), name, tokens...)
	var held []*item
	for _, token := range tokens {
		b, it := m.holder(token)
		if it == nil || name != "" && !strings.EqualFold(name, b.name) {
			m.check(errors.Is(err, bus.ErrLockLost), "renewed a lost lock: %v", err)
			return
		}
		held = append(held, it)
	}
	m.check(err == nil && len(ends) == len(held), "renew: %v, %v", ends, err)
	for i, it := range held {
		it.until = m.now().Add(m.settings.LockDuration)
		m.check(ends[i].Equal(it.until), "renewed until %s, want %s", ends[i], it.until)
	}
}

func (m *model) loseLocks(t *rapid.T) {
	b := m.box(t)
	n, err := m.LoseLocks(m.tb.Context(), b.name)
	held := b.inOrder(func(it *item) bool { return it.held })
	m.check(err == nil && n == len(held), "lost %d locks (%v), want %d", n, err, len(held))
	for _, it := range held {
		it.until = m.now()
	}
}

func (m *model) purge(t *rapid.T) {
	b := m.box(t)
	n, err := m.Purge(m.tb.Context(), b.name)
	m.check(err == nil && n == len(b.items), "purged %d (%v), want %d", n, err, len(b.items))
	clear(b.items)
}

func (m *model) sends() bool {
	return m.status != bus.StatusDisabled && m.status != bus.StatusSendDisabled
}

func (m *model) receives() bool {
	return m.status != bus.StatusDisabled && m.status != bus.StatusReceiveDisabled
}

func (m *model) setStatus(t *rapid.T) {
	m.status = rapid.SampledFrom([]bus.Status{0, 0, 0, bus.StatusDisabled, bus.StatusSendDisabled, bus.StatusReceiveDisabled}).Draw(t, "status")
	settings := m.settings
	settings.Status = m.status
	m.must(m.UpdateQueue(m.tb.Context(), "q", settings))
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
		it.state, it.origin, it.count = bus.Active, 0, 0
		delete(it.amended, bus.DeadLetterReason)
		delete(it.amended, bus.DeadLetterErrorDescription)
		if len(it.amended) == 0 {
			it.amended = nil
		}
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
	m.sizes()
	m.reopen()
	if m.path == "" { // all is gone
		m.main, m.dead, m.seen = newBox("q"), newBox(dead), map[string]time.Time{}
		settings := m.settings
		settings.Status = m.status
		m.must(m.CreateQueue(m.tb.Context(), "q", settings))
		return
	}
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
	m.check((q.SizeBytes > 0) == (len(m.main.items)+len(m.dead.items) > 0), "%d bytes for %+v", q.SizeBytes, counts)
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

// sizes compares the sizes that are kept with those of the messages on disk.
func (m *model) sizes() {
	if m.path == "" {
		return
	}
	conn, err := sqlite.OpenConn(m.path, sqlite.OpenReadOnly)
	m.must(err)
	defer conn.Close()
	for _, wrong := range []string{
		`SELECT count(*) FROM subqueue s WHERE bytes != (SELECT coalesce(sum(octet_length(message_id) + length(head) + length(properties)
			+ length(body) + length(extra)), 0) FROM entry e JOIN message m ON m.id = e.message WHERE e.queue = s.id)`,
		"SELECT count(*) FROM message WHERE id NOT IN (SELECT message FROM entry)",
	} {
		n, err := sqlitex.ResultInt64(conn.Prep(wrong))
		m.check(err == nil && n == 0, "%d from %s (%v)", n, wrong, err)
	}
}

// The bus does what a simple model of it does, whatever one does to it, time
// and sudden ends of the process included.
func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := &model{rt: rt, main: newBox("q"), dead: newBox(dead), seen: map[string]time.Time{}, tokens: []bus.LockToken{{}, {1}}}
		m.broker = &broker{tb: t, clock: newClock()}
		if rapid.Bool().Draw(rt, "disk") {
			m.path = filepath.Join(t.TempDir(), "bus.db")
		}
		m.start()
		defer m.stop()
		m.settings = bus.Settings{
			LockDuration: 10 * time.Second, MaxDeliveryCount: 3,
			DefaultTTL:             rapid.SampledFrom([]time.Duration{0, 20 * time.Second}).Draw(rt, "default ttl"),
			DeadLetterOnExpiration: rapid.Bool().Draw(rt, "dead-letter expired"),
			DuplicateWindow:        rapid.SampledFrom([]time.Duration{0, 20 * time.Second}).Draw(rt, "window"),
		}
		m.must(m.CreateQueue(t.Context(), "q", m.settings))
		defer m.sizes()
		rt.Repeat(map[string]func(*rapid.T){
			"": m.agree, "send": m.send, "send more": m.send, "receive": m.receive, "receive more": m.receive, "receive deferred": m.receiveDeferred,
			"settle": m.settleOne, "settle more": m.settleOne, "settle many": m.settleMany, "renew": m.renew, "lose locks": m.loseLocks,
			"cancel": m.cancel, "replay or discard": m.replayOrDiscard, "purge": m.purge, "status": m.setStatus, "wait": m.wait, "reopen": m.again,
		})
	})
}
