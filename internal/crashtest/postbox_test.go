package crashtest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/quotedprintable"
	"os"
	"regexp"
	"strings"
	"sync"

	"bellhop/internal/mail/smtptest"
	"bellhop/internal/onboarding"
)

// postbox is where people find their mail: it reads the mail server's log as
// that grows.
type postbox struct {
	path string

	mu    sync.Mutex
	read  int64                        // how far
	links map[onboarding.MailID]string // the token of each mail's link
}

// link returns the token of the link in a mail, once that has come.
func (b *postbox) link(id onboarding.MailID) (token string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if token, ok := b.links[id]; ok {
		return token, nil
	}
	if err := b.fetch(); err != nil {
		return "", fmt.Errorf("read the mail server's log: %w", err)
	}
	return b.links[id], nil
}

// fetch reads what has come since the last time.
func (b *postbox) fetch() error {
	file, err := os.Open(b.path)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := file.Seek(b.read, io.SeekStart); err != nil {
		return err
	}
	for lines := bufio.NewReader(file); ; {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil // the rest of it is still to come
		}
		if err != nil {
			return err
		}
		b.read += int64(len(line))
		var m smtptest.Mail
		if err := json.Unmarshal(line, &m); err != nil {
			return err
		}
		if b.links[mailID(m)], err = tokenIn(m); err != nil {
			return err
		}
	}
}

// mailID is the id of a mail: the left side of its Message-ID.
func mailID(m smtptest.Mail) onboarding.MailID {
	id, _, _ := strings.Cut(strings.TrimPrefix(m.MessageID, "<"), "@")
	return onboarding.MailID(id)
}

var linkPattern = regexp.MustCompile(`http://bellhop\.test/(?:confirm|signIn)/([\w-]+)`)

// tokenIn is the token of the link in a mail, "" if there is none.
func tokenIn(m smtptest.Mail) (string, error) {
	text, err := io.ReadAll(quotedprintable.NewReader(bytes.NewReader(m.Body)))
	if err != nil {
		return "", fmt.Errorf("mail %s: %w", m.MessageID, err)
	}
	if found := linkPattern.FindSubmatch(text); found != nil {
		return string(found[1]), nil
	}
	return "", nil
}
