package redis_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"bellhop/internal/onboarding"
	"bellhop/internal/redistest"

	goredis "github.com/redis/go-redis/v9"
)

// startHand is a hand on a server of its own.
func startHand(t *testing.T) *hand {
	t.Helper()
	return newHand(t, redistest.Start(t, redistest.Options{}).URL(0))
}

// raw is the server itself, behind the store's back.
func (h *hand) raw() *goredis.Client {
	h.t.Helper()
	options, err := goredis.ParseURL(h.url)
	ok(h.t, err)
	options.Protocol = 2
	client := goredis.NewClient(options)
	h.t.Cleanup(func() { _ = client.Close() })
	return client
}

// row is what the server keeps of a mail.
func (h *hand) row(number int) map[string]string {
	h.t.Helper()
	row, err := h.raw().HGetAll(h.ctx, fmt.Sprintf("{bellhop}:mail:%012d", number)).Result()
	ok(h.t, err)
	return row
}

// unchanged fails the test if a call changes anything.
func (h *hand) unchanged(what string, call func()) {
	h.t.Helper()
	before := dump(h.t, h.url)
	call()
	for _, d := range differences(dump(h.t, h.url), before) {
		h.t.Errorf("%s changed something: %s", what, d)
	}
}

func (h *hand) state(want onboarding.State) {
	h.t.Helper()
	if got := audit(h.t, h.Store)[h.mail].State; got != want {
		h.t.Errorf("the mail is %s, want %s", got, want)
	}
}

func (h *hand) copies(want int64) {
	h.t.Helper()
	books, err := h.Books(h.ctx)
	ok(h.t, err)
	if books.Copies != want {
		h.t.Errorf("%d copies are counted, want %d", books.Copies, want)
	}
}

// A process of an older version meets mails that only a later one can send. A
// message that means nothing must be refused all the same, or it comes again for
// ever.
func TestAMailOfAnUnknownPurposeIsRefusedWhenItMeansNothing(t *testing.T) {
	h := startHand(t)
	id := h.nextID()
	h.mail = onboarding.NewMailID(id, "from-a-later-version", 1)
	claim := h.newClaim(onboarding.Ref{Mail: h.mail, Gen: 1}, me)
	if _, err := h.Claim(h.ctx, claim); !errors.Is(err, onboarding.ErrRefused) {
		t.Errorf("a mail that is not there: %v, want %v", err, onboarding.ErrRefused)
	}

	a := form(id, 1, false)
	a.Mails = []onboarding.Owed{{ID: h.mail, Expiry: time.Hour}}
	_, err := h.Accept(h.ctx, a)
	ok(t, err)
	h.unchanged("a claim by who cannot send the mail", func() {
		if _, err := h.Claim(h.ctx, claim); err == nil || errors.Is(err, onboarding.ErrRefused) {
			t.Errorf("a mail that somebody else can send: %v, want another error than a refusal", err)
		}
	})
	h.clock.Advance(time.Hour)
	held, err := h.Claim(h.ctx, claim)
	ok(t, err)
	if held.State != onboarding.Expired {
		t.Errorf("after its expiry it is %s, want it expired", held.State)
	}
	sound(t, h.Store, h.url)
}

func TestAnAcceptanceThatOwesAMailTwiceStoresNothing(t *testing.T) {
	h := startHand(t)
	a := form(h.nextID(), 1, true)
	a.Mails = append(a.Mails, a.Mails[0])
	h.unchanged("an acceptance that was refused", func() {
		if _, err := h.Accept(h.ctx, a); err == nil {
			t.Error("a mail was owed twice at once")
		}
	})
}

// A mail may be owed to a person who was erased before it was created.
func TestAMailOwedToNobodyEndsCancelled(t *testing.T) {
	h := startHand(t)
	h.due()
	erased := h.mail.Subject()
	ok(t, h.Erase(h.ctx, erased))
	a := form(h.nextID(), 2, false)
	for _, subject := range []string{erased, subject(9)} {
		a.Mails = append(a.Mails, onboarding.Owed{ID: onboarding.NewMailID(subject, onboarding.SignUp, 2), Expiry: time.Hour})
	}
	_, err := h.Accept(h.ctx, a)
	ok(t, err)
	for _, owed := range a.Mails[1:] {
		held, err := h.Claim(h.ctx, h.newClaim(onboarding.Ref{Mail: owed.ID, Gen: 1}, me))
		ok(t, err)
		if held.State != onboarding.Cancelled || held.To != "" {
			t.Errorf("a mail to nobody is %s, want it cancelled", held.State)
		}
	}
	sound(t, h.Store, h.url)
}

