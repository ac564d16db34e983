package signup_test

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"bellhop/internal/address"
	"bellhop/internal/onboarding"
	"bellhop/internal/signup"
)

// fake is a store that keeps what it is given and answers as told. What it has
// no method for is not asked for here.
type fake struct {
	signup.Store
	err error // of everything, if set

	people    map[string]signup.Person
	othersErr error
	listed    func() // after each page of others, if set
	progress  signup.Progress
	made      bool // what Resend says
	resends   []signup.Resend
	asked     []signup.SignInRequest

	mints      map[onboarding.MailID]signup.Mint
	tries      map[string]int
	tryErr     map[string]error
	redeemed   []signup.Redemption
	redemption signup.Redeemed
	redeemErr  error
	lost       int // redemptions that happen and are not answered

	sessions map[string]signup.Session
	seen     []string
	rotation signup.Rotation

	erased []string
	purge  func(signup.Retention) answer
}

func newFake() *fake {
	return &fake{
		people: make(map[string]signup.Person), mints: make(map[onboarding.MailID]signup.Mint),
		tries: make(map[string]int), tryErr: make(map[string]error), sessions: make(map[string]signup.Session),
	}
}

func (f *fake) Person(_ context.Context, id string) (signup.Person, error) {
	p, ok := f.people[id]
	if f.err == nil && !ok {
		return signup.Person{}, signup.ErrNotFound
	}
	return p, f.err
}

func (f *fake) People(_ context.Context, of address.Fingerprint) ([]signup.Person, error) {
	all := f.of(of)
	slices.SortStableFunc(all, func(a, b signup.Person) int { return cmp.Compare(rank(a), rank(b)) })
	return all[:min(len(all), signup.MostPeople)], f.err
}

// rank is 0 for an account.
func rank(p signup.Person) int {
	if p.Status == signup.Confirmed {
		return 0
	}
	return 1
}

// Others lists the last one of each page again at the begin of the next.
func (f *fake) Others(_ context.Context, of address.Fingerprint, after string) (page []signup.Person, next string, err error) {
	for _, p := range f.of(of) {
		if p.Status != signup.Confirmed && p.ID >= after && len(page) < signup.MostPeople {
			page = append(page, p)
		}
	}
	if len(page) == signup.MostPeople {
		next = page[len(page)-1].ID
	}
	if f.listed != nil {
		f.listed()
	}
	return page, next, f.othersErr
}

// of are the people of an address, by their ids.
func (f *fake) of(of address.Fingerprint) (all []signup.Person) {
	for _, id := range slices.Sorted(maps.Keys(f.people)) {
		if p := f.people[id]; p.Address.Fingerprint([]byte(secret)) == of {
			all = append(all, p)
		}
	}
	return all
}

func (f *fake) Progress(context.Context, string) (signup.Progress, error) { return f.progress, f.err }

func (f *fake) Resend(_ context.Context, r signup.Resend) (signup.Progress, bool, error) {
	f.resends = append(f.resends, r)
	return f.progress, f.made, f.err
}

func (f *fake) Ask(_ context.Context, r signup.SignInRequest) error {
	f.asked = append(f.asked, r)
	return f.err
}

func (f *fake) Mint(_ context.Context, id onboarding.MailID) (signup.Mint, error) {
	m, ok := f.mints[id]
	if f.err == nil && !ok {
		return signup.Mint{}, signup.ErrLinkDead
	}
	return m, f.err
}

func (f *fake) Try(_ context.Context, subject string, most int) (all []signup.Mint, err error) {
	if err := f.tryErr[subject]; err != nil {
		return nil, err
	}
	if f.tries[subject] >= most {
		return nil, signup.ErrTries
	}
	f.tries[subject]++
	for id, m := range f.mints {
		if id.Subject() == subject {
			m.Address = address.Address{}
			all = append(all, m)
		}
	}
	return all, f.err
}

func (f *fake) Redeem(_ context.Context, r signup.Redemption) (signup.Redeemed, error) {
	f.redeemed = append(f.redeemed, r)
	if len(f.redeemed) <= f.lost {
		return signup.Redeemed{}, signup.ErrUnavailable
	}
	return f.redemption, f.redeemErr
}

func (f *fake) Session(_ context.Context, id string) (signup.Session, signup.Person, error) {
	s, ok := f.sessions[id]
	if f.err == nil && !ok {
		return signup.Session{}, signup.Person{}, signup.ErrNotFound
	}
	return s, f.people[s.Account], f.err
}

func (f *fake) Seen(_ context.Context, id string) error {
	f.seen = append(f.seen, id)
	return signup.ErrUnavailable
}

func (f *fake) Rotate(_ context.Context, r signup.Rotation) (signup.Session, error) {
	f.rotation = r
	return f.sessions[r.ID], f.err
}

func (f *fake) Sessions(_ context.Context, account string) (all []signup.Session, err error) {
	for _, s := range f.sessions {
		if s.Account == account {
			all = append(all, s)
		}
	}
	return all, f.err
}

func (f *fake) EndSession(_ context.Context, account, id string) error {
	if f.err == nil && f.sessions[id].Account != account {
		return signup.ErrNotFound
	}
	delete(f.sessions, id)
	return f.err
}

func (f *fake) EndSessions(_ context.Context, _ string) (int, error) { return len(f.sessions), f.err }

func (f *fake) Export(_ context.Context, id string) (signup.Dossier, error) {
	return signup.Dossier{Person: f.people[id]}, f.err
}

func (f *fake) Erase(_ context.Context, id string) error {
	if f.err == nil {
		f.erased = append(f.erased, id)
		delete(f.people, id)
	}
	return f.err
}

func (f *fake) Purge(_ context.Context, r signup.Retention) (signup.Purged, error) {
	a := f.purge(r)
	return a.purged, a.err
}

// answer is what came of a purge.
type answer struct {
	purged signup.Purged
	err    error
}

// secret is what the fingerprints in these tests are made with.
const secret = "the secret of an installation"

var links = onboarding.NewLinks("https://signup.example.com", []byte("the key of links and codes"))

// over makes a service over a store, with the settings a test changes.
func over(store signup.Store, change ...func(*signup.Settings)) *signup.Service {
	s := signup.Settings{Links: links, Secret: []byte(secret)}
	for _, c := range change {
		c(&s)
	}
	return signup.NewService(store, s)
}

func parse(t testing.TB, email string) address.Address {
	t.Helper()
	a, err := address.Parse(email)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func fingerprint(t testing.TB, email string) address.Fingerprint {
	t.Helper()
	return parse(t, email).Fingerprint([]byte(secret))
}

// join stores a sign-up of an address and returns its id.
func (f *fake) join(t testing.TB, email string, status signup.Status) string {
	t.Helper()
	id := uuid.NewString()
	f.people[id] = signup.Person{ID: id, First: "Ada", Address: parse(t, email), Status: status}
	return id
}

// mail stores a mint, as if its mail was sent some time ago.
func (f *fake) mail(id onboarding.MailID, number int, v onboarding.Variant, age time.Duration) signup.Mint {
	m := signup.Mint{Mail: id, Number: number, Variant: v, Age: age, Address: f.people[id.Subject()].Address, Locale: "de"}
	f.mints[id] = m
	return m
}

// token is what a mint's link ends with.
func token(t testing.TB, m signup.Mint) string {
	t.Helper()
	link, err := links.Link(m.Mail, m.Number)
	if err != nil {
		t.Fatal(err)
	}
	return link[strings.LastIndexByte(link, '/')+1:]
}
