package sas_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"bellhop/internal/sas"
)

// vectorKey is the key that the tokens of other implementations here were made
// with.
const vectorKey = "SAS_KEY_VALUE_OF_16+"

var (
	before = time.Unix(1899999999, 0)
	at     = time.Unix(1900000000, 0)
)

func namespace(t *testing.T) *sas.Keys {
	t.Helper()
	keys, err := sas.NewKeys(
		sas.Rule{Name: sas.RootRule, Key: vectorKey, Rights: sas.Manage},
		sas.Rule{Name: "send-only", Key: "another-key-of-16-bytes", Rights: sas.Send},
	)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// Tokens that the SDKs for Go and JavaScript made, whose key was short.
func TestVectors(t *testing.T) {
	for sdk, token := range map[string]string{
		"Go":         "SharedAccessSignature sr=amqp%3a%2f%2flocalhost%2fqueue.1&sig=1ho9NgBjaVitgoPb9tSZPZ8vcG%2Bf%2FV7ITs8noCveAsw%3D&se=1900000000&skn=RootManageSharedAccessKey",
		"JavaScript": "SharedAccessSignature sig=knmkMTo9fvGalZkHbE1JcTm5b3gYuTFlfHSuxO8LeN0%3D&se=1900000000&skn=RootManageSharedAccessKey&sr=sb%3A%2F%2Flocalhost%2Fqueue.1",
	} {
		t.Run(sdk, func(t *testing.T) {
			got, err := sas.ParseToken(token)
			if err != nil {
				t.Fatal(err)
			}
			if want := (sas.Resource{Host: "localhost", Path: "queue.1"}); got.Resource != want || got.Rule != sas.RootRule || !got.Expires.Equal(at) {
				t.Errorf("read %+v %s %v", got.Resource, got.Rule, got.Expires)
			}
			if !got.SignedBy("SAS_KEY_VALUE") {
				t.Error("the key that signed it is refused")
			}
			if got.SignedBy("SAS_KEY_VALUf") {
				t.Error("another key passes")
			}
		})
	}
}

func TestSignAsTheGoSDK(t *testing.T) {
	token, err := sas.Sign("amqp://localhost/queue.1", sas.RootRule, "SAS_KEY_VALUE", at)
	if err != nil {
		t.Fatal(err)
	}
	const want = "SharedAccessSignature sr=amqp%3a%2f%2flocalhost%2fqueue.1&sig=1ho9NgBjaVitgoPb9tSZPZ8vcG%2Bf%2FV7ITs8noCveAsw%3D&se=1900000000&skn=RootManageSharedAccessKey"
	if token.String() != want {
		t.Errorf("got %s\nwant %s", token, want)
	}
}

func TestAuthorize(t *testing.T) {
	keys := namespace(t)
	signed := func(uri, rule, key string) string {
		token, err := sas.Sign(uri, rule, key, at)
		if err != nil {
			t.Fatal(err)
		}
		return token.String()
	}
	good := signed("sb://bus/orders", sas.RootRule, vectorKey)
	for _, c := range []struct {
		name, token, audience string
		now                   time.Time
		want                  error
	}{
		{"the very resource", good, "sb://bus/orders", before, nil},
		{"another scheme, a port, a query", good, "https://bus:5300/orders?api-version=2021-05", before, nil},
		{"another case", good, "AMQP://BUS/Orders", before, nil},
		{"what is in it", good, "amqp://bus:5672/orders/$management", before, nil},
		{"encoded in the audience", good, "amqp://bus/orders/%24DeadLetterQueue", before, nil},
		{"with a slash at its end", good, "amqp://bus/orders/", before, nil},
		{"a longer name", good, "amqp://bus/orders2", before, sas.ErrScope},
		{"a shorter name", good, "amqp://bus/order", before, sas.ErrScope},
		{"what it is in", good, "amqp://bus", before, sas.ErrScope},
		{"another host", good, "amqp://bus2/orders", before, sas.ErrScope},
		{"an audience without a host", good, "amqp:///orders", before, sas.ErrMalformed},
		{"its last moment", good, "amqp://bus/orders", at.Add(-1), nil},
		{"its end", good, "amqp://bus/orders", at, sas.ErrExpired},
		{"the whole namespace", signed("sb://bus/", sas.RootRule, vectorKey), "amqp://bus:5672/orders", before, nil},
		{"a bare host", signed("bus", sas.RootRule, vectorKey), "amqp://bus:5672/orders", before, nil},
		{"an IPv6 address", signed("sb://[::1]:5672/orders", sas.RootRule, vectorKey), "amqps://[::1]/orders", before, nil},
		{"another rule", signed("sb://bus/", "send-only", "another-key-of-16-bytes"), "amqp://bus/orders", before, nil},
		{"another rule's key", signed("sb://bus/", "send-only", vectorKey), "amqp://bus/orders", before, sas.ErrSignature},
		{"a rule that is not there", signed("sb://bus/", "nobody", vectorKey), "amqp://bus/orders", before, sas.ErrUnknownRule},
		{"a later end written in", strings.Replace(good, "se=1900000000", "se=1900000001", 1), "amqp://bus/orders", before, sas.ErrSignature},
		{"a wider resource written in", strings.Replace(good, "%2forders", "", 1), "amqp://bus/orders", before, sas.ErrSignature},
		{"the same resource in other letters", strings.Replace(good, "%2forders", "%2Forders", 1), "amqp://bus/orders", before, sas.ErrSignature},
	} {
		t.Run(c.name, func(t *testing.T) {
			grant, err := keys.Authorize(c.token, c.audience, c.now)
			if !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			if err == nil && (!grant.Expires.Equal(at) || grant.Rights == 0) {
				t.Errorf("granted %+v", grant)
			}
			if err != nil && (grant != sas.Grant{}) {
				t.Errorf("refused, and yet granted %+v", grant)
			}
		})
	}
}

func TestGrantHasTheRulesRights(t *testing.T) {
	token, err := sas.Sign("sb://bus", "send-only", "another-key-of-16-bytes", at)
	if err != nil {
		t.Fatal(err)
	}
	grant, err := namespace(t).Authorize(token.String(), "sb://bus/q", before)
	if want := (sas.Grant{Rule: "send-only", Rights: sas.Send, Expires: at.UTC()}); err != nil || grant != want {
		t.Errorf("got %+v, %v", grant, err)
	}
}

func TestMalformedTokens(t *testing.T) {
	sig := strings.Repeat("A", 43) + "%3D"
	for _, text := range []string{
		"", "x", "SharedAccessSignature", "SharedAccessSignature ", "Bearer abc",
		"SharedAccessSignature sr=a&sig=" + sig + "&se=1",
		"SharedAccessSignature sr=a&sig=" + sig + "&skn=b",
		"SharedAccessSignature sr=a&se=1&skn=b",
		"SharedAccessSignature sig=" + sig + "&se=1&skn=b",
		"SharedAccessSignature sr=a&sr=a&sig=" + sig + "&se=1&skn=b",
		"SharedAccessSignature sr=%zz&sig=" + sig + "&se=1&skn=b",
		"SharedAccessSignature sr=%2f%2f&sig=" + sig + "&se=1&skn=b",
		"SharedAccessSignature sr=a&sig=" + sig + "&se=-1&skn=b",
		"SharedAccessSignature sr=a&sig=" + sig + "&se=1e9&skn=b",
		"SharedAccessSignature sr=a&sig=" + sig + "&se=99999999999999&skn=b",
		"SharedAccessSignature sr=a&sig=AAAA&se=1&skn=b",
		"SharedAccessSignature sr=a&sig=%zz&se=1&skn=b",
		"SharedAccessSignature sr=" + strings.Repeat("a", 2049) + "&sig=" + sig + "&se=1&skn=b",
		"SharedAccessSignature sr=a&sig=" + sig + "&se=1&skn=" + strings.Repeat("b", 4096),
	} {
		if _, err := sas.ParseToken(text); !errors.Is(err, sas.ErrMalformed) {
			t.Errorf("%.80q: got %v", text, err)
		}
	}
}

func TestTokenWithAPlusThatWasNotEscaped(t *testing.T) {
	const text = "sharedaccesssignature sr=amqp%3a%2f%2flocalhost%2fqueue.1&sig=1ho9NgBjaVitgoPb9tSZPZ8vcG+f/V7ITs8noCveAsw=&se=1900000000&skn=r"
	token, err := sas.ParseToken(text)
	if err != nil || !token.SignedBy("SAS_KEY_VALUE") {
		t.Errorf("got %v", err)
	}
}

func TestCheck(t *testing.T) {
	keys := namespace(t)
	if grant, err := keys.Check("send-only", "another-key-of-16-bytes"); err != nil || grant != (sas.Grant{Rule: "send-only", Rights: sas.Send}) {
		t.Errorf("got %+v, %v", grant, err)
	}
	for _, key := range []string{"", vectorKey, "another-key-of-16-byte"} {
		if _, err := keys.Check("send-only", key); !errors.Is(err, sas.ErrSignature) {
			t.Errorf("%q: got %v", key, err)
		}
	}
	if _, err := keys.Check("nobody", ""); !errors.Is(err, sas.ErrUnknownRule) {
		t.Errorf("got %v", err)
	}
}

func TestRights(t *testing.T) {
	if !sas.Manage.Has(sas.Send|sas.Listen) || (sas.Send | sas.Listen).Has(sas.Manage) || sas.Send.Has(sas.Listen) {
		t.Error("Manage includes Send and Listen, and nothing else includes another")
	}
	for _, r := range []sas.Rights{0, sas.Send, sas.Listen, sas.Send | sas.Listen, sas.Manage} {
		if got, err := sas.ParseRights(r.Names()...); err != nil || got != r {
			t.Errorf("%v: read again as %v, %v", r, got, err)
		}
	}
	if got := fmt.Sprint(sas.Rights(0), sas.Manage, sas.Listen); got != "none Manage,Send,Listen Listen" {
		t.Error(got)
	}
	if got, err := sas.ParseRights("manage"); err != nil || got != sas.Manage {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := sas.ParseRights("Send", "Sing"); err == nil || !strings.Contains(err.Error(), "Manage, Send or Listen") {
		t.Errorf("got %v", err)
	}
}

func TestNewKeysRefuses(t *testing.T) {
	root := sas.Rule{Name: sas.RootRule, Key: vectorKey, Rights: sas.Manage}
	for want, rules := range map[string][]sas.Rule{
		"there is none":   {},
		"right Manage":    {{Name: sas.RootRule, Key: vectorKey, Rights: sas.Send}},
		"there twice":     {root, root},
		"a rule's name":   {root, {Name: "a&b", Key: vectorKey, Rights: sas.Send}},
		"key of 16":       {root, {Name: "a", Key: "short-secret", Rights: sas.Send}},
		"at least one of": {root, {Name: "a", Key: vectorKey}},
	} {
		_, err := sas.NewKeys(rules...)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "short-secret") {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
}

func TestRuleHidesItsKey(t *testing.T) {
	rule := sas.RandomKeys().Root()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		if text := fmt.Sprintf(verb, rule); strings.Contains(text, rule.Key) || text != "RootManageSharedAccessKey (Manage,Send,Listen)" {
			t.Errorf("%s prints %s", verb, text)
		}
	}
	if rule.LogValue().String() != rule.String() {
		t.Error(rule.LogValue())
	}
}
