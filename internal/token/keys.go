package token

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// signingKey is one key of the ring with its private part.
type signingKey struct {
	id        string
	private   *ecdsa.PrivateKey
	Published time.Time
	Signs     time.Time // zero for the next key
}

// ring is the keys in the order in which they sign. The last is the next, and
// there is at least one before it. When a key stops signing is not written
// anywhere: it is when the one behind it begins, so that at any time exactly
// one signs.
type ring struct{ keys []signingKey }

// newRing makes a ring in which the first key signs at once: there is nobody
// yet who could know another.
func newRing(now time.Time) (*ring, error) {
	current, err := newSigningKey(now)
	if err != nil {
		return nil, err
	}
	current.Signs = now
	next, err := newSigningKey(now)
	if err != nil {
		return nil, err
	}
	return &ring{keys: []signingKey{current, next}}, nil
}

// newSigningKey makes a key whose id a command line takes for no flag.
func newSigningKey(now time.Time) (signingKey, error) {
	for {
		private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return signingKey{}, fmt.Errorf("make a signing key: %w", err)
		}
		if id := thumbprint(&private.PublicKey); id[0] != '-' {
			return signingKey{id: id, private: private, Published: now.UTC()}, nil
		}
	}
}

func (k *ring) next() *signingKey { return &k.keys[len(k.keys)-1] }

// current is the index of the key that signs. If none has begun, our clock is
// behind that of whoever made the ring, and it is the first.
func (k *ring) current(now time.Time) int {
	for i := len(k.keys) - 2; i > 0; i-- {
		if !k.keys[i].Signs.After(now) {
			return i
		}
	}
	return 0
}

// retired is when the key at i stops signing, zero if that is open.
func (k *ring) retired(i int) time.Time {
	if i+1 < len(k.keys) {
		return k.keys[i+1].Signs
	}
	return time.Time{}
}

// gone is when the key at i leaves the ring, zero if that is open.
func (k *ring) gone(i int) time.Time {
	if retired := k.retired(i); !retired.IsZero() {
		return retired.Add(keepFor)
	}
	return time.Time{}
}

// prune drops the keys whose tokens have all expired.
func (k *ring) prune(now time.Time) (changed bool) {
	for gone := k.gone(0); !gone.IsZero() && !now.Before(gone); gone = k.gone(0) {
		k.keys, changed = k.keys[1:], true
	}
	return changed
}

// find returns the public key of an id, nil if there is none, or none any more.
func (k *ring) find(id string, now time.Time) *ecdsa.PublicKey {
	for i := range k.keys {
		if gone := k.gone(i); k.keys[i].id == id && (gone.IsZero() || now.Before(gone)) {
			return &k.keys[i].private.PublicKey
		}
	}
	return nil
}

// rotate lets the next key sign as soon as everybody can know it.
func (k *ring) rotate(now time.Time) error {
	k.prune(now)
	if len(k.keys) >= maxKeys {
		return ErrTooMany
	}
	k.begin(k.next().Published.Add(learnFor), now)
	return k.addNext(now)
}

// begin lets the next key sign from a time on, which is not in the past.
func (k *ring) begin(at, now time.Time) {
	if at.Before(now) {
		at = now
	}
	k.next().Signs = at.UTC()
}

func (k *ring) addNext(now time.Time) error {
	next, err := newSigningKey(now)
	k.keys = append(k.keys, next)
	return err
}

// retire takes a key out. If it was signing, the one behind it does so at once,
// whoever knows it: there is no other.
func (k *ring) retire(id string, now time.Time) error {
	i := slices.IndexFunc(k.keys, func(s signingKey) bool { return s.id == id })
	if i < 0 {
		return ErrNoKey
	}
	signing, last := i == k.current(now), i == len(k.keys)-1
	k.keys = slices.Delete(k.keys, i, i+1)
	if signing {
		k.keys[i].Signs = now.UTC()
	}
	if last || signing && i == len(k.keys)-1 {
		return k.addNext(now)
	}
	return nil
}

// list describes the keys.
func (k *ring) list(now time.Time) (list []Key) {
	current := k.current(now)
	for i, s := range k.keys {
		key := Key{ID: s.id, State: RetiredKey, Published: s.Published, Signs: s.Signs, Retired: k.retired(i), Gone: k.gone(i)}
		switch {
		case i == current:
			key.State = CurrentKey
		case i > current:
			key.State = NextKey
		case !now.Before(key.Gone):
			continue
		}
		list = append(list, key)
	}
	return list
}

