package crashtest

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"bellhop/internal/onboarding"
)

// visitor is a visit of the test's own, apart from all others.
func (t *town) visitor(door string) *visit {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	return &visit{ctx: t.rig.t.Context(), client: client, door: door, rng: rand.New(rand.NewPCG(0, 0))}
}

// hear lets everybody whose last call was not answered call once more, at a
// process that nobody kills: what came of it is known then.
func (t *town) hear(door string) {
	if t == nil {
		return
	}
	t.rig.t.Helper()
	v := t.visitor(door)
	for _, c := range t.citizens {
		heard := true
		for _, l := range c.links {
			if l.asked > 0 && !l.answered && !l.used {
				heard = c.use(v, l) && heard
			}
		}
		if c.leaving && c.leftAt.IsZero() {
			heard = beErased(c, v) && heard
		}
		if !heard {
			t.rig.fault("%s: a call was not answered, and nobody was killed", c.to)
		}
	}
}

// examine asks a running process about every citizen, once nothing is on its
// way any more: what they were answered is so.
func (t *town) examine(door string) {
	if t == nil {
		return
	}
	t.rig.t.Helper()
	v := t.visitor(door)
	for _, c := range t.citizens {
		switch {
		case c.access == "":
			// They were never told who they are.
		case !c.leftAt.IsZero():
			if status, answer := c.call(v, http.MethodGet, "/me", c.access, ""); status != http.StatusUnauthorized {
				c.wrong("/me of one who has left", status, answer)
			}
		default:
			if !look(c, v) {
				t.rig.fault("%s: /me was not answered", c.to)
			}
			c.examine(v)
		}
	}
}

// dossier is what is held of a citizen, as far as it is judged.
type dossier struct {
	Account  struct{ ID, Status string }
	SignUps  []struct{ ID, Status string }
	Sessions []struct{ ID string }
}

// examine looks at what is held: one account, and of each link that was used
// one session.
func (c *citizen) examine(v *visit) {
	status, answer := c.call(v, http.MethodGet, "/me/export", c.access, "")
	var h dossier
	if err := json.Unmarshal(answer, &h); err != nil || status != http.StatusOK || h.Account.ID != c.account {
		c.wrong("/me/export", status, answer)
		return
	}
	for _, s := range h.SignUps {
		if s.Status != "pending" {
			c.town.rig.fault("%s: beside the account there is a sign-up that is %s", c.to, s.Status)
		}
	}
	tried := 0
	for _, l := range c.links {
		there := slices.ContainsFunc(h.Sessions, func(s struct{ ID string }) bool { return s.ID == l.session })
		if l.answered && !there {
			c.town.rig.fault("%s: the session that %s opened is not there", c.to, l.mail)
		}
		if l.asked > 0 {
			tried++
		}
	}
	if len(h.Sessions) > tried {
		c.town.rig.fault("%s has %d sessions of %d links", c.to, len(h.Sessions), tried)
	}
}

// judge compares what citizens were answered with the mail server's log and the
// ledger.
func (t *town) judge(e *evidence) {
	t.rig.t.Helper()
	for _, c := range t.citizens {
		c.judgeWelcome(e)
		c.judgeSignIns(e)
	}
	for _, id := range t.strangers {
		mail := onboarding.NewMailID(id, onboarding.SignIn, 1)
		if e.states[mail] != onboarding.Cancelled {
			t.rig.fault("%s, for a stranger, is %q", mail, e.states[mail])
		}
	}
	for id, mails := range e.got {
		if strings.HasPrefix(mails[0].To, strangerLike("")) {
			t.rig.fault("a stranger got %s", id)
		}
	}
	t.judgeLeavers(e)
	t.count(e)
}

// calledOff tells whether a mail may have come to nothing because its person has
// left, or did not need it any more.
func (t *town) calledOff(mail onboarding.MailID) bool {
	if t == nil {
		return false
	}
	i := slices.IndexFunc(t.citizens, func(c *citizen) bool {
		return slices.ContainsFunc(c.links, func(l *link) bool { return l.mail == mail })
	})
	return i >= 0 && t.citizens[i].leaving
}

// judgeWelcome looks for the one welcome of an account. It may be in no log
// only if nobody knows whether it arrived, and the ledger says so.
func (c *citizen) judgeWelcome(e *evidence) {
	confirmed, came, unknown := false, 0, false
	for _, l := range c.links {
		subject, p, _, _ := l.mail.Parse()
		if p != onboarding.SignUp {
			continue
		}
		welcome := onboarding.NewMailID(subject, onboarding.Welcome, 1)
		confirmed = confirmed || l.answered || l.used
		came += len(e.got[welcome])
		unknown = unknown || e.held[welcome]
	}
	if came > 1 || came == 0 && confirmed && !unknown && !c.leaving {
		c.town.rig.fault("%s: %d welcomes came (confirmed %v, held as unknown %v)", c.to, came, confirmed, unknown)
	}
}

// judgeSignIns looks for what was promised with the 202 of a request to sign
// in.
func (c *citizen) judgeSignIns(e *evidence) {
	for _, l := range c.links {
		if _, p, _, _ := l.mail.Parse(); p != onboarding.SignIn || len(e.got[l.mail]) > 0 || c.leaving {
			continue
		}
		state := e.states[l.mail]
		if e.doubted(l.mail) || state == onboarding.Failed || state == onboarding.Expired {
			continue
		}
		c.town.rig.fault("%s is %q, and not in the mail server's log", l.mail, state)
	}
}

// soon is how long after the answer to an erasure a mail may still come that was
// past its dot.
const soon = time.Second

// judgeLeavers looks whether those who were erased are gone, and got nothing
// afterwards (B7.7).
func (t *town) judgeLeavers(e *evidence) {
	t.rig.t.Helper()
	left := make(map[string]time.Time)
	for _, c := range t.citizens {
		if c.leftAt.IsZero() {
			continue
		}
		if left[c.to] = c.leftAt; len(left) <= 3 {
			t.gone(c.to)
		}
	}
	for id, mails := range e.got {
		for _, m := range mails {
			if at, ok := left[m.To]; ok && m.Time.Sub(at) > soon {
				t.rig.fault("%s came %v after its person was erased", id, m.Time.Sub(at))
			}
		}
	}
}

// gone asks as an operator for somebody who was erased.
func (t *town) gone(to string) {
	t.rig.t.Helper()
	out, err := t.rig.asked("export", to)
	if err == nil || !strings.Contains(err.Error(), "nothing is stored") {
		t.rig.fault("export of %s, who was erased: %v\n%s", to, err, out)
	}
}

// count says what the judge has seen.
func (t *town) count(e *evidence) {
	var confirmed, unheard, signedIn, refreshed, left int
	for _, c := range t.citizens {
		refreshed += c.refreshs
		if c.leaving {
			left++
		}
		for _, l := range c.links {
			_, p, _, _ := l.mail.Parse()
			switch {
			case l.used:
				unheard++
			case l.answered && p == onboarding.SignIn:
				signedIn++
			case l.answered:
				confirmed++
			}
		}
	}
	welcomes := 0
	for id := range e.got {
		if _, p, _, _ := id.Parse(); p == onboarding.Welcome {
			welcomes++
		}
	}
	t.rig.t.Logf("%d citizens: %d sign-ups redeemed, %d sign-ins, %d redemptions not heard of, %d refreshes, %d left, %d strangers; %d welcomes came",
		len(t.citizens), confirmed, signedIn, unheard, refreshed, left, len(t.strangers), welcomes)
}
