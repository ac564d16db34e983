// Package mail turns a mail that is owed into bytes, and what a mail server
// says into an outcome. It knows no ledger, no queue and no network: the bytes
// are a pure function of what is passed in, and so is the outcome.
//
// Whoever carries the bytes implements [Transport]: mail/smtp by SMTP,
// mail/mailbox by keeping them for the browser during development.
package mail

import "context"

// Envelope is where a mail goes and where its bounces go: one recipient per
// transaction. Both are ASCII addresses without angle brackets. It is not
// meant for logs.
type Envelope struct {
	From, To string
	// Underway, if set, is called by Begin when the server has accepted the
	// recipient and only the content is left to write: the caller may begin
	// its own record then, beside it. It must not block. A transport may leave
	// it out.
	Underway func()
}

// Transport hands mails over in two steps, so that the caller can make a
// durable record between them. It may be used by many goroutines.
type Transport interface {
	// Begin does everything up to, and without, the step that hands the mail
	// over. Either a transaction or an outcome comes back, never both: the
	// outcome is not Accepted and not Unknown, for nothing was delivered.
	// When ctx ends, or after Close, nothing is delivered and the outcome is
	// Temporary with Reason [ReasonCancelled]. Begin may wait for a free
	// connection. body must stay unchanged until the transaction has ended.
	Begin(ctx context.Context, envelope Envelope, body []byte) (Transaction, *Outcome)
	// Close takes no new transactions and waits for the open ones. When ctx
	// ends first, it cuts them: those before the dot are not delivered, those
	// after it end Unknown; it returns ctx's error then. A second Close does
	// nothing.
	Close(ctx context.Context) error
}

// Transaction is a mail one step before it is handed over. It must be ended,
// by Commit or by Abort; what comes after the end does nothing. It belongs to
// one goroutine.
type Transaction interface {
	// Commit hands the mail over (in SMTP: writes the dot that ends DATA) and
	// waits for the answer, 10 minutes and more if it has to be (RFC 5321
	// section 4.5.3.2.6). Once the dot is begun ctx ending changes nothing:
	// giving up then would only make the outcome unknown. If ctx ended before
	// that, Commit aborts. After the end of the transaction it returns a
	// Temporary outcome with Reason [ReasonCancelled].
	Commit(ctx context.Context) Outcome
	// Abort ends the transaction so that nothing is delivered.
	Abort()
}
