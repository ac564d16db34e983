package main

import (
	"strings"
	"testing"

	"bellhop/internal/redistest"

	"github.com/rogpeppe/go-internal/testscript"
)

const redisUsage = "usage: redis [-name N] start [-sync always|everysec] [-password P] [-tls] [-of NAME] [LINE...] | kill | restart | pause | resume | do ARG..."

// redis runs the script's Redis servers.
func redis(ts *testscript.TestScript, neg bool, args []string) {
	name, args := named(args)
	s := stageOf(ts)
	server := s.redis[name]
	switch {
	case neg || len(args) == 0 || (server == nil) != (args[0] == "start"):
		ts.Fatalf(redisUsage)
	case args[0] == "start":
		server = redistest.Start(s.t, s.redisOptions(ts, args[1:]))
		s.redis[name] = server
		suffix := strings.TrimSuffix("_"+name, "_")
		ts.Setenv("REDIS"+suffix, server.URL(0))
		ts.Setenv("REDIS_ADDR"+suffix, server.Addr())
		ts.Setenv("REDIS_CA"+suffix, server.CAFile())
	case args[0] == "kill":
		server.Kill()
	case args[0] == "restart":
		server.Restart()
	case args[0] == "pause":
		server.Pause()
	case args[0] == "resume":
		server.Resume()
	case args[0] == "do":
		answer, err := server.Do(args[1:]...)
		ts.Check(err)
		s.show(ts, answer+"\n")
	default:
		ts.Fatalf(redisUsage)
	}
}

func (s *stage) redisOptions(ts *testscript.TestScript, args []string) (o redistest.Options) {
	for ; len(args) > 0 && strings.HasPrefix(args[0], "-"); args = args[1:] {
		switch {
		case args[0] == "-tls":
			o.TLS = true
			continue
		case len(args) == 1:
			ts.Fatalf(redisUsage)
		case args[0] == "-password":
			o.Password = args[1]
		case args[0] == "-of" && s.redis[args[1]] != nil:
			o.ReplicaOf = s.redis[args[1]]
		case args[0] == "-sync" && args[1] == "always":
			o.Persistence = redistest.Always
		case args[0] == "-sync" && args[1] == "everysec":
			o.Persistence = redistest.EverySec
		default:
			ts.Fatalf(redisUsage)
		}
		args = args[1:]
	}
	o.Config = args
	return o
}

// testOf is the test that runs a script: testscript's own T has a *testing.T
// inside.
func testOf(env *testscript.Env) testing.TB { return env.T().(testing.TB) }
