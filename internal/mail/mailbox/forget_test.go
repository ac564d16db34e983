package mailbox_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"bellhop/internal/address"
	"bellhop/internal/mail"
	"bellhop/internal/mail/mailbox"
)

func addresses(t testing.TB, texts ...string) (out []address.Address) {
	t.Helper()
	for _, text := range texts {
		a, err := address.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, a)
	}
	return out
}

// begin begins a mail to somebody.
func begin(t testing.TB, m *mailbox.Mailbox, to string) mail.Transaction {
	t.Helper()
	b, err := mail.Build(mail.Message{
		From: mail.From{Name: "Bellhop", Address: "hello@localhost"}, To: to, Subject: "Hello", Date: time.Unix(0, 0),
		MessageID: "<1.1@localhost>", Text: "Hello\n", HTML: "<p>Hello</p>\n",
	})
	if err != nil {
		t.Fatal(err)
	}
	tx, refused := m.Begin(t.Context(), mail.Envelope{From: "hello@localhost", To: to}, b)
	if refused != nil {
		t.Fatal(refused.Explain())
	}
	return tx
}

func commit(t testing.TB, tx mail.Transaction) {
	t.Helper()
	if o := tx.Commit(t.Context()); o.Class != mail.Accepted {
		t.Fatal(o.Explain())
	}
}

// left is whom the files in a mailbox's directory are for.
func left(t testing.TB, dir string) (to []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, after, _ := strings.Cut(string(content), "\r\nTo: ")
		one, _, _ := strings.Cut(after, "\r\n")
		to = append(to, one)
	}
	return to
}

func want(t testing.TB, what string, got []string, want ...string) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// B7.7: an erased person's mails go, however the address was written, and stay
// away after a restart.
func TestForget(t *testing.T) {
	dir := t.TempDir()
	m := open(t, dir, 0)
	for _, to := range []string{"Ada@xn--bcher-kva.example", "ada@xn--bcher-kva.example", "ada@example.com", "bob@example.com"} {
		commit(t, begin(t, m, to))
	}
	if err := m.Forget(t.Context(), addresses(t, "ADA@Bücher.example", "nobody@example.com")); err != nil {
		t.Fatal(err)
	}
	want(t, "files", left(t, dir), "ada@example.com", "bob@example.com")
	if list := m.List(); len(list) != 2 || list[0].To != "bob@example.com" || list[1].To != "ada@example.com" {
		t.Errorf("list %+v", list)
	}
	if err := m.Forget(t.Context(), nil); err != nil || len(m.List()) != 2 {
		t.Errorf("forgetting nobody: %v, %d left", err, len(m.List()))
	}
	if again := open(t, dir, 0).List(); len(again) != 2 {
		t.Errorf("after a restart: %+v", again)
	}
}

// What was begun before does not stay, what is begun afterwards does: it is the
// mail of somebody who came back.
func TestForgetWhileUnderWay(t *testing.T) {
	dir := t.TempDir()
	m := open(t, dir, 0)
	before, other := begin(t, m, "ada@example.com"), begin(t, m, "bob@example.com")
	if err := m.Forget(t.Context(), addresses(t, "ada@example.com")); err != nil {
		t.Fatal(err)
	}
	if o := before.Commit(t.Context()); o.Class != mail.Temporary || o.Reason != mail.ReasonCancelled {
		t.Errorf("the mail under way: %+v", o)
	}
	want(t, "files", left(t, dir))
	commit(t, other)
	commit(t, begin(t, m, "ada@example.com"))
	want(t, "files", left(t, dir), "bob@example.com", "ada@example.com")
}

// However far a mail has come, it is gone when Forget returns.
func TestForgetWhileWriting(t *testing.T) {
	dir := t.TempDir()
	m := open(t, dir, 0)
	for range 200 {
		var transactions []mail.Transaction
		for range 8 {
			transactions = append(transactions, begin(t, m, "ada@example.com"))
		}
		var wg sync.WaitGroup
		for _, tx := range transactions {
			wg.Go(func() {
				if o := tx.Commit(t.Context()); o.Class != mail.Accepted && o.Reason != mail.ReasonCancelled {
					t.Error(o.Explain())
				}
			})
		}
		if err := m.Forget(t.Context(), addresses(t, "ada@example.com")); err != nil {
			t.Error(err)
		}
		want(t, "files when Forget has returned", left(t, dir))
		wg.Wait()
		want(t, "files when all have ended", left(t, dir))
		if list := m.List(); len(list) != 0 {
			t.Errorf("list %+v", list)
		}
	}
}

func TestForgetSaysWhatStays(t *testing.T) {
	dir := t.TempDir()
	m := open(t, dir, 0)
	commit(t, begin(t, m, "ada@example.com"))
	path := filepath.Join(dir, m.List()[0].ID+".eml")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(path, "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := m.Forget(context.Background(), addresses(t, "ada@example.com")); err == nil {
		t.Error("no error, and the file is there")
	}
}
