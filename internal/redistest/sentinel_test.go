package redistest_test

import (
	"testing"

	"bellhop/internal/redistest"
)

func TestSentinelsSwitchToTheReplica(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	for _, test := range []struct {
		name    string
		options redistest.Options
		prefix  string
	}{
		{"plain", redistest.Options{Persistence: redistest.Always}, "redis://"},
		{"user and TLS", redistest.Options{User: "alice", Password: "secret", TLS: true}, "rediss://alice:secret@"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			master := redistest.Start(t, test.options)
			replica := redistest.Start(t, redistest.Options{ReplicaOf: master, Persistence: test.options.Persistence})
			s := redistest.StartSentinel(t, master, replica, "desk")
			a := s.Addrs()
			if want := test.prefix + a[0] + "," + a[1] + "," + a[2] + "/5?master=desk"; s.URL(5) != want {
				t.Errorf("URL: got %s, want %s", s.URL(5), want)
			}
			s.WaitMaster(master)
			want(t, master, "OK", "SET", "key", "value")
			replica.WaitReplica()

			s.Servers()[0].Kill() // two are still a quorum
			master.Kill()
			s.WaitMaster(replica)
			want(t, replica, "value", "GET", "key")
			want(t, replica, "OK", "SET", "key", "newer")

			s.Servers()[0].Restart()
			s.WaitMaster(replica)
			master.Restart() // comes back as the replica
			eventually(t, master, "newer", "GET", "key")
			master.WaitReplica()
		})
	}
}
