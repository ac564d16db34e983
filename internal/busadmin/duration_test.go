package busadmin

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"PT0S": 0, "P0D": 0, "PT1S": time.Second, "PT1M": time.Minute, "PT60S": time.Minute, "PT0M60S": time.Minute, "PT1M0S": time.Minute,
		"PT5M30.5S": 5*time.Minute + 30500*time.Millisecond, "PT0.0000001S": 100, "PT0.1234567891S": 123456789, "PT1.S": -1,
		"P14D": 14 * day, "P1Y": 365 * day, "P1M": 30 * day, "P1Y2M3DT4H5M6.7S": (365+60+3)*day + 4*time.Hour + 5*time.Minute + 6700*time.Millisecond,
		"PT256204778H48M5.4775807S": forever, foreverText: forever, "P106751D": 106751 * day, "P106752D": forever, "P999999999999999999999Y": -1, "P10675199DT2H48M6S": -1, "P10675200D": -1, "P99999999999D": -1,
		"P292Y": 292 * 365 * day, "P293Y": forever, "PT9223372036S": 9223372036 * time.Second, "PT9223372037S": forever,
		"": -1, "P": -1, "PT": -1, "P1DT": -1, "T1S": -1, "1S": -1, "PT1": -1, "P1S": -1, "PT1D": -1, "PT1S1M": -1, "PT1M1M": -1, "P1W": -1, "-PT1S": -1, "PT-1S": -1,
		"pt1s": -1, " PT1S": -1, "PT1S\n": -1, "PT1.5M": -1, "PT.5S": -1, "PT1,5S": -1, "00:01:00": -1, "60": -1, "PT" + strings.Repeat("1", 80) + "S": -1, "PT１S": -1,
	} {
		got, ok := parseDuration(text)
		if ok != (want >= 0) || ok && got != want {
			t.Errorf("%q is %v, %t; want %v", text, got, ok, want)
		}
	}
}

func TestFormatDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "PT0S", 1: "PT0.000000001S", time.Millisecond: "PT0.001S", 10 * time.Second: "PT10S", time.Minute: "PT1M", 90 * time.Second: "PT1M30S",
		time.Hour: "PT1H", day: "P1D", 14*day + time.Millisecond: "P14DT0.001S", 400 * day: "P400D", day + time.Hour: "P1DT1H",
		100*time.Hour + 100*time.Second: "P4DT4H1M40S", forever: foreverText, forever - 1: "P106751DT23H47M16.854775806S",
	} {
		if got := formatDuration(d); got != want {
			t.Errorf("%v is %s, want %s", d, got, want)
		}
	}
}

func TestDurationsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(0, int64(forever)).Draw(t, "d"))
		if got, ok := parseDuration(formatDuration(d)); !ok || got != d {
			t.Fatalf("%d is written %s and read %d, %t", d, formatDuration(d), got, ok)
		}
	})
}

func TestWording(t *testing.T) {
	for _, c := range []struct {
		wording string
		d       time.Duration
		want    string
	}{
		{"PT60S", time.Minute, "PT60S"}, {"PT60S", time.Hour, "PT1H"}, {"", time.Hour, "PT1H"}, {"nonsense", time.Hour, "PT1H"},
		{"PT5.0001S", 5001 * time.Millisecond, "PT5.0001S"}, {"PT256204778H48M5.4775807S", forever, "PT256204778H48M5.4775807S"},
		{"P292Y", forever, foreverText}, {"P106751DT23H47M16.8547758S", forever, "P106751DT23H47M16.8547758S"},
	} {
		if got := worded(c.wording, c.d); got != c.want {
			t.Errorf("%q for %v is %s, want %s", c.wording, c.d, got, c.want)
		}
	}
}

func FuzzDuration(f *testing.F) {
	for _, text := range []string{"PT1M", "P1Y2M3DT4H5M6.7S", foreverText, "PT", "P99999999999999999999D"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, ok := parseDuration(text)
		if !ok {
			return
		}
		if d < 0 || len(text) > maxDurationText {
			t.Fatalf("%q is %v", text, d)
		}
		if again, ok := parseDuration(formatDuration(d)); !ok || again != d {
			t.Fatalf("%q is %v, written %s, and then %v", text, d, formatDuration(d), again)
		}
		if whole := wholeMillis(d); whole < d || whole != forever && whole%time.Millisecond != 0 {
			t.Fatalf("%v in whole milliseconds is %v", d, whole)
		}
		if problem := func() string { _, problem := ttlSpan.read(text); return problem }(); (problem == "") != (d >= time.Second) {
			t.Fatalf("%q as a time to live: %q", text, problem)
		}
	})
}
