package smtp

import (
	"context"

	"bellhop/internal/mail"
)

// transaction is a mail whose content is written, without its final dot. It
// implements [mail.Transaction].
type transaction struct {
	client  *Client
	attempt *attempt
	session *session
	local   string // the recipient's local part, kept out of outcomes
	ended   bool
}

// Commit writes the dot and waits for the answer.
func (t *transaction) Commit(ctx context.Context) mail.Outcome {
	if ctx.Err() != nil {
		t.Abort()
	}
	if t.ended {
		return mail.Cancelled(mail.PhaseData)
	}
	text, fail := t.session.commit(t.client.dialer.timeouts)
	var outcome mail.Outcome
	if fail == nil {
		outcome = mail.Classify(mail.PhaseDot, mail.Reply{Code: 250, Status: leadingStatus(text), Text: text}, t.local)
	} else {
		outcome = fail.outcome(t.local)
	}
	t.end(outcome)
	return outcome
}

// Abort closes the connection hard: no command may follow once the content was
// begun, for the library would end the content with a dot first.
func (t *transaction) Abort() {
	if !t.ended {
		t.end(mail.Cancelled(mail.PhaseData))
	}
}

func (t *transaction) end(outcome mail.Outcome) {
	t.ended = true
	t.client.giveBack(t.session, outcome)
	t.client.leave(t.attempt)
	<-t.client.slots
}
