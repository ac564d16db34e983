package redistest_test

import (
	"strings"
	"testing"
	"time"

	"bellhop/internal/redistest"
)

func TestClusterSharesTheKeys(t *testing.T) {
	c := redistest.StartCluster(t, 0, "appendonly yes", "appendfsync always")
	if n := len(c.Servers()); n != 3 || len(c.Addrs()) != n {
		t.Fatalf("got %d servers at %d addresses, want 3", n, len(c.Addrs()))
	}
	if want := "redis://" + strings.Join(c.Addrs(), ",") + "/0?cluster=true"; c.URL() != want {
		t.Errorf("URL: got %s, want %s", c.URL(), want)
	}
	owners := map[*redistest.Server]string{}
	for _, key := range []string{"foo", "bar", "{a}b", "a", "key8", "key9", "key10", "key11"} {
		owner := c.Owner(key)
		want(t, owner, "OK", "SET", key, "value")
		owners[owner] = key
	}
	if len(owners) != 3 {
		t.Errorf("the keys are with %d masters, want all 3", len(owners))
	}
	if c.Owner("{a}b") != c.Owner("a") {
		t.Error("keys with one tag have two owners")
	}
	owner := c.Owner("foo")
	if _, err := owner.Do("GET", owners[other(owners, owner)]); err == nil || !strings.Contains(err.Error(), "MOVED") {
		t.Errorf("another master's key: got %v, want MOVED", err)
	}
	owner.Restart()
	eventually(t, owner, "value", "GET", "foo")
	if c.Owner("foo") != owner {
		t.Error("a restarted master has lost its slots")
	}
}

// other is any owner but one.
func other(owners map[*redistest.Server]string, but *redistest.Server) *redistest.Server {
	for owner := range owners {
		if owner != but {
			return owner
		}
	}
	return nil
}

func TestClusterSwitchesToAReplica(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	for name, fail := range map[string]func(*redistest.Server){"killed": (*redistest.Server).Kill, "paused": (*redistest.Server).Pause} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := redistest.StartCluster(t, 1)
			owner := c.Owner("key")
			want(t, owner, "OK", "SET", "key", "value")
			c.WaitReplicas()
			began := time.Now()
			fail(owner)
			heir := c.Owner("key")
			t.Logf("another owner after %s", time.Since(began))
			if heir == owner {
				t.Fatal("the owner is gone and still the owner")
			}
			want(t, heir, "value", "GET", "key")
			want(t, heir, "OK", "SET", "key", "newer")
			if name == "killed" {
				owner.Restart()
			} else {
				owner.Resume()
			}
			owner.WaitReplica() // comes back as the heir's replica
			if c.Owner("key") != heir {
				t.Error("the old owner took the key back")
			}
			c.WaitReplicas()
		})
	}
}
