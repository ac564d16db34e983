package redistest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// mend removes what a killed server wrote by halves from the end of the
// append-only file in its directory, if it keeps one.
//
// Redis does that itself when it starts, but not well (seen with 7.0.15): if
// the last write is a script's, which stands between MULTI and EXEC, and is cut
// off within one of its commands, Redis removes that command and leaves the
// MULTI. What it writes from then on belongs to that transaction, which never
// ends, and at the start after the next all of it is gone, synced or not.
func mend(dir string) error {
	manifest := filepath.Join("appendonlydir", "appendonly.aof.manifest")
	if _, err := os.Stat(filepath.Join(dir, manifest)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	server, err := exec.LookPath("redis-server")
	if err != nil {
		return err
	}
	cmd := exec.Command(filepath.Join(filepath.Dir(server), "redis-check-aof"), "--fix", manifest)
	cmd.Dir = dir
	cmd.Stdin = strings.NewReader("y\n") // it asks before it cuts anything off
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("mend the append-only file: %w\n%s", err, out)
	}
	return nil
}
