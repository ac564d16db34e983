package config

import (
	"crypto/x509"
	"fmt"
	"net"
	"net/mail"
	"os"
	"strings"
	"time"
)

// Validate returns all that is wrong, as [Faults], or nil. It looks at the
// files and directories that settings name, and at nothing else outside.
func (s *Serve) Validate() error {
	var f Faults
	s.checkListening(&f)
	s.checkBus(&f)
	s.Data.check(&f)
	s.checkUnused(&f, s.Queue)
	s.Eviction.check(&f, &s.Data)
	s.checkServer(&f)
	s.checkMailbox(&f)
	s.checkMails(&f)
	s.checkAccounts(&f)
	s.checkAbuse(&f)
	s.checkRetention(&f)
	s.checkRoles(&f)
	checkPositive(&f, "drain-timeout", s.DrainTimeout)
	return f.err()
}

// Validate returns all that is wrong, as [Faults], or nil.
func (v *Verify) Validate() error { return v.Data.faults() }

// Validate returns all that is wrong, as [Faults], or nil.
func (d *DeadList) Validate() error { return d.Data.faults() }

// Validate returns all that is wrong, as [Faults], or nil.
func (d *DeadReplay) Validate() error {
	var f Faults
	d.Data.check(&f)
	if d.All == (len(d.IDs) > 0) {
		f.add("all", "want either ids or --all", "name what to replay, or write --all for everything that dead list shows")
	}
	if d.DryRun && !d.All {
		f.add("dry-run", "this goes with --all only", "add --all, or leave it out")
	}
	return f.err()
}

// Validate returns all that is wrong, as [Faults], or nil.
func (d *DeadDiscard) Validate() error { return d.Data.faults() }

// Validate returns all that is wrong, as [Faults], or nil.
func (e *Erase) Validate() error { return e.Data.faults() }

// Validate returns all that is wrong, as [Faults], or nil.
func (e *Export) Validate() error { return e.Data.faults() }

// Validate returns all that is wrong, as [Faults], or nil.
func (d *Doctor) Validate() error {
	var f Faults
	d.Data.check(&f)
	d.Eviction.check(&f, &d.Data)
	d.Front.check(&f)
	return f.err()
}

// Validate returns all that is wrong, as [Faults], or nil.
func (m *Migrate) Validate() error {
	var f Faults
	if problem, remedy := m.From.check(); problem != "" {
		f.add("from", problem, remedy)
	}
	if problem, remedy := m.To.check(); problem != "" {
		f.add("to", problem, remedy)
	}
	switch {
	case m.From.Embedded() && m.To.Embedded():
		f.add("to", "both ends are embedded", "name a Redis with --to or --from; a data directory moves by copying it while nothing runs")
	case m.From.Reveal() == m.To.Reveal():
		f.add("to", "this is where --from is", "name another store")
	}
	if (m.From.Embedded() || m.To.Embedded()) && m.DataDir == "" {
		f.add("data-dir", "want the name of a directory, got an empty one", "write for example --data-dir bellhop-data")
	}
	m.checkCA(&f, m.From.TLS() || m.To.TLS())
	m.checkWait(&f)
	return f.err()
}

// Validate returns all that is wrong, as [Faults], or nil.
func (b *BenchSignup) Validate() error {
	var f Faults
	b.Bench.check(&f)
	b.BenchStore.check(&f)
	return f.err()
}

// Validate returns all that is wrong, as [Faults], or nil.
func (b *BenchMail) Validate() error {
	var f Faults
	b.Bench.check(&f)
	b.BenchStore.check(&f)
	if b.Owed != 0 && !b.Store.Embedded() {
		f.add("owed", "this goes with the embedded store only", "leave it out")
	}
	if b.Owed != 0 && (b.Owed < 20_000 || b.Owed > 10_000_000) {
		f.add("owed", fmt.Sprintf("want 20000 to 10000000, got %d", b.Owed), "1000000 tell whether a backlog costs anything")
	}
	return f.err()
}

func (b *Bench) check(f *Faults) {
	checkRange(f, "rounds", b.Rounds, 1, 100)
	checkRange(f, "workers", b.Workers, 1, 1000)
	checkDuration(f, b.For)
}

