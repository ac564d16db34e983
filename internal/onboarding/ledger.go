package onboarding

import (
	"context"
	"errors"
	"time"
)

var (
	// ErrRefused is returned when a compare-and-set lost: the mail moved on,
	// is held by someone else, or is not there. It is normal, and final for
	// the caller's claim.
	ErrRefused = errors.New("the ledger refused: the mail has moved on")
	// ErrStale is returned by [Claims.Check] when the only thing wrong is the
	// holder's own heartbeat.
	ErrStale = errors.New("the ledger refused: this process's heartbeat is stale")
	// ErrGone is returned by [Claims.Record] when the ledger takes nothing more
	// from this process, and never will: it was closed, or a commit has failed.
	ErrGone = errors.New("the ledger takes nothing more from this process")
	// ErrNoMail is returned when an operator names a mail that does not exist.
	ErrNoMail = errors.New("no such mail")
	// ErrWrongState is returned when an operator asks for something that the
	// mail's state does not allow.
	ErrWrongState = errors.New("the mail's state does not allow it")
)

// Incarnation names one run of one process. It is never used twice.
type Incarnation string

// Claim is one holder's hold on one mail. It is the operation id of all the
// holder's steps: repeating a step under the same claim succeeds and changes
// nothing.
type Claim struct {
	Ref
	Holder Incarnation
	// Op is unique for each claim a holder makes.
	Op string
}

// Held is a claimed mail, with all a sender needs to send it.
type Held struct {
	Claim Claim
	// State is Sending, or the state the mail was ended in instead: Expired;
	// Failed when it was claimed MaxClaims times without an outcome; Suppressed
	// when it is over its address's budget, or its sign-up was caught at the
	// door; Cancelled when there is nobody to send it to: the person is erased,
	// or whoever asked to sign in has no account.
	State   State
	Variant Variant
	// Locale is the language that was asked for, as a BCP 47 tag; "" if none is
	// known.
	Locale string
	// To is the sendable address. It is the only personal datum that leaves
	// the store for a mail that is not confirmed.
	To string
	// Created is when the mail was created.
	Created time.Time
	// ExpiresIn is how much longer the mail makes sense.
	ExpiresIn time.Duration
	// Attempts is how many attempts have counted so far.
	Attempts int
	// Claims is how often the mail was claimed without an outcome, this time
	// included.
	Claims int
	// Mint is the number of the last minted link, 0 for none.
	Mint int
	// Copy tells that an earlier attempt ended unknown: the person may have
	// that mail, so this one is a copy and reuses its mint number, however
	// many attempts that were certainly not delivered lie in between.
	Copy bool
	// BodyHash is the hash given with the last Committing, or zero.
	BodyHash [32]byte
}

// NextMint is the mint number to render this attempt with.
func (h Held) NextMint() int {
	if h.Copy && h.Mint > 0 {
		return h.Mint
	}
	return h.Mint + 1
}

// Rendered is what is made durable before the final dot.
type Rendered struct {
	// Mint is the mint number the links were derived with.
	Mint int
	// BodyHash is the SHA-256 of the bytes submitted.
	BodyHash [32]byte
}

// Result is how a claim ends.
type Result struct {
	// To is Sent, Due, Failed or Unknown. (Expired is the store's to decide: a
	// return to due at a time at or past the mail's expiry becomes Expired.)
	To State
	// After is, with To Due, how long the mail waits. For Unknown the policy
	// decides: a copy after UnknownPause while [Policy.CopiesOf] allows one,
	// held for an operator otherwise.
	After time.Duration
	// Counts tells whether this attempt counts in Held.Attempts. A late reply
	// does not count an attempt twice.
	Counts bool
	// Drained tells that the claim was given back unused: it does not count
	// as a claim without an outcome, and is no outcome either.
	Drained bool
	// Away tells that the mail server could not be asked: it was not this mail
	// that kept it from being sent.
	Away bool
	// Reason says in words why, for the operator. No personal data.
	Reason string
	// Reply is the server's answer, if there was one.
	Reply Reply
}

// Answered tells that the mail server was there: the mail was taken, or the
// attempt was one that counts.
func (r Result) Answered() bool { return !r.Away && (r.To == Sent || r.Counts) }

// Reply is what the mail server said at the end of an attempt.
type Reply struct {
	Phase    string // in which SMTP phase the attempt ended
	Code     int    // RFC 5321 reply code, 0 for none
	Enhanced string // RFC 3463 status, "" for none
	Text     string // truncated, without addresses
}

// Ledger is all a process needs of the table of mails owed. A store implements
// it; storetest proves it. All times are the store's clock. All methods may be
// called concurrently, from several processes where the store allows it.
//
// Durability: what Committing and Record return from, and every change an
// operator asks for, is on disk. A Claim survives the end of its process, so
// that claims without an outcome are counted; in a power cut it may be lost, as
// Relayed and Sweep may in any crash: recovery does them again.
type Ledger interface {
	Outbox
	Claims
	Presence
	Operator
}

