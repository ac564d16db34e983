package config

import (
	"time"

	"github.com/alecthomas/kong"
)

const programHelp = `Bellhop takes sign-ups and sends the mail each one is owed: nothing lost, nothing sent twice.

Start with "bellhop serve" and open the page it prints. Nothing else is needed to try it.`

const variableHelp = `A flag wins over its environment variable, on the right. An empty variable counts as not set.`

// grammar is the whole command line.
type grammar struct {
	Serve  Serve  `cmd:"" help:"Take sign-ups and send their mails." detail:"Needs no other service: the store, the queue and a mailbox to look into are built in. SIGTERM ends it in good order; a second one ends it at once, which loses nothing either. Times are written as 90s, 5m or 1h30m. A variable ending in _FILE names a file that holds the value and that not everybody may read."`
	Bus    Bus    `cmd:"" help:"Run a bus that clients of Azure Service Bus connect to." detail:"They need no change but the connection string, which it prints: the official SDKs send to queues, receive, settle, schedule and peek, and create queues by the admin API. What is confirmed is on disk. SIGTERM ends it in good order; a second one ends it at once, which loses nothing either. Times are written as 90s, 5m or 1h30m."`
	Verify Verify `cmd:"" help:"Check that no mail was lost or sent twice." detail:"Recomputes from storage what every accepted mail became. Exits with 1 if any was lost, sent twice, or is stuck. It may run beside a serve process; on a Redis in use its counts are approximate then, and what it says of each mail is not."`
	Dead   struct {
		List    DeadList    `cmd:"" help:"List mails and messages that were given up, with the reason."`
		Replay  DeadReplay  `cmd:"" help:"Send given-up mails once more." detail:"The ids are those that dead list shows. A mail keeps its Message-ID. One that may have arrived already (unknown) can arrive a second time."`
		Discard DeadDiscard `cmd:"" help:"Take given-up mails as settled." detail:"The ids are those that dead list shows."`
	} `cmd:"" help:"Look after mails that were given up."`
	Erase   Erase       `cmd:"" help:"Erase a person." detail:"Names, address, sessions and whatever else is about a person go out of the store, and mails still owed are called off. An address stands for its account and all its sign-ups. An id stands for one sign-up; if it is an account, for all that its address stands for. Says what that is, and does it with --yes only. Ids stay, with what became of each mail, and how many mails the address had lately, without the address."`
	Export  Export      `cmd:"" help:"Print everything that is held about a person." detail:"Prints one JSON object: accounts and sign-ups, mails with their states, sessions, requests to sign in, and what was charged to budgets."`
	Keys    keysGrammar `cmd:"" help:"Look after the keys that sign access tokens."`
	Doctor  Doctor      `cmd:"" help:"Say what a crash can lose with these settings." detail:"Looks at the store and the queue, and says in words what survives the end of a process, of a server, or a power cut. Exits with 1 if something is refused: serve does not start then."`
	Migrate Migrate     `cmd:"" help:"Move everything to another store." detail:"Moves people with their accounts and sessions, the ledger of mails, budgets, idempotency keys, shared secrets and totals, while no process uses either store. Mails that were queued or being sent are brought to rest first; the queue is not copied. Everything is read again at both ends and compared before the old store is given up. serve refuses a store that was given up, and one that is not complete, so that at no time two stores send the same mails. If it is interrupted, run the same command again: it goes on, and does nothing once all is done. The old store keeps a copy; delete it when you trust the new one."`
	Setup   struct {
		ServiceBus SetupServiceBus `cmd:"" name:"servicebus" help:"Create the queues in Azure Service Bus." detail:"Creates bellhop-urgent and bellhop-bulk where they are missing. It needs the right Manage, which serve does not. What exists is never altered: each setting that is not as Bellhop wants it is named, and the exit code is 1."`
	} `cmd:"" help:"Prepare what serve needs elsewhere."`
	Version Version `cmd:"" help:"Print the version."`
	Bench   struct {
		Signup BenchSignup `cmd:"" help:"Measure sign-ups against what this machine can do at best." detail:"Beside them, in turn: a bare handler that decodes the same JSON and stores nothing, the database's grouped commits with nothing around them, and the disk alone. With --store redis, instead of these: the same writes in bare pipelines, alone and behind such a handler, and a handler that makes a connection for each request and writes one field after the other. The mail server is down meanwhile, so that nothing but sign-ups is measured."`
		Mail   BenchMail   `cmd:"" help:"Measure the same for sign-ups together with their mails." detail:"Beside them, in turn: a bare SMTP loop over as many connections. Then sign-ups one at a time, and what an idle process does."`
		Bus    BenchBus    `cmd:"" help:"Measure the bus on the wire." detail:"In three parts. sdk: the official Service Bus client on the bus, beside the bus's engine called without a network. rabbitmq: one AMQP 1.0 program on the bus and on RabbitMQ, which is started for that on this machine and must be installed. backlog: a queue with a million messages beside one with a thousand, the start after kill -9 with so many, and memory at rest."`
		Child  BenchChild  `cmd:"" hidden:"" help:"A small server that the measurements start."`
	} `cmd:"" help:"Measure Bellhop on this machine."`
}

