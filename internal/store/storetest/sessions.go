package storetest

import (
	"sync"
	"time"

	"bellhop/internal/signup"

	"github.com/google/uuid"
)

var sessionTests = []test{
	{name: "IsAsItWasOpened", run: sessionOpened},
	{name: "NotFoundWhenItIsNotThere", run: sessionNotFound},
	{name: "B3_5_EndsWhenItWasUnusedForTooLong", run: sessionIdle},
	{name: "B3_5_EndsAtTheLatestHoweverMuchItIsUsed", run: sessionLife},
	{name: "SeenIsExactToAMinute", run: sessionSeen},
	{name: "SeenOfOneThatIsNotThereIsHarmless", run: sessionSeenNowhere},
	{name: "SessionsAreTheAccountsNewestFirst", run: sessionsListed},
	{name: "EndSessionEndsOneOfTheAccount", run: sessionEnded},
	{name: "EndSessionsEndsAllOfTheAccount", run: sessionsEnded},
	{name: "B3_6_AnEndIsOnDiskWhenItReturns", run: sessionEndDurable},
}

var rotateTests = []test{
	{name: "ExchangesTheSecretForTheNext", run: rotates},
	{name: "IsAUse", run: rotateIsAUse},
	{name: "IsOnDiskWhenItReturns", run: rotateDurable},
	{name: "B3_5_WithinItsGraceTheOneBeforeGetsTheSameSuccessor", run: rotateGrace},
	{name: "B3_5_AfterItsGraceReuseEndsTheFamily", run: rotateReused},
	{name: "B3_5_TheGraceOfAClockThatWasSetBack", run: rotateReusedBeforeItsTime},
	{name: "B3_5_AnOlderOneEndsTheFamilyWithinAnyGrace", run: rotateOlder},
	{name: "AnotherHashIsNotFoundAndChangesNothing", run: rotateForged},
	{name: "NotFoundWhenItIsNotThere", run: rotateNotFound},
	{name: "OfManyAtOnceAllGetTheSameSuccessor", run: rotateConcurrently},
}

// session makes an account, and a session of it.
func (w *world) session(kind signup.SessionKind) (account signup.Person, s signup.NewSession) {
	w.Helper()
	who := w.someone()
	r := w.redemption(w.mailed(who), who)
	r.Session.Kind = kind
	return w.redeem(r).Account, r.Session
}

// another opens one more session of an account, by signing in.
func (w *world) another(of signup.Person) signup.NewSession {
	w.Helper()
	w.Advance(15 * time.Minute) // for the budget
	r := w.redemption(w.sent(w.ask(of.Address)), of.Address)
	w.redeem(r)
	return r.Session
}

func (w *world) theSession(id string) signup.Session {
	w.Helper()
	s, _, err := w.Store.Session(w.ctx, id)
	w.must(err)
	return s
}

func (w *world) noSession(id string) {
	w.Helper()
	_, _, err := w.Store.Session(w.ctx, id)
	w.wantErr(err, signup.ErrNotFound)
}

func (w *world) sessions(account string) (ids []string) {
	w.Helper()
	sessions, err := w.Store.Sessions(w.ctx, account)
	w.must(err)
	for _, s := range sessions {
		ids = append(ids, s.ID)
	}
	return ids
}

// sameSession compares sessions, times by their instant.
func sameSession(w *world, what string, got, want signup.Session) {
	w.Helper()
	for _, at := range []struct {
		what      string
		got, want *time.Time
	}{
		{"opened", &got.Opened, &want.Opened}, {"seen", &got.Seen, &want.Seen}, {"ends", &got.Ends, &want.Ends},
	} {
		equal(w, what+" "+at.what, at.got.UnixMilli(), at.want.UnixMilli())
		*at.got = *at.want
	}
	equal(w, what, got, want)
}

