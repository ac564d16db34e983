package sas

import (
	"fmt"
	"net/url"
	"strings"
)

// maxResource is the most bytes a resource may have in writing: an entity's
// name has 260 at most.
const maxResource = 2048

// Resource is what a token is for, or what is asked for with one: a namespace,
// or something in it. Two are compared with ==.
type Resource struct {
	// Host is in lower case and has no port: what stands before an entity is
	// the same bus on each of its ports, and for each scheme.
	Host string
	// Path is in lower case and has no slash at either end: "" for the whole
	// namespace, else such as "queue" or "queue/$management".
	Path string
}

// ParseResource reads SCHEME://HOST[:PORT][/PATH][?QUERY]. Scheme, port and
// query may be missing and mean nothing. What is percent-encoded in the path is
// decoded once; empty segments are dropped, and "." and ".." mean nothing
// special.
func ParseResource(text string) (Resource, error) {
	if len(text) > maxResource {
		return Resource{}, fmt.Errorf("want a resource of at most %d bytes, got %d", maxResource, len(text))
	}
	if _, rest, found := strings.Cut(text, "://"); found {
		text = rest
	}
	text, _, _ = strings.Cut(text, "?")
	authority, path, _ := strings.Cut(text, "/")
	host := hostOf(authority)
	if host == "" {
		return Resource{}, fmt.Errorf("want a resource such as sb://HOST/QUEUE, got none with a host")
	}
	path, err := url.PathUnescape(path)
	if err != nil {
		return Resource{}, fmt.Errorf("want a resource whose path is percent-encoded: %w", err)
	}
	segments := strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
	return Resource{Host: strings.ToLower(host), Path: strings.ToLower(strings.Join(segments, "/"))}, nil
}

// hostOf is an authority without its port, and without the brackets of an IPv6
// address.
func hostOf(authority string) string {
	if inner, found := strings.CutPrefix(authority, "["); found {
		host, _, _ := strings.Cut(inner, "]")
		return host
	}
	host, _, _ := strings.Cut(authority, ":")
	return host
}

// Covers tells whether other is r or in it: on the same host, and with a path
// that begins with all segments of r's. "queue" covers "queue/$management" and
// does not cover "queue2".
func (r Resource) Covers(other Resource) bool {
	if r.Host != other.Host {
		return false
	}
	rest, found := strings.CutPrefix(other.Path, r.Path)
	return found && (r.Path == "" || rest == "" || rest[0] == '/')
}
