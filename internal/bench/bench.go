// Package bench measures Bellhop on the machine it runs on, beside what that
// machine can do at best, in the same run and interleaved: the figures of a
// shared machine drift, ratios taken together much less.
//
// The server under measurement, the bare handler and the mail server are
// processes of their own, so that their CPU can be told from the load
// generator's. Everything happens on loopback and in a temporary directory.
package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

	"bellhop/internal/signup"
)

// Options are common to all measurements.
type Options struct {
	// Program is the bellhop binary whose processes are measured.
	Program string
	// Dir is where databases go; it should be on the disk that is meant. A
	// directory is made in it and removed afterwards. Default: os.TempDir().
	Dir string
	// Rounds is how often everything is measured in turn; medians are shown.
	Rounds int
	// For is how long one measurement of one round takes.
	For time.Duration
	// Workers is how many clients sign up at once in a closed loop.
	Workers int
	// Owed is how many mails are owed already in the backlog measurement of
	// Mail; 0 leaves that out.
	Owed int
	// Redis is where sign-ups are stored that are measured. Default: the
	// embedded store.
	Redis *Redis
	// OpenStore opens the embedded store of a new data directory.
	OpenStore func(dir string) (Accepter, error)
	// JSON prints the figures as one object instead of a table.
	JSON bool
	// Out takes the result, Progress what is going on.
	Out, Progress io.Writer
}

// Redis is a Redis to measure with.
type Redis struct {
	// URL names one whose database is empty, as [redisdb.Settings] take it. It
	// is left empty. Default: a redis-server from PATH is started in
	// [Options.Dir], once for each setting of appendfsync that comes into
	// question.
	URL string
}

// Accepter is a store that sign-ups can be put into without a server.
type Accepter interface {
	Accept(ctx context.Context, a signup.Acceptance) (signup.Accepted, error)
	Close() error
}

// Figure is one measured number, the median over the rounds.
type Figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	// Low and High are the rounds' extremes.
	Low  float64 `json:"low"`
	High float64 `json:"high"`
	// Aim says what the value should be, and whether it is; empty if there is no
	// such wish.
	Aim string `json:"aim,omitempty"`
}

// sheet collects the figures of all rounds.
type sheet struct {
	prefix string // goes before the names of figures
	names  []string
	units  map[string]string
	values map[string][]float64
	aims   map[string]aim
}

func newSheet() *sheet {
	return &sheet{units: make(map[string]string), values: make(map[string][]float64), aims: make(map[string]aim)}
}

// aim is what a figure should be.
type aim struct {
	limit   float64
	atLeast bool // else at most
}

// judge says whether a value is as it should be.
func (a aim) judge(value float64) string {
	if a.atLeast {
		return verdict("at least", a.limit, value >= a.limit)
	}
	return verdict("at most", a.limit, value <= a.limit)
}

func verdict(how string, limit float64, met bool) string {
	if met {
		return fmt.Sprintf("aim: %s %v, met", how, limit)
	}
	return fmt.Sprintf("aim: %s %v, MISSED", how, limit)
}

// aim says what a figure's median should be.
func (s *sheet) aim(name string, a aim) { s.aims[s.prefix+name] = a }

// add takes one round's value.
func (s *sheet) add(name, unit string, value float64) {
	name = s.prefix + name
	if _, ok := s.units[name]; !ok {
		s.names = append(s.names, name)
		s.units[name] = unit
	}
	s.values[name] = append(s.values[name], value)
}

// last is the newest value of a figure, for ratios within a round.
func (s *sheet) last(name string) float64 {
	v := s.values[s.prefix+name]
	return v[len(v)-1]
}

func (s *sheet) figures() []Figure {
	var out []Figure
	for _, name := range s.names {
		v := slices.Sorted(slices.Values(s.values[name]))
		f := Figure{Name: name, Unit: s.units[name], Value: median(v), Low: v[0], High: v[len(v)-1]}
		if a, ok := s.aims[name]; ok {
			f.Aim = a.judge(f.Value)
		}
		out = append(out, f)
	}
	return out
}

