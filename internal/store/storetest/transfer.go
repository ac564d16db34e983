package storetest

import (
	"context"
	"sync"
	"testing"
	"time"

	"bellhop/internal/onboarding"
	"bellhop/internal/store/transfer"
)

// Serving is a store as a process that serves has it open.
type Serving interface {
	Store
	Close() error
}

// Moving is a store as a move has it open.
type Moving interface {
	transfer.Source
	transfer.Target
	Close() error
}

// Site is where a store lies that nobody has open. It is empty at first.
type Site struct {
	// Serve opens the store as a process that serves does.
	Serve func() (Serving, error)
	// Move opens the store to move it from or to here.
	Move func() (Moving, error)
	// Shared tells that several processes may use the store at once, so that a
	// move has to look for them. (A sole owner's move holds what they would
	// need.)
	Shared bool
}

// OpenSite makes a site for one test, with a policy and a clock. The site goes
// with the test.
type OpenSite func(t testing.TB, p onboarding.Policy, now func() time.Time) *Site

// RunTransfer proves each sentence of [transfer.Source] and [transfer.Target]
// by moving stores from one kind of site to another, or the same.
func RunTransfer(t *testing.T, from, to OpenSite) {
	for _, test := range []struct {
		name string
		run  func(*trip)
	}{
		{"RestLeavesNothingOnItsWay", restMoves},
		{"EverythingArrives", everythingArrives},
		{"TheTargetWorksOn", targetWorksOn},
		{"MessagesOfTheTimeBeforeMeanNothing", oldMessagesRefused},
		{"ARepeatIsStillARepeat", repeatAfterMove},
		{"ACopyReusesTheMintNumber", copyAfterMove},
		{"TheErasedStayErased", erasedAfterMove},
		{"TheSourceServesNoMore", sourceServesNoMore},
		{"RunningAgainIsHarmless", runAgain},
		{"ThereAndBackAgain", thereAndBack},
		{"AnInterruptedMoveIsCompleted", interrupted},
		{"AnInterruptedMoveTakesWhatCameAfterwards", interruptedAndServed},
		{"TheLastStepIsMadeUpForByAMoveBack", lastStepMissing},
		{"OneThatIsGoneTooFarBelongsToItsMove", anotherMove},
		{"ATargetWithSignUpsIsRefused", targetNotEmpty},
		{"ASourceWithoutSignUpsIsRefused", sourceEmpty},
		{"BothEndsAreNotOneStore", sameStore},
		{"ATargetThatWasOnlyLookedAtIsNot", targetLookedAt},
		{"AStoreInUseIsRefused", inUse},
		{"OneThatSleptThroughTheMoveIsRefused", sleeperRefused},
		{"PurgedMailsStayPurged", purgedAfterMove},
		{"EverySessionWorks", sessionsWork},
		{"EveryLinkWorksOrIsUsedAsBefore", linksWork},
		{"TriesAreStillCounted", triesCounted},
		{"BudgetsStillRefuse", budgetsRefuse},
		{"DocumentsKeepTheirVersions", documentsKeepVersions},
		{"TimeTakesWhatItWouldHaveTaken", timeTakesAccounts},
		{"MailsOfForgottenRequestsStayInTheLedger", namelessMoves},
		{"ItBehavesLikeOneThatNeverMoved", behavesLikeItsTwin},
		{"AStoreThatServedMeanwhileIsNotGivenUp", servedMeanwhile},
		{"WhatArrivesOtherwiseIsNoticed", differs},
		{"NothingIsDoneToAStoreThatIsNotBeingMoved", notBeingMoved},
		{"AMarkIsReplacedByCompareAndSet", markCAS},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(newTrip(t, from, to)) })
	}
}

// clock is the clock of all stores of a test, which only the test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// The names of the sites of a trip.
const (
	here  = "here"
	there = "there"
)

// trip is one test of a move from here to there.
type trip struct {
	*testing.T
	*clock
	ctx      context.Context
	policy   onboarding.Policy
	from, to *Site
	opens    map[string]OpenSite
	people   int
}

func newTrip(t *testing.T, from, to OpenSite) *trip {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	t.Cleanup(cancel)
	c := &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	p := onboarding.DefaultPolicy()
	return &trip{
		T: t, clock: c, ctx: ctx, policy: p,
		from: from(t, p, c.Now), to: to(t, p, c.Now),
		opens: map[string]OpenSite{here: from, there: to},
	}
}

// another is a further site of the kind of here or there.
func (tr *trip) another(kind string) *Site { return tr.opens[kind](tr.T, tr.policy, tr.Now) }

func (tr *trip) must(err error) {
	tr.Helper()
	if err != nil {
		tr.Fatal(err)
	}
}

// at is a world around the store that is served at a site, until it is closed.
func (tr *trip) at(s *Site) *world {
	tr.Helper()
	store, err := s.Serve()
	tr.must(err)
	h := &Harness{Store: store, Now: tr.Now, Advance: tr.Advance, Close: store.Close}
	return &world{T: tr.T, Harness: h, ctx: tr.ctx, policy: tr.policy, people: tr.people, ops: 1000 * tr.people}
}

// leave closes a world.
func (tr *trip) leave(w *world) {
	tr.Helper()
	w.conserves()
	tr.people = w.people
	tr.must(w.Close())
}

// visit does something in the world at a site.
func (tr *trip) visit(s *Site, do func(*world)) {
	tr.Helper()
	w := tr.at(s)
	do(w)
	tr.leave(w)
}

// ends are both stores of a move, which may be looked at or broken on the way.
type ends struct {
	from transfer.Source
	to   transfer.Target
}

// move moves everything. Whoever wraps the ends does so first.
func (tr *trip) move(from, to *Site, wrap func(*ends)) (report transfer.Report, err error) {
	tr.Helper()
	source, openErr := from.Move()
	tr.must(openErr)
	defer func() { tr.must(source.Close()) }()
	target, openErr := to.Move()
	tr.must(openErr)
	defer func() { tr.must(target.Close()) }()
	e := &ends{from: source, to: target}
	if wrap != nil {
		wrap(e)
	}
	return transfer.Run(tr.ctx, e.from, e.to, transfer.Options{From: here, To: there, Chunk: 20})
}

// moves is a move from here to there that succeeds.
func (tr *trip) moves() transfer.Report {
	tr.Helper()
	report, err := tr.move(tr.from, tr.to, nil)
	tr.must(err)
	return report
}

// with does something with a store that is open to be moved.
func (tr *trip) with(s *Site, do func(Moving)) {
	tr.Helper()
	m, err := s.Move()
	tr.must(err)
	do(m)
	tr.must(m.Close())
}

// serves tells whether a process may serve at a site, and with how many mails.
func (tr *trip) serves(s *Site) (mails int64, err error) {
	tr.Helper()
	store, err := s.Serve()
	if err != nil {
		return 0, err
	}
	books, err := store.Books(tr.ctx)
	tr.must(err)
	tr.must(store.Close())
	return books.Accepted, nil
}
