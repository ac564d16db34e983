package redisdb

import (
	"fmt"
	"strconv"
	"strings"
)

// Level tells how bad a finding is.
type Level int

// The levels. A process does not start on Refused.
const (
	OK Level = iota
	Warning
	Refused
)

// String is the level in a word.
func (l Level) String() string {
	return [...]string{"ok", "warning", "refused"}[l]
}

// Finding is one thing to say about a server, in words.
type Finding struct {
	Level Level
	Text  string
}

// oldest is the first version that is enough: scripts say by flags what they
// may do when memory is full.
const oldest = 7

// Diagnose says in words what a server with these facts can lose, to somebody
// who waits for the given number of replicas and may have allowed eviction.
func Diagnose(f Facts, wait int, allowEviction bool) []Finding {
	if f.Watches {
		return []Finding{{Refused, "This is a Sentinel, which keeps nothing itself. Add ?master= and the name that it knows the master by."}}
	}
	found := append([]Finding{version(f)}, persistence(f)...)
	found = append(append(found, memory(f)...), eviction(f, allowEviction))
	return append(found, replication(f, wait)...)
}

func version(f Facts) Finding {
	major, _, _ := strings.Cut(f.Version, ".")
	n, err := strconv.Atoi(major)
	switch {
	case err != nil:
		return Finding{Warning, "The server does not tell its version. Bellhop needs Redis 7.0 or later."}
	case n < oldest:
		return Finding{Refused, "This is Redis " + f.Version + ", and Bellhop needs 7.0 or later."}
	}
	return Finding{OK, "Redis " + f.Version + "."}
}

func persistence(f Facts) []Finding {
	found := []Finding{log(f)}
	if f.AOFFailing {
		found = append(found, Finding{Refused, "The server could not write its append-only file: its disk is full or broken. It takes no writes until it can."})
	}
	if f.AOF && f.NoSyncOnRewrite {
		found = append(found, Finding{Warning, "While the server rewrites its files it does not wait for the disk, whatever appendfsync says (no-appendfsync-on-rewrite yes): " + machine + " Set no-appendfsync-on-rewrite no."})
	}
	if f.SnapshotFailing && f.Snapshots != "" {
		found = append(found, Finding{Warning, "The server could not write its last snapshot: its disk or memory is too full. Unless stop-writes-on-bgsave-error is no, it takes no writes until it can."})
	}
	return found
}

// machine is what is at stake while only the operating system decides when the
// disk is written.
const machine = "a crash of the server's machine can lose half a minute of accepted sign-ups, and send mails again that were sent in it."

// log is about the append-only file, which is the log of writes.
func log(f Facts) Finding {
	const remedy = " Set appendonly yes and appendfsync always."
	switch {
	case f.AOF && f.Sync == "always":
		return Finding{OK, "What is answered is on disk (appendonly yes, appendfsync always): a crash loses nothing."}
	case f.AOF && f.Sync == "everysec":
		return Finding{Warning, "The disk is written once a second (appendfsync everysec): a crash can lose the last second or two of accepted sign-ups, and send mails again that were sent in it. Set appendfsync always to lose nothing."}
	case f.AOF && f.Sync == "no":
		return Finding{Warning, "The disk is written when the operating system likes (appendfsync no): " + machine + " Set appendfsync always to lose nothing."}
	case f.AOF:
		return Finding{Warning, "The server keeps an append-only file and does not tell how often it goes to disk (appendfsync). Only always loses nothing in a crash; hosted servers usually write once a second and lose a second or two."}
	case f.Sync == "":
		return Finding{Warning, "The server keeps no append-only file, and does not tell whether it writes snapshots: a crash loses everything since the last one, or simply everything, and mails sent since then can be sent twice." + remedy}
	case f.Snapshots == "":
		return Finding{Warning, "Nothing is written to disk: when the server ends, every sign-up and every mail owed is lost." + remedy}
	}
	return Finding{Warning, "Only snapshots are written (save " + f.Snapshots + "): a crash loses everything since the last one, and mails sent since then can be sent twice." + remedy}
}

