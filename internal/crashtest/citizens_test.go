package crashtest

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"bellhop/internal/onboarding"
)

// town is those who go on after signing up: they confirm their address, sign in,
// stay in, and leave. Whoever calls for the next one takes a step with them.
type town struct {
	rig  *rig
	post *postbox
	most int // citizens

	mu        sync.Mutex
	citizens  []*citizen
	idle      []*citizen // who have something left to do, and wait for somebody to do it
	strangers []string   // requests to sign in of addresses that nobody has, which were answered
}

// citizen is one of them. What was answered is what the judge goes by.
type citizen struct {
	town *town
	to   string
	plan []step

	links    []*link
	account  string    // as the first answer had it
	access   string    // of the latest session that was opened
	refresh  string    // "" when there is none to be sure of
	first    time.Time // when refresh was presented without an answer
	leaving  bool      // asked to be erased
	leftAt   time.Time // when that was answered
	refreshs int       // that were answered
}

// link is what is in a mail that is for a citizen.
type link struct {
	mail     onboarding.MailID
	asked    int    // how often it was used
	session  string // that an answer has told of
	answered bool   // with 200
	used     bool   // with 409: an earlier one has worked
}

// step is something that a citizen does. It tells whether that is done; nothing
// is when the time has not come, or when there was no answer.
type step func(c *citizen, v *visit) (done bool)

// visit is how a citizen calls at a door.
type visit struct {
	ctx    context.Context
	client *http.Client
	door   string
	rng    *rand.Rand
}

// withTown lets so many of those who sign up at a rig go on from there.
func (r *rig) withTown(most int) *rig {
	r.town = &town{rig: r, most: most, post: &postbox{path: r.journal, links: make(map[onboarding.MailID]string)}}
	return r
}

// settle makes a citizen of somebody who has signed up, if there is room.
func (t *town) settle(signUp, to string, rng *rand.Rand) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.citizens) >= t.most {
		return
	}
	c := &citizen{town: t, to: to}
	c.owed(signUp, onboarding.SignUp)
	c.plan = planOf(rng)
	t.citizens, t.idle = append(t.citizens, c), append(t.idle, c)
}

// planOf is what one does in a life here.
func planOf(rng *rand.Rand) []step {
	var plan []step
	if rng.IntN(4) == 0 {
		plan = append(plan, signUpAgain)
	}
	plan = append(plan, redeemAll, look)
	if rng.IntN(3) == 0 {
		plan = append(plan, refresh, refresh)
	}
	if rng.IntN(2) == 0 {
		plan = append(plan, askSignIn, redeemAll, look)
	}
	if rng.IntN(4) == 0 {
		plan = append(plan, askStranger)
	}
	switch rng.IntN(6) {
	case 0:
		plan = append(plan, beErased)
	case 1:
		plan = append(plan, askSignIn, beErased) // with a mail on its way
	}
	return plan
}

// owed notes that a mail with a link was promised.
func (c *citizen) owed(subject string, p onboarding.Purpose) {
	c.links = append(c.links, &link{mail: onboarding.NewMailID(subject, p, 1)})
}

// errand lets the citizen who has waited longest take a step. It tells whether
// there was one.
func (t *town) errand(v *visit) bool {
	t.mu.Lock()
	if len(t.idle) == 0 {
		t.mu.Unlock()
		return false
	}
	c := t.idle[0]
	t.idle = t.idle[1:]
	t.mu.Unlock()
	if c.plan[0](c, v) {
		c.plan = c.plan[1:]
	}
	if len(c.plan) > 0 {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.idle = append(t.idle, c)
	}
	return true
}

