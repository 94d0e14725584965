package sshd

import (
	"net/netip"
	"strings"
)

// kind is what a message means to the reader.
type kind byte

const (
	other    kind = iota
	attempt       // somebody tried to log in, and this is how it went
	unknown       // a user that may not log in; attempts may follow
	refused       // root may not log in; a line of the attempt follows
	pamError      // PAM's word on one answer of keyboard-interactive
	pamStep       // a module of PAM refused; "Failed" may follow, or another module's consent
	pamMore       // n more of those
	tooMany       // the connection used up its attempts
	turned        // a client was sent away before it named a user
	opening       // a connection came
	ending        // it is over
)

// tells reports whether the kind says anything of an attempt by itself.
func (k kind) tells() bool { return k != other && k != pamMore && k != opening && k != ending }

// peer is who is at the other end: an address, or the name that a server which
// looks names up writes in its place.
type peer struct {
	ip   netip.Addr
	name string
	port int // 0: not said
}

func (p peer) known() bool { return p.ip.IsValid() || p.name != "" }

// message is what one line of sshd says.
type message struct {
	kind    kind
	user    string
	named   bool // user is what the line says; for an ending: somebody tried to log in
	peer    peer
	outcome string
	method  string
	reason  string
	times   int
	module  string // of PAM
	ends    string // for an ending: the process whose connection it is, where that is not the line's
	// gaveUp says that the client left because nothing that it offered was taken.
	gaveUp bool
	// others are further ways to read user and peer, where the client chose text that
	// looks like sshd's.
	others []reading
}

// reading is one way to tell what is a user's name and what sshd wrote behind it.
type reading struct {
	user string
	peer peer
}

const (
	// maxRepeats bounds what "message repeated n times" may claim.
	maxRepeats = 1000
	// maxReadings bounds the ways to read a line.
	maxReadings = 8
)

const (
	reasonUnknown    = "unknown_user"
	reasonNotAllowed = "not_allowed"
)

// outcomes of an attempt, by the message's first word.
var outcomes = map[string]string{"Accepted": "success", "Failed": "failure", "Partial": "challenge"}

// parseMessage reads the text behind "sshd[pid]: ".
func parseMessage(s string) message {
	s = strings.TrimRight(s, " ")
	s = strings.TrimRight(strings.TrimSuffix(s, "[preauth]"), " ")
	if rest, ok := strings.CutPrefix(s, "message repeated "); ok {
		return parseRepeated(rest)
	}
	s, _ = cutAnyPrefix(s, "error: ", "fatal: ", "info: ")
	word, rest, _ := strings.Cut(s, " ")
	if outcome, ok := outcomes[word]; ok {
		return parseAttempt(rest, outcome)
	}
	switch word {
	case "Invalid", "invalid", "Illegal", "illegal":
		if rest, ok := strings.CutPrefix(rest, "user "); ok {
			return parseUser(unknown, rest, reasonUnknown)
		}
	case "User":
		return parseDenied(rest)
	case "ROOT":
		return parseRefused(s)
	case "PAM:":
		return parsePAM(rest)
	case "PAM":
		return parseMore(rest)
	case "maximum":
		return parseMaximum(s)
	case "Access":
		return parseAccess(s)
	case "refused", "Magic":
		return parseTurned(s)
	}
	if strings.HasPrefix(word, "pam_") || strings.HasPrefix(word, "authentication") {
		return parseStep(s)
	}
	return parseConnection(s)
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
	m.again(n)
	return m
}

// again makes a message stand for n of its kind.
func (m *message) again(n int) {
	if m.kind.tells() || m.kind == ending && m.named {
		m.times = min(n, maxRepeats)
	}
}

// parseAttempt reads "METHOD for [invalid user ]USER from HOST[ port N][ ssh2[: KEY]]".
func parseAttempt(s, outcome string) message {
	method, rest, ok := strings.Cut(s, " for ")
	if !ok || method == "" || method == "none" || strings.ContainsRune(method, ' ') {
		return message{}
	}
	m := message{kind: attempt, outcome: outcome, method: method, named: true, times: 1}
	rest, bad := cutAnyPrefix(rest, "invalid user ", "illegal user ")
	if bad {
		m.reason = reasonUnknown
	}
	if !m.read(rest, bad) {
		return message{}
	}
	return m
}

// read reads "USER from HOST…" to the line's end. The name of a user that does not
// exist, and what stands behind "ssh2: ", are the client's choice; the name of one
// that exists is not, so that sshd's own words follow the first time they can.
func (m *message) read(s string, chosen bool) bool {
	all := readings(s, chosen)
	if len(all) == 0 {
		return false
	}
	m.user, m.peer = all[0].user, all[0].peer
	if chosen && len(all) > 1 {
		m.peer, m.others = peer{}, all
	}
	return true
}

