package redisdb

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// connections is how many pipelines of a tag may be under way at once. A
	// server reads 16 KiB of a connection at a time and syncs its log once for
	// what it has read of all of them. Measured, 2 to 8 are equally fast, and
	// with more the groups are smaller and cost the client more.
	connections = 4
	// groupMost is how many calls share a pipeline at most: the first of them
	// is answered only with the last.
	groupMost = 256
	// waitingMost is how many calls may wait for a pipeline. More would be
	// answered too late anyway.
	waitingMost = 8192
)

// Durability is what a call waits for.
type Durability int

const (
	// Answered waits for the server's reply. With appendfsync always that comes
	// after the disk. Beside Replicated calls, and while replicas are missing, it
	// comes later by up to two thirds of [Settings.Timeout]: they share pipelines.
	Answered Durability = iota
	// Replicated waits also for the replicas of [Settings.Wait].
	Replicated
)

// Tag is the keys that share a hash tag, and with it a node.
type Tag struct {
	client *Client
	name   string
	calls  chan *call

	mu      sync.RWMutex // held for reading while a call is handed in
	closed  bool
	workers sync.WaitGroup
}

// call is one caller's step.
type call struct {
	ctx        context.Context
	deadline   time.Time
	script     *Script
	durability Durability
	args       []any

	done  chan struct{} // closed when reply and err are set
	reply any
	err   error
}

func newTag(c *Client, name string) *Tag {
	t := &Tag{client: c, name: name, calls: make(chan *call, waitingMost)}
	for range connections {
		t.workers.Go(t.work)
	}
	return t
}

// close waits for the calls already handed in.
func (t *Tag) close() {
	t.mu.Lock()
	if !t.closed {
		t.closed = true
		close(t.calls)
	}
	t.mu.Unlock()
	t.workers.Wait()
}

// Run makes a step and returns its reply: a string, an int64, a []any of them,
// or nil. The arguments are strings, []byte, numbers and bools (1 and 0); what
// a []byte holds must not change after that, not even when Run has returned. It
// takes no longer than [Settings.Timeout]. Errors: what the script raised,
// [ErrUnavailable], [ErrReplicas], [ErrClosed], or ctx's own.
func (t *Tag) Run(ctx context.Context, s *Script, d Durability, args ...any) (any, error) {
	if err := sendable(args); err != nil {
		return nil, fmt.Errorf("%s: %w", s.name, err)
	}
	limit := t.client.settings.timeout()
	c := &call{ctx: ctx, deadline: time.Now().Add(limit), script: s, durability: d, args: args, done: make(chan struct{})}
	if err := t.hand(c); err != nil {
		return nil, err
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-c.done:
		return c.reply, c.err
	case <-ctx.Done():
		return nil, fmt.Errorf("%s: %w", s.name, ctx.Err())
	case <-timer.C:
		return nil, fmt.Errorf("%s: %w: no answer within %v", s.name, ErrUnavailable, limit)
	}
}

// sendable tells whether all arguments are of kinds that can be sent. One that
// is not would spoil the whole pipeline.
func sendable(args []any) error {
	for i, arg := range args {
		switch arg.(type) {
		case string, []byte, bool, int, int8, int16, int32, int64, uint, uint8, uint16, uint32, uint64, float32, float64:
		default:
			return fmt.Errorf("argument %d: want a string, bytes, a number or a bool, got a %T", i+1, arg)
		}
	}
	return nil
}

func (t *Tag) hand(c *call) error {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.closed {
		return ErrClosed
	}
	select {
	case t.calls <- c:
		return nil
	default:
		return fmt.Errorf("%s: %w: %d steps are waiting already", c.script.name, ErrUnavailable, waitingMost)
	}
}

// work sends one pipeline after the other.
func (t *Tag) work() {
	group := make([]*call, 0, groupMost)
	for first := range t.calls {
		runtime.Gosched() // let those come that were answered by the last group
		group = t.gather(append(group[:0], first))
		began := time.Now()
		t.flush(group)
		if observe := t.client.settings.AfterGroup; observe != nil {
			observe(t.name, len(group), time.Since(began))
		}
		for _, c := range group {
			close(c.done)
		}
		clear(group)
	}
}

