package redisdb

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// answer is an error reply, as go-redis has it.
type answer string

func (a answer) Error() string { return string(a) }

// RedisError says that the server said it.
func (a answer) RedisError() {}

func TestClassify(t *testing.T) {
	for _, c := range []struct {
		err         error
		unavailable bool
		moved       bool
	}{
		{answer("ERR user_script:1: wrong script: 5"), false, false},
		{answer("ERR Error running script, OOM is only mentioned"), false, false},
		{answer("WRONGTYPE Operation against a key holding the wrong kind of value"), false, false},
		{answer("BUSYGROUP Consumer Group name already exists"), false, false},
		{answer("GONE a word of a script's own"), false, false},
		{answer("NOSCRIPT No matching script. Please use EVAL."), true, false},
		{answer("LOADING Redis is loading the dataset in memory"), true, true},
		{answer("READONLY You can't write against a read only replica."), true, true},
		{answer("OOM command not allowed when used memory > 'maxmemory'."), true, false},
		{answer("MISCONF Errors writing to the AOF file: No space left on device"), true, false},
		{answer("BUSY Redis is busy running a script."), true, false},
		{answer("NOREPLICAS Not enough good replicas to write."), true, false},
		{answer("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."), true, true},
		{answer("UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)"), true, false},
		{answer("CLUSTERDOWN The cluster is down"), true, true},
		{answer("TRYAGAIN Multiple keys request during rehashing of slot"), true, false},
		{answer("MOVED 3999 127.0.0.1:6381"), true, true},
		{answer("ASK 3999 127.0.0.1:6381"), true, true},
		{answer("NOAUTH Authentication required."), true, false},
		{answer("WRONGPASS invalid username-password pair or user is disabled."), true, false},
		{answer("NOPERM this user has no permissions to run the 'eval' command"), true, false},
		{answer("ERR max number of clients reached"), true, false},
		{io.EOF, true, true},
		{io.ErrUnexpectedEOF, true, true},
		{net.ErrClosed, true, true},
		{os.ErrDeadlineExceeded, true, true},
		{&net.OpError{Op: "dial", Err: errors.New("connection refused")}, true, true},
		{redis.ErrPoolTimeout, true, true},
		{redis.ErrClosed, true, true},
		{errors.New("redis: all sentinels specified in configuration are unreachable"), true, true},
		{context.DeadlineExceeded, true, true},
		{context.Canceled, true, false},
	} {
		t.Run(c.err.Error(), func(t *testing.T) {
			got := classify(c.err)
			if errors.Is(got, ErrUnavailable) != c.unavailable || !errors.Is(got, c.err) {
				t.Errorf("classified as %v, want ErrUnavailable %v", got, c.unavailable)
			}
			if again := classify(got); again.Error() != got.Error() {
				t.Errorf("classified again: %v", again)
			}
			if strings.Count(got.Error(), c.err.Error()) != 1 {
				t.Errorf("%v does not hold the cause once", got)
			}
			if moved(c.err) != c.moved {
				t.Errorf("moved %v, want %v", moved(c.err), c.moved)
			}
		})
	}
	if err := classify(nil); err != nil {
		t.Errorf("no error is classified as %v", err)
	}
	if err := classify(redis.Nil); err != nil {
		t.Errorf("a nil reply is classified as %v", err)
	}
	if moved(nil) || moved(redis.Nil) {
		t.Error("no error, or a nil reply, means that keys have moved")
	}
	if !errors.Is(ErrReplicas, ErrUnavailable) || errors.Is(ErrClosed, ErrUnavailable) {
		t.Error("want ErrReplicas to be ErrUnavailable, and ErrClosed not")
	}
}
