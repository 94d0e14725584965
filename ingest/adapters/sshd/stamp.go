package sshd

import (
	"encoding/hex"
	"slices"
	"strings"
	"time"
)

// stamp is a line's time. RFC 3164 leaves the year and the zone open.
type stamp struct {
	at     time.Time // as the clock showed it, as if in UTC; in year 0 where the year is open
	zoned  bool      // at is the instant itself
	noYear bool
	loc    *time.Location // that the line names, where the year is open
}

// What is wrong with a stamp that cannot be read.
const (
	whyNoTime    = "does not begin with a time that can be read"
	whySinceBoot = "counts its time from the machine's start: export the journal with journalctl -o short-iso"
	whyZone      = "names a time zone that is not known: export the journal in UTC (journalctl --utc), or with -o short-iso"
)

const shortMonths = "JanFebMarAprMayJunJulAugSepOctNovDec"

// cutStamp reads the time that a line begins with; rest begins behind it and a
// blank. why says what is wrong where there is none. zones gives the offset, in
// seconds, of a zone's abbreviation.
func cutStamp(line string, zones func(string) (int, bool)) (s stamp, rest, why string) {
	switch {
	case line == "":
		return s, "", whyNoTime
	case line[0] == '[':
		return cutBracketed(line, zones)
	case line[0] == '@':
		return cutTAI(line)
	}
	weekday := false
	if word, behind, ok := strings.Cut(line, " "); ok && isWeekday(word) {
		weekday, line = true, strings.TrimLeft(behind, " ")
	}
	c := cursor{s: line}
	s.noYear = !c.date()
	if c.bad || !c.clock() {
		if s, rest, ok := cutEpoch(line); ok {
			return s, rest, ""
		}
		return stamp{}, "", whyNoTime
	}
	if s.noYear && c.yearBehind() {
		s.noYear = false
	}
	offset, zoned, known := c.zone(zones, weekday && !s.noYear && c.dashed)
	if !known {
		return stamp{}, "", whyZone
	}
	at, ok := c.time()
	if !ok {
		return stamp{}, "", whyNoTime
	}
	rest, ok = strings.CutPrefix(c.s, " ")
	if !ok && c.s != "" {
		return stamp{}, "", whyNoTime
	}
	switch s.at, s.zoned = at, zoned && !s.noYear; {
	case s.zoned:
		s.at = at.Add(-time.Duration(offset) * time.Second)
	case zoned:
		s.loc = time.FixedZone("", offset)
	}
	return s, strings.TrimLeft(rest, " "), ""
}

// cutBracketed reads a time in brackets.
func cutBracketed(line string, zones func(string) (int, bool)) (stamp, string, string) {
	inner, rest, ok := strings.Cut(line[1:], "]")
	if !ok || len(inner) > 48 {
		return stamp{}, "", whyNoTime
	}
	if whole, part, ok := strings.Cut(strings.TrimSpace(inner), "."); ok && digits(whole) > 0 && len(whole) <= 9 && digits(whole) == len(whole) && digits(part) == len(part) {
		return stamp{}, "", whySinceBoot
	}
	s, behind, why := cutStamp(strings.TrimSpace(inner), zones)
	if why == "" && behind != "" {
		why = whyNoTime
	}
	return s, strings.TrimLeft(rest, " "), why
}

// cutTAI reads the label that multilog and its kin write: "@", 2^62 and seconds
// of TAI in hexadecimal, and nanoseconds.
func cutTAI(line string) (stamp, string, string) {
	word, rest, _ := strings.Cut(line[1:], " ")
	b, err := hex.DecodeString(word)
	if err != nil || len(b) != 12 || b[0] != 0x40 {
		return stamp{}, "", whyNoTime
	}
	var seconds, nanos int64
	for _, c := range b[1:8] {
		seconds = seconds<<8 | int64(c)
	}
	for _, c := range b[8:] {
		nanos = nanos<<8 | int64(c)
	}
	const ahead = 10 // what these programs add to the time of the system's clock
	if nanos >= 1e9 || seconds > 1<<36 {
		return stamp{}, "", whyNoTime
	}
	return stamp{at: time.Unix(seconds-ahead, nanos).UTC(), zoned: true}, strings.TrimLeft(rest, " "), ""
}

