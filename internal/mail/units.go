package mail

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
)

// The units that durations are said in.
const (
	minutes = "minute"
	hours   = "hour"
	days    = "day"
)

// units says how many of a unit there are, in one language: by unit and CLDR
// plural category, with "#" for the number.
type units map[string]map[string]string

// parseUnits reads the JSON form of units.
func parseUnits(source string) (units, error) {
	var u units
	if err := json.Unmarshal([]byte(source), &u); err != nil {
		return nil, fmt.Errorf(`expected JSON such as {"minute": {"one": "# minute", "other": "# minutes"}}: %w`, err)
	}
	var faults []error
	for _, unit := range []string{minutes, hours, days} {
		if !strings.Contains(u[unit]["other"], "#") {
			faults = append(faults, fmt.Errorf(`%s: expected "other" with a # for the number`, unit))
		}
	}
	return u, errors.Join(faults...)
}

// categories are the names of plural forms (CLDR, UTS 35 part 3 section 5).
var categories = [...]string{
	plural.Other: "other", plural.Zero: "zero", plural.One: "one", plural.Two: "two", plural.Few: "few", plural.Many: "many",
}

// say puts a number and its unit into words.
func (u units) say(tag language.Tag, n int, unit string) string {
	text := u[unit][categories[plural.Cardinal.MatchPlural(tag, n, 0, 0, 0, 0)]]
	if text == "" {
		text = u[unit]["other"]
	}
	return strings.Replace(text, "#", strconv.Itoa(n), 1)
}

// inWords is a duration as people say it, rounded down: a link must not die
// before its time.
func (e *edition) inWords(d time.Duration) string {
	switch {
	case d >= 96*time.Hour && d%(24*time.Hour) == 0:
		return e.units.say(e.tag, int(d/(24*time.Hour)), days)
	case d >= time.Hour && d%time.Hour == 0, d >= 6*time.Hour:
		return e.units.say(e.tag, int(d/time.Hour), hours)
	}
	return e.units.say(e.tag, int(d/time.Minute), minutes)
}
