package signup

import (
	"context"
	"time"

	"bellhop/internal/address"
	"bellhop/internal/onboarding"
)

// MostPeople is how many sign-ups [Store.People] returns at most.
const MostPeople = 100

// SeenEvery is how old the mark of a session's last use may be before it is set
// anew.
const SeenEvery = time.Minute

// Store keeps people. All methods may be called concurrently. Errors that are
// not named here wrap [ErrUnavailable] when the store is down or full. What a
// method returns from is on disk, unless it says otherwise. All times are the
// store's clock.
type Store interface {
	// Accept stores an acceptance in one commit and returns once that is on
	// disk. When a key of the same hash was first used less than [KeyLife] ago
	// nothing is stored: if the keys match it returns what it returned then, as
	// Repeated, and otherwise [ErrConflict]. That holds whatever has become of
	// the sign-up since: redeemed, for whatever account, erased or purged, it is
	// the same one for its key, and who has the key learns nothing of it. A
	// conflict fails this caller and nobody else.
	Accept(ctx context.Context, a Acceptance) (Accepted, error)
	// Person returns a sign-up. [ErrNotFound] if it is not there, or erased.
	Person(ctx context.Context, id string) (Person, error)
	// People returns what is stored of an address: the account first, if there
	// is one, then its other sign-ups in the order of acceptance, up to
	// [MostPeople]. Sign-ups that an older program stored without a fingerprint
	// are missing.
	People(ctx context.Context, f address.Fingerprint) ([]Person, error)

	// Progress tells how the latest mail of a sign-up is getting on.
	// [ErrNotFound] if there never was such a sign-up; an erased one is like
	// any other.
	Progress(ctx context.Context, id string) (Progress, error)
	// Resend owes a sign-up one more mail, at the next step, unless it has had r.Most already
	// or the latest was owed less than r.After ago: then nothing changes. It
	// returns how things are afterwards, and whether a mail was made.
	// [ErrNotFound] as for Progress. The mail of an erased sign-up ends
	// cancelled at its claim, and nobody can tell.
	Resend(ctx context.Context, r Resend) (p Progress, made bool, err error)

	// Ask stores a request to sign in, with the mail it owes, in one commit.
	// It looks nobody up. At the mail's claim the account of the fingerprint
	// gets it, at the address that was confirmed; without an account the mail ends cancelled.
	Ask(ctx context.Context, r SignInRequest) error

	Redeemer
	SessionStore
	Registrar
}

// Progress is how the latest mail of a sign-up is getting on.
type Progress struct {
	State onboarding.State
	// Step is the mail's step, from 1.
	Step int
	// Age is how long ago it was owed.
	Age time.Duration
	// Delayed tells that a mail of its age would still wait, were it to be sent:
	// one that was due before it was owed does, or the mail server was away when
	// it was last called, within the last [AwayFor]. It is known however the
	// mail has ended.
	Delayed bool
}

// AwayFor is how long a mail server counts as away after nobody reached it. It is
// called more often than that while mails wait for it.
const AwayFor = time.Minute

// Resend asks for one more mail.
type Resend struct {
	SignUp string
	// Expiry is the mail's.
	Expiry time.Duration
	// After is how old the latest mail must be.
	After time.Duration
	// Most is the highest step there may be.
	Most int
}

// SignInRequest is somebody's wish to sign in. It holds no address.
type SignInRequest struct {
	// ID is a UUID.
	ID          string
	Fingerprint address.Fingerprint
	// Budget is what the mail is charged to.
	Budget onboarding.Budget
	Locale string
	Muted  string // as in Acceptance
	Mail   onboarding.Owed
}

// Mint is one link and code that reached a mail's commit: it may be in
// somebody's mailbox.
type Mint struct {
	Mail   onboarding.MailID
	Number int
	// Variant is the mail's.
	Variant onboarding.Variant
	// Age is how long ago the commit was.
	Age time.Duration
	// Address is whom the mail is for: the sign-up's, or that of the account
	// that asked to sign in. Zero in what Try returns.
	Address address.Address
	// Locale is the subject's.
	Locale string
	// Used tells that the subject was redeemed.
	Used bool
}

