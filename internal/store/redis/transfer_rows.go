package redis

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"

	"bellhop/internal/onboarding"
	"bellhop/internal/redisdb"
	"bellhop/internal/store/transfer"
)

// movePage is how many rows one step of a move reads or adds: nobody else may
// be waiting, but a step should not take long.
const movePage = 100

// unhex reads a hash.
func unhex(to *[32]byte, text string) error { return digits(to[:], text) }

// digits reads bytes that are written in hexadecimal digits.
func digits(to []byte, text string) error {
	if len(text) != hex.EncodedLen(len(to)) {
		return fmt.Errorf("%w: want %d hexadecimal digits", errReply, hex.EncodedLen(len(to)))
	}
	_, err := hex.Decode(to, []byte(text))
	return err
}

// Mails implements [transfer.Rows].
func (t *Transfer) Mails(ctx context.Context, after int64, limit int) (found []transfer.Mail, err error) {
	total, err := t.Totals(ctx)
	if err != nil {
		return nil, err
	}
	for after < total.Accepted && len(found) < limit {
		to := min(after+movePage, after+int64(limit-len(found)), total.Accepted)
		page, err := t.mails(ctx, after+1, to)
		if err != nil {
			return nil, fmt.Errorf("read mails: %w", err)
		}
		found = append(found, page...)
		after = to
	}
	return found, nil
}

// mails reads those of some numbers.
func (t *Transfer) mails(ctx context.Context, from, to int64) (found []transfer.Mail, err error) {
	v, err := t.store.run(ctx, t.moves.mails, redisdb.Answered, from, to)
	if err != nil {
		return nil, err
	}
	r := newReply(v)
	for r.more() {
		m, err := r.list().mail()
		if err == nil && m.State == "" {
			err = t.nameOf(ctx, &m)
		}
		if err != nil {
			return nil, fmt.Errorf("mail number %d: %w", m.Number, err)
		}
		found = append(found, m)
	}
	return found, r.err
}

// nameOf fills in what is left of a purged mail.
func (t *Transfer) nameOf(ctx context.Context, m *transfer.Mail) error {
	if t.names == nil {
		names, err := t.purged(ctx)
		if err != nil {
			return fmt.Errorf("read the names of purged mails: %w", err)
		}
		t.names = names
	}
	m.ID, m.State = t.names[m.Number], onboarding.Purged
	return nil
}

// purged reads the ids of all purged mails, which only their subjects know. What
// a request to sign in was owed that is forgotten has none.
func (t *Transfer) purged(ctx context.Context) (map[int64]onboarding.MailID, error) {
	names := make(map[int64]onboarding.MailID)
	for _, log := range []string{"signups", "requests"} {
		for after, more := "0-0", true; more; more = after != "" {
			v, err := t.store.run(ctx, t.moves.names, redisdb.Answered, log, after, movePage)
			if err != nil {
				return nil, err
			}
			r := newReply(v)
			after = r.text()
			for r.more() {
				names[r.int()] = onboarding.MailID(r.text())
			}
			if r.err != nil {
				return nil, r.err
			}
		}
	}
	return names, nil
}

func (r *reply) mail() (transfer.Mail, error) {
	m := transfer.Mail{Number: r.int()}
	row := r.list()
	for row.more() {
		if err := setField(&m, row.text(), row.text()); err != nil {
			return m, err
		}
	}
	attempts := r.list()
	for attempts.more() {
		a := attempts.list()
		m.Attempts = append(m.Attempts, transfer.Attempt{
			N: a.int(), Copy: a.bool(), Outcome: onboarding.AttemptOutcome(a.text()), Counted: a.bool(),
			Code: a.int(), Enhanced: a.text(), Text: a.text(),
		})
		attempts.err = cmp.Or(attempts.err, a.err)
	}
	slices.SortFunc(m.Attempts, func(a, b transfer.Attempt) int { return cmp.Compare(a.N, b.N) })
	return m, cmp.Or(r.err, row.err, attempts.err)
}

