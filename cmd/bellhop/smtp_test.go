package main

import (
	"fmt"
	"strconv"
	"strings"

	"bellhop/internal/mail/smtptest"

	"github.com/rogpeppe/go-internal/testscript"
)

// mailServer is a script's mail server. It comes back at the same address.
type mailServer struct {
	running *smtptest.Server
	addr    string // "" until the first start
	mails   []smtptest.Mail
}

func (m *mailServer) start() error {
	server, err := smtptest.New(smtptest.Options{Addr: m.addr})
	if err != nil {
		return err
	}
	m.running, m.addr = server, server.Addr()
	return nil
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
	case command == "fault" && len(args) == 3 && m.running != nil:
		m.running.SetScript(smtptest.Once(smtptest.Step(args[1]), smtptest.Fault{Reply: args[2] + "\r\n"}))
	default:
		ts.Fatalf("usage: smtp start | stop | wait N | fault STEP 'REPLY'")
	}
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