// memory warns while there is some left.
func memory(f Facts) []Finding {
	if f.MaxMemory == 0 || f.UsedMemory < f.MaxMemory/10*9 {
		return nil
	}
	return []Finding{{Warning, fmt.Sprintf("Memory is nearly full: %d of %d MB are taken. Raise maxmemory, or keep finished mails for a shorter time (--mail-retention).", f.UsedMemory>>20, f.MaxMemory>>20)}}
}

func eviction(f Facts, allowed bool) Finding {
	limit := "there is no limit now (maxmemory 0)"
	if f.MaxMemory > 0 {
		limit = fmt.Sprintf("the limit is %d MB", f.MaxMemory>>20)
	}
	text := "When memory is full the server throws keys away (maxmemory-policy " + f.Eviction + "; " + limit + "): "
	switch {
	case f.Eviction == "":
		return Finding{Warning, "The server does not tell what it does when memory is full (maxmemory-policy). Only noeviction throws nothing away."}
	case f.Eviction == "noeviction" && f.MaxMemory == 0:
		return Finding{OK, "Nothing is ever thrown away to gain memory (maxmemory-policy noeviction). There is no limit: when the machine's memory is full, the system may end the server. With a maxmemory sign-ups are refused before that."}
	case f.Eviction == "noeviction":
		return Finding{OK, "When memory is full, sign-ups are refused and nothing is thrown away (maxmemory-policy noeviction; " + limit + ")."}
	case strings.HasPrefix(f.Eviction, "volatile-"):
		return Finding{OK, text + "only those with a time to live, and none of Bellhop's has one. When there is nothing else to throw away, sign-ups are refused."}
	default:
		text += "any of them. Sign-ups and mails owed would vanish."
	}
	if allowed {
		return Finding{Warning, text + " You have allowed that."}
	}
	return Finding{Refused, text + " Set maxmemory-policy noeviction, or allow it with --redis-allow-eviction."}
}

// failover is what is at stake when a replica is promoted that may lack writes.
const failover = "%s can lose what was accepted shortly before, and send mails again that were sent then."

func replication(f Facts, wait int) (found []Finding) {
	if f.Role == "slave" {
		found = append(found, Finding{Refused, "This server is a replica and takes no writes. Name its master, or the Sentinels that know it."})
	}
	switch {
	case f.Replicas < wait:
		found = append(found, Finding{Refused, fmt.Sprintf("%s, and a sign-up is answered only when it is on %d (--redis-wait): until more follow, every sign-up is answered 503, no mail is sent and no process starts.", replicas(f.Replicas), wait)})
	case f.Replicas > wait && wait == 0:
		found = append(found, Finding{Warning, fmt.Sprintf("%s, and nothing waits for them: %s Set --redis-wait %d.", replicas(f.Replicas), fmt.Sprintf(failover, "a failover"), f.Replicas)})
	case f.Replicas > wait:
		found = append(found, Finding{Warning, fmt.Sprintf("%s, and a sign-up is answered when it is on %d of them (--redis-wait): %s Only --redis-wait %d loses nothing, whichever is promoted.", replicas(f.Replicas), wait, fmt.Sprintf(failover, "a failover to another of them"), f.Replicas)})
	case wait > 0:
		found = append(found, Finding{OK, fmt.Sprintf("%s, and nothing is answered before it is on all of them (--redis-wait %d): a failover loses nothing.", replicas(f.Replicas), wait)})
	case f.Sentinel, f.Cluster:
		found = append(found, Finding{Warning, "No replica follows this server: there is nothing to fail over to."})
	}
	if f.Cluster {
		found = append(found, Finding{OK, "It is a Cluster. All of Bellhop's ledger lives on one of its nodes: the Cluster gives failover, not more room."})
	}
	return found
}

func replicas(n int) string {
	switch n {
	case 0:
		return "No replica follows"
	case 1:
		return "1 replica follows"
	}
	return fmt.Sprintf("%d replicas follow", n)
}
