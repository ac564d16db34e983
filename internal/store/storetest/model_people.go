package storetest

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"bellhop/internal/address"
	"bellhop/internal/onboarding"
	"bellhop/internal/signup"

	"pgregory.net/rapid"
)

// person is one form that was sent, and perhaps stored: a sign-up, or a request
// to sign in.
type person struct {
	id       string
	at       *mailbox
	to       address.Address   // as typed
	form     signup.Acceptance // zero for a request
	request  bool
	muted    bool
	mails    []onboarding.MailID
	stored   bool      // for certain; otherwise the answer was lost
	came     time.Time // by the store's clock
	erased   bool
	erasedAt time.Duration
	usedBy   string // the session under which it was redeemed
	session  string // the one under which that was last tried
	tries    int
}

// mailbox is an address, in spellings that may be different people's, and who
// has signed up with it.
type mailbox struct {
	spellings []address.Address
	account   *person
	charges   map[onboarding.Budget][]charge
}

// charge is a mail that was charged to a budget. Once the clock was set back
// since, the store may have forgotten it, or take it for a later one.
type charge struct {
	at    time.Time
	doubt bool
}

// openMailboxes makes the handful of addresses of a history.
func (m *model) openMailboxes() {
	for i := range 6 {
		box := &mailbox{charges: map[onboarding.Budget][]charge{}}
		for _, spelling := range []string{"person%d@example.com", "Person%d@example.com", "person%d@Example.COM"} {
			to, err := address.Parse(fmt.Sprintf(spelling, i))
			m.must(err)
			box.spellings = append(box.spellings, to)
		}
		m.mailboxes = append(m.mailboxes, box)
	}
}

func (b *mailbox) fingerprint() address.Fingerprint { return b.spellings[0].Fingerprint(secret) }

// newID is a UUID that is not used yet.
func (m *model) newID() string {
	m.names++
	return fmt.Sprintf("00000000-0000-4000-8000-%012d", m.names)
}

// owe notes that a mail is owed to a person, or may be.
func (m *model) owe(p *person, purpose onboarding.Purpose, step int) onboarding.MailID {
	id := onboarding.NewMailID(p.id, purpose, step)
	if m.truth[id] == nil {
		m.truth[id] = &truth{of: p}
		p.mails = append(p.mails, id)
	}
	return id
}

// excuse notes that there is a reason to call off the mails there are.
func (p *person) excuse(m *model) {
	for _, id := range p.mails {
		m.truth[id].excused = true
	}
}

func (m *model) accept() {
	m.names++
	to := pick(m, "mailbox", m.mailboxes)
	who := signup.Person{First: "Ada", Last: fmt.Sprint(m.names), Address: pick(m, "spelling", to.spellings)}
	n := [2]byte{byte(m.names), byte(m.names >> 8)}
	m.send(who, to, signup.Key{Hash: [32]byte{n[0], n[1]}, Form: [16]byte{1, n[0], n[1]}})
}

// acceptAgain sends a form once more, as an impatient client does, or another
// one under its key, whatever has become of the first.
func (m *model) acceptAgain() {
	p := pick(m, "person", m.people)
	if p.request {
		m.Skip("a request to sign in has no key")
	}
	key := *p.form.Key
	if rapid.IntRange(0, 3).Draw(m.T, "another form") == 0 {
		key.Form[15]++
	}
	m.send(p.form.Person, p.at, key)
}

// earlier is the one whom a key is known for, nil if that is not certain. By a
// clock that was set back nobody can tell.
func (m *model) earlier(key signup.Key) *person {
	if m.setBack {
		return nil
	}
	for _, p := range m.people {
		age := m.Now().UnixMilli() - p.came.UnixMilli()
		if p.stored && !p.request && p.form.Key.Hash == key.Hash && age < signup.KeyLife.Milliseconds() {
			return p
		}
	}
	return nil
}

// send sends a form under a fresh id, and again until an answer comes or the
// client gives up.
func (m *model) send(who signup.Person, to *mailbox, key signup.Key) {
	who.ID = m.newID()
	p := &person{id: who.ID, at: to, to: who.Address, came: m.Now(), muted: rapid.IntRange(0, 9).Draw(m.T, "muted") == 0}
	first := m.owe(p, onboarding.SignUp, 1)
	p.form = signup.Acceptance{
		Person: who, Fingerprint: to.fingerprint(), Mails: []onboarding.Owed{{ID: first, Expiry: m.policy.Expiry}}, Key: &key,
	}
	if p.muted {
		p.form.Muted = "the model says so"
	}
	earlier := m.earlier(key)
	m.people = append(m.people, p)
	for {
		var accepted signup.Accepted
		err := m.call(func() (err error) {
			accepted, err = m.Store.Accept(m.ctx, p.form)
			return err
		})
		switch {
		case err == nil || errors.Is(err, signup.ErrConflict):
			m.answered(p, earlier, accepted, err)
			return
		case !errors.Is(err, errOutage):
			m.Fatalf("accept: %v", err)
		case m.chance("client gives up"):
			return
		}
	}
}

