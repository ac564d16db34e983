package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// process is a running "bellhop serve" or "bellhop bus".
type process struct {
	cmd      *exec.Cmd
	out, err output
	ended    chan struct{} // closed when it has ended
}

// output collects what a process writes.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{} // holds a token when something was written
}

func newOutput() output { return output{more: make(chan struct{}, 1)} }

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	select {
	case o.more <- struct{}{}:
	default:
	}
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// How the program says where it can be reached, and that it has said it all.
var (
	signUpPage = regexp.MustCompile(`Sign up +(http\S+)/createUser\n`)
	listens    = regexp.MustCompile(`Listens +(http://\S+)\n`) // where people see another address
	busAddress = regexp.MustCompile(`Listens +(\S+)\n`)
	busPlain   = regexp.MustCompile(`Connect +(\S+)\n`)
	busSecure  = regexp.MustCompile(`With TLS +(\S+)\n`)
)

func serve(ts *testscript.TestScript, neg bool, args []string) {
	name, args := named(args)
	p := begin(ts, neg, name, "serve", args)
	if !neg {
		url, _ := p.address()
		ts.Setenv(strings.TrimSuffix("URL_"+name, "_"), url)
	}
}

func bus(ts *testscript.TestScript, neg bool, args []string) {
	name, args := named(args)
	p := begin(ts, neg, name, "bus", args)
	if neg {
		return
	}
	for variable, pattern := range map[string]*regexp.Regexp{"BUS_": busAddress, "CONNECTION_": busPlain, "SECURE_": busSecure} {
		value := ""
		if found := pattern.FindStringSubmatch(p.out.String()); found != nil {
			value = found[1]
		}
		ts.Setenv(strings.TrimSuffix(variable+name, "_"), value)
	}
}

// begin starts a command, waits until it is ready, and has what it said; with
// neg it must end before.
func begin(ts *testscript.TestScript, neg bool, name, command string, args []string) *process {
	s := stageOf(ts)
	if old := s.processes[name]; old != nil && !old.over() {
		ts.Fatalf("a process of that name is running")
	}
	p := start(ts, s.environ, command, args)
	s.processes[name] = p
	ready := p.reached(ts)
	p.show(ts)
	switch {
	case neg && ready:
		ts.Fatalf("it started:\n%s", &p.out)
	case !neg && !ready:
		ts.Fatalf("it ended (%v) before it was ready", p.cmd.ProcessState)
	}
	return p
}

// start starts a command of the program with settings KEY=VALUE and flags.
func start(ts *testscript.TestScript, environ []string, command string, args []string) *process {
	flags := slices.IndexFunc(args, func(arg string) bool { return strings.HasPrefix(arg, "-") })
	if flags < 0 {
		flags = len(args)
	}
	environ = append(slices.Clip(environ), "BELLHOP_LISTEN=127.0.0.1:0")
	if command == "bus" { // serve would have one, too
		environ = append(environ, "BELLHOP_BUS_LISTEN=127.0.0.1:0")
	}
	program, err := exec.LookPath("bellhop")
	ts.Check(err)
	p := &process{out: newOutput(), err: newOutput(), ended: make(chan struct{})}
	p.cmd = exec.Command(program, append([]string{command}, args[flags:]...)...)
	p.cmd.Env = append(environ, args[:flags]...)
	p.cmd.Dir = ts.Getenv("WORK")
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.err
	ts.Check(p.cmd.Start())
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // ProcessState tells how it ended
	}()
	return p
}

// address is where a process of serve answers people, "" for nowhere, once it
// is ready.
func (p *process) address() (url string, ready bool) {
	greeting := p.out.String()
	for _, address := range []*regexp.Regexp{listens, signUpPage} {
		if found := address.FindStringSubmatch(greeting); found != nil {
			url = strings.Replace(found[1], "localhost", "127.0.0.1", 1)
			break
		}
	}
	return url, strings.Count(greeting, "\n\n") == 2
}

// reached waits until the process is ready, or until it has ended.
func (p *process) reached(ts *testscript.TestScript) (ready bool) {
	limit := time.After(patience)
	for {
		if _, ready := p.address(); ready {
			return true
		}
		select {
		case <-p.out.more:
		case <-p.ended:
			return false
		case <-limit:
			p.kill()
			ts.Fatalf("after %v it neither runs nor has ended; it said:\n%s%s", patience, &p.out, &p.err)
		}
	}
}

