package transfer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"bellhop/internal/address"
	"bellhop/internal/onboarding"
)

// A row that differs in any field has another digest, or a move could lose it
// unnoticed.
func TestDigestCoversEveryField(t *testing.T) {
	key := [32]byte{1}
	attempt := Attempt{}
	for name, row := range map[string]struct {
		value any
		write func(*writer, any)
	}{
		"Totals":   {&Totals{Arrived: map[onboarding.Lane]int64{onboarding.Urgent: 1}}, func(w *writer, v any) { w.totals(*v.(*Totals)) }},
		"Key":      {&Key{}, func(w *writer, v any) { w.key(*v.(*Key)) }},
		"Document": {&Document{}, func(w *writer, v any) { w.document(*v.(*Document)) }},
		"SignUp":   {&SignUp{Key: &key}, func(w *writer, v any) { w.signUp(*v.(*SignUp)) }},
		"Request":  {&Request{}, func(w *writer, v any) { w.request(*v.(*Request)) }},
		"Mail":     {&Mail{}, func(w *writer, v any) { w.mail(*v.(*Mail)) }},
		"Session":  {&Session{}, func(w *writer, v any) { w.session(*v.(*Session)) }},
		"Charge":   {&Charge{}, func(w *writer, v any) { w.charge(*v.(*Charge)) }},
		"Attempt":  {&attempt, func(w *writer, v any) { w.mail(Mail{Attempts: []Attempt{*v.(*Attempt)}}) }},
	} {
		sum := func() Digest {
			w := newWriter()
			row.write(w, row.value)
			return w.digest()
		}
		fields := 0
		eachField(reflect.ValueOf(row.value).Elem(), name, func(path string, change func() (undo func())) {
			fields++
			before := sum()
			undo := change()
			if sum() == before {
				t.Errorf("%s is not part of the digest", path)
			}
			undo()
			if sum() != before {
				t.Errorf("%s: the digest is not the same when it is made again", path)
			}
		})
		if fields == 0 {
			t.Errorf("%s has no fields", name)
		}
	}
}

// eachField calls fn for every field below v with a function that changes it.
func eachField(v reflect.Value, path string, fn func(path string, change func() (undo func()))) {
	set := func(to any) func() func() {
		return func() func() {
			old := reflect.New(v.Type()).Elem()
			old.Set(v)
			v.Set(reflect.ValueOf(to).Convert(v.Type()))
			return func() { v.Set(old) }
		}
	}
	switch {
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			eachField(v.Field(i), path+"."+v.Type().Field(i).Name, fn)
		}
	case v.Kind() == reflect.String:
		fn(path, set(v.String()+"x"))
	case v.Kind() == reflect.Bool:
		fn(path, set(!v.Bool()))
	case v.CanInt():
		fn(path, set(v.Int()+1))
	case v.CanUint():
		fn(path, set(v.Uint()+1))
	case v.Kind() == reflect.Array: // of bytes: each of them
		for i := range v.Len() {
			eachField(v.Index(i), fmt.Sprintf("%s[%d]", path, i), fn)
		}
	case v.Type() == reflect.TypeFor[*[32]byte]():
		fn(path, set(&[32]byte{9}))
		fn(path, set((*[32]byte)(nil)))
	case v.Type() == reflect.TypeFor[Secret]():
		fn(path, set(Secret{9}))
	case v.Type() == reflect.TypeFor[[]Attempt]():
		fn(path, set([]Attempt{{}}))
	default:
		for _, lane := range onboarding.Lanes() {
			fn(path, set(map[onboarding.Lane]int64{lane: 2}))
		}
	}
}

// Of kinds without an order every row counts, wherever it is and however often.
func TestDigestOfKindsWithoutOrder(t *testing.T) {
	sum := func(charges ...Charge) Digest {
		w := newWriter()
		for _, c := range charges {
			w.charge(c)
		}
		return w.digest()
	}
	a, b := Charge{At: 1}, Charge{At: 2}
	if sum(a, b) != sum(b, a) {
		t.Error("the order counts")
	}
	all := map[Digest]bool{sum(): true, sum(a): true, sum(b): true, sum(a, b): true, sum(a, a): true, sum(b, b): true, sum(a, a, b): true}
	if len(all) != 7 {
		t.Errorf("seven different sets have %d digests", len(all))
	}
	w := newWriter()
	w.sum = [4]uint64{0, ^uint64(0), ^uint64(0), ^uint64(0)}
	w.charge(a)
	row := sum(a)
	carried, first := w.digest().Sum[7], row.Sum[7]
	if carried != first+1 {
		t.Error("nothing is carried from one word to the next")
	}
}