// answered compares what a form is taken for with what came under its key
// before.
func (m *model) answered(p, earlier *person, accepted signup.Accepted, err error) {
	switch {
	case earlier != nil && earlier.form.Key.Form != p.form.Key.Form:
		if err == nil {
			m.Fatalf("another form under the key of %s is taken for %+v", earlier.id, accepted)
		}
	case earlier != nil:
		if err != nil || !accepted.Repeated || accepted.ID != earlier.id {
			m.Fatalf("the form of %s is taken for %+v (%v)", earlier.id, accepted, err)
		}
	case err == nil && accepted.ID == p.id:
		p.stored = true
	case err == nil && !accepted.Repeated:
		m.Fatalf("a form was stored as %s, and is %s", accepted.ID, p.id)
	}
}

// resend asks for one more mail of a sign-up, until an answer comes.
func (m *model) resend() {
	p := pick(m, "person", m.people)
	var progress signup.Progress
	err := m.insist(func() (err error) {
		progress, _, err = m.Store.Resend(m.ctx, signup.Resend{SignUp: p.id, Expiry: m.policy.Expiry, After: time.Minute, Most: 4})
		return err
	})
	if errors.Is(err, signup.ErrNotFound) && !p.stored || p.request {
		return
	}
	m.must(err)
	p.stored = true
	for step := range progress.Step {
		m.owe(p, onboarding.SignUp, step+1)
	}
}

// ask asks once to sign in, with or without an account.
func (m *model) ask() {
	to := pick(m, "mailbox", m.mailboxes)
	p := &person{id: m.newID(), at: to, request: true, came: m.Now()}
	r := signup.SignInRequest{ID: p.id, Fingerprint: to.fingerprint(), Budget: onboarding.BudgetSignIn}
	r.Mail = onboarding.Owed{ID: m.owe(p, onboarding.SignIn, 1), Expiry: m.policy.SignInExpiry}
	m.people = append(m.people, p)
	err := m.call(func() error { return m.Store.Ask(m.ctx, r) })
	m.normal(err)
	p.stored = err == nil
}

// redeem exchanges the mint of a mail that is in somebody's mailbox, or a number
// close to it, for a session that may be a former one's again.
func (m *model) redeem() {
	var minted []onboarding.MailID
	for _, id := range m.mailIDs() {
		if t := m.truth[id]; t.attempts > 0 && purposeOf(id) != onboarding.Welcome && !t.dropped {
			minted = append(minted, id)
		}
	}
	id := pick(m, "mint", minted)
	truth := m.truth[id]
	p := truth.of
	r := signup.Redemption{
		Mail: id, Number: truth.lastMint, Within: m.policy.ExpiryOf(purposeOf(id)), Fingerprint: p.at.fingerprint(),
		Session: newSession(signup.Browser), Welcome: m.policy.Expiry,
	}
	if rapid.IntRange(0, 7).Draw(m.T, "another number") == 0 {
		r.Number += rapid.SampledFrom([]int{-1, 1}).Draw(m.T, "number")
	}
	if rapid.IntRange(0, 3).Draw(m.T, "code") == 0 {
		r.ByCode, r.Within = true, m.policy.CodeLife
		m.try(p)
	}
	if r.Session.ID = m.newID(); p.session != "" && m.chance("repeat") {
		r.Session.ID = p.session
	}
	p.session = r.Session.ID
	m.exchange(r, truth)
}

// exchange redeems until an answer comes, and compares it with what must come
// of it.
func (m *model) exchange(r signup.Redemption, truth *truth) {
	p, want := truth.of, m.redemptionFails(r, truth)
	account := p.at.account
	if account == nil {
		account = p
	}
	var got signup.Redeemed
	err := m.insist(func() (err error) {
		got, err = m.Store.Redeem(m.ctx, r)
		return err
	})
	switch {
	case !errors.Is(err, want) || want == nil && err != nil:
		m.Fatalf("redeeming mail %s: %v, want %v", r.Mail, err, want)
	case want != nil:
		return
	case got.Account.ID != account.id:
		m.Fatalf("mail %s was redeemed for account %s, and the address is %s's", r.Mail, got.Account.ID, account.id)
	case got.Confirmed != (account == p):
		m.Fatalf("redeeming mail %s has made an account: %v", r.Mail, got.Confirmed)
	}
	p.usedBy = r.Session.ID
	if p.at.account == nil {
		p.at.account = p
		p.excuse(m)
		m.owe(p, onboarding.Welcome, 1)
	}
}

