package sshd

import (
	"bytes"
	"strings"
	"time"
)

// entry is one line of syslog, taken apart.
type entry struct {
	stamp   stamp
	host    string
	program string
	pid     string
	message string
}

// stamp is a line's time; RFC 3164 leaves the year and the zone open.
type stamp struct {
	at     time.Time // in UTC, in year 0 where the year is open
	noYear bool
}

// parseEntry reads the three shapes of syslog: RFC 3164 ("Mar 27 13:06:56 host
// sshd[1]: …"), the same with an ISO time, and RFC 5424.
func parseEntry(line string) (entry, bool) {
	line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
	line, version5424 := cutPriority(line)
	if version5424 {
		return parse5424(line)
	}
	st, rest, ok := cutStamp(line)
	if !ok {
		return entry{}, false
	}
	host, rest, ok := strings.Cut(rest, " ")
	if !ok {
		return entry{}, false
	}
	tag, message, ok := strings.Cut(rest, ": ")
	if !ok {
		return entry{}, false
	}
	e := entry{stamp: st, host: host, program: tag, message: message}
	if open := strings.IndexByte(tag, '['); open >= 0 && strings.HasSuffix(tag, "]") {
		e.program, e.pid = tag[:open], tag[open+1:len(tag)-1]
	}
	return e, true
}

// cutPriority drops "<38>" and tells whether RFC 5424's version follows it.
func cutPriority(line string) (rest string, version5424 bool) {
	if !strings.HasPrefix(line, "<") {
		return line, false
	}
	end := strings.IndexByte(line, '>')
	if end < 2 || end > 4 {
		return line, false
	}
	for _, c := range []byte(line[1:end]) {
		if c < '0' || c > '9' {
			return line, false
		}
	}
	return strings.CutPrefix(line[end+1:], "1 ")
}

// parse5424 reads "TIME HOST APP PROCID MSGID SD MSG".
func parse5424(line string) (entry, bool) {
	f := strings.SplitN(line, " ", 6)
	if len(f) < 6 {
		return entry{}, false
	}
	at, ok := parseISO(f[0])
	if !ok {
		return entry{}, false
	}
	message, ok := afterData(f[5])
	if !ok {
		return entry{}, false
	}
	return entry{stamp: stamp{at: at}, host: f[1], program: f[2], pid: f[3], message: strings.TrimPrefix(message, "\ufeff")}, true
}

// afterData passes over structured data: "-", or elements in brackets in whose
// quoted values a backslash escapes.
func afterData(s string) (string, bool) {
	if rest, ok := strings.CutPrefix(s, "- "); ok {
		return rest, true
	}
	quoted, open := false, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"' && open:
			quoted = !quoted
		case quoted:
		case c == '[' && !open:
			open = true
		case c == ']' && open:
			open = false
		case c == ' ' && !open && i > 0:
			return s[i+1:], true
		case !open:
			return "", false
		}
	}
	return "", false
}

const shortMonths = "JanFebMarAprMayJunJulAugSepOctNovDec"

// cutStamp reads the time that a line begins with.
func cutStamp(line string) (stamp, string, bool) {
	if len(line) > 0 && line[0] >= '0' && line[0] <= '9' {
		word, rest, ok := strings.Cut(line, " ")
		if !ok {
			return stamp{}, "", false
		}
		at, ok := parseISO(word)
		return stamp{at: at}, rest, ok
	}
	if len(line) < 16 || line[3] != ' ' || line[6] != ' ' || line[9] != ':' || line[12] != ':' {
		return stamp{}, "", false
	}
	month := strings.Index(shortMonths, line[:3])
	day, ok1 := number(strings.TrimPrefix(line[4:6], " "))
	hour, ok2 := number(line[7:9])
	minute, ok3 := number(line[10:12])
	second, ok4 := number(line[13:15])
	if month < 0 || month%3 != 0 || !ok1 || !ok2 || !ok3 || !ok4 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60 {
		return stamp{}, "", false
	}
	rest := line[15:]
	nanos, rest := cutFraction(rest)
	rest, ok := strings.CutPrefix(rest, " ")
	// Year 0 is a leap year: February 29 stays what it is until the year is known.
	at := time.Date(0, time.Month(month/3+1), day, hour, minute, min(second, 59), nanos, time.UTC)
	return stamp{at: at, noYear: true}, rest, ok && at.Day() == day
}

// cutFraction reads the ".123456" that some daemons append to the seconds.
func cutFraction(s string) (nanos int, rest string) {
	if !strings.HasPrefix(s, ".") {
		return 0, s
	}
	i, scale := 1, 100_000_000
	for ; i < len(s) && s[i] >= '0' && s[i] <= '9'; i++ {
		nanos += int(s[i]-'0') * scale
		scale /= 10
	}
	return nanos, s[i:]
}

func number(s string) (int, bool) {
	if s == "" {
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

var isoLayouts = []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700"}

func parseISO(s string) (time.Time, bool) {
	for _, layout := range isoLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}

// isSSHD tells sshd's own lines from those of other programs; since 9.8 a
// session's lines come from sshd-session, since 10.0 from sshd-auth too.
func isSSHD(program string) bool {
	program = program[strings.LastIndexByte(program, '/')+1:]
	return program == "sshd" || program == "sshd-session" || program == "sshd-auth"
}

// trim drops a line's end and what may not stand in one.
func trim(line []byte) []byte { return bytes.TrimRight(line, "\r\n\x00") }
