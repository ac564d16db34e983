package mailbox_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"bellhop/internal/mail"
	"bellhop/internal/mail/mailbox"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB, dir string, keep int) *mailbox.Mailbox {
	t.Helper()
	m, err := mailbox.Open(dir, keep)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(context.Background()); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return m
}

func body(t testing.TB, n int) []byte {
	t.Helper()
	b, err := mail.Build(mail.Message{
		From: mail.From{Name: "Bellhop", Address: "hello@localhost"}, To: fmt.Sprintf("ana%d@example.com", n),
		Subject: fmt.Sprintf("Bitte bestätigen, %d", n), Date: time.Unix(0, 0), MessageID: fmt.Sprintf("<%d.1@localhost>", n),
		Text: fmt.Sprintf("Grüße %d\n", n), HTML: fmt.Sprintf("<p>Grüße %d</p>\n", n),
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func send(t testing.TB, m *mailbox.Mailbox, n int) {
	t.Helper()
	tx, refused := m.Begin(t.Context(), mail.Envelope{From: "hello@localhost", To: "ana@example.com"}, body(t, n))
	if refused != nil {
		t.Fatal(refused.Explain())
	}
	if o := tx.Commit(t.Context()); o.Class != mail.Accepted {
		t.Fatal(o.Explain())
	}
}

func TestKeepsMailsAsTheyWere(t *testing.T) {
	m := open(t, filepath.Join(t.TempDir(), "mailbox"), 0)
	before := time.Now()
	send(t, m, 1)
	send(t, m, 2)
	list := m.List()
	if len(list) != 2 || list[0].To != "ana2@example.com" || list[1].To != "ana1@example.com" {
		t.Fatalf("list %+v, want the newest first", list)
	}
	got, err := m.Get(list[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	if got.Subject != "Bitte bestätigen, 2" || got.MessageID != "<2.1@localhost>" || got.Text != "Grüße 2\n" || got.HTML != "<p>Grüße 2</p>\n" {
		t.Errorf("got %+v", got)
	}
	if string(got.Source) != string(body(t, 2)) {
		t.Error("the source is not what was sent")
	}
	if got.ReceivedAt.Before(before.Add(-time.Second)) || got.ReceivedAt.After(time.Now().Add(time.Second)) {
		t.Errorf("received at %v", got.ReceivedAt)
	}
}

func TestGetKnowsOnlyItsOwn(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "secret.eml"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	m := open(t, filepath.Join(dir, "mailbox"), 0)
	send(t, m, 1)
	for _, id := range []string{"", "..", "../secret", "secret", m.List()[0].ID + "/", strings.ToUpper(m.List()[0].ID) + "x"} {
		if _, err := m.Get(id); !errors.Is(err, mailbox.ErrNotFound) {
			t.Errorf("Get(%q): %v", id, err)
		}
	}
}

func TestKeepsTheNewestAcrossRestarts(t *testing.T) {
	dir := t.TempDir()
	first := open(t, dir, 5)
	for n := range 8 {
		send(t, first, n)
	}
	checkKept(t, dir, first, 7, 6, 5, 4, 3)
	if err := first.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	second := open(t, dir, 3)
	checkKept(t, dir, second, 7, 6, 5)
	send(t, second, 8)
	checkKept(t, dir, second, 8, 7, 6)
}

// checkKept compares the list, and the files behind it.
func checkKept(t *testing.T, dir string, m *mailbox.Mailbox, want ...int) {
	t.Helper()
	var got []int
	for _, s := range m.List() {
		n := -1
		if _, err := fmt.Sscanf(s.MessageID, "<%d.1@localhost>", &n); err != nil {
			t.Fatal(err)
		}
		got = append(got, n)
	}
	if !slices.Equal(got, want) {
		t.Errorf("kept %v, want %v", got, want)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != len(want) {
		t.Errorf("%d files for %d mails (%v)", len(files), len(want), err)
	}
}

// A crash between the writing and the naming of a file loses no accepted mail,
// and shows no half one.
func TestRecoversFromACrash(t *testing.T) {
	dir := t.TempDir()
	m := open(t, dir, 0)
	for n := range 3 {
		send(t, m, n)
	}
	list := m.List()
	path := func(i int, ending string) string { return filepath.Join(dir, list[i].ID+ending) }
	if err := os.Rename(path(0, ".eml"), path(0, ".part")); err != nil { // the new name was lost
		t.Fatal(err)
	}
	if err := os.Rename(path(1, ".eml"), path(1, ".part")); err != nil { // and here the content, too
		t.Fatal(err)
	}
	if err := os.Truncate(path(1, ".part"), 10); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "notes.txt"), []byte("somebody's own"), 0o600); err != nil {
		t.Fatal(err)
	}
	again := open(t, dir, 0)
	if got := again.List(); len(got) != 2 || got[0] != list[0] || got[1] != list[2] {
		t.Errorf("after the crash: %+v", got)
	}
	for name, want := range map[string]bool{list[0].ID + ".eml": true, list[1].ID + ".part": false, list[1].ID + ".eml": false, "notes.txt": true} {
		if _, err := os.Stat(filepath.Join(dir, name)); (err == nil) != want {
			t.Errorf("%s is there: %v, want %v", name, err == nil, want)
		}
	}
}

func TestConcurrentMails(t *testing.T) {
	m := open(t, t.TempDir(), 50)
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for n := range 20 {
				send(t, m, worker*100+n)
				m.List()
			}
		})
	}
	wg.Wait()
	list := m.List()
	if len(list) != 50 || !slices.IsSortedFunc(list, func(a, b mailbox.Summary) int { return strings.Compare(b.ID, a.ID) }) {
		t.Errorf("%d mails, or out of order", len(list))
	}
	for _, s := range list {
		if _, err := m.Get(s.ID); err != nil {
			t.Errorf("Get: %v", err)
		}
	}
}

// The mailbox keeps the contract of mail.Transport.
func TestTransactions(t *testing.T) {
	m := open(t, t.TempDir(), 0)
	begin := func(ctx context.Context) (mail.Transaction, *mail.Outcome) {
		return m.Begin(ctx, mail.Envelope{To: "ana@example.com"}, body(t, 1))
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, refused := begin(cancelled); refused == nil || refused.Reason != mail.ReasonCancelled {
		t.Errorf("begun under a cancelled context: %+v", refused)
	}
	tx, _ := begin(t.Context())
	tx.Abort()
	tx.Abort()
	if o := tx.Commit(t.Context()); o.Class != mail.Temporary || o.Reason != mail.ReasonCancelled {
		t.Errorf("commit after abort: %+v", o)
	}
	tx, _ = begin(t.Context())
	if o := tx.Commit(cancelled); o.Class != mail.Temporary || o.Reason != mail.ReasonCancelled {
		t.Errorf("commit under a cancelled context: %+v", o)
	}
	tx, _ = begin(t.Context())
	if err := m.Close(cancelled); !errors.Is(err, context.Canceled) {
		t.Errorf("Close with an open transaction: %v", err)
	}
	if len(m.List()) != 0 {
		t.Fatal("something was kept")
	}
	if o := tx.Commit(t.Context()); o.Class != mail.Accepted || len(m.List()) != 1 {
		t.Errorf("the open transaction: %+v", o)
	}
	if _, refused := begin(t.Context()); refused == nil || refused.Reason != mail.ReasonCancelled {
		t.Errorf("begun after Close: %+v", refused)
	}
}

func TestDiskFaultIsTemporary(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mailbox")
	m := open(t, dir, 0)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	tx, _ := m.Begin(t.Context(), mail.Envelope{To: "ana@example.com"}, body(t, 1))
	if o := tx.Commit(t.Context()); o.Class != mail.Temporary || !strings.Contains(o.Text, "no such file") {
		t.Errorf("%+v", o)
	}
	if len(m.List()) != 0 {
		t.Error("it is in the list")
	}
}

func BenchmarkCommit(b *testing.B) {
	m := open(b, b.TempDir(), 0)
	content := body(b, 1)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			tx, _ := m.Begin(b.Context(), mail.Envelope{}, content)
			if o := tx.Commit(b.Context()); o.Class != mail.Accepted {
				b.Error(o.Explain())
			}
		}
	})
}
