package sas

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
)

// maxConnectionString is the most bytes a connection string may have: it may
// hold a token.
const maxConnectionString = 2 * maxToken

// ConnectionString is how a client is told where a bus is and who it is there.
// The zero value is not valid.
type ConnectionString struct {
	// Endpoint is sb://HOST[:PORT], with or without a slash at its end.
	Endpoint string
	// KeyName and Key are a rule's; both are "" with a Signature.
	KeyName, Key string
	// Signature is a token made beforehand, "" with a key.
	Signature string
	// EntityPath is the one queue it is for, "" for all.
	EntityPath string
	// Emulator tells the SDKs to connect without TLS.
	Emulator bool
}

// ParseConnectionString reads NAME=VALUE;NAME=VALUE... with the names in any
// case, as the SDKs for Service Bus take it. Names it does not know are ignored.
// Its errors say what was expected and repeat no value but the endpoint's.
func ParseConnectionString(text string) (ConnectionString, error) {
	c, err := readConnectionString(text)
	if err == nil {
		err = c.check()
	}
	if err != nil {
		return ConnectionString{}, fmt.Errorf("read the connection string: %w", err)
	}
	return c, nil
}

func readConnectionString(text string) (c ConnectionString, err error) {
	if len(text) > maxConnectionString {
		return c, fmt.Errorf("want at most %d bytes, got %d", maxConnectionString, len(text))
	}
	values := make(map[string]string)
	for i, part := range strings.Split(text, ";") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		name, value, found := strings.Cut(part, "=")
		name = strings.ToLower(strings.TrimSpace(name))
		if !found || name == "" {
			return c, fmt.Errorf("want NAME=VALUE between the semicolons, and part %d is not", i+1)
		}
		if _, twice := values[name]; twice {
			return c, fmt.Errorf("%.64q is there twice", name)
		}
		values[name] = strings.TrimSpace(value)
	}
	c = ConnectionString{
		Endpoint: values["endpoint"], KeyName: values["sharedaccesskeyname"], Key: values["sharedaccesskey"],
		Signature: values["sharedaccesssignature"], EntityPath: values["entitypath"],
	}
	if emulator := values["usedevelopmentemulator"]; emulator != "" {
		if c.Emulator, err = strconv.ParseBool(emulator); err != nil {
			return c, errors.New("want true or false for UseDevelopmentEmulator")
		}
	}
	return c, nil
}

func (c ConnectionString) check() error {
	if c.Endpoint == "" {
		return errors.New("it has no Endpoint; write Endpoint=sb://HOST")
	}
	if u, err := url.Parse(c.Endpoint); err != nil || !strings.EqualFold(u.Scheme, "sb") || u.Hostname() == "" || u.User != nil ||
		u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
		return errors.New("want Endpoint=sb://HOST, with or without a port, and nothing else there")
	}
	switch key := c.KeyName != "" || c.Key != ""; {
	case key && c.Signature != "":
		return errors.New("want either SharedAccessKeyName with SharedAccessKey, or SharedAccessSignature; got both")
	case !key && c.Signature == "":
		return errors.New("want SharedAccessKeyName with SharedAccessKey, or SharedAccessSignature; got neither")
	case key && c.KeyName == "":
		return errors.New("SharedAccessKey goes with SharedAccessKeyName; got no name")
	case key && c.Key == "":
		return errors.New("SharedAccessKeyName goes with SharedAccessKey; got no key")
	}
	return nil
}

// Host is the endpoint's HOST[:PORT], "" if there is none.
func (c ConnectionString) Host() string {
	u, err := url.Parse(c.Endpoint)
	if err != nil {
		return ""
	}
	return u.Host
}

// String is the connection string that clients take, key and all: keep it out
// of logs. A structured log shows only the endpoint.
func (c ConnectionString) String() string {
	var b strings.Builder
	for _, part := range [...]struct{ name, value string }{
		{"Endpoint", c.Endpoint},
		{"SharedAccessKeyName", c.KeyName},
		{"SharedAccessKey", c.Key},
		{"SharedAccessSignature", c.Signature},
		{"EntityPath", c.EntityPath},
	} {
		if part.value != "" {
			fmt.Fprintf(&b, "%s=%s;", part.name, part.value)
		}
	}
	if c.Emulator {
		b.WriteString("UseDevelopmentEmulator=true;") // JavaScript's SDK takes this spelling only
	}
	return b.String()
}

// LogValue is the endpoint alone.
func (c ConnectionString) LogValue() slog.Value { return slog.StringValue(c.Endpoint) }
