package config

import (
	"net/url"
	"strconv"
	"strings"
)

const (
	serviceBus       = "servicebus" // the namespace is in the connection string
	serviceBusScheme = serviceBus + "://"

	serviceBusExample = "servicebus://NAMESPACE.servicebus.windows.net"
	connectionExample = "copy that of the namespace from the portal: Endpoint=sb://NAMESPACE.servicebus.windows.net/;SharedAccessKeyName=…;SharedAccessKey=…"
)

// ServiceBusAccess is how a namespace of Azure Service Bus is reached, beside
// its name.
type ServiceBusAccess struct {
	ServiceBusConnectionString Secret `name:"servicebus-connection-string" var:"BELLHOP_SERVICEBUS_CONNECTION_STRING" secret:"" placeholder:"STRING" group:"data" help:"The connection string of the Service Bus namespace, for --queue servicebus. The rights Send and Listen are enough. bellhop bus prints one, too." fallback:"none"`
	ServiceBusDeveloperLogin   bool   `name:"servicebus-developer-login" var:"BELLHOP_SERVICEBUS_DEVELOPER_LOGIN" group:"data" help:"For --queue servicebus://, be whoever has logged in on this machine with az login or azd auth login, instead of the managed or workload identity of this process."`
	ServiceBusCAFile           string `name:"servicebus-ca-file" var:"BELLHOP_SERVICEBUS_CA_FILE" placeholder:"FILE" group:"data" help:"Certificates (PEM) to trust for Service Bus, instead of the system's, such as that of bellhop bus --tls-self-signed." fallback:"the system's"`
}

// SetupServiceBus is "bellhop setup servicebus".
type SetupServiceBus struct {
	Print bool     `name:"print" help:"Create nothing and ask nobody: print the commands of the Azure CLI that create the queues, for whoever may do that."`
	Queue Location `name:"queue" var:"BELLHOP_QUEUE" secret:"" placeholder:"QUEUE" group:"data" help:"The namespace, as for serve: servicebus is that of the connection string, and servicebus://NAMESPACE.servicebus.windows.net one that this process has an identity for." fallback:"servicebus"`

	ServiceBusAccess
}

// Validate returns all that is wrong, as [Faults], or nil.
func (s *SetupServiceBus) Validate() error {
	var f Faults
	at := s.Location()
	problem, remedy := at.checkServiceBus()
	switch {
	case !at.ServiceBus():
		f.add("queue", "want servicebus or a servicebus:// URL", "write "+serviceBusExample)
	case problem != "":
		f.add("queue", problem, remedy)
	case s.Print && at.Namespace() == "" && !s.ServiceBusConnectionString.Set(): // nobody is asked
	default:
		s.check(&f, at)
	}
	return f.err()
}

// Location is --queue, or servicebus where that is not set.
func (s *SetupServiceBus) Location() Location {
	if s.Queue.raw == "" {
		return NewLocation(serviceBus)
	}
	return s.Queue
}

// ServiceBus tells whether it is in a namespace of Azure Service Bus.
func (l Location) ServiceBus() bool {
	return l.raw == serviceBus || strings.HasPrefix(l.raw, serviceBusScheme)
}

// Redis tells whether it is in a Redis.
func (l Location) Redis() bool { return !l.Embedded() && !l.ServiceBus() }

// Namespace is the host that a servicebus:// URL names, "" when there is none.
func (l Location) Namespace() string {
	if host, ok := strings.CutPrefix(l.raw, serviceBusScheme); ok {
		return strings.TrimSuffix(host, "/")
	}
	return ""
}

// checkServiceBus returns what is wrong with a servicebus:// URL.
func (l Location) checkServiceBus() (problem, remedy string) {
	if l.raw == serviceBus || redisHost(l.Namespace()) {
		return "", ""
	}
	return "want the host of a namespace behind servicebus://, and nothing else", "write " + serviceBusExample
}