// Neighbouring fields do not run into each other.
func TestDigestKeepsFieldsApart(t *testing.T) {
	sum := func(s SignUp) Digest {
		w := newWriter()
		w.signUp(s)
		return w.digest()
	}
	if sum(SignUp{First: "ab", Last: "c"}) == sum(SignUp{First: "a", Last: "bc"}) {
		t.Error("a letter that changes sides is not noticed")
	}
}

// Of a purged mail one store may know more than another.
func TestDigestOfAPurgedMail(t *testing.T) {
	sum := func(m Mail) Digest {
		w := newWriter()
		w.mail(m)
		return w.digest()
	}
	tombstone := Mail{Number: 1, ID: "a.sign-up.1", State: onboarding.Purged}
	row := tombstone
	row.Gen, row.Reason, row.Attempts = 3, "discarded", []Attempt{{N: 1}}
	if sum(row) != sum(tombstone) {
		t.Error("a tombstone differs from the row it stands for")
	}
	for _, other := range []Mail{
		{Number: 2, ID: tombstone.ID, State: tombstone.State},
		{Number: 1, ID: "b.sign-up.1", State: tombstone.State},
		{Number: 1, ID: tombstone.ID, State: onboarding.Sent},
	} {
		if sum(other) == sum(tombstone) {
			t.Errorf("%+v is taken for %+v", other, tombstone)
		}
	}
}

// Neither secrets nor people's names come into a log or an error.
func TestNothingPersonalIsPrinted(t *testing.T) {
	key := Key{Name: "mint", Secret: Secret("hush-hush")}
	mark := address.Fingerprint{0xfe, 0xed, 0xbe, 0xef}
	hash := [32]byte{0xfe, 0xed, 0xbe, 0xef}
	person := SignUp{
		Number: 7, First: "Florence", Last: "Nightingale", Email: "florence@example.com", Key: &[32]byte{1},
		Fingerprint: mark, Origin: [16]byte(mark), Muted: "nightingale",
	}
	ring := Document{Name: "signing-keys", Version: 1, Value: Secret("hush-hush")}
	request := Request{ID: "r1", Fingerprint: mark, Muted: "nightingale"}
	session := Session{ID: "s1", Hash: hash, Before: hash}
	charge := Charge{Fingerprint: mark, Budget: "sign-up", At: 1}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		for _, v := range []any{
			key, &key, []Key{key}, key.Secret, person, &person, []SignUp{person}, ring, &ring,
			request, &request, session, &session, charge, &charge, []any{request, session, charge},
		} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
	}
	fmt.Fprintln(&out, fmt.Errorf("put %v: %w", key, errors.New("no")))
	for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(h).Info("rows", "key", key, "secret", key.Secret, "person", person, "people", []SignUp{person},
			"ring", ring, "request", request, "session", session, "charge", charge)
	}
	encoded, err := json.Marshal([]any{key, person, &person, ring, request, session, &session, charge})
	if err != nil {
		t.Fatal(err)
	}
	out.Write(encoded)
	said := strings.ToLower(out.String())
	for _, hidden := range []string{"hush", "68757368", "104 117", "0x68", "aHVzaC", "florence", "nightingale", "feed", "254 237", "0xfe"} {
		if strings.Contains(said, strings.ToLower(hidden)) {
			t.Errorf("%q can be read in\n%s", hidden, out.String())
		}
	}
	for _, shown := range []string{"sign-up 7", "request to sign in r1", "session s1", `budget "sign-up"`, "signing-keys"} {
		if !strings.Contains(said, shown) {
			t.Errorf("%s is not in\n%s", shown, said)
		}
	}
}
