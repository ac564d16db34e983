package sqlite

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"bellhop/internal/onboarding"
	"bellhop/internal/store/transfer"

	"zombiezen.com/go/sqlite"
)

var (
	_ transfer.Source = (*Transfer)(nil)
	_ transfer.Target = (*Transfer)(nil)
)

// Transfer is a store that is open to be moved, and for nothing else. After
// Close its methods fail.
type Transfer struct{ store *Store }

// OpenTransfer opens or creates the store to move it from or to here. The same
// holds for the data directory as with [Open]. It opens every store, whatever
// its mark says, and recovers nothing.
func OpenTransfer(opts Options) (*Transfer, error) {
	s, err := open(opts)
	if err != nil {
		return nil, err
	}
	return &Transfer{s}, nil
}

// Close closes the file. Calling it twice is harmless.
func (t *Transfer) Close() error { return t.store.Close() }

// Mark implements [transfer.Marked].
func (t *Transfer) Mark(ctx context.Context) (m transfer.Mark, err error) {
	err = t.store.read(ctx, func(conn *sqlite.Conn) (err error) {
		m, err = readMark(conn)
		return err
	})
	return m, err
}

func readMark(conn *sqlite.Conn) (m transfer.Mark, err error) {
	_, err = query(conn, "SELECT stage, id, place FROM move", func(r *row) error {
		m = transfer.Mark{Stage: transfer.Stage(r.text()), Move: r.text(), Place: r.text()}
		return nil
	})
	if err != nil {
		return m, fmt.Errorf("read the store's mark: %w", err)
	}
	return m, nil
}

// mayServe tells whether what is stored here is complete, and belongs here.
func mayServe(conn *sqlite.Conn) error {
	m, err := readMark(conn)
	if err != nil {
		return err
	}
	return m.Serve()
}

// SetMark implements [transfer.Marked]. Whoever holds the data directory is its
// only user, so nobody else has to be looked for.
func (t *Transfer) SetMark(ctx context.Context, was, is transfer.Mark) error {
	return t.store.commit(ctx, func(t *tx) error {
		if err := t.expectMark(was); err != nil {
			return err
		}
		_, err := t.exec("INSERT OR REPLACE INTO move (one, stage, id, place) VALUES (1, ?, ?, ?)",
			string(is.Stage), is.Move, is.Place)
		return err
	})
}

func (t *tx) expectMark(want transfer.Mark) error {
	m, err := readMark(t.conn)
	if err == nil && m != want {
		err = transfer.ErrChanged
	}
	return err
}

// Rest implements [transfer.Source].
func (t *Transfer) Rest(ctx context.Context) error {
	m, err := t.Mark(ctx)
	switch {
	case err != nil || m.Stage == transfer.Moved:
		return err
	case m.Stage != transfer.Leaving:
		return transfer.ErrChanged
	}
	if err := t.store.recoverAll(ctx); err != nil {
		return err
	}
	for _, lane := range lanes {
		if err := t.store.unqueue(ctx, lane); err != nil {
			return fmt.Errorf("take mails back from the queue: %w", err)
		}
	}
	return nil
}

// restChunk is how many rows one step of a move changes at most.
const restChunk = 1000

const sqlQueued = "state = 'queued' AND lane = ? AND at IS NOT NULL LIMIT ?"

// unqueue makes a lane's queued mails due. They keep their place in the line.
func (s *Store) unqueue(ctx context.Context, lane onboarding.Lane) error {
	return s.inSteps(ctx, func(t *tx) (int, error) {
		queued, err := t.mails(sqlQueued, string(lane), restChunk)
		if err != nil {
			return 0, err
		}
		for _, m := range queued {
			m.toDue(int64(m.at))
			if err := t.save(m); err != nil {
				return 0, err
			}
		}
		return len(queued), nil
	})
}

