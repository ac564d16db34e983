package storetest

import (
	"fmt"
	"sync"
	"sync/atomic"
)

var documentTests = []test{
	{name: "NoneAtFirst", run: documentNone},
	{name: "EveryVersionReplacesTheOneBefore", run: documentReplaced},
	{name: "AVersionThatWasReplacedSetsNothing", run: documentStale},
	{name: "EachNameIsItsOwn", run: documentNames},
	{name: "OfEightWritersOneWins", run: documentConcurrently},
	{name: "IsOnDiskWhenItReturns", run: documentDurable},
}

func (w *world) document(name, value string, version int64) {
	w.Helper()
	got, v, err := w.Store.Document(w.ctx, name)
	w.must(err)
	equal(w, "the document", string(got), value)
	equal(w, "its version", v, version)
}

func (w *world) setDocument(name, value string, version int64, want bool) {
	w.Helper()
	set, err := w.Store.SetDocument(w.ctx, name, []byte(value), version)
	w.must(err)
	equal(w, "the document is set", set, want)
}

func documentNone(w *world) {
	value, version, err := w.Store.Document(w.ctx, "ring")
	w.must(err)
	equal(w, "there is a document", value != nil, false)
	equal(w, "its version", version, 0)
}

func documentReplaced(w *world) {
	for version, value := range []string{"first", "second", "", "\x00\xff"} {
		w.setDocument("ring", value, int64(version), true)
		w.document("ring", value, int64(version)+1)
	}
}

func documentStale(w *world) {
	w.setDocument("ring", "early", 1, false)
	w.document("ring", "", 0)
	w.setDocument("ring", "first", 0, true)
	w.setDocument("ring", "second", 1, true)
	for _, version := range []int64{0, 1, 3, -1} {
		w.setDocument("ring", "stale", version, false)
	}
	w.document("ring", "second", 2)
}

func documentNames(w *world) {
	w.setDocument("ring", "of keys", 0, true)
	w.setDocument("list", "of things", 0, true)
	key, err := w.Store.SharedKey(w.ctx, "ring", []byte("a key"))
	w.must(err)
	equal(w, "the key", string(key), "a key")
	w.document("ring", "of keys", 1)
	w.document("list", "of things", 1)
}

func documentConcurrently(w *world) {
	const callers = 8
	for version := range int64(5) {
		var won atomic.Int64
		var group sync.WaitGroup
		winner := ""
		for i := range callers {
			group.Go(func() {
				value := fmt.Sprint("of caller ", i)
				set, err := w.caller(i).SetDocument(w.ctx, "ring", []byte(value), version)
				if err != nil {
					w.Error(err)
				}
				if set && won.Add(1) == 1 {
					winner = value
				}
			})
		}
		group.Wait()
		equal(w, "callers who won", won.Load(), 1)
		w.document("ring", winner, version+1)
	}
}

func documentDurable(w *world) {
	w.setDocument("ring", "first", 0, true)
	w.setDocument("ring", "second", 1, true)
	w.reopen()
	w.document("ring", "second", 2)
}
