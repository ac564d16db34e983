package servicebus

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"bellhop/internal/queue"
	"bellhop/internal/sas"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus/admin"
)

// What a queue for a lane must be like. Messages are delivered so often before
// Service Bus gives them up that the ledger has long decided.
const (
	wantLock       = "PT1M"
	wantDeliveries = 100
	wantTTL        = "P10675199DT2H48M5.4775807S" // for ever
)

// Prepared is what became of one queue.
type Prepared struct {
	Queue string
	// Created tells that it was not there before.
	Created bool
	// Differences are what is not as it should be. Nothing was done about them.
	Differences []Difference
}

// Difference is one setting of a queue that is not as it should be.
type Difference struct{ Setting, Have, Want string }

// Prepare creates the queues that are missing, with settings for lanes: locks
// of a minute, 100 deliveries, no expiry, no duplicate detection, no sessions.
// It never alters what exists. It needs the right Manage; without it the error
// is [ErrRefused]. On an error it returns what it did before.
func Prepare(ctx context.Context, opts Options, names ...string) (all []Prepared, err error) {
	client, err := opts.admin()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		p, err := prepare(ctx, client, name)
		if err != nil {
			return all, fmt.Errorf("queue %q: %w", name, refusal(err))
		}
		all = append(all, p)
	}
	return all, nil
}

func prepare(ctx context.Context, client *admin.Client, name string) (Prepared, error) {
	found, err := client.GetQueue(ctx, name, nil)
	if err != nil {
		return Prepared{}, err
	}
	if found != nil {
		return Prepared{Queue: name, Differences: differences(found.QueueProperties)}, nil
	}
	lock, ttl, deliveries, no := wantLock, wantTTL, int32(wantDeliveries), false
	made, err := client.CreateQueue(ctx, name, &admin.CreateQueueOptions{Properties: &admin.QueueProperties{
		LockDuration: &lock, MaxDeliveryCount: &deliveries, DefaultMessageTimeToLive: &ttl,
		RequiresDuplicateDetection: &no, RequiresSession: &no,
	}})
	if err != nil {
		return Prepared{}, err
	}
	return Prepared{Queue: name, Created: true, Differences: differences(made.QueueProperties)}, nil
}

// differences compares a queue with what it should be.
func differences(p admin.QueueProperties) (found []Difference) {
	note := func(same bool, setting, have, want string) {
		if !same {
			found = append(found, Difference{setting, have, want})
		}
	}
	span := func(setting string, have *string, want string) {
		note(have != nil && sameSpan(*have, want), setting, text(have), want)
	}
	off := func(setting string, have *bool) {
		note(have != nil && !*have, setting, strconv.FormatBool(have != nil && *have), "false")
	}
	span("LockDuration", p.LockDuration, wantLock)
	deliveries := int32(0)
	if p.MaxDeliveryCount != nil {
		deliveries = *p.MaxDeliveryCount
	}
	note(deliveries == wantDeliveries, "MaxDeliveryCount", strconv.Itoa(int(deliveries)), strconv.Itoa(wantDeliveries))
	span("DefaultMessageTimeToLive", p.DefaultMessageTimeToLive, wantTTL)
	off("RequiresDuplicateDetection", p.RequiresDuplicateDetection)
	off("RequiresSession", p.RequiresSession)
	if p.AutoDeleteOnIdle != nil {
		span("AutoDeleteOnIdle", p.AutoDeleteOnIdle, wantTTL)
	}
	if p.Status != nil {
		note(*p.Status == admin.EntityStatusActive, "Status", string(*p.Status), string(admin.EntityStatusActive))
	}
	note(text(p.ForwardTo) == "", "ForwardTo", text(p.ForwardTo), "")
	return found
}

// span is a duration as Service Bus writes it (ISO 8601, days at most).
var span = regexp.MustCompile(`^P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.\d+)?S)?)?$`)

// sameSpan tells whether two durations are equal, to the second.
func sameSpan(a, b string) bool {
	x, okX := seconds(a)
	y, okY := seconds(b)
	return okX && okY && x == y
}

