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

// newTransport opens what carries mails: the dev mailbox in the data
// directory, or a mail server.
func newTransport(cfg *config.Serve, dir *datadir.Dir) (mail.Transport, error) {
	if cfg.SMTP.Mailbox() {
		return mailbox.Open(dir.Path(mailboxDir), 0)
	}
	endpoint, err := smtp.ParseURL(cfg.SMTP.Reveal())
	if err != nil {
		return nil, fmt.Errorf("--smtp: %w", err)
	}
	return smtp.New(smtp.Config{
		Endpoint: endpoint, Hello: cfg.SMTPHello, Connections: cfg.SMTPConnections,
		Rate: float64(cfg.SMTPRate), CAFile: cfg.SMTPCAFile,
	})
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

// List implements [web.Mailbox].
func (p mailboxPage) List(ctx context.Context) ([]web.Mail, error) {
	var mails []web.Mail
	for _, s := range p.box.List() {
		m, err := p.Get(ctx, s.ID)
		if errors.Is(err, web.ErrNoMail) {
			continue // newer mails pushed it out meanwhile
		}
		if err != nil {
			return nil, err
		}
		mails = append(mails, m)
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
