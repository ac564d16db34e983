package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"syscall"

	"bellhop/internal/config"
	"bellhop/internal/metrics"
	"bellhop/internal/onboarding"
	"bellhop/internal/redisdb"
	redisstore "bellhop/internal/store/redis"
)

// examined is one place where something is kept, and what was found there.
type examined struct {
	what     string // store or queue
	where    string
	findings []redisdb.Finding
}

// doctor is "bellhop doctor".
func (p Program) doctor(ctx context.Context, cfg *config.Doctor) (err error) {
	r, err := newRooms(&cfg.Data, onboarding.DefaultPolicy(), metrics.New(), slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	places, err := r.examine(ctx, cfg.RedisAllowEviction)
	for _, place := range places {
		fmt.Fprintf(p.Stdout, "%s: %s\n", place.what, place.where)
		for _, f := range place.findings {
			fmt.Fprintf(p.Stdout, "  %-8s %s\n", f.Level, f.Text)
		}
	}
	if err == nil && refusal(places) != nil {
		return errFindings
	}
	return err
}

// checkUp is what the doctor says at the start of a process: it is an error if
// something is refused, and warnings are logged.
func (h *house) checkUp(ctx context.Context) error {
	places, err := h.examine(ctx, h.cfg.RedisAllowEviction)
	if err != nil {
		return err
	}
	for _, place := range places {
		for _, f := range place.findings {
			if f.Level == redisdb.Warning {
				h.log.Warn("doctor: "+f.Text, "at", place.what)
			}
		}
	}
	return refusal(places)
}

// refusal is why a process must not start, nil if nothing speaks against it.
func refusal(places []examined) error {
	var errs []error
	for _, place := range places {
		for _, f := range place.findings {
			if f.Level == redisdb.Refused {
				errs = append(errs, fmt.Errorf("the %s cannot be used: %s", place.what, f.Text))
			}
		}
	}
	return errors.Join(errs...)
}

// examine finds out what a crash can lose, of the store first. On an error it
// returns what it found before.
func (r *rooms) examine(ctx context.Context, allowEviction bool) (places []examined, err error) {
	store := examined{what: "store", where: r.data.Store.String()}
	if r.redis.store == nil {
		store.where += " in " + r.data.DataDir
		store.findings = diskFindings(r.data.DataDir)
	} else if store.findings, err = ask(ctx, r.redis.store, r.data.RedisWait, allowEviction); err != nil {
		return nil, err
	}
	queue := examined{what: "queue", where: r.queuePlace()}
	switch {
	case r.serviceBus != nil:
		queue.findings = r.serviceBus.examine(ctx)
	case r.redis.queue == nil:
		queue.where += " in " + r.data.DataDir
		queue.findings = []redisdb.Finding{messagesReturn("a power cut")}
	case r.redis.queue == r.redis.store:
		queue.findings = []redisdb.Finding{messagesReturn("a crash")}
	default:
		found, err := ask(ctx, r.redis.queue, 0, allowEviction)
		if err != nil {
			return []examined{store}, err
		}
		queue.findings = append(refused(found), messagesReturn("a crash"))
	}
	return []examined{store, queue}, nil
}

// ask examines one Redis.
func ask(ctx context.Context, client *redisdb.Client, wait int, allowEviction bool) ([]redisdb.Finding, error) {
	facts, err := client.Tag(redisstore.Tag).Facts(ctx)
	if err != nil {
		return nil, err
	}
	found := redisdb.Diagnose(facts, wait, allowEviction)
	if facts.AOF {
		found = append(found, mendFirst())
	}
	return found, nil
}

// mendFirst says what is to be done before a Redis with an append-only file is
// started again after a crash: 7.0.15 does not see to it well by itself.
func mendFirst() redisdb.Finding {
	return redisdb.Finding{Level: redisdb.OK, Text: "After a kill or a power cut run redis-check-aof --fix on the append-only file before the server starts again: by itself Redis repairs by halves what was cut off in the midst of a script, and can lose what it writes after that."}
}

// refused is what matters of a Redis that carries messages only: whether it
// can be used at all.
func refused(found []redisdb.Finding) (left []redisdb.Finding) {
	for _, f := range found {
		if f.Level == redisdb.Refused {
			left = append(left, f)
		}
	}
	return left
}

func messagesReturn(from string) redisdb.Finding {
	return redisdb.Finding{Level: redisdb.OK, Text: "Messages carry no mail, only its number: what " + from + " takes is sent again from the store within a minute or two."}
}

// lowSpace is how little room on a disk is worth a warning, in bytes.
const lowSpace = 1 << 30

// diskFindings says what holds for the embedded store in a directory, which
// need not be there yet.
func diskFindings(dir string) []redisdb.Finding {
	found := []redisdb.Finding{{Level: redisdb.OK, Text: "What is answered is on disk (SQLite, synchronous FULL): neither a crash nor a power cut loses it, if the disk keeps what it says it has written."}}
	free, err := freeSpace(dir)
	switch {
	case err != nil:
		found = append(found, redisdb.Finding{Level: redisdb.Warning, Text: "The room on the disk cannot be told: " + err.Error() + "."})
	case free < lowSpace:
		found = append(found, redisdb.Finding{Level: redisdb.Warning, Text: fmt.Sprintf("Only %d MB are free on the disk of the data directory. When it is full, Bellhop ends rather than guess what was written, and starts again when there is room.", free>>20)})
	default:
		found = append(found, redisdb.Finding{Level: redisdb.OK, Text: fmt.Sprintf("%d MB are free on the disk of the data directory.", free>>20)})
	}
	return found
}

// freeSpace is how many bytes this user may still write below a path, of which
// only the beginning need be there.
func freeSpace(path string) (uint64, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return 0, err
	}
	var stat syscall.Statfs_t
	for err = syscall.Statfs(path, &stat); errors.Is(err, fs.ErrNotExist) && path != filepath.Dir(path); err = syscall.Statfs(path, &stat) {
		path = filepath.Dir(path)
	}
	return stat.Bavail * uint64(stat.Bsize), err
}