// Redeemer exchanges what mails carry.
type Redeemer interface {
	// Mint returns the latest mint of a mail that a link names. [ErrLinkDead] if
	// the mail is not [Redeemable], is not there or never reached its commit, if
	// its subject is not there or erased, or if it is a request to sign in without
	// an account. It changes nothing and promises nothing: pages show it.
	Mint(ctx context.Context, id onboarding.MailID) (Mint, error)
	// Try counts one try of a code against a subject, a sign-up or a request to
	// sign in, and returns once that is on disk, with the latest mints of all
	// its [Redeemable] mails. [ErrTries] when it had most tries before,
	// [ErrNotFound] when it is not there, or erased; nothing is counted then. When
	// it was redeemed, or is a sign-up whose address has become the account of
	// another one, the try is counted like any other and there are no mints: codes
	// are for the browser that asked, and it may be a stranger's, who must not be
	// able to tell.
	Try(ctx context.Context, subject string, most int) ([]Mint, error)
	// Redeem exchanges a mint for a session, in one commit: the subject becomes
	// used, and
	//   - a sign-up whose address is no account's becomes that account, and its
	//     unfinished mails are cancelled, and r.Welcome is owed to it;
	//   - a sign-up whose address is another's account opens a session of that
	//     account, and its own names are discarded. Its other mails stay owed, as
	//     do those that are asked for later: whoever filled in the form, who may
	//     be a stranger, goes on as if nothing had happened;
	//   - a request to sign in opens a session of the account of its
	//     fingerprint.
	// What opens a session of another sign-up's account was sent to that account's
	// address as it was confirmed, in that spelling: servers may give a local part
	// with capitals to somebody else (RFC 5321 section 2.4). A mail that says that
	// there is an account goes there whatever the sign-up's spelling, copies of it
	// too, and that is its Mint's Address. Any other mail of a sign-up went to the
	// sign-up's own: once the address is an account's that was confirmed in another
	// spelling ([address.Address.Sendable] differs) it is [ErrLinkDead], for Mint as
	// well unless the subject was redeemed before. Of a sign-up without a
	// fingerprint Mint cannot tell.
	// Of any number of callers one succeeds. Under the same session id a repeat
	// succeeds, too, and changes nothing. [ErrUsed] when the subject was
	// redeemed before; [ErrLinkDead] when it is not there or erased, when the
	// mail is not [Redeemable], when its latest mint is another or older than
	// r.Within, when a request to sign in has no account, or (r.ByCode) when the
	// address has become the account of another sign-up.
	Redeem(ctx context.Context, r Redemption) (Redeemed, error)
}

// Redeemable is what the mail of an id was owed to, and what for, if such a mail
// carries what can be redeemed; [ErrLinkDead] if not: a welcome, or no mail's id.
// Stores ask it of what others hand in.
func Redeemable(id onboarding.MailID) (subject string, p onboarding.Purpose, err error) {
	subject, p, _, err = id.Parse()
	if err != nil || p != onboarding.SignUp && p != onboarding.SignIn {
		return "", "", ErrLinkDead
	}
	return subject, p, nil
}

// Redemption is what Redeem exchanges.
type Redemption struct {
	Mail onboarding.MailID
	// Number is the mint's.
	Number int
	// Within is how long the mint works from its commit.
	Within time.Duration
	// ByCode tells that it was a code and not a link.
	ByCode bool
	// Fingerprint is that of the sign-up's address. (A sign-up that an older
	// program stored has none.) Not used for requests to sign in.
	Fingerprint address.Fingerprint
	Session     NewSession
	// Welcome is the expiry of the mail [onboarding.Welcome] owed to a new
	// account, at step 1.
	Welcome time.Duration
}

// Redeemed is what came of a redemption.
type Redeemed struct {
	Account Person
	// Confirmed tells that this redemption made the account.
	Confirmed bool
}

// SessionKind is how a session is carried.
type SessionKind string

// The kinds.
const (
	// Browser is carried by a cookie.
	Browser SessionKind = "browser"
	// API is carried by access tokens, and a refresh token that rotates.
	API SessionKind = "api"
)

// NewSession is a session to be opened. Its number is 0.
type NewSession struct {
	// ID is a UUID: the session's, and its family's of refresh tokens.
	ID   string
	Kind SessionKind
	// Hash is the SHA-256 of the secret that carries it.
	Hash [32]byte
	// Idle is how long it lasts unused, Life how long at most.
	Idle, Life time.Duration
}

// Session is one session of an account.
type Session struct {
	ID      string
	Account string
	Kind    SessionKind
	// Number counts how often its secret was rotated.
	Number int
	// Hash is the SHA-256 of its latest secret.
	Hash [32]byte
	// Opened is when it was opened, Seen when it was last used (exact to
	// [SeenEvery]), Ends when it ends at the latest.
	Opened, Seen, Ends time.Time
}

