package app

import (
	"context"
	"fmt"

	"bellhop/internal/onboarding"
	"bellhop/internal/signup"
)

// people makes the domain of people over the store. notify may be nil.
func (h *house) people(ctx context.Context, notify func(onboarding.Lane)) (*signup.Service, error) {
	mint, err := h.store.SharedKey(ctx, "mint", freshKey())
	if err != nil {
		return nil, fmt.Errorf("read the mint key: %w", err)
	}
	secret, err := h.store.SharedKey(ctx, "address", freshKey())
	if err != nil {
		return nil, fmt.Errorf("read the key of fingerprints: %w", err)
	}
	return signup.NewService(h.store, signup.Settings{
		Policy: h.policy, Links: onboarding.NewLinks(h.publicURL.String(), mint), Secret: secret, Notify: notify,
	}), nil
}
