package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
)

// Child runs one of the small servers that measurements need as processes of
// their own. "bare" is a Gin handler that decodes a sign-up and answers 202;
// "pipelines" and "connections" are the same handler, and before it answers they
// write to the Redis whose URL is the first line of in, either with what other
// requests write at that moment or on a connection that is made for it. "sink"
// is a mail server that takes everything. A child prints its address and then
// answers the lines it reads; it ends when in ends.
func Child(kind string, in io.Reader, out io.Writer) error {
	switch kind {
	case "bare":
		return serveBare(in, out, func(context.Context, form) error { return nil })
	case "pipelines", "connections":
		return serveWrites(kind, bufio.NewReader(in), out)
	case "sink":
		return serveSink(in, out)
	}
	return fmt.Errorf("no such child %q", kind)
}

// serveBare answers sign-ups when write has returned.
func serveBare(in io.Reader, out io.Writer, write func(context.Context, form) error) error {
	gin.SetMode(gin.ReleaseMode)
	router := gin.New()
	router.POST("/createUser", func(c *gin.Context) {
		var f form
		if err := json.NewDecoder(c.Request.Body).Decode(&f); err != nil {
			c.Status(http.StatusBadRequest)
			return
		}
		if err := write(c.Request.Context(), f); err != nil {
			c.String(http.StatusServiceUnavailable, err.Error())
			return
		}
		c.JSON(http.StatusAccepted, gin.H{"status": "pending"})
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: router}
	var serving sync.WaitGroup
	defer serving.Wait()
	defer server.Close()
	serving.Go(func() { _ = server.Serve(listener) })
	fmt.Fprintln(out, listener.Addr())
	_, err = io.Copy(io.Discard, in)
	return err
}

// process is a server under measurement.
type process struct {
	cmd     *exec.Cmd
	address string // HOST:PORT
	in      io.WriteCloser
	out     *bufio.Reader
	gone    chan struct{} // closed when it has ended, of one that was started by run
}

// startChild starts this program as a [Child], and gives it the lines to read.
func startChild(ctx context.Context, o Options, kind string, lines ...string) (*process, error) {
	p := &process{cmd: exec.CommandContext(ctx, o.Program, "bench", "child", kind)}
	p.cmd.Stderr = o.Progress
	in, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	p.in, p.out = in, bufio.NewReader(out)
	for _, line := range lines {
		fmt.Fprintln(in, line) // a child that cannot read it says nothing, either
	}
	if p.address, err = p.line(); err != nil {
		p.stop()
		return nil, fmt.Errorf("start %s: %w", kind, err)
	}
	return p, nil
}

// line reads one line of a child's answers.
func (p *process) line() (string, error) {
	text, err := p.out.ReadString('\n')
	return strings.TrimSpace(text), err
}

// ask sends a child a line and reads its answer, a number.
func (p *process) ask(line string) (int64, error) {
	if _, err := fmt.Fprintln(p.in, line); err != nil {
		return 0, err
	}
	text, err := p.line()
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(text, 10, 64)
}

// run starts a server that prints nothing to us, and waits until it is ready.
func (p *process) run(ctx context.Context, ready func() bool) error {
	if err := p.cmd.Start(); err != nil {
		return err
	}
	p.gone = make(chan struct{})
	go func() {
		defer close(p.gone)
		_ = p.cmd.Wait()
	}()
	err := p.until(ctx, ready)
	if err != nil {
		p.stop()
	}
	return err
}

func (p *process) until(ctx context.Context, ready func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ready() {
		select {
		case <-tick.C:
		case <-p.gone:
			return errors.New("the server ended before it was ready")
		case <-ctx.Done():
			return errors.New("the server was not ready in time")
		}
	}
	return nil
}

// stop ends the process and waits for it.
func (p *process) stop() {
	if p.in != nil {
		_ = p.in.Close()
	}
	_ = p.cmd.Process.Kill()
	if p.gone != nil {
		<-p.gone
		return
	}
	_ = p.cmd.Wait()
}

// closedPort is an address nobody listens on.
func closedPort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// startWithin is how long a server may take to be ready.
const startWithin = 5 * time.Minute

// wide is a limit that is counted against, as always, and never reached.
const wide = "1000000/1s"

// startServe starts "bellhop serve", with settings of the form NAME=value, and
// waits until it is ready.
func startServe(ctx context.Context, o Options, dir, smtp string, settings ...string) (*process, error) {
	address, err := closedPort()
	if err != nil {
		return nil, err
	}
	p := &process{address: address}
	p.cmd = exec.CommandContext(ctx, o.Program, "serve", "--listen", address, "--data-dir", dir, "--smtp", smtp)
	p.cmd.Env = append(append(withoutSettings(os.Environ()), "BELLHOP_DRAIN_TIMEOUT=1s", "BELLHOP_LIMIT_IP="+wide, "BELLHOP_LIMIT_TOTAL="+wide), settings...)
	log, err := os.Create(dir + ".log")
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.run(ctx, p.ready); err != nil {
		text, _ := os.ReadFile(dir + ".log")
		return nil, fmt.Errorf("%w\n%s", err, text)
	}
	return p, nil
}

// withoutSettings keeps the caller's settings out of the measurement.
func withoutSettings(environ []string) []string {
	var out []string
	for _, e := range environ {
		if !strings.HasPrefix(e, "BELLHOP_") && !strings.HasPrefix(e, "HTTP_PLATFORM_PORT=") {
			out = append(out, e)
		}
	}
	return out
}

// ready tells whether a "bellhop serve" is.
func (p *process) ready() bool {
	resp, err := http.Get("http://" + p.address + "/readyz")
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// ticksPerSecond is the unit of CPU times in /proc, on every Linux.
const ticksPerSecond = 100

// cpu is the CPU time the process has used.
func (p *process) cpu() (time.Duration, error) {
	raw, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.cmd.Process.Pid), "stat"))
	if err != nil {
		return 0, fmt.Errorf("CPU times are read from /proc: %w", err)
	}
	_, rest, ok := strings.Cut(string(raw), ") ")
	fields := strings.Fields(rest)
	if !ok || len(fields) < 13 {
		return 0, errors.New("/proc/PID/stat has another form than expected")
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * time.Second / ticksPerSecond, errors.Join(err1, err2)
}

// memory is the resident memory in MB, 0 if it cannot be read.
func (p *process) memory() float64 {
	raw, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.cmd.Process.Pid), "status"))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kb / 1000
		}
	}
	return 0
}
