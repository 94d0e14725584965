package sshd

import (
	"strings"
)

// entry is one line of a log, taken apart.
type entry struct {
	stamp   stamp
	host    string
	program string
	pid     string
	message string
	// repeats is how often a line that has no message of its own says that the one
	// before it came again.
	repeats int
}

// whyShape says what is wrong with a line that has a time and no more.
const whyShape = "has no name of a program behind its time"

type zones func(string) (offset int, ok bool)

// parseEntry takes a line apart. why says what is wrong where it cannot be; a line
// that is no record of a program, such as the journal's own marks, has no why.
func parseEntry(line string, zs zones) (e entry, ok bool, why string) {
	if strings.HasPrefix(line, "{") {
		return parseJSON(line)
	}
	if blank(line) || isMark(line) {
		return e, false, ""
	}
	if head := min(len(line), maxPrefix); strings.IndexByte(line[:head], '\t') >= 0 {
		line = strings.ReplaceAll(line[:head], "\t", " ") + line[head:]
	}
	line = cutFrame(line)
	line, rfc5424 := cutPriority(line)
	if rfc5424 {
		return parse5424(line, zs)
	}
	pid, line := cutWindows(line)
	st, rest, why := cutStamp(line, zs)
	if why != "" {
		return e, false, why
	}
	if pid != "" {
		return entry{stamp: st, program: "sshd", pid: pid, message: rest}, true, ""
	}
	e, ok, why = parseTagged(rest)
	e.stamp = st
	return e, ok, why
}

// maxPrefix is how far tabs may stand for blanks.
const maxPrefix = 120

func blank(s string) bool { return strings.TrimSpace(s) == "" }

// isMark tells lines that journalctl and log daemons write about the log itself.
func isMark(line string) bool {
	return strings.HasPrefix(line, "-- ") || strings.HasPrefix(line, "--- ") || strings.HasPrefix(line, "# ")
}

// cutFrame drops the length that stands before a message of RFC 6587, and the
// version of RFC 5424 where its priority was left out.
func cutFrame(line string) string {
	n := digits(line)
	if n > 0 && n < 7 && strings.HasPrefix(line[n:], " <") {
		return line[n+1:]
	}
	return line
}

// cutWindows reads the process that OpenSSH's own log file has before a time.
func cutWindows(line string) (pid, rest string) {
	n := digits(line)
	if n > 0 && n < 8 && len(line) > n+5 && line[n] == ' ' && digits(line[n+1:]) == 4 && line[n+5] == '-' {
		return line[:n], line[n+1:]
	}
	return "", line
}

// cutPriority drops "<38>", and "<4.6>" or "<auth.info>" as BSD writes them, and
// tells whether RFC 5424's version follows.
func cutPriority(line string) (rest string, version5424 bool) {
	if strings.HasPrefix(line, "<") {
		end := strings.IndexByte(line, '>')
		if end < 2 || end > 20 || strings.ContainsAny(line[:end], " \t") {
			return line, false
		}
		line = strings.TrimLeft(line[end+1:], " ")
	}
	if rest, ok := strings.CutPrefix(line, "1 "); ok && digits(rest) == 4 && len(rest) > 4 && rest[4] == '-' {
		return rest, true
	}
	return line, false
}

// parse5424 reads "TIME HOST APP PROCID MSGID SD MSG".
func parse5424(line string, zs zones) (e entry, ok bool, why string) {
	word, rest, _ := strings.Cut(line, " ")
	st, _, why := cutStamp(word, zs)
	if why != "" {
		return e, false, why
	}
	e, ok = parseFields(rest)
	if !ok {
		return e, false, whyShape
	}
	e.stamp = st
	return e, true, ""
}

