package busadmin

import (
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bellhop/internal/bus"
	"bellhop/internal/sas"
	"bellhop/internal/sqlitedb"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus/admin"
)

// listenOnly is a rule that may not manage.
const (
	listenOnly    = "listen-only"
	listenOnlyKey = "a key for those who only receive"
)

// rig is a bus with its admin API on a loopback listener with TLS.
type rig struct {
	t      *testing.T
	bus    *bus.Bus
	path   string // of the bus's file
	keys   *sas.Keys
	server *httptest.Server
}

func newRig(t *testing.T, change func(*Options)) *rig {
	t.Helper()
	root := sas.RandomKeys().Root()
	keys, err := sas.NewKeys(root, sas.Rule{Name: listenOnly, Key: listenOnlyKey, Rights: sas.Listen})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "bus.db")
	opts := Options{Bus: newBus(t, path), Keys: keys}
	if change != nil {
		change(&opts)
	}
	r := &rig{t: t, bus: opts.Bus, path: path, keys: keys, server: httptest.NewTLSServer(New(opts))}
	t.Cleanup(r.server.Close)
	return r
}

func newBus(t *testing.T, path string) *bus.Bus {
	t.Helper()
	b, err := bus.Open(bus.Options{Path: path, Durability: sqlitedb.Off})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func (r *rig) host() string { return r.server.Listener.Addr().String() }

// client is the official admin client with a rule's key.
func (r *rig) client(rule, key string) *admin.Client {
	r.t.Helper()
	c := sas.ConnectionString{Endpoint: "sb://" + r.host(), KeyName: rule, Key: key}
	client, err := admin.NewClientFromConnectionString(c.String(), r.clientOptions())
	if err != nil {
		r.t.Fatal(err)
	}
	return client
}

// clientOptions trust the server's certificate and try nothing twice.
func (r *rig) clientOptions() *admin.ClientOptions {
	opts := &admin.ClientOptions{}
	opts.Transport = r.server.Client()
	opts.Retry = policy.RetryOptions{MaxRetries: -1}
	return opts
}

// root is the official admin client that may do everything.
func (r *rig) root() *admin.Client {
	rule := r.keys.Root()
	return r.client(rule.Name, rule.Key)
}

// token is a shared access signature for the whole bus.
func (r *rig) token(rule, key string) string {
	r.t.Helper()
	token, err := sas.Sign("https://"+r.host(), rule, key, time.Now().Add(time.Hour))
	if err != nil {
		r.t.Fatal(err)
	}
	return token.String()
}

// request is a request of the one who may do everything, to be changed and
// sent by do.
func (r *rig) request(method, path, body string) *http.Request {
	r.t.Helper()
	req, err := http.NewRequest(method, r.server.URL+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	rule := r.keys.Root()
	req.Header.Set("Authorization", r.token(rule.Name, rule.Key))
	return req
}

func (r *rig) do(req *http.Request) (status int, body string, header http.Header) {
	r.t.Helper()
	resp, err := r.server.Client().Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	var text strings.Builder
	if _, err := io.Copy(&text, resp.Body); err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, text.String(), resp.Header
}