// readings are the ways to read "USER from HOST…": those with a port, else without.
func readings(s string, chosen bool) (all []reading) {
	var bare []reading
	for end := 0; len(all) < maxReadings; {
		at := strings.Index(s[end:], "from ")
		if at < 0 {
			break
		}
		at += end
		end = at + len("from ")
		if at > 0 && s[at-1] != ' ' { // an empty name leaves "from" at the start
			continue
		}
		p, rest := cutPeer(s[end:])
		if !p.known() || !isTail(rest, chosen) {
			continue
		}
		one := reading{strings.TrimSuffix(s[:at], " "), p}
		if p.port > 0 {
			all = append(all, one)
		} else {
			bare = append(bare, one)
		}
	}
	if len(all) == 0 && len(bare) > 0 { // what an old sshd writes at the very end
		return bare[len(bare)-1:]
	}
	return all
}

// cutPeer reads "HOST[ port N][ on HOST]"; unknown is written where sshd could not
// tell.
func cutPeer(s string) (p peer, rest string) {
	word, rest, _ := strings.Cut(s, " ")
	p = peerOf(word)
	if !p.known() {
		return p, s
	}
	if text, ok := strings.CutPrefix(rest, "port "); ok {
		if n := digits(text); n > 0 && n <= 5 {
			p.port, _ = number(text[:n])
			rest = strings.TrimPrefix(text[n:], " ")
			if n < len(text) && text[n] != ' ' && text[n] != ':' {
				return peer{}, s
			}
		}
	}
	if text, ok := strings.CutPrefix(rest, "on "); ok {
		if word, behind, _ := strings.Cut(text, " "); peerOf(word).ip.IsValid() {
			rest = behind
		}
	}
	return p, rest
}

// peerOf reads an address or a host's name.
func peerOf(word string) peer {
	if ip, err := netip.ParseAddr(word); err == nil {
		return peer{ip: ip.Unmap().WithZone("")}
	}
	if word == "" || len(word) > 255 {
		return peer{}
	}
	for _, c := range []byte(word) {
		if c != '.' && c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return peer{}
		}
	}
	return peer{name: word}
}

// isTail accepts what stands behind a port: nothing, or "ssh2[: MORE]". Where the
// user's name is the client's choice too, MORE has to be what sshd writes of a key.
func isTail(s string, chosen bool) bool {
	s = strings.TrimPrefix(s, " ")
	if s == "" || s == "ssh2" || s == "ssh1" || s == "ssh" {
		return true
	}
	more, ok := cutAnyPrefix(s, "ssh2: ", "ssh1: ", "ssh: ")
	return ok && (!chosen || isKey(more))
}

// isKey accepts "TYPE FINGERPRINT", with an ID between "ID " and " (serial N) CA TYPE
// FINGERPRINT" for a certificate, and the client's user and host for hostbased.
func isKey(s string) bool {
	if at := strings.Index(s, `, client user "`); at >= 0 && strings.HasSuffix(s, `"`) {
		s = s[:at]
	}
	kind, rest, ok := strings.Cut(s, " ")
	if !ok || strings.Trim(kind, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-@.abcdefghijklmnopqrstuvwxyz") != "" {
		return !ok && s != "" // one word: a principal of Kerberos
	}
	print, rest, _ := strings.Cut(rest, " ")
	if print == "" || rest == "" {
		return print != ""
	}
	id, ca, ok := cutLast(rest, " (serial ")
	_, ca, closed := strings.Cut(ca, ") CA ")
	return ok && closed && strings.HasPrefix(id, "ID") && strings.Count(ca, " ") == 1
}

func cutLast(s, sep string) (before, after string, ok bool) {
	at := strings.LastIndex(s, sep)
	if at < 0 {
		return s, "", false
	}
	return s[:at], s[at+len(sep):], true
}

// parseUser reads "USER from HOST[ port N]" to the line's end, which is where sshd
// writes it whatever the name holds.
func parseUser(k kind, s, reason string) message {
	user, p, ok := lastFrom(s)
	if !ok {
		return message{}
	}
	return message{kind: k, user: user, named: true, peer: p, reason: reason, times: 1}
}

// lastFrom splits at the last " from ", which a peer and nothing else must follow.
func lastFrom(s string) (user string, p peer, ok bool) {
	at := strings.LastIndex(s, " from ")
	from := at + len(" from ")
	if at < 0 { // an empty name leaves "from" at the start
		if !strings.HasPrefix(s, "from ") {
			return "", peer{}, false
		}
		at, from = 0, len("from ")
	}
	p, rest := cutPeer(s[from:])
	if tail := strings.TrimPrefix(rest, " "); !p.known() || tail != "" && tail != "ssh2" && tail != "ssh1" && tail != "ssh" {
		return "", peer{}, false
	}
	return s[:at], p, true
}

// parseDenied reads "USER[ from HOST] not allowed because …".
func parseDenied(s string) message {
	at := strings.LastIndex(s, " not allowed because ")
	if at < 0 {
		return message{}
	}
	if m := parseUser(unknown, s[:at], reasonNotAllowed); m.kind != other {
		return m
	}
	// Of a locked account sshd does not say who tried it; the connection's other
	// lines do.
	return message{kind: unknown, user: s[:at], named: true, reason: reasonNotAllowed, times: 1}
}