// checkQueue looks at --queue.
func (d *Data) checkQueue(f *Faults) {
	const asked = "want embedded, servicebus, or a redis://, rediss:// or servicebus:// URL"
	problem, remedy := d.Queue.check()
	switch {
	case d.Queue.ServiceBus():
		problem, remedy = d.Queue.checkServiceBus()
	case d.Queue.raw == storesRedis && d.Store.Redis():
		problem = ""
	case d.Queue.raw == storesRedis:
		problem, remedy = "redis means the Redis of --store, and that names none", "name a Redis with --store, or give the queue a URL of its own, "+redisExample
	case problem == noLocation:
		problem, remedy = asked, "write "+redisExample+", or "+serviceBusExample
	}
	if problem != "" {
		f.add("queue", problem, remedy)
		return
	}
	d.ServiceBusAccess.check(f, d.Queue)
}

// check looks at what goes with a queue in Service Bus only.
func (a *ServiceBusAccess) check(f *Faults, queue Location) {
	const flag = "servicebus-connection-string"
	own := queue.ServiceBus() && queue.Namespace() != "" // an identity of its own
	switch {
	case !queue.ServiceBus():
		return
	case own && a.ServiceBusConnectionString.Set():
		f.add(flag, "--queue names a namespace that this process reaches by its identity", "leave it out, or write --queue servicebus")
	case !own && !a.ServiceBusConnectionString.Set():
		f.add(flag, "--queue servicebus needs the connection string of a namespace", "set BELLHOP_SERVICEBUS_CONNECTION_STRING, or write --queue "+serviceBusExample)
	}
	if a.ServiceBusDeveloperLogin && !own {
		f.add("servicebus-developer-login", "--queue servicebus takes a connection string and nobody's identity", "leave it out, or write --queue "+serviceBusExample)
	}
	checkCertificates(f, "servicebus-ca-file", a.ServiceBusCAFile)
	if own || !a.ServiceBusConnectionString.Set() {
		return
	}
	plain, problem := readConnectionString(a.ServiceBusConnectionString.Reveal())
	if problem != "" {
		f.add(flag, problem, connectionExample)
	} else if plain && a.ServiceBusCAFile != "" {
		f.add("servicebus-ca-file", "the connection string says UseDevelopmentEmulator=true, which is without TLS", "leave out one of them")
	}
}

// checkUnused looks for settings that a queue elsewhere leaves without a use:
// for serve, where somebody may believe that they have one. Other commands are
// run in the same shell.
func (a *ServiceBusAccess) checkUnused(f *Faults, queue Location) {
	if queue.ServiceBus() {
		return
	}
	for _, setting := range []struct {
		flag  string
		given bool
	}{
		{"servicebus-connection-string", a.ServiceBusConnectionString.Set()},
		{"servicebus-developer-login", a.ServiceBusDeveloperLogin},
		{"servicebus-ca-file", a.ServiceBusCAFile != ""},
	} {
		if setting.given {
			f.add(setting.flag, "the queue is not in Service Bus", "write --queue servicebus, or leave it out")
		}
	}
}

// readConnectionString says what is wrong with a connection string, without
// showing any of it, and whether it asks for connections without TLS.
func readConnectionString(text string) (plain bool, problem string) {
	values := map[string]string{}
	for part := range strings.SplitSeq(text, ";") {
		name, value, ok := strings.Cut(part, "=")
		if !ok && strings.TrimSpace(part) != "" {
			return false, "this is not a connection string: its parts are NAME=VALUE with semicolons between them"
		}
		values[strings.ToLower(strings.TrimSpace(name))] = value
	}
	endpoint, err := url.Parse(values["endpoint"])
	key := values["sharedaccesskeyname"] != "" && values["sharedaccesskey"] != ""
	switch {
	case err != nil || endpoint.Scheme != "sb" || endpoint.Host == "":
		return false, "this is not a connection string: it has no Endpoint=sb://…"
	case !key && values["sharedaccesssignature"] == "":
		return false, "this connection string has no key: want a SharedAccessKeyName and a SharedAccessKey, or a SharedAccessSignature"
	case values["entitypath"] != "":
		return false, "this connection string is for one queue (EntityPath), and Bellhop has two"
	}
	plain, _ = strconv.ParseBool(values["usedevelopmentemulator"])
	return plain, ""
}
