package enumerationtest

import (
	"fmt"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
)

// addresses makes addresses that nobody has used, all of one length.
type addresses struct {
	mu   sync.Mutex
	made int
}

func (a *addresses) next() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.made++
	return fmt.Sprintf("p%06d@example.com", a.made)
}

// overLimit is an address that was named more often than --limit-address lets,
// if that is up to six times.
const overLimit = "over the limit of its address"

// kinds are the addresses there are: each function makes one that is known in
// its way.
func kinds(fresh *addresses) map[string]func(t *testing.T, p *program) string {
	return map[string]func(t *testing.T, p *program) string{
		"new": func(*testing.T, *program) string { return fresh.next() },
		"pending, and over its budget where there is one": func(t *testing.T, p *program) string {
			address := fresh.next()
			v := visit(t, p)
			v.signUp(address)
			v.mailed(address)
			return address
		},
		"confirmed": func(t *testing.T, p *program) string {
			address := fresh.next()
			visit(t, p).confirm(address)
			return address
		},
		"erased": func(t *testing.T, p *program) string {
			address := fresh.next()
			v := visit(t, p)
			v.confirm(address)
			v.want(v.do("DELETE", "/me", "application/json", "", ""), http.StatusNoContent)
			return address
		},
		overLimit: func(t *testing.T, p *program) string {
			address := fresh.next()
			for range 6 {
				visit(t, p).signUp(address)
			}
			return address
		},
	}
}

// conversations are all that somebody may ask about an address, each with an
// address of its own.
func conversations() map[string]func(v *visitor, address string) []string {
	return map[string]func(v *visitor, address string) []string{
		"sign up by API": func(v *visitor, address string) []string {
			said := []string{v.seen("sign up", v.signUp(address), address)}
			return append(append(said, v.seen("status", v.settled(), address)), v.pending(address)...)
		},
		"sign up in a browser":   func(v *visitor, address string) []string { return v.browse(address, "") },
		"sign up as a robot":     func(v *visitor, address string) []string { return v.browse(address, "http://robot.example") },
		"sign in by API":         (*visitor).askByAPI,
		"sign in with a browser": (*visitor).askInBrowser,
	}
}

// pending is what a program with a pending session can ask.
func (v *visitor) pending(address string) []string {
	return []string{
		v.seen("resend", v.postJSON("/signup/resend", nil), address),
		v.seen("code", v.postJSON("/signup/code", map[string]string{"code": "000000"}), address),
		v.seen("home", v.getJSON("/"), address),
		v.seen("account", v.getJSON("/me"), address),
	}
}

func (v *visitor) browse(address, website string) []string {
	form := v.getPage("/createUser")
	fill := map[string]string{"first": "Ada", "email": address}
	if website != "" {
		fill["website"] = website
	}
	check := v.want(v.submit(form, "/createUser", fill), http.StatusAccepted)
	said := []string{v.seen("sign up", check, address)}
	v.eventually("/health", func(answer) bool { // a browser has no JSON; its page says when all is done
		page := v.getPage("/signup/status")
		return !refreshes(page)
	})
	page := v.getPage("/signup/status")
	return append(said,
		v.seen("status", page, address),
		v.seen("code", v.submit(page, "/signup/code", map[string]string{"code": "000000"}), address),
		v.seen("resend", v.do("POST", "/signup/resend", "text/html", "application/x-www-form-urlencoded", ""), address),
		v.seen("home", v.getPage("/"), address),
	)
}

// refreshes tells whether a page will ask again by itself.
func refreshes(page answer) bool {
	return page.header.Get("Refresh") != "" || metaRefresh.MatchString(page.body)
}

func (v *visitor) askByAPI(address string) []string {
	a := v.want(v.postJSON("/signIn", map[string]string{"email": address}), http.StatusAccepted)
	v.token = v.field(a, "token")
	return []string{
		v.seen("sign in", a, address),
		v.seen("code", v.postJSON("/signIn/code", map[string]string{"code": "000000"}), address),
	}
}

