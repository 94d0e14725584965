package sshd

import "strings"

// closings begin the lines that say that a connection is over. "user …" may follow,
// which says that somebody tried to log in, and the peer.
var closings = []string{
	"Connection closed by ", "Connection reset by ", "Disconnected from ", "Disconnecting ", "ssh_dispatch_run_fatal: Connection from ",
	"Timeout before authentication for ", "banner exchange: Connection from ",
}

// parseConnection reads the lines about a connection as a whole.
func parseConnection(s string) message {
	for _, p := range closings {
		if rest, ok := strings.CutPrefix(s, p); ok {
			return parseClosing(rest)
		}
	}
	switch {
	case strings.HasPrefix(s, "Connection from "):
		p, _ := cutPeer(s[len("Connection from "):])
		return message{kind: opening, peer: p}
	case strings.HasPrefix(s, "Received disconnect from "):
		return parseDisconnect(s[len("Received disconnect from "):])
	case strings.HasPrefix(s, "Disconnecting: Too many authentication failures"):
		return parseTooMany(s[len("Disconnecting: Too many authentication failures"):])
	case strings.HasPrefix(s, "Disconnecting: "), strings.HasPrefix(s, "Read from socket failed"), strings.HasPrefix(s, "Timeout before authentication"),
		strings.HasPrefix(s, "pam_unix(sshd:session): session closed"):
		return message{kind: ending}
	}
	return message{}
}

// parseClosing reads "[authenticating |invalid ]user USER HOST port N[: WHY]" and
// "HOST[ port N]". "user USER" alone is of one who was logged in.
func parseClosing(s string) message {
	m := message{kind: ending}
	rest, chosen := strings.CutPrefix(s, "invalid user ")
	if !chosen {
		rest, m.named = strings.CutPrefix(s, "authenticating user ")
	}
	switch {
	case chosen:
		m.named, m.reason = true, reasonUnknown
		m.readClosing(rest, true)
	case m.named:
		m.readClosing(rest, false)
	case strings.HasPrefix(s, "connection from "): // of the listener, about another process
		m.peer, rest = cutPeer(s[len("connection from "):])
		if _, pid, ok := cutLast(rest, " pid = "); ok && digits(pid) == len(pid) {
			m.ends = pid
		}
	default:
		m.peer, _ = cutPeer(strings.TrimPrefix(s, "from "))
	}
	return m
}

// readClosing reads "USER HOST port N" at the line's end, or "USER HOST port N: WHY",
// whose WHY may hold what the client chose.
func (m *message) readClosing(s string, chosen bool) {
	if user, p, ok := lastPeer(s); ok {
		m.user, m.peer = user, p
		return
	}
	var all []reading
	for end := 0; len(all) < maxReadings; {
		at := strings.Index(s[end:], ": ")
		if at < 0 {
			break
		}
		end += at
		if user, p, ok := lastPeer(s[:end]); ok && p.port > 0 {
			all = append(all, reading{user, p})
		}
		end += 2
	}
	switch {
	case len(all) == 0:
		m.named = false
	case len(all) == 1 || !chosen:
		m.user, m.peer = all[0].user, all[0].peer
	default:
		m.user, m.others = all[0].user, all
	}
}

// lastPeer splits "USER HOST port N" and "USER HOST" from the end.
func lastPeer(s string) (user string, p peer, ok bool) {
	head, tail := s, ""
	if before, port, ok := cutLast(s, " port "); ok && port != "" && len(port) <= 5 && digits(port) == len(port) {
		head, tail = before, " port "+port
	}
	user, host, ok := cutLast(head, " ")
	if !ok {
		return "", peer{}, false
	}
	p, rest := cutPeer(host + tail)
	return user, p, p.ip.IsValid() && rest == "" || p.known() && p.port > 0 && rest == ""
}

// parseDisconnect reads "HOST[ port N]: CODE: TEXT", whose text is the client's.
func parseDisconnect(s string) message {
	m := message{kind: ending}
	word, rest, _ := strings.Cut(s, " ")
	host, colon := strings.CutSuffix(word, ":")
	m.peer = peerOf(host)
	if !colon {
		m.peer, rest = cutPeer(s)
		rest = strings.TrimPrefix(rest, ":")
	}
	code, text, _ := strings.Cut(strings.TrimLeft(rest, " "), ":")
	m.gaveUp = code == "3" && strings.HasSuffix(text, ": Auth fail")
	return m
}

// parseTooMany reads "[ for [invalid user ]USER[ from HOST port N ssh2]]".
func parseTooMany(s string) message {
	m := message{kind: tooMany, times: 1}
	rest, ok := strings.CutPrefix(s, " for ")
	if !ok {
		return m
	}
	if full := parseUser(tooMany, rest, ""); full.kind != other {
		return full.illegal()
	}
	m.user, m.named = rest, true
	return m.illegal()
}
