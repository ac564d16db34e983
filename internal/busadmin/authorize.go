package busadmin

import (
	"errors"
	"net/http"

	"bellhop/internal/sas"
)

// caller is somebody who has shown a credential.
type caller struct{ rights sas.Rights }

// authorize judges the Authorization header: a shared access signature for the
// request's address, the way all SDKs send it.
func (a *api) authorize(r *http.Request) (caller, error) {
	token := r.Header.Get("Authorization")
	if token == "" {
		return caller{}, unauthorized("MissingToken: The authorization header was not found.")
	}
	if a.AcceptAnyKey {
		return caller{sas.Manage}, nil
	}
	grant, err := a.Keys.Authorize(token, r.Host+r.URL.EscapedPath(), a.Now())
	switch {
	case err == nil:
		return caller{grant.Rights}, nil
	case errors.Is(err, sas.ErrExpired):
		return caller{}, unauthorized("ExpiredToken: The token is expired: " + err.Error() + ".")
	case errors.Is(err, sas.ErrSignature), errors.Is(err, sas.ErrUnknownRule):
		return caller{}, unauthorized("InvalidSignature: The token has an invalid signature.")
	case errors.Is(err, sas.ErrScope):
		return caller{}, unauthorized("InvalidAudience: The token is for another resource.")
	}
	return caller{}, unauthorized("MalformedToken: Want a SharedAccessSignature.")
}

func unauthorized(detail string) *refusal {
	return &refusal{http.StatusUnauthorized, "SubCode=40100. Unauthorized: " + detail}
}

func (c caller) mayRead() error { return c.needs(errMayNotRead) }

func (c caller) mayWrite() error { return c.needs(errMayNotWrite) }

func (c caller) mayDelete() error { return c.needs(errMayNotDelete) }

// needs is otherwise unless the caller may manage.
func (c caller) needs(otherwise *refusal) error {
	if c.rights.Has(sas.Manage) {
		return nil
	}
	return otherwise
}