// parseFields reads "HOST APP PROCID MSGID SD MSG".
func parseFields(s string) (entry, bool) {
	f := strings.SplitN(s, " ", 5)
	if len(f) < 5 {
		return entry{}, false
	}
	message, ok := afterData(f[4])
	if !ok {
		return entry{}, false
	}
	for i := range f {
		if f[i] == "-" {
			f[i] = ""
		}
	}
	return entry{host: f[0], program: f[1], pid: f[2], message: strings.TrimPrefix(message, "\ufeff")}, true
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

// parseTagged reads what stands behind the time: "[HOST ]PROGRAM[PID]: MESSAGE",
// with what daemons write between. Nothing of a message is ever taken for a tag:
// at most one word that is no facility stands before it.
func parseTagged(s string) (e entry, ok bool, why string) {
	host := ""
	for rest := s; ; {
		if n, ok := cutRepeated(rest); ok {
			return entry{host: host, repeats: n}, true, ""
		}
		if program, pid, message, ok := cutTag(rest); ok {
			if n, ok := cutRepeated(message); ok && strings.HasPrefix(program, "syslog") {
				return entry{host: host, repeats: n}, true, ""
			}
			if pid == "" && !isSSHD(program) && (strings.HasPrefix(message, "sshd[") || strings.HasPrefix(message, "sshd:")) {
				return entry{}, false, whyShape // a host with a colon, or somebody who speaks for sshd
			}
			return entry{host: host, program: program, pid: pid, message: cutNotes(message)}, true, ""
		}
		word, behind, more := strings.Cut(rest, " ")
		if !more {
			break
		}
		if !isFacility(word) {
			// A relay may write its address before the host's name.
			if host != "" && !peerOf(host).ip.IsValid() {
				break
			}
			host = word
		}
		rest = strings.TrimLeft(behind, " ")
	}
	return parseUntagged(s)
}

// parseUntagged reads the shapes that have no tag: RFC 5424's fields behind another
// time, and what a container writes, which runs nothing but sshd.
func parseUntagged(s string) (e entry, ok bool, why string) {
	if e, ok := parseFields(s); ok && isSSHD(e.program) {
		return e, true, ""
	}
	for _, stream := range []string{"stderr F ", "stdout F ", "stderr P ", "stdout P "} {
		s = strings.TrimPrefix(s, stream)
	}
	if parseMessage(s).kind.tells() {
		return entry{program: "sshd", message: s}, true, ""
	}
	if strings.Contains(s, "ssh") || strings.Contains(s, "Failed ") || strings.Contains(s, "Invalid user ") {
		return entry{}, false, whyShape
	}
	return entry{}, false, ""
}

// cutTag reads "PROGRAM[PID]: ", "PROGRAM: ", and of sshd alone also "[PROGRAM] ".
func cutTag(s string) (program, pid, message string, ok bool) {
	if rest, found := strings.CutPrefix(s, "["); found {
		program, rest, found = strings.Cut(rest, "]")
		rest = strings.TrimPrefix(rest, ":")
		message, found2 := strings.CutPrefix(rest, " ")
		return program, "", message, found && found2 && isSSHD(program)
	}
	end := strings.IndexAny(s, " :[")
	if strings.HasPrefix(s, "sshd@") || strings.HasPrefix(s, "ssh@") { // a connection's own unit
		word, _, _ := strings.Cut(s, " ")
		end = strings.LastIndexByte(word, '[')
	}
	if end <= 0 {
		return "", "", "", false
	}
	program, rest := s[:end], s[end:]
	if inner, found := strings.CutPrefix(rest, "["); found {
		pid, rest, found = strings.Cut(inner, "]")
		if !found || strings.ContainsAny(pid, " [") {
			return "", "", "", false
		}
		if !strings.HasPrefix(rest, ":") {
			// "sshd[7] message" is written by templates that leave the colon out.
			message, found := strings.CutPrefix(rest, " ")
			return program, pid, message, found && isSSHD(program)
		}
	}
	rest, found := strings.CutPrefix(rest, ":")
	if !found || strings.HasPrefix(rest, ":") || rest != "" && rest[0] != ' ' && !isSSHD(program) {
		return "", "", "", false // a host that is an address, or a facility
	}
	return program, pid, strings.TrimLeft(rest, " "), true
}

// cutNotes drops what stands between a tag and sshd's own words.
func cutNotes(message string) string {
	if rest, ok := strings.CutPrefix(message, "[ID "); ok { // Solaris
		if _, behind, ok := strings.Cut(rest, "] "); ok {
			return behind
		}
	}
	if rest, ok := strings.CutPrefix(message, "kernel:"); ok { // the kernel's clock
		if rest, ok := strings.CutPrefix(strings.TrimLeft(rest, " "), "["); ok {
			if _, behind, ok := strings.Cut(rest, "]"); ok {
				return strings.TrimLeft(strings.TrimPrefix(behind, ":"), " ")
			}
		}
	}
	return message
}

// cutRepeated reads "last message repeated n times", as classic daemons fold lines.
func cutRepeated(s string) (n int, ok bool) {
	s = strings.TrimSuffix(strings.TrimPrefix(s, "--- "), " ---")
	rest, ok := cutAnyPrefix(s, "last message repeated ", "last message buffered ")
	if !ok {
		return 0, false
	}
	count, rest, _ := strings.Cut(rest, " ")
	n, ok = number(count)
	if !ok || n < 1 || rest != "times" && rest != "time" {
		return 0, false
	}
	return min(n, maxRepeats), true
}

const (
	facilityNames = " kern user mail daemon auth syslog lpr news uucp cron authpriv ftp ntp security audit console local0 local1 local2 local3 local4 local5 local6 local7 "
	severityNames = " emerg alert crit err error warning warn notice info debug panic none "
)

// isFacility tells words such as auth.info, <auth.info>, auth|security:info and
// notice, which log daemons write on demand.
func isFacility(word string) bool {
	word = strings.ToLower(strings.Trim(word, "<>[]()"))
	if word == "" || len(word) > 24 {
		return false
	}
	if at := strings.IndexAny(word, ".:/"); at > 0 {
		facility, severity := word[:at], word[at+1:]
		for name := range strings.SplitSeq(facility, "|") {
			if !strings.Contains(facilityNames, " "+name+" ") {
				return false
			}
		}
		return strings.Contains(severityNames, " "+severity+" ")
	}
	return strings.Contains(severityNames, " "+word+" ") || word == "auth" || word == "authpriv"
}

// isSSHD tells sshd's own lines from those of other programs; since 9.8 a
// session's lines come from sshd-session, since 10.0 from sshd-auth too. PAM's used
// to come from sshd(pam_unix), and journalctl can write the unit instead.
func isSSHD(program string) bool {
	program = program[strings.LastIndexByte(program, '/')+1:]
	unit, isUnit := strings.CutSuffix(program, ".service")
	if at := strings.IndexAny(unit, "@("); at > 0 {
		unit = unit[:at]
	}
	switch unit {
	case "sshd", "sshd-session", "sshd-auth", "in.sshd", "sshd2", "SSHD":
		return true
	case "ssh":
		return isUnit
	}
	return false
}

func cutAnyPrefix(s string, prefixes ...string) (string, bool) {
	for _, p := range prefixes {
		if rest, ok := strings.CutPrefix(s, p); ok {
			return rest, true
		}
	}
	return s, false
}

// words are sshd's own; where the program's name says that PAM speaks, its words
// begin with that module's name.
func (e *entry) words() string {
	if _, module, ok := strings.Cut(e.program, "("); ok {
		return strings.TrimSuffix(module, ")") + "(sshd:auth): " + e.message
	}
	return e.message
}
