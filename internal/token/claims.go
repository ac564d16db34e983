package token

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// pendingClaims are the claims of a pending session, decoded more strictly than
// the library does: every claim once, of exactly the type we write.
type pendingClaims struct {
	iss, aud, sub string
	iat, exp      int64
	life          time.Duration // what the kind's last
}

// UnmarshalJSON passes over claims it does not know, so that a later version
// may add some while this one still runs.
func (c *pendingClaims) UnmarshalJSON(data []byte) error {
	members, err := objectMembers(data)
	if err != nil {
		return err
	}
	targets := map[string]any{"iss": &c.iss, "aud": &c.aud, "sub": &c.sub, "iat": &c.iat, "exp": &c.exp}
	for name, target := range targets {
		value := members[name]
		if len(value) == 0 || value[0] == 'n' { // null would be passed over
			return fmt.Errorf("claim %s: missing", name)
		}
		if err := json.Unmarshal(value, target); err != nil {
			return fmt.Errorf("claim %s: want a %T", name, target)
		}
	}
	return nil
}

// objectMembers takes a JSON object apart, refusing a name that comes twice.
func objectMembers(data []byte) (map[string]json.RawMessage, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	if start, err := dec.Token(); err != nil || start != json.Delim('{') {
		return nil, errors.New("claims: want a JSON object")
	}
	members := make(map[string]json.RawMessage)
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, fmt.Errorf("claims: %w", err)
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, fmt.Errorf("claims: %w", err)
		}
		key, _ := name.(string)
		if _, twice := members[key]; twice {
			return nil, fmt.Errorf("claims: one name comes twice")
		}
		members[key] = value
	}
	return members, nil
}

// Validate is called by the library after its own checks. A token that lives
// longer than ours was never issued.
func (c *pendingClaims) Validate() error {
	switch {
	case c.exp-c.iat != int64(c.life/time.Second):
		return errors.New("claims: the life is not that of its kind")
	case c.sub == "":
		return errors.New("claims: no subject")
	}
	return nil
}

// The methods of jwt.Claims.

func (c *pendingClaims) GetExpirationTime() (*jwt.NumericDate, error) {
	return jwt.NewNumericDate(time.Unix(c.exp, 0)), nil
}

func (c *pendingClaims) GetIssuedAt() (*jwt.NumericDate, error) {
	return jwt.NewNumericDate(time.Unix(c.iat, 0)), nil
}

func (c *pendingClaims) GetNotBefore() (*jwt.NumericDate, error) { return nil, nil }

func (c *pendingClaims) GetIssuer() (string, error) { return c.iss, nil }

func (c *pendingClaims) GetSubject() (string, error) { return c.sub, nil }

func (c *pendingClaims) GetAudience() (jwt.ClaimStrings, error) { return jwt.ClaimStrings{c.aud}, nil }
