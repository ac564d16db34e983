package app

import (
	"context"
	"fmt"
	"log/slog"

	"bellhop/internal/address"
	"bellhop/internal/config"
	"bellhop/internal/limit"
	"bellhop/internal/mail/mailbox"
	"bellhop/internal/onboarding"
	"bellhop/internal/signup"
	"bellhop/internal/token"
)

// sharedKey reads a secret that all processes of an installation have.
func sharedKey(ctx context.Context, keys token.Keys, name string) ([]byte, error) {
	key, err := keys.SharedKey(ctx, name, freshKey())
	if err != nil {
		return nil, fmt.Errorf("read the secret %q: %w", name, err)
	}
	return key, nil
}

// The names of the secrets that the store keeps, apart from those of tokens.
const (
	mintKey    = "mint"    // links and codes
	addressKey = "address" // fingerprints of addresses
	limitKey   = "limit"   // what is counted against limits
)

// newLimiter counts for all processes together where they share a store, and
// for this one otherwise.
func (r *rooms) newLimiter() limit.Limiter {
	if shared, ok := r.store.(limit.Limiter); ok {
		return shared
	}
	return limit.NewMemory(0, nil)
}

func rateOf(l config.Limit) limit.Rate { return limit.Rate{Events: l.Events, Per: l.Per} }

// buildPeople makes the domain of people over the store, for the roles that
// answer them or keep the store tidy.
func (h *house) buildPeople(ctx context.Context) error {
	mint, err := sharedKey(ctx, h.store, mintKey)
	if err != nil {
		return err
	}
	secret, err := sharedKey(ctx, h.store, addressKey)
	if err != nil {
		return err
	}
	if h.limitSecret, err = sharedKey(ctx, h.store, limitKey); err != nil {
		return err
	}
	h.limiter = h.newLimiter()
	settings := signup.Settings{
		Policy: h.policy, Links: onboarding.NewLinks(h.publicURL.String(), mint), Secret: secret,
		SessionIdle: h.cfg.SessionIdle, SessionLife: h.cfg.SessionLife,
		Retention:    signup.Retention{Unconfirmed: h.cfg.UnconfirmedRetention},
		AddressLimit: h.addressLimit(), Forget: h.forget(),
	}
	if h.relay != nil { // where another process relays, the store tells it
		settings.Notify = h.relay.Notify
	}
	h.people = signup.NewService(h.store, settings)
	return nil
}

// addressLimit counts the forms for an address.
func (h *house) addressLimit() func(context.Context, address.Fingerprint) bool {
	gate := limit.Gate{Limiter: h.limiter, Secret: h.limitSecret, Kind: "address", Rate: rateOf(h.cfg.LimitAddress)}
	return func(ctx context.Context, f address.Fingerprint) bool {
		over := gate.Over(ctx, f[:])
		if over {
			h.metrics.Muted("address")
		}
		return over
	}
}

// forget clears the dev mailbox, where this process has one.
func (h *house) forget() func(context.Context, []address.Address) {
	box, ok := h.transport.(*mailbox.Mailbox)
	if !ok {
		return nil
	}
	return func(ctx context.Context, addresses []address.Address) { forgetMails(ctx, box, addresses, h.log) }
}

// forgetMails takes somebody's mails out of a mailbox. Who was erased is erased,
// whoever has left meanwhile; what cannot be removed is for the operator.
func forgetMails(ctx context.Context, box *mailbox.Mailbox, addresses []address.Address, log *slog.Logger) {
	if err := box.Forget(context.WithoutCancel(ctx), addresses); err != nil {
		log.Error("mails of an erased person are left in the mailbox: remove them by hand", "error", err)
	}
}