func seconds(iso string) (total int64, ok bool) {
	parts := span.FindStringSubmatch(iso)
	if parts == nil {
		return 0, false
	}
	for i, unit := range []int64{24 * 3600, 3600, 60, 1} {
		if parts[i+1] == "" {
			continue
		}
		n, err := strconv.ParseInt(parts[i+1], 10, 40)
		if err != nil {
			return 0, false
		}
		total += n * unit
	}
	return total, true
}

// refusal puts a word for people in front of an error of the admin API.
func refusal(err error) error {
	var answer *azcore.ResponseError
	if !errors.As(err, &answer) {
		return err
	}
	switch answer.StatusCode {
	case http.StatusUnauthorized: // a right that the key lacks is told in the same way
		return fmt.Errorf("%w: the key or the token is not accepted, or does not have the right Manage (%w)", ErrRefused, err)
	case http.StatusForbidden:
		return fmt.Errorf("%w: the right Manage is needed (%w)", ErrRefused, err)
	case http.StatusNotFound:
		return fmt.Errorf("%w (%w)", queue.ErrUnknownQueue, err)
	}
	return err
}

// admin makes a client of the admin API, which is spoken over HTTPS, or over
// HTTP where the connection string rules TLS out: the SDK has no way to say so.
func (o Options) admin() (*admin.Client, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = o.TLS.Clone()
	transport.DisableKeepAlives = true // a few requests, and nothing to close
	options := &admin.ClientOptions{ClientOptions: azcore.ClientOptions{
		Transport: &adminTransport{&http.Client{Transport: transport, Timeout: usualTiming().call}, o.parsed().Emulator},
		Retry:     policy.RetryOptions{MaxRetries: 2, RetryDelay: retries().RetryDelay, MaxRetryDelay: 2 * time.Second},
	}}
	var client *admin.Client
	var err error
	if o.ConnectionString != "" {
		client, err = admin.NewClientFromConnectionString(o.ConnectionString, options)
	} else {
		client, err = admin.NewClient(o.Namespace, o.Credential, options)
	}
	if err != nil {
		return nil, fmt.Errorf("connect to Service Bus: %w", err)
	}
	return client, nil
}

// adminTransport sends requests of the admin API.
type adminTransport struct {
	client *http.Client
	plain  bool
}

// Do implements [policy.Transporter].
func (t *adminTransport) Do(request *http.Request) (*http.Response, error) {
	if t.plain {
		request = request.Clone(request.Context())
		request.URL.Scheme = "http"
	}
	return t.client.Do(request)
}

// Commands are those of the Azure CLI that create the queues as Prepare does, for
// whoever has the right to. A namespace is left for them to fill in where host,
// which may be empty, is not one of Azure's: a bus on this machine, say.
func Commands(host string, names ...string) string {
	var b strings.Builder
	name, cloud, _ := strings.Cut(host, ".")
	if !strings.HasPrefix(strings.ToLower(cloud), "servicebus.") { // with which the domain of each of its clouds begins
		name = `"$NAMESPACE"`
		if host != "" {
			fmt.Fprintf(&b, "# %s is not in Azure. NAMESPACE is the part before .servicebus.windows.net of one that is.\n", host)
		}
	}
	for _, queue := range names {
		fmt.Fprintf(&b, "az servicebus queue create --resource-group \"$RESOURCE_GROUP\" --namespace-name %s --name %s --lock-duration %s --max-delivery-count %d --default-message-time-to-live %s\n",
			name, queue, wantLock, wantDeliveries, wantTTL)
	}
	return b.String()
}

// Host is the namespace's host, with a port if the connection string has one;
// "" if there is none.
func (o Options) Host() string {
	if o.Namespace != "" {
		return o.Namespace
	}
	return o.parsed().Host()
}

// parsed is the connection string; empty if there is none, or none that can be
// read, which the SDK refuses with its own words.
func (o Options) parsed() sas.ConnectionString {
	c, err := sas.ParseConnectionString(o.ConnectionString)
	if err != nil {
		return sas.ConnectionString{}
	}
	return c
}
