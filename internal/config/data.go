package config

import (
	"fmt"
	"time"
)

// QueueLocation is where the queue is: as --queue says, with redis resolved to
// the Redis of the store.
func (d *Data) QueueLocation() Location {
	if d.Queue.raw == storesRedis {
		return d.Store
	}
	return d.Queue
}

// Local tells whether the store or the queue is in the data directory, so that
// one process at a time can have them.
func (d *Data) Local() bool { return d.Store.Embedded() || d.Queue.Embedded() }

// faults are those of a command that takes no settings but these.
func (d *Data) faults() error {
	var f Faults
	d.check(&f)
	return f.err()
}

func (d *Data) check(f *Faults) {
	if d.DataDir == "" {
		f.add("data-dir", "want the name of a directory, got an empty one", "write for example --data-dir bellhop-data")
	}
	if problem, remedy := d.Store.check(); problem != "" {
		f.add("store", problem, remedy)
	}
	d.checkQueue(f)
	d.checkRedis(f)
}

// checkRedis looks at what goes with a Redis only.
func (d *Data) checkRedis(f *Faults) {
	if d.RedisPassword.Set() {
		d.wantRedis(f, "redis-password")
	}
	if d.RedisCAFile != "" && d.wantRedis(f, "redis-ca-file") {
		d.checkCA(f, d.Store.TLS() || d.Queue.TLS())
	}
	if d.checkWait(f) && d.RedisWait > 0 {
		d.wantStoreInRedis(f, "redis-wait")
	}
}

// checkCA looks into the file of certificates, if one is named.
func (r *RedisAccess) checkCA(f *Faults, tls bool) {
	if r.RedisCAFile != "" && !tls {
		f.add("redis-ca-file", "no rediss:// URL is there to use it", "write rediss:// for TLS, or leave it out")
	}
	checkCertificates(f, "redis-ca-file", r.RedisCAFile)
}

// checkWait tells whether the number of replicas can be one.
func (r *RedisAccess) checkWait(f *Faults) bool {
	if r.RedisWait >= 0 && r.RedisWait <= 100 {
		return true
	}
	f.add("redis-wait", fmt.Sprintf("want 0 to 100, got %d", r.RedisWait), "name as many as the store's Redis has replicas")
	return false
}

// wantRedis notes a fault of a setting that means nothing without a Redis, and
// tells whether there is one.
func (d *Data) wantRedis(f *Faults, flag string) bool {
	if !d.Store.Redis() && !d.Queue.Redis() {
		f.add(flag, "neither the store nor the queue is in Redis", "name a Redis with --store, or leave it out")
		return false
	}
	return true
}

// wantStoreInRedis is wantRedis for what concerns the store.
func (d *Data) wantStoreInRedis(f *Faults, flag string) {
	if d.Store.Embedded() {
		f.add(flag, "the store is not in Redis", "name a Redis with --store, or leave it out")
	}
}

func (e *Eviction) check(f *Faults, d *Data) {
	if e.RedisAllowEviction {
		d.wantRedis(f, "redis-allow-eviction")
	}
}

// usualRetention is the default of --mail-retention, which is no fault
// wherever the store is.
const usualRetention = 30 * 24 * time.Hour

func (s *Serve) checkRetention(f *Faults) {
	switch {
	case s.MailRetention == usualRetention:
	case s.MailRetention < 0:
		f.add("mail-retention", fmt.Sprintf("want a duration, or 0 for ever, got %v", s.MailRetention), durationExample)
	default:
		s.wantStoreInRedis(f, "mail-retention")
	}
}

// checkRoles refuses a division of the work over processes that cannot reach
// each other's store or queue.
func (s *Serve) checkRoles(f *Faults) {
	switch {
	case s.Roles.All():
	case s.Store.Embedded():
		f.add("roles", "want all of web,relay,sender, because one process owns the embedded store", "leave it out, or name a Redis with --store")
	case s.Queue.Embedded() && s.Roles.Has(Relay) != s.Roles.Has(Sender):
		f.add("roles", "want relay and sender together, because one process owns the embedded queue", "name both, or write --queue redis or --queue servicebus")
	}
	if s.Roles.Has(Sender) && !s.Roles.Has(Web) && s.PublicURL == "" {
		f.add("public-url", "links in mails begin with it, and a process without the role web has no address of its own", "name the address of those that have it, such as https://signup.example.com")
	}
}
