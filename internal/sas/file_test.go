package sas_test

import (
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bellhop/internal/sas"
)

func TestOpenKeysMakesThemOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	// What a process left behind that was killed while it made the file.
	if err := os.WriteFile(path+".new", []byte("half"), 0o644); err != nil {
		t.Fatal(err)
	}
	first, err := sas.OpenKeys(path)
	if err != nil {
		t.Fatal(err)
	}
	again, err := sas.OpenKeys(path)
	if err != nil {
		t.Fatal(err)
	}
	if first.Root().Key != again.Root().Key || again.Root().Rights != sas.Manage {
		t.Error("the key changed")
	}
	if raw, err := base64.StdEncoding.DecodeString(first.Root().Key); err != nil || len(raw) != 32 {
		t.Errorf("the key is %d bytes, %v", len(raw), err)
	}
	other, err := sas.OpenKeys(filepath.Join(t.TempDir(), "keys.json"))
	if err != nil || other.Root().Key == first.Root().Key {
		t.Errorf("two files have one key, %v", err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
		t.Errorf("%v is there, %v", left, err)
	}
}

func TestOpenKeysRefusesAnExposedFile(t *testing.T) {
	for _, mode := range []os.FileMode{0o640, 0o604, 0o660, 0o620} {
		path := filepath.Join(t.TempDir(), "keys.json")
		if _, err := sas.OpenKeys(path); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := sas.OpenKeys(path); !errors.Is(err, sas.ErrExposed) || !strings.Contains(err.Error(), "chmod 600") {
			t.Errorf("%v: got %v", mode, err)
		}
	}
}

func TestOpenKeysReadsMoreRules(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	const text = `{"rules": [
	  {"name": "RootManageSharedAccessKey", "key": "0123456789abcdef", "rights": ["Manage"]},
	  {"name": "workers", "key": "fedcba9876543210", "rights": ["Listen", "Send"]}]}`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	keys, err := sas.OpenKeys(path)
	if err != nil {
		t.Fatal(err)
	}
	if grant, err := keys.Check("workers", "fedcba9876543210"); err != nil || grant.Rights != sas.Listen|sas.Send {
		t.Errorf("got %+v, %v", grant, err)
	}
}

func TestOpenKeysRefusesWhatItCannotRead(t *testing.T) {
	for text, want := range map[string]string{
		"":             `want {"rules"`,
		"{}":           "there is none",
		`{"keys": []}`: `want {"rules"`,
		`{"rules": [{"name": "a", "key": "hunter2hunter2hunter2", "rights": ["Sing"]}]}`: "Manage, Send or Listen",
		`{"rules": [{"name": "a", "key": "hunter2", "rights": ["Send"]}]}`:               "key of 16",
		`{"rules": []} {}`: "more behind it",
		`{"rules": [` + strings.Repeat(" ", 1<<20) + "]}": "at most",
	} {
		path := filepath.Join(t.TempDir(), "keys.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := sas.OpenKeys(path)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%.60q: want an error with %q, got %v", text, want, err)
		}
		if left, err := os.ReadFile(path); err != nil || string(left) != text {
			t.Errorf("%.60q: the file was changed, %v", text, err)
		}
	}
	if _, err := sas.OpenKeys(t.TempDir()); err == nil {
		t.Error("a directory passed")
	}
	if _, err := sas.OpenKeys(filepath.Join(t.TempDir(), "no", "keys.json")); err == nil {
		t.Error("a directory that is not there passed")
	}
}
