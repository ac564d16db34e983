package redis

import (
	"embed"
	"strings"

	"bellhop/internal/redisdb"
)

//go:embed lua/*.lua lua/parts/*.lua lua/move/*.lua
var sources embed.FS

// What a step may do. Reading is allowed always; a plain change is refused as a
// whole when the server's memory is full, so that nothing new is taken in; a
// change that brings mails to their end, or gives memory back, is not.
const (
	reads     = "flags=no-writes"
	takesIn   = ""
	bringsEnd = "flags=allow-oom"
)

// steps are the store's scripts: each is one atomic change, or one look.
type steps struct {
	open, ping                           *redisdb.Script
	sharedKey, document, setDocument     *redisdb.Script
	accept, person, people               *redisdb.Script
	progress, resend, ask                *redisdb.Script
	mint, try, redeem                    *redisdb.Script
	session, seen, rotate                *redisdb.Script
	sessions, endSessions                *redisdb.Script
	others, export, along, erase, purge  *redisdb.Script
	due, relayed, arrived, lane, sweep   *redisdb.Script
	claim, committing, check, record     *redisdb.Script
	heartbeat, leave                     *redisdb.Script
	books, dead, replay, discard, cancel *redisdb.Script
	audit, missing                       *redisdb.Script
	limit                                *redisdb.Script
}

func newSteps() *steps {
	return &steps{
		open: unfenced("open", bringsEnd), // a process that starts anew brings mails to their end
		ping: script("ping", takesIn),

		sharedKey:   script("sharedkey", bringsEnd),
		document:    script("document", reads),
		setDocument: script("setdocument", bringsEnd), // keys are rotated whether or not there is room for people

		accept: script("accept", takesIn, "find", "owe", "key"),
		person: script("person", reads, "person"),
		people: script("people", reads, "account", "person"),

		progress: script("progress", reads, "latest"),
		resend:   script("resend", takesIn, "latest", "owe"),
		ask:      script("ask", takesIn, "find", "owe"),

		mint:   script("mint", reads, "account", "recipient", "spelling", "find", "mint"),
		try:    script("try", takesIn, "account", "mail", "subject", "mint"),
		redeem: script("redeem", takesIn, "account", "spelling", "person", "find", "mint", "mail", "subject", "owe", "session"),

		// Who is in stays in, and may leave.
		session:     script("session", reads, "person", "session"),
		seen:        script("seen", bringsEnd, "session"),
		rotate:      script("rotate", bringsEnd, "session"),
		sessions:    script("sessions", reads, "session"),
		endSessions: script("endsessions", bringsEnd, "session"),

		others: script("others", reads, "account", "person", "page"),
		export: script("export", reads, "account", "person", "session", "records"),
		along:  script("along", reads, "account", "person", "records", "page"),
		erase:  script("erase", bringsEnd, "account", "mail", "subject", "session", "forget"),
		purge:  script("purge", bringsEnd, "mail", "subject", "session", "forget"),

		due:     script("due", bringsEnd),
		relayed: script("relayed", bringsEnd, "find"),
		arrived: script("arrived", bringsEnd, "arrived"),
		lane:    script("lane", reads),
		sweep:   script("sweep", bringsEnd, "presence", "mail", "attempts", "takeback", "charges", "unname", "key"),

		claim:      script("claim", bringsEnd, "find", "mail", "arrived", "account", "recipient", "spelling", "charges", "budget"),
		committing: script("committing", bringsEnd, "find", "mail", "charges", "budget", "charge"),
		check:      script("check", bringsEnd, "presence", "find", "mail"),
		record:     script("record", bringsEnd, "find", "mail", "attempts", "charges", "budget", "charge"),

		heartbeat: script("heartbeat", bringsEnd, "presence"),
		leave:     script("leave", bringsEnd, "mail", "attempts", "takeback"),

		books:   script("books", reads),
		dead:    script("dead", reads),
		replay:  script("replay", bringsEnd, "find", "mail", "account", "recipient"),
		discard: script("discard", bringsEnd, "find", "mail"),
		cancel:  script("cancel", bringsEnd, "mail", "subject"),

		audit:   script("audit", reads, "presence", "mail"),
		missing: script("missing", reads, "mail", "subject"),

		limit: script("limit", takesIn),
	}
}

// script puts a step together: what it may do, the parts it uses, itself.
func script(name, flags string, parts ...string) *redisdb.Script {
	return unfenced(name, flags, append([]string{"fence"}, parts...)...)
}

// unfenced is script for what may be done in a store that is being moved.
func unfenced(name, flags string, parts ...string) *redisdb.Script {
	var text strings.Builder
	text.WriteString("#!lua " + flags + "\n")
	text.WriteString(source("parts/base"))
	for _, part := range parts {
		text.WriteString(source("parts/" + part))
	}
	text.WriteString(source(name))
	return redisdb.NewScript(name, text.String())
}

func source(name string) string {
	text, err := sources.ReadFile("lua/" + name + ".lua")
	if err != nil {
		panic(err) // it is embedded: only a wrong name in newSteps comes here, at every start
	}
	return string(text)
}
