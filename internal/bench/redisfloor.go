package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"golang.org/x/sys/unix"
)

// form is a sign-up as it comes in.
type form struct{ First, Last, Email string }

// pipelines write what a sign-up comes to in the store: the same keys, fields
// and values, in as few commands as that takes, and without a look at what is
// there. The callers of a moment share a pipeline.
type pipelines struct {
	node    *redis.Client
	calls   chan bareCall
	number  atomic.Int64 // of the mail, which the store's step gets from Redis
	workers sync.WaitGroup
}

type bareCall struct {
	form form
	done chan error
}

const (
	// bareConnections and bareGroup were the best of those tried: as many
	// pipelines at once, as many callers in one.
	bareConnections = 4
	bareGroup       = 256
)

func newPipelines(node *redis.Client) *pipelines {
	p := &pipelines{node: node, calls: make(chan bareCall, bareGroup)}
	for range bareConnections {
		p.workers.Go(p.work)
	}
	return p
}

// close waits for the calls that were made before it.
func (p *pipelines) close() {
	close(p.calls)
	p.workers.Wait()
}

// write returns when Redis has answered.
func (p *pipelines) write(f form) error {
	done := make(chan error, 1)
	p.calls <- bareCall{form: f, done: done}
	return <-done
}

func (p *pipelines) work() {
	group := make([]bareCall, 0, bareGroup)
	for first := range p.calls {
		runtime.Gosched() // more come for it meanwhile
		group = append(group[:0], first)
		for len(group) < bareGroup && len(p.calls) > 0 {
			if c, open := <-p.calls; open {
				group = append(group, c)
			}
		}
		err := p.flush(group)
		for _, c := range group {
			c.done <- err
		}
	}
}

func (p *pipelines) flush(group []bareCall) error {
	ctx := context.Background()
	pipe := p.node.Pipeline()
	for _, c := range group {
		if err := p.add(ctx, pipe, c.form); err != nil {
			return err
		}
	}
	_, err := pipe.Exec(ctx)
	return err
}

// add adds the writes of one sign-up.
func (p *pipelines) add(ctx context.Context, pipe redis.Pipeliner, f form) error {
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	subject, number := id.String(), fmt.Sprintf("%012d", p.number.Add(1))
	now := time.Now()
	at, keeps := now.UnixMilli(), (72 * time.Hour).Milliseconds()
	fingerprint := strings.ReplaceAll(uuid.NewString(), "-", "") // as long, and as evenly spread
	pipe.HSet(ctx, storeTag+":subject:"+subject, "first", f.First, "last", f.Last, "email", f.Email,
		"status", "pending", "accepted", now.Unix(), "fingerprint", fingerprint, "origin", fingerprint, "mail:sign-up.1", number)
	pipe.ZAdd(ctx, storeTag+":of:"+fingerprint, redis.Z{Score: float64(p.number.Load()), Member: subject})
	pipe.HIncrBy(ctx, storeTag+":counts", "signups", 1)
	pipe.XAdd(ctx, &redis.XAddArgs{Stream: storeTag + ":signups", Values: []string{"id", subject}})
	pipe.HIncrBy(ctx, storeTag+":counts", "accepted", 1)
	pipe.HSet(ctx, storeTag+":mail:"+number, "id", subject+".sign-up.1", "lane", "urgent", "created", at, "keeps", keeps,
		"state", "due", "gen", 1, "at", at, "expires", at+keeps)
	pipe.ZAdd(ctx, storeTag+":due:urgent", redis.Z{Score: float64(at), Member: number})
	pipe.ZAdd(ctx, storeTag+":expiring", redis.Z{Score: float64(at + keeps), Member: number})
	return nil
}

// measurePipelines measures the pipelines with o.Workers callers in this
// process.
func measurePipelines(ctx context.Context, o Options, r *redisUnderTest, s *sheet) error {
	redisBefore, err := r.cpu(ctx)
	if err != nil {
		return err
	}
	p := newPipelines(r.node)
	defer p.close()
	var (
		numbers signUpNumber
		workers sync.WaitGroup
		done    atomic.Int64
		before  = cpuOf(unix.RUSAGE_SELF)
		began   = time.Now()
		failed  = make(chan error, o.Workers)
	)
	for range o.Workers {
		workers.Go(func() {
			for time.Since(began) < o.For {
				if err := errors.Join(ctx.Err(), p.write(numbers.form())); err != nil {
					failed <- err
					return
				}
				done.Add(1)
			}
		})
	}
	workers.Wait()
	took, used := time.Since(began), cpuOf(unix.RUSAGE_SELF)-before
	select {
	case err := <-failed:
		return err
	default:
	}
	redisAfter, err := r.cpu(ctx)
	n := float64(done.Load())
	s.add("grouped pipelines", "writes/s", n/took.Seconds())
	s.add("grouped pipelines, client CPU each", "µs", float64(used.Microseconds())/n)
	s.add("grouped pipelines, Redis CPU each", "µs", float64((redisAfter-redisBefore).Microseconds())/n)
	return err
}

// writeOnNewConnection is the shape of the program Bellhop comes from: connect,
// one command after the other, close. The options are those of Bellhop's own
// connections, which shake hands in less than the library's do by default.
func writeOnNewConnection(ctx context.Context, options redis.Options, f form) error {
	client := redis.NewClient(&options)
	defer client.Close()
	key := storeTag + ":user:" + f.Email
	for _, field := range [][2]string{{"first", f.First}, {"last", f.Last}, {"email", f.Email}, {"status", "pending"}} {
		if err := client.HSet(ctx, key, field[0], field[1]).Err(); err != nil {
			return err
		}
	}
	return nil
}

// serveWrites runs one of the handlers that write to the Redis named on the
// first line of in.
func serveWrites(kind string, in *bufio.Reader, out io.Writer) error {
	url, err := in.ReadString('\n')
	if err != nil {
		return fmt.Errorf("read the URL of the Redis: %w", err)
	}
	r, err := openRedis(context.Background(), strings.TrimSpace(url))
	if err != nil {
		return err
	}
	defer r.close()
	if kind == "connections" {
		return serveBare(in, out, func(ctx context.Context, f form) error {
			return writeOnNewConnection(ctx, *r.node.Options(), f)
		})
	}
	p := newPipelines(r.node)
	defer p.close()
	return serveBare(in, out, func(_ context.Context, f form) error { return p.write(f) })
}
