package servicebus

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"bellhop/internal/queue"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
)

// The SDK's worst habits, in the time of a bubble.

// TestReceiveHangs: a receive that does not even mind its deadline is left
// behind, its client is made anew, and what it brings later is given back.
func TestReceiveHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		f := &fakeNamespace{receive: func(_ context.Context, client, most int) ([]*azservicebus.ReceivedMessage, error) {
			if client == 1 {
				<-hang
			}
			return arrived(1), nil
		}}
		q := f.open(t)
		began := time.Now()
		got, err := open1(t, q).Receive(t.Context(), 1)
		if err != nil || len(got) != 1 {
			t.Fatalf("received %d messages, %v", len(got), err)
		}
		if took := time.Since(began); took > q.timing.receive+q.timing.grace+time.Second {
			t.Errorf("it took %v", took)
		}
		if n := f.count(&f.clients); n != 2 {
			t.Errorf("%d clients, want a second one", n)
		}
		close(hang)
		synctest.Wait()
		if got := f.log(); !slices.Equal(got, []string{"abandon"}) {
			t.Errorf("settled %q, want what came late to be given back", got)
		}
	})
}

// TestReceiveHangsAtItsEnd: a caller that gives up is not held up for long.
func TestReceiveHangsAtItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		f := &fakeNamespace{receive: func(context.Context, int, int) ([]*azservicebus.ReceivedMessage, error) {
			<-hang
			return nil, nil
		}}
		q := f.open(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		if _, err := open1(t, q).Receive(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		if took := time.Since(began); took > time.Second+q.timing.grace {
			t.Errorf("it took %v", took)
		}
		close(hang)
	})
}

// TestAsks: never for more than there is room for, and for many only when many
// come.
func TestAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backlog := 147
		f := &fakeNamespace{receive: func(ctx context.Context, _, most int) ([]*azservicebus.ReceivedMessage, error) {
			n := min(most, backlog)
			if backlog -= n; n > 0 {
				return arrived(n), nil
			}
			<-ctx.Done()
			return nil, ctx.Err()
		}}
		r := open1(t, f.open(t))
		for _, room := range []int{1, 7, 7, 7, 7, 0, 3, 64, 64, 5000, 64, 64} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			got, err := r.Receive(ctx, room)
			if len(got) > max(room, 1) || err != nil && !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("received %d messages with room for %d, %v", len(got), room, err)
			}
			cancel()
		}
		if want := []int{1, 2, 4, 7, 7, 1, 2, 4, 8, 16, 32, 64}; !slices.Equal(f.asked[:len(want)], want) {
			t.Errorf("asked for %d, want %d", f.asked, want)
		}
	})
}

// TestAsksForOne: who waits for long waits for one message, and has it at once.
func TestAsksForOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeNamespace{receive: func(context.Context, int, int) ([]*azservicebus.ReceivedMessage, error) {
			<-time.After(time.Second)
			return arrived(1), nil
		}}
		r := open1(t, f.open(t))
		for range 5 {
			if _, err := r.Receive(t.Context(), 64); err != nil {
				t.Fatal(err)
			}
		}
		if want := []int{1, 1, 1, 1, 1}; !slices.Equal(f.asked, want) {
			t.Errorf("asked for %d, want %d", f.asked, want)
		}
	})
}

// TestLinkLost: the SDK says nothing, at once and for ever. It is not asked all
// the time, each time on a link of its own, and soon on a client of its own.
func TestLinkLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeNamespace{receive: func(context.Context, int, int) ([]*azservicebus.ReceivedMessage, error) { return nil, nil }}
		r := open1(t, f.open(t))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		errs := 0
		for ctx.Err() == nil {
			if _, err := r.Receive(ctx, 10); errors.Is(err, errLinkLost) {
				errs++
			}
		}
		if asked := len(f.asked); asked < 30 || asked > 100 {
			t.Errorf("asked %d times in 10 minutes", asked)
		}
		if errs < 30 {
			t.Errorf("%d errors, want the caller to know", errs)
		}
		if f.receivers != len(f.asked) || f.clients < 10 {
			t.Errorf("%d receivers and %d clients for %d receives", f.receivers, f.clients, len(f.asked))
		}
	})
}

// TestLinkLostOnce: links end now and then, and nobody need know.
func TestLinkLostOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		f := &fakeNamespace{receive: func(context.Context, int, int) ([]*azservicebus.ReceivedMessage, error) {
			if calls++; calls%2 == 1 {
				return nil, nil
			}
			return arrived(1), nil
		}}
		r := open1(t, f.open(t))
		for range 5 {
			if got, err := r.Receive(t.Context(), 1); err != nil || len(got) != 1 {
				t.Fatalf("received %d messages, %v", len(got), err)
			}
		}
		if n := f.count(&f.clients); n != 1 {
			t.Errorf("%d clients, want one: its connection is good", n)
		}
	})
}

