package sessions

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// claims are those of RFC 9068 section 2.2, and sid. They are decoded more
// strictly than the library does: every claim once, and of exactly the type that
// Bellhop writes.
type claims struct {
	iss, sub, sid, client, jti string
	aud                        audience
	iat, exp, nbf              int64 // nbf is 0 if it is not there
}

// audience is one text. RFC 7519 section 4.1.3 allows a list: one of a single
// text is the same, written differently. A longer one is of a token that others
// can use against us, and Bellhop issues none.
type audience string

func (a *audience) UnmarshalJSON(data []byte) error {
	var list []string
	if data[0] != '[' {
		list = make([]string, 1)
		if err := json.Unmarshal(data, &list[0]); err != nil {
			return errors.New("want one text")
		}
	} else if err := json.Unmarshal(data, &list); err != nil || len(list) != 1 {
		return errors.New("want one text")
	}
	*a = audience(list[0])
	return nil
}

// UnmarshalJSON passes over claims it does not know: Bellhop may add some.
func (c *claims) UnmarshalJSON(data []byte) error {
	members, err := objectMembers(data)
	if err != nil {
		return err
	}
	for _, claim := range []struct {
		name, want string
		target     any
	}{
		{"iss", "text", &c.iss}, {"sub", "text", &c.sub}, {"sid", "text", &c.sid},
		{"client_id", "text", &c.client}, {"jti", "text", &c.jti}, {"aud", "one text", &c.aud},
		{"iat", "full seconds", &c.iat}, {"exp", "full seconds", &c.exp}, {"nbf", "full seconds", &c.nbf},
	} {
		value, there := members[claim.name]
		if !there && claim.name == "nbf" {
			continue
		}
		if !there {
			return fmt.Errorf("claim %s: missing", claim.name)
		}
		// null would be passed over.
		if value[0] == 'n' || json.Unmarshal(value, claim.target) != nil {
			return fmt.Errorf("claim %s: want %s", claim.name, claim.want)
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
			return nil, errors.New("claims: one name comes twice")
		}
		members[key] = value
	}
	return members, nil
}

// Validate is called by the library after its own checks.
func (c *claims) Validate() error {
	switch {
	case c.iat < 0 || c.exp <= c.iat || c.exp-c.iat > int64(MaxLife/time.Second):
		return fmt.Errorf("claims: want a life of up to %v", MaxLife)
	case c.sub == "" || c.sid == "" || c.client == "" || c.jti == "":
		return errors.New("claims: an id is empty")
	}
	return nil
}

func (c *claims) public() Claims {
	return Claims{
		Account: c.sub, Session: c.sid, Client: c.client, ID: c.jti,
		IssuedAt: time.Unix(c.iat, 0), Expires: time.Unix(c.exp, 0),
	}
}

// The methods of jwt.Claims.

func (c *claims) GetExpirationTime() (*jwt.NumericDate, error) {
	return jwt.NewNumericDate(time.Unix(c.exp, 0)), nil
}

func (c *claims) GetIssuedAt() (*jwt.NumericDate, error) {
	return jwt.NewNumericDate(time.Unix(c.iat, 0)), nil
}

func (c *claims) GetNotBefore() (*jwt.NumericDate, error) {
	return jwt.NewNumericDate(time.Unix(c.nbf, 0)), nil
}

func (c *claims) GetIssuer() (string, error) { return c.iss, nil }

func (c *claims) GetSubject() (string, error) { return c.sub, nil }

func (c *claims) GetAudience() (jwt.ClaimStrings, error) {
	return jwt.ClaimStrings{string(c.aud)}, nil
}
