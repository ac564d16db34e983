package busserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"bellhop/internal/amqp/wire"
	"bellhop/internal/bus"
	"bellhop/internal/sas"
)

// The kinds of token.
const (
	tokenSAS = "servicebus.windows.net:sastoken"
	tokenJWT = "jwt"
)

// putToken is the one operation of $cbs: it keeps a token for its audience as
// long as the connection lasts. What the token allows shows at the attach.
func putToken(ctx context.Context, r *request) (reply, error) {
	if r.operation != "put-token" {
		return reply{}, notImplemented("$cbs has the operation put-token only.")
	}
	kind, _ := r.properties.Get("type")
	audience, _ := r.properties.Get("name")
	name, ok := audience.(string)
	token, isText := r.body.(string)
	if !ok || !isText {
		return reply{}, refusal("MalformedToken: expected the audience as the string property name, and the token as the string in the body.")
	}
	resource, err := sas.ParseResource(name)
	if err != nil {
		return reply{}, refusal("InvalidAudience: the audience cannot be read: expected SCHEME://HOST/ENTITY.")
	}
	grant, err := r.authorize(kind, token, name, resource)
	if err != nil {
		return reply{}, err
	}
	if err := r.exists(ctx, name, resource); err != nil {
		return reply{}, err
	}
	r.put(resource, grant)
	return reply{status: http.StatusAccepted}, nil
}

func refusal(text string) *wire.Error {
	return &wire.Error{Condition: wire.ConditionUnauthorizedAccess, Description: text}
}

// authorize judges a token.
func (r *request) authorize(kind any, token, audience string, resource sas.Resource) (sas.Grant, error) {
	now := r.opts.Now()
	switch {
	case kind == tokenJWT && r.opts.AcceptAnyKey && strings.TrimSpace(token) != "":
		return sas.Grant{Rule: tokenJWT, Rights: sas.Manage}, nil
	case kind != tokenSAS:
		return sas.Grant{}, refusal("InvalidTokenType: expected a token of the type " + tokenSAS + ".")
	case r.opts.AcceptAnyKey:
		return anyKey(token, resource, now)
	}
	grant, err := r.opts.Keys.Authorize(token, audience, now)
	if errors.Is(err, sas.ErrSignature) || errors.Is(err, sas.ErrUnknownRule) {
		r.wrongKey(r.amqp.RemoteAddr())
	}
	return grant, refused(err)
}

// wrongKey tells whoever runs the bus why a client of theirs does not get in.
func (s *Server) wrongKey(client net.Addr) {
	s.notices.Log(s.opts.Logger, slog.LevelWarn,
		"a client was refused: its key is not of this bus; give it the connection string that belongs to it", "client", client.String())
}

// anyKey judges all of a token but its signature and who made it.
func anyKey(token string, resource sas.Resource, now time.Time) (sas.Grant, error) {
	t, err := sas.ParseToken(token)
	switch {
	case err != nil:
		return sas.Grant{}, refused(err)
	case !now.Before(t.Expires):
		return sas.Grant{}, refused(fmt.Errorf("%w at %s", sas.ErrExpired, t.Expires.UTC().Format(time.RFC3339)))
	case !t.Resource.Covers(resource):
		return sas.Grant{}, refused(sas.ErrScope)
	}
	return sas.Grant{Rule: t.Rule, Rights: sas.Manage, Expires: t.Expires}, nil
}

// refused puts the reason for which a token is refused into the service's words.
func refused(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sas.ErrExpired):
		return refusal("ExpiredToken: The token is expired. Expiration time: " + err.Error() + ".")
	case errors.Is(err, sas.ErrMalformed):
		return refusal("MalformedToken: " + err.Error() + ".")
	case errors.Is(err, sas.ErrScope):
		return refusal("InvalidAudience: The token is for another resource.")
	case errors.Is(err, sas.ErrSignature), errors.Is(err, sas.ErrUnknownRule):
		return refusal("InvalidSignature: The token has an invalid signature.")
	}
	return err
}

// exists refuses audiences that are none: from this answer, and from no other,
// the Go SDK learns that an entity is not there.
func (r *request) exists(ctx context.Context, audience string, resource sas.Resource) error {
	if resource.Path == "" {
		return nil
	}
	n := parseAddress(resource.Path)
	err := error(bus.ErrQueueNotFound)
	if n.kind != nodeUnsupported {
		_, err = r.opts.Bus.Queue(ctx, n.queue)
	}
	if errors.Is(err, bus.ErrQueueNotFound) {
		_, rest, _ := strings.Cut(audience, "://")
		text := notFoundText(rest)
		if n.kind == nodeUnsupported {
			text += " " + n.unsupported().Description
		}
		return &wire.Error{Condition: wire.ConditionNotFound, Description: text}
	}
	return err
}
