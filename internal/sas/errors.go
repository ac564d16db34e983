package sas

import "errors"

var (
	// ErrMalformed is returned for a token that cannot be read.
	ErrMalformed = errors.New("malformed token")
	// ErrUnknownRule is returned for a rule that is not there.
	ErrUnknownRule = errors.New("unknown rule")
	// ErrSignature is returned when the rule's key did not sign the token, or
	// is not the key that was given.
	ErrSignature = errors.New("wrong key")
	// ErrExpired is returned when a token's time is over.
	ErrExpired = errors.New("token expired")
	// ErrScope is returned for a token that is for something else.
	ErrScope = errors.New("token is for another resource")
	// ErrExposed is returned for a file of keys that others may read.
	ErrExposed = errors.New("other users can read the keys")
)
