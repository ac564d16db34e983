package mail

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"
)

var (
	// ErrGarbled is an answer that is no SMTP reply, or not one that can come
	// at that point.
	ErrGarbled = errors.New("the answer is no reply that can come here")
	// ErrDotNotWritten is a connection that broke so that the final dot was
	// certainly not written whole: the server cannot have taken the mail.
	ErrDotNotWritten = errors.New("the connection broke before the final dot was written")
)

const (
	greylistPause = 5 * time.Minute
	mailboxPause  = time.Hour
	throttlePause = time.Minute
)

// Reply is what a mail server answered.
type Reply struct {
	// Code is the three-digit reply code.
	Code int
	// Status is the enhanced status code (RFC 3463), zero for none.
	Status [3]int
	// Text is the rest, possibly of several lines.
	Text string
}

// enhanced is the status code as text, "" for none or one that makes no sense.
func (r Reply) enhanced() string {
	s := r.Status
	if s[0] != 2 && s[0] != 4 && s[0] != 5 || !inStatus(s[1]) || !inStatus(s[2]) {
		return ""
	}
	return fmt.Sprintf("%d.%d.%d", s[0], s[1], s[2])
}

// Classify says what a reply that is not the hoped-for one means at a phase;
// at PhaseDot also the hoped-for one. It is total: every phase and every code
// has exactly one class. private names what must not appear in Outcome.Text.
func Classify(phase Phase, r Reply, private ...string) Outcome {
	expected := r.Code >= 400 && r.Code < 600 || phase == PhaseDot && r.Code >= 200 && r.Code < 300
	if phase == PhaseAfter {
		return Outcome{Class: Accepted, Phase: phase, Reason: ReasonAccepted, Close: true}
	}
	if !expected {
		o := ClassifyError(phase, ErrGarbled)
		o.Code, o.Text = r.Code, Scrub(r.Text, private...)
		return o
	}
	o := Outcome{Phase: phase, Code: r.Code, Enhanced: r.enhanced(), Text: Scrub(r.Text, private...)}
	o.Close = r.Code == 421
	switch {
	case r.Code < 300:
		o.Class, o.Reason = Accepted, ReasonAccepted
	case phase < PhaseMail:
		o.providerDown(setupReason(phase))
		o.Throttle, o.Close = r.Code == 421, true
	case r.Code == 421, r.Code == 454, o.Enhanced == "4.5.3":
		o.throttle()
	case o.severity() == 4:
		o.temporary()
	default:
		o.permanent()
	}
	return o
}

// ClassifyError says what it means when no usable reply came at a phase: the
// connection could not be made, broke, timed out, or spoke nonsense. Its total
// counterpart for replies is [Classify].
func ClassifyError(phase Phase, err error, private ...string) Outcome {
	o := Outcome{Phase: phase, Reason: errorReason(phase, err), Close: true}
	if err != nil {
		o.Text = Scrub(err.Error(), private...)
	}
	switch {
	case phase == PhaseAfter:
		return Outcome{Class: Accepted, Phase: phase, Reason: ReasonAccepted, Close: true}
	case phase == PhaseDot && !errors.Is(err, ErrDotNotWritten):
		o.Class = Unknown
	case phase <= PhaseMail: // the mail itself has not come into it yet
		o.Class = ProviderDown
	default:
		o.Class = Temporary
	}
	return o
}

// Cancelled is the outcome of an attempt that its caller, or the end of the
// process, called off before the mail was handed over.
func Cancelled(phase Phase) Outcome {
	return Outcome{Class: Temporary, Phase: phase, Reason: ReasonCancelled, Close: true}
}

// severity is 4 or 5: the enhanced code's where it has one, for it is the more
// exact of the two, otherwise the basic code's.
func (o *Outcome) severity() int {
	if o.Enhanced != "" && o.Enhanced[0] != '2' {
		return int(o.Enhanced[0] - '0')
	}
	return o.Code / 100
}

func (o *Outcome) providerDown(why Reason) {
	o.Class, o.Reason = ProviderDown, why
}

