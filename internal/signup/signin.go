package signup

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/google/uuid"

	"bellhop/internal/address"
	"bellhop/internal/onboarding"
)

// SignInForm is what somebody who wants to sign in sends in. Nothing in it is
// trusted.
type SignInForm struct {
	Email string
	// Locale and Muted are as in [Form].
	Locale, Muted string
	// Device is what the browser holds that [Service.Device] made, if anything.
	Device string
}

// AskSignIn stores somebody's wish to sign in, with the mail it owes, in one
// commit, and returns the request's id and when that was, in whole seconds. It
// looks nobody up, so that nobody learns who has an account: the mail is
// cancelled later if nobody does. [*Invalid] for an address that cannot be one.
func (s *Service) AskSignIn(ctx context.Context, f SignInForm) (requestID string, asked time.Time, err error) {
	to, err := address.Parse(f.Email)
	if err != nil {
		var invalid Invalid
		invalid.add("email", err)
		return "", time.Time{}, &invalid
	}
	id, err := uuid.NewV7()
	if err != nil {
		return "", time.Time{}, fmt.Errorf("make the id of a request to sign in: %w", err)
	}
	request := SignInRequest{
		ID: id.String(), Fingerprint: to.Fingerprint(s.set.Secret), Budget: onboarding.BudgetSignIn, Locale: locale(f.Locale),
		Mail: onboarding.Owed{ID: onboarding.NewMailID(id.String(), onboarding.SignIn, 1), Expiry: s.set.Policy.ExpiryOf(onboarding.SignIn)},
	}
	if s.knows(f.Device, request.Fingerprint) { // strangers cannot use up what such a browser may do
		request.Budget, request.Muted = onboarding.BudgetDevice, f.Muted
	} else {
		request.Muted = s.mute(ctx, f.Muted, request.Fingerprint)
	}
	if err := s.store.Ask(ctx, request); err != nil {
		return "", time.Time{}, fmt.Errorf("store a request to sign in: %w", err)
	}
	s.set.Notify(onboarding.SignIn.Lane())
	return request.ID, time.Now().Truncate(time.Second), nil
}

// DeviceLife is how long a browser is known as one that was signed in.
const DeviceLife = 180 * day

const deviceMAC = 16

// Device is what a browser keeps to be known as one in which the account was
// signed in: for [DeviceLife] the mails to sign in that it asks for have a
// budget of their own. It tells nothing and opens nothing.
func (s *Service) Device(account Person) string {
	var raw [8 + deviceMAC]byte
	binary.BigEndian.PutUint64(raw[:], uint64(time.Now().Unix()))
	copy(raw[8:], s.deviceMAC(raw[:8], account.Address.Fingerprint(s.set.Secret)))
	return base64.RawURLEncoding.EncodeToString(raw[:])
}

// knows tells whether a device token is one for the address.
func (s *Service) knows(device string, f address.Fingerprint) bool {
	if len(device) != base64.RawURLEncoding.EncodedLen(8+deviceMAC) {
		return false
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(device)
	if err != nil || !hmac.Equal(raw[8:], s.deviceMAC(raw[:8], f)) {
		return false
	}
	made := time.Unix(int64(binary.BigEndian.Uint64(raw)), 0)
	return time.Since(made) < DeviceLife
}

func (s *Service) deviceMAC(made []byte, f address.Fingerprint) []byte {
	mac := hmac.New(sha256.New, s.deviceKey)
	mac.Write(made)
	mac.Write(f[:])
	return mac.Sum(nil)[:deviceMAC]
}
