package redis_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	goredis "github.com/redis/go-redis/v9"
)

// inspect reads every key of a database and returns what does not fit: each
// structure must hold exactly the mails whose rows say so, with the right score.
// It is an oracle of its own: it shares no code with the store.
func inspect(url string) (faults []string) {
	options, err := goredis.ParseURL(url)
	if err != nil {
		return []string{err.Error()}
	}
	options.Protocol = 2
	client := goredis.NewClient(options)
	defer client.Close()
	d := &database{client: client, rows: map[string]map[string]string{}, want: map[string]map[string]string{}, states: map[string]int{}}
	keys := d.list("KEYS", "{bellhop}:*")
	d.counts = d.hash("{bellhop}:counts")
	d.readPeople(keys)
	for _, key := range keys {
		if n, ok := strings.CutPrefix(key, "{bellhop}:mail:"); ok {
			d.rows[n] = d.hash(key)
			d.expect(n, d.rows[n])
		}
	}
	for _, key := range keys {
		name := strings.TrimPrefix(key, "{bellhop}:")
		kind, rest, _ := strings.Cut(name, ":")
		d.demand(slices.Contains(kinds, kind), "nobody knows what %s is", name)
		ttl, err := d.client.TTL(context.Background(), key).Result()
		d.demand(err == nil && (ttl < 0 || kind == "limit"), "%s lives for %v, %v", name, ttl, err)
		switch kind {
		case "due", "queued", "expiring", "unknown", "dead", "held", "of", "asked", "sessions", "ending":
			d.compare(name, d.pairs("ZRANGE", key, "0", "-1", "WITHSCORES"))
		case "attempts":
			d.demand(d.rows[rest] != nil, "%s is there, and the mail is not", name)
		case "limit":
			left, err := client.PTTL(context.Background(), key).Result()
			d.demand(err == nil && left != -1, "%s stays for ever: %v", name, err)
		}
	}
	for name := range d.want {
		d.demand(false, "%s is not there", name)
	}
	d.compareCounts()
	d.compareLogs()
	d.comparePeople(keys)
	d.compareAccounts(keys)
	return d.faults
}

// kinds are what keys can be, by what stands before their second colon.
var kinds = []string{
	"subject", "mail", "attempts", "due", "queued", "expiring", "held", "unknown", "dead", "finished", "purged", "beats", "healthy", "away",
	"signups", "judged", "requests", "account", "of", "asked", "charged", "charges", "session", "sessions", "ending", "key", "uses",
	"counts", "keys", "documents", "version", "move", "limit", "fence", "ping",
}

type database struct {
	client   *goredis.Client
	rows     map[string]map[string]string // number → row
	subjects map[string]map[string]string // id → fields
	numbers  map[string]string            // id → a sign-up's number
	want     map[string]map[string]string // structure → number → score
	states   map[string]int               // how many rows are in each
	counts   map[string]string
	faults   []string
}

func (d *database) demand(fits bool, format string, args ...any) {
	if !fits {
		d.faults = append(d.faults, fmt.Sprintf(format, args...))
	}
}

func (d *database) list(args ...any) []string {
	values, err := d.client.Do(context.Background(), args...).StringSlice()
	d.demand(err == nil, "%v: %v", args, err)
	return values
}

func (d *database) pairs(args ...any) map[string]string {
	m := map[string]string{}
	for pair := range slices.Chunk(d.list(args...), 2) {
		m[pair[0]] = pair[1]
	}
	return m
}

func (d *database) hash(key string) map[string]string { return d.pairs("HGETALL", key) }

func (d *database) put(structure, n, score string) {
	if d.want[structure] == nil {
		d.want[structure] = map[string]string{}
	}
	d.want[structure][n] = score
}

// expect notes where a row must be found.
func (d *database) expect(n string, row map[string]string) {
	state := row["state"]
	d.states[state]++
	switch state {
	case "due", "queued":
		d.put(state+":"+row["lane"], n, row["at"])
		d.put("expiring", n, row["expires"])
	case "sending", "committing":
		d.put("held:"+row["holder"], n, row["at"])
	case "unknown":
		if row["at"] != "" {
			d.put("unknown", n, row["at"])
		} else {
			d.put("dead", n, row["dead"])
		}
	case "failed", "expired":
		d.put("dead", n, row["dead"])
	case "sent", "cancelled", "suppressed", "purged":
		d.demand(row["dead"] == "" && row["at"] == "" && row["ended"] != "", "mail %s is %s and has %v", n, state, row)
	default:
		d.demand(false, "mail %s is in state %q", n, state)
	}
}

