package config

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// BenchStore says where the measured sign-ups and their mails are stored. Its
// variable is not serve's: a measurement must never run on a service's store
// because that happens to be set.
type BenchStore struct {
	Store Location `name:"store" var:"BELLHOP_BENCH_STORE" secret:"" placeholder:"STORE" help:"Where the measured sign-ups are stored. embedded is a database of the measurement's own. redis is a redis-server that the measurement starts, once with appendfsync always and once with everysec. A redis:// or rediss:// URL names one that runs already: its database must be empty, and is so again afterwards." fallback:"embedded"`
}

// OwnRedis tells whether the measurement starts a Redis itself.
func (b BenchStore) OwnRedis() bool { return b.Store.raw == storesRedis }

func (b BenchStore) check(f *Faults) {
	if problem, remedy := b.Store.check(); problem != "" && !b.OwnRedis() {
		f.add("store", problem, remedy+", or redis for one that is started for the measurement")
	}
}

// BenchBus is "bellhop bench bus".
type BenchBus struct {
	Parts    []string      `name:"part" placeholder:"PART" help:"The part to measure: sdk, rabbitmq or backlog. There may be several: repeat it, or put commas between them." fallback:"all three"`
	Rounds   int           `name:"rounds" default:"5" placeholder:"N" help:"How often everything is measured in turn (1 to 100). The median is shown, with the lowest and the highest."`
	For      time.Duration `name:"for" default:"3s" placeholder:"TIME" help:"How long each single measurement takes that is not for a number of messages."`
	Messages int           `name:"messages" default:"30000" placeholder:"N" help:"How many messages there are at least to receive in one measurement (100 to 1000000)."`
	Backlog  int           `name:"backlog" default:"1000000" placeholder:"N" help:"How many messages are in the long queue (1000 to 10000000). A million take 2 GB of disk."`
	BenchOutput
}

// benchParts are the values that --part takes.
func benchParts() []string { return []string{"sdk", "rabbitmq", "backlog"} }

// Validate returns all that is wrong, as [Faults], or nil.
func (b *BenchBus) Validate() error {
	var f Faults
	for _, part := range b.Parts {
		if !slices.Contains(benchParts(), part) {
			f.add("part", fmt.Sprintf("there is no part %.100q", part), "name one of "+strings.Join(benchParts(), ", ")+", or leave it out for all")
		}
	}
	checkRange(&f, "rounds", b.Rounds, 1, 100)
	checkRange(&f, "messages", b.Messages, 100, 1_000_000)
	checkRange(&f, "backlog", b.Backlog, 1000, 10_000_000)
	checkDuration(&f, b.For)
	return f.err()
}

// checkRange looks at a number of a measurement.
func checkRange(f *Faults, flag string, value, low, high int) {
	if value < low || value > high {
		f.add(flag, fmt.Sprintf("want %d to %d, got %d", low, high, value), "leave it out for the usual")
	}
}

// checkDuration looks at how long a measurement takes.
func checkDuration(f *Faults, d time.Duration) {
	if d < 100*time.Millisecond || d > time.Hour {
		f.add("for", fmt.Sprintf("want 100ms to 1h, got %v", d), "10s tell enough")
	}
}
