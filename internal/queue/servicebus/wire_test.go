package servicebus

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"bellhop/internal/bus"
	"bellhop/internal/queue"
	"bellhop/internal/queue/embedded"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

// TestWireAndProcess: what is sent on the wire is received in the process, and
// the reverse, with all that the contract knows of it.
func TestWireAndProcess(t *testing.T) {
	for name, secure := range map[string]bool{"TCP": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			w := startWire(t, secure)
			w.makeQueue("q", bus.Settings{})
			inside, outside := queue.Queue(embedded.New(w.bus)), queue.Queue(w.queue())
			for _, way := range [][2]queue.Queue{{inside, outside}, {outside, inside}} {
				cross(t, way[0], way[1])
			}
			if err := inside.Close(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

func cross(t *testing.T, from, to queue.Queue) {
	t.Helper()
	ctx := within(t)
	sent := []queue.Message{
		{ID: "1", Properties: map[string]string{"mail": "7", "ümlaut": "ß", "empty": ""}, Body: []byte("body\x00")},
		{ID: "2"},
	}
	if err := from.Send(ctx, "q", sent...); err != nil {
		t.Fatal(err)
	}
	r, err := to.Receiver("q")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close(ctx)
	for i := range sent {
		got, err := r.Receive(ctx, 1)
		if err != nil {
			t.Fatal(err)
		}
		m, want := got[0].Message(), sent[i]
		if m.ID != want.ID || string(m.Body) != string(want.Body) || len(m.Properties) != len(want.Properties) || m.Properties["ümlaut"] != want.Properties["ümlaut"] {
			t.Errorf("received %+v, want %+v", m, want)
		}
		if got[0].Count() != 1 {
			t.Errorf("delivery %d", got[0].Count())
		}
		if err := got[0].DeadLetter(ctx, "reason", "words"); err != nil {
			t.Fatal(err)
		}
	}
	letters, _, err := from.(queue.DeadLetterer).DeadLetters(ctx, "q", "", 10)
	if err != nil || len(letters) != 2 || letters[0].Reason != "reason" || letters[1].Description != "words" {
		t.Fatalf("dead letters %+v, %v", letters, err)
	}
	for _, letter := range letters {
		if err := from.(queue.DeadLetterer).Discard(ctx, "q", letter.ID); err != nil {
			t.Fatal(err)
		}
	}
}

// login is a credential that counts its tokens.
type login struct {
	tokens atomic.Int64
	hang   bool
	fail   error
}

func (l *login) GetToken(ctx context.Context, options policy.TokenRequestOptions) (azcore.AccessToken, error) {
	l.tokens.Add(1)
	if l.hang {
		<-ctx.Done()
		return azcore.AccessToken{}, ctx.Err()
	}
	if len(options.Scopes) != 1 || !strings.HasPrefix(options.Scopes[0], "https://servicebus.azure.net/") {
		return azcore.AccessToken{}, errors.New("a token for something else")
	}
	return azcore.AccessToken{Token: "e30.e30.", ExpiresOn: time.Now().Add(time.Hour)}, l.fail
}

// TestIdentity: no key, but a token for who the process is.
func TestIdentity(t *testing.T) {
	w := startWire(t, true, func(w *wire) { w.anyKey = true })
	opts := w.options()
	who := &login{}
	opts.ConnectionString, opts.Namespace, opts.Credential = "", "localhost:"+w.port, who
	if all, err := Prepare(within(t), opts, "q"); err != nil || len(all) != 1 || !all[0].Created {
		t.Fatalf("prepared %+v, %v", all, err)
	}
	q := w.queueOf(opts, usualTiming())
	w.must(q.Send(within(t), "q", queue.Message{ID: "1"}))
	r, err := q.Receiver("q")
	w.must(err)
	got, err := r.Receive(within(t), 1)
	w.must(err)
	w.must(got[0].Complete(within(t)))
	if who.tokens.Load() == 0 {
		t.Error("nobody asked for a token")
	}
}

// TestIdentityFails: whoever gives tokens gives none, or never answers.
func TestIdentityFails(t *testing.T) {
	w := startWire(t, true, func(w *wire) { w.anyKey = true })
	opts := w.options()
	opts.ConnectionString, opts.Namespace, opts.Credential = "", "localhost:"+w.port, &login{fail: errors.New("who are you")}
	q := w.queueOf(opts, hasty())
	if err := q.Send(within(t), "q", queue.Message{ID: "1"}); err == nil || !strings.Contains(err.Error(), "who are you") {
		t.Errorf("error %v", err)
	}
	_, err := bounded{&login{hang: true}, 10 * time.Millisecond}.GetToken(context.Background(), policy.TokenRequestOptions{})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("asking somebody who does not answer: %v", err)
	}
}

func TestNewCredential(t *testing.T) {
	for _, test := range []struct {
		developer bool
		env       map[string]string
		want      azcore.TokenCredential
	}{
		{false, nil, &azidentity.ManagedIdentityCredential{}},
		{false, map[string]string{"AZURE_CLIENT_ID": "app"}, &azidentity.ManagedIdentityCredential{}},
		{false, map[string]string{"AZURE_CLIENT_ID": "app", "AZURE_TENANT_ID": "tenant", "AZURE_FEDERATED_TOKEN_FILE": "file"}, &azidentity.WorkloadIdentityCredential{}},
		{true, map[string]string{"AZURE_FEDERATED_TOKEN_FILE": "file"}, &azidentity.ChainedTokenCredential{}},
	} {
		got, err := NewCredential(test.developer, func(name string) string { return test.env[name] })
		if err != nil || reflect.TypeOf(got) != reflect.TypeOf(test.want) {
			t.Errorf("%+v: %T, %v", test, got, err)
		}
	}
	if _, err := NewCredential(false, func(name string) string { return map[string]string{"AZURE_FEDERATED_TOKEN_FILE": "file"}[name] }); err == nil {
		t.Error("a workload without a name")
	}
}

// TestRights: a key without the right that is needed, and one that is wrong.
func TestRights(t *testing.T) {
	w := startWire(t, false)
	w.makeQueue("q", bus.Settings{})
	for _, test := range []struct{ rule, key, send, receive string }{
		{onlySend, theirKey, "", "refused"},
		{onlyListen, theirKey, "refused", ""},
		{onlyListen, "wrong", "refused", "refused"},
		{"nobody", theirKey, "refused", "refused"},
	} {
		q := w.queueOf(w.optionsOf(test.rule, test.key), hasty())
		err := q.Send(within(t), "q", queue.Message{ID: "1"})
		if errors.Is(err, ErrRefused) != (test.send != "") {
			t.Errorf("%+v: send: %v", test, err)
		}
		_, err = q.Missing(within(t), "q")
		if errors.Is(err, ErrRefused) != (test.receive != "") {
			t.Errorf("%+v: look: %v", test, err)
		}
		r, err := q.Receiver("q")
		w.must(err)
		wait := enough
		if test.receive == "" {
			wait = 300 * time.Millisecond // nothing comes
		}
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		_, err = r.Receive(ctx, 1)
		cancel()
		if errors.Is(err, ErrRefused) != (test.receive != "") {
			t.Errorf("%+v: receive: %v", test, err)
		}
		if err != nil && strings.Contains(err.Error(), test.key) {
			t.Errorf("%+v: the key is in the error: %v", test, err)
		}
	}
}

// TestMissing: all that are not there are named.
func TestMissing(t *testing.T) {
	w := startWire(t, false)
	w.makeQueue("there", bus.Settings{})
	missing, err := w.queue().Missing(within(t), "one", "there", "other")
	if err != nil || strings.Join(missing, " ") != "one other" {
		t.Errorf("missing %q, %v", missing, err)
	}
}

// TestOptions: what cannot be used is said at once, and no key with it.
func TestOptions(t *testing.T) {
	for want, opts := range map[string]Options{
		"want a connection string, or a namespace": {},
		"or a namespace and a credential":          {Namespace: "contoso.servicebus.windows.net"},
		"not both":                                 {ConnectionString: "Endpoint=sb://h;SharedAccessKeyName=a;SharedAccessKey=hunter2", Namespace: "h", Credential: &login{}},
		"SharedAccessKeyName":                      {ConnectionString: "Endpoint=sb://h;SharedAccessKey=hunter2"},
	} {
		_, err := New(opts)
		_, errPrepare := Prepare(t.Context(), opts, "q")
		for _, err := range []error{err, errPrepare} {
			if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("error %v, want %q", err, want)
			}
		}
	}
	q, err := New(Options{ConnectionString: "Endpoint=sb://h;SharedAccessKeyName=a;SharedAccessKey=hunter2"})
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestLetterHeldElsewhere: a dead letter that somebody else works on is there,
// and cannot be had.
func TestLetterHeldElsewhere(t *testing.T) {
	w := startWire(t, false)
	w.makeQueue("q", bus.Settings{})
	q := w.queueWith(hasty())
	kill(t, q, 3)
	held, err := w.bus.Receive(within(t), "q"+bus.DeadLetterSuffix, bus.ReceiveOptions{Limit: 1})
	w.must(err)
	letters, _, err := q.DeadLetters(within(t), "q", "", 10)
	w.must(err)
	if err := q.Discard(within(t), "q", letters[0].ID); !errors.Is(err, ErrNoDeadLetter) || !strings.Contains(err.Error(), "somebody else holds") {
		t.Errorf("error %v", err)
	}
	w.must(q.Discard(within(t), "q", letters[2].ID)) // the search gave the others back
	w.must(w.bus.Abandon(within(t), held[0].LockToken, nil))
	w.must(q.Discard(within(t), "q", letters[0].ID))
	left, _, err := q.DeadLetters(within(t), "q", "", 10)
	w.must(err)
	if len(left) != 1 || left[0].ID != letters[1].ID {
		t.Errorf("left are %+v", left)
	}
}

// kill sends n messages and dead-letters them.
func kill(t *testing.T, q *Queue, n int) {
	t.Helper()
	r, err := q.Receiver("q")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close(t.Context())
	for range n {
		if err := q.Send(within(t), "q", queue.Message{ID: "dead"}); err != nil {
			t.Fatal(err)
		}
		got, err := r.Receive(within(t), 1)
		if err != nil {
			t.Fatal(err)
		}
		if err := got[0].DeadLetter(within(t), "reason", "words"); err != nil {
			t.Fatal(err)
		}
	}
}
