package storetest

import (
	"bellhop/internal/onboarding"
	"bellhop/internal/signup"
)

// B7.7: what erasing a person promises.
var eraseTests = []test{
	{name: "ThePersonIsGone", run: erasePerson},
	{name: "I5_EveryMailIsCalledOff", run: eraseCancels},
	{name: "WhatServersSaidIsGoneToo", run: eraseAnswers},
	{name: "TheHolderFindsOutAtCheck", run: eraseCommitting},
	{name: "NothingCanBeReplayedAfterwards", run: eraseForbidsReplay},
	{name: "TheIdempotencyKeyIsForgotten", run: eraseForgetsKey},
	{name: "TwiceIsHarmlessAndAStrangerIsNotFound", run: eraseTwice},
}

func (w *world) erase(id onboarding.MailID) {
	w.Helper()
	w.must(w.Store.Erase(w.ctx, id.Subject()))
}

func erasePerson(w *world) {
	id, bystander := w.accept(), w.accept()
	w.erase(id)
	_, err := w.Store.Person(w.ctx, id.Subject())
	w.wantErr(err, signup.ErrNotFound)
	_, err = w.Store.Person(w.ctx, bystander.Subject())
	w.must(err)
	w.ref(bystander)
}

func eraseCancels(w *world) {
	for _, state := range []onboarding.State{onboarding.Due, onboarding.Queued, onboarding.Sending, onboarding.Unknown} {
		id := w.in(state)
		w.erase(id)
		w.isIn(id, onboarding.Cancelled)
		for gen := range int64(5) {
			w.refusesClaim(onboarding.Ref{Mail: id, Gen: gen})
		}
	}
	for _, state := range []onboarding.State{onboarding.Sent, onboarding.Failed, onboarding.Expired} {
		id := w.in(state)
		w.erase(id)
		w.isIn(id, state)
	}
}

func eraseAnswers(w *world) {
	h := w.committing(w.accept())
	r := to(onboarding.Failed)
	r.Reply = onboarding.Reply{Phase: "dot", Code: 550, Enhanced: "5.1.1", Text: "no such user here"}
	w.record(h.Claim, r)
	w.erase(h.Claim.Mail)
	dead, _, err := w.Store.DeadMails(w.ctx, "", 10)
	w.must(err)
	r.Reply.Text = ""
	equal(w, "what is left of the reply", dead[0].Reply, r.Reply)
}

func eraseCommitting(w *world) {
	w.heartbeat(me)
	for _, state := range []onboarding.State{onboarding.Due, onboarding.Unknown} {
		h := w.committing(w.accept())
		w.erase(h.Claim.Mail)
		w.wantErr(w.Store.Check(w.ctx, h.Claim), onboarding.ErrRefused)
		w.record(h.Claim, to(state))
		equal(w, "mails due", len(w.due()), 0)
		w.Advance(w.policy.UnknownPause)
		w.sweep(me)
		equal(w, "mails due", len(w.due()), 0)
	}
}

func eraseForbidsReplay(w *world) {
	for _, state := range []onboarding.State{onboarding.Failed, onboarding.Expired} {
		id := w.in(state)
		w.erase(id)
		w.wantErr(w.Store.Replay(w.ctx, id), onboarding.ErrWrongState)
		w.must(w.Store.Discard(w.ctx, id))
	}
	h := w.committing(w.accept())
	w.erase(h.Claim.Mail)
	w.record(h.Claim, to(onboarding.Unknown))
	w.wantErr(w.Store.Replay(w.ctx, h.Claim.Mail), onboarding.ErrWrongState)
}

func eraseForgetsKey(w *world) {
	a := withKey(w.acceptance(), 1)
	_, _, err := w.Store.Accept(w.ctx, a)
	w.must(err)
	w.erase(a.Mails[0].ID)
	_, repeated, err := w.Store.Accept(w.ctx, withKey(w.acceptance(), 1))
	w.must(err)
	equal(w, "repeated", repeated, false)
}

func eraseTwice(w *world) {
	id := w.accept()
	w.erase(id)
	w.erase(id)
	w.wantErr(w.Store.Erase(w.ctx, w.acceptance().Person.ID), signup.ErrNotFound)
	w.reopen()
	_, err := w.Store.Person(w.ctx, id.Subject())
	w.wantErr(err, signup.ErrNotFound)
}
