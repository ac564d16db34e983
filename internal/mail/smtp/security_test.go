package smtp_test

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bellhop/internal/mail"
	"bellhop/internal/mail/smtp"
	"bellhop/internal/mail/smtptest"
)

// certificate makes a certificate and a file to trust it by.
func certificate(t *testing.T, hosts ...string) (*tls.Config, string) {
	t.Helper()
	config, pem, err := smtptest.NewCertificate(hosts...)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, pem, 0o600); err != nil {
		t.Fatal(err)
	}
	return config, path
}

// A4.1, A4.2: mails travel over verified TLS, upgraded or from the first byte,
// and connections are kept all the same.
func TestTLS(t *testing.T) {
	for name, implicit := range map[string]bool{"starttls": false, "implicit": true} {
		t.Run(name, func(t *testing.T) {
			config, ca := certificate(t, "127.0.0.1")
			server := smtptest.Start(t, smtptest.Options{TLS: config, Implicit: implicit})
			client := newClient(t, server, func(c *smtp.Config) { c.CAFile = ca })
			for n := range 3 {
				mustAccept(t, client, n)
			}
			if server.Connections() != 1 || string(server.Mails()[2].Body) != string(body(2, 0)) {
				t.Errorf("%d connections, or another mail", server.Connections())
			}
		})
	}
}

// A4.1, A4.2, A4.3: whatever is wrong with TLS, nothing is sent, and it is the
// provider's fault.
func TestTLSFaultsSendNothing(t *testing.T) {
	good, ca := certificate(t, "127.0.0.1")
	other, otherCA := certificate(t, "mail.example.com")
	old := good.Clone()
	old.MinVersion, old.MaxVersion = tls.VersionTLS11, tls.VersionTLS11
	for name, tc := range map[string]struct {
		options smtptest.Options
		ca      string
		phase   mail.Phase
		says    string
	}{
		"no STARTTLS":           {smtptest.Options{}, ca, mail.PhaseTLS, "does not offer STARTTLS"},
		"STARTTLS refused":      {smtptest.Options{TLS: good, Script: smtptest.At(smtptest.StartTLS, smtptest.Fault{Reply: "454 4.7.0 not now"})}, ca, mail.PhaseTLS, "not now"},
		"unknown authority":     {smtptest.Options{TLS: good}, "", mail.PhaseTLS, "unknown authority"},
		"other authority":       {smtptest.Options{TLS: good}, otherCA, mail.PhaseTLS, "unknown authority"},
		"another host's":        {smtptest.Options{TLS: other}, otherCA, mail.PhaseTLS, "127.0.0.1"},
		"TLS 1.1":               {smtptest.Options{TLS: old}, ca, mail.PhaseTLS, "protocol version"},
		"implicit, not TLS":     {smtptest.Options{Implicit: false}, ca, mail.PhaseTLS, ""},
		"injected reply":        {smtptest.Options{TLS: good, Script: smtptest.At(smtptest.StartTLS, smtptest.Fault{Reply: "220 go on\r\n250 evil.example AUTH PLAIN"})}, ca, mail.PhaseTLS, "injecting"},
		"injected half a reply": {smtptest.Options{TLS: good, Script: smtptest.At(smtptest.StartTLS, smtptest.Fault{Reply: "220 go on\r\n250-evil.example"})}, ca, mail.PhaseTLS, "injecting"},
		"handshake stalls":      {smtptest.Options{TLS: good, Script: smtptest.At(smtptest.StartTLS, smtptest.Fault{Reply: "220 go on", Then: smtptest.EOF})}, ca, mail.PhaseTLS, "EOF"},
		"greeting refused":      {smtptest.Options{TLS: good, Script: smtptest.At(smtptest.Connect, smtptest.Fault{Reply: "554 5.3.2 closed"})}, ca, mail.PhaseGreeting, "closed"},
		"hello refused":         {smtptest.Options{TLS: good, Script: smtptest.At(smtptest.Hello, smtptest.Fault{Reply: "550 5.7.1 who"})}, ca, mail.PhaseHello, "who"},
	} {
		t.Run(name, func(t *testing.T) {
			server := smtptest.Start(t, tc.options)
			url := "smtp://" + server.Addr() + "?tls=starttls"
			if strings.HasPrefix(name, "implicit") {
				url = "smtps://" + server.Addr()
			}
			client := newClientURL(t, url, func(c *smtp.Config) { c.CAFile = tc.ca })
			o := send(t.Context(), client, 1)
			if o.Class != mail.ProviderDown || o.Phase != tc.phase || !strings.Contains(o.Text, tc.says) {
				t.Errorf("%v at %v: %s", o.Class, o.Phase, o.Text)
			}
			if server.Count() != 0 {
				t.Error("a mail was sent")
			}
		})
	}
}

