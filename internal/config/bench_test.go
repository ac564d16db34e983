package config_test

import (
	"slices"
	"testing"

	"bellhop/internal/config"
)

// TestBenchStore keeps measurements off the store of a service.
func TestBenchStore(t *testing.T) {
	bench := func(environ ...string) *config.BenchSignup {
		return parse(t, environ, "bench", "signup").Command.(*config.BenchSignup)
	}
	if b := bench("BELLHOP_STORE=redis://service"); !b.Store.Embedded() || b.OwnRedis() {
		t.Errorf("store = %v, want the measurement's own whatever BELLHOP_STORE says", b.Store)
	}
	if b := bench("BELLHOP_BENCH_STORE=redis"); b.Store.Embedded() || !b.OwnRedis() {
		t.Errorf("store = %v, want a Redis that is started for the measurement", b.Store)
	}
	if b := bench("BELLHOP_BENCH_STORE=redis://h:1/2"); b.Store.Reveal() != "redis://h:1/2" || b.OwnRedis() {
		t.Errorf("store = %v, want the one that is named", b.Store)
	}
}

// TestBenchBus takes parts in every form, and measurements that make sense.
func TestBenchBus(t *testing.T) {
	b := parse(t, nil, "bench", "bus", "--part", "sdk,backlog", "--part", "rabbitmq").Command.(*config.BenchBus)
	if !slices.Equal(b.Parts, []string{"sdk", "backlog", "rabbitmq"}) || b.Rounds != 5 || b.Backlog != 1_000_000 {
		t.Errorf("%+v, want three parts and the rest as usual", b)
	}
	for _, args := range [][]string{{"--part", "kafka"}, {"--rounds", "0"}, {"--messages", "99"}, {"--backlog", "999"}, {"--for", "99ms"}} {
		if _, err := config.Parse(append([]string{"bench", "bus"}, args...), nil); err == nil {
			t.Errorf("%v: no error, want a refusal", args)
		}
	}
}