func (s *Serve) checkListening(f *Faults) {
	listens := checkAddress(f, "listen", s.Listen, "127.0.0.1:6969") && s.Roles.Has(Web)
	if s.OpsListen != "" && checkAddress(f, "ops-listen", s.OpsListen, "127.0.0.1:9090") && listens &&
		s.OpsListen == s.Listen && !strings.HasSuffix(s.Listen, ":0") {
		f.add("ops-listen", "this is the address of --listen, and metrics and profiles must not be public", "give it a port of its own")
	}
	s.Front.check(f)
}

func checkAddress(f *Faults, flag, address, example string) bool {
	_, port, err := net.SplitHostPort(address)
	if err != nil || port != "0" && (port == "" || !validPort(port)) {
		f.add(flag, fmt.Sprintf("want HOST:PORT with a port from 0 to 65535, got %q", address), "write for example "+example)
		return false
	}
	return true
}

func (s *Serve) checkServer(f *Faults) {
	if problem, remedy := s.SMTP.check(); problem != "" {
		f.add("smtp", problem, remedy)
	}
	if s.SMTPConnections < 1 || s.SMTPConnections > 1000 {
		f.add("smtp-connections", fmt.Sprintf("want 1 to 1000, got %d", s.SMTPConnections), "16 serve most mail servers well")
	}
	if strings.ContainsFunc(s.SMTPHello, func(r rune) bool { return r <= ' ' || r > '~' }) {
		f.add("smtp-hello", fmt.Sprintf("want a host name in ASCII, got %q", s.SMTPHello), "write for example mail.example.com")
	}
	checkCertificates(f, "smtp-ca-file", s.SMTPCAFile)
}

// checkCertificates looks into a file of certificates, if one is named.
func checkCertificates(f *Faults, flag, file string) {
	if file == "" {
		return
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		f.add(flag, err.Error(), "name a file of PEM certificates that Bellhop can read")
	} else if !x509.NewCertPool().AppendCertsFromPEM(pem) {
		f.add(flag, file+" holds no certificate", "name a file with -----BEGIN CERTIFICATE----- in it")
	}
}

// checkMailbox refuses to swallow other people's mails in silence, and to show
// them to everybody.
func (s *Serve) checkMailbox(f *Faults) {
	_, _, err := net.SplitHostPort(s.Listen)
	const remedy = "name your mail server, or write out --smtp mailbox if that is what you want (--mailbox-public then shows every mail to everybody)"
	switch sends, page := s.Roles.Has(Sender), s.Roles.Has(Web); {
	case !sends || s.SMTP.Explicit():
	case !page:
		f.add("smtp", "this process has no page to show the dev mailbox on (see --roles), and mails would only go there", remedy)
	case err == nil && s.opening() != "":
		f.add("smtp", s.opening()+" opens Bellhop to other machines, and mails would only go to the dev mailbox, where nobody gets them", remedy)
	}
	switch {
	case !s.MailboxPublic:
	case !s.SMTP.Mailbox():
		f.add("mailbox-public", "there is no mailbox page, because --smtp names a mail server", "leave it out")
	case !s.Roles.Has(Sender) || !s.Roles.Has(Web):
		f.add("mailbox-public", "there is no mailbox page, because this process has not both the roles web and sender", "leave it out")
	}
}

func (s *Serve) checkMails(f *Faults) {
	if _, err := mail.ParseAddress(s.MailFrom); err != nil {
		f.add("mail-from", fmt.Sprintf("%q is not an address", s.MailFrom), `write for example "Bellhop <hello@example.com>"`)
	}
	if s.MailTemplates != "" {
		if info, err := os.Stat(s.MailTemplates); err != nil {
			f.add("mail-templates", err.Error(), "name a directory that Bellhop can read")
		} else if !info.IsDir() {
			f.add("mail-templates", s.MailTemplates+" is not a directory", "name the directory that holds the templates")
		}
	}
	if len(s.MailRetry) == 0 {
		f.add("mail-retry", "want at least one duration", "write for example 1m,5m,1h")
	}
	for _, d := range s.MailRetry {
		checkPositive(f, "mail-retry", d)
	}
	checkPositive(f, "mail-expiry", s.MailExpiry)
	checkPositive(f, "unknown-pause", s.UnknownPause)
}

func checkPositive(f *Faults, flag string, d time.Duration) {
	if d <= 0 {
		f.add(flag, fmt.Sprintf("want a duration over 0, got %v", d), durationExample)
	}
}