// numbers and texts are the fields of a row that are just that. A row has other
// fields: id, body, doubts, off, charged, code; and ended, which begins anew elsewhere.
func numbers(m *transfer.Mail) map[string]*int64 {
	return map[string]*int64{
		"created": &m.Created, "keeps": &m.Keeps, "gen": &m.Gen, "at": &m.At, "claims": &m.Claims,
		"commits": &m.Commits, "mint": &m.Mint, "minted": &m.MintedAt, "copies": &m.Copies,
		"attempts": &m.Counted, "expires": &m.ExpiresAt, "dead": &m.DeadSince,
	}
}

func texts(m *transfer.Mail) map[string]*string {
	return map[string]*string{
		"lane": (*string)(&m.Lane), "state": (*string)(&m.State), "holder": (*string)(&m.Holder), "op": &m.Op,
		"variant": (*string)(&m.Variant), "reason": &m.Reason,
		"phase": &m.Reply.Phase, "enhanced": &m.Reply.Enhanced, "answer": &m.Reply.Text,
	}
}

// setField reads one field of a row. One that is not known here would be lost,
// and is an error.
func setField(m *transfer.Mail, name, value string) (err error) {
	if text, ok := texts(m)[name]; ok {
		*text = value
		return nil
	}
	if number, ok := numbers(m)[name]; ok {
		*number, err = strconv.ParseInt(value, 10, 64)
		return err
	}
	switch name {
	case "id":
		m.ID = onboarding.MailID(value)
	case "body":
		err = unhex(&m.BodyHash, value)
	case "doubts":
		m.Doubt = true
	case "off":
		m.CalledOff = true
	case "charged":
		m.Charged = true
	case "code":
		m.Reply.Code, err = strconv.Atoi(value)
	case "ended":
	default:
		err = fmt.Errorf("no rule for field %q", name)
	}
	return err
}

// fields are a row's, as name, value, name, value. What is zero has none.
func fields(m transfer.Mail) (flat []any) {
	for name, number := range numbers(&m) {
		if *number != 0 {
			flat = append(flat, name, *number)
		}
	}
	for name, text := range texts(&m) {
		if *text != "" {
			flat = append(flat, name, *text)
		}
	}
	if m.BodyHash != [32]byte{} {
		flat = append(flat, "body", hex.EncodeToString(m.BodyHash[:]))
	}
	doubts := 0
	for _, a := range m.Attempts {
		if a.Outcome == onboarding.Uncertain {
			doubts++
		}
	}
	if doubts > 0 {
		flat = append(flat, "doubts", doubts)
	}
	if m.CalledOff {
		flat = append(flat, "off", 1)
	}
	if m.Charged {
		flat = append(flat, "charged", 1)
	}
	if m.Reply.Code != 0 {
		flat = append(flat, "code", m.Reply.Code)
	}
	return flat
}

// PutMails implements [transfer.Target].
func (t *Transfer) PutMails(ctx context.Context, mails []transfer.Mail) error {
	for page := range slices.Chunk(mails, movePage) {
		var args []any
		for _, m := range page {
			var err error
			if args, err = appendMail(args, m); err != nil {
				return fmt.Errorf("put mail number %d: %w", m.Number, err)
			}
		}
		if err := t.put(ctx, t.moves.putMails, args...); err != nil {
			return fmt.Errorf("put mails: %w", err)
		}
	}
	return nil
}

// appendMail adds a mail to the arguments of a step.
func appendMail(args []any, m transfer.Mail) ([]any, error) {
	if _, _, _, err := m.ID.Parse(); err != nil && !m.Nameless() {
		return nil, err
	}
	if !slices.Contains(onboarding.States(), m.State) || m.State == onboarding.Queued || m.State.Held() {
		return nil, fmt.Errorf("a mail that is %q is not at rest", m.State)
	}
	row := fields(m)
	args = append(append(args, m.Number, string(m.ID), len(row)/2), row...)
	args = append(args, len(m.Attempts))
	for _, a := range m.Attempts {
		args = append(args, a.N, a.Copy, string(a.Outcome), a.Counted, a.Code, a.Enhanced, a.Text)
	}
	return args, nil
}
