package app

import (
	"context"
	"fmt"

	"bellhop/internal/token"
	"bellhop/internal/web"
)

// buildWeb makes the front desk, which people and apps come to.
func (h *house) buildWeb(ctx context.Context) error {
	desk := web.Config{
		PublicURL: h.publicURL, People: h.people, SessionLife: h.cfg.SessionLife, Readiness: h.ready, Mailbox: h.mailboxPage(),
		Guard: h.guard(), CORSOrigins: h.cfg.CORSOrigin, Metrics: h.metrics, Log: h.log,
	}
	if err := h.addTokens(ctx, &desk); err != nil {
		return err
	}
	var err error
	h.handler, err = web.New(desk)
	return err
}

// addTokens gives the desk what people carry, made with the keys in the store.
func (h *house) addTokens(ctx context.Context, desk *web.Config) (err error) {
	issuer := h.publicURL.String()
	if desk.SignUpTokens, err = token.NewPending(ctx, h.store, issuer, token.SignUpSession, nil); err != nil {
		return fmt.Errorf("read the key of pending sign-ups: %w", err)
	}
	if desk.SignInTokens, err = token.NewPending(ctx, h.store, issuer, token.SignInSession, nil); err != nil {
		return fmt.Errorf("read the key of pending sign-ins: %w", err)
	}
	if desk.Secrets, err = token.NewSecrets(ctx, h.store); err != nil {
		return fmt.Errorf("read the key of sessions: %w", err)
	}
	if desk.Stamps, err = token.NewStamps(ctx, h.store, nil); err != nil {
		return fmt.Errorf("read the key of forms: %w", err)
	}
	if h.access, err = token.NewAccess(ctx, h.store, h.accessConfig(), nil); err != nil {
		return fmt.Errorf("read the signing keys: %w", err)
	}
	desk.Access = h.access
	return nil
}

func (h *house) accessConfig() token.AccessConfig {
	c := token.AccessConfig{Issuer: h.publicURL.String(), Audience: h.cfg.Audience, Life: h.cfg.AccessLife, RotateEvery: h.cfg.KeyRotation}
	if c.Audience == "" {
		c.Audience = c.Issuer
	}
	return c
}

// guard is who may ask how often.
func (h *house) guard() web.Guard {
	return web.Guard{
		Limiter: h.limiter, Secret: h.limitSecret, PerIP: rateOf(h.cfg.LimitIP), Total: rateOf(h.cfg.LimitTotal),
		TrustedProxies: h.cfg.TrustedProxy, FormMin: h.cfg.FormMin, FormMax: h.cfg.FormMax,
	}
}
