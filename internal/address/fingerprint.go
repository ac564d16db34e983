package address

import (
	"crypto/hmac"
	"crypto/sha256"
)

// Fingerprint stands for an address where the address itself must not be: two
// have the same one if their keys are the same, and without the secret it was
// made with nobody can tell whose it is. It is used to find what belongs to an
// address, and outlives the address where something must be remembered of it.
type Fingerprint [16]byte

// Fingerprint is HMAC-SHA-256(secret, Key)[:16].
func (a Address) Fingerprint(secret []byte) (f Fingerprint) {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(a.Key()))
	copy(f[:], mac.Sum(nil))
	return f
}

// IsZero tells whether f is no address's.
func (f Fingerprint) IsZero() bool { return f == Fingerprint{} }
