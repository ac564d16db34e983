package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"
	"time"

	"bellhop/internal/config"
	"bellhop/internal/control"
	"bellhop/internal/datadir"
	"bellhop/internal/metrics"
	"bellhop/internal/onboarding"
)

// errFindings makes a command exit with 1 after it has said why.
var errFindings = errors.New("something was found")

// version prints the module's version and the commit it was built from.
func (p Program) version() error {
	version, commit := "(unknown)", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		version = info.Main.Version
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				commit = " " + s.Value
			}
		}
	}
	_, err := fmt.Fprintf(p.Stdout, "bellhop %s%s\n", version, commit)
	return err
}

// deadList is "bellhop dead list".
func (p Program) deadList(ctx context.Context, cfg *config.DeadList) error {
	items, err := p.dead(ctx, &cfg.Data)
	if err != nil {
		return err
	}
	if cfg.JSON {
		return json.NewEncoder(p.Stdout).Encode(items)
	}
	if len(items) == 0 {
		return p.nothingDead()
	}
	for _, item := range items {
		fmt.Fprintf(p.Stdout, "%s\n  %s %s since %s, %s\n  %s\n", item.ID, item.Kind, item.State,
			item.Since.Local().Format(time.DateTime), count(item.Attempts, "attempt"), item.Reason)
	}
	return nil
}

func (p Program) nothingDead() error {
	_, err := fmt.Fprintln(p.Stdout, "Nothing was given up.")
	return err
}

// count puts a number before a word.
func count(n int, word string) string {
	if n != 1 {
		word += "s"
	}
	return fmt.Sprintf("%d %s", n, word)
}

// dead asks the running process, or looks itself when none has to be asked.
func (p Program) dead(ctx context.Context, data *config.Data) (items []deadItem, err error) {
	err = call(ctx, data, "GET", "/dead", nil, &items)
	if !errors.Is(err, control.ErrNotRunning) {
		return items, err
	}
	err = p.withDesk(ctx, data, func(desk *deadDesk) error {
		items, err = desk.list(ctx)
		return err
	})
	return items, err
}

// withDesk opens store and queue for fn: the files of a directory that no
// process holds, or what is in Redis beside those who use it.
func (p Program) withDesk(ctx context.Context, data *config.Data, fn func(*deadDesk) error) (err error) {
	return withStore(ctx, data, data.Local(), func(r *rooms) error {
		if err := r.openQueue(ctx); err != nil {
			return err
		}
		return fn(r.deadDesk(func(onboarding.Lane) {}))
	})
}

// withStore opens the store for fn, and holds the data directory meanwhile if
// anything in it is used.
func withStore(ctx context.Context, data *config.Data, hold bool, fn func(*rooms) error) (err error) {
	r, err := newRooms(data, onboarding.DefaultPolicy(), metrics.New(), slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	if hold {
		if r.dir, err = datadir.OpenExisting(data.DataDir); err != nil {
			return err
		}
	}
	r.command = true
	if err := r.openStore(ctx); err != nil {
		return err
	}
	return fn(r)
}

// deadReplay is "bellhop dead replay".
func (p Program) deadReplay(ctx context.Context, cfg *config.DeadReplay) error {
	ids := cfg.IDs
	if cfg.All {
		items, err := p.dead(ctx, &cfg.Data)
		if err != nil {
			return err
		}
		if len(items) == 0 {
			return p.nothingDead()
		}
		for _, item := range items {
			ids = append(ids, item.ID)
		}
	}
	if cfg.DryRun {
		for _, id := range ids {
			fmt.Fprintln(p.Stdout, id)
		}
		_, err := fmt.Fprintf(p.Stdout, "%d would be replayed.\n", len(ids))
		return err
	}
	return p.settle(ctx, &cfg.Data, "replay", ids)
}

// deadDiscard is "bellhop dead discard".
func (p Program) deadDiscard(ctx context.Context, cfg *config.DeadDiscard) error {
	return p.settle(ctx, &cfg.Data, "discard", cfg.IDs)
}

// settle replays or discards each id and says what could not be done.
func (p Program) settle(ctx context.Context, data *config.Data, verb string, ids []string) error {
	var got receipt
	err := call(ctx, data, "POST", "/dead/"+verb, order{IDs: ids}, &got)
	if errors.Is(err, control.ErrNotRunning) {
		err = p.withDesk(ctx, data, func(desk *deadDesk) error {
			do := desk.replay
			if verb == "discard" {
				do = desk.discard
			}
			got = each(ctx, ids, do)
			return nil
		})
	}
	if err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(got.Problems)) {
		fmt.Fprintf(p.Stderr, "bellhop: %s: %s\n", id, got.Problems[id])
	}
	fmt.Fprintf(p.Stdout, "%d of %d %sed.\n", len(ids)-len(got.Problems), len(ids), verb)
	if len(got.Problems) > 0 {
		return errFindings
	}
	return nil
}