func (v *visitor) askInBrowser(address string) []string {
	check := v.want(v.submit(v.getPage("/signIn"), "/signIn", map[string]string{"email": address}), http.StatusAccepted)
	return []string{
		v.seen("sign in", check, address),
		v.seen("code", v.submit(check, "/signIn/code", map[string]string{"code": "000000"}), address),
	}
}

// B1.1, B1.6, B5.5, B5.6, I7: whatever is asked about an address, the answer is
// the same, byte by byte, for every kind of address.
func TestB1_1_EveryAddressGetsTheSameAnswers(t *testing.T) {
	for name, budget := range map[string]string{"one mail in ten minutes": "1/10m", "no budget": "off"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := serve(t, "--data-dir", t.TempDir(), "--limit-address", "5/1h", "--mail-budget", budget)
			fresh := new(addresses)
			for topic, talk := range conversations() {
				t.Run(topic, func(t *testing.T) {
					t.Parallel()
					compare(t, p, kinds(fresh), talk)
				})
			}
		})
	}
}

// compare holds one conversation with every kind of address, side by side.
func compare(t *testing.T, p *program, makers map[string]func(*testing.T, *program) string, talk func(*visitor, string) []string) {
	t.Helper()
	var mu sync.Mutex
	said := map[string][]string{}
	t.Run("kinds", func(t *testing.T) {
		for kind, address := range makers {
			t.Run(kind, func(t *testing.T) {
				t.Parallel()
				answers := talk(visit(t, p), address(t, p))
				mu.Lock()
				defer mu.Unlock()
				said[kind] = answers
			})
		}
	})
	for kind, answers := range said {
		same(t, kind, said["new"], answers)
	}
}

func same(t *testing.T, topic string, want, got []string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d answers, and a new address gets %d", topic, len(got), len(want))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%s is told apart:\n%s\n--- a new address gets\n%s", topic, got[i], want[i])
		}
	}
}

// B1.2, B1.4: somebody who signed up with another's address is told nothing when
// its owner confirms.
func TestB1_4_AStrangerSeesNoConfirmation(t *testing.T) {
	p := serve(t, "--data-dir", t.TempDir(), "--mail-budget", "off")
	fresh := new(addresses)
	owned, free := fresh.next(), fresh.next()
	stranger, other := visit(t, p), visit(t, p)
	stranger.signUp(owned)
	other.signUp(free)
	talk := func(v *visitor, address string) []string {
		return append([]string{v.seen("status", v.settled(), address)}, v.pending(address)...)
	}
	same(t, "the stranger before", talk(other, free), talk(stranger, owned))
	owner := visit(t, p)
	owner.confirm(owned)
	same(t, "the stranger, after the owner has confirmed", talk(other, free), talk(stranger, owned))
	owner.confirm(owned) // by another sign-up's link
	same(t, "the stranger, after the owner has come again", talk(other, free), talk(stranger, owned))
	owner.want(owner.do("DELETE", "/me", "application/json", "", ""), http.StatusNoContent)
	same(t, "the stranger, after the owner has left", talk(other, free), talk(stranger, owned))
}

// I7: nor does a mail server that is down tell addresses apart.
func TestI7_WithTheMailServerDown(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	up := serve(t, "--data-dir", dir)
	fresh := new(addresses)
	confirmed := fresh.next()
	visit(t, up).confirm(confirmed)
	up.stop()
	down := serve(t, "--data-dir", dir, "--smtp", "smtp://127.0.0.1:1?tls=none", "--mail-budget", "off")
	talk := func(address string) []string {
		v := visit(t, down)
		said := []string{v.seen("sign up", v.signUp(address), address), v.seen("status", v.getJSON("/signup/status"), address)}
		return append(append(said, v.pending(address)...), visit(t, down).askByAPI(address)...)
	}
	same(t, "confirmed", talk(fresh.next()), talk(confirmed))
}