func (d *database) compare(structure string, got map[string]string) {
	d.demand(maps.Equal(d.want[structure], got), "%s holds %v, want %v", structure, got, d.want[structure])
	delete(d.want, structure)
}

func (d *database) compareCounts() {
	bits, err := d.client.BitCount(context.Background(), "{bellhop}:purged", nil).Result()
	d.demand(err == nil, "count the purged: %v", err)
	gone := int(bits)
	d.demand(d.counts["accepted"] == strconv.Itoa(len(d.rows)+gone) || len(d.rows)+gone == 0,
		"%q are counted as accepted, there are %d, and %d were purged", d.counts["accepted"], len(d.rows), gone)
	d.states["purged"] += gone
	for _, state := range []string{"sending", "committing", "sent", "unknown", "failed", "cancelled", "expired", "suppressed", "purged"} {
		got := d.counts[state]
		d.demand(got == strconv.Itoa(d.states[state]) || got == "" && d.states[state] == 0,
			"%s are counted as %q, and there are %d", state, got, d.states[state])
	}
}

// compareLogs looks whether what a sweep must find is where it looks.
func (d *database) compareLogs() {
	finished, uses := set(d.entries("{bellhop}:finished")), set(d.entries("{bellhop}:uses"))
	beats := d.pairs("ZRANGE", "{bellhop}:beats", "0", "-1", "WITHSCORES")
	for who := range d.hash("{bellhop}:healthy") {
		d.demand(beats[who] != "", "%s is remembered as healthy, and not as alive or dead", who)
	}
	for n, row := range d.rows {
		finishes := slices.Contains([]string{"sent", "failed", "cancelled", "expired", "suppressed", "purged"}, row["state"])
		d.demand(finishes == (row["ended"] != ""), "mail %s is %s and ended at %q", n, row["state"], row["ended"])
		if finishes {
			entry := fmt.Sprint("", map[string]any{"n": n, "ended": row["ended"]})
			d.demand(finished[entry], "mail %s is %s and not in the log of finished ones", n, row["state"])
		}
		if holder := row["holder"]; row["state"] == "sending" || row["state"] == "committing" {
			d.demand(beats[holder] != "", "mail %s is held by %s, whom no sweep finds", n, holder)
		}
	}
	for _, key := range d.list("KEYS", "{bellhop}:key:*") {
		value, err := d.client.Get(context.Background(), key).Result()
		d.demand(err == nil, "%s: %v", key, err)
		at, id, _ := strings.Cut(value, " ")
		hash := strings.TrimPrefix(key, "{bellhop}:key:")
		d.demand(len(hash) == 64, "a key has the hash %q", hash)
		entry := fmt.Sprint("", map[string]any{"key": hash, "at": at})
		d.demand(uses[entry], "%s is in no log of uses", key)
		d.demand(d.hash("{bellhop}:subject:" + id)["key"] == hash, "%s belongs to %s, who has not got it", key, id)
	}
}

func set(items []string) map[string]bool {
	all := map[string]bool{}
	for _, item := range items {
		all[item] = true
	}
	return all
}

// comparePeople looks whether every mail has a name, and every sign-up a number.
func (d *database) comparePeople(keys []string) {
	named, people := map[string]string{}, 0
	for _, key := range keys {
		subject, is := strings.CutPrefix(key, "{bellhop}:subject:")
		if !is {
			continue
		}
		fields := d.subjects[subject]
		if fields["status"] != "" {
			people++
		}
		if hash := fields["key"]; hash == "" {
			d.demand(fields["form"] == "", "%s knows the form of no key", key)
		} else {
			value, _ := d.client.Get(context.Background(), "{bellhop}:key:"+hash).Result()
			d.demand(strings.HasSuffix(value, " "+subject), "%s has a key that is gone, or another's", key)
		}
		for name, n := range fields {
			if step, is := strings.CutPrefix(name, "mail:"); is {
				d.demand(named[n] == "", "mail %s is %s and %s.%s", n, named[n], subject, step)
				named[n] = subject + "." + step
			}
		}
	}
	for n, row := range d.rows {
		d.demand(named[n] == row["id"], "mail %s is %s, and known as %q", n, row["id"], named[n])
	}
	for n, name := range named {
		d.demand(d.rows[n] != nil || d.isPurged(n), "mail %s is %s, and neither there nor purged", n, name)
	}
	d.demand(d.counts["signups"] == strconv.Itoa(people) || people == 0, "%d people are there, %s signed up", people, d.counts["signups"])
	d.demand(len(d.entries("{bellhop}:signups")) == people, "%d people are there, %d are in the log", people, len(d.entries("{bellhop}:signups")))
}
