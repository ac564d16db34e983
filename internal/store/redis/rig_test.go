package redis_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"bellhop/internal/address"
	"bellhop/internal/onboarding"
	"bellhop/internal/redisdb"
	"bellhop/internal/signup"
	"bellhop/internal/store/redis"

	goredis "github.com/redis/go-redis/v9"
)

// patience is how long anything may take before it counts as broken. It is
// generous: the machine may be busy.
const patience = 5 * time.Minute

// connect opens a store as one process does, until the test ends. The policy is
// the default one unless the options have another.
func connect(t testing.TB, s redisdb.Settings, o redis.Options) *redis.Store {
	t.Helper()
	client, err := redisdb.Open(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	if o.Policy.DeadAfter == 0 {
		o.Policy = onboarding.DefaultPolicy()
	}
	o.Client = client
	store, err := redis.Open(within(t), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

// within is a context that ends with the test's patience.
func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// ok ends the test on an error that there is no reason for.
func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// addressOf is a person's, and fingerprint what stands for it.
func addressOf(number int) address.Address {
	a, err := address.Parse(fmt.Sprintf("person%d@example.com", number))
	if err != nil {
		panic(err) // it is an address
	}
	return a
}

func fingerprint(number int) address.Fingerprint {
	return addressOf(number).Fingerprint([]byte("a secret of these tests"))
}

// form is a sign-up of a person, who is known by a number, under a fresh id.
func form(id string, number int, key bool) signup.Acceptance {
	to := addressOf(number)
	a := signup.Acceptance{
		Person: signup.Person{
			ID: id, First: fmt.Sprint("First", number), Last: "Last", Address: to,
			Locale: "de", Consent: signup.Consent{Text: "2026-02", Origin: [16]byte{15: 1}},
		},
		Fingerprint: fingerprint(number),
		Mails:       []onboarding.Owed{{ID: onboarding.NewMailID(id, onboarding.SignUp, 1), Expiry: onboarding.DefaultPolicy().Expiry}},
	}
	if key {
		n := [3]byte{byte(number), byte(number >> 8), byte(number >> 16)}
		a.Key = &signup.Key{Hash: [32]byte{1: n[0], 2: n[1], 3: n[2]}, Form: [16]byte{1, n[0], n[1], n[2]}}
	}
	return a
}

// audit reads all rows of the ledger.
func audit(t testing.TB, s *redis.Store) map[onboarding.MailID]onboarding.AuditRow {
	t.Helper()
	rows := map[onboarding.MailID]onboarding.AuditRow{}
	for after := int64(0); ; {
		page, err := s.Audit(within(t), after, 1000)
		ok(t, err)
		if len(page) == 0 {
			return rows
		}
		for _, row := range page {
			if _, twice := rows[row.ID]; twice && row.ID != "" {
				t.Errorf("mail %s is in the ledger twice", row.ID)
			}
			rows[row.ID], after = row, row.Number
		}
	}
}

// sound looks at the whole database by both oracles: what verify finds, and
// whether the structures fit the rows.
func sound(t testing.TB, s *redis.Store, url string) {
	t.Helper()
	report, err := onboarding.Verify(within(t), s, onboarding.DefaultPolicy())
	ok(t, err)
	if !report.OK {
		t.Errorf("verify found lost %v, double %v, stuck %v", report.Lost, report.Double, report.Stuck)
	}
	for _, fault := range inspect(url) {
		t.Error(fault)
	}
}

// dump is everything in a database but what every call may write: the fence and
// the pings. What servers number by their clock has no numbers in it.
func dump(t testing.TB, url string) map[string]string {
	t.Helper()
	options, err := goredis.ParseURL(url)
	ok(t, err)
	options.Protocol = 2
	client := goredis.NewClient(options)
	defer client.Close()
	d := &database{client: client}
	content := map[string]string{}
	for _, key := range d.list("KEYS", "*") {
		if key != "{bellhop}:fence" && key != "{bellhop}:ping" {
			content[key] = d.content(t, key)
		}
	}
	if len(d.faults) > 0 {
		t.Fatal(d.faults)
	}
	return content
}

func (d *database) content(t testing.TB, key string) string {
	t.Helper()
	ctx := within(t)
	kind, err := d.client.Type(ctx, key).Result()
	ok(t, err)
	switch kind {
	case "string":
		value, err := d.client.Get(ctx, key).Result()
		ok(t, err)
		return value
	case "hash":
		fields := d.hash(key)
		for name, value := range fields {
			fields[name] = canonical(value)
		}
		return fmt.Sprint(fields)
	case "zset":
		return fmt.Sprint(d.pairs("ZRANGE", key, "0", "-1", "WITHSCORES"))
	case "stream":
		return strings.Join(d.entries(key), "\n")
	}
	t.Fatalf("%s is a %s, and nothing here should be", key, kind)
	return ""
}

// entries are a stream's. The sign-ups are numbered by the store, the others by
// the server's clock.
func (d *database) entries(key string) (entries []string) {
	messages, err := d.client.XRange(context.Background(), key, "-", "+").Result()
	if err != nil {
		d.faults = append(d.faults, err.Error())
	}
	for _, m := range messages {
		if key != "{bellhop}:signups" {
			m.ID = ""
		}
		entries = append(entries, fmt.Sprint(m.ID, m.Values))
	}
	return entries
}

// canonical writes JSON objects in one way.
func canonical(value string) string {
	var object map[string]any
	if json.Unmarshal([]byte(value), &object) != nil {
		return value
	}
	return fmt.Sprint(object)
}

// differences are what two dumps do not have in common.
func differences(got, want map[string]string) (found []string) {
	keys := slices.Sorted(maps.Keys(got))
	for key := range want {
		if _, there := got[key]; !there {
			keys = append(keys, key)
		}
	}
	for _, key := range keys {
		if got[key] != want[key] {
			found = append(found, fmt.Sprintf("%s is\n\t%s\nand should be\n\t%s", key, got[key], want[key]))
		}
	}
	return found
}
