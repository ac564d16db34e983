package sqlite

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"bellhop/internal/address"
	"bellhop/internal/onboarding"
	"bellhop/internal/signup"

	"github.com/google/uuid"
	"zombiezen.com/go/sqlite"
)

// Who shares an account's address is looked for before the commit that erases
// it. Whatever happens in between, nobody is forgotten.
func TestAnErasureTakesAlongWhoCameWhileItLooked(t *testing.T) {
	s, err := Open(Options{Path: filepath.Join(t.TempDir(), "s.db"), Policy: onboarding.DefaultPolicy()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	f := address.Fingerprint{1}
	account, early, older := signedUp(t, s, f), signedUp(t, s, f), signedUp(t, s, address.Fingerprint{})
	if again, _ := eraseWith(t, s, account, company{}); again {
		t.Error("a sign-up that is no account has no company to look for")
	}
	account = signedUp(t, s, f)
	before := companyOf(t, s, account)
	redeem(t, s, account, f)
	if again, err := eraseWith(t, s, account, before); err != nil || !again {
		t.Errorf("a sign-up became an account and was erased without looking for its company (%v)", err)
	}
	before = companyOf(t, s, account)
	late := signedUp(t, s, f)
	since := companySince(t, s, account, before) // when it looks once more, between two commits
	if want := []int64{number(t, s, early), number(t, s, late)}; !slices.Equal(since.numbers, want) || since.latest != want[1] {
		t.Errorf("when it looks again the company is %v up to %d, want %v", since.numbers, since.latest, want)
	}
	redeem(t, s, older, f)
	stranger := signedUp(t, s, address.Fingerprint{2})
	if again, err := eraseWith(t, s, account, before); err != nil || again {
		t.Fatalf("erase: again %v, %v", again, err)
	}
	for _, id := range []string{account, early, late, older} {
		if _, err := s.Person(context.Background(), id); err == nil {
			t.Errorf("sign-up %s is still there", id)
		}
	}
	if _, err := s.Person(context.Background(), stranger); err != nil {
		t.Errorf("the stranger: %v", err)
	}
	// The address is another's account by now: that was not looked for.
	early, late = signedUp(t, s, f), signedUp(t, s, f)
	before = companyOf(t, s, early)
	redeem(t, s, early, f)
	if len(before.numbers) != 0 || !slices.Contains(companyOf(t, s, early).numbers, number(t, s, late)) {
		t.Error("the company of an account is not that of its sign-up before")
	}
}

// I5: nor can anything be found of whoever shared the address of an account, of
// its sessions, or of what it stands for elsewhere. (Nothing was charged here:
// that would stay.)
func TestAnErasedAccountIsNotInTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.db")
	s, err := Open(Options{Path: path, Policy: onboarding.DefaultPolicy()})
	if err != nil {
		t.Fatal(err)
	}
	f := address.Fingerprint([]byte("canary of finger"))
	account, other := signedUp(t, s, f), signedUp(t, s, f)
	redeem(t, s, account, f)
	redeem(t, s, other, f)
	ctx := context.Background()
	request := uuid.NewString()
	err = s.Ask(ctx, signup.SignInRequest{
		ID: request, Fingerprint: f, Locale: "canary-locale",
		Mail: onboarding.Owed{ID: onboarding.NewMailID(request, onboarding.SignIn, 1), Expiry: time.Hour},
	})
	if err != nil {
		t.Fatal(err)
	}
	words := []string{"canary of finger", "canary of consent", "canary-locale", "canary of hashes", "ada@example.com"}
	if found := inFile(t, s, path, words); len(found) != len(words) {
		t.Fatalf("found only %q before erasing: the test looks in the wrong place", found)
	}
	if s, err = Open(Options{Path: path, Policy: onboarding.DefaultPolicy()}); err != nil {
		t.Fatal(err)
	}
	if err := s.Erase(ctx, account); err != nil {
		t.Fatal(err)
	}
	if found := inFile(t, s, path, words); len(found) > 0 {
		t.Errorf("%q can still be read in the file", found)
	}
}

// Nobody has to stop the program for that: the next purge empties the log. A
// reader that is in the way then only puts it off.
func TestPurgeTakesTheErasedOutOfTheLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.db")
	s, err := Open(Options{Path: path, Policy: onboarding.DefaultPolicy()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx := context.Background()
	purge := func() {
		t.Helper()
		if _, err := s.Purge(ctx, signup.Retention{Unconfirmed: time.Hour, SignIns: time.Hour, Limit: 10}); err != nil {
			t.Fatal(err)
		}
	}
	readable := func() bool {
		t.Helper()
		for _, suffix := range []string{"", "-wal"} {
			content, err := os.ReadFile(path + suffix)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(content, []byte("ada@example.com")) {
				return true
			}
		}
		return false
	}
	purge() // of what a crash before may have left: that is done
	if err := s.Erase(ctx, signedUp(t, s, address.Fingerprint{1})); err != nil {
		t.Fatal(err)
	}
	if !readable() {
		t.Fatal("it cannot be read right after erasing: the test looks in the wrong place")
	}
	err = s.db.Read(ctx, func(conn *sqlite.Conn) error {
		if _, _, err := one(conn, "SELECT count(*) FROM signups"); err != nil { // a read begins with its first row
			return err
		}
		purge()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if !readable() {
		t.Error("the log was emptied while somebody read it")
	}
	purge()
	if readable() {
		t.Error("what was erased can still be read")
	}
}

// What a mail server says of an erased person's mail is nowhere, however the
// attempt ends, and whenever that is learnt.
func TestWhatIsSaidAfterErasingIsNotKept(t *testing.T) {
	s := mustOpen(t, Options{Path: filepath.Join(t.TempDir(), "s.db")})
	ctx := context.Background()
	for _, to := range []onboarding.State{onboarding.Sent, onboarding.Due, onboarding.Failed, onboarding.Unknown} {
		id := signedUp(t, s, address.Fingerprint{3, to[0], to[1]})
		claim := onboarding.Claim{Ref: onboarding.Ref{Mail: onboarding.NewMailID(id, onboarding.SignUp, 1), Gen: 1}, Holder: "me", Op: string(to)}
		_, err := s.Claim(ctx, claim)
		err = errors.Join(err, s.Committing(ctx, claim, onboarding.Rendered{Mint: 1}), s.Erase(ctx, id))
		for _, end := range []onboarding.State{to, onboarding.Failed} { // of an unknown one, more is learnt
			_, recorded := s.Record(ctx, claim, onboarding.Result{To: end, Reply: onboarding.Reply{Code: 451, Text: "ada@example.com is busy"}})
			err = errors.Join(err, recorded)
		}
		if err != nil {
			t.Fatalf("%s: %v", to, err)
		}
	}
	err := s.db.Read(ctx, func(conn *sqlite.Conn) error {
		kept, _, err := one(conn, "SELECT (SELECT count(*) FROM mails WHERE answer <> '') + (SELECT count(*) FROM attempts WHERE answer <> '')")
		recorded, _, countErr := one(conn, "SELECT count(*) FROM mails WHERE code = 451")
		if kept != 0 || recorded != 4 {
			t.Errorf("of %d replies, %d texts are kept, want none of 4", recorded, kept)
		}
		return errors.Join(err, countErr)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// inFile closes a store and returns which words are in its file.
func inFile(t *testing.T, s *Store, path string, words []string) (found []string) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range words {
		if bytes.Contains(content, []byte(word)) {
			found = append(found, word)
		}
	}
	return found
}

func signedUp(t *testing.T, s *Store, f address.Fingerprint) string {
	t.Helper()
	to, err := address.Parse("ada@example.com")
	if err != nil {
		t.Fatal(err)
	}
	id := uuid.NewString()
	_, err = s.Accept(context.Background(), signup.Acceptance{
		Person: signup.Person{ID: id, First: "Ada", Address: to, Consent: signup.Consent{Text: "canary of consent"}}, Fingerprint: f,
		Mails: []onboarding.Owed{{ID: onboarding.NewMailID(id, onboarding.SignUp, 1), Expiry: time.Hour}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func redeem(t *testing.T, s *Store, id string, f address.Fingerprint) {
	t.Helper()
	ctx := context.Background()
	mail := onboarding.NewMailID(id, onboarding.SignUp, 1)
	session := signup.NewSession{ID: uuid.NewString(), Kind: signup.Browser, Idle: time.Hour, Life: time.Hour}
	copy(session.Hash[:], "canary of hashes")
	err := s.commit(ctx, func(t *tx) error { // as if it had been sent
		_, err := t.exec("UPDATE mails SET commits = 1, mint = 1, minted_at = ? WHERE id = ?", t.now, string(mail))
		return err
	})
	if err == nil {
		_, err = s.Redeem(ctx, signup.Redemption{
			Mail: mail, Number: 1, Within: time.Hour, Fingerprint: f, Welcome: time.Hour, Session: session,
		})
	}
	if err != nil {
		t.Fatal(err)
	}
}

func companyOf(t *testing.T, s *Store, id string) company {
	t.Helper()
	return companySince(t, s, id, company{})
}

func companySince(t *testing.T, s *Store, id string, before company) (c company) {
	t.Helper()
	err := s.look(context.Background(), func(t *tx) (err error) {
		c, err = t.companyOf(id, before)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func eraseWith(t *testing.T, s *Store, id string, along company) (again bool, err error) {
	t.Helper()
	err = s.commit(context.Background(), func(t *tx) (err error) {
		again, err = t.erase(id, along)
		return err
	})
	return again, err
}

func number(t *testing.T, s *Store, id string) (seq int64) {
	t.Helper()
	err := s.look(context.Background(), func(t *tx) (err error) {
		seq, _, err = one(t.conn, sqlSignUpNumber, id)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return seq
}