// TestDeafLink: messages wait, and none comes, until the whole client is new.
func TestDeafLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeNamespace{
			peek: func(int) ([]*azservicebus.ReceivedMessage, error) { return arrived(1), nil },
			receive: func(ctx context.Context, client, _ int) ([]*azservicebus.ReceivedMessage, error) {
				if client == 1 {
					<-ctx.Done()
					return nil, ctx.Err()
				}
				return arrived(1), nil
			},
		}
		q := f.open(t)
		if took := receiveShortly(t, open1(t, q)); took < q.timing.patience || took > 3*q.timing.patience {
			t.Errorf("it took %v", took)
		}
	})
}

// TestOthersHold: somebody else may hold the message at the head for hours. The
// client is made anew, but more and more rarely; and what is held here is no
// reason.
func TestOthersHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		head := arrived(1)
		held := false
		f := &fakeNamespace{
			peek: func(int) ([]*azservicebus.ReceivedMessage, error) { return head, nil },
			receive: func(ctx context.Context, _, _ int) ([]*azservicebus.ReceivedMessage, error) {
				if !held {
					held = true
					return head, nil
				}
				<-ctx.Done()
				return nil, ctx.Err()
			},
		}
		r := open1(t, f.open(t))
		got, err := r.Receive(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		wait := func(d time.Duration) {
			ctx, cancel := context.WithTimeout(t.Context(), d)
			defer cancel()
			if _, err := r.Receive(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatal(err)
			}
		}
		wait(time.Hour)
		if f.clients != 1 {
			t.Errorf("%d clients, although the message is held here", f.clients)
		}
		if err := got[0].Complete(t.Context()); err != nil {
			t.Fatal(err)
		}
		wait(2 * time.Hour) // it is there all the same: somebody else has it
		if f.clients < 3 || f.clients > 40 {
			t.Errorf("%d clients in two hours", f.clients)
		}
	})
}

// TestLookFails: the connection is dead, so that looking gets no answer either.
func TestLookFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		looks := 0
		f := &fakeNamespace{receive: func(ctx context.Context, client, _ int) ([]*azservicebus.ReceivedMessage, error) {
			if client > 1 {
				return arrived(1), nil
			}
			<-ctx.Done()
			return nil, ctx.Err()
		}}
		q := f.open(t)
		f.peek = func(client int) ([]*azservicebus.ReceivedMessage, error) {
			if looks++; looks > 1 && client == 1 { // the first one attaches
				<-time.After(q.timing.call)
				return nil, context.DeadlineExceeded
			}
			return nil, nil
		}
		receiveShortly(t, open1(t, q))
		if f.clients != 2 {
			t.Errorf("%d clients", f.clients)
		}
	})
}

// receiveShortly receives as a caller does that never waits for long, and
// returns how long it took.
func receiveShortly(t *testing.T, r queue.Receiver) time.Duration {
	t.Helper()
	for began := time.Now(); ; {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		got, err := r.Receive(ctx, 1)
		cancel()
		if len(got) == 1 {
			return time.Since(began)
		}
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > time.Hour {
			t.Fatal(err)
		}
	}
}

// TestSendHangs: a guard ends it, and the next send has a new client.
func TestSendHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		f := &fakeNamespace{send: func(_ context.Context, client int) error {
			if client == 1 {
				<-hang
			}
			return nil
		}}
		q := f.open(t)
		began := time.Now()
		if err := q.Send(t.Context(), "q", queue.Message{ID: "1"}); !errors.Is(err, errHung) {
			t.Errorf("error %v", err)
		}
		if took := time.Since(began); took > q.timing.call+q.timing.grace {
			t.Errorf("it took %v", took)
		}
		if err := q.Send(t.Context(), "q", queue.Message{ID: "2"}); err != nil {
			t.Error(err)
		}
		close(hang)
	})
}

// TestLinksAge: a link that sends is made anew after it failed, and when it is
// old, in use or not.
func TestLinksAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeNamespace{}
		q := f.open(t)
		send := func() error { return q.Send(t.Context(), "q", queue.Message{ID: "1"}) }
		for range 3 {
			if err := send(); err != nil {
				t.Fatal(err)
			}
		}
		if f.senders != 1 {
			t.Errorf("%d senders for three sends", f.senders)
		}
		f.send = func(context.Context, int) error { return errors.New("busy") }
		if err := send(); err == nil {
			t.Error("sent")
		}
		f.send = nil
		if err := send(); err != nil || f.senders != 2 {
			t.Errorf("%v, %d senders", err, f.senders)
		}
		synctest.Wait()
		if f.count(&f.closed) != 1 {
			t.Errorf("%d links closed, want the one that failed", f.closed)
		}
		<-time.After(q.timing.linkAge + time.Second)
		synctest.Wait()
		if f.count(&f.closed) != 2 {
			t.Errorf("%d links closed, want the old one, too", f.closed)
		}
		if err := send(); err != nil || f.senders != 3 || f.clients != 1 {
			t.Errorf("%v, %d senders, %d clients", err, f.senders, f.clients)
		}
	})
}

