package redisdb_test

import (
	"slices"
	"strings"
	"testing"

	"bellhop/internal/redisdb"
)

// sound is a server with nothing to complain about.
func sound() redisdb.Facts {
	return redisdb.Facts{
		Version: "7.0.15", Role: "master", AOF: true, Sync: "always", Snapshots: "3600 1",
		Eviction: "noeviction", MaxMemory: 512 << 20,
	}
}

// Every sentence that doctor can say, beside what makes it say so.
func TestDiagnose(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*redisdb.Facts)
		wait   int
		allow  bool
		want   string // the level and the sentence
	}{
		"version":             {func(f *redisdb.Facts) {}, 0, false, "ok: Redis 7.0.15."},
		"a later version":     {func(f *redisdb.Facts) { f.Version = "10.2.0" }, 0, false, "ok: Redis 10.2.0."},
		"an old version":      {func(f *redisdb.Facts) { f.Version = "6.2.14" }, 0, false, "refused: This is Redis 6.2.14, and Bellhop needs 7.0 or later."},
		"no version":          {func(f *redisdb.Facts) { f.Version = "" }, 0, false, "warning: The server does not tell its version. Bellhop needs Redis 7.0 or later."},
		"always":              {func(f *redisdb.Facts) {}, 0, false, "ok: What is answered is on disk (appendonly yes, appendfsync always): a crash loses nothing."},
		"everysec":            {func(f *redisdb.Facts) { f.Sync = "everysec" }, 0, false, "warning: The disk is written once a second (appendfsync everysec): a crash can lose the last second or two of accepted sign-ups, and send mails again that were sent in it. Set appendfsync always to lose nothing."},
		"sync no":             {func(f *redisdb.Facts) { f.Sync = "no" }, 0, false, "warning: The disk is written when the operating system likes (appendfsync no): a crash of the server's machine can lose half a minute of accepted sign-ups, and send mails again that were sent in it. Set appendfsync always to lose nothing."},
		"sync not told":       {func(f *redisdb.Facts) { f.Sync, f.Snapshots = "", "" }, 0, false, "warning: The server keeps an append-only file and does not tell how often it goes to disk (appendfsync). Only always loses nothing in a crash; hosted servers usually write once a second and lose a second or two."},
		"snapshots":           {func(f *redisdb.Facts) { f.AOF = false }, 0, false, "warning: Only snapshots are written (save 3600 1): a crash loses everything since the last one, and mails sent since then can be sent twice. Set appendonly yes and appendfsync always."},
		"nothing written":     {func(f *redisdb.Facts) { f.AOF, f.Snapshots = false, "" }, 0, false, "warning: Nothing is written to disk: when the server ends, every sign-up and every mail owed is lost. Set appendonly yes and appendfsync always."},
		"nothing told":        {func(f *redisdb.Facts) { f.AOF, f.Sync, f.Snapshots = false, "", "" }, 0, false, "warning: The server keeps no append-only file, and does not tell whether it writes snapshots: a crash loses everything since the last one, or simply everything, and mails sent since then can be sent twice. Set appendonly yes and appendfsync always."},
		"append-only failing": {func(f *redisdb.Facts) { f.AOFFailing = true }, 0, false, "refused: The server could not write its append-only file: its disk is full or broken. It takes no writes until it can."},
		"snapshot failing":    {func(f *redisdb.Facts) { f.SnapshotFailing = true }, 0, false, "warning: The server could not write its last snapshot: its disk or memory is too full. Unless stop-writes-on-bgsave-error is no, it takes no writes until it can."},
		"no sync on rewrite":  {func(f *redisdb.Facts) { f.NoSyncOnRewrite = true }, 0, false, "warning: While the server rewrites its files it does not wait for the disk, whatever appendfsync says (no-appendfsync-on-rewrite yes): a crash of the server's machine can lose half a minute of accepted sign-ups, and send mails again that were sent in it. Set no-appendfsync-on-rewrite no."},
		"a limit":             {func(f *redisdb.Facts) {}, 0, false, "ok: When memory is full, sign-ups are refused and nothing is thrown away (maxmemory-policy noeviction; the limit is 512 MB)."},
		"no limit":            {func(f *redisdb.Facts) { f.MaxMemory = 0 }, 0, false, "ok: Nothing is ever thrown away to gain memory (maxmemory-policy noeviction). There is no limit: when the machine's memory is full, the system may end the server. With a maxmemory sign-ups are refused before that."},
		"eviction not told":   {func(f *redisdb.Facts) { f.Eviction = "" }, 0, false, "warning: The server does not tell what it does when memory is full (maxmemory-policy). Only noeviction throws nothing away."},
		"allkeys":             {func(f *redisdb.Facts) { f.Eviction = "allkeys-lru" }, 0, false, "refused: When memory is full the server throws keys away (maxmemory-policy allkeys-lru; the limit is 512 MB): any of them. Sign-ups and mails owed would vanish. Set maxmemory-policy noeviction, or allow it with --redis-allow-eviction."},
		"allkeys, allowed":    {func(f *redisdb.Facts) { f.Eviction, f.MaxMemory = "allkeys-lru", 0 }, 0, true, "warning: When memory is full the server throws keys away (maxmemory-policy allkeys-lru; there is no limit now (maxmemory 0)): any of them. Sign-ups and mails owed would vanish. You have allowed that."},
		"a Sentinel":          {func(f *redisdb.Facts) { f.Watches = true }, 0, false, "refused: This is a Sentinel, which keeps nothing itself. Add ?master= and the name that it knows the master by."},
		"nearly full":         {func(f *redisdb.Facts) { f.UsedMemory = 500 << 20 }, 0, false, "warning: Memory is nearly full: 500 of 512 MB are taken. Raise maxmemory, or keep finished mails for a shorter time (--mail-retention)."},
		"volatile":            {func(f *redisdb.Facts) { f.Eviction = "volatile-ttl" }, 0, false, "ok: When memory is full the server throws keys away (maxmemory-policy volatile-ttl; the limit is 512 MB): only those with a time to live, and none of Bellhop's has one. When there is nothing else to throw away, sign-ups are refused."},
		"a replica itself":    {func(f *redisdb.Facts) { f.Role = "slave" }, 0, false, "refused: This server is a replica and takes no writes. Name its master, or the Sentinels that know it."},
		"no replica at all":   {func(f *redisdb.Facts) {}, 1, false, "refused: No replica follows, and a sign-up is answered only when it is on 1 (--redis-wait): until more follow, every sign-up is answered 503, no mail is sent and no process starts."},
		"too few replicas":    {func(f *redisdb.Facts) { f.Replicas = 1 }, 2, false, "refused: 1 replica follows, and a sign-up is answered only when it is on 2 (--redis-wait): until more follow, every sign-up is answered 503, no mail is sent and no process starts."},
		"nobody waits":        {func(f *redisdb.Facts) { f.Replicas = 2 }, 0, false, "warning: 2 replicas follow, and nothing waits for them: a failover can lose what was accepted shortly before, and send mails again that were sent then. Set --redis-wait 2."},
		"waits for some":      {func(f *redisdb.Facts) { f.Replicas = 2 }, 1, false, "warning: 2 replicas follow, and a sign-up is answered when it is on 1 of them (--redis-wait): a failover to another of them can lose what was accepted shortly before, and send mails again that were sent then. Only --redis-wait 2 loses nothing, whichever is promoted."},
		"waits for all":       {func(f *redisdb.Facts) { f.Replicas = 1 }, 1, false, "ok: 1 replica follows, and nothing is answered before it is on all of them (--redis-wait 1): a failover loses nothing."},
		"Sentinels for none":  {func(f *redisdb.Facts) { f.Sentinel = true }, 0, false, "warning: No replica follows this server: there is nothing to fail over to."},
		"a Cluster":           {func(f *redisdb.Facts) { f.Cluster, f.Replicas = true, 1 }, 1, false, "ok: It is a Cluster. All of Bellhop's ledger lives on one of its nodes: the Cluster gives failover, not more room."},
	} {
		t.Run(name, func(t *testing.T) {
			f := sound()
			c.change(&f)
			var said []string
			for _, found := range redisdb.Diagnose(f, c.wait, c.allow) {
				said = append(said, found.Level.String()+": "+found.Text)
			}
			if !slices.Contains(said, c.want) {
				t.Errorf("want among what is said:\n%s\ngot:\n%s", c.want, strings.Join(said, "\n"))
			}
			for _, other := range said {
				if other != c.want && !strings.HasPrefix(other, "ok: ") {
					t.Errorf("complains of something that is sound: %s", other)
				}
			}
		})
	}
}
