package redistest

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// masters is how many share the slots of a Cluster; slots is how many there are.
const (
	masters = 3
	slots   = 16384
)

// Cluster is a Redis Cluster of three masters, each with a third of the slots
// and with as many replicas. It takes a master for dead that has not been heard
// of for two seconds.
type Cluster struct {
	t       testing.TB
	servers []*Server // the first masters of them began as such
}

// StartCluster starts three masters with so many replicas each, and waits until
// all nodes agree on the whole and every replica has its copy. Further lines of
// redis.conf, such as "appendonly yes", are for all nodes. The end of the test
// ends them.
func StartCluster(t testing.TB, replicas int, config ...string) *Cluster {
	t.Helper()
	c := &Cluster{t: t}
	for range masters * (1 + replicas) {
		c.servers = append(c.servers, Start(t, Options{Cluster: true, Config: config}))
	}
	c.share()
	c.meet()
	c.follow()
	c.each(c.servers[masters:], "has its copy", (*Server).copied)
	c.each(c.servers, "knows the whole Cluster", c.complete)
	return c
}

// share gives the masters their slots.
func (c *Cluster) share() {
	c.t.Helper()
	for i, s := range c.servers[:masters] {
		first, next := i*slots/masters, (i+1)*slots/masters
		s.must("CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(first), strconv.Itoa(next-1))
		s.must("CLUSTER", "SET-CONFIG-EPOCH", strconv.Itoa(i+1))
	}
}

// meet makes all nodes known to each other.
func (c *Cluster) meet() {
	c.t.Helper()
	for _, s := range c.servers[1:] {
		c.servers[0].must("CLUSTER", "MEET", host, strconv.Itoa(s.port), strconv.Itoa(s.busPort))
	}
	c.each(c.servers, "knows all nodes", func(s *Server) error {
		nodes, err := s.nodes()
		if err == nil && len(nodes) != len(c.servers) {
			err = fmt.Errorf("it knows %d of %d nodes", len(nodes), len(c.servers))
		}
		return err
	})
}

// follow makes replicas of all but the first.
func (c *Cluster) follow() {
	c.t.Helper()
	for i, s := range c.servers[masters:] {
		master := c.servers[i%masters]
		s.must("CLUSTER", "REPLICATE", master.must("CLUSTER", "MYID"))
	}
}

// complete is nil if a node can answer for all slots, and knows who replicates
// whom.
func (c *Cluster) complete(s *Server) error {
	if err := s.serves(); err != nil {
		return err
	}
	nodes, err := s.nodes()
	if err != nil {
		return err
	}
	following := 0
	for _, n := range nodes {
		if n.is("slave") {
			following++
		}
	}
	if want := len(c.servers) - masters; following != want {
		return fmt.Errorf("it knows %d replicas, want %d", following, want)
	}
	return nil
}

// serves is nil if a node takes commands: it sees all slots served.
func (s *Server) serves() error {
	info, err := s.Do("CLUSTER", "INFO")
	if err != nil {
		return err
	}
	if state := field(info, "cluster_state"); state != "ok" {
		return fmt.Errorf("its cluster_state is %s", state)
	}
	return nil
}

// each waits until something is so of each node.
func (c *Cluster) each(servers []*Server, what string, done func(*Server) error) {
	c.t.Helper()
	for _, s := range servers {
		err := await(fmt.Sprintf("the time when the node at %s %s", s.Addr(), what), func() error {
			if err := s.running().ended(); err != nil {
				return err
			}
			return done(s)
		})
		if err != nil {
			c.t.Fatal(err)
		}
	}
}

// Servers are the nodes, which can be killed, restarted and stopped.
func (c *Cluster) Servers() []*Server { return c.servers }

// Addrs is where the nodes listen, as host:port.
func (c *Cluster) Addrs() []string { return addrs(c.servers) }

// URL is where to find the Cluster:
// redis://host:port,host:port,.../0?cluster=true.
func (c *Cluster) URL() string {
	u := c.servers[0].base(c.Addrs()...)
	u.Path, u.RawQuery = "/0", "cluster=true"
	return u.String()
}

// Owner is the master that answers for a key. After the death of one, or while
// it is paused, Owner waits until a replica has taken its place.
func (c *Cluster) Owner(key string) *Server {
	c.t.Helper()
	var owner *Server
	err := await("an owner of the key", func() error {
		var err error
		owner, err = c.owner(key)
		return err
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return owner
}

// owner asks all nodes that run which of them claims the key's slot. The newest
// claim counts: a master that comes back has yet to hear of its successor.
func (c *Cluster) owner(key string) (*Server, error) {
	var owner *Server
	newest := -1
	for _, s := range c.servers {
		if !s.running().awake() {
			continue
		}
		epoch, err := s.claims(key)
		if err != nil {
			return nil, err
		}
		if epoch > newest {
			owner, newest = s, epoch
		}
	}
	if owner == nil {
		return nil, errors.New("no node that runs claims its slot")
	}
	return owner, owner.serves()
}

// claims is the epoch of a node's claim to a key's slot, -1 if it has none.
func (s *Server) claims(key string) (epoch int, err error) {
	slot, err := s.Do("CLUSTER", "KEYSLOT", key)
	if err != nil {
		return -1, err
	}
	nodes, err := s.nodes()
	if err != nil {
		return -1, err
	}
	for _, n := range nodes {
		if n.is("myself") && n.is("master") && n.owns(number(slot)) {
			return n.epoch, nil
		}
	}
	return -1, nil
}

// WaitReplicas waits until every replica that runs has what its master had when
// it was called. See Server.WaitReplica.
func (c *Cluster) WaitReplicas() {
	c.t.Helper()
	for _, s := range c.servers {
		if s.running().awake() && field(s.must("INFO", "replication"), "role") == "slave" {
			s.WaitReplica()
		}
	}
}

// node is a line of CLUSTER NODES: what one node knows of another.
type node struct {
	flags []string
	epoch int
	slots []string // "0-5460" or "7"
}

// nodes asks a node whom it knows, itself included.
func (s *Server) nodes() ([]node, error) {
	answer, err := s.Do("CLUSTER", "NODES")
	if err != nil {
		return nil, err
	}
	var all []node
	for line := range strings.Lines(answer) {
		// id address flags master ping pong epoch link slots...
		fields := strings.Fields(line)
		if len(fields) < 8 {
			return nil, fmt.Errorf("read CLUSTER NODES: want eight fields or more, got %q", line)
		}
		n := node{flags: strings.Split(fields[2], ","), epoch: number(fields[6]), slots: fields[8:]}
		if !n.is("handshake") {
			all = append(all, n)
		}
	}
	return all, nil
}

func (n node) is(flag string) bool { return slices.Contains(n.flags, flag) }

// owns leaves out slots on the move, "[7->-id]", of which there are none here.
func (n node) owns(slot int) bool {
	for _, r := range n.slots {
		first, last, ranged := strings.Cut(r, "-")
		if !ranged {
			last = first
		}
		if number(first) <= slot && slot <= number(last) {
			return true
		}
	}
	return false
}
