package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"bellhop/internal/config"
	"bellhop/internal/datadir"
	"bellhop/internal/metrics"
	"bellhop/internal/onboarding"
	"bellhop/internal/store/sqlite"
)

// verification is a report, with what has to be said of it.
type verification struct {
	onboarding.Report
	// Approximate: processes were at work meanwhile, so the counts are not of
	// one moment. What is said of each mail is exact all the same.
	Approximate bool `json:"approximate,omitempty"`
}

// verify is "bellhop verify". It reads beside running processes.
func (p Program) verify(ctx context.Context, cfg *config.Verify) error {
	policy := onboarding.DefaultPolicy()
	audit := verifyFile
	if !cfg.Store.Embedded() {
		audit = verifyShared
	}
	found, err := audit(ctx, &cfg.Data, policy)
	if err != nil {
		return err
	}
	if cfg.JSON {
		err = json.NewEncoder(p.Stdout).Encode(found)
	} else {
		err = p.printVerification(found)
	}
	if err == nil && !found.OK {
		return errFindings
	}
	return err
}

// verifyFile reads the embedded store's file, in which every read is of one
// moment.
func verifyFile(ctx context.Context, data *config.Data, policy onboarding.Policy) (v verification, err error) {
	if err := datadir.Check(data.DataDir); err != nil {
		return v, err
	}
	path := filepath.Join(data.DataDir, storeFile)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return v, fmt.Errorf("%s: no sign-up was ever stored here", data.DataDir)
	}
	reader, err := sqlite.OpenReader(sqlite.Options{Path: path, Policy: policy})
	if err != nil {
		return v, err
	}
	v.Report, err = onboarding.Verify(ctx, reader, policy)
	return v, errors.Join(err, reader.Close())
}

// verifyShared reads a store that everybody can reach.
func verifyShared(ctx context.Context, data *config.Data, policy onboarding.Policy) (v verification, err error) {
	r, err := newRooms(data, policy, metrics.New(), slog.New(slog.DiscardHandler))
	if err != nil {
		return v, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	r.command = true
	if err := r.openStore(ctx); err != nil {
		return v, err
	}
	for _, lane := range onboarding.Lanes() {
		progress, err := r.store.Lane(ctx, lane)
		if err != nil {
			return v, fmt.Errorf("read the %s lane: %w", lane, err)
		}
		v.Approximate = v.Approximate || progress.Attended
	}
	v.Report, err = onboarding.Verify(ctx, r.store, policy)
	return v, err
}

func (p Program) printVerification(r verification) error {
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
	if r.Approximate {
		fmt.Fprintln(p.Stdout, "\nThe counts are approximate: bellhop is at work. What is said of each mail is not.")
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
	if r.OK && len(r.Copies) > 0 {
		verdict = "\nEvery mail is accounted for: none lost, none sent twice but for the copies above, none stuck."
	}
	if !r.OK {
		verdict = "\nSomething is wrong. Please keep the data as it is and tell us."
	}
	_, err := fmt.Fprintln(p.Stdout, verdict)
	return err
}