// cutEpoch reads seconds since 1970, or milli-, micro- or nanoseconds.
func cutEpoch(line string) (stamp, string, bool) {
	word, rest, _ := strings.Cut(line, " ")
	whole, part, _ := strings.Cut(word, ".")
	n, ok := number(whole)
	if !ok || digits(part) != len(part) || len(part) > 9 {
		return stamp{}, "", false
	}
	at := time.Unix(int64(n), 0)
	switch len(whole) {
	case 10:
		nanos, _ := number((part + "000000000")[:9])
		at = at.Add(time.Duration(nanos))
	case 13:
		at = time.UnixMilli(int64(n))
	case 16:
		at = time.UnixMicro(int64(n))
	case 19:
		at = time.Unix(0, int64(n))
	default:
		return stamp{}, "", false
	}
	return stamp{at: at.UTC(), zoned: true}, strings.TrimLeft(rest, " "), true
}

// cursor reads a time from the beginning of s.
type cursor struct {
	s                                      string
	year, month, day, hour, minute, second int
	nanos                                  int
	bad                                    bool
	dashed                                 bool // the date was written as ISO 8601 does, a blank behind it
}

// digits is how many digits s begins with.
func digits(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}

// take reads a number of at least low and at most high digits.
func (c *cursor) take(low, high int) int {
	n := digits(c.s)
	if n < low || n > high {
		c.bad = true
		return 0
	}
	v, _ := number(c.s[:n])
	c.s = c.s[n:]
	return v
}

// skip passes over one of the bytes of any.
func (c *cursor) skip(any string) byte {
	if c.s == "" || strings.IndexByte(any, c.s[0]) < 0 {
		c.bad = true
		return 0
	}
	b := c.s[0]
	c.s = c.s[1:]
	return b
}

func (c *cursor) blanks() { c.s = strings.TrimLeft(c.s, " ") }

func (c *cursor) monthName() {
	if len(c.s) >= 3 {
		for at := 0; at < len(shortMonths); at += 3 {
			if name := shortMonths[at : at+3]; name == c.s[:3] || strings.EqualFold(name, c.s[:3]) {
				c.month, c.s = at/3+1, c.s[3:]
				return
			}
		}
	}
	c.bad = true
}

// date reads a date and reports whether it has a year.
func (c *cursor) date() bool {
	switch n := digits(c.s); {
	case n == 0: // Nov  3, Nov 3, Nov 03, and with 2026 behind
		c.monthName()
		c.skip(" ")
		c.blanks()
		c.day = c.take(1, 2)
		c.s = strings.TrimPrefix(c.s, ",")
		c.skip(" ")
		c.blanks()
		if digits(c.s) == 4 {
			c.year = c.take(4, 4)
			c.skip(" ")
			return true
		}
		return false
	case n == 4 && len(c.s) > 4 && c.s[4] == ' ': // 2026 Nov  3
		c.year = c.take(4, 4)
		c.skip(" ")
		c.monthName()
		c.skip(" ")
		c.blanks()
		c.day = c.take(1, 2)
		c.skip(" ")
	case n == 4: // 2026-11-03
		c.year = c.take(4, 4)
		sep := string(c.skip("-/."))
		c.month = c.take(1, 2)
		c.skip(sep)
		c.day = c.take(1, 2)
		c.dashed = c.skip("Tt _") == ' '
	case n == 8: // 20261103T100000
		v := c.take(8, 8)
		c.year, c.month, c.day = v/10000, v/100%100, v%100
		c.skip("Tt ")
	case n <= 2 && len(c.s) > n && c.s[n] == '.': // 03.11.2026
		c.day = c.take(1, 2)
		c.skip(".")
		c.month = c.take(1, 2)
		c.skip(".")
		c.year = c.take(4, 4)
		c.skip(" ")
	case n <= 2: // 3 Nov 2026, 03/Nov/2026:
		c.day = c.take(1, 2)
		sep := string(c.skip(" /-"))
		c.monthName()
		c.skip(sep)
		c.year = c.take(4, 4)
		c.skip(" :")
	default:
		c.bad = true
	}
	return true
}

// clock reads the time of day.
func (c *cursor) clock() bool {
	if digits(c.s) == 6 { // behind 20261103T
		v := c.take(6, 6)
		c.hour, c.minute, c.second = v/10000, v/100%100, v%100
	} else {
		c.hour = c.take(1, 2)
		c.skip(":")
		c.minute = c.take(2, 2)
		c.skip(":")
		c.second = c.take(2, 2)
	}
	if !c.bad && c.s != "" && (c.s[0] == '.' || c.s[0] == ',') && digits(c.s[1:]) > 0 {
		c.nanos, c.s = fraction(c.s)
	}
	return !c.bad
}

