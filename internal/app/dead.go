package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"bellhop/internal/onboarding"
	"bellhop/internal/queue"
)

// deadRows is how many dead mails or letters are read at a time.
const deadRows = 500

// errNoSuchID is returned for an id that dead list does not show.
var errNoSuchID = errors.New("no dead mail or message has this id: bellhop dead list shows them")

// deadItem is one line of "dead list": a mail given up, an unknown that is
// held, or a message that a queue has set aside. Its JSON form is part of the
// command's interface.
type deadItem struct {
	ID       string    `json:"id"`
	Kind     string    `json:"kind"`  // mail or message
	State    string    `json:"state"` // of a mail; dead-lettered for a message
	Reason   string    `json:"reason"`
	Attempts int       `json:"attempts"`
	Since    time.Time `json:"since"`
}

// deadDesk looks after mails and messages that were given up.
type deadDesk struct {
	ledger onboarding.Operator
	queue  queue.DeadLetterer
	notify func(onboarding.Lane) // a mail is due again
}

// list returns everything that was given up, mails first.
func (d *deadDesk) list(ctx context.Context) ([]deadItem, error) {
	items := []deadItem{}
	for after := ""; ; {
		mails, next, err := d.ledger.DeadMails(ctx, after, deadRows)
		if err != nil {
			return nil, fmt.Errorf("list dead mails: %w", err)
		}
		for _, m := range mails {
			items = append(items, deadItem{ID: string(m.ID), Kind: "mail", State: string(m.State), Reason: m.Reason, Attempts: m.Attempts, Since: m.Since})
		}
		if after = next; after == "" {
			break
		}
	}
	for _, lane := range onboarding.Lanes() {
		letters, err := d.letters(ctx, lane)
		if err != nil {
			return nil, err
		}
		items = append(items, letters...)
	}
	return items, nil
}

func (d *deadDesk) letters(ctx context.Context, lane onboarding.Lane) (items []deadItem, err error) {
	for after := ""; ; {
		letters, next, err := d.queue.DeadLetters(ctx, lane.Queue(), after, deadRows)
		if err != nil {
			return nil, fmt.Errorf("list the %s lane's dead letters: %w", lane, err)
		}
		for _, l := range letters {
			reason := l.Reason
			if l.Description != "" {
				reason += ": " + l.Description
			}
			items = append(items, deadItem{ID: string(lane) + "/" + l.ID, Kind: "message", State: "dead-lettered", Reason: reason, Since: l.Since})
		}
		if after = next; after == "" {
			return items, nil
		}
	}
}

// replay sends one more time: a mail becomes due, a message goes to its queue.
func (d *deadDesk) replay(ctx context.Context, id string) error {
	if lane, letter, ok := letterID(id); ok {
		return d.queue.Replay(ctx, lane.Queue(), letter)
	}
	_, purpose, _, err := onboarding.MailID(id).Parse()
	if err != nil {
		return errNoSuchID
	}
	if err := d.ledger.Replay(ctx, onboarding.MailID(id)); err != nil {
		return explain(err)
	}
	d.notify(purpose.Lane())
	return nil
}

// discard takes a dead mail or message as settled.
func (d *deadDesk) discard(ctx context.Context, id string) error {
	if lane, letter, ok := letterID(id); ok {
		return d.queue.Discard(ctx, lane.Queue(), letter)
	}
	return explain(d.ledger.Discard(ctx, onboarding.MailID(id)))
}

func explain(err error) error {
	if errors.Is(err, onboarding.ErrNoMail) {
		return errNoSuchID
	}
	return err
}

// letterID takes the id of a message, LANE/ID, apart.
func letterID(id string) (lane onboarding.Lane, letter string, ok bool) {
	for _, lane := range onboarding.Lanes() {
		if letter, ok := strings.CutPrefix(id, string(lane)+"/"); ok {
			return lane, letter, true
		}
	}
	return "", "", false
}
