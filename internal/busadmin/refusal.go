package busadmin

import (
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"

	"bellhop/internal/bus"
)

// refusal is an answer that says why not, in words that SDKs and their tests
// look for.
type refusal struct {
	status int
	detail string
}

// Error is the refusal's text.
func (r *refusal) Error() string { return r.detail }

var (
	// JavaScript's SDK takes a 403 without this code for a quota that is used up.
	errHost       = &refusal{http.StatusForbidden, "SubCode=40301. This bus does not answer for the host that was asked for; use a name it knows, such as localhost."}
	errMethod     = &refusal{http.StatusMethodNotAllowed, "SubCode=40500. Want GET, PUT or DELETE of a queue, or GET of a list."}
	errNoResource = &refusal{http.StatusNotFound, "SubCode=40400. Want $Resources/Queues, $Resources/Topics or $namespaceinfo."}
	errTooLarge   = &refusal{http.StatusRequestEntityTooLarge, fmt.Sprintf("SubCode=41300. Want a request of at most %d bytes.", maxBody)}
	errEtag       = &refusal{http.StatusPreconditionFailed, "SubCode=41200. Want If-Match: * or none: descriptions have no etags here."}

	errMayNotRead   = &refusal{http.StatusUnauthorized, "Manage,EntityRead claims required for this operation."}
	errMayNotWrite  = &refusal{http.StatusUnauthorized, "Authorization failed for specified action: Manage,EntityWrite."}
	errMayNotDelete = &refusal{http.StatusUnauthorized, "Authorization failed for specified action: Manage,EntityDelete."}
)

func badRequest(problem string) *refusal {
	return &refusal{http.StatusBadRequest, "SubCode=40000. Bad Request: " + problem + "."}
}

// notSupported answers 501, which no SDK tries again.
func notSupported(what string) *refusal {
	return &refusal{http.StatusNotImplemented, "SubCode=50100. " + what + " are not supported yet."}
}

func notFound(name string) *refusal {
	return &refusal{http.StatusNotFound, fmt.Sprintf("SubCode=40400. Not Found: The messaging entity %.300q could not be found.", name)}
}

// exists has a sub-code that JavaScript's SDK does not take for an operation
// under way (40901).
func exists(name string) *refusal {
	return &refusal{http.StatusConflict, fmt.Sprintf("SubCode=40900. Conflict: The messaging entity %.300q already exists.", name)}
}

// errorBody is how the service says what is wrong.
type errorBody struct {
	XMLName xml.Name `xml:"Error"`
	Code    int
	Detail  string
}

// refused turns an error into an answer. What is the bus's own fault is logged
// and not told.
func (a *api) refused(r *http.Request, err error) answer {
	var why *refusal
	switch {
	case errors.As(err, &why):
	case errors.Is(err, bus.ErrInvalid):
		why = badRequest(err.Error())
	case errors.Is(err, bus.ErrClosed) || errors.Is(err, bus.ErrFailed):
		why = &refusal{http.StatusServiceUnavailable, "SubCode=50300. The bus is ending or has failed."}
	case r.Context().Err() != nil:
		why = &refusal{http.StatusServiceUnavailable, "SubCode=50300. The request was given up."}
	default:
		a.Logger.Error("admin request failed", "method", r.Method, "error", err)
		why = &refusal{http.StatusInternalServerError, "SubCode=50000. The bus could not do it; its log says why."}
	}
	return answer{why.status, errorBody{Code: why.status, Detail: why.detail}}
}
