package redistest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// configure chooses ports and writes the server's redis.conf.
func (s *Server) configure() error {
	var err error
	if s.port, err = holdPort(s.t); err != nil {
		return err
	}
	if s.busPort, err = holdPort(s.t); err != nil {
		return err
	}
	return os.WriteFile(s.configFile(), []byte(strings.Join(s.config(), "\n")+"\n"), 0o600)
}

func (s *Server) configFile() string { return filepath.Join(s.dir, "redis.conf") }

// command is how redis-server is called. It may rewrite its file of settings: a
// Sentinel does, and lets those do it that it makes a master or a replica.
func (s *Server) command() []string {
	if s.sentinel != nil {
		return []string{s.configFile(), "--sentinel"}
	}
	return []string{s.configFile()}
}

// config is the server's file of settings.
func (s *Server) config() []string {
	lines := []string{"bind " + host, "dir " + strconv.Quote(s.dir), "daemonize no", `logfile ""`}
	lines = append(lines, s.certificate.listen(s.port)...)
	if s.sentinel != nil {
		return append(lines, s.sentinel...)
	}
	lines = append(lines, s.options.persistence()...)
	lines = append(lines, s.options.logins()...)
	lines = append(lines, s.options.replication()...)
	if s.options.Cluster {
		lines = append(lines, "cluster-enabled yes", "cluster-config-file nodes.conf", "cluster-node-timeout 2000",
			"cluster-announce-ip "+host, fmt.Sprintf("cluster-port %d", s.busPort))
	} else {
		lines = append(lines, "databases 2000")
	}
	lines = append(lines, "enable-debug-command local")
	return append(lines, s.options.Config...)
}

func (o Options) persistence() []string {
	switch o.Persistence {
	case Always:
		return []string{`save ""`, "appendonly yes", "appendfsync always"}
	case EverySec:
		return []string{`save ""`, "appendonly yes", "appendfsync everysec"}
	}
	return []string{`save ""`}
}

// replication makes a master copy to its replica at once, instead of waiting
// some seconds for a second one.
func (o Options) replication() []string {
	lines := []string{"repl-diskless-sync-delay 0", "repl-ping-replica-period 1"}
	if o.ReplicaOf != nil {
		lines = append(lines, fmt.Sprintf("replicaof %s %d", host, o.ReplicaOf.port))
	}
	return lines
}

// listen is how a server with this certificate listens, and speaks to others
// of its kind.
func (c *certificate) listen(port int) []string {
	if c == nil {
		return []string{fmt.Sprintf("port %d", port)}
	}
	return []string{
		"port 0", fmt.Sprintf("tls-port %d", port), "tls-auth-clients no", "tls-replication yes", "tls-cluster yes",
		"tls-ca-cert-file " + strconv.Quote(c.caFile), "tls-cert-file " + strconv.Quote(c.certFile), "tls-key-file " + strconv.Quote(c.keyFile),
	}
}

// logins are the lines about who may come in, and how the server itself comes
// in at its master, now or after a failover.
func (o Options) logins() []string {
	switch {
	case o.Password == "":
		return nil
	case o.User == "":
		return []string{"requirepass " + strconv.Quote(o.Password), "masterauth " + strconv.Quote(o.Password)}
	}
	return []string{
		"user default off", fmt.Sprintf("user %s on %s ~* &* +@all", o.User, strconv.Quote(">"+o.Password)),
		"masteruser " + o.User, "masterauth " + strconv.Quote(o.Password),
	}
}