// throttle: the server wants fewer mails, or is going away. With MAIL nothing
// of this mail has come into it; later it may be the recipient's domain only.
func (o *Outcome) throttle() {
	o.Class, o.Reason = Temporary, ReasonThrottled
	o.Throttle, o.RetryAtLeast = true, throttlePause
	if o.Phase == PhaseMail && o.Code == 421 {
		o.Class = ProviderDown
	}
}

func (o *Outcome) temporary() {
	o.Class, o.Reason = Temporary, ReasonUnavailable
	switch {
	case o.isMailboxFull():
		o.Reason, o.RetryAtLeast = ReasonMailboxFull, mailboxPause
	case o.isGreylisting():
		o.Reason, o.RetryAtLeast = ReasonGreylisted, greylistPause
	case strings.HasPrefix(o.Enhanced, "4.7."):
		o.Reason = ReasonPolicy
	}
}

func (o *Outcome) permanent() {
	o.Class, o.Reason = Permanent, ReasonRefused
	switch {
	case o.isAuth():
		o.providerDown(ReasonAuth)
	case o.isMailboxFull(): // it will be emptied: the mail's expiry ends it
		o.Class, o.Reason, o.RetryAtLeast = Temporary, ReasonMailboxFull, mailboxPause
	case o.isSenderRefused():
		o.Reason = ReasonSender
		if o.Phase <= PhaseRcpt { // servers may put off what they think of MAIL until RCPT
			o.Class = ProviderDown
		}
	case strings.HasPrefix(o.Enhanced, "5.7."):
		o.Reason = ReasonPolicy
		if o.Phase == PhaseMail {
			o.Class = ProviderDown
		}
	case o.Enhanced == "5.3.4", o.Code == 552:
		o.Reason = ReasonTooLarge
	case o.Phase == PhaseMail && o.isProtocolError():
		o.providerDown(ReasonUnavailable)
	case o.Phase != PhaseMail && strings.HasPrefix(o.Enhanced, "5.1."):
		o.Reason, o.Suppress = ReasonNoMailbox, true
	}
}

// isAuth: the server wants a login, whatever the mail.
func (o *Outcome) isAuth() bool {
	switch o.Code {
	case 530, 534, 535, 538:
		return o.Phase < PhaseDot
	}
	return false
}

func (o *Outcome) isSenderRefused() bool {
	return o.Enhanced == "5.1.7" || o.Enhanced == "5.1.8"
}

// isProtocolError: the server did not understand us. At MAIL that says nothing
// about this mail, for every mail begins with the same words.
func (o *Outcome) isProtocolError() bool {
	return o.Code >= 500 && o.Code <= 504 && (o.Enhanced == "" || strings.HasPrefix(o.Enhanced, "5.5."))
}

// isMailboxFull: RFC 3463 says x.2.2; a bare 552 at RCPT means it too (RFC
// 5321 section 4.2.3), while at other phases it is about this mail's size.
func (o *Outcome) isMailboxFull() bool {
	return strings.HasSuffix(o.Enhanced, ".2.2") || o.Enhanced == "" && o.Code == 552 && o.Phase == PhaseRcpt
}

func (o *Outcome) isGreylisting() bool {
	if o.Code != 450 && o.Code != 451 {
		return false
	}
	text := strings.ToLower(o.Text)
	return o.Enhanced == "4.2.0" || o.Enhanced == "4.7.1" || strings.Contains(text, "greylist") || strings.Contains(text, "graylist")
}

// setupReason is why there is no session when the server answered no.
func setupReason(phase Phase) Reason {
	switch phase {
	case PhaseTLS:
		return ReasonTLS
	case PhaseAuth:
		return ReasonAuth
	}
	return ReasonUnavailable
}

func errorReason(phase Phase, err error) Reason {
	var network net.Error
	switch {
	case errors.Is(err, ErrDotNotWritten):
		return ReasonLost
	case errors.Is(err, ErrGarbled):
		return ReasonGarbled
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded),
		errors.As(err, &network) && network.Timeout():
		return ReasonTimeout
	case phase == PhaseDial:
		return ReasonUnreachable
	case phase == PhaseTLS:
		return ReasonTLS
	case phase == PhaseAuth && network == nil && !errors.Is(err, io.EOF):
		return ReasonAuth // we have no mechanism in common, for example
	}
	return ReasonLost
}

func inStatus(n int) bool { return n >= 0 && n <= 999 }
