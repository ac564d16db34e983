package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"bellhop/internal/address"
	"bellhop/internal/config"
	"bellhop/internal/control"
	"bellhop/internal/datadir"
	"bellhop/internal/mail/mailbox"
	"bellhop/internal/onboarding"
	"bellhop/internal/signup"
	"bellhop/internal/web"
)

// errNobody is returned when an operator names somebody who is not there.
var errNobody = errors.New("nothing is stored under this address or id")

// holding is how much is held about a sign-up or an account. Its JSON form is
// what travels over the control socket.
type holding struct {
	ID       string        `json:"id"`
	Status   signup.Status `json:"status"`
	Others   int           `json:"others"` // sign-ups that go with an account
	Mails    int           `json:"mails"`
	Owed     int           `json:"owed"` // of these, not finished
	Sessions int           `json:"sessions"`
	SignIns  int           `json:"signIns"`
}

func holdingOf(d signup.Dossier) holding {
	h := holding{ID: d.Person.ID, Status: d.Person.Status, Others: len(d.SignUps), Mails: len(d.Mails), Sessions: len(d.Sessions), SignIns: len(d.SignIns)}
	for _, m := range d.Mails {
		switch m.State {
		case onboarding.Due, onboarding.Queued, onboarding.Sending, onboarding.Committing, onboarding.Unknown:
			h.Owed++
		}
	}
	return h
}

// String says it in words, without anything personal.
func (h holding) String() string {
	what := "sign-up"
	if h.Status == signup.Confirmed {
		what = "account"
	}
	text := fmt.Sprintf("%s %s: %s", what, h.ID, count(h.Mails, "mail"))
	if h.Owed > 0 {
		text += fmt.Sprintf(" (%d still owed)", h.Owed)
	}
	if h.Status == signup.Confirmed {
		text += fmt.Sprintf(", %s, %s to sign in, %s more", count(h.Sessions, "session"), count(h.SignIns, "request"), count(h.Others, "sign-up"))
	}
	return text
}

// registry is what operators do about people.
type registry struct {
	people *signup.Service
	erased func() // is told of each erasure
}

// dossiers are everything that is held about whom an address or an id stands
// for: an account stands for all that goes with it. None if nothing is held.
func (r registry) dossiers(ctx context.Context, who string) (found []signup.Dossier, err error) {
	people, err := r.people.Find(ctx, who)
	if err != nil {
		return nil, ignore(err, signup.ErrNotFound)
	}
	for _, p := range people {
		d, err := r.people.Export(ctx, p.ID)
		switch {
		case errors.Is(err, signup.ErrNotFound): // erased meanwhile
		case err != nil:
			return nil, err
		default:
			found = append(found, d)
		}
	}
	return found, nil
}

func ignore(err, harmless error) error {
	if errors.Is(err, harmless) {
		return nil
	}
	return err
}

// find says how much is held.
func (r registry) find(ctx context.Context, who string) (found []holding, err error) {
	dossiers, err := r.dossiers(ctx, who)
	for _, d := range dossiers {
		found = append(found, holdingOf(d))
	}
	return found, err
}

// erase erases all of it, and says what it was: also who has signed up with an
// address without an account meanwhile.
func (r registry) erase(ctx context.Context, who string) (erased []holding, err error) {
	for {
		found, err := r.find(ctx, who)
		if err != nil || len(found) == 0 {
			return erased, err
		}
		for _, h := range found {
			if err := r.people.Erase(ctx, h.ID); err != nil {
				return erased, err
			}
			r.erased()
			erased = append(erased, h)
		}
	}
}

// export is everything that is held, as its owner would get it.
func (r registry) export(ctx context.Context, who string) (exported []json.RawMessage, err error) {
	dossiers, err := r.dossiers(ctx, who)
	for _, d := range dossiers {
		text, err := web.EncodeDossier(d)
		if err != nil {
			return nil, err
		}
		exported = append(exported, text)
	}
	return exported, err
}

