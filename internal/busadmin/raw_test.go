package busadmin

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"bellhop/internal/bus"
	"bellhop/internal/sas"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// entryOf is a request that describes a queue by these elements.
func entryOf(elements string) string {
	return `<entry xmlns="http://www.w3.org/2005/Atom"><content type="application/xml">` +
		`<QueueDescription xmlns="http://schemas.microsoft.com/netservices/2010/10/servicebus/connect" xmlns:i="http://www.w3.org/2001/XMLSchema-instance">` +
		elements + `</QueueDescription></content></entry>`
}

var times = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`)

// TestEntry pins every byte of an answer: the order of the elements, the
// prefixes and what is left out matter to one SDK or another.
func TestEntry(t *testing.T) {
	r := newRig(t, nil)
	status, body, header := r.do(r.request("PUT", "/Orders/new?api-version=2021-05", entryOf(`<UserMetadata>a &lt; "b" &amp;
	'c' &amp;#34;</UserMetadata><AuthorizationRules>
		<AuthorizationRule xmlns:p5="http://www.w3.org/2001/XMLSchema-instance" p5:type="SharedAccessAuthorizationRule"><ClaimType>SharedAccessKey</ClaimType><ClaimValue>None</ClaimValue>
		<Rights><AccessRights>Listen</AccessRights><AccessRights>Send</AccessRights></Rights><KeyName>k</KeyName><PrimaryKey>p</PrimaryKey><SecondaryKey>s</SecondaryKey></AuthorizationRule></AuthorizationRules>`)))
	if status != 201 || header.Get("Content-Type") != "application/atom+xml;type=entry;charset=utf-8" {
		t.Errorf("status %d, %s", status, header.Get("Content-Type"))
	}
	self := "https://" + r.host() + "/Orders/new?api-version=2021-05"
	want := `<entry xmlns="http://www.w3.org/2005/Atom"><id>` + self + `</id><title type="text">Orders/new</title>` +
		`<published>T</published><updated>T</updated><author><name>127.0.0.1</name></author><link rel="self" href="` + self + `"></link>` +
		`<content type="application/xml"><QueueDescription xmlns="http://schemas.microsoft.com/netservices/2010/10/servicebus/connect" xmlns:i="http://www.w3.org/2001/XMLSchema-instance">` +
		`<LockDuration>PT1M</LockDuration><MaxSizeInMegabytes>1024</MaxSizeInMegabytes><RequiresDuplicateDetection>false</RequiresDuplicateDetection>` +
		`<RequiresSession>false</RequiresSession><DefaultMessageTimeToLive>P10675199DT2H48M5.4775807S</DefaultMessageTimeToLive>` +
		`<DeadLetteringOnMessageExpiration>false</DeadLetteringOnMessageExpiration><DuplicateDetectionHistoryTimeWindow>PT10M</DuplicateDetectionHistoryTimeWindow>` +
		`<MaxDeliveryCount>10</MaxDeliveryCount><EnableBatchedOperations>true</EnableBatchedOperations><SizeInBytes>0</SizeInBytes><MessageCount>0</MessageCount>` +
		`<IsAnonymousAccessible>false</IsAnonymousAccessible><AuthorizationRules><AuthorizationRule i:type="SharedAccessAuthorizationRule"><ClaimType>SharedAccessKey</ClaimType>` +
		`<ClaimValue>None</ClaimValue><Rights><AccessRights>Listen</AccessRights><AccessRights>Send</AccessRights></Rights><KeyName>k</KeyName><PrimaryKey>p</PrimaryKey>` +
		`<SecondaryKey>s</SecondaryKey></AuthorizationRule></AuthorizationRules><Status>Active</Status>` + "<UserMetadata>a &lt; &quot;b&quot; &amp;\n\t&apos;c&apos; &amp;#34;</UserMetadata>" + `<CreatedAt>T</CreatedAt><UpdatedAt>T</UpdatedAt>` +
		`<AccessedAt>0001-01-01T00:00:00</AccessedAt><SupportOrdering>true</SupportOrdering>` +
		`<CountDetails xmlns:d2p1="http://schemas.microsoft.com/netservices/2011/06/servicebus"><d2p1:ActiveMessageCount>0</d2p1:ActiveMessageCount>` +
		`<d2p1:DeadLetterMessageCount>0</d2p1:DeadLetterMessageCount><d2p1:ScheduledMessageCount>0</d2p1:ScheduledMessageCount><d2p1:TransferMessageCount>0</d2p1:TransferMessageCount>` +
		`<d2p1:TransferDeadLetterMessageCount>0</d2p1:TransferDeadLetterMessageCount></CountDetails><AutoDeleteOnIdle>P10675199DT2H48M5.4775807S</AutoDeleteOnIdle>` +
		`<EnablePartitioning>false</EnablePartitioning><EntityAvailabilityStatus>Available</EntityAvailabilityStatus><EnableExpress>false</EnableExpress>` +
		`<MaxMessageSizeInKilobytes>256</MaxMessageSizeInKilobytes></QueueDescription></content></entry>`
	if got := times.ReplaceAllString(body, "T"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	// What it answers, it takes back.
	req := r.request("PUT", "/orders%2Fnew", body)
	req.Header.Set("If-Match", "*")
	if status, again, _ := r.do(req); status != 200 || times.ReplaceAllString(again, "T") != strings.ReplaceAll(want, "2021-05", "") {
		t.Errorf("put back: status %d\n%s", status, again)
	}
	// Without rules there is an empty element, which JavaScript's SDK reads as none.
	if _, body, _ := r.do(r.request("PUT", "/bare", entryOf(""))); !strings.Contains(body, "<AuthorizationRules></AuthorizationRules><Status>") || strings.Contains(body, "UserMetadata") {
		t.Error(body)
	}
}

var links = regexp.MustCompile(`<feed.*?</id>.*?((?:<link [^>]*></link>)+)`)

// TestFeedLinks: a page says where the next one is if there is one, as the
// second of two links.
func TestFeedLinks(t *testing.T) {
	r := newRig(t, nil)
	for i := range 4 {
		if err := r.bus.CreateQueue(t.Context(), queueName(i), bus.Settings{}); err != nil {
			t.Fatal(err)
		}
	}
	address := func(skip, top int) string {
		return fmt.Sprintf("https://%s/$Resources/Queues?%%24skip=%d&amp;%%24top=%d&amp;api-version=2021-05", r.host(), skip, top)
	}
	for _, c := range []struct {
		query string
		want  string // rel and address of each link
		names []int
	}{
		{"", `self ` + address(0, 100), []int{0, 1, 2, 3}},
		{"&%24top=4", `self ` + address(0, 4), []int{0, 1, 2, 3}},
		{"&%24top=3", `self ` + address(0, 3) + ` next ` + address(3, 3), []int{0, 1, 2}},
		{"&$skip=1&$top=2", `self ` + address(1, 2) + ` next ` + address(3, 2), []int{1, 2}},
		{"&$skip=3&$top=2", `self ` + address(3, 2), []int{3}},
		{"&$skip=4", `self ` + address(4, 100), nil},
		{"&$skip=2147483647&$top=2147483647", `self ` + address(2147483647, 2147483647), nil},
	} {
		for _, path := range []string{"/$Resources/Queues?api-version=2021-05", "/%24resources/queues/?&api-version=2021-05"} {
			status, body, header := r.do(r.request("GET", path+c.query, ""))
			if status != 200 || header.Get("Content-Type") != "application/atom+xml;type=feed;charset=utf-8" {
				t.Fatalf("%s: status %d, %s", c.query, status, header.Get("Content-Type"))
			}
			var want strings.Builder
			for fields := strings.Fields(c.want); len(fields) > 0; fields = fields[2:] {
				fmt.Fprintf(&want, `<link rel="%s" href="%s"></link>`, fields[0], fields[1])
			}
			if found := links.FindStringSubmatch(body); found == nil || found[1] != want.String() {
				t.Errorf("%s: %s\nwant links %s", c.query, body, want.String())
			}
			if n := strings.Count(body, "<entry"); n != len(c.names) {
				t.Errorf("%s: %d entries, want %d", c.query, n, len(c.names))
			}
			for _, i := range c.names {
				if !strings.Contains(body, `<title type="text">`+queueName(i)+`</title>`) {
					t.Errorf("%s: no %s", c.query, queueName(i))
				}
			}
		}
	}
	for _, query := range []string{"$top=0", "$top=-1", "$top=x", "$top=2147483648", "$skip=-1", "$skip=1.5"} {
		status, body, _ := r.do(r.request("GET", "/$Resources/Queues?"+query, ""))
		if status != 400 || !strings.Contains(body, "SubCode=40000") {
			t.Errorf("%s: %d %s", query, status, body)
		}
	}
}

// TestDescriptions: what a description says, and what is wrong with it.
func TestDescriptions(t *testing.T) {
	r := newRig(t, nil)
	for i, elements := range []string{
		`<LockDuration> PT30S </LockDuration>`,
		`<MaxDeliveryCount>2000</MaxDeliveryCount><!-- a comment --><LockDuration><![CDATA[PT5M]]></LockDuration>`,
		`<ForwardTo/><ForwardDeadLetteredMessagesTo></ForwardDeadLetteredMessagesTo><AutoDeleteOnIdle>PT256204778H48M5.4775807S</AutoDeleteOnIdle>`,
		`<LockDuration i:nil="true"/><ForwardTo i:nil="true"/><UserMetadata/>`,
		`<RequiresSession>False</RequiresSession><EnablePartitioning>0</EnablePartitioning><EnableBatchedOperations>1</EnableBatchedOperations>`,
		`<SizeInBytes>x</SizeInBytes><MessageCount/><CreatedAt/><SupportOrdering/><EntityAvailabilityStatus/><CountDetails><A/></CountDetails>`,
		`<Status>sendDISABLED</Status><MaxMessageSizeInKilobytes>256</MaxMessageSizeInKilobytes><MaxSizeInMegabytes>1</MaxSizeInMegabytes>`,
		`<DefaultMessageTimeToLive>P292Y</DefaultMessageTimeToLive><AuthorizationRules/>`,
	} {
		if status, body, _ := r.do(r.request("PUT", fmt.Sprintf("/good-%d", i), "\ufeff<?xml version=\"1.0\" encoding=\"UTF-8\"?>"+entryOf(elements))); status != 201 {
			t.Errorf("%s: %d %s", elements, status, body)
		}
	}
	rule := func(inside string) string {
		return `<AuthorizationRules><AuthorizationRule>` + inside + `</AuthorizationRule></AuthorizationRules>`
	}
	const good = `<Rights><AccessRights>Send</AccessRights></Rights><KeyName>k</KeyName>`
	for _, c := range []struct{ elements, want string }{
		{`<Nonsense/>`, `"Nonsense": unknown element`},
		{`<LockDuration xmlns="http://elsewhere">PT1M</LockDuration>`, `"LockDuration": unknown element`},
		{`<LockDuration>PT1M</LockDuration><LockDuration>PT1M</LockDuration>`, "LockDuration: it is there twice"},
		{`<LockDuration/>`, "LockDuration: want a duration such as PT1M"},
		{`<LockDuration>PT4.999S</LockDuration>`, "LockDuration: want PT5S to PT5M, found PT4.999S"},
		{`<LockDuration>PT5M0.001S</LockDuration>`, "LockDuration: want PT5S to PT5M, found PT5M0.001S"},
		{`<DefaultMessageTimeToLive>-P1D</DefaultMessageTimeToLive>`, "DefaultMessageTimeToLive: want a duration"},
		{`<MaxDeliveryCount>0</MaxDeliveryCount>`, "MaxDeliveryCount: want 1 to 2000"},
		{`<MaxDeliveryCount>ten</MaxDeliveryCount>`, "MaxDeliveryCount: want 1 to 2000"},
		{`<MaxDeliveryCount>99999999999999999999</MaxDeliveryCount>`, "MaxDeliveryCount: want 1 to 2000"},
		{`<MaxSizeInMegabytes>81921</MaxSizeInMegabytes>`, "MaxSizeInMegabytes: want 1 to 81920"},
		{`<EnableBatchedOperations>yes</EnableBatchedOperations>`, "EnableBatchedOperations: want true or false"},
		{`<EnableExpress>true</EnableExpress>`, "EnableExpress: \"true\" is not supported yet"},
		{`<IsAnonymousAccessible>true</IsAnonymousAccessible>`, "IsAnonymousAccessible: \"true\" is not supported yet"},
		{`<AuthorizationRules>` + strings.Repeat(`<AuthorizationRule>`+good+`</AuthorizationRule>`, 13) + `</AuthorizationRules>`, "AuthorizationRules: want at most 12"},
		{`<AuthorizationRules>` + strings.Repeat(`<AuthorizationRule>`+good+`</AuthorizationRule>`, 2) + `</AuthorizationRules>`, "AuthorizationRules[1]: its KeyName is another"},
		{`<AuthorizationRules><Rule/></AuthorizationRules>`, "AuthorizationRules[0]: want an AuthorizationRule"},
		{`<AuthorizationRules><AuthorizationRule i:type="Other">` + good + `</AuthorizationRule></AuthorizationRules>`, "AuthorizationRules[0]: want an AuthorizationRule"},
		{rule(`<Rights><AccessRights>Fly</AccessRights></Rights><KeyName>k</KeyName>`), "AuthorizationRules[0]: want the rights"},
		{rule(`<Rights><AccessRights>Send</AccessRights></Rights>`), "AuthorizationRules[0]: want a KeyName"},
		{rule(good + `<CreatedTime>yesterday</CreatedTime>`), "AuthorizationRules[0]: want times"},
	} {
		status, body, _ := r.do(r.request("PUT", "/bad", entryOf(c.elements)))
		if status != 400 || !strings.Contains(strings.ReplaceAll(body, "&quot;", `"`), c.want) {
			t.Errorf("%s: %d %s\nwant %s", c.elements, status, body, c.want)
		}
	}
	r.noQueue("bad")
}