// redemptionFails is why a redemption must be refused, nil if it must not.
func (m *model) redemptionFails(r signup.Redemption, truth *truth) error {
	p := truth.of
	account := p.at.account
	switch {
	case p.erased:
		return signup.ErrLinkDead
	case p.usedBy == r.Session.ID:
		return nil
	case p.usedBy != "":
		return signup.ErrUsed
	case r.Number != truth.lastMint, m.Now().Sub(truth.mintedAt) >= r.Within,
		p.request && account == nil, !p.request && account != nil && (r.ByCode || truth.recipient() != account.to.Sendable()):
		return signup.ErrLinkDead
	}
	return nil
}

// try tries a code. The line does not break: nobody could tell how many tries
// there were.
func (m *model) try(p *person) {
	const most = 5
	mints, err := m.Store.Try(m.ctx, p.id, most)
	switch {
	case p.erased && errors.Is(err, signup.ErrNotFound):
		return
	case p.tries == most && errors.Is(err, signup.ErrTries):
		return
	case err != nil || p.erased || p.tries == most:
		m.Fatalf("try number %d of a code: %v", p.tries+1, err)
	}
	p.tries++
	inVain := p.usedBy != "" || !p.request && p.at.account != nil
	for _, id := range p.mails {
		truth := m.truth[id]
		if inVain || truth.attempts == 0 || truth.dropped || purposeOf(id) == onboarding.Welcome {
			continue
		}
		if !slices.ContainsFunc(mints, func(mint signup.Mint) bool { return mint.Mail == id && mint.Number == truth.lastMint }) {
			m.Fatalf("a try was not told of mail %s with mint %d", id, truth.lastMint)
		}
	}
	if inVain && len(mints) > 0 {
		m.Fatalf("a try in vain was told of %d mints", len(mints))
	}
}

func (m *model) erase() {
	p := pick(m, "person", m.people)
	err := m.insist(func() error { return m.Store.Erase(m.ctx, p.id) })
	switch {
	case err == nil && !p.request:
		m.gone(p)
	case errors.Is(err, signup.ErrNotFound) && (!p.stored || p.request):
	default:
		m.Fatalf("erase: %v", err)
	}
}

// gone notes that a person is erased, and an account's whole address with it.
func (m *model) gone(p *person) {
	if p.erased {
		return
	}
	p.erased, p.erasedAt = true, m.mono
	p.excuse(m)
	if p.at.account != p {
		return
	}
	p.at.account = nil
	for _, other := range m.people {
		if other.at == p.at {
			m.gone(other)
		}
	}
}

// purge erases what has waited for too long. By a clock that was set back nobody
// can tell how long that is.
func (m *model) purge() {
	if m.setBack {
		m.Skip("the clock was set back")
	}
	const keep = time.Hour
	m.must(m.insist(func() error {
		_, err := m.Store.Purge(m.ctx, signup.Retention{Unconfirmed: keep, SignIns: keep, Limit: 1_000_000})
		return err
	}))
	for _, p := range m.people {
		came := p.came
		if !p.request {
			came = came.Truncate(time.Second)
		}
		if p.at.account != p && m.Now().Sub(came) > keep {
			m.gone(p)
		}
	}
}

// allowances are those of the budget of a mail, if it has one.
func (m *model) allowances(id onboarding.MailID) (b onboarding.Budget, all []onboarding.Allowance) {
	switch purposeOf(id) {
	case onboarding.SignUp:
		b = onboarding.BudgetSignUp
	case onboarding.SignIn:
		b = onboarding.BudgetSignIn
	}
	return b, m.policy.Budgets[b]
}

// over tells whether a mail's budget is used up: for certain, or perhaps.
func (m *model) over(id onboarding.MailID, truth *truth) (certain, perhaps bool) {
	if truth.charged {
		return false, false
	}
	b, allowances := m.allowances(id)
	for _, a := range allowances {
		known, all := 0, 0
		for _, c := range truth.of.at.charges[b] {
			counts := m.Now().Sub(c.at).Abs() < a.Per
			if counts || c.doubt {
				all++
			}
			if counts && !c.doubt {
				known++
			}
		}
		certain, perhaps = certain || known >= a.Mails, perhaps || all >= a.Mails
	}
	return certain, perhaps
}