// forgetAll throws away the mails to addresses that another process names.
func forgetAll(ctx context.Context, box *mailbox.Mailbox, texts []string) error {
	var addresses []address.Address
	for _, text := range texts {
		a, err := address.Parse(text)
		if err != nil {
			return err
		}
		addresses = append(addresses, a)
	}
	return box.Forget(ctx, addresses)
}

// about is a request over the control socket: whom it is about.
type about struct {
	Who string `json:"who"`
}

// erasure is a request over the control socket: whose mails to throw away.
type erasure struct {
	Addresses []string `json:"addresses"`
}

// erase is "bellhop erase".
func (p Program) erase(ctx context.Context, cfg *config.Erase) error {
	path, do, say := "/people/find", registry.find, "Nothing was erased. This is what --yes would erase:"
	if cfg.Yes {
		path, do, say = "/people/erase", registry.erase, "Erased:"
	}
	var found []holding
	err := p.aboutPeople(ctx, &cfg.Data, path, cfg.Who, &found, func(r registry) (err error) {
		found, err = do(r, ctx, cfg.Who)
		return err
	})
	if err == nil && len(found) == 0 {
		err = errNobody
	}
	if err != nil {
		return err
	}
	fmt.Fprintln(p.Stdout, say)
	for _, h := range found {
		fmt.Fprintf(p.Stdout, "  %s\n", h)
	}
	if !cfg.Yes {
		return errFindings
	}
	return nil
}

// export is "bellhop export".
func (p Program) export(ctx context.Context, cfg *config.Export) error {
	var found []json.RawMessage
	err := p.aboutPeople(ctx, &cfg.Data, "/people/export", cfg.Who, &found, func(r registry) (err error) {
		found, err = r.export(ctx, cfg.Who)
		return err
	})
	if err == nil && len(found) == 0 {
		err = errNobody
	}
	if err != nil {
		return err
	}
	out := json.NewEncoder(p.Stdout)
	out.SetIndent("", "  ")
	return out.Encode(map[string]any{"people": found})
}

// aboutPeople asks the process that has the embedded store, or opens the store
// for fn: one that no process holds, or that is in Redis.
func (p Program) aboutPeople(ctx context.Context, data *config.Data, path, who string, out any, fn func(registry) error) error {
	if data.Store.Embedded() {
		err := askHolder(ctx, data.DataDir, "POST", path, about{Who: who}, out)
		if !errors.Is(err, control.ErrNotRunning) {
			return err
		}
	}
	return p.withPeople(ctx, data, fn)
}

func (p Program) withPeople(ctx context.Context, data *config.Data, fn func(registry) error) error {
	return withStore(ctx, data, data.Store.Embedded(), func(r *rooms) error {
		secret, err := sharedKey(ctx, r.store, addressKey)
		if err != nil {
			return err
		}
		forget := func(ctx context.Context, addresses []address.Address) {
			if err := clearMailbox(ctx, data.DataDir, r.dir, addresses); err != nil {
				fmt.Fprintf(p.Stderr, "bellhop: warning: mails are left in the dev mailbox: %v\n", err)
			}
		}
		return fn(registry{people: signup.NewService(r.store, signup.Settings{Secret: secret, Forget: forget}), erased: func() {}})
	})
}

// clearMailbox throws mails out of the dev mailbox in a data directory: dir, if
// this process holds it. It need not be there.
func clearMailbox(ctx context.Context, path string, dir *datadir.Dir, addresses []address.Address) error {
	if dir == nil {
		var texts []string
		for _, a := range addresses {
			texts = append(texts, a.Sendable())
		}
		err := askHolder(ctx, path, "POST", "/mailbox/forget", erasure{Addresses: texts}, new(struct{}))
		if !errors.Is(err, control.ErrNotRunning) {
			return err
		}
		if dir, err = datadir.OpenExisting(path); err != nil {
			return ignore(err, datadir.ErrMissing)
		}
		defer dir.Close()
	}
	if _, err := os.Stat(dir.Path(mailboxDir)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	box, err := mailbox.Open(dir.Path(mailboxDir), 0)
	if err != nil {
		return err
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerWithin)
	defer cancel()
	return errors.Join(box.Forget(ctx, addresses), box.Close(closing))
}
