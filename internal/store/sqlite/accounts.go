package sqlite

import (
	"context"
	"errors"

	"bellhop/internal/address"
	"bellhop/internal/onboarding"
	"bellhop/internal/signup"
)

var errUnbuilt = errors.New("not built yet")

func (s *Store) People(ctx context.Context, f address.Fingerprint) ([]signup.Person, error) {
	return nil, errUnbuilt
}

func (s *Store) Progress(ctx context.Context, id string) (signup.Progress, error) {
	return signup.Progress{}, errUnbuilt
}

func (s *Store) Resend(ctx context.Context, r signup.Resend) (p signup.Progress, made bool, err error) {
	return signup.Progress{}, false, errUnbuilt
}

func (s *Store) Ask(ctx context.Context, r signup.SignInRequest) error { return errUnbuilt }

func (s *Store) Mint(ctx context.Context, id onboarding.MailID) (signup.Mint, error) {
	return signup.Mint{}, errUnbuilt
}

func (s *Store) Try(ctx context.Context, subject string, most int) ([]signup.Mint, error) {
	return nil, errUnbuilt
}

func (s *Store) Redeem(ctx context.Context, r signup.Redemption) (signup.Redeemed, error) {
	return signup.Redeemed{}, errUnbuilt
}

func (s *Store) Session(ctx context.Context, id string) (signup.Session, signup.Person, error) {
	return signup.Session{}, signup.Person{}, errUnbuilt
}

func (s *Store) Seen(ctx context.Context, id string) error { return errUnbuilt }

func (s *Store) Rotate(ctx context.Context, r signup.Rotation) (signup.Session, error) {
	return signup.Session{}, errUnbuilt
}

func (s *Store) Sessions(ctx context.Context, account string) ([]signup.Session, error) {
	return nil, errUnbuilt
}

func (s *Store) EndSession(ctx context.Context, account, id string) error { return errUnbuilt }

func (s *Store) EndSessions(ctx context.Context, account string) (int, error) { return 0, errUnbuilt }

func (s *Store) Export(ctx context.Context, id string) (signup.Dossier, error) {
	return signup.Dossier{}, errUnbuilt
}

func (s *Store) Purge(ctx context.Context, r signup.Retention) (signup.Purged, error) {
	return signup.Purged{}, errUnbuilt
}

func (s *Store) Document(ctx context.Context, name string) (value []byte, version int64, err error) {
	return nil, 0, errUnbuilt
}

func (s *Store) SetDocument(ctx context.Context, name string, value []byte, version int64) (set bool, err error) {
	return false, errUnbuilt
}
