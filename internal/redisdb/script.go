package redisdb

import (
	"crypto/sha1"
	"encoding/hex"
)

// Script is one step in Lua. It gets the tag as KEYS[1] and derives all its
// keys from that, so that they are on one node of a Cluster. It must begin with
// a "#!lua" line, whose flags say whether it writes and whether it may when the
// server is full: without flags a full server refuses it as a whole.
type Script struct {
	name, source, sha string
}

// NewScript makes a script. The name is for errors.
func NewScript(name, source string) *Script {
	sum := sha1.Sum([]byte(source)) // the name under which Redis keeps it
	return &Script{name: name, source: source, sha: hex.EncodeToString(sum[:])}
}

// fence is a write that even a full server takes. Waiting for it on a connection
// waits for everything before it on that server, whoever wrote that.
const fence = `#!lua flags=allow-oom
return redis.call('INCR', KEYS[1] .. ':fence')`
