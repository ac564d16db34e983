package smtptest

import "time"

// Step is a moment at which the server would answer.
type Step string

// The steps, in the order of a transaction.
const (
	Connect  Step = "connect" // before the greeting
	Hello    Step = "hello"
	StartTLS Step = "starttls"
	Auth     Step = "auth"
	MailFrom Step = "mail"
	RcptTo   Step = "rcpt"
	Data     Step = "data" // at the DATA command
	Body     Step = "body" // at the first line of the content
	Dot      Step = "dot"  // the whole content has come, nothing is recorded yet
	Reset    Step = "rset"
	Noop     Step = "noop"
	Quit     Step = "quit"
)

// Event is a step about to be answered.
type Event struct {
	Step Step
	// Conn numbers the connections from 1.
	Conn int
	// From and To are the envelope as far as it is known. One recipient.
	From, To string
	// N is how often this step came up for this recipient (for steps before
	// RCPT: at all), this time included.
	N int
}

// Script decides what goes wrong. It is called for every event, from many
// goroutines; nil means that nothing does.
type Script func(Event) *Fault

// Ending is how a connection ends after a fault.
type Ending uint8

// The endings.
const (
	Stay  Ending = iota // it goes on
	EOF                 // closed as by a clean end (FIN)
	RST                 // reset
	Stall               // nothing more is said until the client gives up
)

// Fault stands in for the server's answer: first Delay, then Reply, then Then.
// A fault with only a Delay is a slow but normal answer.
type Fault struct {
	// Delay is waited first.
	Delay time.Duration
	// Reply is sent as it is, with CRLF, in place of the answer: lines of an
	// SMTP reply or anything else.
	Reply string
	// Then is how the connection goes on.
	Then Ending
	// Accept, at Dot, records the mail as accepted before the fault.
	Accept bool
}

// answers tells whether the fault replaces the normal answer.
func (f *Fault) answers() bool { return f.Reply != "" || f.Then != Stay }

// At is a script that plays the fault at a step, every time.
func At(step Step, fault Fault) Script {
	return func(e Event) *Fault {
		if e.Step != step {
			return nil
		}
		return &fault
	}
}

// Once is a script that plays the fault at a step only the first time it comes
// up for a recipient: greylisting, for example.
func Once(step Step, fault Fault) Script {
	return func(e Event) *Fault {
		if e.Step != step || e.N > 1 {
			return nil
		}
		return &fault
	}
}

// For limits a script to one recipient.
func For(to string, script Script) Script {
	return func(e Event) *Fault {
		if e.To != to {
			return nil
		}
		return script(e)
	}
}

// First is a script that plays the first fault any of the scripts has.
func First(scripts ...Script) Script {
	return func(e Event) *Fault {
		for _, script := range scripts {
			if fault := script(e); fault != nil {
				return fault
			}
		}
		return nil
	}
}

type seenKey struct {
	step Step
	to   string
}

// decide asks the script about an event.
func (s *Server) decide(e Event) *Fault {
	s.mu.Lock()
	key := seenKey{e.Step, e.To}
	s.seen[key]++
	e.N = s.seen[key]
	script := s.script
	s.mu.Unlock()
	if script == nil {
		return nil
	}
	return script(e)
}
