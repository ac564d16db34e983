package redis

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"bellhop/internal/onboarding"
	"bellhop/internal/redisdb"
	"bellhop/internal/store/transfer"

	"github.com/google/uuid"
)

var (
	_ transfer.Source = (*Transfer)(nil)
	_ transfer.Target = (*Transfer)(nil)
)

// Transfer is a store that is open to be moved, and for nothing else. After
// Close its methods fail.
type Transfer struct {
	store *Store
	moves *moves
	run   string // names this run of a move, to a server that finds its steps late

	// names are the ids of the purged mails, read when the first is asked for.
	names map[int64]onboarding.MailID
}

// moves are the scripts of a move. They work behind the fence that holds all
// others off a store that is being moved.
type moves struct {
	mark, setMark, rest, empty                                 *redisdb.Script
	totals, keys, documents                                    *redisdb.Script
	signUps, requests, names, mails, sessions, charges         *redisdb.Script
	putTotals, putKeys, putDocuments                           *redisdb.Script
	putSignUps, putRequests, putMails, putSessions, putCharges *redisdb.Script
}

func newMoves() *moves {
	reading := func(name string, parts ...string) *redisdb.Script { return unfenced("move/"+name, reads, parts...) }
	putting := func(name string, parts ...string) *redisdb.Script {
		return unfenced("move/put"+name, takesIn, append([]string{"move"}, parts...)...)
	}
	return &moves{
		mark:    reading("mark"),
		setMark: unfenced("move/setmark", bringsEnd),
		rest:    unfenced("move/rest", bringsEnd, "move", "mail", "attempts", "takeback"),
		empty:   unfenced("move/empty", bringsEnd, "move"),

		totals:    reading("totals"),
		keys:      reading("keys"),
		documents: reading("documents"),
		signUps:   reading("signups", "fields", "key"),
		requests:  reading("requests", "fields"),
		names:     reading("names"),
		mails:     reading("mails"),
		sessions:  reading("sessions", "fields"),
		charges:   reading("charges"),

		putTotals:    putting("totals"),
		putKeys:      putting("keys"),
		putDocuments: putting("documents"),
		putSignUps:   putting("signups", "fields", "key"),
		putRequests:  putting("requests", "fields"),
		putMails:     putting("mails", "mail"),
		putSessions:  putting("sessions", "fields"),
		putCharges:   putting("charges"),
	}
}

// OpenTransfer opens the store to move it from or to here, whatever its mark
// says. It changes nothing. Client and Policy are required of the options.
func OpenTransfer(ctx context.Context, o Options) (*Transfer, error) {
	t := &Transfer{store: newStore(o), moves: newMoves(), run: uuid.NewString()}
	version, _, err := t.look(ctx)
	if err == nil && version != "" {
		err = checkForm(version)
	}
	if err != nil {
		return nil, fmt.Errorf("open store at %s: %w", o.Client.Settings(), err)
	}
	return t, nil
}

// Close makes every call after it fail. The client stays open.
func (t *Transfer) Close() error { return t.store.Close() }

func (t *Transfer) look(ctx context.Context) (version string, m transfer.Mark, err error) {
	v, err := t.store.run(ctx, t.moves.mark, redisdb.Answered)
	if err != nil {
		return "", m, err
	}
	r := newReply(v)
	version = r.text()
	return version, r.mark(), r.err
}

func (r *reply) mark() transfer.Mark {
	return transfer.Mark{Stage: transfer.Stage(r.text()), Move: r.text(), Place: r.text()}
}

// Mark implements [transfer.Marked].
func (t *Transfer) Mark(ctx context.Context) (transfer.Mark, error) {
	_, m, err := t.look(ctx)
	if err != nil {
		return m, fmt.Errorf("read the store's mark: %w", err)
	}
	return m, nil
}

// SetMark implements [transfer.Marked].
func (t *Transfer) SetMark(ctx context.Context, was, is transfer.Mark) error {
	v, err := t.store.run(ctx, t.moves.setMark, redisdb.Replicated, ms(t.store.policy.DeadAfter), form, t.run,
		string(was.Stage), was.Move, was.Place, string(is.Stage), is.Move, is.Place)
	if err == nil {
		err = moved(v)
	}
	if err != nil {
		return fmt.Errorf("set the store's mark: %w", err)
	}
	return t.settle(ctx)
}