// The variants a mail can have may change between two claims.
func TestTheVariantOnceChosenStays(t *testing.T) {
	h := startHand(t)
	ref := h.due()
	ok(t, h.raw().HSet(h.ctx, "{bellhop}:mail:000000000001", "variant", "another").Err())
	held, err := h.Claim(h.ctx, h.newClaim(ref, me))
	ok(t, err)
	if held.Variant != "another" {
		t.Errorf("the variant was chosen again: %q", held.Variant)
	}
}

// I5: a link lives from the moment it is sent.
func TestTheTimeOfTheLastMintIsKept(t *testing.T) {
	h := startHand(t)
	h.sending()
	h.clock.Advance(time.Minute)
	h.commit()
	want := fmt.Sprint(h.clock.Now().UnixMilli())
	if row := h.row(1); row["mint"] != "1" || row["minted"] != want {
		t.Errorf("mint %s at %s, want 1 at %s", row["mint"], row["minted"], want)
	}
}

func TestALateDotIsForTheHolderOfTheMailOnly(t *testing.T) {
	h := startHand(t)
	h.beat(me, other)
	h.committing()
	ok(t, h.Check(h.ctx, h.claim))
	holder, op := h.claim, h.claim
	holder.Holder, op.Op = other, "another"
	for _, c := range []onboarding.Claim{holder, op} {
		if err := h.Check(h.ctx, c); !errors.Is(err, onboarding.ErrRefused) {
			t.Errorf("a claim by %s as %s may write the dot: %v", c.Holder, c.Op, err)
		}
	}
}

// I4: a copy that was certainly not delivered is none, also when that is learnt
// late, and leaves room for another.
func TestACopyThatWasNotDeliveredIsNotCounted(t *testing.T) {
	late := startHand(t)
	late.copying()
	late.commit()
	late.record(onboarding.Unknown)
	late.copies(1)
	late.record(onboarding.Due)
	late.copies(0)

	p := onboarding.DefaultPolicy()
	p.MaxCopies = 2
	h := newHandWith(t, redistest.Start(t, redistest.Options{}).URL(0), p)
	h.copying()
	h.commit()
	h.record(onboarding.Due)
	h.clock.Advance(time.Hour)
	h.take(onboarding.Ref{Mail: h.mail, Gen: 3}, me)
	h.commit()
	h.record(onboarding.Unknown)
	h.copies(1)
	if audit(t, h.Store)[h.mail].Held {
		t.Error("the mail is held although one more copy may be made")
	}
}

// I2: whatever was sent before a mail was called off means nothing.
func TestCancellingRaisesTheGeneration(t *testing.T) {
	h := startHand(t)
	h.due()
	h.cancelled()
	if gen := h.row(1)["gen"]; gen != "2" {
		t.Errorf("the generation is %s, want 2", gen)
	}
}

func TestWhatArrivedIsNeverAheadOfTheClock(t *testing.T) {
	h := startHand(t)
	ok(t, h.Arrived(h.ctx, onboarding.Urgent, h.clock.Now().Add(time.Hour)))
	lane, err := h.Lane(h.ctx, onboarding.Urgent)
	ok(t, err)
	if lane.Arrived.After(h.clock.Now()) {
		t.Errorf("at %v something arrived that was sent at %v", h.clock.Now(), lane.Arrived)
	}
}

// Nothing of a person is left in any key, not even what mail servers said.
func TestAfterErasingNothingPersonalIsLeft(t *testing.T) {
	h := startHand(t)
	a := form(h.nextID(), 1, true)
	a.Person.First, a.Person.Last = "Augusta", "King"
	_, err := h.Accept(h.ctx, a)
	ok(t, err)
	h.mail = a.Mails[0].ID
	said := result(onboarding.Unknown)
	said.Reply.Text = "the answer"
	h.take(onboarding.Ref{Mail: h.mail, Gen: 1}, me)
	h.commit()
	_, err = h.Record(h.ctx, h.claim, said)
	ok(t, err)
	words := []string{"Augusta", "King", "person1", "the answer"}
	for _, word := range words {
		if !strings.Contains(fmt.Sprint(dump(t, h.url)), word) {
			t.Errorf("%q is not there even before: this test proves nothing", word)
		}
	}
	ok(t, h.Erase(h.ctx, h.mail.Subject()))
	h.without(words)
	sound(t, h.Store, h.url)
}

