package storetest

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"bellhop/internal/onboarding"
	"bellhop/internal/signup"
)

// filled names what fill made, for the tests that ask for one of it.
type filled struct {
	keyed     []keyed           // by keys that are known: the first for longest, the last of one who is erased
	older     keyed             // by a key of an older program
	forgotten signup.Acceptance // by a key whose time is over
	erased    []onboarding.MailID
	copyDue   onboarding.MailID // an unknown whose copy is due
	queued    onboarding.Ref    // as its message has it
	secret    []byte            // "mint"
	all       []onboarding.MailID
	citizens
}

// keyed is a form that came under a key, and what came of it.
type keyed struct {
	form   signup.Acceptance
	stored signup.Accepted
}

// fill brings a store to where every state and every column is in use.
func fill(w *world) (f filled) {
	f.secret = []byte("the mint key of these stores")
	_, err := w.Store.SharedKey(w.ctx, "mint", f.secret)
	w.must(err)
	_, err = w.Store.SharedKey(w.ctx, "pending", []byte{0, 1, 2, 255})
	w.must(err)
	f.forgotten = w.acceptKeyed(1).form
	w.acceptKeyed(4)
	w.Advance(20 * time.Hour)
	f.keyed = append(f.keyed, w.acceptKeyed(2))
	w.Advance(5 * time.Hour)
	w.acceptKeyed(4) // somebody else's by now
	w.fillUnknown()
	f.copyDue = w.copyDue()
	w.fillEnds()
	f.keyed = append(f.keyed, w.acceptKeyed(3))
	f.erased = w.fillErased(f.keyed[1])
	f.older.form = withKey(w.acceptance(), 5)
	f.older.form.Key.Form = [16]byte{}
	f.older.stored = w.acceptForm(f.older.form)
	w.fillBulk()
	f.citizens = w.fillAccounts()
	f.queued = w.ref(w.accept())
	w.must(w.Store.Relayed(w.ctx, []onboarding.Ref{f.queued}))
	w.Advance(30 * time.Second)
	for _, state := range onboarding.States() {
		if state != onboarding.Suppressed { // fillAccounts has some
			w.in(state)
		}
	}
	_, err = w.Store.Cancel(w.ctx, w.in(onboarding.Committing).Subject(), "called off past the dot")
	w.must(err)
	for _, row := range w.rows() {
		f.all = append(f.all, row.ID)
	}
	return f
}

func (w *world) acceptKeyed(key byte) keyed {
	w.Helper()
	a := withKey(w.acceptance(), key)
	return keyed{a, w.acceptForm(a)}
}

// fillUnknown makes what an unknown can lead to: a copy that ended unknown as
// well and is held, one that was not delivered, and a late reply.
func (w *world) fillUnknown() {
	held, undelivered, differing := w.copyDue(), w.copyDue(), w.copyDue()
	h := w.claim(differing)
	w.must(w.Store.Committing(w.ctx, h.Claim, onboarding.Rendered{Mint: h.NextMint(), BodyHash: [32]byte{8}}))
	w.record(h.Claim, to(onboarding.Sent))
	w.record(w.committing(held).Claim, to(onboarding.Unknown))
	r := to(onboarding.Due)
	r.After = time.Hour
	r.Reply = onboarding.Reply{Phase: "dot", Code: 451, Enhanced: "4.3.0", Text: "later, please"}
	w.record(w.committing(undelivered).Claim, r)
	w.record(w.unknown().Claim, to(onboarding.Sent))
	w.must(w.Store.Replay(w.ctx, w.heldUnknown()))
}

// heldUnknown is an unknown that waits for an operator.
func (w *world) heldUnknown() onboarding.MailID {
	w.Helper()
	id := w.copyDue()
	w.record(w.committing(id).Claim, to(onboarding.Unknown))
	return id
}

// fillEnds makes mails that were answered, replayed, claimed in vain, or wait.
func (w *world) fillEnds() {
	r := to(onboarding.Failed)
	r.Reply = onboarding.Reply{Phase: "rcpt", Code: 550, Enhanced: "5.1.1", Text: "no such user here"}
	w.record(w.claim(w.accept()).Claim, r)
	w.must(w.Store.Replay(w.ctx, w.in(onboarding.Failed)))
	w.heartbeat(other)
	_, err := w.Store.Claim(w.ctx, w.newClaim(w.ref(w.accept()), other))
	w.must(err)
	w.must(w.Store.Leave(w.ctx, other))
	r = to(onboarding.Due)
	r.After = 10 * time.Minute
	w.record(w.committing(w.accept()).Claim, r)
}

// fillErased makes sign-ups of people who are not there any more: one before
// and one after the mail was sent, and one with a key.
func (w *world) fillErased(k keyed) []onboarding.MailID {
	w.Helper()
	gone := []onboarding.MailID{w.accept(), w.in(onboarding.Sent), k.form.Mails[0].ID}
	for _, id := range gone {
		w.erase(id)
	}
	return gone
}

