package app

import (
	"testing"

	"bellhop/internal/config"
	"bellhop/internal/mail/smtp"
)

// What the settings accept the client accepts, and the other way round: two
// readers of one URL must not disagree after the data was opened.
func TestSettingsAndClientAgreeOnURLs(t *testing.T) {
	in, err := config.Parse([]string{"serve"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg, accepted := in.Command.(*config.Serve), 0
	for _, url := range urls() {
		cfg.SMTP = config.NewSMTPURL(url)
		settings := cfg.Validate()
		_, client := smtp.ParseURL(url)
		if (settings == nil) != (client == nil) {
			t.Errorf("%s: the settings say %v, the client says %v", url, settings, client)
		}
		if client == nil {
			accepted++
		}
	}
	if total := len(urls()); accepted < 20 || total-accepted < 20 {
		t.Errorf("%d of %d are accepted: the list is lopsided", accepted, total)
	}
}

// urls is every scheme with every login, host, end and option.
func urls() (all []string) {
	for _, scheme := range []string{"smtp://", "SMTP://", "smtps://", "http://", "smtp:"} {
		for _, login := range []string{"", "@", "user@", "user:@", ":p@", "user:p@", "us%40er:p%3A@"} {
			for _, host := range []string{"", "localhost", "LOCALHOST", "127.0.0.1", "[::1]", "mail.example", "mail.example:25", "mail.example:0", "mail.example:65536", "mail.example:", "localhost:x"} {
				for _, end := range []string{"", "/", "//", "/x", "#x", "?", "?tls=none", "?tls=starttls", "?tls=implicit", "?tls=", "?tls=off", "?tls=none&tls=none", "?x=1", "?%zz", "/?tls=none"} {
					all = append(all, scheme+login+host+end)
				}
			}
		}
	}
	return all
}
