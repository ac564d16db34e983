package amqp_test

import (
	"testing"
	"testing/synctest"
	"time"

	"bellhop/internal/amqp"
	"bellhop/internal/amqp/amqptest"
	"bellhop/internal/amqp/wire"
)

// TestSignsOfLife proves when an idle server sends empty frames: after 15
// seconds, or half of what the peer waits, and not while there is other traffic.
func TestSignsOfLife(t *testing.T) {
	for _, c := range []struct {
		name string
		peer uint32 // idle-time-out
		want time.Duration
	}{
		{"no idle-time-out", 0, 15 * time.Second},
		{"a long one", 240_000, 15 * time.Second},
		{"a short one", 4_000, 2 * time.Second},
		{"the shortest", 100, 50 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := pipe(t, amqp.Config{}, newBroker())
				open := p.OpenAs(&wire.Open{ContainerID: "peer", IdleTimeOut: c.peer})
				if open.IdleTimeOut != 120_000 {
					t.Errorf("the server says an idle-time-out of %d ms", open.IdleTimeOut)
				}
				last := time.Now()
				for n := range 5 {
					if n == 2 {
						<-time.After(c.want / 2)
						p.Begin(0)
						last = time.Now()
					}
					if next, err := p.Frame(); err != nil || next != nil {
						t.Fatalf("got %#v %v, want an empty frame", next, err)
					}
					if took := time.Since(last); took != c.want {
						t.Errorf("an empty frame came after %v, want %v", took, c.want)
					}
					last = time.Now()
				}
			})
		})
	}
}

// TestSilentPeer proves that a peer which is silent for about twice what it was
// told is closed, and one that sends empty frames is not.
func TestSilentPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newBroker()
		p, ended := connect(t, amqp.NewServer(amqp.Config{IdleTimeout: time.Minute}, h), h)
		p.Open("peer")
		written := make(chan struct{})
		go func() {
			defer close(written)
			for range 20 {
				<-time.After(100 * time.Second)
				_ = p.TryWrite(wire.AppendEmptyFrame(nil))
			}
		}()
		start := time.Now()
		var end *wire.Close
		for end == nil {
			next, err := p.Frame()
			if err != nil {
				t.Fatal(err)
			}
			end, _ = next.(*wire.Close)
		}
		took := time.Since(start) - 20*100*time.Second
		if took < 110*time.Second || took > 2*time.Minute {
			t.Errorf("the peer was closed %v after its last sign of life, want about 2m", took)
		}
		if end.Error == nil || end.Error.Condition != wire.ConditionResourceLimitExceeded {
			t.Errorf("closed with %v", end.Error)
		}
		p.ExpectEOF()
		<-written
		if err := <-ended; err == nil {
			t.Error("Serve said nothing of a peer that was silent")
		}
	})
}

// TestSilentFromTheStart is the same for one that says nothing after its open.
func TestSilentFromTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newBroker()
		p, ended := connect(t, amqp.NewServer(amqp.Config{IdleTimeout: time.Minute}, h), h)
		p.Open("peer")
		start := time.Now()
		p.ExpectClose(wire.ConditionResourceLimitExceeded)
		if took := time.Since(start); took != 2*time.Minute {
			t.Errorf("the peer was closed after %v, want 2m", took)
		}
		<-ended
	})
}

// TestSlowFrame proves that the time counts for whole frames, too, of which
// bytes come now and then: only silence ends a connection.
func TestSlowFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pipe(t, amqp.Config{IdleTimeout: time.Minute}, newBroker())
		p.Open("peer")
		done := make(chan struct{})
		go func() {
			defer close(done)
			for _, one := range amqptest.Frames(t, 0, &wire.Begin{}) {
				<-time.After(time.Minute)
				_ = p.TryWrite([]byte{one})
			}
		}()
		amqptest.Expect[*wire.Begin](p)
		<-done
	})
}