// parseRefused reads "ROOT LOGIN REFUSED FROM HOST[ port N]".
func parseRefused(s string) message {
	rest, ok := strings.CutPrefix(s, "ROOT LOGIN REFUSED FROM ")
	p, tail := cutPeer(rest)
	if !ok || !p.known() || tail != "" {
		return message{}
	}
	return message{kind: refused, user: "root", named: true, peer: p, reason: reasonNotAllowed, times: 1}
}

// parsePAM reads "WHY for [illegal user ]USER from HOST[ via HOST]", behind "PAM: ".
func parsePAM(s string) message {
	_, rest, ok := strings.Cut(s, " for ")
	if !ok {
		return message{}
	}
	if before, host, ok := cutLast(rest, " via "); ok && peerOf(host).known() {
		if m := parseUser(pamError, before, ""); m.kind != other {
			return m.illegal()
		}
	}
	return parseUser(pamError, rest, "").illegal()
}

// illegal moves what sshd writes before a name into the reason.
func (m message) illegal() message {
	if user, ok := cutAnyPrefix(m.user, "invalid user ", "illegal user "); ok {
		m.user, m.reason = user, reasonUnknown
	}
	if m.kind == pamError {
		m.outcome, m.method = "failure", "keyboard-interactive/pam"
	}
	return m
}

// parseStep reads what a module of PAM says of one password, "pam_unix(sshd:auth):
// authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=HOST  user=USER";
// the name of the module is the program's in old logs.
func parseStep(s string) message {
	module := ""
	if strings.HasPrefix(s, "pam_") {
		var rest string
		module, rest, _ = strings.Cut(s, "(")
		service, behind, ok := strings.Cut(rest, "): ")
		if !ok || !strings.HasSuffix(service, ":auth") {
			return parseConnection(s)
		}
		s = behind
	}
	rest, ok := strings.CutPrefix(s, "authentication failure; ")
	if !ok {
		return message{}
	}
	m, ok := pamFields(rest)
	if !ok {
		return message{}
	}
	m.kind, m.module, m.outcome, m.method, m.times = pamStep, module, "failure", "pam", 1
	return m
}

// pamFields reads "logname= uid=0 euid=0 tty=ssh ruser= rhost=HOST  user=USER". The
// user, who may be the client's choice, stands last; ruser, which may be too, before
// rhost.
func pamFields(s string) (m message, ok bool) {
	before, after, ok := strings.Cut(s, " rhost=")
	if !ok {
		return m, false
	}
	host, rest, _ := strings.Cut(after, " ")
	m.peer = peerOf(host)
	if user, ok := strings.CutPrefix(strings.TrimLeft(rest, " "), "user="); ok {
		m.user, m.named = user, user != ""
	}
	if _, ruser, ok := strings.Cut(before, " ruser="); ok && !m.named {
		m.user, m.named = ruser, ruser != ""
	}
	return m, true
}

// parseMore reads "n more authentication failure[s]; logname= …", behind "PAM ".
func parseMore(s string) message {
	count, rest, _ := strings.Cut(s, " ")
	n, ok := number(count)
	rest, isMore := cutAnyPrefix(rest, "more authentication failures; ", "more authentication failure; ")
	if !ok || !isMore || n < 1 {
		return message{}
	}
	m, ok := pamFields(rest)
	if !ok {
		return message{}
	}
	m.kind, m.outcome, m.method, m.times = pamMore, "failure", "pam", min(n, maxRepeats)
	return m
}

// parseMaximum reads "maximum authentication attempts exceeded for [invalid user ]USER
// from HOST port N ssh2".
func parseMaximum(s string) message {
	rest, ok := strings.CutPrefix(s, "maximum authentication attempts exceeded for ")
	if !ok {
		return message{}
	}
	return parseUser(tooMany, rest, "").illegal()
}

// parseAccess reads "Access denied for user USER by PAM account configuration".
func parseAccess(s string) message {
	rest, ok := strings.CutPrefix(s, "Access denied for user ")
	user, isPAM := strings.CutSuffix(rest, " by PAM account configuration")
	if !ok || !isPAM {
		return message{}
	}
	return message{kind: tooMany, user: user, named: true, reason: reasonNotAllowed, times: 1}
}

// parseTurned reads "refused connect from NAME (HOST)" of tcp wrappers, and "Magic
// value check failed (N) on obfuscated handshake from HOST port N".
func parseTurned(s string) message {
	m := message{kind: turned, outcome: "failure", method: "handshake", times: 1}
	if rest, ok := strings.CutPrefix(s, "refused connect from "); ok {
		_, host, _ := cutLast(rest, " (")
		host, closed := strings.CutSuffix(host, ")")
		if m.peer = peerOf(host); !closed || !m.peer.ip.IsValid() {
			return message{}
		}
		m.method = "connect"
		return m
	}
	if !strings.HasPrefix(s, "Magic value check failed ") {
		return message{}
	}
	_, p, ok := lastFrom(s)
	if m.peer = p; !ok {
		return message{}
	}
	return m
}