// Outbox is the relay's side of the ledger.
type Outbox interface {
	// DueMails returns up to limit mails of a lane that are due now, oldest
	// due first, and how long until the next one that is not in the list is
	// due: 0 when there are more now, negative when there are none at all.
	// It sees every earlier Relayed of the same process.
	DueMails(ctx context.Context, lane Lane, limit int) (refs []Ref, next time.Duration, err error)
	// Relayed marks mails due → queued after the queue has taken their
	// messages. A mail that has moved on is left alone.
	Relayed(ctx context.Context, refs []Ref) error
	// QueuedMails is how many mails of a lane are queued now.
	QueuedMails(ctx context.Context, lane Lane) (int64, error)
	// Arrived tells that a marker message sent at the given time (by the
	// store's clock) has come through the lane. Claims do this by themselves.
	Arrived(ctx context.Context, lane Lane, sent time.Time) error
	// Lane tells how a lane is getting on.
	Lane(ctx context.Context, lane Lane) (LaneProgress, error)
	// Sweep brings back what was lost on the way, up to limit rows of each
	// kind, on behalf of a live incarnation:
	//   - unknown mails whose pause is over → due (expired ones are held),
	//   - due and queued mails past their expiry → expired,
	//   - queued mails sent more than Policy.StaleAfter ago, and earlier than
	//     something that has arrived in their lane → due,
	//   - mails held by an incarnation whose heartbeat is older than
	//     Policy.DeadAfter, or held for longer than Policy.HoldMost by whomever:
	//     sending → due, committing → unknown; only while
	//     the caller's own heartbeat has been good for that long, without a gap
	//     of more than Policy.Gap (a heartbeat from further in the future than
	//     that is not good either),
	//   - due, queued and unknown mails that wait for a time further ahead than
	//     any rule sets, because the clock was set back → due or waiting no more,
	//   - idempotency keys older than a day → gone, and what was charged to a
	//     budget longer ago than any allowance looks back,
	//   - mails that were finished longer ago than Policy.Retention → purged,
	//     where the store does that at all. Nothing of them may be left but
	//     their number, in the audit as a row without an ID.
	Sweep(ctx context.Context, by Incarnation, limit int) (Swept, error)
}

// LaneProgress tells whether messages come through a lane.
type LaneProgress struct {
	// Now is the store's clock.
	Now time.Time
	// Queued is how many mails of the lane are queued.
	Queued int64
	// Arrived is when the latest-sent message that has arrived was sent; zero
	// for none since the store was created.
	Arrived time.Time
	// Attended tells that some incarnation's heartbeat is good.
	Attended bool
	// AttendedFor is for how long one of those has been good already, without a
	// gap of more than Policy.Gap; 0 for none.
	AttendedFor time.Duration
}

// Swept counts what one sweep did.
type Swept struct {
	Recovered int // rows taken from dead incarnations
	Requeued  int // queued → due
	Copied    int // unknown → due
	Expired   int // due, queued → expired
	Purged    int // finished → purged
	// More tells that a limit was reached: sweep again at once.
	More bool
	// Next is how long until an unknown's pause or a mail's expiry next asks
	// for a sweep; negative when none does.
	Next time.Duration
}

// Claims is the sender's side of the ledger.
type Claims interface {
	// Claim takes the mail for the claim's holder if the generation is equal
	// and the mail is queued, or due with its time come; the variant is chosen
	// if it has none. The mail may instead be ended in the same step (see
	// Held.State); the budget of its address is looked at, not charged, and not
	// at all for a mail that was charged before. [ErrRefused] when the message
	// means nothing any more, or when a later step was made under this very
	// claim.
	Claim(ctx context.Context, c Claim) (Held, error)
	// Committing moves sending → committing for the holder, charges the budget
	// of its address unless this mail was charged before, and returns when that
	// is on disk. [ErrRefused]: the mail was taken or called off, and the final
	// dot must not be written; or the budget was used up since the claim, and
	// the mail has ended suppressed.
	Committing(ctx context.Context, c Claim, r Rendered) error
	// Check tells, before a dot that comes late after Committing, whether the
	// claim still stands. [ErrRefused] if not; [ErrStale] if only the holder's
	// heartbeat is older than Policy.DeadAfter.
	Check(ctx context.Context, c Claim) error
	// Record ends the claim. The state becomes any of [Result.To]; anything else
	// is an error and changes nothing. From sending, Sent and Unknown mean that
	// the store has lost what Committing had returned from, as one that syncs
	// late can: the holder knows better. A late reply of the same claim may still
	// turn unknown into something better. A mail that was called off while it
	// was held ends cancelled, unless it was accepted or is unknown, and an
	// unknown that was called off is held. It returns the state the mail is in.
	// [ErrRefused] if the mail is no longer this claim's, [ErrGone] if asking
	// again is of no use.
	Record(ctx context.Context, c Claim, r Result) (State, error)
}

