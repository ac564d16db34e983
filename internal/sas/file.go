package sas

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"bellhop/internal/durable"
)

// maxFile is the most bytes a file of keys may have.
const maxFile = 1 << 20

// keyFile is the file's form.
type keyFile struct {
	Rules []ruleEntry `json:"rules"`
}

type ruleEntry struct {
	Name   string   `json:"name"`
	Key    string   `json:"key"`
	Rights []string `json:"rights"`
}

// OpenKeys reads the rules in the file at path. Where there is none it makes
// one with [RootRule] and a random key, which only its owner may read (0600);
// it is there completely or not at all, and on disk when OpenKeys returns. A
// file that others may read is refused with [ErrExposed]. Whoever calls holds
// the directory: two calls at once for a file that is not there are a race.
func OpenKeys(path string) (*Keys, error) {
	keys, err := readKeys(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return keys, err
	}
	keys = RandomKeys()
	if err := writeKeys(path, keys.Root()); err != nil {
		return nil, fmt.Errorf("make the file of keys: %w", err)
	}
	return keys, nil
}

func readKeys(path string) (*Keys, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the keys: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read the keys: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("%w in %s (mode %04o): run chmod 600 on it", ErrExposed, path, mode)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read the keys: %w", err)
	}
	keys, err := parseKeys(text)
	if err != nil {
		return nil, fmt.Errorf("read the keys in %s: %w; delete the file to have a new one made, with another key", path, err)
	}
	return keys, nil
}

// parseKeys reads a file's content. Its errors repeat no key.
func parseKeys(text []byte) (*Keys, error) {
	if len(text) > maxFile {
		return nil, fmt.Errorf("want at most %d bytes", maxFile)
	}
	var file keyFile
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&file); err != nil {
		return nil, fmt.Errorf(`want {"rules": [{"name": ..., "key": ..., "rights": [...]}]}: %w`, err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, errors.New("want one JSON object, and there is more behind it")
	}
	rules := make([]Rule, len(file.Rules))
	for i, entry := range file.Rules {
		rights, err := ParseRights(entry.Rights...)
		if err != nil {
			return nil, fmt.Errorf("rule %.64q: %w", entry.Name, err)
		}
		rules[i] = Rule{Name: entry.Name, Key: entry.Key, Rights: rights}
	}
	return NewKeys(rules...)
}

func writeKeys(path string, rules ...Rule) error {
	var file keyFile
	for _, r := range rules {
		file.Rules = append(file.Rules, ruleEntry{r.Name, r.Key, r.Rights.Names()})
	}
	text, err := json.MarshalIndent(file, "", "  ")
	if err != nil {
		return err
	}
	return durable.Replace(path, append(text, '\n'))
}