func sessionOpened(w *world) {
	account, opened := w.session(signup.Browser)
	want := signup.Session{
		ID: opened.ID, Account: account.ID, Kind: signup.Browser, Hash: opened.Hash,
		Opened: w.Now(), Seen: w.Now(), Ends: w.Now().Add(life),
	}
	w.Advance(time.Minute)
	s, of, err := w.Store.Session(w.ctx, opened.ID)
	w.must(err)
	sameSession(w, "the session", s, want)
	samePerson(w, "the account", of, account)
	sessions, err := w.Store.Sessions(w.ctx, account.ID)
	w.must(err)
	sameSession(w, "the session in the list", sessions[0], want)
}

func sessionNotFound(w *world) {
	w.session(signup.Browser)
	for _, id := range []string{uuid.NewString(), "", "no id"} {
		w.noSession(id)
	}
}

func sessionIdle(w *world) {
	account, s := w.session(signup.Browser)
	w.Advance(idle - time.Millisecond)
	w.theSession(s.ID)
	w.must(w.Store.Seen(w.ctx, s.ID))
	equal(w, "sessions", len(w.sessions(account.ID)), 1)
	w.Advance(idle - time.Millisecond)
	w.theSession(s.ID)
	w.Advance(time.Millisecond)
	w.noSession(s.ID)
	equal(w, "sessions", len(w.sessions(account.ID)), 0)
	w.must(w.Store.Seen(w.ctx, s.ID))
	w.noSession(s.ID)
	w.wantErr(w.Store.EndSession(w.ctx, account.ID, s.ID), signup.ErrNotFound)
	n, err := w.Store.EndSessions(w.ctx, account.ID)
	w.must(err)
	equal(w, "sessions ended", n, 0)
}

func sessionLife(w *world) {
	account, s := w.session(signup.Browser)
	for left := life; left > idle; left -= idle / 2 {
		w.Advance(idle / 2)
		w.must(w.Store.Seen(w.ctx, s.ID))
		equal(w, "sessions", len(w.sessions(account.ID)), 1)
	}
	w.Advance(w.theSession(s.ID).Ends.Sub(w.Now()) - time.Millisecond)
	w.theSession(s.ID)
	w.must(w.Store.Seen(w.ctx, s.ID))
	w.Advance(time.Millisecond)
	w.noSession(s.ID)
}

func (w *world) seen(account string) time.Time {
	w.Helper()
	sessions, err := w.Store.Sessions(w.ctx, account)
	w.must(err)
	equal(w, "sessions", len(sessions), 1)
	return sessions[0].Seen
}

func sessionSeen(w *world) {
	account, s := w.session(signup.Browser)
	opened := w.Now()
	w.Advance(time.Minute)
	w.must(w.Store.Seen(w.ctx, s.ID))
	equal(w, "seen", w.seen(account.ID).UnixMilli(), opened.UnixMilli())
	w.Advance(time.Millisecond)
	for range 200 { // whoever asks next sees it
		w.must(w.Store.Seen(w.ctx, s.ID))
		equal(w, "seen", w.seen(account.ID).UnixMilli(), w.Now().UnixMilli())
		w.Advance(time.Minute + time.Millisecond)
	}
}

func sessionSeenNowhere(w *world) {
	w.must(w.Store.Seen(w.ctx, uuid.NewString()))
	_, s := w.session(signup.Browser)
	account := w.theSession(s.ID).Account
	w.must(w.Store.EndSession(w.ctx, account, s.ID))
	w.Advance(time.Hour)
	w.must(w.Store.Seen(w.ctx, s.ID))
	w.noSession(s.ID)
}

func sessionsListed(w *world) {
	account, first := w.session(signup.API)
	stranger, theirs := w.session(signup.Browser)
	second, third := w.another(account), w.another(account)
	sameIDs(w, "sessions", w.sessions(account.ID), []string{third.ID, second.ID, first.ID})
	sameIDs(w, "sessions", w.sessions(stranger.ID), []string{theirs.ID})
	for _, id := range []string{uuid.NewString(), "", w.accept().Subject()} {
		equal(w, "sessions", len(w.sessions(id)), 0)
	}
}