func (r *rig) noQueue(name string) {
	r.t.Helper()
	if _, err := r.bus.Queue(r.t.Context(), name); !errors.Is(err, bus.ErrQueueNotFound) {
		r.t.Errorf("queue %s: %v", name, err)
	}
}

// TestHostileBodies: whatever comes gets its answer, and nothing is created.
func TestHostileBodies(t *testing.T) {
	r := newRig(t, nil)
	deep := strings.Repeat("<a>", 5000)
	lol := `<!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;&lol;">]>`
	for name, c := range map[string]struct {
		body   string
		status int
	}{
		"nothing":            {"", 400},
		"not XML":            {"PUT / HTTP/1.1", 400},
		"JSON":               {`{"entry":{}}`, 400},
		"cut short":          {entryOf("")[:200], 400},
		"two documents":      {entryOf("") + entryOf(""), 400},
		"DOCTYPE":            {lol + entryOf(""), 400},
		"an entity":          {entryOf("<UserMetadata>&lol;</UserMetadata>"), 400},
		"an outside entity":  {`<!DOCTYPE a SYSTEM "file:///etc/passwd">` + entryOf(""), 400},
		"another encoding":   {`<?xml version="1.0" encoding="UTF-16"?>` + entryOf(""), 400},
		"not UTF-8":          {entryOf("<UserMetadata>\xff\xfe</UserMetadata>"), 400},
		"NUL":                {entryOf("<UserMetadata>\x00</UserMetadata>"), 400},
		"deep":               {deep, 400},
		"deep in an entry":   {entryOf("<CountDetails>" + deep), 400},
		"no namespaces":      {`<entry><content><QueueDescription/></content></entry>`, 400},
		"no content":         {`<entry xmlns="http://www.w3.org/2005/Atom"/>`, 400},
		"two descriptions":   {strings.Replace(entryOf(""), "</content>", `<QueueDescription/></content>`, 1), 400},
		"a feed":             {strings.ReplaceAll(entryOf(""), "entry", "feed"), 400},
		"a topic":            {strings.ReplaceAll(entryOf(""), "QueueDescription", "TopicDescription"), 501},
		"something else":     {strings.ReplaceAll(entryOf(""), "QueueDescription", "RelayDescription"), 400},
		"too long":           {entryOf("<UserMetadata>" + strings.Repeat("x", maxBody) + "</UserMetadata>"), 413},
		"many elements":      {entryOf(strings.Repeat("<a/>", 15_000)), 400},
		"many attributes":    {entryOf("<UserMetadata " + strings.Repeat(`a:b="" `, 7000) + "/><Nonsense/>"), 400},
		"metadata too long":  {entryOf("<UserMetadata>" + strings.Repeat("x", 1025) + "</UserMetadata>"), 400},
		"a processing order": {`<?php echo 1 ?>` + entryOf("<Nonsense/>"), 400},
	} {
		status, body, header := r.do(r.request("PUT", "/orders", c.body))
		if status != c.status || !strings.HasPrefix(body, fmt.Sprintf("<Error><Code>%d</Code><Detail>SubCode=", c.status)) || header.Get("Content-Type") != "application/xml; charset=utf-8" {
			t.Errorf("%s: %d %.300s, want %d", name, status, body, c.status)
		}
		if len(body) > 20_000 {
			t.Errorf("%s: the answer has %d bytes", name, len(body))
		}
	}
	req := r.request("PUT", "/orders", "")
	req.Body, req.ContentLength = io.NopCloser(endless{}), -1 // in chunks
	if status, body, _ := r.do(req); status != 413 {
		t.Errorf("an endless body: %d %s", status, body)
	}
	r.noQueue("orders")
	if status, body, _ := r.do(r.request("PUT", "/orders", entryOf(""))); status != 201 {
		t.Errorf("after all that: %d %s", status, body)
	}
}

