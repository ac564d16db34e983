package redisdb

import (
	"fmt"
	"strconv"
	"strings"
)

// Level is how bad a finding is.
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
// who waits for the given number of replicas.
func Diagnose(f Facts, wait int, allowEviction bool) []Finding {
	return append([]Finding{version(f), persistence(f), eviction(f, allowEviction)}, replication(f, wait)...)
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

func persistence(f Facts) Finding {
	switch {
	case f.AOFFailing:
		return Finding{Refused, "The server cannot write its append-only file: its disk is full or broken, and what is answered may be lost."}
	case !f.AOF && f.Snapshots == "":
		return Finding{Warning, "Nothing is written to disk: when the server ends, every sign-up and every mail owed is lost. Set appendonly yes and appendfsync always."}
	case !f.AOF:
		return Finding{Warning, "Only snapshots are written (save " + f.Snapshots + "): a crash loses everything since the last one, and mails sent since then can be sent twice. Set appendonly yes and appendfsync always."}
	}
	switch f.Sync {
	case "always":
		return Finding{OK, "What is answered is on disk (appendonly yes, appendfsync always): a crash loses nothing."}
	case "everysec":
		return Finding{Warning, "The disk is written once a second (appendfsync everysec): a crash of the server's machine can lose the last second or two of accepted sign-ups, and send again what was sent in it. A crash of the server alone loses nothing written. Set appendfsync always to lose nothing."}
	case "no":
		return Finding{Warning, "The disk is written when the system likes (appendfsync no): a crash of the server's machine can lose half a minute of accepted sign-ups, and send again what was sent in it. Set appendfsync always to lose nothing."}
	default:
		return Finding{Warning, "The server keeps an append-only file and does not tell how often it is synced (appendfsync). Only always loses nothing in a crash; hosted servers usually sync once a second."}
	}
}

func eviction(f Facts, allowed bool) Finding {
	limit := "without a limit"
	if f.MaxMemory > 0 {
		limit = fmt.Sprintf("with a limit of %d MB", f.MaxMemory>>20)
	}
	if f.Eviction == "noeviction" || f.Eviction == "" {
		return Finding{OK, "When memory is full, sign-ups are refused and nothing is thrown away (maxmemory-policy noeviction, " + limit + ")."}
	}
	text := fmt.Sprintf("When memory is full the server throws keys away (maxmemory-policy %s, %s): sign-ups and mails owed would vanish.", f.Eviction, limit)
	if strings.HasPrefix(f.Eviction, "volatile-") {
		text = fmt.Sprintf("When memory is full the server throws away keys that have a time to live (maxmemory-policy %s, %s): idempotency keys would vanish, and a repeated sign-up would be stored, and mailed, twice.", f.Eviction, limit)
	}
	if allowed {
		return Finding{Warning, text + " You have allowed that."}
	}
	return Finding{Refused, text + " Set maxmemory-policy noeviction, or allow it with --redis-allow-eviction."}
}

func replication(f Facts, wait int) (found []Finding) {
	if f.Role == "slave" {
		found = append(found, Finding{Refused, "This server is a replica and takes no writes. Name its master, or the Sentinels that know it."})
	}
	switch {
	case f.Replicas < wait:
		found = append(found, Finding{Warning, fmt.Sprintf("%s, and sign-ups are answered only when %d have them (--redis-wait): until more come, every sign-up is answered 503 and no mail is sent.", replicas(f.Replicas), wait)})
	case f.Replicas > 0 && wait == 0:
		found = append(found, Finding{Warning, replicas(f.Replicas) + ", and nothing waits for them: a failover can lose what was accepted shortly before, and send again what was sent. Set --redis-wait " + strconv.Itoa(f.Replicas) + "."})
	case f.Replicas > wait:
		found = append(found, Finding{Warning, fmt.Sprintf("%s, and %d must have a write before it is answered: a failover to one of the others can lose what was accepted shortly before, and send again what was sent. Only --redis-wait %d loses nothing, whichever is promoted.", replicas(f.Replicas), wait, f.Replicas)})
	case wait > 0:
		found = append(found, Finding{OK, fmt.Sprintf("%s, and what is answered is on all of them (--redis-wait %d): a failover loses nothing.", replicas(f.Replicas), wait)})
	case f.Sentinel, f.Cluster:
		found = append(found, Finding{Warning, "No replica follows this server: there is nothing to fail over to."})
	}
	if f.Cluster {
		found = append(found, Finding{OK, "It is a Cluster. All of Bellhop's ledger lives on one of its nodes: the Cluster gives failover, not more room."})
	}
	return found
}

func replicas(n int) string {
	if n == 1 {
		return "One replica follows"
	}
	if n == 0 {
		return "No replica follows"
	}
	return fmt.Sprintf("%d replicas follow", n)
}