// groups are the headings of a command's flags, in the order of the structs.
func groups() kong.Option {
	return kong.ExplicitGroups([]kong.Group{
		{Key: "listening", Title: "Listening"},
		{Key: "data", Title: "Data"},
		{Key: "server", Title: "Mail server"},
		{Key: "mails", Title: "Mails"},
		{Key: "accounts", Title: "Accounts"},
		{Key: "abuse", Title: "Against abuse"},
		{Key: "process", Title: "Process"},
	})
}

// Data says where Bellhop keeps what it must not lose. Every command that
// looks at it takes these.
type Data struct {
	DataDir string   `name:"data-dir" var:"BELLHOP_DATA_DIR" default:"bellhop-data" placeholder:"DIR" group:"data" help:"The directory for what Bellhop keeps on this machine: the embedded store and queue, and the mailbox. Created for its owner alone. One serve process at a time owns it; a process that keeps nothing in it leaves it alone."`
	Store   Location `name:"store" var:"BELLHOP_STORE" secret:"" placeholder:"STORE" group:"data" help:"Where sign-ups and the ledger of mails are kept. embedded is a database in the data directory. redis://user:password@host:6379/0 is a Redis that several processes can share, rediss:// the same with TLS. Several hosts with commas between them are a Cluster, or with ?master=NAME the Sentinels that know the master. bellhop doctor says whether that Redis keeps what it is given." fallback:"embedded"`
	Queue   Location `name:"queue" var:"BELLHOP_QUEUE" secret:"" placeholder:"QUEUE" group:"data" help:"What carries due mails to the senders. embedded is a message broker in the data directory, for the senders of this process alone. redis is the Redis of --store, and a redis:// or rediss:// URL another one. servicebus is the Azure Service Bus of the connection string, and servicebus://NAMESPACE.servicebus.windows.net one that this process has an identity for; bellhop setup servicebus makes the queues in it." fallback:"embedded"`

	RedisAccess
	ServiceBusAccess
}

// RedisAccess is how a Redis is reached, beside its URL.
type RedisAccess struct {
	RedisPassword Secret `name:"redis-password" var:"BELLHOP_REDIS_PASSWORD" secret:"" placeholder:"PASSWORD" group:"data" help:"The password for a Redis whose URL has none." fallback:"none"`
	RedisCAFile   string `name:"redis-ca-file" var:"BELLHOP_REDIS_CA_FILE" placeholder:"FILE" group:"data" help:"Certificates (PEM) to trust for a rediss:// URL, instead of the system's." fallback:"the system's"`
	RedisWait     int    `name:"redis-wait" var:"BELLHOP_REDIS_WAIT" default:"0" placeholder:"N" group:"data" help:"How many replicas of the store's Redis must have a sign-up before it is answered, and a mail's state before it is sent (0 to 100). With fewer of them sign-ups are refused and mails wait."`
}

