package schemas

import (
	"bytes"
	"net/netip"
)

// parseTime reads an RFC 3339 time into Unix milliseconds: also with lower-case t and
// z, any number of digits of a second's fraction, and an offset. It accepts what
// timePattern does, where the day exists; package time takes a comma and hours of one
// digit besides.
func parseTime(b []byte) (ms int64, ok bool) {
	if ms, ok = utcTime(b); ok {
		return ms, true
	}
	const seconds = len("2006-01-02T15:04:05")
	if len(b) <= seconds || b[10]|0x20 != 't' {
		return 0, false
	}
	utc := [seconds + 1]byte(append(append(make([]byte, 0, seconds+1), b[:seconds]...), 'Z'))
	utc[10] = 'T'
	if ms, ok = utcTime(utc[:]); !ok {
		return 0, false
	}
	end := seconds
	for end < len(b) && (b[end] == '.' || b[end]-'0' <= 9) {
		end++
	}
	part, ok := fraction(b[seconds:end])
	offset, ok2 := zone(b[end:])
	return ms + part - offset, ok && ok2
}

// zone reads Z, z or an offset such as +02:00, in milliseconds east of UTC.
func zone(b []byte) (ms int64, ok bool) {
	if len(b) == 1 {
		return 0, b[0]|0x20 == 'z'
	}
	if len(b) != len("+02:00") || b[3] != ':' || b[0] != '+' && b[0] != '-' {
		return 0, false
	}
	hours, minutes := twoDigits(b, 1), twoDigits(b, 4)
	if hours > 23 || minutes > 59 {
		return 0, false
	}
	if ms = int64(hours*60+minutes) * 60_000; b[0] == '-' {
		ms = -ms
	}
	return ms, true
}

// utcTime reads the common form alone: 2026-01-02T15:04:05Z, with up to nine
// digits of a second's fraction, of which milliseconds are kept.
func utcTime(b []byte) (ms int64, ok bool) {
	if len(b) < 20 || len(b) > 30 || b[len(b)-1] != 'Z' ||
		b[4] != '-' || b[7] != '-' || b[10] != 'T' || b[13] != ':' || b[16] != ':' {
		return 0, false
	}
	year := twoDigits(b, 0)*100 + twoDigits(b, 2)
	month, day := twoDigits(b, 5), twoDigits(b, 8)
	hour, minute, second := twoDigits(b, 11), twoDigits(b, 14), twoDigits(b, 17)
	if year >= noDigits || month-1 > 11 || day-1 >= monthDays(year, month) || hour > 23 || minute > 59 || second > 59 {
		return 0, false
	}
	if ms, ok = fraction(b[19 : len(b)-1]); !ok {
		return 0, false
	}
	return ms + 1000*(daysSince1970(year, month, day)*86400+int64(hour*3600+minute*60+second)), true
}

// noDigits is more than any number of four digits, also after the sums above.
const noDigits = 10_000

func twoDigits(b []byte, at int) uint {
	tens, unit := b[at]-'0', b[at+1]-'0'
	if tens > 9 || unit > 9 {
		return noDigits
	}
	return uint(tens)*10 + uint(unit)
}

// fraction reads ".350" as 350 milliseconds, and nothing as none.
func fraction(b []byte) (ms int64, ok bool) {
	if len(b) == 0 {
		return 0, true
	}
	if b[0] != '.' || len(b) == 1 {
		return 0, false
	}
	scale := int64(100)
	for _, c := range b[1:] {
		if c -= '0'; c > 9 {
			return 0, false
		}
		ms += int64(c) * scale
		scale /= 10
	}
	return ms, true
}

func monthDays(year, month uint) uint {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// daysSince1970 counts days of the proleptic Gregorian calendar. A year is taken to
// begin in March, so that the leap day is its last one: the months before month m
// of such a year have (153·m + 2) / 5 days together, and years before it 365 each
// and a leap day every 4, but not every 100, yet every 400. The year 0 ended 719468
// days before 1970-03-01 is counted from.
func daysSince1970(year, month, day uint) int64 {
	y, m := int64(year), int64(month)
	if m <= 2 {
		y, m = y-1, m+12
	}
	leap := floorDiv(y, 4) - floorDiv(y, 100) + floorDiv(y, 400)
	return 365*y + leap + (153*(m-3)+2)/5 + int64(day) - 1 - 719468
}

// floorDiv differs from a/b where a is -1, as it is for the first months of year 0.
func floorDiv(a, b int64) int64 {
	if a < 0 {
		return -1
	}
	return a / b
}

// parseAddr reads an IP address. A zone (fe80::1%eth0) means something on the machine
// that wrote it only, and is dropped.
func parseAddr(b []byte) (netip.Addr, bool) {
	if a, ok := parseAddr4(b); ok {
		return a, true
	}
	host, zone, zoned := bytes.Cut(b, []byte("%"))
	a, err := netip.ParseAddr(aliased(host))
	if err != nil || zoned && (a.Is4() || !isZone(zone)) {
		return netip.Addr{}, false
	}
	return a.Unmap(), true
}

func isZone(b []byte) bool {
	for _, c := range b {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && c-'0' > 9 && c != '.' && c != '-' && c != '_' && c != '~' {
			return false
		}
	}
	return len(b) > 0
}

// parseAddr4 reads four numbers without leading zeros, the only form of an IPv4
// address that there is.
func parseAddr4(b []byte) (netip.Addr, bool) {
	var parts [4]byte
	n, value, digits := 0, uint(0), 0
	for _, c := range b {
		switch {
		case c-'0' <= 9 && digits < 3 && (digits == 0 || value > 0):
			value = value*10 + uint(c-'0')
			digits++
		case c == '.' && digits > 0 && n < 3 && value < 256:
			parts[n] = byte(value)
			n, value, digits = n+1, 0, 0
		default:
			return netip.Addr{}, false
		}
	}
	if n != 3 || digits == 0 || value > 255 {
		return netip.Addr{}, false
	}
	parts[3] = byte(value)
	return netip.AddrFrom4(parts), true
}