func (t *Tag) gather(group []*call) []*call {
	for len(group) < groupMost {
		select {
		case c, open := <-t.calls:
			if !open {
				return group
			}
			group = append(group, c)
		default:
			return group
		}
	}
	return group
}

// flush makes the steps of a group, but for those whose callers have left.
func (t *Tag) flush(group []*call) {
	now := time.Now()
	waiting := make([]*call, 0, len(group))
	for _, c := range group {
		switch {
		case c.ctx.Err() != nil:
			c.err = fmt.Errorf("%s: %w", c.script.name, c.ctx.Err())
		case now.After(c.deadline):
			c.err = fmt.Errorf("%s: %w: its turn came too late", c.script.name, ErrUnavailable)
		default:
			waiting = append(waiting, c)
		}
	}
	if len(waiting) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), t.client.settings.timeout())
	defer cancel()
	node, err := t.Node(ctx)
	if err != nil {
		fail(waiting, err)
		return
	}
	if unknown := t.pipeline(ctx, node, waiting, byName); len(unknown) > 0 {
		t.pipeline(ctx, node, unknown, bySource)
	}
}

// byName and bySource are the ways to name a script to a server. It keeps those
// that it was given by source.
func byName(s *Script) (command, script string)   { return "EVALSHA", s.sha }
func bySource(s *Script) (command, script string) { return "EVAL", s.source }

// pipeline sends the steps and notes their replies. It returns those whose
// script the server does not know: they were not made.
func (t *Tag) pipeline(ctx context.Context, node *redis.Client, calls []*call, by func(*Script) (command, script string)) (unknown []*call) {
	pipe := node.Pipeline()
	replies := make([]*redis.Cmd, len(calls))
	replicated := false
	for i, c := range calls {
		command, script := by(c.script)
		args := make([]any, 0, len(c.args)+4)
		replies[i] = pipe.Do(ctx, append(append(args, command, script, 1, t.name), c.args...)...)
		replicated = replicated || c.durability == Replicated
	}
	replicas := t.wait(ctx, pipe, replicated)
	_, failed := pipe.Exec(ctx)
	for i, c := range calls {
		reply, err := replies[i].Result()
		if err == nil && reply == nil {
			// A nil reply is redis.Nil. This is none: the server refused the
			// connection before the first command, and only Exec tells.
			err = cmp.Or(failed, errors.New("no reply"))
		}
		if noScript(err) {
			unknown = append(unknown, c)
		}
		if err = classify(err); err == nil && c.durability == Replicated {
			err = replicas()
		}
		c.reply, c.err = reply, nil
		if err != nil {
			c.reply, c.err = nil, fmt.Errorf("%s: %w", c.script.name, err)
		}
	}
	return unknown
}

// wait ends a pipeline with a write and the wait for its replicas, if they are
// asked for. What it returns tells afterwards whether there were enough.
func (t *Tag) wait(ctx context.Context, pipe redis.Pipeliner, replicated bool) func() error {
	n := t.client.settings.Wait
	if n == 0 || !replicated {
		return func() error { return nil }
	}
	written := pipe.Eval(ctx, fence, []string{t.name})
	got := pipe.Do(ctx, "WAIT", n, (t.client.settings.timeout() / 3).Milliseconds())
	return func() error {
		if err := written.Err(); err != nil {
			return fmt.Errorf("%w: %w", ErrReplicas, err)
		}
		have, err := got.Int()
		if err != nil {
			return fmt.Errorf("%w: %w", ErrReplicas, err)
		}
		if have < n {
			return fmt.Errorf("%w: %d of %d", ErrReplicas, have, n)
		}
		return nil
	}
}

func fail(calls []*call, err error) {
	for _, c := range calls {
		c.err = fmt.Errorf("%s: %w", c.script.name, classify(err))
	}
}

// Node is the server that holds the tag's keys, for commands that are no steps:
// blocking reads, subscriptions. Its errors are go-redis's own.
func (t *Tag) Node(ctx context.Context) (*redis.Client, error) {
	return t.client.node(ctx, t.name)
}

// Name is the tag itself, such as "{bellhop}".
func (t *Tag) Name() string { return t.name }
