package busadmin

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"bellhop/internal/bus"
	"bellhop/internal/sas"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus/admin"
)

const forEver = "P10675199DT2H48M5.4775807S"

// defaults are a queue's properties when nothing was asked for.
func defaults() admin.QueueProperties {
	return admin.QueueProperties{
		LockDuration: to.Ptr("PT1M"), MaxSizeInMegabytes: to.Ptr(int32(1024)), RequiresDuplicateDetection: to.Ptr(false),
		RequiresSession: to.Ptr(false), DefaultMessageTimeToLive: to.Ptr(forEver), DeadLetteringOnMessageExpiration: to.Ptr(false),
		DuplicateDetectionHistoryTimeWindow: to.Ptr("PT10M"), MaxDeliveryCount: to.Ptr(int32(10)), EnableBatchedOperations: to.Ptr(true),
		Status: to.Ptr(admin.EntityStatusActive), AutoDeleteOnIdle: to.Ptr(forEver), EnablePartitioning: to.Ptr(false),
		MaxMessageSizeInKilobytes: to.Ptr(int64(256)),
	}
}

// unusual are properties none of which is the default.
func unusual() admin.QueueProperties {
	return admin.QueueProperties{
		LockDuration: to.Ptr("PT45S"), MaxSizeInMegabytes: to.Ptr(int32(4096)), RequiresDuplicateDetection: to.Ptr(true),
		RequiresSession: to.Ptr(false), DefaultMessageTimeToLive: to.Ptr("PT6H"), DeadLetteringOnMessageExpiration: to.Ptr(true),
		DuplicateDetectionHistoryTimeWindow: to.Ptr("PT240M"), MaxDeliveryCount: to.Ptr(int32(100)), EnableBatchedOperations: to.Ptr(false),
		Status: to.Ptr(admin.EntityStatusReceiveDisabled), AutoDeleteOnIdle: to.Ptr(forEver), EnablePartitioning: to.Ptr(false),
		UserMetadata: to.Ptr("metadata <with> & \"signs\", naïve"), MaxMessageSizeInKilobytes: to.Ptr(int64(256)),
		AuthorizationRules: []admin.AuthorizationRule{
			{
				AccessRights: []admin.AccessRight{admin.AccessRightSend}, KeyName: to.Ptr("first"),
				PrimaryKey: to.Ptr(randomKey()), SecondaryKey: to.Ptr(randomKey()),
			},
			{
				AccessRights: []admin.AccessRight{admin.AccessRightManage, admin.AccessRightListen, admin.AccessRightSend}, KeyName: to.Ptr("second"),
				CreatedTime: to.Ptr(time.Date(2024, 1, 2, 3, 4, 5, 600, time.UTC)), ModifiedTime: to.Ptr(time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC)),
				PrimaryKey: to.Ptr(randomKey()), SecondaryKey: to.Ptr(randomKey()),
			},
		},
	}
}

func randomKey() string {
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	return base64.StdEncoding.EncodeToString(key)
}

func TestSDKCreatesAndGetsWithDefaults(t *testing.T) {
	r := newRig(t, nil)
	client, ctx := r.root(), t.Context()
	created, err := client.CreateQueue(ctx, "Orders/new", nil)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "created", created.QueueProperties, defaults())
	got, err := client.GetQueue(ctx, "orders/NEW", nil) // in any case
	if err != nil || got == nil {
		t.Fatal(got, err)
	}
	same(t, "got", got.QueueProperties, defaults())
	q, err := r.bus.Queue(ctx, "orders/new")
	if err != nil || q.Name != "Orders/new" {
		t.Fatal(q.Name, err)
	}
	want := bus.Settings{LockDuration: time.Minute, MaxDeliveryCount: 10, MaxSizeBytes: 1 << 30, Described: q.Settings.Described}
	same(t, "on the bus", q.Settings, want)
}

func TestSDKGetsBackWhatItSent(t *testing.T) {
	r := newRig(t, nil)
	client, ctx, want := r.root(), t.Context(), unusual()
	created, err := client.CreateQueue(ctx, "orders", &admin.CreateQueueOptions{Properties: &want})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "created", created.QueueProperties, want)
	got, err := client.GetQueue(ctx, "orders", nil)
	if err != nil || got == nil {
		t.Fatal(got, err)
	}
	same(t, "got", got.QueueProperties, want)
	q, err := r.bus.Queue(ctx, "orders")
	if err != nil {
		t.Fatal(err)
	}
	same(t, "on the bus", q.Settings, bus.Settings{
		LockDuration: 45 * time.Second, MaxDeliveryCount: 100, DefaultTTL: 6 * time.Hour, DeadLetterOnExpiration: true,
		DuplicateWindow: 4 * time.Hour, MaxSizeBytes: 4 << 30, Status: bus.StatusReceiveDisabled,
		UserMetadata: *want.UserMetadata, Described: q.Settings.Described,
	})
	updated, err := client.UpdateQueue(ctx, "orders", got.QueueProperties, nil)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "updated with what was got", updated.QueueProperties, want)
}