// TestOneClient: all lanes and whatever else share one connection.
func TestOneClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeNamespace{receive: func(context.Context, int, int) ([]*azservicebus.ReceivedMessage, error) { return arrived(1), nil }}
		q := f.open(t)
		for _, lane := range []string{"urgent", "bulk"} {
			r, err := q.Receiver(lane)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := r.Receive(t.Context(), 1); err != nil {
				t.Error(err)
			}
			if err := q.Send(t.Context(), lane, queue.Message{ID: "1"}); err != nil {
				t.Error(err)
			}
			if _, _, err := q.Depth(t.Context(), lane); err != nil {
				t.Error(err)
			}
		}
		if f.clients != 1 {
			t.Errorf("%d clients", f.clients)
		}
	})
}

// TestSettleFallsBack: what cannot be settled on the link it came by is settled
// once by its token, on another link, and the others of that link at once so.
func TestSettleFallsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeNamespace{
			receive: func(_ context.Context, _, most int) ([]*azservicebus.ReceivedMessage, error) {
				return arrived(most), nil
			},
			settle: func(ctx context.Context, _ int, verb string) error {
				if strings.HasSuffix(verb, "by token") {
					return nil
				}
				<-ctx.Done()
				return ctx.Err()
			},
		}
		r := open1(t, f.open(t))
		var got []queue.Delivery
		for range 2 {
			more, err := r.Receive(t.Context(), 1)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, more...)
		}
		if err := got[0].Complete(t.Context()); err != nil {
			t.Error(err)
		}
		if err := got[1].DeadLetter(t.Context(), "reason", "words"); err != nil {
			t.Error(err)
		}
		want := []string{"complete", "complete by token", "dead-letter by token"}
		if got := f.log(); !slices.Equal(got, want) {
			t.Errorf("settled %q, want %q", got, want)
		}
		if f.receivers != 2 || f.clients != 1 {
			t.Errorf("%d receivers and %d clients", f.receivers, f.clients)
		}
	})
}

// TestSettleFails: nobody waits for long, and it is no disaster.
func TestSettleFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeNamespace{
			receive: func(_ context.Context, _, most int) ([]*azservicebus.ReceivedMessage, error) {
				return arrived(most), nil
			},
			settle: func(ctx context.Context, _ int, _ string) error { <-ctx.Done(); return ctx.Err() },
		}
		q := f.open(t)
		got, err := open1(t, q).Receive(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := got[0].Complete(t.Context()); !errors.Is(err, errLimit) {
			t.Errorf("error %v", err)
		}
		if took := time.Since(began); took > q.timing.settle+q.timing.call {
			t.Errorf("it took %v", took)
		}
		if q.isCurrent(got[0].(*delivery).link.client) {
			t.Error("the client that does not answer is kept")
		}
	})
}

// TestCloseHangs: closing has a deadline.
func TestCloseHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		f := &fakeNamespace{closing: func(context.Context) error { <-hang; return nil }}
		q := newQueue(nil, usualTiming(), f.dial)
		if err := q.Send(t.Context(), "q", queue.Message{ID: "1"}); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := q.Close(context.Background()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		if took := time.Since(began); took > q.timing.close+q.timing.grace {
			t.Errorf("it took %v", took)
		}
		close(hang)
		if err := q.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// TestCloseWithMessagesInHand: a receiver that is closed takes no more, and its
// link stays until what it brought is settled.
func TestCloseWithMessagesInHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeNamespace{receive: func(_ context.Context, _, most int) ([]*azservicebus.ReceivedMessage, error) {
			return arrived(most), nil
		}}
		r := open1(t, f.open(t))
		got, err := r.Receive(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Close(t.Context()); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if f.count(&f.closed) != 0 {
			t.Error("the link is closed already")
		}
		if err := got[0].Complete(t.Context()); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if f.count(&f.closed) != 1 || !slices.Equal(f.log(), []string{"complete"}) {
			t.Errorf("%d links closed, settled %q", f.closed, f.log())
		}
	})
}

// TestDepthEnds: counting is looking, and ends somewhere.
func TestDepthEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeNamespace{peek: func(int) ([]*azservicebus.ReceivedMessage, error) { return arrived(maxPeek), nil }}
		active, dead, err := f.open(t).Depth(t.Context(), "q")
		if err != nil || active != maxDepth || dead != maxDepth {
			t.Errorf("%d, %d, %v", active, dead, err)
		}
	})
}
