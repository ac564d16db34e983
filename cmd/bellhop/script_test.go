package main

import (
	"flag"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"bellhop/internal/porttest"
	"bellhop/internal/redistest"
	"bellhop/internal/sidebyside"

	"github.com/rogpeppe/go-internal/testscript"
)

// update rewrites the expectations inside the scripts: go test ./cmd/bellhop -update
var update = flag.Bool("update", false, "rewrite the files in scripts that cmp compares with output")

// patience is how long a script waits for something that must happen. Nothing
// is decided by how long it takes.
const patience = 60 * time.Second

// dontLinger spares every process a second at its end, where the race detector
// waits for races of goroutines that are left.
const dontLinger = "atexit_sleep_ms=0"

// atOnce is how many scripts run side by side when nothing else is said: they
// wait for most of their time, for processes to be ready and locks to end.
const atOnce = 6

func TestMain(m *testing.M) {
	testscript.Main(tests{m}, map[string]func(){"bellhop": main, "sbclient": sbclient})
}

// tests are those of this package, when the binary is not called as a program.
type tests struct{ *testing.M }

func (m tests) Run() int {
	if err := sidebyside.AtOnce(atOnce); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	return m.M.Run()
}

// TestScripts drives the real program, as a process of its own, by the scripts
// in testdata. Beside testscript's own commands they have these:
//
//	serve [-name N] [KEY=VALUE...] [flags...]
//		starts "bellhop serve" on a free port of loopback, waits until it is
//		ready, and sets $URL to where people reach it ($URL_N with a name; to nothing
//		without the role web). Its data is in $WORK/data. What it said is there for
//		stdout and stderr. With ! it must end before it is ready.
//	bus [-name N] [KEY=VALUE...] [flags...]
//		the same for "bellhop bus", with its data in $WORK/bus. $BUS is its host and
//		port, $CONNECTION the connection string for clients, $SECURE that for TLS.
//	exec sbclient send CONNECTION QUEUE TEXT
//	exec sbclient receive CONNECTION QUEUE
//	exec sbclient queues CONNECTION
//		is a program with the official SDK for Go: it sends a message, takes one and
//		prints it, or prints the queues' names.
//	settings KEY=VALUE...
//		sets variables for all that follows, serve and await included.
//	signal [-name N] SIGNAL
//		sends TERM, INT, KILL, STOP or CONT to it.
//	says [-name N] PATTERN
//		waits until it has said that, on stdout or stderr.
//	end [-name N] [SIGNAL | none]
//		sends the signal (TERM), or none, waits for its end, and has its output for
//		stdout and stderr. It must exit with 0, or with ! with something else.
//	http METHOD URL [-H 'Name: value']... [-d BODY | -j name=value... | -f name=value... | -F name=value...] [-pad N] [-jar]
//		makes a request and has the whole answer for stdout: status line, headers,
//		body. -j makes a JSON object, -f a form, -F a multipart form; -pad adds N spaces at the end;
//		-jar is a browser: it keeps cookies and asks for HTML. Redirects are not
//		followed. With ! nothing must answer.
//	submit URL ACTION [-f name=value]...
//		does what a browser does: gets the page, fills in the form on it whose action
//		matches, sends it with all its fields, and has the answer for stdout as http has.
//	capture NAME PATTERN
//		sets $NAME to what the parentheses of the pattern find in what one of these
//		commands had last for stdout.
//	eventually URL PATTERN
//		asks for the URL until the answer's text matches, and has it for stdout.
//	await PATTERN ARG...
//		runs "bellhop ARG..." until its output matches, and has it for stdout.
//	smtp start | stop | wait N
//		runs a mail server at $SMTP, the same address after a stop; waits until it
//		has accepted exactly N mails and has them for stdout.
//	smtp fault [-always] [-accept] STEP 'REPLY'|eof|rst|stall
//		answers each recipient once, or always, with that reply at connect, hello,
//		mail, rcpt, data, dot; or ends the connection, or says nothing more. With
//		-accept it takes the mail at the dot first. "smtp fault none" ends that.
//	smtp at STEP
//		waits until the fault is met.
//	redis [-name N] start [-sync always|everysec] [-password P] [-tls] [-of NAME] [LINE...]
//		runs a Redis at $REDIS, a URL with its password; $REDIS_ADDR is its host and
//		port, $REDIS_CA its certificates ($REDIS_N and so on with a name). It keeps
//		nothing on disk unless it is told to sync; -of makes it a replica of another;
//		each LINE is one more of its redis.conf.
//	redis [-name N] kill | restart | pause | resume | do ARG...
//		ends it at once, starts it again at the same address with what it kept,
//		makes it hang, and has its answer to a command for stdout.
//	follow FILE
//		does what the console blocks of a document in $DOCS say, in one shell, and
//		looks whether what they show comes of it; … stands for anything.
//	sql FILE STATEMENT
//		changes a database file behind Bellhop's back.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       *update,
		Setup:               setup,
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"serve":      serve,
			"bus":        bus,
			"settings":   settings,
			"signal":     sendSignal,
			"says":       says,
			"end":        end,
			"http":       request,
			"submit":     submit,
			"follow":     follow,
			"capture":    capture,
			"eventually": eventually,
			"await":      await,
			"smtp":       smtp,
			"redis":      redis,
			"sql":        execute,
		},
	})
}