func sessionEnded(w *world) {
	account, first := w.session(signup.API)
	stranger, theirs := w.session(signup.Browser)
	second := w.another(account)
	w.wantErr(w.Store.EndSession(w.ctx, stranger.ID, first.ID), signup.ErrNotFound)
	w.wantErr(w.Store.EndSession(w.ctx, account.ID, uuid.NewString()), signup.ErrNotFound)
	w.wantErr(w.Store.EndSession(w.ctx, uuid.NewString(), first.ID), signup.ErrNotFound)
	w.must(w.Store.EndSession(w.ctx, account.ID, first.ID))
	w.noSession(first.ID)
	w.theSession(second.ID)
	w.theSession(theirs.ID)
	w.wantErr(w.Store.EndSession(w.ctx, account.ID, first.ID), signup.ErrNotFound)
}

func sessionsEnded(w *world) {
	account, first := w.session(signup.API)
	_, theirs := w.session(signup.Browser)
	second := w.another(account)
	n, err := w.Store.EndSessions(w.ctx, account.ID)
	w.must(err)
	equal(w, "sessions ended", n, 2)
	w.noSession(first.ID)
	w.noSession(second.ID)
	w.theSession(theirs.ID)
	for _, id := range []string{account.ID, uuid.NewString(), ""} {
		n, err = w.Store.EndSessions(w.ctx, id)
		w.must(err)
		equal(w, "sessions ended", n, 0)
	}
	w.theSession(w.another(account).ID)
}

func sessionEndDurable(w *world) {
	account, first := w.session(signup.API)
	second, third := w.another(account), w.another(account)
	w.must(w.Store.EndSession(w.ctx, account.ID, first.ID))
	w.reopen()
	sameIDs(w, "sessions", w.sessions(account.ID), []string{third.ID, second.ID})
	_, err := w.Store.EndSessions(w.ctx, account.ID)
	w.must(err)
	w.reopen()
	for _, s := range []signup.NewSession{first, second, third} {
		w.noSession(s.ID)
	}
}

// grace is the tests' time in which an answer may have been lost.
const grace = 30 * time.Second

// rotation exchanges a session's first secret.
func rotation(s signup.NewSession) signup.Rotation {
	return signup.Rotation{ID: s.ID, Hash: s.Hash, Next: secretHash(s, 1), Grace: grace}
}

// secretHash stands for the hash of a session's secret of a number.
func secretHash(s signup.NewSession, number int) [32]byte {
	h := s.Hash
	h[31] += byte(number)
	return h
}

// next is the rotation that follows one.
func next(r signup.Rotation) signup.Rotation {
	r.Number, r.Hash = r.Number+1, r.Next
	r.Next[31]++
	return r
}

func (w *world) rotate(r signup.Rotation) signup.Session {
	w.Helper()
	s, err := w.Store.Rotate(w.ctx, r)
	w.must(err)
	return s
}

func (w *world) rotateFails(r signup.Rotation, want error) {
	w.Helper()
	_, err := w.Store.Rotate(w.ctx, r)
	w.wantErr(err, want)
}

func rotates(w *world) {
	_, opened := w.session(signup.API)
	want := w.theSession(opened.ID)
	for number := 1; number <= 3; number++ {
		w.Advance(time.Hour)
		want.Number, want.Hash, want.Seen = number, secretHash(opened, number), w.Now()
		r := rotation(opened)
		for range number - 1 {
			r = next(r)
		}
		sameSession(w, "the session", w.rotate(r), want)
		sameSession(w, "the session as it is stored", w.theSession(opened.ID), want)
	}
}

func rotateIsAUse(w *world) {
	_, opened := w.session(signup.API)
	w.Advance(idle - time.Hour)
	w.rotate(rotation(opened))
	w.Advance(idle - time.Hour)
	w.theSession(opened.ID)
	w.Advance(time.Hour)
	w.rotateFails(next(rotation(opened)), signup.ErrNotFound)
}

