package bench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
)

// connections is how many connections to the mail server are used at once,
// by Bellhop's default and by the bare loop.
const connections = 16

// Mail measures sign-ups together with their mails, beside a bare SMTP loop
// over the same number of connections: the rate, the time from the sign-up to
// the mail server's acceptance when nothing else happens, what an idle process
// does, and, if asked for, the same with many mails owed.
func Mail(ctx context.Context, o Options) error {
	s := newSheet()
	err := s.rounds(o, func(n int, dir string) error {
		if o.Redis == nil {
			return mailRound(ctx, o, n, dir, s)
		}
		return onRedis(ctx, o, dir, s, func(r *redisUnderTest, dir string) error {
			return mailRound(ctx, o, n, dir, s, "BELLHOP_STORE="+r.url, "BELLHOP_QUEUE=redis")
		})
	})
	if err != nil {
		return err
	}
	return s.print(o, fmt.Sprintf("mails%s over %d connections, %v each", o.where(), connections, o.For))
}

// mailRound is one round with the given settings of "bellhop serve".
func mailRound(ctx context.Context, o Options, n int, dir string, s *sheet, settings ...string) error {
	o.round(n, "bare SMTP loop")
	if err := measureLoop(ctx, o, s); err != nil {
		return fmt.Errorf("bare SMTP loop: %w", err)
	}
	o.round(n, "sign-ups and mails")
	if err := measureBoth(ctx, o, filepath.Join(dir, "both"), s, settings...); err != nil {
		return fmt.Errorf("sign-ups and mails: %w", err)
	}
	s.add("sign-ups and mails against the bare loop", "of its rate", s.last("sign-ups and mails")/s.last("bare SMTP loop"))
	o.round(n, "one at a time, and idle")
	if err := measureIdle(ctx, o, filepath.Join(dir, "idle"), s, settings...); err != nil {
		return fmt.Errorf("idle: %w", err)
	}
	if o.Owed == 0 {
		return nil
	}
	o.round(n, "with mails owed")
	if err := measureOwed(ctx, o, dir, s); err != nil {
		return fmt.Errorf("mails owed: %w", err)
	}
	return nil
}

// measureLoop sends mails of a confirm mail's size as fast as one can.
func measureLoop(ctx context.Context, o Options, s *sheet) error {
	sink, err := startChild(ctx, o, "sink")
	if err != nil {
		return err
	}
	defer sink.stop()
	var (
		workers sync.WaitGroup
		body    = make([]byte, 0, 4096)
		began   = time.Now()
		errs    = make(chan error, connections)
	)
	for range 50 {
		body = append(body, "A line of a mail, as long as lines of mails are said to be, and no longer.\r\n"...)
	}
	for range connections {
		workers.Go(func() { errs <- sendFor(sink.address, o.For, body) })
	}
	workers.Wait()
	took := time.Since(began)
	for range connections {
		err = errors.Join(err, <-errs)
	}
	if err != nil {
		return err
	}
	taken, err := sink.ask("count")
	s.add("bare SMTP loop", "mails/s", float64(taken)/took.Seconds())
	return err
}

func sendFor(address string, d time.Duration, body []byte) error {
	client, err := smtp.Dial(address)
	if err != nil {
		return err
	}
	defer client.Close()
	for began := time.Now(); time.Since(began) < d; {
		if err := client.Mail("hello@localhost", nil); err != nil {
			return err
		}
		if err := client.Rcpt("ada@example.com", nil); err != nil {
			return err
		}
		w, err := client.Data()
		if err != nil {
			return err
		}
		if _, err := w.Write(body); err != nil {
			return err
		}
		if err := w.Close(); err != nil {
			return err
		}
	}
	return client.Quit()
}

// startPair starts a mail server and a Bellhop that sends to it.
func startPair(ctx context.Context, o Options, dir string, settings ...string) (sink, serve *process, stop func(), err error) {
	if sink, err = startChild(ctx, o, "sink"); err != nil {
		return nil, nil, nil, err
	}
	if serve, err = startServe(ctx, o, dir, "smtp://"+sink.address, settings...); err != nil {
		sink.stop()
		return nil, nil, nil, err
	}
	return sink, serve, func() { serve.stop(); sink.stop() }, nil
}

// measureBoth signs people up as fast as it goes and waits for the last mail.
func measureBoth(ctx context.Context, o Options, dir string, s *sheet, settings ...string) error {
	sink, serve, stop, err := startPair(ctx, o, dir, settings...)
	if err != nil {
		return err
	}
	defer stop()
	before, err := serve.cpu()
	if err != nil {
		return err
	}
	began := time.Now()
	peak, err := closedLoop(ctx, o, serve, serve.address)
	if err != nil {
		return err
	}
	total := peak.done + int64(o.Workers)
	last, err := sink.ask(fmt.Sprintf("await %d", total))
	if err != nil {
		return err
	}
	after, err := serve.cpu()
	s.add("sign-ups and mails", "of both/s", float64(total)/time.Unix(0, last).Sub(began).Seconds())
	s.add("sign-up and mail, server CPU each", "µs", float64((after-before).Microseconds())/float64(total))
	s.add("memory of the server after both", "MB", serve.memory())
	return err
}

// oneAtATime is how many sign-ups measureIdle makes.
const oneAtATime = 100

// measureIdle signs people up one at a time, each after the last one's mail
// was taken, and then watches the process do nothing.
func measureIdle(ctx context.Context, o Options, dir string, s *sheet, settings ...string) error {
	sink, serve, stop, err := startPair(ctx, o, dir, settings...)
	if err != nil {
		return err
	}
	defer stop()
	times, err := signUpsOneByOne(ctx, serve, sink)
	if err != nil {
		return err
	}
	s.add("sign-up to accepted at idle, median", "ms", median(times))
	s.add("sign-up to accepted at idle, 99th percentile", "ms", times[len(times)*99/100])
	before, err := serve.cpu()
	if err != nil {
		return err
	}
	idle := time.NewTimer(o.For)
	defer idle.Stop()
	select {
	case <-idle.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	after, err := serve.cpu()
	s.add("idle process, CPU", "ms/s", float64((after-before).Milliseconds())/o.For.Seconds())
	return err
}
