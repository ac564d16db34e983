package sas_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"bellhop/internal/sas"
)

func TestParseConnectionString(t *testing.T) {
	for text, want := range map[string]sas.ConnectionString{
		"Endpoint=sb://localhost;SharedAccessKeyName=Root;SharedAccessKey=a+b/c=;UseDevelopmentEmulator=true;": {
			Endpoint: "sb://localhost", KeyName: "Root", Key: "a+b/c=", Emulator: true},
		"endpoint=SB://ns.servicebus.windows.net/;sharedaccesskeyname=Root;SHAREDACCESSKEY=k;EntityPath=orders": {
			Endpoint: "SB://ns.servicebus.windows.net/", KeyName: "Root", Key: "k", EntityPath: "orders"},
		" Endpoint = sb://127.0.0.1:5672 ; SharedAccessSignature=SharedAccessSignature sr=a&sig=b&se=1&skn=c;;TransportType=Amqp\n": {
			Endpoint: "sb://127.0.0.1:5672", Signature: "SharedAccessSignature sr=a&sig=b&se=1&skn=c"},
		"Endpoint=sb://[::1]:5672;SharedAccessKeyName=Root;SharedAccessKey=k;UseDevelopmentEmulator=F": {
			Endpoint: "sb://[::1]:5672", KeyName: "Root", Key: "k"},
	} {
		got, err := sas.ParseConnectionString(text)
		if err != nil || got != want {
			t.Errorf("%s:\ngot  %#v, %v\nwant %#v", text, got, err, want)
		}
		if again, err := sas.ParseConnectionString(got.String()); err != nil || again != got {
			t.Errorf("%s: written and read again: %#v, %v", text, again, err)
		}
	}
}

func TestConnectionStringFaults(t *testing.T) {
	const key = ";SharedAccessKeyName=Root;SharedAccessKey=hunter2secret"
	for text, want := range map[string]string{
		"":                                      "no Endpoint",
		"hunter2secret":                         "NAME=VALUE between the semicolons, and part 1 is not",
		key[1:]:                                 "no Endpoint",
		"Endpoint=https://a" + key:              "sb://HOST",
		"Endpoint=sb://" + key:                  "sb://HOST",
		"Endpoint=sb://a/queue" + key:           "sb://HOST",
		"Endpoint=sb://u:hunter2secret@a" + key: "sb://HOST",
		"Endpoint=sb://a":                       "got neither",
		"Endpoint=sb://a;SharedAccessKeyName=R": "got no key",
		"Endpoint=sb://a;SharedAccessKey=hunter2secret":              "got no name",
		"Endpoint=sb://a;SharedAccessSignature=hunter2secret" + key:  "got both",
		"Endpoint=sb://a" + key + key:                                "there twice",
		"Endpoint=sb://a" + key + ";UseDevelopmentEmulator=yes":      "true or false",
		"Endpoint=sb://a" + key + ";x=" + strings.Repeat("y", 1<<14): "at most",
	} {
		_, err := sas.ParseConnectionString(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80q: want an error with %q, got %v", text, want, err)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%.80q: the error tells the key: %v", text, err)
		}
	}
}

func TestConnectionStringAsTheSDKsTakeIt(t *testing.T) {
	c := sas.ConnectionString{Endpoint: "sb://127.0.0.1:5672", KeyName: sas.RootRule, Key: "k", Emulator: true}
	const want = "Endpoint=sb://127.0.0.1:5672;SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey=k;UseDevelopmentEmulator=true;"
	if c.String() != want || c.Host() != "127.0.0.1:5672" {
		t.Errorf("got %s, host %s", c.String(), c.Host())
	}
	if host := (sas.ConnectionString{Endpoint: "sb://\x00"}).Host(); host != "" {
		t.Errorf("got %q", host)
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("here", "bus", c)
	if strings.Contains(log.String(), "SharedAccessKey") || !strings.Contains(log.String(), "sb://127.0.0.1:5672") {
		t.Error(log.String())
	}
}