// fillBulk makes mails of the other lane.
func (w *world) fillBulk() {
	a := w.acceptance()
	a.Mails = append(a.Mails, owed(a.Person.ID, bulkPurpose, 1), owed(a.Person.ID, bulkPurpose, 2))
	_, err := w.Store.Accept(w.ctx, a)
	w.must(err)
	w.must(w.Store.Relayed(w.ctx, []onboarding.Ref{{Mail: a.Mails[1].ID, Gen: 1}}))
	w.must(w.Store.Arrived(w.ctx, onboarding.Bulk, w.Now().Add(-time.Minute)))
}

// sight is all that can be seen of a store from outside.
type sight struct {
	Books   onboarding.Books
	Rows    []onboarding.AuditRow
	Dead    []onboarding.DeadMail
	Due     map[onboarding.Lane][]onboarding.Ref
	Lanes   []onboarding.LaneProgress
	Missing []string
	People  []signup.Person
	Report  onboarding.Report

	Dossiers  map[string]string // of everybody who has signed up
	Progress  map[string]signup.Progress
	Mints     map[onboarding.MailID]signup.Mint
	Documents map[string]string
}

// see looks at everything. Of a purged mail there is no more to see than that.
func (w *world) see() (s sight) {
	w.Helper()
	s.Books, s.Rows = w.books(), w.rows()
	var err error
	s.Dead, _, err = w.Store.DeadMails(w.ctx, "", 1000)
	w.must(err)
	s.Missing, _, err = w.Store.MissingMails(w.ctx, 0, 1000)
	w.must(err)
	s.Due = map[onboarding.Lane][]onboarding.Ref{}
	for _, lane := range onboarding.Lanes() {
		refs, _, err := w.Store.DueMails(w.ctx, lane, 1000)
		w.must(err)
		slices.SortFunc(refs, func(a, b onboarding.Ref) int { return strings.Compare(string(a.Mail), string(b.Mail)) })
		s.Due[lane] = refs
		progress, err := w.Store.Lane(w.ctx, lane)
		w.must(err)
		s.Lanes = append(s.Lanes, progress)
	}
	for i, row := range s.Rows {
		if row.State == onboarding.Purged {
			s.Rows[i].ID, s.Rows[i].Attempts = "", nil
			continue
		}
		if p, err := w.Store.Person(w.ctx, row.ID.Subject()); err == nil {
			s.People = append(s.People, p)
		} else {
			w.wantErr(err, signup.ErrNotFound)
		}
	}
	s.Report, err = onboarding.Verify(w.ctx, w.Store, w.policy)
	w.must(err)
	w.seeAccounts(&s)
	return s
}

// seeAccounts looks at everything that accounts add.
func (w *world) seeAccounts(s *sight) {
	w.Helper()
	s.Dossiers, s.Progress = map[string]string{}, map[string]signup.Progress{}
	s.Mints, s.Documents = map[onboarding.MailID]signup.Mint{}, map[string]string{}
	for _, p := range s.People {
		s.Dossiers[p.ID] = fmt.Sprintf("%s %+v", p.Address.Typed(), w.wholeDossier(p.ID))
	}
	for _, row := range s.Rows {
		subject := row.ID.Subject()
		if progress, err := w.Store.Progress(w.ctx, subject); err == nil {
			s.Progress[subject] = progress
		} else {
			w.wantErr(err, signup.ErrNotFound)
		}
		if mint, err := w.Store.Mint(w.ctx, row.ID); err == nil {
			s.Mints[row.ID] = mint
		} else {
			w.wantErr(err, signup.ErrLinkDead)
		}
	}
	for _, name := range []string{"signing-keys", "empty", "none"} {
		value, version, err := w.Store.Document(w.ctx, name)
		w.must(err)
		s.Documents[name] = fmt.Sprint(version, value)
	}
}

// same compares what is seen with what should be.
func (w *world) same(got, want sight) {
	w.Helper()
	g, x := reflect.ValueOf(got), reflect.ValueOf(want)
	for i := range g.NumField() {
		w.sameValue(g.Type().Field(i).Name, g.Field(i), x.Field(i))
	}
}

// sameValue says of a map only what differs: there may be much in it.
func (w *world) sameValue(what string, got, want reflect.Value) {
	w.Helper()
	if a, b := got.Interface(), want.Interface(); reflect.DeepEqual(a, b) {
		return
	}
	if got.Kind() != reflect.Map || got.Len() != want.Len() {
		w.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
		return
	}
	for _, key := range want.MapKeys() {
		if in := got.MapIndex(key); in.IsValid() {
			w.sameValue(fmt.Sprint(what, " ", key), in, want.MapIndex(key))
		} else {
			w.Errorf("%s: %v is not there", what, key)
		}
	}
}