// endless never runs out.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// TestHosts: only names that are ours are answered, whatever the key.
func TestHosts(t *testing.T) {
	for _, c := range []struct {
		hosts func(string) bool
		host  string
		ok    bool
	}{
		{nil, "127.0.0.1", true}, {nil, "127.0.0.1:5672", true}, {nil, "LocalHost:5300", true}, {nil, "[::1]:5672", true}, {nil, "[::1]", true},
		{nil, "example.com", false}, {nil, "example.com:5672", false}, {nil, "localhost.example.com", false}, {nil, "192.0.2.1", false},
		{func(host string) bool { return host == "bus.internal" }, "bus.internal:443", true},
		{func(host string) bool { return host == "bus.internal" }, "localhost", false},
	} {
		r := newRig(t, func(o *Options) { o.Hosts, o.AcceptAnyKey = c.hosts, true })
		for _, path := range []string{"/health", "/$Resources/Queues"} {
			req := r.request("GET", path, "")
			if path == "/health" {
				req.Header.Del("Authorization")
			}
			req.Host = c.host
			status, body, _ := r.do(req)
			if c.ok && status != 200 || !c.ok && (status != 403 || !strings.Contains(body, "SubCode=40301")) {
				t.Errorf("host %q, %s: %d %s", c.host, path, status, body)
			}
		}
	}
	r := newRig(t, nil)
	req, answer := httptest.NewRequest("GET", "/health", nil), httptest.NewRecorder()
	req.Host = "" // HTTP/1.0
	if r.server.Config.Handler.ServeHTTP(answer, req); answer.Code != 403 {
		t.Errorf("no host: %d %s", answer.Code, answer.Body)
	}
}

