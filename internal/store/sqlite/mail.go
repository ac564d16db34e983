package sqlite

import (
	"fmt"

	"bellhop/internal/onboarding"
)

// mail is one row of the ledger while a step works on it. The columns come in
// three groups, and save writes only the groups that changed: an index is
// maintained each time one of its columns is named in an UPDATE.
type mail struct {
	seq     int64
	id      onboarding.MailID
	lane    onboarding.Lane
	created int64
	place
	latest
	ending

	loaded struct { // as it was when it was loaded
		place
		latest
		ending
	}
}

// place is where a mail stands, and under which claim.
type place struct {
	state   onboarding.State
	gen     int64
	at      optional
	holder  onboarding.Incarnation
	op      string
	claims  int64
	variant onboarding.Variant
}

// latest is the latest attempt that reached committing.
type latest struct {
	commits   int64
	mint      int64
	mintedAt  int64
	bodyHash  [32]byte
	copies    int64
	doubt     bool // an earlier one ended unknown, and what became of it was never learnt
	calledOff bool
	charged   bool // to the budget of its address
}

// ending is what decides how a mail ends.
type ending struct {
	attempts  int64
	keeps     int64
	expiresAt int64
	expires   bool
	deadSince optional
	reason    string
	reply     onboarding.Reply
}

const selectMail = `SELECT seq, id, lane, created_at,
	state, gen, at, holder, op, claims, variant,
	commits, mint, minted_at, body_hash, copies, doubt, called_off, charged,
	attempts, keeps, expires_at, expires, dead_since, reason, phase, code, enhanced, answer
	FROM mails WHERE `

// updateMail is indexed by changedLatest and changedEnding.
var updateMail = [...]string{
	"UPDATE mails SET " + setPlace + " WHERE seq = ?",
	"UPDATE mails SET " + setPlace + setLatest + " WHERE seq = ?",
	"UPDATE mails SET " + setPlace + setEnding + " WHERE seq = ?",
	"UPDATE mails SET " + setPlace + setLatest + setEnding + " WHERE seq = ?",
}

const (
	changedLatest = 1
	changedEnding = 2

	setPlace  = "state = ?, gen = ?, at = ?, holder = ?, op = ?, claims = ?, variant = ?"
	setLatest = ", commits = ?, mint = ?, minted_at = ?, body_hash = ?, copies = ?, doubt = ?, called_off = ?, charged = ?"
	setEnding = ", attempts = ?, keeps = ?, expires_at = ?, expires = ?, dead_since = ?, reason = ?, phase = ?, code = ?, enhanced = ?, answer = ?"
)

// mail loads the mail of an id, or nil if there is none.
func (t *tx) mail(id onboarding.MailID) (*mail, error) {
	found, err := t.mails("id = ?", string(id))
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return found[0], nil
}

// mails loads the mails a condition selects. They are loaded before any is
// changed, so that a change cannot move a row under the query's feet.
func (t *tx) mails(where string, args ...any) (found []*mail, err error) {
	_, err = query(t.conn, selectMail+where, func(r *row) error {
		found = append(found, scanMail(r))
		return nil
	}, args...)
	return found, err
}

func scanMail(r *row) *mail {
	m := &mail{
		seq: r.int(), id: onboarding.MailID(r.text()), lane: onboarding.Lane(r.text()), created: r.int(),
		place: place{
			state: onboarding.State(r.text()), gen: r.int(), at: r.optional(),
			holder: onboarding.Incarnation(r.text()), op: r.text(), claims: r.int(),
			variant: onboarding.Variant(r.text()),
		},
		latest: latest{
			commits: r.int(), mint: r.int(), mintedAt: r.int(), bodyHash: r.hash(),
			copies: r.int(), doubt: r.bool(), calledOff: r.bool(), charged: r.bool(),
		},
		ending: ending{
			attempts: r.int(), keeps: r.int(), expiresAt: r.int(), expires: r.bool(),
			deadSince: r.optional(), reason: r.text(),
			reply: onboarding.Reply{Phase: r.text(), Code: int(r.int()), Enhanced: r.text(), Text: r.text()},
		},
	}
	m.loaded.place, m.loaded.latest, m.loaded.ending = m.place, m.latest, m.ending
	return m
}

// save writes what a step changed, and moves the mail in the counts.
func (t *tx) save(m *mail) error {
	args := []any{
		string(m.state), m.gen, m.at, string(m.holder), m.op, m.claims, string(m.variant),
	}
	which := 0
	if m.latest != m.loaded.latest {
		which |= changedLatest
		args = append(args, m.commits, m.mint, m.mintedAt, m.bodyHash[:], m.copies, m.doubt, m.calledOff, m.charged)
	}
	if m.ending != m.loaded.ending {
		which |= changedEnding
		args = append(args, m.attempts, m.keeps, m.expiresAt, m.expires, m.deadSince,
			m.reason, m.reply.Phase, m.reply.Code, m.reply.Enhanced, m.reply.Text)
	}
	n, err := t.exec(updateMail[which], append(args, m.seq)...)
	if err != nil {
		return fmt.Errorf("save mail %s: %w", m.id, err)
	}
	if n != 1 {
		return fmt.Errorf("save mail %s: the row is gone", m.id)
	}
	t.moved(m.lane, m.loaded.state, m.state)
	return nil
}

// moved keeps the conservation law: what leaves one state enters another.
func (t *tx) moved(lane onboarding.Lane, from, to onboarding.State) {
	t.counts[mailsIn(lane, from)]--
	t.counts[mailsIn(lane, to)]++
}

// heldBy tells whether the claim is the latest one made on the mail.
func (m *mail) heldBy(c onboarding.Claim) bool {
	return m.op == c.Op && m.holder == c.Holder && c.Op != ""
}

// free makes every step of the last claim fail from now on.
func (m *mail) free() { m.holder, m.op = "", "" }

// toDue returns the mail to due at a time. Messages of the generation before
// mean nothing from now on.
func (m *mail) toDue(at int64) {
	m.state, m.at, m.gen = onboarding.Due, optional(at), m.gen+1
	m.expires, m.deadSince = true, 0
}

// end makes the mail finished. Only failed and expired mails are listed as
// given up.
func (m *mail) end(state onboarding.State, now int64, reason string) {
	m.state, m.at, m.expires, m.deadSince, m.reason = state, 0, false, 0, reason
	if state == onboarding.Failed || state == onboarding.Expired {
		m.deadSince = optional(now)
	}
}

// toUnknown makes the outcome of the latest attempt unknown: a copy follows
// after the policy's pause while there may be one, else an operator decides.
func (m *mail) toUnknown(p onboarding.Policy, now int64, reason string) {
	m.state, m.reason = onboarding.Unknown, reason
	if m.calledOff || m.copies >= int64(p.CopiesOf(m.variant)) {
		m.hold(now)
		return
	}
	m.at = optional(now + ms(p.UnknownPause))
}

// hold leaves an unknown to an operator.
func (m *mail) hold(now int64) {
	m.at, m.expires, m.deadSince = 0, false, optional(now)
}

// expiredText says why a mail expired.
func (m *mail) expiredText() string {
	if m.doubt {
		return "expired before it could be sent again; whether the attempt before arrived is unknown"
	}
	return "expired before it could be sent"
}