// The name said with EHLO is the configured one, before and after STARTTLS.
func TestHelloName(t *testing.T) {
	config, ca := certificate(t, "127.0.0.1")
	server := smtptest.Start(t, smtptest.Options{TLS: config})
	relay, said := tap(t, server.Addr())
	client := newClientURL(t, "smtp://"+relay+"?tls=starttls", func(c *smtp.Config) { c.CAFile = ca })
	mustAccept(t, client, 1)
	if err := client.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if first := string(<-said); !strings.HasPrefix(first, "EHLO bellhop.test\r\nSTARTTLS\r\n") || strings.Contains(first, "MAIL") {
		t.Errorf("in clear was said %.60q", first)
	}
}

// tap passes one connection on to addr and tells what the client said.
func tap(t *testing.T, addr string) (string, <-chan []byte) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	said := make(chan []byte, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		said <- relayOne(t, listener, addr)
	}()
	t.Cleanup(func() { _ = listener.Close(); <-done })
	return listener.Addr().String(), said
}

func relayOne(t *testing.T, listener net.Listener, addr string) []byte {
	near, err := listener.Accept()
	if err != nil {
		t.Error(err)
		return nil
	}
	far, err := net.Dial("tcp", addr)
	if err != nil {
		t.Error(err)
		return nil
	}
	back := make(chan struct{})
	go func() {
		defer close(back)
		copyUntilEnd(near, far)
	}()
	said := copyUntilEnd(far, near)
	<-back
	return said
}

// copyUntilEnd copies, closes both, and returns what was copied.
func copyUntilEnd(to, from net.Conn) []byte {
	defer func() { _, _ = to.Close(), from.Close() }()
	var all []byte
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		all = append(all, buffer[:n]...)
		if _, werr := to.Write(buffer[:n]); err != nil || werr != nil {
			return all
		}
	}
}

// A4.4: PLAIN is preferred, LOGIN will do, anything else is the provider's
// fault, as is a wrong password, which is never shown.
func TestLogin(t *testing.T) {
	const password = "S3cret&<>hunter2"
	for name, tc := range map[string]struct {
		options smtptest.Options
		class   mail.Class
		says    string
	}{
		"plain":          {smtptest.Options{User: "ana", Password: password, Mechanisms: []string{"LOGIN", "PLAIN"}}, mail.Accepted, ""},
		"login":          {smtptest.Options{User: "ana", Password: password, Mechanisms: []string{"LOGIN"}}, mail.Accepted, ""},
		"wrong password": {smtptest.Options{User: "ana", Password: "other"}, mail.ProviderDown, "Authentication failed"},
		"only others":    {smtptest.Options{User: "ana", Password: password, Mechanisms: []string{"CRAM-MD5"}}, mail.ProviderDown, "neither AUTH PLAIN nor AUTH LOGIN"},
		"none offered":   {smtptest.Options{}, mail.ProviderDown, "neither AUTH PLAIN nor AUTH LOGIN"},
		"later":          {smtptest.Options{User: "ana", Password: password, Script: smtptest.At(smtptest.Auth, smtptest.Fault{Reply: "454 4.7.0 later"})}, mail.ProviderDown, "later"},
	} {
		t.Run(name, func(t *testing.T) {
			config, ca := certificate(t, "127.0.0.1")
			tc.options.TLS, tc.options.Implicit = config, true
			server := smtptest.Start(t, tc.options)
			client := newClient(t, server, func(c *smtp.Config) {
				c.CAFile = ca
				c.Endpoint.User, c.Endpoint.Password = "ana", password
			})
			o := send(t.Context(), client, 1)
			if o.Class != tc.class || !strings.Contains(o.Text, tc.says) {
				t.Errorf("%v: %s", o.Class, o.Explain())
			}
			if o.Class == mail.ProviderDown && (o.Phase != mail.PhaseAuth || o.Reason != mail.ReasonAuth || server.Count() != 0) {
				t.Errorf("%+v", o)
			}
			if shown := fmt.Sprintf("%+v %#v %s %+v", o, o, o.Explain(), client); strings.Contains(shown, "hunter2") {
				t.Errorf("the password is in %s", shown)
			}
		})
	}
}

