package bench

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emersion/go-smtp"
)

// sink is a mail server that takes everything, counts it, and keeps nothing.
type sink struct {
	taken atomic.Int64
	mu    sync.Mutex
	grew  *sync.Cond
}

// serveSink runs a sink. It answers "count" with the number of mails taken,
// and "await N" with the time (in nanoseconds since 1970) at which it had
// taken N.
func serveSink(in io.Reader, out io.Writer) error {
	s := &sink{}
	s.grew = sync.NewCond(&s.mu)
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &sinkSession{s}, nil }))
	server.Domain = "localhost"
	server.ErrorLog = log.New(io.Discard, "", 0) // measured processes are killed with their connections open
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	var serving sync.WaitGroup
	defer serving.Wait()
	defer server.Close()
	serving.Go(func() { _ = server.Serve(listener) })
	fmt.Fprintln(out, listener.Addr())
	for lines := bufio.NewScanner(in); lines.Scan(); {
		if n, ok := strings.CutPrefix(lines.Text(), "await "); ok {
			want, err := strconv.ParseInt(n, 10, 64)
			if err != nil {
				return err
			}
			fmt.Fprintln(out, s.await(want).UnixNano())
			continue
		}
		fmt.Fprintln(out, s.taken.Load())
	}
	return nil
}

func (s *sink) await(n int64) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.taken.Load() < n {
		s.grew.Wait()
	}
	return time.Now()
}

type sinkSession struct{ sink *sink }

// Mail, Rcpt, Data, Reset and Logout implement [smtp.Session].
func (s *sinkSession) Mail(string, *smtp.MailOptions) error { return nil }

// Rcpt takes every recipient.
func (s *sinkSession) Rcpt(string, *smtp.RcptOptions) error { return nil }

// Data takes the mail and counts it.
func (s *sinkSession) Data(r io.Reader) error {
	if _, err := io.Copy(io.Discard, r); err != nil {
		return err
	}
	s.sink.mu.Lock()
	s.sink.taken.Add(1)
	s.sink.mu.Unlock()
	s.sink.grew.Broadcast()
	return nil
}

// Reset does nothing.
func (s *sinkSession) Reset() {}

// Logout does nothing.
func (s *sinkSession) Logout() error { return nil }