func median(sorted []float64) float64 {
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// print writes the figures as a table or as JSON.
func (s *sheet) print(o Options, title string) error {
	figures := s.figures()
	if o.JSON {
		return json.NewEncoder(o.Out).Encode(map[string]any{"title": title, "rounds": o.Rounds, "figures": figures})
	}
	fmt.Fprintf(o.Out, "%s\nmedian of %d rounds (lowest to highest)\n\n", title, o.Rounds)
	table := tabwriter.NewWriter(o.Out, 0, 4, 2, ' ', 0)
	for _, f := range figures {
		fmt.Fprintf(table, "%s\t%s %s\t(%s to %s)\t%s\n", f.Name, number(f.Value), f.Unit, number(f.Low), number(f.High), f.Aim)
	}
	return table.Flush()
}

// number shows three digits that matter.
func number(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}

// rounds calls fn for each round with a directory that is removed afterwards,
// and notes how much of the machine was not ours meanwhile: a busy one makes
// every figure worse, and not all of them by as much.
func (s *sheet) rounds(o Options, fn func(n int, dir string) error) error {
	for n := range o.Rounds {
		before, err := machineNow()
		if err != nil {
			return err
		}
		if err := inTemporaryDir(o, func(dir string) error { return fn(n, dir) }); err != nil {
			return err
		}
		after, err := machineNow()
		if err != nil {
			return err
		}
		s.add("the machine, used by others meanwhile", "%", after.others(before))
	}
	return nil
}

// inTemporaryDir runs fn with a fresh directory below o.Dir.
func inTemporaryDir(o Options, fn func(dir string) error) error {
	dir, err := os.MkdirTemp(o.Dir, "bellhop-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	return fn(dir)
}

// where is a part of titles.
func (o Options) where() string {
	if o.Redis == nil {
		return ""
	}
	return " with Redis"
}

// round tells what is going on.
func (o Options) round(n int, what string) {
	fmt.Fprintf(o.Progress, "round %d of %d: %s\n", n+1, o.Rounds, what)
}

// SignUp measures sign-ups: a closed loop for the peak and the CPU each one
// costs, an open loop at 70 % of that for the time they take; beside a bare
// handler, the engine's grouped commits and the disk alone; or, with the store
// in Redis, beside the same writes in pipelines and beside a connection for each.
func SignUp(ctx context.Context, o Options) error {
	s, round := newSheet(), signUpRound
	if o.Redis != nil {
		round = signUpRedisRound
	}
	if err := s.rounds(o, func(n int, dir string) error { return round(ctx, o, n, dir, s) }); err != nil {
		return err
	}
	return s.print(o, fmt.Sprintf("sign-ups%s, %d clients, %v each", o.where(), o.Workers, o.For))
}

func signUpRound(ctx context.Context, o Options, n int, dir string, s *sheet) error {
	o.round(n, "bare handler")
	if err := measureBare(ctx, o, s); err != nil {
		return fmt.Errorf("bare handler: %w", err)
	}
	o.round(n, "bellhop, mail server down")
	if err := measureServe(ctx, o, filepath.Join(dir, "serve"), s); err != nil {
		return fmt.Errorf("bellhop: %w", err)
	}
	o.round(n, "grouped commits, disk")
	if err := measureFloor(ctx, o, dir, s); err != nil {
		return fmt.Errorf("floor: %w", err)
	}
	s.add("sign-ups against the bare handler", "of its rate", s.last("sign-ups")/s.last("bare handler"))
	s.add("sign-ups against grouped commits", "of their rate", s.last("sign-ups")/s.last("grouped commits"))
	return nil
}

func measureBare(ctx context.Context, o Options, s *sheet) error {
	bare, err := startChild(ctx, o, "bare")
	if err != nil {
		return err
	}
	defer bare.stop()
	peak, err := closedLoop(ctx, o, bare, bare.address)
	if err != nil {
		return err
	}
	s.add("bare handler", "requests/s", peak.rate)
	s.add("bare handler, server CPU each", "µs", peak.cpu)
	return nil
}

func measureServe(ctx context.Context, o Options, dir string, s *sheet) error {
	down, err := closedPort()
	if err != nil {
		return err
	}
	serve, err := startServe(ctx, o, dir, "smtp://"+down)
	if err != nil {
		return err
	}
	defer serve.stop()
	peak, err := closedLoop(ctx, o, serve, serve.address)
	if err != nil {
		return err
	}
	s.add("sign-ups", "sign-ups/s", peak.rate)
	s.add("sign-ups, server CPU each", "µs", peak.cpu)
	return measureTimes(ctx, o, serve, 0.7*peak.rate, s)
}

// measureTimes signs people up at a rate that is below the peak.
func measureTimes(ctx context.Context, o Options, serve *process, rate float64, s *sheet) error {
	times, err := openLoop(ctx, o, serve.address, rate)
	if err != nil {
		return err
	}
	s.add("time to answer at 70 % load, median", "ms", times.p50)
	s.add("time to answer at 70 % load, 99th percentile", "ms", times.p99)
	s.add("memory of the server", "MB", serve.memory())
	return nil
}

func measureFloor(ctx context.Context, o Options, dir string, s *sheet) error {
	rate, err := groupedCommits(ctx, o, filepath.Join(dir, "floor.db"))
	if err != nil {
		return err
	}
	s.add("grouped commits", "commits/s", rate)
	rate, err = diskSyncs(o, filepath.Join(dir, "floor.raw"))
	if err != nil {
		return err
	}
	s.add("one writer, fdatasync each", "syncs/s", rate)
	return nil
}