// inSteps repeats a step, each in a transaction of its own, until it finds
// nothing more to do.
func (s *Store) inSteps(ctx context.Context, step func(*tx) (int, error)) error {
	for done := 1; done > 0; {
		err := s.commitUnsynced(ctx, func(t *tx) (err error) {
			done, err = step(t)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Totals implements [transfer.Rows].
func (t *Transfer) Totals(ctx context.Context) (transfer.Totals, error) {
	var c counts
	err := t.store.read(ctx, func(conn *sqlite.Conn) (err error) {
		c, err = loadCounts(conn)
		return err
	})
	if err != nil {
		return transfer.Totals{}, err
	}
	total := transfer.Totals{
		Accepted: c[accepted], Copies: c[copies], Differing: c[differing], Arrived: map[onboarding.Lane]int64{},
	}
	for _, lane := range lanes {
		total.Arrived[lane] = c[arrived(lane)]
	}
	return total, nil
}

// Keys implements [transfer.Rows].
func (t *Transfer) Keys(ctx context.Context) (keys []transfer.Key, err error) {
	return keys, t.list(ctx, func(r *row) error {
		keys = append(keys, transfer.Key{Name: r.text(), Secret: r.bytes()})
		return nil
	}, "SELECT name, secret FROM keys ORDER BY name")
}

// list reads all rows of one statement in one transaction.
func (t *Transfer) list(ctx context.Context, fn func(*row) error, sql string, args ...any) error {
	return t.store.read(ctx, func(conn *sqlite.Conn) error {
		_, err := query(conn, sql, fn, args...)
		return err
	})
}

const (
	sqlMoved         = "seq > ? ORDER BY seq LIMIT ?"
	sqlMovedAttempts = `SELECT mail, n, copy, outcome, counted, code, enhanced, answer FROM attempts
		WHERE mail > ? AND mail <= ? ORDER BY mail, n`
)

// Mails implements [transfer.Rows].
func (t *Transfer) Mails(ctx context.Context, after int64, limit int) (found []transfer.Mail, err error) {
	err = t.list(ctx, func(r *row) error {
		found = append(found, scanMail(r).neutral())
		return nil
	}, selectMail+sqlMoved, after, limit)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	attempts, err := t.attempts(ctx, after, found[len(found)-1].Number)
	for i := range found {
		found[i].Attempts = attempts[found[i].Number]
		if found[i].State == onboarding.Purged && err == nil {
			err = t.unname(ctx, &found[i])
		}
	}
	return found, err
}

const sqlSubject = "SELECT 1 FROM signups WHERE id = ? UNION ALL SELECT 1 FROM signins WHERE id = ?"

// unname takes the ID of a purged mail whose subject is forgotten.
func (t *Transfer) unname(ctx context.Context, m *transfer.Mail) error {
	subject, known := m.ID.Subject(), false
	err := t.list(ctx, func(*row) error {
		known = true
		return nil
	}, sqlSubject, subject, subject)
	if !known {
		m.ID = ""
	}
	return err
}

// placeholder is the id of a mail that has lost its own.
func placeholder(m transfer.Mail) onboarding.MailID {
	return onboarding.NewMailID(fmt.Sprint("forgotten-", m.Number), onboarding.SignIn, 1)
}

// attempts reads those of the mails with numbers above after, up to last.
func (t *Transfer) attempts(ctx context.Context, after, last int64) (map[int64][]transfer.Attempt, error) {
	found := map[int64][]transfer.Attempt{}
	err := t.list(ctx, func(r *row) error {
		mail := r.int()
		found[mail] = append(found[mail], transfer.Attempt{
			N: r.int(), Copy: r.bool(), Outcome: onboarding.AttemptOutcome(r.text()), Counted: r.bool(),
			Code: r.int(), Enhanced: r.text(), Text: r.text(),
		})
		return nil
	}, sqlMovedAttempts, after, last)
	return found, err
}

// neutral is the row as every store understands it.
func (m *mail) neutral() transfer.Mail {
	return transfer.Mail{
		Number: m.seq, ID: m.id, Lane: m.lane, Created: m.created, Keeps: m.keeps,
		State: m.state, Gen: m.gen, At: int64(m.at), Holder: m.holder, Op: m.op, Claims: m.claims, Variant: m.variant,
		Commits: m.commits, Mint: m.mint, MintedAt: m.mintedAt, BodyHash: m.bodyHash,
		Copies: m.copies, Doubt: m.doubt, CalledOff: m.calledOff, Charged: m.charged,
		Counted: m.attempts, ExpiresAt: m.expiresAt, DeadSince: int64(m.deadSince),
		Reason: m.reason, Reply: m.reply,
	}
}

// Empty implements [transfer.Target]. It begins with what others point to.
func (t *Transfer) Empty(ctx context.Context) error {
	for _, sql := range []string{
		"DELETE FROM attempts WHERE mail IN (SELECT mail FROM attempts LIMIT ?)",
		"DELETE FROM mails WHERE seq IN (SELECT seq FROM mails LIMIT ?)",
		"DELETE FROM idempotency WHERE signup IN (SELECT signup FROM idempotency LIMIT ?)",
		"DELETE FROM sessions WHERE seq IN (SELECT seq FROM sessions LIMIT ?)",
		"DELETE FROM signins WHERE seq IN (SELECT seq FROM signins LIMIT ?)",
		"DELETE FROM charges WHERE seq IN (SELECT seq FROM charges LIMIT ?)",
		"DELETE FROM signups WHERE seq IN (SELECT seq FROM signups LIMIT ?)",
		"DELETE FROM keys WHERE name IN (SELECT name FROM keys LIMIT ?)",
		"DELETE FROM documents WHERE name IN (SELECT name FROM documents LIMIT ?)",
		"DELETE FROM incarnations WHERE id IN (SELECT id FROM incarnations LIMIT ?)",
	} {
		if err := t.store.inSteps(ctx, func(t *tx) (int, error) { return t.empty(sql) }); err != nil {
			return err
		}
	}
	return nil
}

// empty removes some rows of a store that is being filled. Its totals go at
// once.
func (t *tx) empty(sql string) (int, error) {
	m, err := readMark(t.conn)
	if err != nil {
		return 0, err
	}
	if m.Stage != transfer.Filling {
		return 0, transfer.ErrChanged
	}
	t.counts = counts{}
	return t.exec(sql, restChunk)
}

// PutTotals implements [transfer.Target]. The counts of states come with the
// mails.
func (t *Transfer) PutTotals(ctx context.Context, total transfer.Totals) error {
	return t.store.commitUnsynced(ctx, func(t *tx) error {
		t.counts[accepted], t.counts[copies], t.counts[differing] = total.Accepted, total.Copies, total.Differing
		for _, lane := range lanes {
			t.counts[arrived(lane)] = total.Arrived[lane]
		}
		return nil
	})
}

// PutKeys implements [transfer.Target].
func (t *Transfer) PutKeys(ctx context.Context, keys []transfer.Key) error {
	return put(ctx, t.store, keys, func(t *tx, k transfer.Key) error {
		_, err := t.exec("INSERT INTO keys (name, secret) VALUES (?, ?)", k.Name, []byte(k.Secret))
		return err
	})
}

// put adds rows in one transaction.
func put[T any](ctx context.Context, s *Store, rows []T, add func(*tx, T) error) error {
	return s.commitUnsynced(ctx, func(t *tx) error {
		for _, row := range rows {
			if err := add(t, row); err != nil {
				return err
			}
		}
		return nil
	})
}

// PutMails implements [transfer.Target].
func (t *Transfer) PutMails(ctx context.Context, mails []transfer.Mail) error {
	return put(ctx, t.store, mails, func(t *tx, m transfer.Mail) error {
		if err := errors.Join(t.putMail(m), t.putAttempts(m)); err != nil {
			return fmt.Errorf("put mail number %d: %w", m.Number, err)
		}
		return nil
	})
}

// putMail adds a row that says nothing, and then makes it what it is.
func (t *tx) putMail(n transfer.Mail) error {
	if n.Nameless() {
		n.ID = placeholder(n)
	}
	_, purpose, _, err := n.ID.Parse()
	if err != nil {
		return err
	}
	if !slices.Contains(states, n.State) {
		return fmt.Errorf("no such state: %q", n.State)
	}
	lane := purpose.Lane()
	if err := t.dateTombstone(&n); err != nil {
		return err
	}
	_, err = t.exec(`INSERT INTO mails (seq, id, lane, created_at, keeps, state, gen, expires_at, expires)
		VALUES (?, ?, ?, ?, 0, 'purged', 0, 0, 0)`, n.Number, string(n.ID), string(lane), n.Created)
	if err != nil {
		return err
	}
	t.counts[mailsIn(lane, onboarding.Purged)]++
	m := &mail{seq: n.Number, id: n.ID, lane: lane}
	m.loaded.state = onboarding.Purged
	m.place = place{
		state: n.State, gen: n.Gen, at: optional(n.At), holder: n.Holder, op: n.Op, claims: n.Claims, variant: n.Variant,
	}
	m.latest = latest{
		commits: n.Commits, mint: n.Mint, mintedAt: n.MintedAt, bodyHash: n.BodyHash,
		copies: n.Copies, doubt: n.Doubt, calledOff: n.CalledOff, charged: n.Charged,
	}
	m.ending = ending{
		attempts: n.Counted, keeps: n.Keeps, expiresAt: n.ExpiresAt, expires: n.At != 0,
		deadSince: optional(n.DeadSince), reason: n.Reason, reply: n.Reply,
	}
	return t.save(m)
}

// dateTombstone makes a tombstone as old as its sign-up: it was created then or
// later.
func (t *tx) dateTombstone(n *transfer.Mail) error {
	if n.State != onboarding.Purged || n.Created != 0 {
		return nil
	}
	accepted, _, err := one(t.conn, "SELECT accepted FROM signups WHERE id = ?", n.ID.Subject())
	n.Created = accepted * 1000
	return err
}

func (t *tx) putAttempts(m transfer.Mail) error {
	for _, a := range m.Attempts {
		_, err := t.exec(sqlPutAttempt, m.Number, a.N, a.Copy, string(a.Outcome), a.Counted, a.Code, a.Enhanced, a.Text)
		if err != nil {
			return err
		}
	}
	return nil
}
