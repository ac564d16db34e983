package redistest

import "fmt"

// Promote makes a replica a master of its own, for good: it stays one after a
// Restart.
func (s *Server) Promote() {
	s.t.Helper()
	s.must("REPLICAOF", "NO", "ONE")
	s.must("CONFIG", "REWRITE")
}

// WaitReplica waits until this server, which is a replica, has everything that
// its master had when it was called, on disk if it keeps anything there. (After
// the first copy Redis answers WAIT before its new append-only file is whole:
// a replica killed then starts empty.)
func (s *Server) WaitReplica() {
	s.t.Helper()
	what := "the replica at " + s.Addr()
	if err := await(what, s.copied); err != nil {
		s.t.Fatal(err)
	}
	master := address(number(field(s.must("INFO"), "master_port")))
	theirs, err := ask(master, s.login(), "INFO")
	if err != nil {
		s.t.Fatalf("ask the master at %s: %v", master, err)
	}
	want := number(field(theirs, "master_repl_offset"))
	err = await(what, func() error {
		info, err := s.Do("INFO")
		if err != nil {
			return err
		}
		if got := number(field(info, "slave_repl_offset")); got < want {
			return fmt.Errorf("it has %d of %d bytes", got, want)
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// copied is nil if the server is a replica that has its first copy, in memory
// and on disk.
func (s *Server) copied() error {
	if err := s.running().ended(); err != nil {
		return err
	}
	info, err := s.Do("INFO")
	if err != nil {
		return err
	}
	for _, state := range []struct{ name, want string }{
		{"role", "slave"}, {"master_link_status", "up"}, {"aof_rewrite_in_progress", "0"}, {"aof_rewrite_scheduled", "0"},
	} {
		if got := field(info, state.name); got != state.want {
			return fmt.Errorf("%s is %s, want %s", state.name, got, state.want)
		}
	}
	return nil
}
