package app

import (
	"context"
	"errors"
	"fmt"

	"bellhop/internal/config"
	"bellhop/internal/datadir"
	"bellhop/internal/mail"
	"bellhop/internal/mail/mailbox"
	"bellhop/internal/mail/smtp"
	"bellhop/internal/web"
)

// post is what mails are made from and what carries them, as far as it can be
// made from the settings before anything is opened.
type post struct {
	templates *mail.Templates
	from      mail.From
	client    *smtp.Client // nil for the dev mailbox; it has connected to nothing
}

// newPost returns all that is wrong with the settings that only the mail rooms
// understand.
func newPost(cfg *config.Serve) (p post, err error) {
	var faults [3]error
	p.templates, faults[0] = mail.LoadTemplates(cfg.MailTemplates)
	if p.from, err = mail.ParseFrom(cfg.MailFrom); err != nil {
		faults[1] = fmt.Errorf("--mail-from: %w", err)
	}
	if p.client, err = smtpClient(cfg); err != nil {
		faults[2] = fmt.Errorf("--smtp: %w", err)
	}
	return p, errors.Join(faults[:]...)
}

func smtpClient(cfg *config.Serve) (*smtp.Client, error) {
	if cfg.SMTP.Mailbox() {
		return nil, nil
	}
	endpoint, err := smtp.ParseURL(cfg.SMTP.Reveal())
	if err != nil {
		return nil, err
	}
	return smtp.New(smtp.Config{
		Endpoint: endpoint, Hello: cfg.SMTPHello, Connections: cfg.SMTPConnections,
		Rate: float64(cfg.SMTPRate), CAFile: cfg.SMTPCAFile,
	})
}

// transport is the mail server's client, or the dev mailbox in the data
// directory.
func (p post) transport(dir *datadir.Dir) (mail.Transport, error) {
	if p.client == nil {
		return mailbox.Open(dir.Path(mailboxDir), 0)
	}
	return p.client, nil
}

// mailboxPage is the mailbox as the web shows it, nil when its page is off.
func (h *house) mailboxPage() web.Mailbox {
	if box, ok := h.transport.(*mailbox.Mailbox); ok && h.cfg.MailboxPage() {
		return mailboxPage{box}
	}
	return nil
}

// mailboxPage adapts a mailbox to the pages that show it.
type mailboxPage struct{ box *mailbox.Mailbox }

// List implements [web.Mailbox]. It reads no file.
func (p mailboxPage) List(context.Context) ([]web.Mail, error) {
	list := p.box.List()
	mails := make([]web.Mail, len(list))
	for i, s := range list {
		mails[i] = web.Mail{ID: s.ID, To: s.To, Subject: s.Subject, MessageID: s.MessageID, ReceivedAt: s.ReceivedAt}
	}
	return mails, nil
}

// Get implements [web.Mailbox].
func (p mailboxPage) Get(_ context.Context, id string) (web.Mail, error) {
	m, err := p.box.Get(id)
	if errors.Is(err, mailbox.ErrNotFound) {
		return web.Mail{}, web.ErrNoMail
	}
	return web.Mail{ID: m.ID, To: m.To, Subject: m.Subject, Text: m.Text, HTML: m.HTML,
		MessageID: m.MessageID, ReceivedAt: m.ReceivedAt, Source: m.Source}, err
}