// charge notes that a mail has reached committing.
func (m *model) charge(id onboarding.MailID, truth *truth) {
	b, allowances := m.allowances(id)
	if truth.charged || len(allowances) == 0 {
		return
	}
	if certain, _ := m.over(id, truth); certain {
		m.Fatalf("mail %s reached committing, and its budget was used up", id)
	}
	truth.charged = true
	box := truth.of.at
	box.charges[b] = append(box.charges[b], charge{at: m.Now()})
}

// keptBack notes that a mail was suppressed, if there was a reason.
func (m *model) keptBack(id onboarding.MailID, truth *truth) {
	if _, perhaps := m.over(id, truth); !perhaps && !truth.of.muted {
		m.Fatalf("mail %s was suppressed, and its budget was not used up", id)
	}
	truth.excused = true
}

// doubtClock is for a clock that was set back.
func (m *model) doubtClock() {
	m.setBack = true
	for _, box := range m.mailboxes {
		for _, charges := range box.charges {
			for i := range charges {
				charges[i].doubt = true
			}
		}
	}
}

// checkClaim compares what a claimer is told with what must come of the claim.
func (m *model) checkClaim(held onboarding.Held, truth *truth) {
	id, of := held.Claim.Mail, truth.of
	certain, _ := m.over(id, truth)
	nobody := of.erased || of.request && of.at.account == nil
	switch held.State {
	case onboarding.Suppressed:
		m.keptBack(id, truth)
	case onboarding.Cancelled:
		if !nobody {
			m.Fatalf("mail %s was cancelled at its claim, and there was somebody to send it to", id)
		}
		truth.excused = true
	case onboarding.Sending:
		switch {
		case of.erased:
			m.Fatalf("mail %s was claimed after its person was erased", id)
		case nobody:
			m.Fatalf("mail %s was claimed, and there is nobody to send it to", id)
		case of.muted:
			m.Fatalf("mail %s was claimed, and its sign-up is muted", id)
		case certain:
			m.Fatalf("mail %s was claimed, and its budget is used up", id)
		}
		m.checkVariant(held, truth)
	}
}

// recipient is whom a mail goes to, once its variant is known, as long as that
// one is there.
func (t *truth) recipient() string {
	if t.of.request || t.variant == onboarding.AlreadyRegistered {
		return t.of.at.account.to.Sendable()
	}
	return t.of.to.Sendable()
}

// checkVariant wants the variant that was right at the first claim, and its
// recipient.
func (m *model) checkVariant(held onboarding.Held, truth *truth) {
	if truth.variant == "" {
		var err error
		truth.variant, err = onboarding.ChooseVariant(purposeOf(held.Claim.Mail), truth.of.at.account != nil)
		m.must(err)
		if held.Variant == truth.perhaps {
			truth.variant = truth.perhaps
		}
	}
	if held.Variant != truth.variant {
		m.Fatalf("mail %s was claimed as %q, and is %q", held.Claim.Mail, held.Variant, truth.variant)
	}
	if held.To != truth.recipient() {
		m.Fatalf("mail %s was claimed for another recipient than its own", held.Claim.Mail)
	}
}

// inspect looks at all there is of an address.
func (m *model) inspect(box *mailbox) {
	people, err := m.Store.People(m.ctx, box.fingerprint())
	m.must(err)
	accounts := 0
	for _, p := range people {
		if p.Status == signup.Confirmed {
			accounts++
		}
	}
	if box.account == nil && accounts > 0 || box.account != nil && (accounts != 1 || people[0].ID != box.account.id) {
		m.Fatalf("an address has %d accounts, and should have %v", accounts, box.account)
	}
	if box.account == nil {
		return
	}
	d, err := m.Store.Export(m.ctx, box.account.id)
	m.must(err)
	for b, allowances := range m.policy.Budgets {
		m.checkCharges(b, allowances, d.Charged[b], box.charges[b])
	}
}

// checkCharges wants every charge to be one that was made, and those that still
// count to be there.
func (m *model) checkCharges(b onboarding.Budget, allowances []onboarding.Allowance, got []time.Time, made []charge) {
	left, doubtful := slices.Clone(got), 0
	for _, c := range made {
		i := slices.IndexFunc(left, func(at time.Time) bool { return at.UnixMilli() == c.at.UnixMilli() })
		counts := slices.ContainsFunc(allowances, func(a onboarding.Allowance) bool { return m.Now().Sub(c.at).Abs() < a.Per })
		switch {
		case i >= 0:
			left = slices.Delete(left, i, i+1)
		case c.doubt:
			doubtful++
		case counts:
			m.Fatalf("a charge to the budget %s is missing", b)
		}
	}
	if len(left) > doubtful {
		m.Fatalf("%d charges to the budget %s were never made", len(left)-doubtful, b)
	}
}
