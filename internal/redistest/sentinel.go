package redistest

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"testing"
)

// sentinels is how many watch a master, and quorum how many of them must find
// it dead.
const (
	sentinels = 3
	quorum    = 2
)

// Sentinels are three redis-sentinels that watch one master with its replica,
// and make the replica the master when two of them have not heard of the master
// for a second.
type Sentinels struct {
	t       testing.TB
	name    string
	master  *Server // at the start: how clients log in
	servers []*Server
}

// StartSentinel starts three Sentinels that watch master under the given name,
// and waits until each knows the replica and the two others. Clients reach them
// as they do the master, with TLS or without, but give no password. The end of
// the test ends them.
func StartSentinel(t testing.TB, master, replica *Server, name string) *Sentinels {
	t.Helper()
	replica.WaitReplica()
	all := &Sentinels{t: t, name: name, master: master}
	for range sentinels {
		s, err := newServer(t, Options{})
		if err == nil {
			s.options.TLS, s.certificate, s.sentinel = master.options.TLS, master.certificate, all.watch()
			err = s.start()
		}
		if err != nil {
			t.Fatalf("start a Sentinel: %v", err)
		}
		// As often as this they find each other within a second, not within ten.
		s.must("SENTINEL", "DEBUG", "PUBLISH-PERIOD", "200", "INFO-PERIOD", "500")
		all.servers = append(all.servers, s)
	}
	for _, s := range all.servers {
		if err := await("the Sentinel at "+s.Addr(), func() error { return all.complete(s, replica) }); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// watch is the lines of a sentinel.conf.
func (a *Sentinels) watch() []string {
	o := a.master.options
	lines := []string{
		fmt.Sprintf("sentinel monitor %s %s %d %d", a.name, host, a.master.port, quorum),
		fmt.Sprintf("sentinel down-after-milliseconds %s 1000", a.name),
		fmt.Sprintf("sentinel failover-timeout %s 10000", a.name),
	}
	if o.User != "" {
		lines = append(lines, fmt.Sprintf("sentinel auth-user %s %s", a.name, o.User))
	}
	if o.Password != "" {
		lines = append(lines, fmt.Sprintf("sentinel auth-pass %s %s", a.name, strconv.Quote(o.Password)))
	}
	return lines
}

// complete is nil if a Sentinel knows all it needs for a failover.
func (a *Sentinels) complete(s, replica *Server) error {
	if err := s.running().ended(); err != nil {
		return err
	}
	master, err := s.Do("SENTINEL", "MASTER", a.name)
	if err != nil {
		return err
	}
	if others := pairs(master)["num-other-sentinels"]; others != strconv.Itoa(sentinels-1) {
		return fmt.Errorf("it knows %s other Sentinels, want %d", others, sentinels-1)
	}
	known, err := s.Do("SENTINEL", "REPLICAS", a.name)
	if err != nil {
		return err
	}
	if r := pairs(known); r["port"] != strconv.Itoa(replica.port) || r["flags"] != "slave" || r["master-link-status"] != "ok" {
		return fmt.Errorf("its replica has port %q, flags %q, link %q; want %d, slave, ok", r["port"], r["flags"], r["master-link-status"], replica.port)
	}
	_, err = s.Do("SENTINEL", "CKQUORUM", a.name)
	return err
}

// pairs reads an answer of alternating names and values.
func pairs(answer string) map[string]string {
	lines := strings.Split(answer, "\n")
	all := map[string]string{}
	for i := 0; i+1 < len(lines); i += 2 {
		all[lines[i]] = lines[i+1]
	}
	return all
}

// Servers are the Sentinels themselves, which can be killed, restarted, stopped
// and asked like any server.
func (a *Sentinels) Servers() []*Server { return a.servers }

// Addrs is where the Sentinels listen, as host:port.
func (a *Sentinels) Addrs() []string { return addrs(a.servers) }

func addrs(servers []*Server) []string {
	var all []string
	for _, s := range servers {
		all = append(all, s.Addr())
	}
	return all
}

// URL is where to find a database of whoever is the master:
// redis://host:port,host:port,host:port/db?master=name, with the master's user
// and password, or rediss:// with TLS.
func (a *Sentinels) URL(db int) string {
	u := a.master.base(a.Addrs()...)
	u.Path = "/" + strconv.Itoa(db)
	u.RawQuery = url.Values{"master": {a.name}}.Encode()
	return u.String()
}

// WaitMaster waits until s is a master, and all Sentinels that run say so.
func (a *Sentinels) WaitMaster(s *Server) {
	a.t.Helper()
	err := await(s.Addr()+" to be the master", func() error {
		info, err := s.Do("INFO", "replication")
		if err != nil {
			return err
		}
		if role := field(info, "role"); role != "master" {
			return fmt.Errorf("it is a %s", role)
		}
		for _, sentinel := range a.servers {
			if err := a.says(sentinel, s); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		a.t.Fatal(err)
	}
}

// says is nil if a Sentinel takes s for the master, or does not run.
func (a *Sentinels) says(sentinel, s *Server) error {
	if !sentinel.running().awake() {
		return nil
	}
	answer, err := sentinel.Do("SENTINEL", "GET-MASTER-ADDR-BY-NAME", a.name)
	if err != nil {
		return err
	}
	if at := strings.ReplaceAll(answer, "\n", ":"); at != s.Addr() {
		return fmt.Errorf("the Sentinel at %s says %s", sentinel.Addr(), at)
	}
	return nil
}
