package browsertest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// desk is one run of "bellhop serve" with a data directory of its own.
type desk struct {
	t      *testing.T
	binary string
	dir    string
	url    string // how people reach it
	listen string // where it listens
	output lockedBuffer
	client *http.Client

	language string // of the programs that ask; "" for none
}

// wide is a limit that is counted against, as always, and never reached.
const wide = "1000000/1s"

var (
	greeting = regexp.MustCompile(`Sign up +(http://\S+)/createUser\n`)
	listens  = regexp.MustCompile(`Listens +(http://\S+)\n`)
)

// open starts the program and waits until it is ready. Limits are wide, forms
// can be sent at once and addresses can get many mails, unless the arguments
// say otherwise.
func open(t *testing.T, args ...string) *desk {
	t.Helper()
	if testing.Short() {
		t.Skip("starts the program and a browser")
	}
	if _, err := browserPath(); err != nil {
		t.Fatal(err)
	}
	binary, err := shipped()
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{t: t, binary: binary, dir: filepath.Join(t.TempDir(), "data"), client: &http.Client{Timeout: patience, Transport: &http.Transport{}}}
	command := slices.Concat([]string{"serve", "--listen", "127.0.0.1:0", "--data-dir", d.dir,
		"--limit-ip", wide, "--limit-total", wide, "--limit-address", wide,
		"--form-min", "0", "--mail-budget", "100/1ms", "--sign-in-budget", "100/1ms"}, args)
	cmd := exec.Command(binary, command...)
	cmd.Stdout, cmd.Stderr = &d.output, &d.output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		d.client.CloseIdleConnections()
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := <-ended; err != nil {
			t.Errorf("bellhop serve: %v", err)
		}
		if t.Failed() {
			t.Logf("bellhop serve said:\n%s", d.output.String())
		}
	})
	d.until("bellhop serve greets", d.greeted)
	return d
}

// greeted tells whether the program has said where it is, and notes it.
func (d *desk) greeted() bool {
	text := d.output.String()
	found := greeting.FindStringSubmatch(text)
	if found == nil {
		return false
	}
	d.url, d.listen = found[1], found[1]
	if found := listens.FindStringSubmatch(text); found != nil {
		d.listen = found[1]
	}
	return true
}

// until waits for something that gives no signal.
func (d *desk) until(what string, done func() bool) {
	d.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !done() {
		select {
		case <-tick.C:
		case <-deadline:
			d.t.Fatalf("waited in vain until %s", what)
		}
	}
}

// run runs another command of the program beside it.
func (d *desk) run(command string, args ...string) string {
	d.t.Helper()
	cmd := exec.Command(d.binary, slices.Concat([]string{command, "--data-dir", d.dir}, args)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		d.t.Fatalf("bellhop %s: %v\n%s", command, err, out)
	}
	return string(out)
}

// age makes all mails older than they are, in the store, so that nobody has to
// wait until another one can be asked for.
func (d *desk) age(by time.Duration) {
	d.t.Helper()
	d.store(sqlite.OpenReadWrite, func(conn *sqlite.Conn) error {
		return sqlitex.Execute(conn, "UPDATE mails SET created_at = created_at - ?", &sqlitex.ExecOptions{Args: []any{by.Milliseconds()}})
	})
}

// store opens the store's database beside the program.
func (d *desk) store(flags sqlite.OpenFlags, use func(*sqlite.Conn) error) {
	d.t.Helper()
	conn, err := sqlite.OpenConn(filepath.Join(d.dir, "store.db"), flags)
	if err != nil {
		d.t.Fatal(err)
	}
	defer conn.Close()
	if err := use(conn); err != nil {
		d.t.Fatal(err)
	}
}

// A message is a mail in the mailbox.
type message struct{ ID, To, Subject, Text, HTML string }

var (
	anyLink = regexp.MustCompile(`https?://[^\s"'<>]+`)
	sixth   = regexp.MustCompile(`(?m)^\d{6}$`)
)

// link is where the mail's button leads.
func (m message) link(t *testing.T) string {
	t.Helper()
	for _, link := range anyLink.FindAllString(m.Text, -1) {
		if strings.Contains(link, "/confirm/") || strings.Contains(link, "/signIn/") {
			return link
		}
	}
	t.Fatalf("no link in:\n%s", m.Text)
	return ""
}

func (m message) code(t *testing.T) string {
	t.Helper()
	code := sixth.FindString(m.Text)
	if code == "" {
		t.Fatalf("no code in:\n%s", m.Text)
	}
	return code
}

// mails are those that an address has got, newest first.
func (d *desk) mails(to string) []message {
	d.t.Helper()
	var all []message
	d.get("/mailbox/messages", &all)
	return slices.DeleteFunc(all, func(m message) bool { return to != "" && m.To != to })
}

// mail waits until an address has got so many mails and returns the newest.
func (d *desk) mail(to string, n int) message {
	d.t.Helper()
	var got []message
	d.until(fmt.Sprintf("%d mails came to %s", n, to), func() bool {
		got = d.mails(to)
		return len(got) >= n
	})
	return got[0]
}

func (d *desk) get(path string, into any) {
	d.t.Helper()
	resp, err := d.client.Get(d.listen + path)
	if err != nil {
		d.t.Fatal(err)
	}
	d.decode(resp, http.StatusOK, into)
}

// post sends JSON, as a program does, with a bearer token unless it is "".
func (d *desk) post(path, bearer string, body map[string]string, status int, into any) {
	d.t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		d.t.Fatal(err)
	}
	req, err := http.NewRequest(http.MethodPost, d.listen+path, strings.NewReader(string(raw)))
	if err != nil {
		d.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if d.language != "" {
		req.Header.Set("Accept-Language", d.language)
	}
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	resp, err := d.client.Do(req)
	if err != nil {
		d.t.Fatal(err)
	}
	d.decode(resp, status, into)
}

func (d *desk) decode(resp *http.Response, status int, into any) {
	d.t.Helper()
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	if resp.StatusCode != status {
		d.t.Fatalf("%s %s: %s, want %d\n%s", resp.Request.Method, resp.Request.URL.Path, resp.Status, status, body)
	}
	if into == nil {
		return
	}
	if err := json.Unmarshal(body, into); err != nil {
		d.t.Fatalf("%s %s: %v\n%s", resp.Request.Method, resp.Request.URL.Path, err, body)
	}
}
