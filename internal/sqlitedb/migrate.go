package sqlitedb

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// migrate applies the files whose number is above PRAGMA user_version.
func migrate(conn *sqlite.Conn, files fs.FS) error {
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return err
	}
	slices.Sort(names)
	have, err := sqlitex.ResultInt64(conn.Prep("PRAGMA user_version"))
	if err != nil {
		return err
	}
	// What a migration drops must not stay readable in the file.
	if err := sqlitex.ExecuteTransient(conn, "PRAGMA secure_delete = ON", nil); err != nil {
		return err
	}
	latest := int64(0)
	for _, name := range names {
		n, err := migrationNumber(name)
		if err != nil {
			return err
		}
		latest = max(latest, n)
		if n <= have {
			continue
		}
		if err := apply(conn, files, name, n); err != nil {
			return fmt.Errorf("migration %s: %w", name, err)
		}
	}
	if have > latest {
		return fmt.Errorf("the file has schema version %d, this program knows up to %d: use a newer bellhop", have, latest)
	}
	return sqlitex.ExecuteTransient(conn, "PRAGMA secure_delete = OFF", nil)
}

func migrationNumber(name string) (int64, error) {
	digits, _, _ := strings.Cut(path.Base(name), "_")
	n, err := strconv.ParseInt(digits, 10, 32)
	if err != nil || n <= 0 {
		return 0, fmt.Errorf("migration %q: want a name like 0001_first.sql", name)
	}
	return n, nil
}

func apply(conn *sqlite.Conn, files fs.FS, name string, n int64) (err error) {
	script, err := fs.ReadFile(files, name)
	if err != nil {
		return err
	}
	defer sqlitex.Transaction(conn)(&err)
	for rest := string(script); strings.TrimSpace(rest) != ""; {
		stmt, trailing, err := conn.PrepareTransient(rest)
		if err != nil {
			return err
		}
		rest = rest[len(rest)-trailing:]
		if stmt == nil {
			continue
		}
		_, err = stmt.Step()
		if ferr := stmt.Finalize(); err == nil {
			err = ferr
		}
		if err != nil {
			return err
		}
	}
	return sqlitex.ExecuteTransient(conn, fmt.Sprintf("PRAGMA user_version = %d", n), nil)
}