// without wants words to be nowhere in the database.
func (h *hand) without(words []string) {
	h.t.Helper()
	for _, word := range words {
		for key, value := range dump(h.t, h.url) {
			if strings.Contains(value, word) {
				h.t.Errorf("%q is still in %s: %s", word, key, value)
			}
		}
	}
}

// Nor what they say later, however it ends.
func TestWhatIsSaidAfterErasingIsNotKept(t *testing.T) {
	for _, to := range []onboarding.State{onboarding.Sent, onboarding.Due, onboarding.Failed, onboarding.Unknown} {
		h := startHand(t)
		said := result(to)
		said.Reply.Text = "the answer"
		h.committing()
		ok(t, h.Erase(h.ctx, h.mail.Subject()))
		_, err := h.Record(h.ctx, h.claim, said)
		ok(t, err)
		h.without([]string{"the answer"})
		if to == onboarding.Unknown { // a late reply
			said.To = onboarding.Failed
			_, err := h.Record(h.ctx, h.claim, said)
			ok(t, err)
			h.without([]string{"the answer"})
		}
		sound(t, h.Store, h.url)
	}
}

// What a server threw away that was allowed to (maxmemory-policy) is gone. It
// must not keep anything else, and verify names it.
func TestARowThatVanishedStopsNothing(t *testing.T) {
	h := startHand(t)
	gone := map[onboarding.State]string{}
	for _, state := range []onboarding.State{onboarding.Due, onboarding.Queued, onboarding.Sending, onboarding.Unknown, onboarding.Failed} {
		for range 2 { // one of each vanishes
			h.reach(state)
		}
		gone[state] = fmt.Sprintf("{bellhop}:mail:%012d", h.forms-1)
	}
	for _, key := range gone {
		ok(t, h.raw().Del(h.ctx, key).Err())
	}
	refs, next, err := h.DueMails(h.ctx, onboarding.Urgent, 1)
	ok(t, err)
	if len(refs) != 0 || next != 0 {
		t.Errorf("due mails: %v, the next in %v; want none, and one more now", refs, next)
	}
	dead, _, err := h.DeadMails(h.ctx, "", 10)
	ok(t, err)
	if len(dead) != 1 || dead[0].ID == "" {
		t.Errorf("given up: %v, want one", dead)
	}
	h.clock.Advance(time.Second)
	ok(t, h.Arrived(h.ctx, onboarding.Urgent, h.clock.Now()))
	h.beat(me)
	h.live(2*time.Minute, me)
	swept, err := h.Sweep(h.ctx, me, 100)
	ok(t, err)
	if swept.Copied != 1 || swept.Requeued < 1 || swept.Recovered < 1 {
		t.Errorf("a sweep did %+v, want what is there recovered, copied and requeued", swept)
	}
	refs, _, err = h.DueMails(h.ctx, onboarding.Urgent, 100)
	ok(t, err)
	if len(refs) != 4 {
		t.Errorf("%d mails are due, want the four that are left", len(refs))
	}
	for _, structure := range []string{"due:urgent", "queued:urgent", "held:" + string(other), "unknown"} {
		for _, key := range gone {
			number := strings.TrimPrefix(key, "{bellhop}:mail:")
			if h.raw().ZScore(h.ctx, "{bellhop}:"+structure, number).Err() == nil {
				t.Errorf("%s still names mail %s", structure, number)
			}
		}
	}
	report, err := onboarding.Verify(h.ctx, h.Store, h.policy)
	ok(t, err)
	if len(report.Lost) != 2*len(gone) { // the row of a mail, and the mail of a sign-up
		t.Errorf("verify calls lost: %v, want the %d that are gone", report.Lost, len(gone))
	}
}

// reach makes a new mail of a state; who sends it is not heard of again.
func (h *hand) reach(state onboarding.State) {
	h.t.Helper()
	switch state {
	case onboarding.Due:
		h.due()
	case onboarding.Queued:
		h.queued()
	case onboarding.Sending:
		h.take(h.due(), other)
	default:
		h.in(state)
	}
	h.state(state)
}
