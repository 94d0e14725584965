package sshd

import (
	"net/netip"
	"strings"
)

// kind is what a message means to the reader.
type kind byte

const (
	other   kind = iota
	attempt      // somebody tried to log in, and this is how it went
	unknown      // a user that may not log in; attempts may follow
	ending       // the connection is over
)

// message is what one line of sshd says.
type message struct {
	kind    kind
	user    string
	ip      netip.Addr
	outcome string
	method  string
	reason  string
	times   int
}

// maxRepeats bounds what "message repeated n times" may claim.
const maxRepeats = 1000

// outcomes of an attempt, by the message's first word.
var outcomes = map[string]string{"Accepted": "success", "Failed": "failure", "Partial": "challenge"}

var endings = []string{
	"Connection closed by ", "Connection reset by ", "Received disconnect from ", "Disconnected from ", "Disconnecting",
	"Timeout before authentication", "Close session", "fatal: ", "pam_unix(sshd:session): session closed",
	"error: maximum authentication attempts exceeded",
}

// parseMessage reads the text behind "sshd[pid]: ".
func parseMessage(s string) message {
	s = strings.TrimSuffix(s, " [preauth]")
	if rest, ok := strings.CutPrefix(s, "message repeated "); ok {
		return parseRepeated(rest)
	}
	word, rest, _ := strings.Cut(s, " ")
	if outcome, ok := outcomes[word]; ok {
		m := parseAttempt(rest)
		m.outcome = outcome
		return m
	}
	if rest, ok := cutAnyPrefix(s, "Invalid user ", "Illegal user "); ok {
		return parseUnknown(rest)
	}
	if rest, ok := strings.CutPrefix(s, "User "); ok {
		return parseDenied(rest)
	}
	for _, p := range endings {
		if strings.HasPrefix(s, p) {
			return message{kind: ending}
		}
	}
	return message{}
}

// parseRepeated reads "n times: [ message]".
func parseRepeated(s string) message {
	count, rest, ok := strings.Cut(s, " times: [")
	n, isNumber := number(count)
	inner, closed := strings.CutSuffix(rest, "]")
	if !ok || !isNumber || !closed || len(count) > 4 || n < 1 {
		return message{}
	}
	inner = strings.TrimPrefix(inner, " ")
	if strings.HasPrefix(inner, "message repeated ") {
		return message{}
	}
	m := parseMessage(inner)
	if m.kind == attempt {
		m.times = min(n, maxRepeats)
	}
	return m
}

// parseAttempt reads "METHOD for [invalid user ]USER from IP port N[ ssh2[: KEY]]".
func parseAttempt(s string) message {
	method, rest, ok := strings.Cut(s, " for ")
	if !ok || method == "" || method == "none" || strings.ContainsRune(method, ' ') {
		return message{}
	}
	user, ip, ok := cutFrom(rest, isAttemptTail)
	if !ok {
		return message{}
	}
	m := message{kind: attempt, user: user, ip: ip, method: method, times: 1}
	if user, ok := cutAnyPrefix(m.user, "invalid user ", "illegal user "); ok {
		m.user, m.reason = user, "unknown_user"
	}
	return m
}

// parseUnknown reads "USER from IP[ port N]".
func parseUnknown(s string) message {
	user, ip, ok := cutFrom(s, isPortTail)
	if !ok {
		return message{}
	}
	return message{kind: unknown, user: user, ip: ip, reason: "unknown_user"}
}

// parseDenied reads "USER from IP not allowed because …".
func parseDenied(s string) message {
	at := strings.LastIndex(s, " not allowed because ")
	if at < 0 {
		return message{}
	}
	user, ip, ok := cutFrom(s[:at], isPortTail)
	if !ok {
		return message{}
	}
	return message{kind: unknown, user: user, ip: ip, reason: "not_allowed"}
}

// cutFrom splits at the last " from " that an address and a tail of the right
// shape follow. A user name may itself hold " from 192.0.2.1 port 1 ssh2": what
// sshd wrote stands behind it.
func cutFrom(s string, tail func(string) bool) (user string, ip netip.Addr, ok bool) {
	const from = " from "
	for end := len(s); ; {
		at := strings.LastIndex(s[:end], from)
		if at < 0 {
			break
		}
		if ip, ok := cutAddress(s[at+len(from):], tail); ok {
			return s[:at], ip, true
		}
		end = at + len(from) - 1 // the blank may begin the one before
	}
	// An empty user name leaves "from" at the start.
	if rest, found := strings.CutPrefix(s, from[1:]); found {
		ip, ok := cutAddress(rest, tail)
		return "", ip, ok
	}
	return "", netip.Addr{}, false
}

func cutAddress(s string, tail func(string) bool) (netip.Addr, bool) {
	word, rest, _ := strings.Cut(s, " ")
	ip, err := netip.ParseAddr(word)
	if err != nil || !tail(rest) {
		return netip.Addr{}, false
	}
	return ip.Unmap().WithZone(""), true
}

func isPortTail(s string) bool {
	if s == "" {
		return true
	}
	port, ok := strings.CutPrefix(s, "port ")
	_, isNumber := number(port)
	return ok && isNumber && len(port) <= 5
}

// isAttemptTail accepts "port N[ ssh2[: KEY]]", the key being its type and
// fingerprint, for a certificate more.
func isAttemptTail(s string) bool {
	rest, key, hasKey := strings.Cut(s, ": ")
	rest, _ = cutAnySuffix(rest, " ssh2", " ssh1", " ssh")
	if !isPortTail(rest) || rest == "" {
		return false
	}
	return !hasKey || strings.Count(key, " ") == 1 || strings.Contains(key, " ID ") && strings.Contains(key, " (serial ")
}

func cutAnyPrefix(s string, prefixes ...string) (string, bool) {
	for _, p := range prefixes {
		if rest, ok := strings.CutPrefix(s, p); ok {
			return rest, true
		}
	}
	return s, false
}

func cutAnySuffix(s string, suffixes ...string) (string, bool) {
	for _, p := range suffixes {
		if rest, ok := strings.CutSuffix(s, p); ok {
			return rest, true
		}
	}
	return s, false
}
