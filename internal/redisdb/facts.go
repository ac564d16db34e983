package redisdb

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Facts are what a server says of itself, as far as they decide what a crash
// can lose.
type Facts struct {
	Version string
	// Role is "master" or "slave".
	Role string
	// Watches tells that this is no store but a Sentinel.
	Watches bool
	// UsedMemory is how much of MaxMemory is taken, in bytes.
	UsedMemory int64
	// AOF tells that there is an append-only file, and AOFFailing that the last
	// write to it failed.
	AOF, AOFFailing bool
	// SnapshotFailing tells that the last snapshot could not be written.
	SnapshotFailing bool
	// Sync is the appendfsync setting: always, everysec, no; "" when the
	// server does not tell, and then it tells nothing of the next two either.
	Sync string
	// NoSyncOnRewrite tells that Sync is left out while the server rewrites
	// its files (no-appendfsync-on-rewrite).
	NoSyncOnRewrite bool
	// Snapshots is the save setting; "" for none.
	Snapshots string
	// Replicas is how many replicas have their first copy and follow.
	Replicas int
	// Eviction is the maxmemory-policy, "" when the server does not tell, and
	// MaxMemory its limit in bytes, 0 for none.
	Eviction  string
	MaxMemory int64
	// Cluster and Sentinel tell how it was reached.
	Cluster, Sentinel bool
}

// Facts asks the server that holds a tag's keys.
func (t *Tag) Facts(ctx context.Context) (Facts, error) {
	ctx, cancel := context.WithTimeout(ctx, t.client.settings.timeout())
	defer cancel()
	node, err := t.Node(ctx)
	if err != nil {
		return Facts{}, fmt.Errorf("ask %s: %w", t.client.settings, classify(err))
	}
	info, err := node.Info(ctx).Result()
	if err != nil {
		return Facts{}, fmt.Errorf("ask %s: %w", t.client.settings, classify(err))
	}
	f := factsOf(info)
	target, err := t.client.settings.target()
	if err != nil {
		return Facts{}, err
	}
	f.Cluster, f.Sentinel = target.cluster, target.master != ""
	f.Sync, f.Snapshots = setting(ctx, node, "appendfsync"), setting(ctx, node, "save")
	f.NoSyncOnRewrite = setting(ctx, node, "no-appendfsync-on-rewrite") == "yes"
	return f, nil
}

// factsOf reads what INFO says. Lines it does not know are left alone.
func factsOf(info string) Facts {
	lines := make(map[string]string)
	for line := range strings.Lines(info) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			lines[name] = value
		}
	}
	f := Facts{
		Version: lines["redis_version"], Role: lines["role"],
		AOF: lines["aof_enabled"] == "1", AOFFailing: lines["aof_last_write_status"] == "err",
		SnapshotFailing: lines["rdb_last_bgsave_status"] == "err",
		Eviction:        lines["maxmemory_policy"],
	}
	f.Watches = lines["redis_mode"] == "sentinel"
	f.UsedMemory, _ = strconv.ParseInt(lines["used_memory"], 10, 64)
	f.MaxMemory, _ = strconv.ParseInt(lines["maxmemory"], 10, 64)
	for i := 0; ; i++ {
		replica, ok := lines["slave"+strconv.Itoa(i)]
		if !ok {
			return f
		}
		if strings.Contains(replica, "state=online") {
			f.Replicas++
		}
	}
}

// setting asks for one setting; "" where the server keeps it to itself, as
// hosted ones do.
func setting(ctx context.Context, node *redis.Client, name string) string {
	values, err := node.ConfigGet(ctx, name).Result()
	if err != nil {
		return ""
	}
	return values[name]
}
