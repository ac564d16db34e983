package redisdb_test

import (
	"testing"

	"bellhop/internal/redisdb"
	"bellhop/internal/redistest"
)

// A server that refuses the connection has made no step, and says so in an
// answer to none of the pipeline's commands.
func TestRefusedConnectionIsNoReply(t *testing.T) {
	server := redistest.Start(t, redistest.Options{Password: "right"})
	for name, settings := range map[string]redisdb.Settings{
		"wrong password":    {URL: "redis://" + server.Addr(), Password: "wrong"},
		"unknown user":      {URL: "redis://nobody:right@" + server.Addr()},
		"no such database":  {URL: "redis://" + server.Addr() + "/5000", Password: "right"},
		"password not sent": {URL: "redis://" + server.Addr()},
	} {
		t.Run(name, func(t *testing.T) {
			client, err := redisdb.Open(settings)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			step := redisdb.NewScript("step", "#!lua\nreturn 1")
			for _, durability := range []redisdb.Durability{redisdb.Answered, redisdb.Replicated} {
				if reply, err := client.Tag("{bellhop}").Run(t.Context(), step, durability); err == nil {
					t.Errorf("Run = %v and no error", reply)
				}
			}
		})
	}
}
