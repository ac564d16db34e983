package redisdb_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"bellhop/internal/redisdb"
	"bellhop/internal/redistest"
)

// pair starts a master with a replica that has its copy.
func pair(t *testing.T) (master, replica *redistest.Server) {
	t.Helper()
	master = redistest.Start(t, redistest.Options{Persistence: redistest.Always})
	replica = redistest.Start(t, redistest.Options{Persistence: redistest.Always, ReplicaOf: master})
	replica.WaitReplica()
	return master, replica
}

func TestReplicated(t *testing.T) {
	master, replica := pair(t)
	client := func() *redisdb.Tag {
		return connect(t, redisdb.Settings{URL: master.URL(0), Wait: 1}).Tag(tagName)
	}
	tag := client()
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			if _, err := tag.Run(t.Context(), count, redisdb.Replicated, i); err != nil {
				t.Error(err)
			}
			if n := counted(t, replica, fmt.Sprint(i)); n != 1 {
				t.Errorf("the replica has %d of an answered step", n)
			}
		})
	}
	all.Wait()

	replica.Pause()
	lacking(t, tag, "a write", count, "late")
	if n := counted(t, master, "late"); n != 1 {
		t.Errorf("the step was made %d times, want once", n)
	}
	// WAIT waits for the writes of its own connection. A repeat finds nothing
	// left to write, and must wait for the first try all the same: by a write
	// in front of the WAIT.
	writes := must(t, master, "GET", tagName+":fence")
	lacking(t, tag, "a repeat", read, "late")
	if must(t, master, "GET", tagName+":fence") == writes {
		t.Error("nothing was written before waiting for the replica")
	}
	lacking(t, client(), "a repeat by another process", read, "late")
	if _, err := tag.Run(t.Context(), count, redisdb.Answered, "n"); err != nil {
		t.Errorf("a call that asks for no replica: %v", err)
	}

	replica.Resume()
	if reply, err := tag.Run(t.Context(), read, redisdb.Replicated, "late"); err != nil || reply != "1" {
		t.Errorf("with the replica back: got %v, %v", reply, err)
	}
	if n := counted(t, replica, "late"); n != 1 {
		t.Errorf("the replica has %d of an answered step", n)
	}
}

// lacking makes a call that finds no replica awake.
func lacking(t *testing.T, tag *redisdb.Tag, what string, script *redisdb.Script, arg string) {
	t.Helper()
	began := time.Now()
	_, err := tag.Run(t.Context(), script, redisdb.Replicated, arg)
	if !errors.Is(err, redisdb.ErrReplicas) || !errors.Is(err, redisdb.ErrUnavailable) {
		t.Errorf("%s: want ErrReplicas, got %v", what, err)
	}
	if took := time.Since(began); took > 3*time.Second+5*time.Second {
		t.Errorf("%s: answered after %v", what, took)
	}
}

// Calls that ask for no replica are answered also if they share a pipeline
// with some that do.
func TestReplicatedFailsAlone(t *testing.T) {
	master, replica := pair(t)
	tag := connect(t, redisdb.Settings{URL: master.URL(0), Wait: 1, Timeout: slow / 3}).Tag(tagName)
	replica.Pause()
	const each = 20
	var all sync.WaitGroup
	held(t, master, tag, 2*each, func() {
		for i := range each {
			all.Go(func() {
				if _, err := tag.Run(t.Context(), count, redisdb.Answered, i); err != nil {
					t.Error(err)
				}
			})
			all.Go(func() {
				if _, err := tag.Run(t.Context(), count, redisdb.Replicated, i); !errors.Is(err, redisdb.ErrReplicas) {
					t.Errorf("want ErrReplicas, got %v", err)
				}
			})
		}
	})
	all.Wait()
	replica.Resume()
}

// Waiting for replicas needs a write of its own, which also a full server takes.
func TestReplicatedWithFullMemory(t *testing.T) {
	master, _ := pair(t)
	tag := connect(t, redisdb.Settings{URL: master.URL(0), Wait: 1, Timeout: slow}).Tag(tagName)
	fill(t, master)
	if _, err := tag.Run(t.Context(), countFull, redisdb.Replicated, "n"); err != nil {
		t.Error(err)
	}
	_, err := tag.Run(t.Context(), count, redisdb.Replicated, "n")
	unavailable(t, "a step without flags", err)
	if errors.Is(err, redisdb.ErrReplicas) {
		t.Errorf("want to be told of the memory, got %v", err)
	}
}

func TestReplicatedWithoutReplicas(t *testing.T) {
	server := redistest.Start(t, redistest.Options{})
	tag := connect(t, redisdb.Settings{URL: server.URL(0), Wait: 1, Timeout: quick}).Tag(tagName)
	lacking(t, tag, "a write", count, "n")
	if err := answers(t, tag); err != nil {
		t.Error(err)
	}
}