func TestMethods(t *testing.T) {
	r := newRig(t, nil)
	for _, method := range []string{"HEAD", "POST", "PATCH", "OPTIONS", "TRACE", "BREW"} {
		for _, path := range []string{"/orders", "/health", "/$Resources/Queues", "/"} {
			status, _, header := r.do(r.request(method, path, ""))
			if status != 405 || header.Get("Allow") != "DELETE, GET, PUT" {
				t.Errorf("%s %s: %d, Allow: %s", method, path, status, header.Get("Allow"))
			}
		}
	}
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{"PUT", "/$Resources/Queues", 405}, {"DELETE", "/$namespaceinfo", 405}, {"PUT", "/", 405}, {"GET", "/", 404}, {"GET", "/$Resources/Relays", 404},
		{"GET", "/a/Subscriptions", 501}, {"PUT", "/a/subscriptions/b/Rules/c", 501}, {"DELETE", "/a/Subscriptions/b", 501}, {"GET", "/Subscriptions/a", 404},
		{"GET", "/orders/$DeadLetterQueue", 404}, {"DELETE", "/orders/$DeadLetterQueue", 404}, {"GET", "/../../etc/passwd", 404},
		{"GET", "/" + strings.Repeat("x", 8000), 401}, // no token can be for it
	} {
		status, body, _ := r.do(r.request(c.method, c.path, entryOf("")))
		if status != c.status || !strings.Contains(body, fmt.Sprintf("<Error><Code>%d</Code>", status)) {
			t.Errorf("%s %.60s: %d %s, want %d", c.method, c.path, status, body, c.status)
		}
	}
	req := r.request("PUT", "/orders", entryOf(""))
	req.Header.Set("If-Match", `"an etag"`)
	if status, body, _ := r.do(req); status != 412 {
		t.Errorf("If-Match an etag: %d %s", status, body)
	}
	r.noQueue("orders")
}

