package archtest

// A room is a package and what of ours it may import. Tests may import more.
type room struct {
	path    string
	imports []string
}

// house lists every package from the roof to the ground. Imports point down
// only, and app alone knows every room.
//
// The domain is signup (people) and onboarding (mails): they know each other's
// contracts and those of address, mail and queue, and no driver. Drivers know
// the domain they serve and never each other. crashpoint is empty in the
// program that is shipped, so that anything may name a moment there.
func house() []room {
	return []room{
		{"cmd/bellhop", []string{"internal/app"}},
		{"internal/app", []string{everything}},
		{"internal/crashtest", nil},
		{"internal/clienttest", nil},
		{"internal/enumerationtest", nil},
		{"internal/browsertest", nil},
		{"internal/bench", []string{"internal/address", "internal/bus", "internal/onboarding", "internal/redisdb", "internal/sas", "internal/signup", "internal/sqlitedb"}},

		{"bustest", []string{"internal/amqp", "internal/bus", "internal/busadmin", "internal/busnet", "internal/busserver", "internal/sas"}},
		{"internal/busserver", []string{"internal/amqp", "internal/amqp/wire", "internal/bus", "internal/notice", "internal/sas"}},
		{"internal/busadmin", []string{"internal/bus", "internal/sas"}},
		{"internal/busnet", []string{"internal/durable", "internal/notice"}},

		{"internal/web", []string{"internal/limit", "internal/onboarding", "internal/signup", "internal/token"}},
		{"internal/metrics", []string{"internal/mail", "internal/onboarding"}},

		{"internal/store/sqlite", []string{"internal/address", "internal/crashpoint", "internal/onboarding", "internal/signup", "internal/sqlitedb", "internal/store/transfer"}},
		{"internal/store/redis", []string{"internal/address", "internal/crashpoint", "internal/limit", "internal/onboarding", "internal/redisdb", "internal/signup", "internal/store/transfer"}},
		{"internal/store/storetest", []string{"internal/address", "internal/onboarding", "internal/signup", "internal/store/transfer"}},
		{"internal/store/transfer", []string{"internal/address", "internal/onboarding", "internal/signup"}},
		{"internal/queue/embedded", []string{"internal/bus", "internal/queue"}},
		{"internal/queue/redis", []string{"internal/queue", "internal/redisdb"}},
		{"internal/queue/servicebus", []string{"internal/queue", "internal/sas"}},
		{"internal/queue/queuetest", []string{"internal/queue"}},
		{"internal/mail/smtp", []string{"internal/crashpoint", "internal/mail"}},
		{"internal/mail/mailbox", []string{"internal/address", "internal/durable", "internal/mail"}},
		{"internal/mail/smtptest", nil},

		{"internal/signup", []string{"internal/address", "internal/onboarding"}},
		{"internal/onboarding", []string{"internal/crashpoint", "internal/mail", "internal/queue"}},

		{"internal/limit/limittest", []string{"internal/limit"}},
		{"internal/limit", nil},
		{"internal/token", []string{"sessions"}},
		{"sessions", nil},
		{"internal/bus", []string{"internal/sqlitedb"}},
		{"internal/amqp", []string{"internal/amqp/wire"}},
		{"internal/amqp/amqptest", []string{"internal/amqp/wire"}},
		{"internal/amqp/wire", nil},
		{"internal/sas", []string{"internal/durable"}},
		{"internal/sqlitedb", []string{"internal/crashpoint"}},
		{"internal/redisdb", nil},
		{"internal/mail", nil},
		{"internal/queue", nil},
		{"internal/address", nil},

		{"internal/crashpoint", nil},
		{"internal/config", nil},
		{"internal/control", nil},
		{"internal/datadir", nil},
		{"internal/durable", nil},
		{"internal/notice", nil},
		{"internal/redistest", []string{"internal/porttest"}},
		{"internal/porttest", nil},
		{"internal/sidebyside", nil},
		{"internal/lifecycle/lifecycletest", []string{"internal/lifecycle"}},
		{"internal/lifecycle", nil},
		{"internal/archtest", nil},
	}
}

// everything stands for all packages further down.
const everything = "*"

// homes says where each module that is not ours may be imported outside of
// tests, so that a technology stays in the room that is named for it. An empty
// list means anywhere: such a module only computes.
func homes() map[string][]string {
	return map[string][]string{
		"github.com/Azure/azure-sdk-for-go":   {"internal/queue/servicebus", "internal/bench"},
		"github.com/Azure/go-amqp":            {"internal/queue/servicebus", "internal/bench"},
		"github.com/alecthomas/kong":          {"internal/config"},
		"github.com/emersion/go-sasl":         {"internal/mail/smtp", "internal/mail/smtptest"},
		"github.com/emersion/go-smtp":         {"internal/mail/smtp", "internal/mail/smtptest", "internal/bench"},
		"github.com/gin-gonic/gin":            {"internal/web", "internal/bench"},
		"github.com/golang-jwt/jwt/v5":        {"internal/token", "sessions"},
		"github.com/google/uuid":              nil,
		"github.com/prometheus/client_golang": {"internal/metrics"},
		"github.com/redis/go-redis/v9":        {"internal/queue/redis", "internal/redisdb", "internal/bench"},
		"github.com/tsenart/vegeta/v12":       {"internal/bench"},
		"golang.org/x/net/idna":               nil,
		"golang.org/x/net/netutil":            {"internal/web"},
		"golang.org/x/net/publicsuffix":       nil,
		"golang.org/x/sys":                    {"internal/bench", "internal/sqlitedb"},
		"golang.org/x/text":                   nil,
		"golang.org/x/time/rate":              {"internal/mail/smtp"},
		"github.com/anishathalye/porcupine":   {"internal/store/storetest"},
		"pgregory.net/rapid":                  {"internal/store/storetest"},
		"zombiezen.com/go/sqlite":             {"internal/sqlitedb", "internal/bus", "internal/store/sqlite", "internal/bench"},
	}
}

// The budgets of size, in lines from the first to the last. Functions of tests
// have none, because a table of cases is read line by line.
const (
	functionMedian = 10
	functionP90    = 40
	functionMax    = 80
	fileMax        = 600
)

// longFunctions may be longer than functionMax: a codec's switch or a table.
func longFunctions() map[string]string {
	return map[string]string{}
}

// variables may be package variables although the rule takes them for mutable.
func variables() map[string]string {
	const table = "a table that a function makes once"
	return map[string]string{
		"internal/store/sqlite.states":     table,
		"internal/store/sqlite.lanes":      table,
		"internal/store/sqlite.countNames": table,
	}
}

// goroutines lists packages that start a goroutine whose end is announced out
// of sight.
func goroutines() map[string]string {
	return map[string]string{}
}

// A suite is a contract's test, which every driver in a folder must call.
type suite struct{ folder, path string }

func suites() []suite {
	return []suite{
		{"internal/queue/", "internal/queue/queuetest"},
		{"internal/store/", "internal/store/storetest"},
	}
}
