package enumerationtest

import (
	"net/http"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"bellhop/internal/mail/smtptest"
	"bellhop/internal/porttest"
)

// I7: a mail that is kept back is done with at once, and one that is sent when
// the mail server has taken it. Nobody sees the difference, which would be
// whether the address had a mail lately.
func TestI7_WhatIsKeptBackTakesAsLong(t *testing.T) {
	server := smtptest.Start(t, smtptest.Options{Script: smtptest.At(smtptest.Dot, smtptest.Fault{Delay: time.Second})})
	p := serve(t, "--data-dir", t.TempDir(), "--smtp", server.URL(), "--mail-budget", "1/10m")
	fresh := new(addresses)
	known := fresh.next()
	visit(t, p).signUp(known)
	if err := server.WaitFor(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	for what, address := range map[string]string{"sent": fresh.next(), "kept back": known} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			v := visit(t, p)
			began := time.Now()
			v.signUp(address)
			said := v.course("handed-over")
			if took := time.Since(began); !slices.Equal(said, []string{"accepted", "handed-over"}) || took < 10*time.Second {
				t.Errorf("the status was %q after %v", said, took)
			}
		})
	}
}

// I7: nor does anybody see it while the mail server is away, or that a mail was
// called off because somebody left.
func TestI7_WhatIsKeptBackWaitsAsLong(t *testing.T) {
	data := []string{"--data-dir", filepath.Join(t.TempDir(), "data"), "--mail-budget", "1/10m", "--listen", porttest.Hold(t)}
	up := serve(t, data...)
	fresh := new(addresses)
	known, account := fresh.next(), fresh.next()
	other, owner := visit(t, up), visit(t, up)
	other.signUp(known)
	other.mailed(known)
	owner.confirm(account)
	up.stop()

	down := serve(t, append(data, "--smtp", "smtp://127.0.0.1:1?tls=none")...)
	owner.at = down
	sent, kept, called := visit(t, down), visit(t, down), visit(t, down)
	sent.signUp(fresh.next())
	kept.signUp(known)
	called.signUp(account)
	owner.want(owner.do("DELETE", "/me", "application/json", "", ""), http.StatusNoContent)
	all := map[string]*visitor{"sent": sent, "kept back": kept, "called off": called}
	for what, v := range all {
		if said := v.course("waiting"); slices.Contains(said, "handed-over") {
			t.Errorf("%s: the status was %q, and the mail server is away", what, said)
		}
	}
	down.stop()

	again := serve(t, data...)
	for what, v := range all {
		v.at = again
		if said := v.course("handed-over"); !slices.Equal(said, []string{"waiting", "handed-over"}) && !slices.Equal(said, []string{"handed-over"}) {
			t.Errorf("%s: the status was %q when the mail server was back", what, said)
		}
	}
}

// course is what the status of a pending session is, one after the other, until
// it is the last one or nothing can follow.
func (v *visitor) course(last string) (said []string) {
	v.Helper()
	v.eventually("/signup/status", func(a answer) bool {
		mail := v.field(a, "mail")
		if len(said) == 0 || said[len(said)-1] != mail {
			said = append(said, mail)
		}
		return mail == last || mail == "handed-over" || mail == "given-up"
	})
	return said
}
