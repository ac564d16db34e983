package sas

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// RootRule names the rule that every set of keys has, with all rights to the
// whole namespace.
const RootRule = "RootManageSharedAccessKey"

// The most that a rule's name and key may have, in bytes.
const (
	maxRuleName = 256
	maxKey      = 256
)

// nameLetters may stand in a rule's name.
const nameLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_"

// Rule is a name with a key and what the key allows. It prints itself without
// its key.
type Rule struct {
	Name   string
	Key    string
	Rights Rights
}

// String is the rule's name and rights.
func (r Rule) String() string { return fmt.Sprintf("%s (%v)", r.Name, r.Rights) }

// Format prints String for every verb, %#v included.
func (r Rule) Format(f fmt.State, _ rune) { fmt.Fprint(f, r.String()) }

// LogValue returns String.
func (r Rule) LogValue() slog.Value { return slog.StringValue(r.String()) }

// Grant is what somebody may do who has shown a key, or a token made with it.
type Grant struct {
	// Rule names the rule.
	Rule   string
	Rights Rights
	// Expires is when it ends; zero for never.
	Expires time.Time
}

// Keys are the rules of a namespace. They do not change, so that any number of
// goroutines may use them.
type Keys struct{ rules map[string]Rule }

// NewKeys makes a set of rules. One of them must be [RootRule] with Manage.
func NewKeys(rules ...Rule) (*Keys, error) {
	k := &Keys{rules: make(map[string]Rule, len(rules))}
	for _, r := range rules {
		if err := r.check(); err != nil {
			return nil, err
		}
		if _, twice := k.rules[r.Name]; twice {
			return nil, fmt.Errorf("the rule %q is there twice; give each a name of its own", r.Name)
		}
		k.rules[r.Name] = r
	}
	if !k.rules[RootRule].Rights.Has(Manage) {
		return nil, fmt.Errorf("want a rule %s with the right Manage, and there is none", RootRule)
	}
	return k, nil
}

func (r Rule) check() error {
	switch {
	case r.Name == "" || len(r.Name) > maxRuleName || strings.ContainsFunc(r.Name, func(c rune) bool { return !strings.ContainsRune(nameLetters, c) }):
		return fmt.Errorf("want a rule's name of 1 to %d letters, digits, dots, hyphens and underscores, got %.64q", maxRuleName, r.Name)
	case len(r.Key) < 16 || len(r.Key) > maxKey:
		return fmt.Errorf("rule %q: want a key of 16 to %d bytes, got %d", r.Name, maxKey, len(r.Key))
	case r.Rights == 0:
		return fmt.Errorf("rule %q: want at least one of the rights Manage, Send and Listen", r.Name)
	}
	return nil
}

// RandomKeys is [RootRule] alone, with a key of its own.
func RandomKeys() *Keys {
	return &Keys{rules: map[string]Rule{RootRule: {Name: RootRule, Key: randomKey(), Rights: Manage}}}
}

// randomKey is 32 random bytes in base64, as the service's keys are.
func randomKey() string {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails, crypto/rand says
	return base64.StdEncoding.EncodeToString(key)
}

// Root is the rule that allows everything.
func (k *Keys) Root() Rule { return k.rules[RootRule] }

// Authorize judges a token that was shown for audience, such as
// amqp://HOST:PORT/QUEUE: it must be signed by one of the rules, not be expired
// at now, and be for audience or for something that audience is in. What the
// grant's rights must include is for the caller to say.
//
// Errors are [ErrMalformed] (for an audience that cannot be read, too),
// [ErrUnknownRule], [ErrSignature], [ErrExpired], which says when, and
// [ErrScope], judged in this order.
func (k *Keys) Authorize(token, audience string, now time.Time) (Grant, error) {
	t, err := ParseToken(token)
	if err != nil {
		return Grant{}, err
	}
	target, err := ParseResource(audience)
	if err != nil {
		return Grant{}, fmt.Errorf("%w: its audience: %w", ErrMalformed, err)
	}
	rule, found := k.rules[t.Rule]
	switch {
	case !found:
		return Grant{}, ErrUnknownRule
	case !t.SignedBy(rule.Key):
		return Grant{}, ErrSignature
	case !now.Before(t.Expires):
		return Grant{}, fmt.Errorf("%w at %s", ErrExpired, t.Expires.Format(time.RFC3339))
	case !t.Resource.Covers(target):
		return Grant{}, ErrScope
	}
	return Grant{Rule: rule.Name, Rights: rule.Rights, Expires: t.Expires}, nil
}

// Check judges a rule's name and key that were shown themselves, as SASL PLAIN
// does: [ErrUnknownRule] or [ErrSignature]. It takes equally long whatever is
// wrong with the key.
func (k *Keys) Check(rule, key string) (Grant, error) {
	r, found := k.rules[rule]
	if !found {
		return Grant{}, ErrUnknownRule
	}
	want, got := sha256.Sum256([]byte(r.Key)), sha256.Sum256([]byte(key))
	if subtle.ConstantTimeCompare(want[:], got[:]) != 1 {
		return Grant{}, ErrSignature
	}
	return Grant{Rule: r.Name, Rights: r.Rights}, nil
}
