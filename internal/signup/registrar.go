package signup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"

	"bellhop/internal/address"
)

// Export returns everything that is held about a sign-up or an account.
// [ErrNotFound] if it is not there, or erased.
func (s *Service) Export(ctx context.Context, id string) (Dossier, error) {
	d, err := s.store.Export(ctx, id)
	if err != nil {
		return Dossier{}, fmt.Errorf("export: %w", err)
	}
	return d, nil
}

// Erase takes everything personal of a sign-up or an account out, as
// [Registrar] says. Erasing twice is harmless; [ErrNotFound] if it was never
// there.
func (s *Service) Erase(ctx context.Context, id string) error {
	freed, err := s.addressesOf(ctx, id)
	if err != nil {
		return fmt.Errorf("erase: %w", err)
	}
	if err := s.store.Erase(ctx, id); err != nil {
		return fmt.Errorf("erase: %w", err)
	}
	if len(freed) > 0 {
		s.set.Forget(context.WithoutCancel(ctx), freed) // it is done, whether or not anybody waits for the answer
	}
	return nil
}

// addressesOf lists the addresses that mails of a sign-up went to; of an
// account, also those of the other sign-ups that go with it.
func (s *Service) addressesOf(ctx context.Context, id string) ([]address.Address, error) {
	person, err := s.store.Person(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	all := []address.Address{person.Address}
	if person.Status != Confirmed {
		return all, nil
	}
	listed := map[string]bool{person.Address.Sendable(): true}
	err = s.others(ctx, person.Address.Fingerprint(s.set.Secret), func(other Person) {
		if written := other.Address.Sendable(); !listed[written] { // with one key they can differ in how they are written
			listed[written] = true
			all = append(all, other.Address)
		}
	})
	return all, err
}

// others hands on all sign-ups of an address but its account, in the order of
// [Registrar.Others], each once.
func (s *Service) others(ctx context.Context, f address.Fingerprint, hand func(Person)) error {
	after, handed := "", make(map[string]bool)
	for more := true; more; more = after != "" {
		page, next, err := s.store.Others(ctx, f, after)
		if err != nil {
			return err
		}
		for _, p := range page {
			if !handed[p.ID] {
				handed[p.ID] = true
				hand(p)
			}
		}
		after = next
	}
	return nil
}

var errWhat = errors.New("expected the id of a sign-up, or an e-mail address")

// Find returns what is stored under an id or an address, for an operator: of an
// address its account, which all its sign-ups go with, or else every one of
// them. [ErrNotFound] if there is nothing.
func (s *Service) Find(ctx context.Context, what string) ([]Person, error) {
	if id, err := uuid.Parse(what); err == nil {
		person, err := s.Person(ctx, id.String())
		if err != nil {
			return nil, err
		}
		return []Person{person}, nil
	}
	parsed, err := address.Parse(what)
	if err != nil {
		return nil, fmt.Errorf("find people: %w", errWhat)
	}
	people, err := s.ofAddress(ctx, parsed.Fingerprint(s.set.Secret))
	if err == nil && len(people) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("find people: %w", err)
	}
	return people, nil
}

// ofAddress is the account of an address, or all its sign-ups. Looking for the
// account is the last thing that it does: one of those that were listed may have
// become it.
func (s *Service) ofAddress(ctx context.Context, f address.Fingerprint) ([]Person, error) {
	var listed []Person
	for {
		people, err := s.store.People(ctx, f)
		switch {
		case err != nil:
			return nil, err
		case len(people) > 0 && people[0].Status == Confirmed:
			return people[:1], nil
		case len(people) < MostPeople:
			return people, nil
		case listed != nil:
			return listed, nil
		}
		if err = s.others(ctx, f, func(p Person) { listed = append(listed, p) }); err != nil {
			return nil, err
		}
	}
}

// How often what is over its time is purged, and how soon after the start at
// most.
const (
	purgeEvery  = 10 * time.Minute
	purgeWithin = time.Minute
)

// KeepRetention purges what is older than Settings.Retention, every 10 minutes,
// until ctx ends. It returns nil. Several processes may do so.
func (s *Service) KeepRetention(ctx context.Context, log *slog.Logger) error {
	failing := false
	for wait := rand.N(purgeWithin); ; wait = purgeEvery + rand.N(purgeEvery/10) {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		purged, err := s.purge(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && !failing:
			log.Warn("cannot purge what is over its time; trying again", "error", err)
		case err == nil && failing:
			log.Info("purging works again")
		}
		failing = err != nil
		if purged.SignUps+purged.SignIns+purged.Sessions > 0 {
			log.Info("purged what was over its time",
				"sign_ups", purged.SignUps, "sign_ins", purged.SignIns, "sessions", purged.Sessions)
		}
	}
}

// purge purges until nothing is left to purge.
func (s *Service) purge(ctx context.Context) (total Purged, err error) {
	for {
		purged, err := s.store.Purge(ctx, s.set.Retention)
		if err != nil {
			return total, fmt.Errorf("purge: %w", err)
		}
		total.SignUps += purged.SignUps
		total.SignIns += purged.SignIns
		total.Sessions += purged.Sessions
		if !purged.More || ctx.Err() != nil {
			return total, nil
		}
	}
}