// moved is what the first word of a move's step means.
func moved(word any) error {
	switch word {
	case "ok":
		return nil
	case "changed":
		return transfer.ErrChanged
	case "used":
		return fmt.Errorf("%w: a process that uses it was heard moments ago. End all of them, and wait ten seconds if one did not end in good order", transfer.ErrInUse)
	}
	return fmt.Errorf("%w: %v", errReply, word)
}

// settleFor is how long a server that syncs its log once a second may leave a
// write to the kernel, at worst.
const settleFor = 3 * time.Second

// settle returns when what was written is as safe as it will be: a mark must
// not be lost once the other store has got the next one.
func (t *Transfer) settle(ctx context.Context) error {
	facts, err := t.store.tag.Facts(ctx)
	if err != nil {
		return err
	}
	if !facts.AOF || facts.Sync == "always" {
		return nil
	}
	timer := time.NewTimer(settleFor)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// restStep is how many mails one step brings to rest.
const restStep = 200

// Rest implements [transfer.Source].
func (t *Transfer) Rest(ctx context.Context) error {
	for {
		v, err := t.store.run(ctx, t.moves.rest, redisdb.Answered, t.run, restStep, ms(t.store.policy.UnknownPause), t.store.copies)
		if err != nil {
			return fmt.Errorf("bring mails to rest: %w", err)
		}
		if v == "more" {
			continue
		}
		if err := moved(v); err != nil {
			return fmt.Errorf("bring mails to rest: %w", err)
		}
		return nil
	}
}

// Empty implements [transfer.Target].
func (t *Transfer) Empty(ctx context.Context) error {
	for cursor := "0"; ; {
		v, err := t.store.run(ctx, t.moves.empty, redisdb.Answered, t.run, cursor)
		if err != nil {
			return fmt.Errorf("empty the store: %w", err)
		}
		next, ok := v.(string)
		if !ok || next == "changed" {
			return fmt.Errorf("empty the store: %w", moved(v))
		}
		if cursor = next; cursor == "0" {
			return nil
		}
	}
}

// Totals implements [transfer.Rows].
func (t *Transfer) Totals(ctx context.Context) (transfer.Totals, error) {
	v, err := t.store.run(ctx, t.moves.totals, redisdb.Answered)
	if err != nil {
		return transfer.Totals{}, fmt.Errorf("read totals: %w", err)
	}
	r := newReply(v)
	total := transfer.Totals{Accepted: r.int(), Copies: r.int(), Differing: r.int(), Arrived: map[onboarding.Lane]int64{}}
	for _, lane := range onboarding.Lanes() {
		total.Arrived[lane] = r.int()
	}
	return total, r.err
}

// Keys implements [transfer.Rows].
func (t *Transfer) Keys(ctx context.Context) (keys []transfer.Key, err error) {
	v, err := t.store.run(ctx, t.moves.keys, redisdb.Answered)
	if err != nil {
		return nil, fmt.Errorf("read shared keys: %w", err)
	}
	r := newReply(v)
	for r.more() {
		keys = append(keys, transfer.Key{Name: r.text(), Secret: []byte(r.text())})
	}
	slices.SortFunc(keys, func(a, b transfer.Key) int { return strings.Compare(a.Name, b.Name) })
	return keys, r.err
}

// put makes a step that adds something.
func (t *Transfer) put(ctx context.Context, step *redisdb.Script, args ...any) error {
	v, err := t.store.run(ctx, step, redisdb.Answered, append([]any{t.run}, args...)...)
	if err != nil {
		return err
	}
	return moved(v)
}

// PutTotals implements [transfer.Target].
func (t *Transfer) PutTotals(ctx context.Context, total transfer.Totals) error {
	args := []any{total.Accepted, total.Copies, total.Differing}
	for _, lane := range onboarding.Lanes() {
		args = append(args, total.Arrived[lane])
	}
	return t.put(ctx, t.moves.putTotals, args...)
}

// PutKeys implements [transfer.Target].
func (t *Transfer) PutKeys(ctx context.Context, keys []transfer.Key) error {
	var args []any
	for _, k := range keys {
		args = append(args, k.Name, []byte(k.Secret))
	}
	return t.put(ctx, t.moves.putKeys, args...)
}