func rotateDurable(w *world) {
	_, opened := w.session(signup.API)
	r := rotation(opened)
	w.rotate(r)
	w.reopen()
	equal(w, "the number", w.theSession(opened.ID).Number, 1)
	equal(w, "the number", w.rotate(r).Number, 1) // the grace as well
	equal(w, "the number", w.rotate(next(r)).Number, 2)
	w.Advance(time.Hour)
	w.rotateFails(next(r), signup.ErrReused)
	w.reopen()
	w.noSession(opened.ID)
}

func rotateGrace(w *world) {
	_, opened := w.session(signup.API)
	r := rotation(opened)
	w.Advance(time.Hour)
	want := w.rotate(r)
	for range 3 {
		w.Advance(grace / 3)
		sameSession(w, "the session", w.rotate(r), want)
	}
	sameSession(w, "the session as it is stored", w.theSession(opened.ID), want)
	equal(w, "the number after the next", w.rotate(next(r)).Number, 2)
}

func rotateReused(w *world) {
	account, opened := w.session(signup.API)
	r := rotation(opened)
	w.rotate(r)
	w.Advance(grace + time.Millisecond)
	w.rotateFails(r, signup.ErrReused)
	w.noSession(opened.ID)
	w.rotateFails(r, signup.ErrNotFound)
	w.rotateFails(next(r), signup.ErrNotFound)
	equal(w, "sessions", len(w.sessions(account.ID)), 0)
}

// A clock that was set back makes no grace longer.
func rotateReusedBeforeItsTime(w *world) {
	_, opened := w.session(signup.API)
	w.Advance(time.Hour)
	r := rotation(opened)
	w.rotate(r)
	w.Advance(-grace / 2)
	w.rotate(r)
	w.Advance(-grace)
	w.rotateFails(r, signup.ErrReused)
	w.noSession(opened.ID)
}

func rotateOlder(w *world) {
	account, opened := w.session(signup.API)
	other := w.another(account)
	r := rotation(opened)
	w.rotate(r)
	w.rotate(next(r))
	w.rotateFails(r, signup.ErrReused)
	w.noSession(opened.ID)
	w.theSession(other.ID) // another family
}

func rotateForged(w *world) {
	_, opened := w.session(signup.API)
	r := rotation(opened)
	forged := r
	forged.Hash[0]++
	w.rotateFails(forged, signup.ErrNotFound)
	want := w.rotate(r)
	for _, forged := range []signup.Rotation{forged, next(forged)} { // the one before, and the one that holds
		forged.Hash[0]++
		w.rotateFails(forged, signup.ErrNotFound)
	}
	w.Advance(time.Hour)
	w.rotateFails(forged, signup.ErrNotFound)
	for _, number := range []int{2, 3, -1} { // there are none
		r := next(r)
		r.Number = number
		w.rotateFails(r, signup.ErrNotFound)
	}
	sameSession(w, "the session", w.theSession(opened.ID), want)
}

func rotateNotFound(w *world) {
	account, opened := w.session(signup.API)
	_, browser := w.session(signup.Browser)
	w.rotateFails(rotation(browser), signup.ErrNotFound)
	equal(w, "the browser's number", w.theSession(browser.ID).Number, 0)
	w.rotateFails(rotation(newSession(signup.API)), signup.ErrNotFound)
	r := rotation(opened)
	w.must(w.Store.EndSession(w.ctx, account.ID, opened.ID))
	w.rotateFails(r, signup.ErrNotFound)
	account, opened = w.session(signup.API)
	w.must(w.Store.Erase(w.ctx, account.ID))
	w.rotateFails(rotation(opened), signup.ErrNotFound)
}

func rotateConcurrently(w *world) {
	const callers = 16
	_, opened := w.session(signup.API)
	var group sync.WaitGroup
	for i := range callers {
		group.Go(func() {
			s, err := w.caller(i).Rotate(w.ctx, rotation(opened))
			if err != nil || s.Number != 1 || s.Hash != secretHash(opened, 1) {
				w.Errorf("rotate: number %d, %v", s.Number, err)
			}
		})
	}
	group.Wait()
	equal(w, "the number", w.theSession(opened.ID).Number, 1)
}
