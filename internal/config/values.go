package config

import (
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

// Role is a part of the work that a serve process may take.
type Role string

// The roles of a serve process.
const (
	// Web answers people and apps.
	Web Role = "web"
	// Relay moves mails that are due to their queue.
	Relay Role = "relay"
	// Sender takes them from there and sends them.
	Sender Role = "sender"
)

// Roles is a set of roles.
type Roles []Role

// Has tells whether the set holds the role.
func (r Roles) Has(role Role) bool { return slices.Contains(r, role) }

// All tells whether the set holds every role there is.
func (r Roles) All() bool { return r.Has(Web) && r.Has(Relay) && r.Has(Sender) }

// String is the roles with commas between them.
func (r Roles) String() string {
	names := make([]string, len(r))
	for i, role := range r {
		names[i] = string(role)
	}
	return strings.Join(names, ", ")
}

// Retry is the waiting time after each attempt; the last one repeats.
type Retry []time.Duration

// Rate is in mails a second; 0 is no limit.
type Rate float64

const durationExample = "write a duration such as 90s, 5m or 1h30m"

// badValue is a text that cannot be read as its setting's type.
type badValue struct{ problem, remedy string }

func (e *badValue) Error() string { return e.problem + "; " + e.remedy }

func parseDuration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, &badValue{fmt.Sprintf("%q is not a duration", text), durationExample}
	}
	return d, nil
}

func parseInt(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, &badValue{fmt.Sprintf("%q is not a whole number", text), "write digits only"}
	}
	return n, nil
}

func parseRate(text string) (Rate, error) {
	if text == "unlimited" {
		return 0, nil
	}
	r, err := strconv.ParseFloat(text, 64)
	if err != nil || !(r > 0 && r <= 1e6) {
		return 0, &badValue{fmt.Sprintf("%q is not a number of mails a second", text), "write unlimited, or a number over 0 such as 10 or 0.5"}
	}
	return Rate(r), nil
}

func parseRetry(text string) (Retry, error) {
	var out Retry
	for part := range strings.SplitSeq(text, ",") {
		d, err := time.ParseDuration(strings.TrimSpace(part))
		if err != nil {
			return nil, &badValue{fmt.Sprintf("%q is not a duration", part), "write durations with commas between them, such as 1m,5m,1h"}
		}
		out = append(out, d)
	}
	return out, nil
}

func parseRoles(text string) (Roles, error) {
	var out Roles
	for part := range strings.SplitSeq(text, ",") {
		role := Role(strings.TrimSpace(part))
		if !slices.Contains([]Role{Web, Relay, Sender}, role) {
			return nil, &badValue{fmt.Sprintf("%q is not a role", part), "write some of web,relay,sender"}
		}
		if !out.Has(role) {
			out = append(out, role)
		}
	}
	return out, nil
}

func parseLevel(text string) (slog.Level, error) {
	levels := map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}
	level, ok := levels[text]
	if !ok {
		return 0, &badValue{fmt.Sprintf("%q is no level", text), "write debug, info, warn or error"}
	}
	return level, nil
}

// mappers teaches kong the types of the settings. A value that cannot be read
// becomes a fault and leaves the default, so that the rest is still checked.
func mappers(src *sources) kong.Option {
	options := []kong.Option{
		mapper(src, parseDuration), mapper(src, parseInt), mapper(src, parseRate),
		mapper(src, parseRetry), mapper(src, parseRoles), mapper(src, parseLimit), mapper(src, parseLevel), mapper(src, parseAllowances),
		listMapper[Networks](src, parseNetwork), listMapper[Origins](src, parseOrigin),
		mapper(src, func(text string) (SMTPURL, error) { return NewSMTPURL(text), nil }),
		mapper(src, func(text string) (Location, error) { return NewLocation(text), nil }),
		mapper(src, func(text string) (Secret, error) { return NewSecret(text), nil }),
	}
	return kong.OptionFunc(func(k *kong.Kong) error {
		for _, option := range options {
			if err := option.Apply(k); err != nil {
				return err
			}
		}
		return nil
	})
}

func mapper[T any](src *sources, parse func(string) (T, error)) kong.Option {
	decode := func(ctx *kong.DecodeContext, target reflect.Value) error {
		token, err := ctx.Scan.PopValue("value")
		if err != nil {
			return err
		}
		value, err := parse(token.String())
		if err != nil {
			bad := err.(*badValue)
			src.faults.add(ctx.Value.Name, bad.problem, bad.remedy)
			if value, err = parse(ctx.Value.Default); err != nil {
				return fmt.Errorf("the default of --%s: %w", ctx.Value.Name, err)
			}
		}
		target.Set(reflect.ValueOf(value))
		return nil
	}
	return kong.TypeMapper(reflect.TypeFor[T](), kong.MapperFunc(decode))
}

// listMapper is for flags that are repeated, or hold several values with commas
// between them. A value that cannot be read becomes a fault and is left out.
func listMapper[L ~[]T, T comparable](src *sources, parse func(string) (T, error)) kong.Option {
	decode := func(ctx *kong.DecodeContext, target reflect.Value) error {
		token, err := ctx.Scan.PopValue("value")
		if err != nil {
			return err
		}
		list := target.Interface().(L)
		for part := range strings.SplitSeq(token.String(), ",") {
			value, err := parse(strings.TrimSpace(part))
			if err != nil {
				bad := err.(*badValue)
				src.faults.add(ctx.Value.Name, bad.problem, bad.remedy)
				continue
			}
			if !slices.Contains(list, value) {
				list = append(list, value)
			}
		}
		target.Set(reflect.ValueOf(list))
		return nil
	}
	return kong.TypeMapper(reflect.TypeFor[L](), kong.MapperFunc(decode))
}
