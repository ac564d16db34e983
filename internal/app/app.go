// Package app builds a Bellhop process out of its rooms: settings become
// services, services run until a signal. It is the only package that knows
// every other, and nothing but the command imports it.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"bellhop/internal/config"
	"bellhop/internal/sqlitedb"
)

// Exit codes of the command.
const (
	exitOK      = 0
	exitFailed  = 1 // the command could not do it, or verify found a fault
	exitMisused = 2 // the command line or the settings are wrong
)

// Program is what the process was started with.
type Program struct {
	Args           []string // without the program's name
	Environ        []string // as os.Environ returns it
	Stdout, Stderr io.Writer
}

// Run runs one command to its end and returns the exit code.
func Run(ctx context.Context, p Program) int {
	in, err := config.Parse(p.Args, p.Environ)
	if err != nil {
		fmt.Fprintf(p.Stderr, "bellhop: %v\n", err)
		return exitMisused
	}
	for _, warning := range in.Warnings {
		fmt.Fprintf(p.Stderr, "bellhop: warning: %s\n", warning)
	}
	err = p.run(ctx, in.Command)
	switch {
	case errors.Is(err, errFindings):
		return exitFailed
	case err != nil:
		fmt.Fprintf(p.Stderr, "bellhop: %v\n", err)
		return exitFailed
	}
	return exitOK
}

func (p Program) run(ctx context.Context, command any) error {
	switch c := command.(type) {
	case *config.Help:
		_, err := io.WriteString(p.Stdout, c.Text)
		return err
	case *config.Version:
		return p.version()
	case *config.Serve:
		return p.serve(ctx, c)
	case *config.Bus:
		return p.serveBus(ctx, c, sqlitedb.Full)
	case *config.Verify:
		return p.verify(ctx, c)
	case *config.DeadList:
		return p.deadList(ctx, c)
	case *config.DeadReplay:
		return p.deadReplay(ctx, c)
	case *config.DeadDiscard:
		return p.deadDiscard(ctx, c)
	case *config.Erase:
		return p.erase(ctx, c)
	case *config.Export:
		return p.export(ctx, c)
	case *config.KeysList:
		return p.keysList(ctx, c)
	case *config.KeysRotate:
		return p.keysRotate(ctx, c)
	case *config.KeysRetire:
		return p.keysRetire(ctx, c)
	case *config.Doctor:
		return p.doctor(ctx, c)
	case *config.Migrate:
		return p.migrate(ctx, c)
	case *config.SetupServiceBus:
		return p.setupServiceBus(ctx, c)
	default:
		return p.bench(ctx, c)
	}
}

// logger writes for people and for machines alike: one line a record, and
// nothing in a value can begin another.
func (p Program) logger(level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(p.Stderr, &slog.HandlerOptions{Level: level}))
}

// signals are what ends a process in good order.
func signals() (received chan os.Signal, stop func()) {
	received = make(chan os.Signal, 2)
	signal.Notify(received, syscall.SIGTERM, os.Interrupt)
	return received, func() { signal.Stop(received) }
}
