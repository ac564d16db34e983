package transfer

import (
	"context"
	"fmt"
	"iter"
	"strconv"
)

// page reads up to limit rows of a kind from a place on, "" at first, and
// returns the place to go on from, "" at the end.
type page[T any] func(ctx context.Context, from string, limit int) (rows []T, next string, err error)

// whole makes one page of a kind of which there is little.
func whole[T any](read func(context.Context) ([]T, error)) page[T] {
	return func(ctx context.Context, _ string, _ int) ([]T, string, error) {
		rows, err := read(ctx)
		return rows, "", err
	}
}

// numbered makes pages of rows that have numbers.
func numbered[T any](read func(ctx context.Context, after int64, limit int) ([]T, error), number func(T) int64) page[T] {
	return func(ctx context.Context, from string, limit int) (rows []T, next string, err error) {
		after := int64(0)
		if from != "" {
			if after, err = strconv.ParseInt(from, 10, 64); err != nil {
				return nil, "", err
			}
		}
		if rows, err = read(ctx, after, limit); err != nil || len(rows) == 0 {
			return nil, "", err
		}
		return rows, strconv.FormatInt(number(rows[len(rows)-1]), 10), nil
	}
}

func numberOfSignUp(s SignUp) int64 { return s.Number }

func numberOfMail(m Mail) int64 { return m.Number }

// chunks reads all rows of a kind, page by page. An error is the last it yields.
func chunks[T any](ctx context.Context, kind Kind, read page[T], limit int) iter.Seq2[[]T, error] {
	return func(yield func([]T, error) bool) {
		for from, more := "", true; more; more = from != "" {
			rows, next, err := read(ctx, from, limit)
			if err != nil {
				yield(nil, fmt.Errorf("read %s: %w", kind, err))
				return
			}
			from = next
			if len(rows) > 0 && !yield(rows, nil) {
				return
			}
		}
	}
}