// TestWebSocket: who wants to speak AMQP that way, for which there is no
// credential yet, hears that it is not supported, and no other host learns it.
func TestWebSocket(t *testing.T) {
	r := newRig(t, nil)
	for _, c := range []struct {
		path, upgrade, host string
		status              int
	}{
		{"/$servicebus/websocket", "websocket", "", 501},
		{"/%24ServiceBus/WebSocket/", "", "", 501},
		{"/", "WebSocket", "", 501},
		{"/orders", "h2c", "", 401},
		{"/$servicebus/websocket", "websocket", "example.com", 403},
	} {
		req := r.request("GET", c.path, "")
		req.Header.Del("Authorization")
		if c.upgrade != "" {
			req.Header.Set("Connection", "Upgrade")
			req.Header.Set("Upgrade", c.upgrade)
		}
		req.Host = c.host
		status, body, _ := r.do(req)
		if told := strings.Contains(body, "AMQP connections over WebSocket are not supported yet."); status != c.status || told != (c.status == 501) {
			t.Errorf("%+v: %d %s", c, status, body)
		}
	}
}

func TestHealth(t *testing.T) {
	r := newRig(t, nil)
	health := r.request("GET", "/health", "")
	health.Header.Del("Authorization")
	if status, body, header := r.do(health); status != 200 || body != `{"status":"healthy","message":"Service is healthy."}` || header.Get("Content-Type") != "application/json; charset=utf-8" {
		t.Errorf("%d %s %s", status, body, header.Get("Content-Type"))
	}
	// A queue of that name is not hidden.
	if status, body, _ := r.do(r.request("PUT", "/health", entryOf(""))); status != 201 {
		t.Errorf("%d %s", status, body)
	}
	if status, body, _ := r.do(r.request("GET", "/health", "")); status != 200 || !strings.HasPrefix(body, "<entry") {
		t.Errorf("%d %s", status, body)
	}
	r.breakDisk("health")
	if status, body, _ := r.do(health); status != 503 || !strings.HasPrefix(body, `{"status":"unhealthy",`) {
		t.Errorf("on a bus that has failed: %d %s", status, body)
	}
	if status, body, _ := r.do(r.request("PUT", "/orders", entryOf(""))); status != 503 {
		t.Errorf("creating on a bus that has failed: %d %s", status, body)
	}
	if err := r.bus.Close(); err != nil && !errors.Is(err, bus.ErrFailed) {
		t.Log(err)
	}
	if status, body, _ := r.do(health); status != 503 || !strings.HasPrefix(body, `{"status":"unhealthy",`) {
		t.Errorf("on a bus that was closed: %d %s", status, body)
	}
}

