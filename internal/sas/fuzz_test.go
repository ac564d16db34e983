package sas_test

import (
	"strings"
	"testing"
	"time"

	"bellhop/internal/sas"
)

// A token that is signed is read again as itself; and one that nobody signed
// never passes, whatever it is for.
func FuzzToken(f *testing.F) {
	f.Add("SharedAccessSignature sr=amqp%3a%2f%2flocalhost%2fqueue.1&sig=1ho9NgBjaVitgoPb9tSZPZ8vcG%2Bf%2FV7ITs8noCveAsw%3D&se=1900000000&skn=r", "sb://a/b")
	f.Add("SharedAccessSignature sr=&sig==&se=-1&skn=&&", "//[::1/%zz?")
	keys := sas.RandomKeys()
	f.Fuzz(func(t *testing.T, token, uri string) {
		if _, err := keys.Authorize(token, uri, time.Unix(0, 0)); err == nil {
			t.Fatalf("%q passes", token)
		}
		signed, err := sas.Sign(uri, sas.RootRule, keys.Root().Key, time.Unix(9, 0))
		if err != nil {
			return
		}
		read, err := sas.ParseToken(signed.String())
		if err != nil {
			if len(signed.String()) > 4000 {
				return // too long once it is escaped
			}
			t.Fatalf("%q: %v", signed, err)
		}
		if !read.SignedBy(keys.Root().Key) || read.String() != signed.String() {
			t.Fatalf("%q is read as %q", signed, read)
		}
		// The signed text is in lower case, which not every letter survives as
		// itself; names in ASCII do.
		if strings.Trim(uri, asciiName) == "" && read.Resource != signed.Resource {
			t.Fatalf("%q: %+v is read as %+v", uri, signed.Resource, read.Resource)
		}
	})
}

const asciiName = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_/:$"

func FuzzResource(f *testing.F) {
	f.Add("sb://host:1/a/b", "amqp://host/a")
	f.Fuzz(func(t *testing.T, a, b string) {
		x, errX := sas.ParseResource(a)
		y, errY := sas.ParseResource(b)
		if errX != nil || errY != nil {
			return
		}
		if !x.Covers(x) || !(sas.Resource{Host: x.Host}).Covers(x) {
			t.Fatalf("%+v does not cover itself, or its host does not", x)
		}
		if x.Covers(y) && y.Covers(x) && x != y {
			t.Fatalf("%+v and %+v cover each other", x, y)
		}
		if x.Covers(y) && len(x.Path) > len(y.Path) {
			t.Fatalf("%+v covers %+v", x, y)
		}
	})
}

func FuzzConnectionString(f *testing.F) {
	f.Add("Endpoint=sb://localhost;SharedAccessKeyName=Root;SharedAccessKey=a+b/c=;UseDevelopmentEmulator=true;EntityPath=x")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := sas.ParseConnectionString(text)
		if err != nil {
			return
		}
		if again, err := sas.ParseConnectionString(c.String()); err != nil || again != c {
			t.Fatalf("%q is read as %+v, and that as %+v, %v", text, c, again, err)
		}
	})
}