func (p *process) over() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

func (p *process) kill() {
	if !p.over() {
		_ = p.cmd.Process.Kill() // it may just have ended
	}
	<-p.ended
}

func (p *process) show(ts *testscript.TestScript) {
	stageOf(ts).show(ts, p.out.String())
	_, err := ts.Stderr().Write([]byte(p.err.String()))
	ts.Check(err)
}

func sendSignal(ts *testscript.TestScript, neg bool, args []string) {
	name, args := named(args)
	if neg || len(args) != 1 {
		ts.Fatalf("usage: signal [-name N] SIGNAL")
	}
	ts.Check(running(ts, name).cmd.Process.Signal(signalOf(ts, args[0])))
}

func says(ts *testscript.TestScript, neg bool, args []string) {
	name, args := named(args)
	if neg || len(args) != 1 {
		ts.Fatalf("usage: says [-name N] PATTERN")
	}
	p, pattern := running(ts, name), regexp.MustCompile("(?m)"+args[0])
	until(ts, args[0], func() bool { return pattern.MatchString(p.out.String()) || pattern.MatchString(p.err.String()) })
}

func end(ts *testscript.TestScript, neg bool, args []string) {
	name, args := named(args)
	p := running(ts, name)
	sig := "TERM"
	if len(args) > 0 {
		sig = args[0]
	}
	if sig != "none" {
		ts.Check(p.cmd.Process.Signal(signalOf(ts, sig)))
	}
	select {
	case <-p.ended:
	case <-time.After(patience):
		ts.Fatalf("%v after %s it still runs; it said:\n%s%s", patience, sig, &p.out, &p.err)
	}
	p.show(ts)
	if ok := p.cmd.ProcessState.Success(); ok == neg {
		ts.Fatalf("it ended with %v", p.cmd.ProcessState)
	}
}

func running(ts *testscript.TestScript, name string) *process {
	p := stageOf(ts).processes[name]
	if p == nil {
		ts.Fatalf("no process %q was started", name)
	}
	return p
}

func signalOf(ts *testscript.TestScript, name string) os.Signal {
	sig, ok := map[string]syscall.Signal{
		"TERM": syscall.SIGTERM, "INT": syscall.SIGINT, "KILL": syscall.SIGKILL,
		"STOP": syscall.SIGSTOP, "CONT": syscall.SIGCONT,
	}[name]
	if !ok {
		ts.Fatalf("unknown signal %q", name)
	}
	return sig
}

// named splits "-name N" from the front of the arguments.
func named(args []string) (name string, rest []string) {
	if len(args) > 1 && args[0] == "-name" {
		return args[1], args[2:]
	}
	return "", args
}

// await runs a command until it says something: on stdout with success, or where
// it is negated on stderr and without.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: [!] await PATTERN ARG...")
	}
	pattern, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	program, err := exec.LookPath("bellhop")
	ts.Check(err)
	what := "bellhop " + strings.Join(args[1:], " ")
	until(ts, pattern.String()+" in "+what, func() bool {
		cmd := exec.Command(program, args[1:]...)
		cmd.Dir, cmd.Env = ts.Getenv("WORK"), stageOf(ts).environ
		out, err := cmd.Output()
		if failed := (*exec.ExitError)(nil); errors.As(err, &failed) {
			out = failed.Stderr
		}
		if (err != nil) != neg || !pattern.Match(out) {
			return false
		}
		stageOf(ts).show(ts, string(out))
		return true
	})
}

// execute runs a statement on a database file, to do what Bellhop never would.
func execute(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: sql FILE STATEMENT")
	}
	conn, err := sqlite.OpenConn(ts.MkAbs(args[0]), sqlite.OpenReadWrite)
	ts.Check(err)
	err = sqlitex.ExecuteTransient(conn, args[1], nil)
	changes := conn.Changes()
	ts.Check(errors.Join(err, conn.Close()))
	if changes == 0 {
		ts.Fatalf("it changes nothing")
	}
}