// Rotation exchanges a session's secret for the next one.
type Rotation struct {
	ID     string
	Number int      // the number of the secret that was presented
	Hash   [32]byte // its hash
	Next   [32]byte // the hash of number + 1
	// Grace is how long after a rotation the secret before is answered with the
	// same successor again: its answer may have been lost, or two tabs asked.
	Grace time.Duration
}

// SessionStore keeps sessions. One that was ended, whose time is over, or whose account is
// erased is not there.
type SessionStore interface {
	// Session returns a session and its account. [ErrNotFound] if it is not
	// there.
	Session(ctx context.Context, id string) (Session, Person, error)
	// Seen marks a session as used now, if it was last marked more than
	// [SeenEvery] ago. It does not wait for the disk.
	Seen(ctx context.Context, id string) error
	// Rotate makes number + 1 the session's secret and returns the session then. When number
	// is the one before the session's, was replaced no longer ago than r.Grace, and has the hash
	// it had, the session is returned as it is. When an older number, or one
	// whose grace is over, comes, the session is ended in the same commit and the error is [ErrReused].
	// [ErrNotFound] if the session is not there, is no [API] session, or the hash is not that of
	// the number.
	Rotate(ctx context.Context, r Rotation) (Session, error)
	// Sessions lists an account's sessions, newest first.
	Sessions(ctx context.Context, account string) ([]Session, error)
	// EndSession ends one. [ErrNotFound] if the account has no such session.
	EndSession(ctx context.Context, account, id string) error
	// EndSessions ends all of an account, and returns how many there were.
	EndSessions(ctx context.Context, account string) (int, error)
}

// Registrar lets people, operators and time have data taken out.
type Registrar interface {
	// Others lists all of what [Store.People] lists but the account, in the order
	// of acceptance, in pages of up to [MostPeople]. After is empty for the first
	// page, and what came as next for the one behind it; next is empty at the
	// end. A page before that may be short. Who comes, goes or becomes the account
	// meanwhile may be missing; who stays is there, and may be there twice.
	Others(ctx context.Context, f address.Fingerprint, after string) (people []Person, next string, err error)
	// Export returns everything that is held about a sign-up or account, and
	// what else is held for the same fingerprint if it is an account, however
	// much that is: sign-ups in the order of acceptance, requests in that in which
	// they were made, mails in that in which they were owed. Nobody else waits
	// for all of it. So what comes or goes meanwhile may be in it or not, and is
	// there once. [ErrNotFound] as for Person.
	Export(ctx context.Context, id string) (Dossier, error)
	// Erase takes everything personal of a sign-up out of the store and calls
	// off its mails, in one commit; if it is an account, also of every other
	// sign-up and request to sign in of its fingerprint, with all sessions, and
	// the address is free again. Of these all but about a hundred go in commits
	// before, a hundred in each, so that nobody else waits for all of them; the
	// account and its sessions go with the last, so that after an error, or the
	// end of ctx, Erase can be called again. When it has returned without an
	// error all of it is done. What was queued means nothing afterwards. What
	// stays is ids, the ledger's rows, and what was charged to budgets, under the fingerprint.
	// Erasing twice is harmless, at once too; [ErrNotFound] if it was never there.
	Erase(ctx context.Context, id string) error
	// Purge does that, as Erase does, to sign-ups that were accepted longer ago than
	// r.Unconfirmed and are no accounts, and forgets requests to sign in older
	// than r.SignIns and sessions whose time is over, up to r.Limit of each.
	Purge(ctx context.Context, r Retention) (Purged, error)
}

// Retention is how long things are kept.
type Retention struct {
	Unconfirmed time.Duration
	SignIns     time.Duration
	Limit       int
}

// Purged counts what one Purge did.
type Purged struct {
	SignUps, SignIns, Sessions int
	// More tells that a limit was reached: purge again at once.
	More bool
}

// Dossier is everything that is held about a person.
type Dossier struct {
	Person   Person
	SignUps  []Person // others with the same address
	Mails    []MailRecord
	Sessions []Session
	SignIns  []SignInRecord
	// Charged is when mails were charged to each budget of the address.
	Charged map[onboarding.Budget][]time.Time
}

// MailRecord is a mail as its owner may see it.
type MailRecord struct {
	ID       onboarding.MailID
	Variant  onboarding.Variant // "" if not chosen yet
	State    onboarding.State
	Created  time.Time
	Attempts int
	// Reason and Reply are why it stands where it stands.
	Reason string
	Reply  onboarding.Reply
}

// SignInRecord is a request to sign in.
type SignInRecord struct {
	ID    string
	Asked time.Time
	Used  time.Time // zero if not
}