// stage is what one script has running.
type stage struct {
	environ   []string
	processes map[string]*process
	browser   *http.Client
	mails     *mailServer
	redis     map[string]*redistest.Server
	t         testing.TB
	last      string // what a command had for stdout, for capture
}

type stageKey struct{}

func setup(env *testscript.Env) error {
	env.Setenv("BELLHOP_DATA_DIR", env.WorkDir+"/data")
	env.Setenv("BELLHOP_BUS_DATA_DIR", env.WorkDir+"/bus")
	env.Setenv("GORACE", dontLinger)
	docs, err := filepath.Abs("../../docs")
	if err != nil {
		return err
	}
	env.Setenv("DOCS", docs)
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	t := testOf(env)
	s := &stage{
		environ:   env.Vars,
		processes: map[string]*process{},
		browser:   &http.Client{Transport: &http.Transport{}, CheckRedirect: stay, Jar: jar, Timeout: patience},
		mails:     &mailServer{addr: porttest.Hold(t)},
		redis:     map[string]*redistest.Server{},
		t:         t,
	}
	env.Values[stageKey{}] = s
	env.Defer(func() {
		s.browser.CloseIdleConnections()
		for _, p := range s.processes {
			p.kill()
		}
		s.mails.stop()
	})
	return nil
}

func stageOf(ts *testscript.TestScript) *stage { return ts.Value(stageKey{}).(*stage) }

func settings(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: settings KEY=VALUE...")
	}
	s := stageOf(ts)
	for _, entry := range args {
		key, value, _ := strings.Cut(entry, "=")
		ts.Setenv(key, value)
	}
	s.environ = append(s.environ, args...) // the last one of a key counts
}

// show has a text for stdout and capture.
func (s *stage) show(ts *testscript.TestScript, text string) {
	s.last = text
	_, err := ts.Stdout().Write([]byte(text))
	ts.Check(err)
}

func capture(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: capture NAME PATTERN")
	}
	pattern, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	found := pattern.FindStringSubmatch(stageOf(ts).last)
	if len(found) != 2 {
		ts.Fatalf("%s with one group finds nothing in:\n%s", pattern, stageOf(ts).last)
	}
	ts.Setenv(args[0], found[1])
}

// until calls done again and again until it is true.
func until(ts *testscript.TestScript, what string, done func() bool) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(patience)
	for !done() {
		select {
		case <-tick.C:
		case <-limit:
			ts.Fatalf("after %v still waiting for %s", patience, what)
		}
	}
}
