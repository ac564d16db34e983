package config

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"time"
)

// Bus is "bellhop bus".
type Bus struct {
	Listen string `name:"listen" var:"BELLHOP_BUS_LISTEN" default:"127.0.0.1:5672" placeholder:"HOST:PORT" group:"listening" help:"The address clients connect to. AMQP, the admin API over HTTP, and both inside TLS are told apart by a connection's first bytes. Port 0 takes a free one."`
	BusTLS
	AcceptAnyKey bool `name:"accept-any-key" var:"BELLHOP_BUS_ACCEPT_ANY_KEY" group:"listening" help:"Let everybody in who presents some key or token, as emulators do. Only for a --listen that this machine alone reaches."`

	DataDir string   `name:"data-dir" var:"BELLHOP_BUS_DATA_DIR" default:"bellhop-bus-data" placeholder:"DIR" group:"data" help:"The directory for the queues, the key and the certificate. Created for its owner alone. One process at a time owns it."`
	Queues  []string `name:"queue" var:"BELLHOP_BUS_QUEUE" placeholder:"NAME" group:"data" help:"A queue to create if it is missing. There may be several: repeat it, or put commas between them." fallback:"none"`
	Config  string   `name:"config" var:"BELLHOP_BUS_CONFIG" placeholder:"FILE" group:"data" help:"A Config.json of the official Service Bus emulator. Its queues are created, and altered where they differ from it." fallback:"none"`

	DrainTimeout time.Duration `name:"drain-timeout" var:"BELLHOP_BUS_DRAIN_TIMEOUT" default:"10s" placeholder:"TIME" group:"process" help:"How long SIGTERM waits for what is under way."`
}

// BusTLS is how the bus is reached through TLS, and by which names at all. In
// serve its flags begin with bus-.
type BusTLS struct {
	TLSCert       string   `name:"tls-cert" var:"BELLHOP_BUS_TLS_CERT" placeholder:"FILE" group:"listening" help:"The certificate (PEM, with what leads to its authority) that the bus shows to clients that use TLS." fallback:"no TLS"`
	TLSKey        string   `name:"tls-key" var:"BELLHOP_BUS_TLS_KEY" placeholder:"FILE" group:"listening" help:"The key (PEM) of that certificate." fallback:"no TLS"`
	TLSSelfSigned bool     `name:"tls-self-signed" var:"BELLHOP_BUS_TLS_SELF_SIGNED" group:"listening" help:"Speak TLS with a certificate that is made once and lies in the data directory, for clients to trust it."`
	TLSHosts      []string `name:"tls-host" var:"BELLHOP_BUS_TLS_HOST" placeholder:"HOST" group:"listening" help:"A further name or address by which clients reach the bus, beside localhost. The self-signed certificate is for it, too, and HTTP requests for it are answered. There may be several: repeat it, or put commas between them." fallback:"none"`
}

// On tells whether there is any TLS.
func (b *BusTLS) On() bool { return b.TLSSelfSigned || b.TLSCert != "" }

// Loopback tells whether only this machine can connect to --listen.
func (b *Bus) Loopback() bool { return onLoopback(b.Listen) }

// Validate returns all that is wrong, as [Faults], or nil. It looks at the
// files that settings name, and at nothing else outside.
func (b *Bus) Validate() error {
	var f Faults
	if checkAddress(&f, "listen", b.Listen, "127.0.0.1:5672") && b.AcceptAnyKey && !b.Loopback() {
		f.add("accept-any-key", b.Listen+" is open to other machines, and whoever reaches it could do everything",
			"listen on 127.0.0.1, or leave it out and use the key that is printed at the start")
	}
	b.BusTLS.check(&f, "")
	if b.DataDir == "" {
		f.add("data-dir", "want the name of a directory, got an empty one", "write for example --data-dir bellhop-bus-data")
	}
	for _, name := range b.Queues {
		if len(name) > 260 || !queueName.MatchString(name) {
			f.add("queue", fmt.Sprintf("want letters, digits and -._/ between two letters or digits, at most 260, got %.300q", name), "write for example --queue orders")
		}
	}
	if b.Config != "" {
		if info, err := os.Stat(b.Config); err != nil {
			f.add("config", err.Error(), "name a Config.json that Bellhop can read")
		} else if !info.Mode().IsRegular() {
			f.add("config", b.Config+" is not a file", "name the Config.json in it")
		}
	}
	checkPositive(&f, "drain-timeout", b.DrainTimeout)
	return f.err()
}