func TestSDKUpdates(t *testing.T) {
	r := newRig(t, nil)
	client, ctx := r.root(), t.Context()
	if _, err := client.CreateQueue(ctx, "orders", nil); err != nil {
		t.Fatal(err)
	}
	want := unusual()
	want.RequiresDuplicateDetection = to.Ptr(false)
	updated, err := client.UpdateQueue(ctx, "orders", want, nil)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "updated", updated.QueueProperties, want)

	for name, change := range map[string]func(*admin.QueueProperties){
		"RequiresSession":            func(p *admin.QueueProperties) { p.RequiresSession = to.Ptr(true) },
		"RequiresDuplicateDetection": func(p *admin.QueueProperties) { p.RequiresDuplicateDetection = to.Ptr(true) },
		"EnablePartitioning":         func(p *admin.QueueProperties) { p.EnablePartitioning = to.Ptr(true) },
	} {
		changed := want
		change(&changed)
		_, err := client.UpdateQueue(ctx, "orders", changed, nil)
		refusedWith(t, err, 400, "The value for the "+name+" property of an existing Queue cannot be changed")
	}
	got, err := client.GetQueue(ctx, "orders", nil)
	if err != nil || got == nil {
		t.Fatal(got, err)
	}
	same(t, "after the refusals", got.QueueProperties, want)

	_, err = client.UpdateQueue(ctx, "not-there", want, nil)
	refusedWith(t, err, 404, "404 Not Found")
}

