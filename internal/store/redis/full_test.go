package redis_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"bellhop/internal/onboarding"
	"bellhop/internal/redisdb"
	"bellhop/internal/redistest"
	"bellhop/internal/signup"
	"bellhop/internal/store/redis"

	"github.com/google/uuid"
)

// many stores sign-ups that owe a hundred mails each, so that there are soon
// many of them. It returns their subjects.
func (h *hand) many(mails int, expiry time.Duration) (subjects []string) {
	h.t.Helper()
	for range mails / 100 {
		id := uuid.NewString()
		a := form(id, 0, false)
		a.Mails = nil
		for step := range 100 {
			a.Mails = append(a.Mails, onboarding.Owed{ID: onboarding.NewMailID(id, onboarding.SignUp, step+1), Expiry: expiry})
		}
		_, err := h.Accept(h.ctx, a)
		ok(h.t, err)
		h.clock.Advance(time.Millisecond)
		subjects = append(subjects, id)
	}
	return subjects
}

// fill lets a server's memory be full as it is now.
func fill(t *testing.T, server *redistest.Server) {
	t.Helper()
	info, err := server.Do("INFO", "memory")
	ok(t, err)
	_, err = server.Do("CONFIG", "SET", "maxmemory", fmt.Sprint(field(t, info, "used_memory")-100_000))
	ok(t, err)
}

// A sign-up that was refused has left nothing behind, and what was taken in
// before comes to its end, in processes that start meanwhile too. Purging makes
// room again.
func TestFullMemoryTakesNothingInAndBringsMailsToTheirEnd(t *testing.T) {
	server := redistest.Start(t, redistest.Options{})
	h := newHand(t, server.URL(0))
	secret, err := h.SharedKey(h.ctx, "mint", []byte("secret"))
	ok(t, err)
	h.everythingToSweep()
	for _, subject := range h.many(2000, h.policy.Expiry) {
		_, err := h.Cancel(h.ctx, subject, "to be purged")
		ok(t, err)
	}
	h.committing()
	committed := h.claim
	h.queued()
	queued := onboarding.Ref{Mail: h.mail, Gen: 1}
	fill(t, server)

	before := dump(t, server.URL(0))
	for _, key := range []bool{false, true} {
		if _, err := h.Accept(h.ctx, form(h.nextID(), h.forms, key)); !errors.Is(err, signup.ErrUnavailable) {
			t.Errorf("a full store says %v to a sign-up, want %v", err, signup.ErrUnavailable)
		}
	}
	if err := h.Ping(h.ctx); !errors.Is(err, signup.ErrUnavailable) {
		t.Errorf("a full store says it takes sign-ups: %v", err)
	}
	for _, d := range differences(dump(t, server.URL(0)), before) {
		t.Errorf("a refused sign-up has left something: %s", d)
	}

	started := connect(t, redisdb.Settings{URL: server.URL(0)}, redis.Options{Policy: h.policy, Now: h.clock.Now})
	if again, err := started.SharedKey(h.ctx, "mint", []byte("another")); err != nil || string(again) != string(secret) {
		t.Errorf("a process that starts while the store is full: shared key %q, %v", again, err)
	}
	h.Store = started
	h.comesToItsEnd(committed, queued)

	if purged := h.purge(); purged < 2000 {
		t.Errorf("%d mails were purged, want all 2000", purged)
	}
	ok(t, h.Ping(h.ctx))
	_, err = h.Accept(h.ctx, form(h.nextID(), h.forms, true))
	ok(t, err)
	sound(t, h.Store, server.URL(0))
}

// comesToItsEnd does everything that has to be possible in a full store.
func (h *hand) comesToItsEnd(committed onboarding.Claim, queued onboarding.Ref) {
	h.t.Helper()
	h.beat(me)
	ok(h.t, h.Check(h.ctx, committed))
	for _, to := range []onboarding.State{onboarding.Unknown, onboarding.Failed} {
		_, err := h.Record(h.ctx, committed, result(to))
		ok(h.t, err)
	}
	ok(h.t, h.Replay(h.ctx, committed.Mail))
	ok(h.t, h.Relayed(h.ctx, []onboarding.Ref{{Mail: committed.Mail, Gen: 2}}))
	_, err := h.Cancel(h.ctx, committed.Mail.Subject(), "nobody wants it")
	ok(h.t, err)
	ok(h.t, h.Arrived(h.ctx, onboarding.Urgent, h.clock.Now()))
	h.take(queued, other)
	h.commit()
	_, err = h.Record(h.ctx, h.claim, result(onboarding.Failed))
	ok(h.t, err)
	ok(h.t, h.Discard(h.ctx, queued.Mail))
	ok(h.t, h.Erase(h.ctx, queued.Mail.Subject()))
	swept, err := h.Sweep(h.ctx, me, 1000)
	ok(h.t, err)
	want := onboarding.Swept{Recovered: 2, Requeued: 1, Copied: 1, Expired: 1, Purged: 1}
	if swept.Next, swept.More = 0, false; swept != want {
		h.t.Errorf("a sweep in a full store did %+v, want %+v", swept, want)
	}
	ok(h.t, h.Leave(h.ctx, other))
}

// purge lets the finished mails' time pass, and sweeps them away.
func (h *hand) purge() (purged int) {
	h.t.Helper()
	h.clock.Advance(h.policy.Retention)
	for more := true; more; {
		swept, err := h.Sweep(h.ctx, me, 1000)
		ok(h.t, err)
		purged, more = purged+swept.Purged, swept.More
	}
	return purged
}
