package app

import (
	"fmt"
	"io"
	"strings"
	"time"

	"bellhop/internal/config"
)

// greet says where everything is, in one write: whoever waits for it reads all
// of it or nothing.
func (p Program) greet(h *house) {
	_, _ = io.WriteString(p.Stdout, h.greeting()) // nobody may be looking
}

func (h *house) greeting() string {
	var b strings.Builder
	say := func(what string, where any) { fmt.Fprintf(&b, "  %-9s %v\n", what, where) }
	b.WriteString("Bellhop is ready.\n\n")
	if h.handler != nil {
		say("Sign up", h.publicURL.String()+"/createUser")
	}
	if !h.cfg.Roles.All() {
		say("Roles", h.cfg.Roles)
	}
	if h.sender != nil {
		say(h.mailsTo())
	}
	if budget := h.cfg.MailBudget; h.cfg.MailboxPage() && len(budget) > 0 {
		say("Budget", fmt.Sprintf("each address gets %s in %s at most: further ones are not sent, unless --mail-budget says off",
			count(budget[0].Mails, "mail"), plain(budget[0].Per)))
	}
	if h.handler != nil && h.cfg.PublicURL != "" {
		say("Listens", "http://"+h.front.Addr().String())
	}
	if h.dir != nil {
		say("Data", h.dir.Path(""))
	}
	if h.redis.store != nil {
		say("Store", h.cfg.Store)
	}
	if h.queue != nil && !h.cfg.Queue.Embedded() {
		say("Queue", h.queuePlace())
	}
	if h.busFront != nil {
		say("Bus", h.busFront.endpoint(h.cfg.BusTLS.On())+" (its key is in "+h.dir.Path(keysFile)+")")
	}
	if h.ops != nil {
		say("Metrics", "http://"+h.ops.Addr().String()+"/metrics")
	}
	b.WriteString("\n")
	return b.String()
}

// plain is a duration without what is zero at its end.
func plain(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// mailsTo says where mails go.
func (h *house) mailsTo() (what string, where any) {
	switch {
	case h.cfg.MailboxPage():
		return "Mailbox", h.publicURL.String() + "/mailbox (mails stay here until --smtp names a mail server)"
	case h.cfg.SMTP.Mailbox() && !h.cfg.Roles.Has(config.Web):
		return "Mailbox", h.dir.Path(mailboxDir) + " (its page is off: this process has not the role web)"
	case h.cfg.SMTP.Mailbox():
		return "Mailbox", h.dir.Path(mailboxDir) + " (its page is off: see --mailbox-public)"
	}
	return "Mails to", h.cfg.SMTP
}
