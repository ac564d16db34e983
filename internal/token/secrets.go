package token

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/google/uuid"
)

// Secrets are the secrets that carry sessions: the cookies of browsers and the
// refresh tokens of API clients. One holds the session's id, a number, and an
// HMAC of both:
//
//	base64url( session UUID | number | HMAC-SHA-256(kind, session, number) )
//
// Being derived, an answer that was lost on its way can be given again. A secret
// is only as good as the session in the store: whoever opens one must compare
// its number and hash with what is stored there.
//
// Secrets may be used concurrently.
type Secrets struct {
	hidden
	key []byte
}

// maxSecret is the most bytes a secret holds.
const maxSecret = 16 + binary.MaxVarintLen32 + sha256.Size

// NewSecrets fetches the key of all processes, or creates it.
func NewSecrets(ctx context.Context, keys Keys) (*Secrets, error) {
	key, err := sharedKey(ctx, keys, "session")
	if err != nil {
		return nil, err
	}
	return &Secrets{key: key}, nil
}

// Make returns the secret of a session that carries number (0 to
// math.MaxInt32), and the hash to store. A secret of one kind, "browser" or
// "api", is not valid as the other. The session must be a UUID, and Make panics
// if it is not: ids are ours.
func (s *Secrets) Make(kind, session string, number int) (secret string, hash [32]byte) {
	id := uuid.MustParse(session)
	if number < 0 || number > math.MaxInt32 {
		panic(fmt.Sprintf("token: a session's number is %d, want 0 to %d", number, math.MaxInt32))
	}
	raw := append(make([]byte, 0, maxSecret), id[:]...)
	raw = binary.AppendUvarint(raw, uint64(number))
	mac := hmac.New(sha256.New, s.key)
	fmt.Fprintf(mac, "%s\n%s\n%d", kind, id, number)
	raw = mac.Sum(raw)
	return encode(raw), sha256.Sum256(raw)
}

// Open takes a secret apart. The error wraps [ErrInvalid] unless Make made it
// for that kind, to the letter.
func (s *Secrets) Open(kind, secret string) (session string, number int, hash [32]byte, err error) {
	if len(secret) > base64.RawURLEncoding.EncodedLen(maxSecret) {
		return "", 0, hash, fmt.Errorf("%w: too long for a session's secret", ErrInvalid)
	}
	raw, err := base64.RawURLEncoding.DecodeString(secret)
	if err != nil || len(raw) < len(uuid.UUID{})+1+sha256.Size {
		return "", 0, hash, fmt.Errorf("%w: not a session's secret", ErrInvalid)
	}
	session = uuid.UUID(raw[:16]).String()
	n, length := binary.Uvarint(raw[16 : len(raw)-sha256.Size])
	if length <= 0 || n > math.MaxInt32 {
		return "", 0, hash, fmt.Errorf("%w: not a session's secret", ErrInvalid)
	}
	// Made again and compared whole, so that there is one way to write it.
	made, hash := s.Make(kind, session, int(n))
	if !hmac.Equal([]byte(made), []byte(secret)) {
		return "", 0, [32]byte{}, fmt.Errorf("%w: not a session's secret of this kind", ErrInvalid)
	}
	return session, int(n), hash, nil
}