// queueName is what the service allows as a queue's name.
var queueName = regexp.MustCompile(`^[A-Za-z0-9]$|^[A-Za-z0-9][\w\-./]*[A-Za-z0-9]$`)

// hostName is a DNS name: labels of letters, digits and inner hyphens.
var hostName = regexp.MustCompile(`^(?i)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?)(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?)*$`)

// check looks at the settings, whose flags begin with prefix.
func (b *BusTLS) check(f *Faults, prefix string) {
	cert, key := prefix+"tls-cert", prefix+"tls-key"
	switch {
	case b.TLSCert != "" && b.TLSKey == "":
		f.add(key, "a certificate goes with its key, and there is none", "name the key's file, or leave out --"+cert)
	case b.TLSCert == "" && b.TLSKey != "":
		f.add(cert, "a key goes with its certificate, and there is none", "name the certificate's file, or leave out --"+key)
	case b.TLSCert != "":
		if _, err := tls.LoadX509KeyPair(b.TLSCert, b.TLSKey); err != nil {
			f.add(cert, err.Error(), "name a PEM certificate and its key that Bellhop can read")
		}
	}
	if b.TLSSelfSigned && (b.TLSCert != "" || b.TLSKey != "") {
		f.add(prefix+"tls-self-signed", "there is a certificate already", "leave out one of them")
	}
	for _, host := range b.TLSHosts {
		if _, err := netip.ParseAddr(host); err != nil && (len(host) > 253 || !hostName.MatchString(host)) {
			f.add(prefix+"tls-host", fmt.Sprintf("want a host's name or address without a port, got %.300q", host), "write for example bus.example.com")
		}
	}
}

// given tells whether any of it is set.
func (b *BusTLS) given() bool {
	return b.TLSSelfSigned || b.TLSCert != "" || b.TLSKey != "" || len(b.TLSHosts) > 0
}

// checkBus looks at the bus of a serve process, which it has only if its queue
// is embedded.
func (s *Serve) checkBus(f *Faults) {
	if s.BusListen == "" {
		if s.BusTLS.given() {
			f.add("bus-listen", "settings of the bus are there, and nobody can connect to it", "name an address such as 127.0.0.1:5672, or leave them out")
		}
		return
	}
	ok := checkAddress(f, "bus-listen", s.BusListen, "127.0.0.1:5672")
	if taken := []string{s.Listen, s.OpsListen}; ok && slices.Contains(taken, s.BusListen) && !freePort(s.BusListen) {
		f.add("bus-listen", "this is the address of something else", "give it a port of its own")
	}
	switch {
	case !s.Queue.Embedded():
		f.add("bus-listen", "this process has no bus, because --queue names another queue", "leave it out, or start bellhop bus beside it")
	case !s.Roles.Has(Relay) && !s.Roles.Has(Sender):
		f.add("bus-listen", "this process has no bus, because it has neither the role relay nor sender", "set it where these roles are")
	}
	s.BusTLS.check(f, "bus-")
}

// freePort tells whether the system chooses the port.
func freePort(address string) bool {
	_, port, err := net.SplitHostPort(address)
	return err == nil && port == "0"
}

// onLoopback tells whether only this machine can connect to HOST:PORT.
func onLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && loopback(host)
}

// adviseBus warns of a bus that others can listen to.
func adviseBus(flag, address string, t *BusTLS) []string {
	if address == "" || onLoopback(address) || t.On() {
		return nil
	}
	return []string{"--" + flag + " " + address + " is open to other machines without TLS: messages, and tokens that let anybody in, can be read on the way; add --" + tlsFlag(flag)}
}

// tlsFlag is the flag beside a listening one that turns TLS on.
func tlsFlag(flag string) string {
	if flag == "bus-listen" {
		return "bus-tls-self-signed"
	}
	return "tls-self-signed"
}
