package busadmin

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	// forever is what a duration beyond Go's reach is taken for: 292 years.
	forever = time.Duration(math.MaxInt64)
	// foreverText is the longest duration of .NET, which Service Bus writes
	// where there is no end.
	foreverText = "P10675199DT2H48M5.4775807S"

	// longestSeconds is how long that is, without the fraction.
	longestSeconds = 922337203685

	maxDurationText = 64
	day             = 24 * time.Hour
)

var durationPattern = regexp.MustCompile(`^P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.(\d+))?S)?)?$`)

// durationUnits are those of durationPattern's groups. As for .NET a year has
// 365 days and a month 30.
var durationUnits = [...]time.Duration{365 * day, 30 * day, day, time.Hour, time.Minute, time.Second}

// parseDuration reads a duration of XML Schema (ISO 8601 without weeks, years
// and months of fixed length) that is neither negative nor longer than
// foreverText. What is too long for Go is forever; what is finer than a
// nanosecond is cut off.
func parseDuration(text string) (time.Duration, bool) {
	if len(text) > maxDurationText || strings.HasSuffix(text, "P") || strings.HasSuffix(text, "T") {
		return 0, false
	}
	parts := durationPattern.FindStringSubmatch(text)
	if parts == nil {
		return 0, false
	}
	var total time.Duration
	var seconds float64 // exact as far as it matters
	for i, unit := range durationUnits {
		total = plus(total, parts[i+1], unit)
		count, _ := strconv.ParseFloat(parts[i+1], 64) // digits, or nothing
		seconds += count * unit.Seconds()
	}
	if seconds > longestSeconds {
		return 0, false
	}
	nanoseconds := (parts[len(durationUnits)+1] + "000000000")[:9]
	return plus(total, nanoseconds, time.Nanosecond), true
}

// plus adds count units, given as digits or not at all.
func plus(d time.Duration, count string, unit time.Duration) time.Duration {
	if count == "" {
		return d
	}
	n, err := strconv.ParseInt(count, 10, 64)
	if err != nil || n > int64((forever-d)/unit) {
		return forever // the pattern leaves only one error: out of range
	}
	return d + time.Duration(n)*unit
}

// formatDuration writes a duration that is not negative as .NET does.
func formatDuration(d time.Duration) string {
	if d == forever {
		return foreverText
	}
	if d == 0 {
		return "PT0S"
	}
	var b strings.Builder
	b.WriteByte('P')
	write := func(unit time.Duration, name byte) {
		if n := d / unit; n > 0 {
			b.WriteString(strconv.FormatInt(int64(n), 10))
			b.WriteByte(name)
			d %= unit
		}
	}
	write(day, 'D')
	if d > 0 {
		b.WriteByte('T')
	}
	write(time.Hour, 'H')
	write(time.Minute, 'M')
	if d > 0 {
		b.WriteString(strings.TrimRight(strings.TrimRight(fmt.Sprintf("%d.%09d", d/time.Second, d%time.Second), "0"), "."))
		b.WriteByte('S')
	}
	return b.String()
}

// span is the range a duration may have, both ends included.
type span struct{ low, high time.Duration }

// read reads a duration in the span, in whole milliseconds as the bus counts,
// rounded up. The problem, if any, says what was expected and what was found.
func (s span) read(text string) (d time.Duration, problem string) {
	d, ok := parseDuration(text)
	switch {
	case !ok:
		return 0, fmt.Sprintf("want a duration such as PT1M or P14D, found %.64q", text)
	case d >= s.low && d <= s.high:
		return wholeMillis(d), ""
	case s.high == forever:
		return 0, fmt.Sprintf("want %s or more, found %s", formatDuration(s.low), text)
	}
	return 0, fmt.Sprintf("want %s to %s, found %s", formatDuration(s.low), formatDuration(s.high), text)
}

// worded is the wording of a duration as it was first given, if it still means
// d; else d as it is written here.
func worded(wording string, d time.Duration) string {
	if meant, ok := parseDuration(wording); ok && wholeMillis(meant) == wholeMillis(d) {
		return wording
	}
	return formatDuration(d)
}

// wholeMillis is a duration in milliseconds, rounded up; forever stays.
func wholeMillis(d time.Duration) time.Duration {
	rounded := d.Truncate(time.Millisecond)
	switch {
	case rounded == d:
		return d
	case rounded > forever-time.Millisecond:
		return forever
	}
	return rounded + time.Millisecond
}
