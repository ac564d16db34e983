package config_test

import (
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
