package enumerationtest

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"bellhop/internal/sidebyside"
)

// binary is the program, built once for all tests by TestMain.
func binary(dir string) string { return filepath.Join(dir, "bellhop") }

// atOnce is how many conversations are held side by side when nothing else is
// said: they wait for most of their time, until a mail's first seconds are over.
const atOnce = 16

var built string // the directory TestMain has built it in

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "enumerationtest-")
	if err != nil {
		panic(err)
	}
	built = dir
	if err := sidebyside.AtOnce(atOnce); err != nil {
		panic(err)
	}
	if out, err := exec.Command("go", "build", "-o", binary(dir), "bellhop/cmd/bellhop").CombinedOutput(); err != nil {
		panic("go build: " + err.Error() + "\n" + string(out))
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// program is one run of "bellhop serve".
type program struct {
	url  string // without a slash at its end
	stop func()
}

var greeting = regexp.MustCompile(`(?m)^ +Sign up +(http://\S+)/createUser`)

// serve starts the program without limits per client, since all comes from one
// here, and with forms that may be sent at once.
func serve(t *testing.T, args ...string) *program {
	t.Helper()
	args = append([]string{"serve", "--listen", "127.0.0.1:0", "--limit-ip", "off", "--limit-total", "off", "--form-min", "0s"}, args...)
	cmd := exec.Command(binary(built), args...)
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = in, in
	err = cmd.Start()
	in.Close()
	if err != nil {
		t.Fatal(err)
	}
	said := make(chan string, 1)
	var all strings.Builder
	var reading sync.WaitGroup
	reading.Go(func() { read(out, &all, said) })
	var once sync.Once
	stop := func() {
		once.Do(func() {
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Errorf("bellhop has ended by itself: %v", err)
			}
			err := cmd.Wait()
			reading.Wait()
			if err != nil || t.Failed() {
				t.Logf("bellhop: %v; it said:\n%s", err, all.String())
			}
		})
	}
	t.Cleanup(stop)
	url, ok := <-said
	if !ok {
		t.Fatal("bellhop has not said where it listens")
	}
	return &program{url: url, stop: stop}
}

// read keeps all that the program prints, and tells where it listens.
func read(out *os.File, all *strings.Builder, said chan<- string) {
	defer close(said)
	defer out.Close()
	lines, told := bufio.NewScanner(out), false
	for lines.Scan() {
		all.WriteString(lines.Text() + "\n")
		if found := greeting.FindStringSubmatch(lines.Text()); found != nil && !told {
			told = true
			said <- found[1]
		}
	}
}