func TestParseURL(t *testing.T) {
	for in, want := range map[string]smtp.Endpoint{
		"smtp://mail.example.com":                      {Host: "mail.example.com", Port: "587", Security: smtp.STARTTLS},
		"smtp://u%40x:p%3Aw@mail.example.com:2525":     {Host: "mail.example.com", Port: "2525", Security: smtp.STARTTLS, User: "u@x", Password: "p:w"},
		"smtps://u:p@mail.example.com/":                {Host: "mail.example.com", Port: "465", Security: smtp.Implicit, User: "u", Password: "p"},
		"smtp://mail.example.com:465?tls=implicit":     {Host: "mail.example.com", Port: "465", Security: smtp.Implicit},
		"smtp://10.0.0.1:25?tls=none":                  {Host: "10.0.0.1", Port: "25", Security: smtp.None, ClearOnPurpose: true},
		"smtp://localhost:1025":                        {Host: "localhost", Port: "1025", Security: smtp.None},
		"smtp://[::1]:1025":                            {Host: "::1", Port: "1025", Security: smtp.None},
		"smtp://u:p@127.0.0.1:1025":                    {Host: "127.0.0.1", Port: "1025", Security: smtp.None, User: "u", Password: "p"},
		"smtp://127.0.0.1:1025?tls=starttls":           {Host: "127.0.0.1", Port: "1025", Security: smtp.STARTTLS},
		"smtp://u:p@localhost:1025?tls=none":           {Host: "localhost", Port: "1025", Security: smtp.None, ClearOnPurpose: true, User: "u", Password: "p"},
		"smtps://mail.example.com:465?tls=implicit":    {Host: "mail.example.com", Port: "465", Security: smtp.Implicit},
		"smtp://u:p@mail.example.com:587?tls=starttls": {Host: "mail.example.com", Port: "587", Security: smtp.STARTTLS, User: "u", Password: "p"},
	} {
		got, err := smtp.ParseURL(in)
		if err != nil || fmt.Sprint(fields(got)) != fmt.Sprint(fields(want)) {
			t.Errorf("ParseURL(%q) = %v, %v", in, fields(got), err)
		}
	}
}

// fields undoes the endpoint's modesty.
func fields(e smtp.Endpoint) []any {
	return []any{e.Host, e.Port, e.Security, e.ClearOnPurpose, e.User, e.Password}
}

// A4.1, A4.4, B7.3: what is refused, with a reason, without the password.
func TestParseURLRefuses(t *testing.T) {
	for in, says := range map[string]string{
		"":                                           "smtp://",
		"mail.example.com:587":                       "smtp",
		"http://hunter2@mail.example.com":            "smtp://",
		"smtp://u:hunter2%zz@mail.example.com":       "percent-encoded",
		"smtp://u:hunter2@mail.example.com:x":        "percent-encoded",
		"smtp://u:hunter2@mail.example.com:70000":    "port",
		"smtp://u:hunter2@":                          "no host",
		"smtp://hunter2@mail.example.com":            "both user and password",
		"smtp://:hunter2@mail.example.com":           "both user and password",
		"smtp://u:hunter2@mail.example.com/path":     "end after",
		"smtp://u:hunter2@mail.example.com#x":        "end after",
		"smtp://u:hunter2@mail.example.com?tls=off":  "must be starttls",
		"smtp://u:hunter2@mail.example.com?x=1":      "only one tls",
		"smtp://mail.example.com?tls=none&tls=none":  "only one tls",
		"smtps://mail.example.com?tls=none":          "from the first byte",
		"smtp://u:hunter2@mail.example.com?tls=none": "never sent without TLS",
		"smtp://u:hunter2@10.0.0.1:25?tls=none":      "never sent without TLS",
	} {
		_, err := smtp.ParseURL(in)
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("ParseURL(%q): %v, want %q", in, err, says)
		}
	}
}

// B7.3: an endpoint prints without its password, wherever it stands.
func TestEndpointHidesItsPassword(t *testing.T) {
	e, err := smtp.ParseURL("smtp://ana:hunter2@mail.example.com:587")
	if err != nil {
		t.Fatal(err)
	}
	config := smtp.Config{Endpoint: e}
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb+verb+verb+"\n", e, config, &config)
	}
	slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "e", e, "c", config)
	slog.New(slog.NewTextHandler(&out, nil)).Info("m", "e", e, "c", config)
	if err := json.NewEncoder(&out).Encode(config); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), "hunter2") || !strings.Contains(out.String(), "smtp://ana:xxxxx@mail.example.com:587?tls=starttls") {
		t.Errorf("printed as\n%s", out.String())
	}
}

func TestNewRefuses(t *testing.T) {
	local := smtp.Endpoint{Host: "127.0.0.1", Port: "25", Security: smtp.None}
	notPEM := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(notPEM, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, config := range map[string]smtp.Config{
		"no endpoint":       {},
		"clear to another":  {Endpoint: smtp.Endpoint{Host: "10.0.0.1", Port: "25", Security: smtp.None}},
		"login in clear":    {Endpoint: smtp.Endpoint{Host: "10.0.0.1", Port: "25", Security: smtp.None, ClearOnPurpose: true, User: "u", Password: "p"}},
		"negative":          {Endpoint: local, Connections: -1},
		"hello with a line": {Endpoint: local, Hello: "a\r\nMAIL FROM:<x>"},
		"missing CA file":   {Endpoint: local, CAFile: filepath.Join(t.TempDir(), "none.pem")},
		"CA file not PEM":   {Endpoint: local, CAFile: notPEM},
	} {
		if _, err := smtp.New(config); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// A server that cannot be reached is the provider's fault.
func TestUnreachable(t *testing.T) {
	server := smtptest.Start(t, smtptest.Options{})
	client := newClient(t, server, nil)
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	if o := send(t.Context(), client, 1); o.Class != mail.ProviderDown || o.Phase != mail.PhaseDial || o.Reason != mail.ReasonUnreachable || o.CountsAttempt() {
		t.Errorf("%+v", o)
	}
}
