package queuetest_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"bellhop/internal/bus"
	"bellhop/internal/queue"
	"bellhop/internal/queue/embedded"
	"bellhop/internal/queue/queuetest"
	"bellhop/internal/sqlitedb"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// faulty returns a faulty queue with its two lanes, and a receiver.
func faulty(t *testing.T) (*queuetest.Faulty, queue.Receiver) {
	t.Helper()
	b, err := bus.Open(bus.Options{Path: filepath.Join(t.TempDir(), "bus.db"), Durability: sqlitedb.Off})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, name := range []string{queuetest.Main, queuetest.Other} {
		if err := b.CreateQueue(t.Context(), name, bus.Settings{MaxDeliveryCount: queuetest.MaxDeliveries}); err != nil {
			t.Fatal(err)
		}
	}
	f := queuetest.NewFaulty(embedded.New(b))
	r, err := f.Receiver(queuetest.Main)
	if err != nil {
		t.Fatal(err)
	}
	return f, r
}

// A Faulty without faults keeps the contract.
func TestFaultyWithoutFaults(t *testing.T) {
	lacks := queuetest.Features{Volatile: true, NoLockEnd: true, NoDeadLetterList: true, NoDepth: true}
	queuetest.Run(t, lacks, func(t *testing.T) queuetest.Broker {
		f, _ := faulty(t)
		return queuetest.Broker{Queue: f}
	})
}

func send(t *testing.T, f *queuetest.Faulty, want error, bodies ...string) {
	t.Helper()
	messages := make([]queue.Message, len(bodies))
	for i, body := range bodies {
		messages[i] = queue.Message{ID: body, Body: []byte(body)}
	}
	if err := f.Send(t.Context(), queuetest.Main, messages...); !errors.Is(err, want) {
		t.Fatalf("send: %v, want %v", err, want)
	}
}

func take(t *testing.T, r queue.Receiver, want ...string) (all []queue.Delivery) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var got []string
	for len(all) < len(want) {
		some, err := r.Receive(ctx, len(want)-len(all))
		if err != nil {
			t.Fatalf("received %q, then: %v", got, err)
		}
		for _, d := range some {
			all = append(all, d)
			got = append(got, string(d.Message().Body))
		}
	}
	if !slices.Equal(got, want) {
		t.Fatalf("received %q, want %q", got, want)
	}
	return all
}

func settle(t *testing.T, do func(context.Context) error, want error) {
	t.Helper()
	if err := do(t.Context()); !errors.Is(err, want) {
		t.Fatalf("settled with %v, want %v", err, want)
	}
}

func TestSendFaults(t *testing.T) {
	f, r := faulty(t)
	for _, c := range []struct {
		fault  queuetest.Fault
		answer error
		come   []string
	}{
		{queuetest.Fail, queuetest.ErrInjected, nil},
		{queuetest.LoseAnswer, queuetest.ErrInjected, []string{"a", "b"}},
		{queuetest.Drop, nil, []string{"b"}},
		{queuetest.Twice, nil, []string{"a", "a", "b"}},
	} {
		f.Set(queuetest.Faults{Send: queuetest.Times(1, c.fault)})
		send(t, f, c.answer, "a", "b")
		send(t, f, nil, "end")
		for _, d := range take(t, r, append(c.come, "end")...) {
			settle(t, d.Complete, nil)
		}
	}
}

func TestReceiveFaults(t *testing.T) {
	f, r := faulty(t)
	f.Set(queuetest.Faults{Receive: queuetest.Times(1, queuetest.Drop)})
	send(t, f, nil, "dropped", "a")
	settle(t, take(t, r, "a")[0].Complete, nil)
	f.Set(queuetest.Faults{Receive: queuetest.Times(2, queuetest.Hold)})
	send(t, f, nil, "late 1", "late 2", "b")
	settle(t, take(t, r, "b")[0].Complete, nil)
	if n := f.Held(queuetest.Main); n != 2 {
		t.Fatalf("%d held, want 2", n)
	}
	var waiting sync.WaitGroup
	waiting.Go(func() { take(t, r, "late 2", "late 1") })
	f.Release(queuetest.Main, true)
	waiting.Wait()
}

func TestSettleFaults(t *testing.T) {
	f, r := faulty(t)
	send(t, f, nil, "a")
	d := take(t, r, "a")[0]
	f.Set(queuetest.Faults{Settle: queuetest.Times(1, queuetest.Fail)})
	settle(t, d.Complete, queuetest.ErrInjected)
	f.Set(queuetest.Faults{Settle: queuetest.Times(1, queuetest.LoseLock)})
	settle(t, d.Renew, queue.ErrLockLost)
	settle(t, d.Complete, queue.ErrLockLost)
	again := take(t, r, "a")[0]
	if again.Count() != 2 {
		t.Errorf("count %d, want 2", again.Count())
	}
	f.Set(queuetest.Faults{Settle: queuetest.Times(1, queuetest.LoseAnswer)})
	settle(t, again.Complete, queuetest.ErrInjected)
	settle(t, again.Complete, queue.ErrLockLost)
	f.Set(queuetest.Faults{})
	send(t, f, nil, "b")
	d = take(t, r, "b")[0]
	if err := f.LoseLocks(t.Context()); err != nil {
		t.Fatal(err)
	}
	settle(t, d.Complete, queue.ErrLockLost)
	settle(t, take(t, r, "b")[0].Complete, nil)
}

func TestOutage(t *testing.T) {
	f, r := faulty(t)
	send(t, f, nil, "a")
	d := take(t, r, "a")[0]
	var waiting sync.WaitGroup
	waiting.Go(func() {
		if _, err := r.Receive(t.Context(), 1); !errors.Is(err, queuetest.ErrOutage) {
			t.Errorf("a wait ended with %v", err)
		}
	})
	f.Outage(true)
	waiting.Wait()
	send(t, f, queuetest.ErrOutage, "b")
	settle(t, d.Complete, queuetest.ErrOutage)
	if _, err := f.Receiver(queuetest.Main); !errors.Is(err, queuetest.ErrOutage) {
		t.Errorf("receiver: %v", err)
	}
	f.Outage(false)
	settle(t, d.Complete, nil)
	send(t, f, nil, "c")
	settle(t, take(t, r, "c")[0].Complete, nil)
}
