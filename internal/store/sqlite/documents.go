package sqlite

import (
	"context"
	"fmt"
)

// SharedKey returns the secret of a name. The first caller's fresh bytes become
// the secret, on disk before it returns; everybody after gets those.
func (s *Store) SharedKey(ctx context.Context, name string, fresh []byte) (secret []byte, err error) {
	err = s.commit(ctx, func(t *tx) error {
		if _, err := t.exec("INSERT INTO keys (name, secret) VALUES (?, ?) ON CONFLICT DO NOTHING", name, fresh); err != nil {
			return err
		}
		_, err := query(t.conn, "SELECT secret FROM keys WHERE name = ?", func(r *row) error {
			secret = r.bytes()
			return nil
		}, name)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read shared key %s: %w", name, unavailable(err))
	}
	return secret, nil
}

// Document returns a small text that all processes share, and its version; nil
// and 0 if there is none.
func (s *Store) Document(ctx context.Context, name string) (value []byte, version int64, err error) {
	err = s.look(ctx, func(t *tx) error {
		_, err := query(t.conn, "SELECT value, version FROM documents WHERE name = ?", func(r *row) error {
			value, version = r.bytes(), r.int()
			return nil
		}, name)
		return err
	})
	if err != nil {
		return nil, 0, fmt.Errorf("read document %s: %w", name, unavailable(err))
	}
	return value, version, nil
}

// SetDocument replaces the version of a document that the caller has read, 0
// for none, by the next one, on disk before it returns. If that is not its
// version any more, nothing is changed and set is false.
func (s *Store) SetDocument(ctx context.Context, name string, value []byte, version int64) (set bool, err error) {
	err = s.commit(ctx, func(t *tx) error {
		sql, args := sqlReplaceDocument, []any{value, name, version}
		if version == 0 {
			sql, args = sqlFirstDocument, []any{name, value}
		}
		n, err := t.exec(sql, args...)
		set = n == 1
		return err
	})
	if err != nil {
		return false, fmt.Errorf("set document %s: %w", name, unavailable(err))
	}
	return set, nil
}

const (
	sqlFirstDocument   = "INSERT INTO documents (name, value, version) VALUES (?, ?, 1) ON CONFLICT DO NOTHING"
	sqlReplaceDocument = "UPDATE documents SET value = ?, version = version + 1 WHERE name = ? AND version = ?"
)
