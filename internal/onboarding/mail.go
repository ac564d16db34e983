package onboarding

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// State is where a mail stands. A mail is in exactly one.
type State string

// The states of a mail. Due to Committing are active, Unknown waits for a rule
// or an operator, the others are finished.
const (
	// Due waits for its time, or for room in its lane.
	Due State = "due"
	// Queued has a message in its lane's queue.
	Queued State = "queued"
	// Sending is held by a sender that has not passed the point of no return.
	Sending State = "sending"
	// Committing is held by a sender that may write the final dot any moment.
	Committing State = "committing"
	// Sent was accepted by the mail server.
	Sent State = "sent"
	// Unknown was cut off between the final dot and its reply.
	Unknown State = "unknown"
	// Failed was refused for good, or ended as poison.
	Failed State = "failed"
	// Cancelled was called off, and is not known to have been submitted.
	Cancelled State = "cancelled"
	// Expired could not be submitted while it still made sense.
	Expired State = "expired"
	// Suppressed was not sent on purpose.
	Suppressed State = "suppressed"
	// Purged is the tombstone of a finished mail.
	Purged State = "purged"
)

// States lists every state, in the order of a mail's life.
func States() []State {
	return []State{Due, Queued, Sending, Committing, Sent, Unknown, Failed, Cancelled, Expired, Suppressed, Purged}
}

// Held tells whether a sender holds a mail in this state.
func (s State) Held() bool { return s == Sending || s == Committing }

// Lane is one of the two queues a mail can travel in.
type Lane string

// The lanes. In Urgent a person is waiting; Bulk yields to it.
const (
	Urgent Lane = "urgent"
	Bulk   Lane = "bulk"
)

// Lanes lists the lanes.
func Lanes() []Lane { return []Lane{Urgent, Bulk} }

// Queue is the name of the lane's queue at the broker.
func (l Lane) Queue() string { return "bellhop-" + string(l) }

// Purpose is why a mail is owed. It is fixed when the mail is created.
type Purpose string

// The purposes.
const (
	// SignUp is the mail owed to a sign-up.
	SignUp Purpose = "sign-up"
	// SignIn is the mail owed to a request to sign in.
	SignIn Purpose = "sign-in"
	// Welcome is the mail owed to an account once its address is confirmed.
	Welcome Purpose = "welcome"
)

// Lane is where mails of this purpose travel.
func (p Purpose) Lane() Lane {
	if p == SignUp || p == SignIn {
		return Urgent
	}
	return Bulk
}

// Variant is which mail is sent for a purpose. It is chosen at the first claim
// and then stays.
type Variant string

// The variants.
const (
	// Confirm asks a person to confirm the address.
	Confirm Variant = "confirm"
	// AlreadyRegistered tells who owns the address that somebody signed up with
	// it, and lets them sign in.
	AlreadyRegistered Variant = "already-registered"
	// SignInLink lets a person sign in.
	SignInLink Variant = "sign-in"
	// Welcomed greets a person whose address is confirmed.
	Welcomed Variant = "welcome"
)

// Variants lists the variants.
func Variants() []Variant { return []Variant{Confirm, AlreadyRegistered, SignInLink, Welcomed} }

// HasCode tells whether a mail of this variant carries a code beside its link.
// One that says that there is an account already has none: whoever signed up
// waits for a code, and it would let them into somebody else's account.
func (v Variant) HasCode() bool { return v == Confirm || v == SignInLink }

// ChooseVariant picks the variant at a mail's first claim, when the address is
// an account's already or is not. A store calls it inside the claim's step.
func ChooseVariant(p Purpose, registered bool) (Variant, error) {
	switch {
	case p == SignUp && registered:
		return AlreadyRegistered, nil
	case p == SignUp:
		return Confirm, nil
	case p == SignIn:
		return SignInLink, nil
	case p == Welcome:
		return Welcomed, nil
	}
	return "", fmt.Errorf("no mail is known for purpose %q", p)
}

// MailID names a mail by what it is owed for. [NewMailID] makes one; its text
// form SUBJECT.PURPOSE.STEP is also the left side of the mail's Message-ID.
type MailID string

// NewMailID is the id of the mail owed to subject for a purpose, at a step
// counted from 1. A subject is a UUID in its text form.
func NewMailID(subject string, p Purpose, step int) MailID {
	return MailID(subject + "." + string(p) + "." + strconv.Itoa(step))
}

// maxMailID bounds what ParseMailID looks at: a UUID, a purpose, a step.
const maxMailID = 80

// Parse takes a mail id apart. It fails on text that NewMailID did not make.
func (id MailID) Parse() (subject string, p Purpose, step int, err error) {
	parts := strings.Split(string(id), ".")
	if len(id) > maxMailID || len(parts) != 3 || parts[0] == "" || parts[1] == "" {
		return "", "", 0, fmt.Errorf("mail id: want SUBJECT.PURPOSE.STEP")
	}
	step, err = strconv.Atoi(parts[2])
	if err != nil || step < 1 || strconv.Itoa(step) != parts[2] {
		return "", "", 0, fmt.Errorf("mail id: want a step of 1 or more")
	}
	return parts[0], Purpose(parts[1]), step, nil
}

// Subject is what the mail is owed to, or "" for text that is no mail id.
func (id MailID) Subject() string {
	subject, _, _, _ := id.Parse()
	return subject
}

// Owed is a mail about to be created, in the commit that causes it.
type Owed struct {
	ID MailID
	// Expiry is how long after its creation the mail still makes sense.
	Expiry time.Duration
}

// Ref is what a message carries: a mail, and the generation it was relayed in.
type Ref struct {
	Mail MailID `json:"mail"`
	Gen  int64  `json:"gen"`
}
