package busadmin

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"bellhop/internal/bus"
)

const (
	// maxBody bounds a request; the longest that means something has rules and
	// metadata of a few KiB.
	maxBody = 64 << 10
	// defaultPage is how many queues a page has unless $top says otherwise.
	defaultPage = 100
)

// nameProblem says what is wrong with a queue's name, "" for nothing.
func nameProblem(name string) string {
	if bus.ValidName(name) {
		return ""
	}
	return fmt.Sprintf("want 1 to %d letters, digits, '.', '-', '_' or '/', the first and the last a letter or digit, and no /subscriptions/; found %.300q", bus.MaxNameBytes, name)
}

// get describes a queue. That there is none may be known to anybody with a key.
func (a *api) get(r *http.Request, caller caller, name string) (answer, error) {
	q, err := a.Bus.Queue(r.Context(), name)
	if errors.Is(err, bus.ErrQueueNotFound) {
		return answer{}, notFound(name)
	}
	if err == nil {
		err = caller.mayRead()
	}
	if err != nil {
		return answer{}, err
	}
	return answer{http.StatusOK, placeOf(r).entry(&q, a.MaxMessageBytes)}, nil
}

// put creates a queue, or with If-Match updates it.
func (a *api) put(w http.ResponseWriter, r *http.Request, caller caller, name string) (answer, error) {
	if err := caller.mayWrite(); err != nil {
		return answer{}, err
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return answer{}, errTooLarge
	} else if err != nil {
		return answer{}, badRequest("the request breaks off")
	}
	asked, err := readFields(body)
	if err != nil {
		return answer{}, err
	}
	switch r.Header.Get("If-Match") {
	case "":
		return a.create(r, name, asked)
	case "*":
		return a.update(r, name, asked)
	}
	return answer{}, errEtag
}

func (a *api) create(r *http.Request, name string, asked *fields) (answer, error) {
	if problem := nameProblem(name); problem != "" {
		return answer{}, badRequest(problem)
	}
	settings, err := asked.settings(nil, a.MaxMessageBytes)
	if err == nil {
		err = a.Bus.CreateQueue(r.Context(), name, settings)
	}
	if err != nil {
		return answer{}, asRefusal(err, name)
	}
	a.Logger.Info("queue created", "queue", name)
	return a.described(r, name, http.StatusCreated)
}

func (a *api) update(r *http.Request, name string, asked *fields) (answer, error) {
	current, err := a.Bus.Queue(r.Context(), name)
	if err != nil {
		return answer{}, asRefusal(err, name)
	}
	settings, err := asked.settings(&current.Settings, a.MaxMessageBytes)
	if err == nil {
		err = a.Bus.UpdateQueue(r.Context(), name, settings)
	}
	if err != nil {
		return answer{}, asRefusal(err, name)
	}
	a.Logger.Info("queue updated", "queue", current.Name)
	return a.described(r, name, http.StatusOK)
}

// described answers with what a queue is now.
func (a *api) described(r *http.Request, name string, status int) (answer, error) {
	q, err := a.Bus.Queue(r.Context(), name)
	if err != nil {
		return answer{}, asRefusal(err, name)
	}
	return answer{status, placeOf(r).entry(&q, a.MaxMessageBytes)}, nil
}

func (a *api) remove(r *http.Request, caller caller, name string) (answer, error) {
	if err := caller.mayDelete(); err != nil {
		return answer{}, err
	}
	if err := a.Bus.DeleteQueue(r.Context(), name); err != nil {
		return answer{}, asRefusal(err, name)
	}
	a.Logger.Info("queue deleted", "queue", name)
	return answer{status: http.StatusOK}, nil
}

// asRefusal words what the bus, or the reading of a description, has against a
// queue.
func asRefusal(err error, name string) error {
	var faults Faults
	switch {
	case errors.As(err, &faults):
		return badRequest(strings.ReplaceAll(faults.Error(), "\n", "; "))
	case errors.Is(err, bus.ErrQueueNotFound):
		return notFound(name)
	case errors.Is(err, bus.ErrQueueExists):
		return exists(name)
	}
	return err
}

// list is a page of the queues in the order of their names. A page is as long
// as was asked for, because Go's SDK takes a shorter one for the last.
func (a *api) list(r *http.Request) (answer, error) {
	query := r.URL.Query()
	skip, err := number(query, "$skip", 0, 0)
	if err != nil {
		return answer{}, err
	}
	top, err := number(query, "$top", defaultPage, 1)
	if err != nil {
		return answer{}, err
	}
	queues, err := a.Bus.Queues(r.Context())
	if err != nil {
		return answer{}, err
	}
	rest := queues[min(skip, len(queues)):]
	page := rest[:min(top, len(rest))]
	p := placeOf(r)
	feed := p.feed("$Resources/Queues", skip, top, skip+len(page), len(page) < len(rest), a.Now())
	for i := range page {
		feed.Entries = append(feed.Entries, p.entry(&page[i], a.MaxMessageBytes))
	}
	return answer{http.StatusOK, feed}, nil
}

// number is a number of the query, at least low.
func number(query url.Values, name string, fallback, low int) (int, error) {
	text := query.Get(name)
	if text == "" {
		return fallback, nil
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || int(n) < low {
		return 0, badRequest(fmt.Sprintf("want %s from %d to %d, found %.32q", name, low, math.MaxInt32, text))
	}
	return int(n), nil
}
