package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"bellhop/internal/queue"
	"bellhop/internal/redisdb"

	"github.com/google/uuid"
)

// ErrNoDeadLetter is returned for a dead letter that is not there.
var ErrNoDeadLetter = errors.New("no such dead letter")

const (
	fieldReason      = "reason"
	fieldDescription = "description"
	// maxLetters are listed at once, so that nobody waits long for it.
	maxLetters = 256
)

// DeadLetters implements [queue.DeadLetterer]. At most 256 are listed at once.
func (q *Queue) DeadLetters(ctx context.Context, name, after string, limit int) ([]queue.DeadLetter, string, error) {
	if err := q.open(); err != nil {
		return nil, "", err
	}
	from := "-"
	if after != "" {
		if _, ok := parseEntryID(after); !ok {
			return nil, "", fmt.Errorf("cursor %q: want one from an earlier list", after)
		}
		from = "(" + after
	}
	limit = min(max(limit, 1), maxLetters)
	reply, err := q.run(ctx, name, q.scripts.letters, from, limit)
	if err != nil {
		return nil, "", err
	}
	list, _ := reply.([]any)
	all := make([]queue.DeadLetter, 0, len(list))
	for _, item := range list {
		all = append(all, parseLetter(item))
	}
	if len(all) < limit {
		return all, "", nil
	}
	return all, all[len(all)-1].ID, nil
}

// parseLetter reads an entry of the dead letters, whoever wrote it.
func parseLetter(item any) queue.DeadLetter {
	entry, _ := item.([]any)
	if len(entry) != 2 {
		return queue.DeadLetter{}
	}
	id, _ := entry[0].(string)
	fields, _ := entry[1].([]any)
	since, _ := parseEntryID(id)
	letter := queue.DeadLetter{ID: id, Since: since, Message: decode(id, fields)}
	for name, value := range pairs(fields[:min(len(fields), 4)]) { // the message's own fields come behind
		switch name {
		case fieldReason:
			letter.Reason = value
		case fieldDescription:
			letter.Description = value
		}
	}
	return letter
}

// parseEntryID reads the time in a stream entry's id: milliseconds, a dash and
// a number.
func parseEntryID(id string) (made time.Time, ok bool) {
	millis, number, _ := strings.Cut(id, "-")
	ms, err := strconv.ParseUint(millis, 10, 64)
	if _, errNumber := strconv.ParseUint(number, 10, 64); err != nil || errNumber != nil {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(ms)), true
}

// Replay implements [queue.DeadLetterer].
func (q *Queue) Replay(ctx context.Context, name, id string) error {
	return q.onLetter(ctx, name, id, q.scripts.replay, uuid.NewString())
}

// Discard implements [queue.DeadLetterer].
func (q *Queue) Discard(ctx context.Context, name, id string) error {
	return q.onLetter(ctx, name, id, q.scripts.discard)
}

func (q *Queue) onLetter(ctx context.Context, name, id string, s *redisdb.Script, args ...any) error {
	if err := q.open(); err != nil {
		return err
	}
	if _, ok := parseEntryID(id); !ok {
		return fmt.Errorf("dead letter %q: want an id from the list of dead letters", id)
	}
	reply, err := q.run(ctx, name, s, append([]any{id}, args...)...)
	if err != nil {
		return err
	}
	if reply != int64(1) {
		return fmt.Errorf("%w: %s in the queue %q", ErrNoDeadLetter, id, name)
	}
	return nil
}