// TestSDKUpdateLeavesOut: an update replaces the whole description, except for
// what cannot change.
func TestSDKUpdateLeavesOut(t *testing.T) {
	r := newRig(t, nil)
	client, ctx := r.root(), t.Context()
	before := unusual()
	if _, err := client.CreateQueue(ctx, "orders", &admin.CreateQueueOptions{Properties: &before}); err != nil {
		t.Fatal(err)
	}
	updated, err := client.UpdateQueue(ctx, "orders", admin.QueueProperties{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := defaults()
	want.RequiresDuplicateDetection = to.Ptr(true)
	same(t, "updated", updated.QueueProperties, want)
	updated, err = client.UpdateQueue(ctx, "orders", admin.QueueProperties{DuplicateDetectionHistoryTimeWindow: to.Ptr("PT1H")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	want.DuplicateDetectionHistoryTimeWindow = to.Ptr("PT1H")
	same(t, "with another window", updated.QueueProperties, want)
}

func TestSDKDeletesAndDoesNotFind(t *testing.T) {
	r := newRig(t, nil)
	client, ctx := r.root(), t.Context()
	if _, err := client.CreateQueue(ctx, "orders", nil); err != nil {
		t.Fatal(err)
	}
	_, err := client.CreateQueue(ctx, "ORDERS", nil)
	refusedWith(t, err, 409, "already exists")
	if _, err := client.DeleteQueue(ctx, "orders", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := r.bus.Queue(ctx, "orders"); !errors.Is(err, bus.ErrQueueNotFound) {
		t.Fatalf("the deleted queue: %v", err)
	}
	_, err = client.DeleteQueue(ctx, "orders", nil)
	refusedWith(t, err, 404, "could not be found")
	if got, err := client.GetQueue(ctx, "orders", nil); got != nil || err != nil {
		t.Fatalf("got %v, %v, want neither", got, err)
	}
	if got, err := client.GetQueueRuntimeProperties(ctx, "orders", nil); got != nil || err != nil {
		t.Fatalf("got %v, %v, want neither", got, err)
	}
	if got, err := client.GetTopic(ctx, "orders", nil); got != nil || err != nil {
		t.Fatalf("got topic %v, %v, want neither", got, err)
	}
}

func TestSDKRuntimeProperties(t *testing.T) {
	r := newRig(t, nil)
	client, ctx, before := r.root(), t.Context(), time.Now().Truncate(time.Millisecond)
	if _, err := client.CreateQueue(ctx, "orders", nil); err != nil {
		t.Fatal(err)
	}
	empty, err := client.GetQueueRuntimeProperties(ctx, "orders", nil)
	if err != nil || empty == nil {
		t.Fatal(empty, err)
	}
	if empty.CreatedAt.Before(before) || empty.CreatedAt.After(time.Now()) || !empty.UpdatedAt.Equal(empty.CreatedAt) || !empty.AccessedAt.IsZero() {
		t.Fatalf("created %v, updated %v, accessed %v", empty.CreatedAt, empty.UpdatedAt, empty.AccessedAt)
	}
	same(t, "an empty queue", empty.QueueRuntimeProperties, admin.QueueRuntimeProperties{CreatedAt: empty.CreatedAt, UpdatedAt: empty.UpdatedAt})

	r.fill("orders")
	got, err := client.GetQueueRuntimeProperties(ctx, "orders", nil)
	if err != nil || got == nil {
		t.Fatal(got, err)
	}
	if got.SizeInBytes <= 0 || got.AccessedAt.Before(before) || got.AccessedAt.After(time.Now()) {
		t.Errorf("%d bytes, accessed %v", got.SizeInBytes, got.AccessedAt)
	}
	same(t, "a full queue", got.QueueRuntimeProperties, admin.QueueRuntimeProperties{
		TotalMessageCount: 4 + 1 + 2 + 1, ActiveMessageCount: 4, ScheduledMessageCount: 2, DeadLetterMessageCount: 1,
		SizeInBytes: got.SizeInBytes, CreatedAt: empty.CreatedAt, UpdatedAt: empty.UpdatedAt, AccessedAt: got.AccessedAt,
	})
}

// fill leaves four active messages (one of them locked), a deferred one, two
// scheduled and a dead letter in a queue.
func (r *rig) fill(queue string) {
	r.t.Helper()
	ctx := r.t.Context()
	messages := make([]bus.Message, 6, 8)
	for range 2 {
		messages = append(messages, bus.Message{ScheduledEnqueueTime: time.Now().Add(time.Hour)})
	}
	if _, err := r.bus.Send(ctx, queue, messages...); err != nil {
		r.t.Fatal(err)
	}
	got, err := r.bus.Receive(ctx, queue, bus.ReceiveOptions{Limit: 3})
	if err != nil || len(got) != 3 {
		r.t.Fatal(len(got), err)
	}
	if err := r.bus.DeadLetter(ctx, got[0].LockToken, "reason", "description", nil); err != nil {
		r.t.Fatal(err)
	}
	if err := r.bus.Defer(ctx, got[1].LockToken, nil); err != nil {
		r.t.Fatal(err)
	}
}

func TestSDKListsPages(t *testing.T) {
	r := newRig(t, nil)
	client, ctx := r.root(), t.Context()
	made := 0
	for _, total := range []int{0, 1, 100, 101} {
		for ; made < total; made++ {
			if err := r.bus.CreateQueue(ctx, queueName(made), bus.Settings{MaxDeliveryCount: made + 1}); err != nil {
				t.Fatal(err)
			}
		}
		for _, size := range []int32{0, 1, 7, 100, 1000} {
			if size == 1 && total > 1 {
				continue // a request a queue
			}
			t.Run(fmt.Sprintf("%d by %d", total, size), func(t *testing.T) { listed(t, client, total, size) })
		}
	}
	empty, err := client.NewListTopicsPager(nil).NextPage(ctx)
	if err != nil || len(empty.Topics) != 0 {
		t.Fatalf("%d topics, %v", len(empty.Topics), err)
	}
}

func queueName(i int) string { return fmt.Sprintf("queue-%03d", i) }

func listed(t *testing.T, client *admin.Client, total int, size int32) {
	seen := 0
	pager := client.NewListQueuesPager(&admin.ListQueuesOptions{MaxPageSize: size})
	for pager.More() {
		page, err := pager.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		most := int(size)
		if most == 0 {
			most = 100
		}
		if len(page.Queues) > most {
			t.Errorf("a page of %d, want at most %d", len(page.Queues), most)
		}
		for _, q := range page.Queues {
			if q.QueueName != queueName(seen) || *q.MaxDeliveryCount != int32(seen+1) {
				t.Fatalf("queue %d is %s with %d deliveries", seen, q.QueueName, *q.MaxDeliveryCount)
			}
			seen++
		}
	}
	counted := 0
	runtime := client.NewListQueuesRuntimePropertiesPager(&admin.ListQueuesRuntimePropertiesOptions{MaxPageSize: size})
	for runtime.More() {
		page, err := runtime.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		counted += len(page.QueueRuntimeProperties)
	}
	if seen != total || counted != total {
		t.Errorf("listed %d and %d queues, want %d", seen, counted, total)
	}
}

func TestSDKNamespace(t *testing.T) {
	r := newRig(t, nil)
	got, err := r.root().GetNamespaceProperties(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got.Name != "127.0.0.1" || got.SKU != "Standard" || got.MessagingUnits != nil || got.CreatedTime.IsZero() || got.ModifiedTime.IsZero() {
		t.Errorf("got %+v", got.NamespaceProperties)
	}
}

func TestSDKWithoutManage(t *testing.T) {
	r := newRig(t, nil)
	ctx := t.Context()
	if err := r.bus.CreateQueue(ctx, "orders", bus.Settings{}); err != nil {
		t.Fatal(err)
	}
	client := r.client(listenOnly, listenOnlyKey)
	if got, err := client.GetQueue(ctx, "not-there", nil); got != nil || err != nil {
		t.Errorf("got %v, %v for a queue that is not there, want neither", got, err)
	}
	if got, err := client.GetQueueRuntimeProperties(ctx, "not-there", nil); got != nil || err != nil {
		t.Errorf("got %v, %v for a queue that is not there, want neither", got, err)
	}
	_, err := client.GetQueue(ctx, "orders", nil)
	refusedWith(t, err, 401, ">Manage,EntityRead claims required for this operation")
	_, err = client.NewListQueuesPager(nil).NextPage(ctx)
	refusedWith(t, err, 401, ">Manage,EntityRead claims required for this operation")
	_, err = client.GetNamespaceProperties(ctx, nil)
	refusedWith(t, err, 401, ">Manage,EntityRead claims required for this operation")
	_, err = client.CreateQueue(ctx, "never", nil)
	refusedWith(t, err, 401, "Authorization failed for specified action: Manage,EntityWrite")
	_, err = client.UpdateQueue(ctx, "orders", admin.QueueProperties{}, nil)
	refusedWith(t, err, 401, "Authorization failed for specified action: Manage,EntityWrite")
	_, err = client.DeleteQueue(ctx, "orders", nil)
	refusedWith(t, err, 401, "Authorization failed for specified action: Manage,EntityDelete.")
	all, err := r.bus.Queues(ctx)
	if err != nil || len(all) != 1 {
		t.Errorf("%d queues, %v, want the one", len(all), err)
	}
}

func TestSDKWithoutKey(t *testing.T) {
	r := newRig(t, nil)
	ctx := t.Context()
	_, err := r.client(sas.RootRule, "not the key, but as long as one").CreateQueue(ctx, "orders", nil)
	refusedWith(t, err, 401, "InvalidSignature")
	_, err = r.client("NoSuchRule", "not the key, but as long as one").CreateQueue(ctx, "orders", nil)
	refusedWith(t, err, 401, "InvalidSignature")
	_, err = r.entra().CreateQueue(ctx, "orders", nil)
	refusedWith(t, err, 401, "MalformedToken")
}

func TestSDKWithAnyKey(t *testing.T) {
	r := newRig(t, func(o *Options) { o.AcceptAnyKey = true })
	ctx := t.Context()
	if _, err := r.client(sas.RootRule, "SAS_KEY_VALUE").CreateQueue(ctx, "by-key", nil); err != nil {
		t.Error(err)
	}
	if _, err := r.entra().CreateQueue(ctx, "by-entra", nil); err != nil {
		t.Error(err)
	}
}

// entra is a client with a token that is no shared access signature.
func (r *rig) entra() *admin.Client {
	r.t.Helper()
	client, err := admin.NewClient(r.host(), jwt("header.claims.signature"), r.clientOptions())
	if err != nil {
		r.t.Fatal(err)
	}
	return client
}

type jwt string

func (j jwt) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: string(j), ExpiresOn: time.Now().Add(time.Hour)}, nil
}

// TestSDKHearsWhatIsNotSupported: each in an answer that is not tried again.
func TestSDKHearsWhatIsNotSupported(t *testing.T) {
	r := newRig(t, nil)
	client, ctx := r.root(), t.Context()
	for name, p := range map[string]admin.QueueProperties{
		"RequiresSession":               {RequiresSession: to.Ptr(true)},
		"EnablePartitioning":            {EnablePartitioning: to.Ptr(true)},
		"AutoDeleteOnIdle":              {AutoDeleteOnIdle: to.Ptr("PT10M")},
		"ForwardTo":                     {ForwardTo: to.Ptr("0")},
		"ForwardDeadLetteredMessagesTo": {ForwardDeadLetteredMessagesTo: to.Ptr("https://host/dead")},
		"MaxMessageSizeInKilobytes":     {MaxMessageSizeInKilobytes: to.Ptr(int64(102400))},
	} {
		_, err := client.CreateQueue(ctx, "orders", &admin.CreateQueueOptions{Properties: &p})
		refusedWith(t, err, 400, name+": ", "is not supported yet")
	}
	_, err := client.CreateTopic(ctx, "events", nil)
	refusedWith(t, err, 501, "Topics are not supported yet")
	_, err = client.CreateSubscription(ctx, "events", "all", nil)
	refusedWith(t, err, 501, "Subscriptions are not supported yet")
	_, err = client.GetSubscription(ctx, "events", "all", nil)
	refusedWith(t, err, 501, "Subscriptions are not supported yet")
	_, err = client.NewListSubscriptionsPager("events", nil).NextPage(ctx)
	refusedWith(t, err, 501, "Subscriptions are not supported yet")
	_, err = client.CreateRule(ctx, "events", "all", &admin.CreateRuleOptions{Name: to.Ptr("rule")})
	refusedWith(t, err, 501, "Subscriptions are not supported yet")
}

// TestSDKHearsEverythingThatIsWrong: all limits at once.
func TestSDKHearsEverythingThatIsWrong(t *testing.T) {
	r := newRig(t, nil)
	client, ctx := r.root(), t.Context()
	_, err := client.CreateQueue(ctx, "orders", &admin.CreateQueueOptions{Properties: &admin.QueueProperties{
		LockDuration: to.Ptr("PT10M"), DefaultMessageTimeToLive: to.Ptr("PT0S"), DuplicateDetectionHistoryTimeWindow: to.Ptr("P8D"),
		MaxDeliveryCount: to.Ptr(int32(2001)), MaxSizeInMegabytes: to.Ptr(int32(0)), UserMetadata: to.Ptr(strings.Repeat("é", 1025)),
		Status: to.Ptr(admin.EntityStatus("Creating")), AuthorizationRules: []admin.AuthorizationRule{{KeyName: to.Ptr("name")}},
	}})
	refusedWith(t, err, 400, "SubCode=40000",
		"LockDuration: want PT5S to PT5M, found PT10M",
		"DefaultMessageTimeToLive: want PT1S or more, found PT0S",
		"DuplicateDetectionHistoryTimeWindow: want PT20S to P7D, found P8D",
		"MaxDeliveryCount: want 1 to 2000, found",
		"MaxSizeInMegabytes: want 1 to 81920, found",
		"UserMetadata: want at most 1024 characters, found 1025",
		"Status: want Active, Disabled, SendDisabled or ReceiveDisabled, found",
		"AuthorizationRules[0]: want a KeyName and at least one right")
	for _, name := range []string{"-orders", "orders-", strings.Repeat("n", 261), "a b", "$orders"} {
		_, err := client.CreateQueue(ctx, name, nil)
		var refused *azcore.ResponseError
		if !errors.As(err, &refused) || refused.StatusCode != 400 && refused.StatusCode != 405 {
			t.Errorf("queue %.20q: %v", name, err)
		}
	}
	if all, err := r.bus.Queues(ctx); err != nil || len(all) != 0 {
		t.Errorf("%d queues, %v, want none", len(all), err)
	}
}

// TestSDKOnABusThatHasEnded: what is not the caller's fault is 503, which SDKs
// try again, and says nothing of the inside.
func TestSDKOnABusThatHasEnded(t *testing.T) {
	r := newRig(t, nil)
	if err := r.bus.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := r.root().GetQueue(t.Context(), "orders", nil)
	refusedWith(t, err, http.StatusServiceUnavailable, "SubCode=50300")
	_, err = r.root().CreateQueue(t.Context(), "orders", nil)
	refusedWith(t, err, http.StatusServiceUnavailable, "SubCode=50300")
}

// refusedWith checks an error of the SDK.
func refusedWith(t *testing.T, err error, status int, texts ...string) {
	t.Helper()
	var refused *azcore.ResponseError
	if !errors.As(err, &refused) || refused.StatusCode != status {
		t.Errorf("got %v, want status %d", err, status)
		return
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("got %v, want %q in it", err, text)
		}
	}
}

func same[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		g, w := reflect.ValueOf(got), reflect.ValueOf(want)
		for i := range g.NumField() {
			if !reflect.DeepEqual(g.Field(i).Interface(), w.Field(i).Interface()) {
				t.Errorf("%s: %s is %v, want %v", what, g.Type().Field(i).Name, show(g.Field(i)), show(w.Field(i)))
			}
		}
	}
}

func show(v reflect.Value) any {
	if v.Kind() == reflect.Pointer && !v.IsNil() {
		return v.Elem().Interface()
	}
	return v.Interface()
}
