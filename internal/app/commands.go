package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"bellhop/internal/config"
	"bellhop/internal/control"
	"bellhop/internal/datadir"
	"bellhop/internal/metrics"
	"bellhop/internal/onboarding"
	"bellhop/internal/store/sqlite"
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

// verify is "bellhop verify". It reads beside a running process.
func (p Program) verify(ctx context.Context, cfg *config.Verify) error {
	if err := datadir.Check(cfg.DataDir); err != nil {
		return err
	}
	path := filepath.Join(cfg.DataDir, storeFile)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: no sign-up was ever stored here", cfg.DataDir)
	}
	policy := onboarding.DefaultPolicy()
	reader, err := sqlite.OpenReader(sqlite.Options{Path: path, Policy: policy})
	if err != nil {
		return err
	}
	report, err := onboarding.Verify(ctx, reader, policy)
	if err = errors.Join(err, reader.Close()); err != nil {
		return err
	}
	if cfg.JSON {
		err = json.NewEncoder(p.Stdout).Encode(report)
	} else {
		err = p.printReport(report)
	}
	if err == nil && !report.OK {
		return errFindings
	}
	return err
}

func (p Program) printReport(r onboarding.Report) error {
	table := tabwriter.NewWriter(p.Stdout, 0, 4, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(table, "accepted\t%d\t\n", r.Accepted)
	for _, s := range onboarding.States() {
		if r.States[s] > 0 {
			fmt.Fprintf(table, "%s\t%d\t\n", s, r.States[s])
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, list := range []struct {
		title string
		ids   []string
	}{
		{"LOST: owed, and not there", r.Lost}, {"DOUBLE: sent twice", r.Double},
		{"STUCK: held by nobody, or left behind", r.Stuck},
		{"unknown: the mail server may or may not have taken it", r.Unknown},
		{"copies: sent once more after an unknown, same Message-ID", r.Copies},
	} {
		if len(list.ids) > 0 {
			fmt.Fprintf(p.Stdout, "\n%s (%d)\n  %s\n", list.title, len(list.ids), strings.Join(list.ids, "\n  "))
		}
	}
	verdict := "\nEvery mail is accounted for: none lost, none sent twice, none stuck."
	if !r.OK {
		verdict = "\nSomething is wrong. Please keep the data directory as it is and tell us."
	}
	_, err := fmt.Fprintln(p.Stdout, verdict)
	return err
}

// deadList is "bellhop dead list".
func (p Program) deadList(ctx context.Context, cfg *config.DeadList) error {
	items, err := p.dead(ctx, cfg.DataDir)
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

// dead asks the running process, or looks itself when none runs.
func (p Program) dead(ctx context.Context, dir string) (items []deadItem, err error) {
	err = call(ctx, dir, "GET", "/dead", nil, &items)
	if !errors.Is(err, control.ErrNotRunning) {
		return items, err
	}
	err = p.withRooms(ctx, dir, func(desk *deadDesk) error {
		items, err = desk.list(ctx)
		return err
	})
	return items, err
}

// withRooms opens the files of a directory that no process holds.
func (p Program) withRooms(ctx context.Context, path string, fn func(*deadDesk) error) error {
	dir, err := datadir.OpenExisting(path)
	if err != nil {
		return err
	}
	log := slog.New(slog.DiscardHandler)
	r, err := openRooms(ctx, dir, onboarding.DefaultPolicy(), metrics.New(), log)
	if err != nil {
		return err
	}
	return errors.Join(fn(r.deadDesk(func(onboarding.Lane) {})), r.close())
}

// deadReplay is "bellhop dead replay".
func (p Program) deadReplay(ctx context.Context, cfg *config.DeadReplay) error {
	ids := cfg.IDs
	if cfg.All {
		items, err := p.dead(ctx, cfg.DataDir)
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
	return p.settle(ctx, cfg.DataDir, "replay", ids)
}

// deadDiscard is "bellhop dead discard".
func (p Program) deadDiscard(ctx context.Context, cfg *config.DeadDiscard) error {
	return p.settle(ctx, cfg.DataDir, "discard", cfg.IDs)
}

// settle replays or discards each id and says what could not be done.
func (p Program) settle(ctx context.Context, dir, verb string, ids []string) error {
	var got receipt
	err := call(ctx, dir, "POST", "/dead/"+verb, order{IDs: ids}, &got)
	if errors.Is(err, control.ErrNotRunning) {
		err = p.withRooms(ctx, dir, func(desk *deadDesk) error {
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
