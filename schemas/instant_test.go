package schemas

import (
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Every day of four centuries and more has the number that the standard library
// gives it, and a day that there is not has none.
func TestDaysAreThoseOfTheCalendar(t *testing.T) {
	for at := time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC); at.Year() < 2405; at = at.AddDate(0, 0, 1) {
		if got, want := daysSince1970(uint(at.Year()), uint(at.Month()), uint(at.Day())), at.Unix()/86400; got != want {
			t.Fatalf("%s is day %d, want %d", at.Format(time.DateOnly), got, want)
		}
		next := at.AddDate(0, 0, 1)
		if last := next.Day() == 1; last && monthDays(uint(at.Year()), uint(at.Month())) != uint(at.Day()) {
			t.Fatalf("%s is not the last of its month", at.Format(time.DateOnly))
		}
	}
}

// The short ways say what the standard library says, or nothing.
func TestShortWaysAgree(t *testing.T) {
	times := rapid.StringMatching(`[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9]([.,][0-9]{0,10})?(Z|z|\+01:00|)`)
	addrs := rapid.StringMatching(`([0-9]{0,2}[.]?){4}|[0-9]{1,3}[.][0-9]{1,3}[.][0-9]{1,3}[.][0-9]{1,3}`)
	rapid.Check(t, func(t *rapid.T) {
		s := times.Draw(t, "time")
		if ms, ok := utcTime([]byte(s)); ok {
			var want time.Time
			if err := want.UnmarshalText([]byte(s)); err != nil || want.UnixMilli() != ms {
				t.Fatalf("%s is %d, want %d, %v", s, ms, want.UnixMilli(), err)
			}
		}
		s = addrs.Draw(t, "address")
		a, ok := parseAddr4([]byte(s))
		want, err := netip.ParseAddr(s)
		if ok != (err == nil) || ok && a != want {
			t.Fatalf("%s is %v %v, want %v, %v", s, a, ok, want, err)
		}
	})
}