// breakDisk makes the next commit with a message fail.
func (r *rig) breakDisk(queue string) {
	r.t.Helper()
	conn, err := sqlite.OpenConn(r.path, sqlite.OpenReadWrite)
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.Close()
	if err := sqlitex.ExecuteTransient(conn, "CREATE TRIGGER broken BEFORE UPDATE ON subqueue BEGIN SELECT RAISE(ABORT, 'disk on fire'); END", nil); err != nil {
		r.t.Fatal(err)
	}
	if _, err := r.bus.Send(r.t.Context(), queue, bus.Message{}); !errors.Is(err, bus.ErrFailed) {
		r.t.Fatalf("the send: %v", err)
	}
}

// TestTokens: what a shared access signature must be.
func TestTokens(t *testing.T) {
	now := time.Now()
	r := newRig(t, func(o *Options) { o.Now = func() time.Time { return now } })
	if err := r.bus.CreateQueue(t.Context(), "orders", bus.Settings{}); err != nil {
		t.Fatal(err)
	}
	root := r.keys.Root()
	sign := func(uri, key string, expires time.Time) string {
		token, err := sas.Sign(uri, root.Name, key, expires)
		if err != nil {
			t.Fatal(err)
		}
		return token.String()
	}
	later, base := now.Add(time.Hour), "https://"+r.host()
	for name, c := range map[string]struct {
		token  string
		status int
		text   string
	}{
		"none":              {"", 401, "MissingToken"},
		"for this URL":      {sign(base+"/orders?api-version=2024-05", root.Key, later), 200, ""},
		"for all":           {sign(base, root.Key, later), 200, ""},
		"for the bare host": {sign(strings.Split(r.host(), ":")[0], root.Key, later), 200, ""},
		"another scheme":    {sign("sb://"+r.host()+"/ORDERS", root.Key, later), 200, ""},
		"another queue":     {sign(base+"/order", root.Key, later), 401, "InvalidAudience"},
		"another host":      {sign("https://example.com", root.Key, later), 401, "InvalidAudience"},
		"expired":           {sign(base, root.Key, now.Add(-time.Second)), 401, "ExpiredToken: The token is expired"},
		"another key":       {sign(base, "0123456789abcdef", later), 401, "InvalidSignature"},
		"a bearer":          {"Bearer a.b.c", 401, "MalformedToken"},
		"a bare JWT":        {"a.b.c", 401, "MalformedToken"},
		"basic":             {"Basic cm9vdDpyb290", 401, "MalformedToken"},
		"nothing in it":     {"SharedAccessSignature ", 401, "MalformedToken"},
		"very long":         {"SharedAccessSignature sr=" + strings.Repeat("x", 100_000), 401, "MalformedToken"},
		"changed":           {strings.Replace(sign(base, root.Key, later), "se=", "se=9", 1), 401, "InvalidSignature"},
	} {
		req := r.request("GET", "/orders?api-version=2024-05", "")
		req.Header.Del("Authorization")
		if c.token != "" {
			req.Header.Set("Authorization", c.token)
		}
		status, body, _ := r.do(req)
		if status != c.status || !strings.Contains(body, c.text) {
			t.Errorf("%s: %d %s, want %d %s", name, status, body, c.status, c.text)
		}
		if c.token != "" && strings.Contains(body, c.token) || strings.Contains(body, root.Key) {
			t.Errorf("%s: the answer repeats the token: %s", name, body)
		}
	}
}

// TestOneIsFirst: of many who create one queue, one does, and the others hear
// that it is there.
func TestOneIsFirst(t *testing.T) {
	r := newRig(t, nil)
	statuses := make([]int, 16)
	var all sync.WaitGroup
	for i := range statuses {
		req := r.request("PUT", "/orders", entryOf(""))
		all.Go(func() {
			resp, err := r.server.Client().Do(req)
			if err != nil {
				t.Error(err)
				return
			}
			statuses[i] = resp.StatusCode
			if err := resp.Body.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	slices.Sort(statuses)
	want := slices.Repeat([]int{http.StatusConflict}, 16)
	want[0] = http.StatusCreated
	if !slices.Equal(statuses, want) {
		t.Errorf("got %v", statuses)
	}
}
