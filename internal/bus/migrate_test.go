package bus

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// A database from before properties were kept apart opens with everything in
// it: what had been set stays where it was, and the sizes are known.
func TestFirstSchemaIsMigrated(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bus.db")
	size := writeFirstSchema(t, path)
	b, err := Open(Options{Path: path, Now: func() time.Time { return time.UnixMilli(5000) }})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	ctx := t.Context()
	q, err := b.Queue(ctx, "q")
	if err != nil || q.Counts != (Counts{Active: 1, DeadLetter: 1}) || q.Settings.Status != StatusActive || !q.Accessed.IsZero() || q.SizeBytes != size {
		t.Errorf("want %d bytes, queue %+v, error %v", size, q, err)
	}
	got, err := b.Receive(ctx, "q", ReceiveOptions{})
	if err != nil || got[0].MessageID != "ä" || got[0].Amended != nil || len(got[0].Properties) != 1 || string(got[0].Body.Bytes) != "body" {
		t.Fatalf("received %+v, error %v", got, err)
	}
	if err := b.Complete(ctx, got[0].LockToken); err != nil {
		t.Fatal(err)
	}
	if err := b.Replay(ctx, "q", 1); err != nil {
		t.Fatal(err)
	}
	got, err = b.Receive(ctx, "q", ReceiveOptions{})
	if err != nil || got[0].Amended != nil || len(got[0].Properties) != 1 || got[0].Properties["kept"] != "yes" {
		t.Fatalf("replayed %+v, error %v", got, err)
	}
	if err := b.Complete(ctx, got[0].LockToken); err != nil {
		t.Fatal(err)
	}
	if q, err = b.Queue(ctx, "q"); err != nil || q.SizeBytes != 0 {
		t.Errorf("an empty queue has %d bytes (%v)", q.SizeBytes, err)
	}
}

// writeFirstSchema makes a queue with a message and a dead letter, and returns
// the size of both.
func writeFirstSchema(t *testing.T, path string) (size int64) {
	t.Helper()
	schema, err := os.ReadFile("migrations/0001_bus.sql")
	if err != nil {
		t.Fatal(err)
	}
	size = int64(len("ä\x01\x00body") + len("dead\x01\x00\xff\xff"))
	encoded := func(p Properties) string {
		buf, err := p.encode()
		if err != nil {
			t.Fatal(err)
		}
		size += int64(len(buf))
		return hex.EncodeToString(buf)
	}
	rows := fmt.Sprintf(`PRAGMA user_version = 1;
		INSERT INTO queue VALUES (1, 'q', 'q', 60000, 10, 0, 0, 0, 1000, 1000);
		INSERT INTO subqueue VALUES (1, 3, 1, 1, 0, 0), (-1, 2, 1, 1, 0, 0);
		INSERT INTO message VALUES (1, 'ä', x'0100', x'%s', 1, x'626f6479', x''), (2, 'dead', x'0100', x'%s', 1, x'', x'ffff');
		INSERT INTO entry VALUES (1, 0, 2, 1, 0, 0, 1000, NULL, NULL, NULL, NULL), (-1, 0, 1, 2, 3, 0, 1000, NULL, NULL, 1, 2000);`,
		encoded(Properties{"n": int64(1)}), encoded(Properties{"kept": "yes", DeadLetterReason: "Unwanted"}))
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadWrite, sqlite.OpenCreate)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(sqlitex.ExecuteScript(conn, string(schema)+rows, nil), conn.Close()); err != nil {
		t.Fatal(err)
	}
	return size
}