// call asks for something, with a token if there is one. The status is 0 when
// there was no answer, or one that means that nothing can be done right now.
func (c *citizen) call(v *visit, method, path, token, body string) (status int, answer []byte) {
	req, err := http.NewRequestWithContext(v.ctx, method, v.door+path, strings.NewReader(body))
	if err != nil {
		c.town.rig.t.Error(err)
		return 0, nil
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := v.client.Do(req)
	if err != nil {
		return 0, nil
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode == http.StatusServiceUnavailable {
		return 0, nil
	}
	return resp.StatusCode, answer
}

// wrong notes an answer that should not be.
func (c *citizen) wrong(what string, status int, answer []byte) {
	c.town.rig.fault("%s: %s was answered %d: %s", c.to, what, status, bytes.TrimSpace(answer))
}

// admission is the answer that opens or continues a session.
type admission struct {
	Access    string `json:"access_token"`
	Refresh   string `json:"refresh_token"`
	Account   struct{ ID string }
	Confirmed bool
}

// signUpAgain is a second form with the same address.
func signUpAgain(c *citizen, v *visit) bool {
	status, answer := c.call(v, http.MethodPost, "/createUser", "", fmt.Sprintf(`{"first":"Ada","last":"Again","email":%q}`, c.to))
	c.town.rig.again(c.to)
	if status == 0 {
		return false // whether it was stored is not known: that one is nobody's then
	}
	id, err := signUpID(bytes.NewReader(answer))
	if status != http.StatusAccepted || err != nil {
		c.wrong("a second sign-up", status, answer)
		return true
	}
	c.town.rig.promise(id, c.to)
	c.owed(id, onboarding.SignUp)
	return true
}

// redeemAll uses all links that are not used yet, at the same time, once their
// mails have come.
func redeemAll(c *citizen, v *visit) bool {
	tokens := make(map[*link]string)
	for _, l := range c.links {
		if l.answered || l.used {
			continue
		}
		token, err := c.town.post.link(l.mail)
		if err != nil {
			c.town.rig.fault("%v", err)
		}
		if token == "" {
			return false
		}
		tokens[l] = token
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	done := true
	for l, token := range tokens {
		all.Go(func() {
			status, answer := c.redeem(v, l, token)
			mu.Lock()
			defer mu.Unlock()
			done = c.redeemed(l, status, answer) && done
		})
	}
	all.Wait()
	return done
}

func (c *citizen) redeem(v *visit, l *link, token string) (status int, answer []byte) {
	path := "/confirm/"
	if _, p, _, _ := l.mail.Parse(); p == onboarding.SignIn {
		path = "/signIn/"
	}
	return c.call(v, http.MethodPost, path+token, "", "{}")
}

// use uses one link, of a mail that has come.
func (c *citizen) use(v *visit, l *link) bool {
	token, err := c.town.post.link(l.mail)
	if err != nil {
		c.town.rig.fault("%v", err)
	}
	status, answer := c.redeem(v, l, token)
	return c.redeemed(l, status, answer)
}

// redeemed notes what came of using a link.
func (c *citizen) redeemed(l *link, status int, answer []byte) bool {
	l.asked++
	switch {
	case status == 0:
		return false
	case status == http.StatusConflict && l.asked > 1:
		l.used = true // by the call that was not answered
	case status == http.StatusOK:
		c.admitted(l, answer)
	default:
		c.wrong(fmt.Sprintf("the link of %s (use %d)", l.mail, l.asked), status, answer)
		l.used = true
	}
	return true
}

// admitted notes a session that was opened.
func (c *citizen) admitted(l *link, answer []byte) {
	var got admission
	if err := json.Unmarshal(answer, &got); err != nil {
		c.wrong("a link", http.StatusOK, answer)
		return
	}
	l.answered, l.session = true, claim(got.Access, "sid")
	if c.account == "" {
		c.account = got.Account.ID
	}
	if c.account != got.Account.ID {
		c.town.rig.fault("%s has two accounts: %s and %s", c.to, c.account, got.Account.ID)
	}
	c.access, c.refresh, c.first = got.Access, got.Refresh, time.Time{}
}

// claim reads a claim of a token that nobody here doubts.
func claim(token, name string) string {
	_, rest, _ := strings.Cut(token, ".")
	payload, _, _ := strings.Cut(rest, ".")
	raw, err := base64.RawURLEncoding.DecodeString(payload)
	claims := make(map[string]any)
	if err != nil || json.Unmarshal(raw, &claims) != nil {
		return ""
	}
	value, _ := claims[name].(string)
	return value
}

// look asks who one is. Whoever was never answered with a session cannot.
func look(c *citizen, v *visit) bool {
	if c.access == "" {
		return true
	}
	status, answer := c.call(v, http.MethodGet, "/me", c.access, "")
	if status == 0 {
		return false
	}
	var me struct{ ID, Status, Email string }
	if json.Unmarshal(answer, &me) != nil || status != http.StatusOK || me.ID != c.account || me.Status != "confirmed" || me.Email != c.to {
		c.wrong("/me", status, answer)
	}
	return true
}

// grace is for how long a refresh token is presented again. A process that
// stood still may hear of it half as long later, which is still within the time
// that Bellhop gives.
const grace = 10 * time.Second

// refresh exchanges the refresh token. One that was presented for too long
// without an answer is given up, and so is one whose answer was had elsewhere:
// when the first door hears of it, too, it takes it for stolen.
func refresh(c *citizen, v *visit) bool {
	again := !c.first.IsZero()
	if !again {
		c.first = time.Now()
	}
	if time.Since(c.first) > grace {
		c.refresh = ""
	}
	if c.refresh == "" {
		return true
	}
	status, answer := c.call(v, http.MethodPost, "/token/refresh", "", fmt.Sprintf(`{"refresh_token":%q}`, c.refresh))
	if status == 0 {
		return false
	}
	var got admission
	if json.Unmarshal(answer, &got) != nil || status != http.StatusOK || claim(got.Access, "sub") != c.account {
		c.wrong("a refresh token", status, answer)
		return true
	}
	c.access, c.refresh, c.first = got.Access, got.Refresh, time.Time{}
	if again {
		c.refresh = ""
	}
	c.refreshs++
	return true
}

// askSignIn asks for a link to sign in.
func askSignIn(c *citizen, v *visit) bool {
	status, answer := c.call(v, http.MethodPost, "/signIn", "", fmt.Sprintf(`{"email":%q}`, c.to))
	if status == 0 {
		return false
	}
	if request := c.requested(status, answer); request != "" {
		c.owed(request, onboarding.SignIn)
	}
	return true
}

// requested is the id of a request to sign in.
func (c *citizen) requested(status int, answer []byte) string {
	var asked struct{ Token string }
	if json.Unmarshal(answer, &asked) != nil || status != http.StatusAccepted || claim(asked.Token, "sub") == "" {
		c.wrong("to ask for a link to sign in", status, answer)
		return ""
	}
	return claim(asked.Token, "sub")
}

// askStranger asks for one for somebody who never signed up.
func askStranger(c *citizen, v *visit) bool {
	status, answer := c.call(v, http.MethodPost, "/signIn", "", fmt.Sprintf(`{"email":%q}`, strangerLike(c.to)))
	if status == 0 {
		return false
	}
	request := c.requested(status, answer)
	c.town.mu.Lock()
	defer c.town.mu.Unlock()
	c.town.strangers = append(c.town.strangers, request)
	return true
}

// strangerLike is the address of somebody who never signs up.
func strangerLike(to string) string { return "stranger.to." + to }

// beErased has the account erased.
func beErased(c *citizen, v *visit) bool {
	if c.access == "" {
		return true // there is nobody to ask
	}
	before := c.leaving
	c.leaving = true
	status, answer := c.call(v, http.MethodDelete, "/me", c.access, "")
	switch {
	case status == 0:
		return false
	case status == http.StatusNoContent:
		c.leftAt = time.Now()
	case status == http.StatusUnauthorized && before:
		c.leftAt = time.Now() // at the latest
	default:
		c.wrong("to leave", status, answer)
	}
	return true
}