// Presence is how incarnations know of each other.
type Presence interface {
	// Heartbeat says that an incarnation is alive. The first one registers it;
	// make it before the first claim. Call it every Policy.Heartbeat.
	Heartbeat(ctx context.Context, by Incarnation) error
	// Leave says that an incarnation has ended. What it held in sending is due
	// again at once: nothing was submitted. What it left in committing stays
	// there, as it was cut past its dot, until a sweep or the next start finds
	// it held by nobody.
	Leave(ctx context.Context, by Incarnation) error
}

// Operator is what people and commands do with the ledger. What it lists
// includes everything that has returned in this process before.
type Operator interface {
	// Books returns the counts of the conservation law, as kept.
	Books(ctx context.Context) (Books, error)
	// DeadMails lists failed, expired and held unknown mails in the order in
	// which they were given up, after the given cursor ("" at first). An empty
	// next ends the list.
	DeadMails(ctx context.Context, after string, limit int) (mails []DeadMail, next string, err error)
	// Replay sends a failed, expired or unknown mail again: it becomes due
	// now, keeps its Message-ID, gets a fresh expiry, and starts counting
	// attempts anew. An unknown one is sent as a copy. [ErrNoMail];
	// [ErrWrongState], also when the person it goes to was erased.
	Replay(ctx context.Context, id MailID) error
	// Discard makes a failed, expired or unknown mail purged: nobody wants it
	// any more, or takes it as settled. [ErrNoMail], [ErrWrongState].
	Discard(ctx context.Context, id MailID) error
	// Cancel calls off every mail of a subject that is not finished, and
	// returns how many were not called off before. They end cancelled, unknown
	// ones too. A mail in committing stays there: its holder finds out at Check
	// or, past the dot, records the truth.
	Cancel(ctx context.Context, subject, reason string) (int, error)
	// Audit reads the ledger's rows in short transactions, in the order they
	// were created, from just after the given cursor (0 at first) up to limit.
	Audit(ctx context.Context, after int64, limit int) ([]AuditRow, error)
	// MissingMails lists, in short transactions, up to limit sign-ups after
	// the given cursor that have no mail. scanned is the cursor to go on from,
	// and does not move when there are no more sign-ups.
	MissingMails(ctx context.Context, after int64, limit int) (ids []string, scanned int64, err error)
}

// Books are the counts of the conservation law: Accepted is a counter raised
// in the commit that creates a mail, States is what became of them.
type Books struct {
	Accepted int64
	States   map[State]int64
	// Queued is the part of States[Queued] in each lane.
	Queued map[Lane]int64
	// OldestDue is how long the longest-waiting mail whose time has come has
	// waited, 0 for none.
	OldestDue time.Duration
	// Copies is how many copies were submitted after an unknown: those that
	// were accepted, and those that ended unknown themselves.
	Copies int64
	// Differing is how many of those copies were not byte-identical, because
	// templates or settings had changed in between.
	Differing int64
}

// DeadMail is a mail given up, or an unknown held for an operator.
type DeadMail struct {
	ID       MailID
	State    State
	Reason   string
	Reply    Reply
	Attempts int
	Since    time.Time
}

// AuditRow is one mail as verify sees it.
type AuditRow struct {
	// Number is the mail's place in the order of creation: the value of the
	// accepted counter it raised.
	Number int64
	// ID is empty for a mail that was purged by Policy.Retention.
	ID    MailID
	State State
	// HolderAlive tells, for a held mail, that its holder's heartbeat is good.
	HolderAlive bool
	// Overdue is how long a mail that should have moved has not: a due mail
	// past its due time, a queued one since it was queued, a held one since it
	// was claimed or, if later, since its holder's last heartbeat. 0 for others.
	Overdue time.Duration
	// Held tells, for an unknown, that no rule will move it.
	Held bool
	// Attempts lists the attempts that reached Committing, in order.
	Attempts []AuditAttempt
}

// AuditAttempt is one attempt that reached Committing.
type AuditAttempt struct {
	// Outcome is what became of it.
	Outcome AttemptOutcome
	// Copy tells that it was made after an unknown, with its mint number.
	Copy bool
}

// AttemptOutcome is what became of an attempt that reached Committing.
type AttemptOutcome string

// The outcomes. The empty one means that none is recorded yet.
const (
	Accepted    AttemptOutcome = "accepted"    // the server took the mail
	Undelivered AttemptOutcome = "undelivered" // refused, or the dot was not written
	Uncertain   AttemptOutcome = "unknown"     // nobody knows
)
