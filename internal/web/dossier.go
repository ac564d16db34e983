package web

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"bellhop/internal/onboarding"
	"bellhop/internal/signup"
)

// EncodeDossier writes everything that is held about a person as JSON: what
// GET /me/export answers, and what operators get.
func EncodeDossier(d signup.Dossier) ([]byte, error) {
	all := dossierJSON{
		Account: personOf(d.Person),
		SignUps: each(d.SignUps, strangerOf), Mails: each(d.Mails, mailOf), Sessions: each(d.Sessions, keptSessionOf),
		SignIns: each(d.SignIns, func(r signup.SignInRecord) signInJSON { return signInJSON{r.ID, r.Asked.UTC(), r.Used.UTC()} }),
		Charged: d.Charged,
	}
	if all.Charged == nil {
		all.Charged = map[onboarding.Budget][]time.Time{}
	}
	body, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode export: %w", err)
	}
	return body, nil
}

// each converts a list. The result is never nil, so that JSON has [] and not
// null.
func each[From, To any](list []From, convert func(From) To) []To {
	converted := make([]To, 0, len(list))
	for _, v := range list {
		converted = append(converted, convert(v))
	}
	return converted
}

type dossierJSON struct {
	Account  personJSON        `json:"account"`
	SignUps  []personJSON      `json:"signUps"` // others with the same address
	Mails    []mailJSON        `json:"mails"`
	Sessions []keptSessionJSON `json:"sessions"`
	SignIns  []signInJSON      `json:"signIns"`
	// Charged is when mails were counted for the address, by budget.
	Charged map[onboarding.Budget][]time.Time `json:"charged"`
}

type personJSON struct {
	ID          string        `json:"id"`
	Status      signup.Status `json:"status"`
	First       string        `json:"first"`
	Last        string        `json:"last"`
	Email       string        `json:"email"`
	SentTo      string        `json:"sentTo"` // the address in the form that mail servers get
	Locale      string        `json:"locale"`
	SignedUpAt  time.Time     `json:"signedUpAt"`
	ConfirmedAt time.Time     `json:"confirmedAt,omitzero"`
	Consent     consentJSON   `json:"consent"`
}

type consentJSON struct {
	Text   string `json:"text"`             // the version of the text that was shown
	Origin string `json:"origin,omitempty"` // stands for the IP address that the form came from
}

func personOf(p signup.Person) personJSON {
	origin := ""
	if p.Consent.Origin != [16]byte{} {
		origin = hex.EncodeToString(p.Consent.Origin[:])
	}
	return personJSON{
		p.ID, p.Status, p.First, p.Last, p.Address.Typed(), p.Address.Sendable(), p.Locale,
		p.Accepted.UTC(), utc(p.Confirmed), consentJSON{p.Consent.Text, origin},
	}
}

// strangerOf is another sign-up of the same address. Whoever made it may be
// somebody else, and where they were is theirs.
func strangerOf(p signup.Person) personJSON {
	p.Consent.Origin = [16]byte{}
	return personOf(p)
}

type mailJSON struct {
	ID        onboarding.MailID  `json:"id"`
	Variant   onboarding.Variant `json:"variant"` // "" if not chosen yet
	State     onboarding.State   `json:"state"`
	CreatedAt time.Time          `json:"createdAt"`
	Attempts  int                `json:"attempts"`
	Reason    string             `json:"reason,omitempty"`
	Reply     *replyJSON         `json:"reply,omitempty"` // what the mail server said last
}

type replyJSON struct {
	Phase    string `json:"phase"`
	Code     int    `json:"code"`
	Enhanced string `json:"enhanced"`
	Text     string `json:"text"`
}

func mailOf(m signup.MailRecord) mailJSON {
	made := mailJSON{m.ID, m.Variant, m.State, m.Created.UTC(), m.Attempts, m.Reason, nil}
	if m.Reply != (onboarding.Reply{}) {
		made.Reply = &replyJSON{m.Reply.Phase, m.Reply.Code, m.Reply.Enhanced, m.Reply.Text}
	}
	return made
}

type keptSessionJSON struct {
	ID       string             `json:"id"`
	Kind     signup.SessionKind `json:"kind"`
	OpenedAt time.Time          `json:"openedAt"`
	SeenAt   time.Time          `json:"seenAt"`
	EndsAt   time.Time          `json:"endsAt"`
}

func keptSessionOf(s signup.Session) keptSessionJSON {
	return keptSessionJSON{s.ID, s.Kind, s.Opened.UTC(), s.Seen.UTC(), s.Ends.UTC()}
}

type signInJSON struct {
	ID      string    `json:"id"`
	AskedAt time.Time `json:"askedAt"`
	UsedAt  time.Time `json:"usedAt,omitzero"`
}

// utc is a time in UTC; the zero time stays zero.
func utc(at time.Time) time.Time {
	if at.IsZero() {
		return at
	}
	return at.UTC()
}