// Eviction says what to do about a Redis that throws keys away.
type Eviction struct {
	RedisAllowEviction bool `name:"redis-allow-eviction" var:"BELLHOP_REDIS_ALLOW_EVICTION" group:"data" help:"Use a Redis that throws keys away when its memory is full (maxmemory-policy). Sign-ups and mails can vanish then."`
}

// Migrate is "bellhop migrate". One end at least is in a Redis.
type Migrate struct {
	From Location `name:"from" var:"BELLHOP_MIGRATE_FROM" secret:"" placeholder:"STORE" help:"The store to take everything from: embedded, or a redis:// or rediss:// URL as for serve's --store." fallback:"embedded"`
	To   Location `name:"to" var:"BELLHOP_MIGRATE_TO" secret:"" placeholder:"STORE" help:"The store to bring it to, which has no sign-ups of its own, or was moved away from itself." fallback:"embedded"`

	DataDir string `name:"data-dir" var:"BELLHOP_DATA_DIR" default:"bellhop-data" placeholder:"DIR" group:"data" help:"The data directory of the end that is embedded."`
	RedisAccess
	Eviction
}

// Verify is "bellhop verify".
type Verify struct {
	JSON bool `name:"json" help:"Print the findings as one JSON object."`
	Data
}

// DeadList is "bellhop dead list".
type DeadList struct {
	JSON bool `name:"json" help:"Print the list as JSON."`
	Data
}

// DeadReplay is "bellhop dead replay". Either IDs or All is set.
type DeadReplay struct {
	IDs    []string `arg:"" optional:"" name:"id" help:"The ids that dead list shows."`
	All    bool     `name:"all" help:"Replay everything that dead list shows."`
	DryRun bool     `name:"dry-run" help:"With --all: only say what would be replayed."`
	Data
}

// DeadDiscard is "bellhop dead discard". IDs is not empty.
type DeadDiscard struct {
	IDs []string `arg:"" name:"id" help:"The ids that dead list shows."`
	Data
}

// Erase is "bellhop erase".
type Erase struct {
	Who string `arg:"" name:"address-or-id" help:"The address, or the id of a sign-up or an account."`
	Yes bool   `name:"yes" help:"Do it. Without this only what would be erased is said."`
	Data
}

// Export is "bellhop export".
type Export struct {
	Who string `arg:"" name:"address-or-id" help:"The address, or the id of a sign-up or an account."`
	Data
}

// Doctor is "bellhop doctor".
type Doctor struct {
	Front
	Data
	Eviction
}

// Version is "bellhop version".
type Version struct{}

// Bench is what the measurements of sign-ups take.
type Bench struct {
	Rounds  int           `name:"rounds" default:"3" placeholder:"N" help:"How often everything is measured in turn (1 to 100). The median is shown, with the lowest and the highest."`
	For     time.Duration `name:"for" default:"10s" placeholder:"TIME" help:"How long each single measurement takes."`
	Workers int           `name:"workers" default:"64" placeholder:"N" help:"How many clients sign up at once (1 to 1000)."`
	BenchOutput
}

// BenchOutput says where measurements leave what.
type BenchOutput struct {
	Dir  string `name:"dir" placeholder:"DIR" help:"Where the databases of the measurement go. It should be on the disk you mean to use." fallback:"the system's directory for temporary files"`
	JSON bool   `name:"json" help:"Print the figures as JSON."`
}

// BenchSignup is "bellhop bench signup".
type BenchSignup struct {
	Bench
	BenchStore
}

// BenchMail is "bellhop bench mail".
type BenchMail struct {
	Bench
	BenchStore
	Owed int `name:"owed" default:"0" placeholder:"N" help:"Measure also with this many mails owed already, such as 1000000, against 20000 of them."`
}

// BenchChild is a process that a measurement starts. It is not for people.
type BenchChild struct {
	Kind string `arg:""`
	// Dir and Queue are those of the one kind that has them.
	Dir   string `arg:"" optional:""`
	Queue string `arg:"" optional:""`
}
