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
	d := &database{client: client, want: map[string]map[string]string{}, counts: map[string]int{}}
	keys := d.list("KEYS", "{bellhop}:*")
	for _, key := range keys {
		if n, ok := strings.CutPrefix(key, "{bellhop}:mail:"); ok {
			d.expect(n, d.hash(key))
		}
	}
	for _, key := range keys {
		name := strings.TrimPrefix(key, "{bellhop}:")
		kind, _, _ := strings.Cut(name, ":")
		switch kind {
		case "due", "queued", "expiring", "unknown", "dead", "held":
			d.compare(name, d.pairs("ZRANGE", key, "0", "-1", "WITHSCORES"))
		}
	}
	for name := range d.want {
		d.faults = append(d.faults, name+" is not there")
	}
	d.compareCounts()
	return d.faults
}

type database struct {
	client *goredis.Client
	want   map[string]map[string]string // structure → number → score
	counts map[string]int
	faults []string
}

func (d *database) list(args ...any) []string {
	values, err := d.client.Do(context.Background(), args...).StringSlice()
	if err != nil {
		d.faults = append(d.faults, err.Error())
	}
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
	d.counts[state]++
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
		if row["dead"] != "" || row["at"] != "" || row["ended"] == "" {
			d.faults = append(d.faults, fmt.Sprintf("mail %s is %s and has %v", n, state, row))
		}
	default:
		d.faults = append(d.faults, fmt.Sprintf("mail %s is in state %q", n, state))
	}
}

func (d *database) compare(structure string, got map[string]string) {
	if !maps.Equal(d.want[structure], got) {
		d.faults = append(d.faults, fmt.Sprintf("%s holds %v, want %v", structure, got, d.want[structure]))
	}
	delete(d.want, structure)
}

func (d *database) compareCounts() {
	counts := d.hash("{bellhop}:counts")
	bits, err := d.client.BitCount(context.Background(), "{bellhop}:purged", nil).Result()
	if err != nil {
		d.faults = append(d.faults, err.Error())
	}
	d.counts["purged"] += int(bits)
	for _, state := range []string{"sending", "committing", "sent", "unknown", "failed", "cancelled", "expired", "suppressed", "purged"} {
		if got := counts[state]; got != strconv.Itoa(d.counts[state]) && (got != "" || d.counts[state] != 0) {
			d.faults = append(d.faults, fmt.Sprintf("%s are counted as %q, and there are %d", state, got, d.counts[state]))
		}
	}
}
