package main

import (
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"

	"bellhop/internal/mail/smtptest"

	"github.com/rogpeppe/go-internal/testscript"
)

// mailServer is a script's mail server. It comes back at the same address.
type mailServer struct {
	running *smtptest.Server
	addr    string // host:port
	mails   []smtptest.Mail
	met     atomic.Pointer[smtptest.Step] // where the fault was met last
}

func (m *mailServer) start() (err error) {
	m.running, err = smtptest.New(smtptest.Options{Addr: m.addr})
	return err
}

func (m *mailServer) stop() {
	if m.running != nil {
		m.mails = m.all()
		_ = m.running.Close() // only ends a test
		m.running = nil
	}
}

// all are the mails accepted since the script began.
func (m *mailServer) all() []smtptest.Mail {
	if m.running == nil {
		return m.mails
	}
	return append(m.mails[:len(m.mails):len(m.mails)], m.running.Mails()...)
}

func smtp(ts *testscript.TestScript, neg bool, args []string) {
	m := stageOf(ts).mails
	switch command := strings.Join(args[:min(len(args), 1)], ""); {
	case neg:
		ts.Fatalf("! does not go with smtp")
	case command == "start" && m.running == nil:
		ts.Check(m.start())
		ts.Setenv("SMTP", "smtp://"+m.addr)
	case command == "stop":
		m.stop()
	case command == "wait" && len(args) == 2:
		m.wait(ts, args[1])
	case command == "at" && len(args) == 2:
		until(ts, "the fault at "+args[1], func() bool {
			met := m.met.Load()
			return met != nil && string(*met) == args[1]
		})
	case command == "fault" && len(args) > 1 && m.running != nil:
		m.fault(ts, args[1:])
	default:
		ts.Fatalf("usage: smtp start | stop | wait N | at STEP | fault none | fault [-always] [-accept] STEP 'REPLY'|eof|rst|stall")
	}
}

// fault makes the server fail from now on.
func (m *mailServer) fault(ts *testscript.TestScript, args []string) {
	m.met.Store(nil)
	play, fault := smtptest.Once, smtptest.Fault{}
	for ; len(args) > 0 && strings.HasPrefix(args[0], "-"); args = args[1:] {
		switch args[0] {
		case "-always":
			play = smtptest.At
		case "-accept":
			fault.Accept = true
		}
	}
	switch {
	case len(args) == 1 && args[0] == "none":
		m.running.SetScript(nil)
		return
	case len(args) != 2:
		ts.Fatalf("usage: smtp fault none | fault [-always] [-accept] STEP 'REPLY'|eof|rst|stall")
	}
	switch args[1] {
	case "eof":
		fault.Then = smtptest.EOF
	case "rst":
		fault.Then = smtptest.RST
	case "stall":
		fault.Then = smtptest.Stall
	default:
		fault.Reply = args[1] // the server ends the line
	}
	script := play(smtptest.Step(args[0]), fault)
	m.running.SetScript(func(e smtptest.Event) *smtptest.Fault {
		f := script(e)
		if f != nil {
			m.met.Store(&e.Step)
		}
		return f
	})
}

func (m *mailServer) wait(ts *testscript.TestScript, text string) {
	want, err := strconv.Atoi(text)
	ts.Check(err)
	until(ts, text+" mails", func() bool { return len(m.all()) >= want })
	var shown strings.Builder
	for _, mail := range m.all() {
		fmt.Fprintf(&shown, "envelope %s -> %s\n%s\n", mail.From, mail.To, strings.ReplaceAll(string(mail.Body), "\r\n", "\n"))
	}
	stageOf(ts).show(ts, shown.String())
	if n := len(m.all()); n != want {
		ts.Fatalf("there are %d mails, want %d:\n%s", n, want, shown.String())
	}
}
