// Package onboarding is the domain of mails: what is owed to whom, in which
// state it is, and the two roles that move it there.
//
// # The ledger
//
// A mail that is owed is one row of the [Ledger], in exactly one [State]. The
// row, not the queue, is the truth about what was sent. Its id is what it is
// owed for (subject, purpose and step), so that one (subject, purpose, step)
// can never own two mails. Its state changes only by compare-and-set on its
// generation, which every return to due and every cancellation raises; a
// message in a queue carries {mail id, generation} and is refused when the
// generation has moved on.
//
//	        relay            sender              sender          server's reply
//	due ───────────► queued ───────► sending ───────────► committing ───────► sent
//	 ▲                                  │                     │  │
//	 └──────────────────────────────────┴─────────────────────┘  └──► unknown
//	   4xx, provider down, drain, dead holder, rule for unknown
//
// # Never twice
//
// The final dot of DATA is written only after [Ledger.Committing] is on disk,
// and the outcome is recorded after the reply. A process that dies in between
// leaves a row in committing, and recovery turns it into [Unknown]: nobody
// knows whether the server took the mail. [Policy] says what happens then.
//
// # What mails carry
//
// Links and codes are derived from what the ledger knows, the mail and the
// number of its latest mint, and are never stored: see [Links]. An attempt that
// was certainly not delivered mints anew, a copy does not.
//
// # Mails that nobody gets
//
// Whether a mail is to be sent is decided at its claim, and not when it is
// accepted, so that nobody learns from an answer who is known: it ends
// suppressed when it is over the budget of its address (see [Budgets]) or its
// form was caught at the door, and cancelled when there is nobody to send it to.
// The budget is charged with [Ledger.Committing], once for each mail; who loses
// it there breaks off before the dot.
//
// # The roles
//
// The [Relay] moves due mails to their lane's queue and sweeps: it brings back
// what was lost on the way. The [Sender] takes messages, claims their mails,
// renders and submits them, and records what became of it. Both may run many
// times over the same ledger.
//
// This package knows the contracts of queue, mail and ledger, and no driver.
package onboarding
