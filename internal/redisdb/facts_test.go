package redisdb

import (
	"strings"
	"testing"
)

func TestFactsOf(t *testing.T) {
	const info = "# Server\r\nredis_version:7.0.15\r\nuptime_in_seconds:5\r\n\r\n# Memory\r\nmaxmemory:2097152\r\nmaxmemory_policy:allkeys-lru\r\n" +
		"# Persistence\r\nrdb_last_bgsave_status:err\r\naof_enabled:1\r\naof_last_write_status:err\r\n" +
		"# Replication\r\nrole:master\r\nconnected_slaves:3\r\n" +
		"slave0:ip=127.0.0.1,port=6380,state=online,offset=14,lag=1\r\n" +
		"slave1:ip=127.0.0.1,port=6381,state=wait_bgsave,offset=0,lag=0\r\n" +
		"slave2:ip=127.0.0.1,port=6382,state=online,offset=14,lag=0\r\n"
	want := Facts{
		Version: "7.0.15", Role: "master", AOF: true, AOFFailing: true, SnapshotFailing: true,
		Replicas: 2, Eviction: "allkeys-lru", MaxMemory: 2 << 20,
	}
	if got := factsOf(info); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := factsOf(""); got != (Facts{}) {
		t.Errorf("of nothing: %+v", got)
	}
}

// INFO is whatever a server, or what takes itself for one, chooses to say.
func FuzzFactsOf(f *testing.F) {
	f.Add("redis_version:7.0.15\r\nrole:master\r\nmaxmemory:12\r\nslave0:state=online\r\n")
	f.Add("maxmemory:-99999999999999999999\nslave0:\nslave1\n:\n::")
	f.Fuzz(func(t *testing.T, info string) {
		facts := factsOf(info)
		if facts.Replicas > strings.Count(info, "slave") {
			t.Errorf("%d replicas in %q", facts.Replicas, info)
		}
		for _, found := range Diagnose(facts, 1, false) {
			if found.Text == "" || found.Level < OK || found.Level > Refused {
				t.Errorf("%+v of %+v", found, facts)
			}
		}
	})
}
