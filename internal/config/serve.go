package config

import (
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// defaultHost is the host of --listen's default.
const defaultHost = "127.0.0.1"

// Serve is "bellhop serve". To build one in code, [Parse] "serve" and change
// what should differ; the zero value is not valid.
type Serve struct {
	Listen string `name:"listen" var:"BELLHOP_LISTEN" default:"127.0.0.1:6969" placeholder:"HOST:PORT" group:"listening" help:"The address people and apps connect to. Port 0 takes a free one." note:"127.0.0.1 with the port in HTTP_PLATFORM_PORT where a host sets that"`
	Front
	OpsListen string `name:"ops-listen" var:"BELLHOP_OPS_LISTEN" placeholder:"HOST:PORT" group:"listening" help:"A second address, for /metrics and profiles, which are never on the first, and for /health and /readyz. It has no password: keep it private." fallback:"off"`

	BusListen string `name:"bus-listen" var:"BELLHOP_BUS_LISTEN" placeholder:"HOST:PORT" group:"listening" help:"An address where clients of Azure Service Bus reach the embedded queue's bus, as they do that of bellhop bus. The log says where its key is. Whoever has the key can take the mails' messages, too. What the bus confirms is on disk then, which costs the mails some speed." fallback:"off"`
	BusTLS    `prefix:"bus-"`

	Data
	Eviction
	MailRetention time.Duration `name:"mail-retention" var:"BELLHOP_MAIL_RETENTION" default:"720h" placeholder:"TIME" group:"data" help:"How long the store's Redis keeps what became of a finished mail. After that only its number is left, so that it still counts. 0 keeps all of it for ever, as the embedded store does."`

	SMTP            SMTPURL `name:"smtp" var:"BELLHOP_SMTP" secret:"" placeholder:"URL" group:"server" help:"Where mails go. mailbox keeps them for you to read at /mailbox, in a process with the roles web and sender. smtp://user:password@host:587 sends them, and insists on STARTTLS unless the host is this machine (?tls=starttls insists there, too) or the URL ends in ?tls=none. smtps://host:465 is TLS from the start." fallback:"mailbox"`
	MailboxPublic   bool    `name:"mailbox-public" var:"BELLHOP_MAILBOX_PUBLIC" group:"server" help:"Show /mailbox even when Bellhop is open to other machines: by --listen, or by a proxy that --public-url or --trusted-proxy speaks of. Whoever can connect can then read every mail, and use its link."`
	SMTPConnections int     `name:"smtp-connections" var:"BELLHOP_SMTP_CONNECTIONS" default:"16" placeholder:"N" group:"server" help:"How many connections to the mail server are kept and used at once (1 to 1000)."`
	SMTPRate        Rate    `name:"smtp-rate" var:"BELLHOP_SMTP_RATE" default:"unlimited" placeholder:"N" group:"server" help:"The most mails to hand over in a second, for servers that set a limit. 0.5 is one every two seconds."`
	SMTPHello       string  `name:"smtp-hello" var:"BELLHOP_SMTP_HELLO" placeholder:"NAME" group:"server" help:"The name this machine gives itself to the mail server (EHLO)." fallback:"the name of the host"`
	SMTPCAFile      string  `name:"smtp-ca-file" var:"BELLHOP_SMTP_CA_FILE" placeholder:"FILE" group:"server" help:"Certificates (PEM) to trust for the mail server, instead of the system's." fallback:"the system's"`

	MailFrom      string        `name:"mail-from" var:"BELLHOP_MAIL_FROM" default:"Bellhop <hello@localhost>" placeholder:"ADDRESS" group:"mails" help:"Who mails are from, as \"Name <address>\" or the address alone."`
	MailTemplates string        `name:"mail-templates" var:"BELLHOP_MAIL_TEMPLATES" placeholder:"DIR" group:"mails" help:"A directory with templates that take the place of the built-in ones." fallback:"the built-in ones"`
	MailRetry     Retry         `name:"mail-retry" var:"BELLHOP_MAIL_RETRY" default:"1m,5m,15m,30m,1h,2h,4h,8h" placeholder:"TIMES" group:"mails" help:"How long to wait after each temporary refusal by the mail server. Each wait is drawn at random up to its value, and the last repeats."`
	MailExpiry    time.Duration `name:"mail-expiry" var:"BELLHOP_MAIL_EXPIRY" default:"72h" placeholder:"TIME" group:"mails" help:"How long a confirmation mail is worth sending; after that it ends as expired. Its link works for as long, from when it is sent."`
	UnknownPause  time.Duration `name:"unknown-pause" var:"BELLHOP_UNKNOWN_PAUSE" default:"5s" placeholder:"TIME" group:"mails" help:"How long to wait before a mail is sent again whose connection broke so late that it may have arrived."`

	Accounts
	Abuse

	Roles        Roles         `name:"roles" var:"BELLHOP_ROLES" default:"web,relay,sender" placeholder:"ROLES" group:"process" help:"Which parts of the work this process takes: web answers people and apps, relay moves due mails to the queue, sender sends them. With a store in Redis there can be any number of processes for each; relay and sender stay together while the queue is embedded. Only a process with web listens on --listen."`
	LogLevel     slog.Level    `name:"log-level" var:"BELLHOP_LOG_LEVEL" default:"info" placeholder:"LEVEL" group:"process" help:"How much is logged: debug, info, warn or error. debug says of each mail that is not sent why. No level logs an address, a name, a link or a code."`
	DrainTimeout time.Duration `name:"drain-timeout" var:"BELLHOP_DRAIN_TIMEOUT" default:"25s" placeholder:"TIME" group:"process" help:"How long SIGTERM waits for what is under way. Mails that are not yet handed over by then go back to be sent later."`
}

// Loopback tells whether only this machine can connect to --listen.
func (s *Serve) Loopback() bool { return onLoopback(s.Listen) }

// opening is the setting that tells that other machines reach the pages, and ""
// if none does. A proxy on this machine opens even an address that only this
// machine can connect to, and a public name is there to be reached.
func (s *Serve) opening() string {
	switch u, err := url.Parse(s.PublicURL); {
	case !s.Loopback():
		return "--listen " + s.Listen
	case err == nil && u.Hostname() != "" && !loopback(u.Hostname()):
		return "--public-url " + u.Redacted()
	case len(s.TrustedProxy) > 0:
		return "--trusted-proxy " + s.TrustedProxy[0].String()
	}
	return ""
}

// MailboxPage tells whether /mailbox is there: only with the dev mailbox, in a
// process that both sends and answers people, and where other machines reach it
// only when that was asked for.
func (s *Serve) MailboxPage() bool {
	return s.SMTP.Mailbox() && s.Roles.Has(Web) && s.Roles.Has(Sender) && (s.opening() == "" || s.MailboxPublic)
}

// BaseURL is --public-url without a slash at its end. Where that is not set it
// is made from the port that was really bound, since --listen may say 0; it is
// "" when bound is nil, because nothing was.
func (s *Serve) BaseURL(bound net.Addr) string {
	if s.PublicURL != "" {
		return strings.TrimSuffix(s.PublicURL, "/")
	}
	if bound == nil {
		return ""
	}
	_, port, err := net.SplitHostPort(bound.String())
	if err != nil {
		return "http://localhost"
	}
	return "http://localhost:" + port
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// advise returns warnings about settings that are valid and yet odd.
func advise(command any) []string {
	switch c := command.(type) {
	case *Bus:
		return adviseBus("listen", c.Listen, &c.BusTLS)
	case *Serve:
		return slices.Concat(c.adviseLinks(), c.Front.advise(), c.adviseProxy(), c.Abuse.advise(), adviseBus("bus-listen", c.BusListen, &c.BusTLS))
	case *Doctor:
		return c.Front.advise()
	}
	return nil
}

// adviseLinks warns of links that lead nowhere.
func (s *Serve) adviseLinks() []string {
	if s.PublicURL != "" || !s.Roles.Has(Web) {
		return nil
	}
	_, port, _ := net.SplitHostPort(s.Listen)
	if n, err := strconv.Atoi(port); err != nil || n == 0 {
		port = "…"
	}
	address := "http://localhost:" + port
	switch {
	case !s.Roles.Has(Sender):
		return []string{"sessions are made for " + address + ", and other processes take them only if they have the same --public-url; set it in all of them"}
	case !s.Loopback() || s.remoteSMTP():
		return []string{"links in mails will begin with " + address + ", which leads nowhere on other machines; set --public-url"}
	}
	return nil
}

// remoteSMTP tells whether mails go to another machine.
func (s *Serve) remoteSMTP() bool {
	u, err := url.Parse(s.SMTP.Reveal())
	return err == nil && !s.SMTP.Mailbox() && !loopback(u.Hostname())
}
