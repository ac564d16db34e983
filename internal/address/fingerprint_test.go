package address_test

import (
	"encoding/hex"
	"testing"

	"bellhop/internal/address"
)

// Two addresses have one fingerprint if one person reads both, and another
// secret makes others. The first is written out: fingerprints are stored, so
// they must never become others.
func TestFingerprint(t *testing.T) {
	of := func(email, secret string) address.Fingerprint {
		t.Helper()
		a, err := address.Parse(email)
		if err != nil {
			t.Fatal(err)
		}
		return a.Fingerprint([]byte(secret))
	}
	ada := of("ada@example.com", "secret")
	if got := hex.EncodeToString(ada[:]); got != "d1da3149b0fa35cd09c21c293552aeb7" {
		t.Errorf("fingerprint %s", got)
	}
	for _, same := range []string{"ada@EXAMPLE.com", "Ada@example.com", " ada@example.com "} {
		if of(same, "secret") != ada {
			t.Errorf("%q has another", same)
		}
	}
	for _, other := range []address.Fingerprint{of("ada@example.org", "secret"), of("adb@example.com", "secret"), of("ada@example.com", "another"), of("ada@example.com", "")} {
		if other == ada || other.IsZero() {
			t.Errorf("%x is another's", other)
		}
	}
	if !(address.Fingerprint{}).IsZero() {
		t.Error("no fingerprint is somebody's")
	}
}
