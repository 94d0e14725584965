package sshd

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// ParseZone reads an IANA zone such as Europe/Berlin, an offset such as +01:00, or
// UTC. It returns an error for anything else.
func ParseZone(s string) (*time.Location, error) {
	if s != "" && (s[0] == '+' || s[0] == '-') {
		if seconds, ok := numericZone(s); ok {
			return time.FixedZone(s, seconds), nil
		}
	} else if s != "" && s != "Local" && !strings.ContainsAny(s, " \\") {
		if loc, err := time.LoadLocation(s); err == nil {
			return loc, nil
		}
	}
	return nil, fmt.Errorf("%q is not a time zone: write one such as Europe/Berlin, an offset such as +01:00, or UTC", s)
}

// ZoneName names a zone so that ParseZone would know it; the machine's own too,
// where the machine says what it is called.
func ZoneName(loc *time.Location, at time.Time) string {
	if loc != time.Local {
		return loc.String()
	}
	if name := strings.TrimPrefix(os.Getenv("TZ"), ":"); name != "" {
		if _, err := ParseZone(name); err == nil {
			return name
		}
	}
	if to, err := os.Readlink("/etc/localtime"); err == nil {
		if _, name, ok := strings.Cut(to, "zoneinfo/"); ok {
			return name
		}
	}
	return at.In(loc).Format("UTC-07:00")
}

// instants are the times at which a clock in loc shows what at does, earliest
// first: two where it is put back, none where it is put forward over them.
func instants(at time.Time, loc *time.Location) (first, second time.Time, n int) {
	for _, probe := range [...]time.Time{at.Add(-26 * time.Hour), at.Add(26 * time.Hour)} {
		_, offset := probe.In(loc).Zone()
		t := at.Add(-time.Duration(offset) * time.Second)
		if _, real := t.In(loc).Zone(); real != offset {
			continue
		}
		switch {
		case n == 0:
			first, n = t, 1
		case t.After(first):
			second, n = t, 2
		case t.Before(first):
			first, second, n = t, first, 2
		}
	}
	return first, second, n
}

// instant is when a clock in loc showed what at does. A time that is shown twice,
// while clocks are put back, is the first one that does not lie before after; one
// that is never shown counts by the offset that held before it.
func instant(at time.Time, loc *time.Location, after time.Time) time.Time {
	first, second, n := instants(at, loc)
	switch {
	case n == 0:
		_, offset := at.Add(-26 * time.Hour).In(loc).Zone()
		return at.Add(-time.Duration(offset) * time.Second)
	case n == 2 && first.Before(after):
		return second
	}
	return first
}

// zonesOf gives the offsets of the abbreviations that loc itself uses near a time.
func zonesOf(loc *time.Location, near time.Time) func(string) (int, bool) {
	type zone struct {
		name   string
		offset int
	}
	var known [2]zone
	for i := range known {
		name, offset := near.AddDate(0, -6*i, 0).In(loc).Zone()
		known[i] = zone{name, offset}
	}
	return func(s string) (int, bool) {
		for _, z := range known {
			if z.name == s {
				return z.offset, true
			}
		}
		return 0, false
	}
}
