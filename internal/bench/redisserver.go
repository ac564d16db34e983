package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"bellhop/internal/onboarding"
	"bellhop/internal/redisdb"

	"github.com/redis/go-redis/v9"
)

// storeTag begins the keys of Bellhop's store, and those of the bare writes.
const storeTag = "{bellhop}"

// startRedis starts a redis-server with an append-only file in a new directory.
// It does not rewrite the file: whether a measurement is long enough for that
// would decide its result.
func startRedis(ctx context.Context, dir, appendfsync string) (*process, error) {
	program, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, errors.New("there is no redis-server in PATH to measure with; install it, or name a Redis whose database is empty with --store redis://host:6379/0")
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	address, err := closedPort()
	if err != nil {
		return nil, err
	}
	host, port, _ := strings.Cut(address, ":")
	p := &process{address: address}
	p.cmd = exec.CommandContext(ctx, program, "--bind", host, "--port", port, "--logfile", "redis.log",
		"--appendonly", "yes", "--appendfsync", appendfsync, "--auto-aof-rewrite-percentage", "0", "--save", "")
	p.cmd.Dir = dir
	r, err := openRedis(ctx, p.url())
	if err != nil {
		return nil, err
	}
	defer r.close()
	if err := p.run(ctx, func() bool { return r.node.Ping(ctx).Err() == nil }); err != nil {
		text, _ := os.ReadFile(filepath.Join(dir, "redis.log"))
		return nil, fmt.Errorf("start redis-server: %w\n%s", err, text)
	}
	return p, nil
}

// url is the address of a redis-server of our own.
func (p *process) url() string { return "redis://" + p.address + "/0" }

// redisUnderTest is a Redis, and a way to it that is not measured.
type redisUnderTest struct {
	url    string
	client *redisdb.Client
	node   *redis.Client // holds the keys with storeTag
}

func openRedis(ctx context.Context, url string) (*redisUnderTest, error) {
	client, err := redisdb.Open(redisdb.Settings{URL: url})
	if err != nil {
		return nil, err
	}
	node, err := client.Tag(storeTag).Node(ctx)
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return &redisUnderTest{url: url, client: client, node: node}, nil
}

func (r *redisUnderTest) close() error { return r.client.Close() }

// wantEmpty refuses a database that holds anything: it would be measured too,
// and nobody could tell afterwards which keys are the measurement's.
func (r *redisUnderTest) wantEmpty(ctx context.Context) error {
	n, err := r.node.DBSize(ctx).Result()
	if err != nil {
		return fmt.Errorf("look into %s: %w", r.client.Settings(), err)
	}
	if n > 0 {
		return fmt.Errorf("%s holds %d keys, and measurements leave other people's keys alone: name an empty database, such as another number behind the host", r.client.Settings(), n)
	}
	return nil
}

// clean deletes what was measured, and nothing else.
func (r *redisUnderTest) clean(ctx context.Context) error {
	tags := []string{storeTag}
	for _, lane := range onboarding.Lanes() {
		tags = append(tags, "{"+lane.Queue()+"}")
	}
	for _, tag := range tags {
		node, err := r.client.Tag(tag).Node(ctx)
		if err == nil {
			err = cleanTag(ctx, node, tag)
		}
		if err != nil {
			return fmt.Errorf("clean up %s: %w", r.client.Settings(), err)
		}
	}
	return nil
}

func cleanTag(ctx context.Context, node *redis.Client, tag string) error {
	for cursor := uint64(0); ; {
		keys, next, err := node.Scan(ctx, cursor, tag+":*", 1000).Result()
		if err == nil && len(keys) > 0 {
			err = node.Unlink(ctx, keys...).Err()
		}
		if err != nil || next == 0 {
			return err
		}
		cursor = next
	}
}

// cpu is the CPU time the server has used.
func (r *redisUnderTest) cpu(ctx context.Context) (time.Duration, error) {
	info, err := r.node.Info(ctx, "cpu").Result()
	if err != nil {
		return 0, fmt.Errorf("ask for CPU times: %w", err)
	}
	var total float64
	for line := range strings.Lines(info) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if name == "used_cpu_sys" || name == "used_cpu_user" {
			seconds, err := strconv.ParseFloat(value, 64)
			if err != nil {
				return 0, fmt.Errorf("read %s: %w", name, err)
			}
			total += seconds
		}
	}
	return time.Duration(total * float64(time.Second)), nil
}
