package redis_test

import (
	"errors"
	"testing"
	"time"

	"bellhop/internal/onboarding"
	"bellhop/internal/redistest"
	"bellhop/internal/store/redis"
)

// The secrets of a process are those of the store it was started with. In one
// that was emptied they are nobody's.
func TestAnEmptiedStoreEndsWhoeverServesIt(t *testing.T) {
	server := redistest.Start(t, redistest.Options{})
	h, err := opener(server, 0)(onboarding.DefaultPolicy())
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	store := h.Store.(*redis.Store)
	if err := store.Heartbeat(t.Context(), "me"); err != nil || store.Err() != nil {
		t.Fatal(err, store.Err())
	}
	if _, err := server.Do("FLUSHALL"); err != nil {
		t.Fatal(err)
	}
	if err := store.Heartbeat(t.Context(), "me"); !errors.Is(err, redis.ErrGone) {
		t.Fatalf("heartbeat: %v", err)
	}
	select {
	case <-store.Failed():
	case <-time.After(time.Minute):
		t.Fatal("the store has not failed")
	}
	if !errors.Is(store.Err(), redis.ErrGone) {
		t.Fatal(store.Err())
	}
}