// ringForm is the version of what encode writes.
const ringForm = 1

// ringText is the ring in the store.
type ringText struct {
	Form int       `json:"form"`
	Keys []keyText `json:"keys"`
}

type keyText struct {
	ID        string    `json:"kid"`
	Private   []byte    `json:"private"` // PKCS #8, RFC 5208
	Published time.Time `json:"published"`
	Signs     time.Time `json:"signs,omitzero"`
}

func (k *ring) encode() ([]byte, error) {
	text := ringText{Form: ringForm}
	for _, s := range k.keys {
		private, err := x509.MarshalPKCS8PrivateKey(s.private)
		if err != nil {
			return nil, err
		}
		text.Keys = append(text.Keys, keyText{ID: s.id, Private: private, Published: s.Published, Signs: s.Signs})
	}
	return json.Marshal(text)
}

// decodeRing refuses whatever encode would not write: a ring is never guessed
// at. A newer form is told from damage.
func decodeRing(value []byte) (*ring, error) {
	var form struct {
		Form int `json:"form"`
	}
	if err := json.Unmarshal(value, &form); err != nil {
		return nil, errors.New("they are damaged: not a JSON object")
	}
	if form.Form > ringForm {
		return nil, fmt.Errorf("they were written by a newer Bellhop: form %d, this one knows %d", form.Form, ringForm)
	}
	var text ringText
	dec := json.NewDecoder(bytes.NewReader(value))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&text); err != nil || text.Form != ringForm {
		return nil, fmt.Errorf("they are damaged: not of form %d", ringForm)
	}
	k := new(ring)
	for i, t := range text.Keys {
		s, err := t.key()
		if err != nil {
			return nil, fmt.Errorf("they are damaged: key %d: %w", i+1, err)
		}
		k.keys = append(k.keys, s)
	}
	if !k.sound() {
		return nil, errors.New("they are damaged: want keys in the order in which they sign, and a next one at the end")
	}
	return k, nil
}

func (t *keyText) key() (signingKey, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(t.Private)
	private, ok := parsed.(*ecdsa.PrivateKey)
	if err != nil || !ok || private.Curve != elliptic.P256() {
		return signingKey{}, errors.New("want a private key on P-256")
	}
	if t.ID != thumbprint(&private.PublicKey) {
		return signingKey{}, errors.New("its id is another key's")
	}
	return signingKey{id: t.ID, private: private, Published: t.Published, Signs: t.Signs}, nil
}

// sound tells whether the keys are in order.
func (k *ring) sound() bool {
	last := len(k.keys) - 1
	if last < 1 || !k.keys[last].Signs.IsZero() {
		return false
	}
	seen := make(map[string]bool)
	for i, s := range k.keys {
		if seen[s.id] || i < last && s.Signs.IsZero() || i > 0 && i < last && s.Signs.Before(k.keys[i-1].Signs) {
			return false
		}
		seen[s.id] = true
	}
	return true
}

// jwk is a public key as published (RFC 7517 section 4, RFC 7518 section 6.2).
// The order of the members is that of the thumbprint.
type jwk struct {
	Curve   string `json:"crv"`
	KeyType string `json:"kty"`
	X       string `json:"x"`
	Y       string `json:"y"`
	Alg     string `json:"alg,omitempty"`
	ID      string `json:"kid,omitempty"`
	Use     string `json:"use,omitempty"`
}

func newJWK(key *ecdsa.PublicKey) jwk {
	point, _ := key.Bytes() // fails for no key on P-256
	x, y := point[1:1+len(point)/2], point[1+len(point)/2:]
	return jwk{Curve: "P-256", KeyType: "EC", X: encode(x), Y: encode(y)}
}

// thumbprint is the key's id (RFC 7638 section 3).
func thumbprint(key *ecdsa.PublicKey) string {
	text, _ := json.Marshal(newJWK(key)) // texts always encode
	sum := sha256.Sum256(text)
	return encode(sum[:])
}

// jwks is what is published (RFC 7517 section 5).
func (k *ring) jwks(now time.Time) []byte {
	set := struct {
		Keys []jwk `json:"keys"`
	}{}
	for i := range k.keys {
		if gone := k.gone(i); !gone.IsZero() && !now.Before(gone) {
			continue
		}
		key := newJWK(&k.keys[i].private.PublicKey)
		key.Alg, key.ID, key.Use = "ES256", k.keys[i].id, "sig"
		set.Keys = append(set.Keys, key)
	}
	body, _ := json.Marshal(set)
	return body
}
