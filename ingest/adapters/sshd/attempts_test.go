package sshd

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// session is a log of one connection, a second a line: "sshd[7]: " stands before each.
func session(lines ...string) []string {
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = "Nov  3 10:00:0" + string(rune('0'+i)) + " host sshd[7]: " + l
	}
	return out
}

const (
	failed  = "Failed password for u from 192.0.2.1 port 5 ssh2"
	offered = "Failed publickey for u from 192.0.2.1 port 5 ssh2: RSA SHA256:a"
	right   = "Accepted publickey for u from 192.0.2.1 port 5 ssh2: RSA SHA256:b"
	step    = "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.1  user=u"
	sss     = "pam_sss(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.1 user=u"
	closed  = "Connection closed by 192.0.2.1 port 5 [preauth]"
	closedU = "Connection closed by authenticating user u 192.0.2.1 port 5 [preauth]"
	invalid = "Invalid user x from 192.0.2.1 port 5"
	tooMuch = "error: maximum authentication attempts exceeded for u from 192.0.2.1 port 5 ssh2 [preauth]"
)

// What a connection's lines say together.
func TestConnections(t *testing.T) {
	const one = "u 192.0.2.1 failure"
	for _, c := range []struct {
		name  string
		lines []string
		want  []string
	}{
		{"closed before a login", session(closedU), []string{"10:00:00 " + one}},
		{"reset", session("Connection reset by authenticating user u 192.0.2.1 port 5 [preauth]"), []string{"10:00:00 " + one}},
		{"told twice that it is over", session("Received disconnect from 192.0.2.1 port 5:11: Bye Bye [preauth]", "Disconnected from authenticating user u 192.0.2.1 port 5 [preauth]"), []string{"10:00:01 " + one}},
		{"scan", session("Connection from 192.0.2.1 port 5 on 192.0.2.9 port 22", closed), nil},
		{"after a password", session(failed, closedU), []string{"10:00:00 " + one + " password"}},
		{"keys and the right one", session(offered, offered, right, "Disconnected from user u 192.0.2.1 port 5"), []string{"10:00:02 u 192.0.2.1 success publickey"}},
		{"keys and a password that was right", session(offered, offered, "Accepted password for u from 192.0.2.1 port 5 ssh2"), []string{"10:00:02 u 192.0.2.1 success password"}},
		{"keys and no more", session(offered, offered, closedU), []string{"10:00:00 " + one + " publickey"}},
		{"keys and wrong passwords", session(offered, failed, failed, closedU), []string{"10:00:01 " + one + " password", "10:00:02 " + one + " password"}},
		{"keys of nobody", session(invalid, "Failed publickey for invalid user x from 192.0.2.1 port 5 ssh2: RSA SHA256:a", "Failed publickey for invalid user x from 192.0.2.1 port 5 ssh2: RSA SHA256:b", closed),
			[]string{"10:00:01 x 192.0.2.1 failure publickey unknown_user"}},
		{"keys when the log ends", session(offered), nil},
		{"keys and too many", session(offered, offered, tooMuch, "Disconnecting authenticating user u 192.0.2.1 port 5: Too many authentication failures [preauth]"), []string{"10:00:02 " + one + " publickey"}},
		{"too many", session(tooMuch), []string{"10:00:00 " + one}},
		{"too many, told one by one", session(failed, "message repeated 5 times: [ "+failed+"]", tooMuch), append([]string{"10:00:00 " + one + " password"}, slices.Repeat([]string{"10:00:01 " + one + " password"}, 5)...)},
		{"too many, the peer named before", session("Connection from 192.0.2.1 port 5 on 192.0.2.9 port 22", "Disconnecting: Too many authentication failures for u [preauth]"), []string{"10:00:01 " + one}},
		{"too many, the peer named behind", session("Disconnecting: Too many authentication failures for u [preauth]", closed), []string{"10:00:01 " + one}},
		{"PAM alone", session(step, closed), []string{"10:00:00 " + one + " pam"}},
		{"PAM alone when the log ends", session(step), []string{"10:00:00 " + one + " pam"}},
		{"PAM and sshd", session(step, failed, closed), []string{"10:00:01 " + one + " password"}},
		{"two modules of PAM", session(step, sss, failed, closed), []string{"10:00:02 " + one + " password"}},
		{"another module's consent", session(step, "pam_sss(sshd:auth): authentication success; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.1 user=u", "Accepted password for u from 192.0.2.1 port 5 ssh2"), []string{"10:00:02 u 192.0.2.1 success password"}},
		{"another user's success", session(step, "Accepted password for v from 192.0.2.1 port 5 ssh2"), []string{"10:00:01 " + one + " pam", "10:00:01 v 192.0.2.1 success password"}},
		{"PAM and n more", session(step, "PAM 2 more authentication failures; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.1  user=u", closed),
			[]string{"10:00:00 " + one + " pam", "10:00:01 " + one + " pam", "10:00:01 " + one + " pam"}},
		{"PAM's answers", session("error: PAM: Authentication failure for u from 192.0.2.1", "Postponed keyboard-interactive for u from 192.0.2.1 port 5 ssh2 [preauth]", "error: PAM: Authentication failure for u from 192.0.2.1", "Failed keyboard-interactive/pam for u from 192.0.2.1 port 5 ssh2", closedU),
			[]string{"10:00:00 " + one + " keyboard-interactive/pam", "10:00:02 " + one + " keyboard-interactive/pam"}},
		{"PAM does not know the user", session(invalid, "pam_unix(sshd:auth): check pass; user unknown", "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.1", closed), []string{"10:00:02 x 192.0.2.1 failure pam unknown_user"}},
		{"root may not log in", session("ROOT LOGIN REFUSED FROM 192.0.2.1 port 5", "Failed password for root from 192.0.2.1 port 5 ssh2", closed), []string{"10:00:00 root 192.0.2.1 failure not_allowed"}},
		{"PAM denies the account", session("Connection from 192.0.2.1 port 5 on 192.0.2.9 port 22", "fatal: Access denied for user u by PAM account configuration [preauth]"), []string{"10:00:01 " + one + " not_allowed"}},
		{"locked account", session("User u not allowed because account is locked", "input_userauth_request: invalid user u [preauth]", "Received disconnect from 192.0.2.1: 11: Bye Bye [preauth]"), []string{"10:00:00 " + one + " invalid not_allowed"}},
		{"locked account, nobody named", session("User u not allowed because account is locked"), nil},
		{"the client gave up", session("error: Received disconnect from 192.0.2.1 port 5:3: com.example.Client: Auth fail [preauth]"), []string{"10:00:00 192.0.2.1 failure"}},
		{"sent away", session("refused connect from scan.example.com (192.0.2.1)"), []string{"10:00:00 192.0.2.1 failure connect"}},
		{"scanner's protocol", session("Magic value check failed (12) on obfuscated handshake from 192.0.2.1 port 5"), []string{"10:00:00 192.0.2.1 failure handshake"}},
		{"one factor, and the second never", session("Partial publickey for u from 192.0.2.1 port 5 ssh2: RSA SHA256:a", closedU), []string{"10:00:00 u 192.0.2.1 challenge publickey"}},
		{"timeout told by the listener", []string{"Nov  3 10:00:00 host sshd-session[9]: " + offered, "Nov  3 10:02:00 host sshd[1]: Timeout before authentication for connection from 192.0.2.1 to 192.0.2.9, pid = 9"}, []string{"10:00:00 " + one + " publickey"}},
		{"repeated ends", session("message repeated 3 times: [ Connection closed by authenticating user u 192.0.2.1 port 5 [preauth]]"), slices.Repeat([]string{"10:00:00 " + one}, 3)},
		{"repeated names", session(invalid, "message repeated 2 times: [ Invalid user x from 192.0.2.1 port 5]", closed), []string{"10:00:00 x 192.0.2.1 failure invalid unknown_user", "10:00:01 x 192.0.2.1 failure invalid unknown_user", "10:00:01 x 192.0.2.1 failure invalid unknown_user"}},
		{"process comes again", session(offered, "Failed password for u from 192.0.2.2 port 6 ssh2"), []string{"10:00:00 " + one + " publickey", "10:00:01 u 192.0.2.2 failure password"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			events, _ := read(t, Options{Year: 2026}, c.lines...)
			if diff := cmp.Diff(c.want, shownAll(events)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// Classic daemons fold equal lines of one file, whoever wrote them.
func TestLastMessageRepeated(t *testing.T) {
	for _, again := range []string{"host last message repeated 3 times", "host syslogd: last message repeated 3 times", "--- last message repeated 3 times ---", "host syslogd[3]: last message repeated 3 times"} {
		events, _ := read(t, Options{Year: 2026}, append(session(failed), "Nov  3 10:00:20 "+again)...)
		host := 4
		if !strings.HasPrefix(again, "host") {
			host = 1 // of nobody who is known to have written the line before
		}
		if len(events) != host {
			t.Errorf("%s: %d events, want %d", again, len(events), host)
		}
	}
	events, _ := read(t, Options{Year: 2026}, append(session(failed), "Nov  3 10:00:10 host cron[1]: x", "Nov  3 10:00:20 host last message repeated 3 times")...)
	if len(events) != 1 {
		t.Errorf("%d events, though another program's line came again", len(events))
	}
}

// Without a process, who is at the other end tells connections apart.
func TestNoProcess(t *testing.T) {
	events, _ := read(t, Options{Year: 2026},
		"Nov  3 10:00:00 host sshd: Invalid user zoe from 192.0.2.91 port 1",
		"Nov  3 10:00:01 host sshd: Failed password for root from 192.0.2.92 port 2 ssh2",
		"Nov  3 10:00:02 host sshd: Failed password for invalid user zoe from 192.0.2.91 port 1 ssh2",
		"Nov  3 10:00:03 host sshd: Invalid user ann from 192.0.2.93",
		"Nov  3 10:00:04 host sshd: Failed password for invalid user ann from 192.0.2.93 port 3 ssh2",
		"Nov  3 10:00:05 host sshd: Failed publickey for dana from 192.0.2.94 port 4 ssh2: RSA SHA256:a",
		"Nov  3 10:00:06 host sshd: Accepted publickey for dana from 192.0.2.94 port 4 ssh2: RSA SHA256:b")
	want := []string{"10:00:01 root 192.0.2.92 failure password", "10:00:02 zoe 192.0.2.91 failure password unknown_user", "10:00:04 ann 192.0.2.93 failure password unknown_user", "10:00:06 dana 192.0.2.94 success publickey"}
	if diff := cmp.Diff(want, shownAll(events)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// Where a line can be read in two ways the connection's other lines decide, or else the
// address is left out.
func TestAmbiguousLines(t *testing.T) {
	const name = "x from 203.0.113.9 port 22 ssh2: RSA-CERT SHA256:a ID y"
	const line = "Failed publickey for invalid user " + name + " from 192.0.2.1 port 5 ssh2: RSA-CERT SHA256:b ID z (serial 0) CA RSA SHA256:c"
	events, _ := read(t, Options{Year: 2026}, session("Invalid user "+name+" from 192.0.2.1 port 5", line, closed)...)
	if diff := cmp.Diff([]string{"10:00:01 " + name + " 192.0.2.1 failure publickey unknown_user"}, shownAll(events)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	events, _ = read(t, Options{Year: 2026}, session(line)...)
	if diff := cmp.Diff([]string{"10:00:00 x - failure publickey unknown_user"}, shownAll(events)); diff != "" {
		t.Errorf("alone, -want +got:\n%s", diff)
	}
	// A user that exists has no say in how the line reads.
	events, _ = read(t, Options{Year: 2026}, session("Failed publickey for root from 192.0.2.1 port 5 ssh2: RSA-CERT SHA256:a ID k from 203.0.113.9 port 22 ssh2: x ID y (serial 0) CA RSA SHA256:c", closed)...)
	if diff := cmp.Diff([]string{"10:00:00 root 192.0.2.1 failure publickey"}, shownAll(events)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// A host's name in place of an address is kept.
func TestNames(t *testing.T) {
	var all []string
	r := New(Options{Year: 2026}, func(e []byte) { all = append(all, string(e)) })
	for i, line := range session("Failed password for root from dial7.example.com port 5 ssh2", "Failed password for root from UNKNOWN port 65535 ssh2") {
		_, _ = r.Line(int64(i+1), []byte(line))
	}
	r.End()
	if len(all) != 2 || !strings.Contains(all[0], `"rhost":"dial7.example.com"`) || strings.Contains(all[0], `"ip"`) || strings.Contains(all[1], "UNKNOWN") {
		t.Errorf("%q", all)
	}
}
