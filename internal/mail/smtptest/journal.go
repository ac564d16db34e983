package smtptest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// journal is the log file. Callers that come together share one fsync.
type journal struct {
	noSync bool

	mu      sync.Mutex
	file    *os.File
	written int64 // records

	syncing sync.Mutex
	synced  int64 // records known to be on disk; guarded by syncing
}

func openJournal(path string, noSync bool) (*journal, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open mail log: %w", err)
	}
	return &journal{file: file, noSync: noSync}, nil
}

// append returns when m is in the file and, unless noSync, on disk.
func (j *journal) append(m Mail) error {
	line, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("write mail log: %w", err)
	}
	j.mu.Lock()
	_, err = j.file.Write(append(line, '\n'))
	j.written++
	mine := j.written
	j.mu.Unlock()
	if err != nil || j.noSync {
		return err
	}
	j.syncing.Lock()
	defer j.syncing.Unlock()
	if j.synced >= mine {
		return nil
	}
	j.mu.Lock()
	covered := j.written
	j.mu.Unlock()
	if err := j.file.Sync(); err != nil {
		return fmt.Errorf("sync mail log: %w", err)
	}
	j.synced = covered
	return nil
}

func (j *journal) close() error { return j.file.Close() }

// ReadLog reads the log of a server, of a running or a crashed one: a last
// line that was cut short is left out.
func ReadLog(path string) ([]Mail, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read mail log: %w", err)
	}
	defer func() { _ = file.Close() }()
	var mails []Mail
	lines := bufio.NewReader(file)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return mails, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read mail log: %w", err)
		}
		var m Mail
		if err := json.Unmarshal(bytes.TrimSpace(line), &m); err != nil {
			return nil, fmt.Errorf("read mail log, line %d: %w", len(mails)+1, err)
		}
		mails = append(mails, m)
	}
}
