package clienttest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// bus is one run of "bellhop bus": what it prints for people to paste.
type bus struct {
	plain, secure string // connection strings
	certificate   string // the file that clients of secure must trust
}

// settings are a queue's in the emulator's Config.json.
type settings map[string]any

// startBus starts the real program in a directory of its own, with the given
// queues: those that have settings from a Config.json, the others by --queue.
func startBus(t *testing.T, queues map[string]settings) *bus {
	t.Helper()
	dir := t.TempDir()
	args := []string{"bus", "--listen", "127.0.0.1:0", "--data-dir", filepath.Join(dir, "data"), "--tls-self-signed",
		"--config", writeConfig(t, dir, queues)}
	for name, s := range queues {
		if s == nil {
			args = append(args, "--queue", name)
		}
	}
	cmd := exec.Command(build(t, dir), args...)
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = write, write
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	write.Close()
	greeted := make(chan *bus, 1)
	var output strings.Builder
	var reader sync.WaitGroup
	reader.Go(func() { listen(read, greeted, &output) })
	t.Cleanup(func() {
		stop(t, cmd)
		reader.Wait()
		if t.Failed() {
			t.Logf("bellhop bus said:\n%s", tail(output.String()))
		}
	})
	b, ok := <-greeted
	if !ok {
		t.Fatal("bellhop bus has not said where it listens")
	}
	return b
}

// The lines of the bus's greeting that clients need.
var greeting = regexp.MustCompile(`^ +(Connect|With TLS|Trust) +(\S+)$`)

// listen keeps all that the bus prints, and sends what it greets with to
// greeted, which is closed when the bus has ended.
func listen(output *os.File, greeted chan<- *bus, all *strings.Builder) {
	defer close(greeted)
	defer output.Close()
	said := map[string]string{}
	lines := bufio.NewScanner(output)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		fmt.Fprintln(all, lines.Text())
		found := greeting.FindStringSubmatch(lines.Text())
		if found == nil || len(said) == 3 {
			continue
		}
		if said[found[1]] = found[2]; len(said) == 3 {
			greeted <- &bus{plain: said["Connect"], secure: said["With TLS"], certificate: said["Trust"]}
		}
	}
}

// stop asks the bus to end, as an operator does, and expects it to end well.
func stop(t *testing.T, cmd *exec.Cmd) {
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Errorf("bellhop bus has ended by itself: %v", err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("bellhop bus: %v", err)
	}
}

// writeConfig writes a Config.json of the queues that have settings.
func writeConfig(t *testing.T, dir string, queues map[string]settings) string {
	t.Helper()
	type queue struct {
		Name       string
		Properties settings
	}
	listed := []queue{}
	for name, s := range queues {
		if s != nil {
			listed = append(listed, queue{name, s})
		}
	}
	config, err := json.Marshal(map[string]any{"UserConfig": map[string]any{
		"Namespaces": []any{map[string]any{"Name": "sbemulatorns", "Queues": listed, "Topics": []any{}}},
		"Logging":    map[string]any{"Type": "Console"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "Config.json")
	if err := os.WriteFile(path, config, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// build builds the program as it is shipped.
func build(t *testing.T, dir string) string {
	t.Helper()
	binary := filepath.Join(dir, "bellhop")
	if out, err := exec.Command("go", "build", "-o", binary, "bellhop/cmd/bellhop").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return binary
}

func tail(text string) string {
	const most = 10_000
	return text[max(0, len(text)-most):]
}