// fraction reads the ".123456" that some daemons append to the seconds.
func fraction(s string) (nanos int, rest string) {
	i, scale := 1, 100_000_000
	for ; i < len(s) && s[i] >= '0' && s[i] <= '9'; i++ {
		nanos += int(s[i]-'0') * scale
		scale /= 10
	}
	return nanos, s[i:]
}

// yearBehind reads a year that stands behind the time, as ctime writes it.
func (c *cursor) yearBehind() bool {
	rest, ok := strings.CutPrefix(c.s, " ")
	if !ok || digits(rest) != 4 || rest[:2] != "19" && rest[:2] != "20" {
		return false
	}
	behind := strings.TrimPrefix(rest[4:], ":")
	if !strings.HasPrefix(behind, " ") { // a host that is an address
		return false
	}
	c.year, _ = number(rest[:4])
	c.s = behind
	return true
}

// zone reads an offset or a zone's abbreviation. Where one must stand, known is
// false if none does that is known.
func (c *cursor) zone(zones func(string) (int, bool), must bool) (offset int, zoned, known bool) {
	rest := strings.TrimPrefix(c.s, " ")
	word := rest
	if end := strings.IndexByte(rest, ' '); end >= 0 {
		word = rest[:end]
	}
	word = strings.TrimSuffix(word, ":")
	if offset, ok := zoneOffset(word, zones); ok {
		c.s = strings.TrimPrefix(rest[len(word):], ":")
		return offset, true, true
	}
	return 0, false, !must
}

// zoneOffset reads "Z", "+01", "+0100", "+01:00" or an abbreviation.
func zoneOffset(s string, zones func(string) (int, bool)) (int, bool) {
	if s == "Z" || s == "z" {
		return 0, true
	}
	if s != "" && (s[0] == '+' || s[0] == '-') {
		return numericZone(s)
	}
	if len(s) < 3 || len(s) > 5 || strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return 0, false
	}
	if offset, ok := zones(s); ok {
		return offset, true
	}
	offset, ok := abbreviations[s]
	return offset * 60, ok
}

// numericZone reads "+01", "+0100" or "+01:00" as seconds.
func numericZone(s string) (int, bool) {
	text := strings.Replace(s[1:], ":", "", 1)
	n, ok := number(text)
	switch {
	case !ok || len(text) != 2 && len(text) != 4:
		return 0, false
	case len(text) == 2:
		n *= 100
	}
	if n/100 > 14 || n%100 > 59 {
		return 0, false
	}
	seconds := (n/100*60 + n%100) * 60
	if s[0] == '-' {
		seconds = -seconds
	}
	return seconds, true
}

// abbreviations are zones that mean one thing wherever clocks show them, and those
// of RFC 822, in minutes.
var abbreviations = map[string]int{
	"UTC": 0, "GMT": 0, "WET": 0, "WEST": 60, "CET": 60, "CEST": 120, "MEZ": 60, "MESZ": 120, "EET": 120, "EEST": 180, "MSK": 180,
	"EST": -300, "EDT": -240, "CST": -360, "CDT": -300, "MST": -420, "MDT": -360, "PST": -480, "PDT": -420,
	"AKST": -540, "AKDT": -480, "HST": -600, "JST": 540, "KST": 540, "AEST": 600, "AEDT": 660, "AWST": 480, "NZST": 720, "NZDT": 780, "SAST": 120,
}

// time puts together what was read.
func (c *cursor) time() (time.Time, bool) {
	if c.bad || c.month < 1 || c.month > 12 || c.day < 1 || c.day > 31 || c.hour > 23 || c.minute > 59 || c.second > 60 {
		return time.Time{}, false
	}
	// Year 0 is a leap year: February 29 stays what it is until the year is known.
	at := time.Date(c.year, time.Month(c.month), c.day, c.hour, c.minute, min(c.second, 59), c.nanos, time.UTC)
	return at, at.Day() == c.day
}

func isWeekday(s string) bool {
	s = strings.TrimSuffix(s, ",")
	return len(s) == 3 && slices.Contains([]string{"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"}, s)
}

func number(s string) (int, bool) {
	if s == "" || len(s) > 18 && s > "9223372036854775806" {
		return 0, false
	}
	n := 0
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}
