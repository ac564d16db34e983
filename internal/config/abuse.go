package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Abuse are serve's settings against people and programs who ask too much.
type Abuse struct {
	LimitIP      Limit      `name:"limit-ip" var:"BELLHOP_LIMIT_IP" default:"30/10m" placeholder:"N/TIME" group:"abuse" help:"How many forms one IPv4 address, or one /64 of IPv6, may send in a time, and as many links and codes. Who is over it is told when to come back (429). off for no limit."`
	LimitTotal   Limit      `name:"limit-total" var:"BELLHOP_LIMIT_TOTAL" default:"1000/1s" placeholder:"N/TIME" group:"abuse" help:"The same for all of them together. off for no limit."`
	LimitAddress Limit      `name:"limit-address" var:"BELLHOP_LIMIT_ADDRESS" default:"10/1h" placeholder:"N/TIME" group:"abuse" help:"How many sign-ups and sign-ins one mail address may be named in. Beyond that the answer is as always, and no mail is sent. off for no limit."`
	MailBudget   Allowances `name:"mail-budget" var:"BELLHOP_MAIL_BUDGET" default:"1/10m,3/24h,10/720h" placeholder:"N/TIME,..." group:"abuse" help:"How many mails anybody can have sent to one address by signing up with it, whoever asks and however often. All of them must hold. Beyond that the answer is as always, and no mail is sent. off for no limit."`
	SignInBudget Allowances `name:"sign-in-budget" var:"BELLHOP_SIGN_IN_BUDGET" default:"3/15m,10/24h" placeholder:"N/TIME,..." group:"abuse" help:"The same for sign-in mails, which only accounts get. A browser in which the account was signed in before has a budget of its own, twice as large, so that strangers cannot lock anybody out. off for no limit."`

	FormMin time.Duration `name:"form-min" var:"BELLHOP_FORM_MIN" default:"2s" placeholder:"TIME" group:"abuse" help:"How long a person takes at least to fill in the form. What comes sooner is a program: it is answered as always, and no mail is sent. 0 for no limit. The JSON API has none."`
	FormMax time.Duration `name:"form-max" var:"BELLHOP_FORM_MAX" default:"12h" placeholder:"TIME" group:"abuse" help:"How long a page with the form may have been open; later the same happens."`
}

// Limit is so many events in a time; the zero value is no limit.
type Limit struct {
	Events int
	Per    time.Duration
}

func (l Limit) perSecond() float64 { return float64(l.Events) / l.Per.Seconds() }

// Allowance is so many mails in a time.
type Allowance struct {
	Mails int
	Per   time.Duration
}

// Allowances must all hold; none are no limit.
type Allowances []Allowance

const (
	off            = "off"
	limitExample   = "write a number and a time, such as 30/10m, or off"
	budgetExample  = "write numbers and times such as 1/10m,3/24h, or off"
	mostEvents     = 1_000_000
	longestLimit   = 24 * time.Hour
	mostMails      = 1000
	longestBudget  = 90 * 24 * time.Hour
	shortestFormMx = time.Minute
)

// parseShare reads N/TIME within bounds.
func parseShare(text string, most int, longest time.Duration, example string) (n int, per time.Duration, err error) {
	number, span, _ := strings.Cut(strings.TrimSpace(text), "/")
	n, wrong := strconv.Atoi(number)
	per, badTime := time.ParseDuration(span)
	switch {
	case wrong != nil || badTime != nil:
		return 0, 0, &badValue{fmt.Sprintf("%q is not a number and a time with a slash between them", text), example}
	case n < 1 || n > most || per <= 0 || per > longest:
		return 0, 0, &badValue{fmt.Sprintf("want a number from 1 to %d and a time up to %v, got %q", most, longest, text), example}
	}
	return n, per, nil
}

func parseLimit(text string) (Limit, error) {
	if text == off {
		return Limit{}, nil
	}
	n, per, err := parseShare(text, mostEvents, longestLimit, limitExample)
	return Limit{Events: n, Per: per}, err
}

func parseAllowances(text string) (Allowances, error) {
	if text == off {
		return nil, nil
	}
	var out Allowances
	for part := range strings.SplitSeq(text, ",") {
		n, per, err := parseShare(part, mostMails, longestBudget, budgetExample)
		if err != nil {
			return nil, err
		}
		out = append(out, Allowance{Mails: n, Per: per})
	}
	return out, nil
}

func (s *Serve) checkAbuse(f *Faults) {
	s.MailBudget.check(f, "mail-budget")
	s.SignInBudget.check(f, "sign-in-budget")
	switch {
	case s.FormMin < 0:
		f.add("form-min", fmt.Sprintf("want a duration, or 0, got %v", s.FormMin), durationExample)
	case s.FormMax < shortestFormMx:
		f.add("form-max", fmt.Sprintf("want 1m or more, got %v", s.FormMax), "people are called away while they fill in a form; 12h suit most")
	case s.FormMin >= s.FormMax:
		f.add("form-min", fmt.Sprintf("%v are no less than --form-max, which is %v, so no form would ever be good", s.FormMin, s.FormMax), "2s and 12h suit most")
	}
}

// advise warns of a limit for everybody that one visitor can use up.
func (a *Abuse) advise() []string {
	one, all := a.LimitIP, a.LimitTotal
	if one.Events == 0 || one.Events < all.Events || all.Events == 0 || one.perSecond() < all.perSecond() {
		return nil
	}
	return []string{"--limit-total allows no more than --limit-ip does: a single visitor can then keep everybody else out; allow more in total"}
}

// check wants each allowance to mean something beside the one before it.
func (a Allowances) check(f *Faults, flag string) {
	for i := 1; i < len(a); i++ {
		if a[i].Per <= a[i-1].Per || a[i].Mails <= a[i-1].Mails {
			f.add(flag, fmt.Sprintf("%d/%v must allow more mails than %d/%v before it, in a longer time", a[i].Mails, a[i].Per, a[i-1].Mails, a[i-1].Per), budgetExample)
			return
		}
	}
}
