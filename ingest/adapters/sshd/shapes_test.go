package sshd

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/schemas"
)

// shown is an event as "HH:MM:SS user ip outcome method reason", without what is missing.
func shown(e *schemas.Event) string {
	ip := "-"
	if e.IP.IsValid() {
		ip = e.IP.String()
	}
	return strings.Join(strings.Fields(fmt.Sprintf("%s %s %s %s %s %s", time.UnixMilli(e.Time).UTC().Format("15:04:05"), e.User, ip, e.Outcome, e.Method, e.Reason)), " ")
}

func shownAll(events []schemas.Event) (out []string) {
	for i := range events {
		out = append(out, shown(&events[i]))
	}
	return out
}

// What stands before sshd's words, as the log daemons and exports in use write it. All
// of these lines are of 09:00:00 UTC, which is 10:00:00 in Berlin.
func TestPrefixes(t *testing.T) {
	berlin, err := ParseZone("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	const words = "Failed password for u from 192.0.2.1 port 22 ssh2"
	for name, prefix := range map[string]string{
		"BusyBox":                     "Nov  3 10:00:00 host auth.info sshd[1]: ",
		"illumos":                     "Nov  3 10:00:00 host sshd[1]: [ID 800047 auth.info] ",
		"AIX":                         "Nov  3 10:00:00 host auth|security:info sshd[1]: ",
		"FreeBSD -v":                  "<4.6>Nov  3 10:00:00 host sshd[1]: ",
		"FreeBSD -vv":                 "Nov  3 10:00:00 <auth.info> host sshd[1]: ",
		"metalog":                     "Nov  3 10:00:00 [sshd] ",
		"no colon":                    "Nov  3 10:00:00 host sshd[1] ",
		"no blank":                    "Nov  3 10:00:00 host sshd[1]:",
		"two blanks":                  "Nov  3 10:00:00 host sshd[1]:  ",
		"no host":                     "Nov  3 10:00:00 sshd[1]: ",
		"host an address":             "Nov  3 10:00:00 2001:db8::7 sshd[1]: ",
		"relay's address":             "Nov  3 10:00:00 192.0.2.250 host sshd[1]: ",
		"syslog-ng's chain":           "Nov  3 10:00:00 src@host/host sshd[1]: ",
		"tabs":                        "Nov  3 10:00:00\thost\tsshd[1]:\t",
		"zeros of a power failure":    "\x00\x00\x00Nov  3 10:00:00 host sshd[1]: ",
		"path":                        "Nov  3 10:00:00 host /usr/sbin/sshd[1]: ",
		"day of one digit":            "Nov 3 10:00:00 host sshd[1]: ",
		"day with a zero":             "Nov 03 10:00:00 host sshd[1]: ",
		"lower case month":            "nov  3 10:00:00 host sshd[1]: ",
		"year behind the day":         "Nov  3 2026 10:00:00 host sshd[1]: ",
		"year behind a comma":         "Nov 3, 2026 10:00:00 host sshd[1]: ",
		"year first":                  "2026 Nov  3 10:00:00 host sshd[1]: ",
		"ctime":                       "Tue Nov  3 10:00:00 2026 host sshd[1]: ",
		"zone's name":                 "Nov  3 10:00:00 CET host sshd[1]: ",
		"other zone's name":           "Nov  3 04:00:00 EST host sshd[1]: ",
		"blank in ISO":                "2026-11-03 10:00:00 host sshd[1]: ",
		"ISO without a zone":          "2026-11-03T10:00:00.123456 host sshd[1]: ",
		"comma":                       "2026-11-03T10:00:00,123+01:00 host sshd[1]: ",
		"lower case":                  "2026-11-03t09:00:00z host sshd[1]: ",
		"offset of two digits":        "2026-11-03 10:00:00.123456+01 host sshd[1]: ",
		"basic ISO":                   "20261103T090000Z host sshd[1]: ",
		"slashes":                     "2026/11/03 10:00:00 host sshd[1]: ",
		"points":                      "03.11.2026 10:00:00 host sshd[1]: ",
		"web server":                  "03/Nov/2026:10:00:00 +0100 host sshd[1]: ",
		"brackets":                    "[2026-11-03 10:00:00] host sshd[1]: ",
		"epoch":                       "1793696400 host sshd[1]: ",
		"journalctl short-unix":       "1793696400.123456 host sshd[1]: ",
		"journalctl short-full":       "Tue 2026-11-03 09:00:00 UTC host sshd[1]: ",
		"short-full, its own zone":    "Tue 2026-11-03 10:00:00 CET host sshd[1]: ",
		"short-full, zone's offset":   "Tue 2026-11-03 12:00:00 +03 host sshd[1]: ",
		"journalctl with-unit":        "Tue 2026-11-03 09:00:00 UTC host ssh.service[1]: ",
		"unit of a connection":        "Tue 2026-11-03 09:00:00 UTC host sshd@3-192.0.2.1:22-192.0.2.9:5.service[1]: ",
		"journalctl short-iso":        "2026-11-03T10:00:00+0100 host sshd[1]: ",
		"journalctl short-precise":    "Nov 03 10:00:00.123456 host sshd[1]: ",
		"the kernel's clock":          "2026-11-03T10:00:00+0100 host sshd[1]: kernel: [  970.699396] ",
		"containerd":                  "2026-11-03T09:00:00.123456789Z stderr F ",
		"docker logs -t":              "2026-11-03T09:00:00.123456789Z ",
		"svlogd":                      "2026-11-03_10:00:00.12345 ",
		"multilog":                    "@4000000068e93b9a00000000 ", // replaced below
		"Windows":                     "4608 2026-11-03 10:00:00.117 ",
		"RFC 5424":                    `<38>1 2026-11-03T09:00:00Z host sshd 1 - [a b="]"] `,
		"RFC 5424, no priority":       "1 2026-11-03T09:00:00Z host sshd 1 - - ",
		"RFC 5424, no version":        "2026-11-03T09:00:00Z host sshd 1 - - ",
		"RFC 5424, no host":           "<38>1 2026-11-03T09:00:00Z - sshd - - - ",
		"RFC 6587":                    "83 <38>1 2026-11-03T09:00:00Z host sshd 1 - - ",
		"OpenSSH 9.8":                 "Nov  3 10:00:00 host sshd-session[1]: ",
		"OpenSSH 10":                  "Nov  3 10:00:00 host sshd-auth[1]: ",
		"level before sshd's words":   "Nov  3 10:00:00 host sshd[1]: error: ",
		"bare severity":               "Nov  3 10:00:00 host notice sshd[1]: ",
		"macOS":                       "2026-11-03 10:00:00.123456+0100  host sshd[1]: ",
		"carriage return (see below)": "Nov  3 10:00:00 host sshd[1]: ",
	} {
		t.Run(name, func(t *testing.T) {
			if name == "multilog" {
				prefix = fmt.Sprintf("@4%015x00000000 ", 1793696400+10)
			}
			events, _ := read(t, Options{Year: 2026, Location: berlin}, prefix+words+"\r")
			if diff := cmp.Diff([]string{"09:00:00 u 192.0.2.1 failure password"}, shownAll(events)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", prefix, diff)
			}
		})
	}
}

func TestExports(t *testing.T) {
	for name, line := range map[string]string{
		"journal":            `{"__REALTIME_TIMESTAMP":"1793696400123456","_HOSTNAME":"host","SYSLOG_IDENTIFIER":"sshd","_PID":"7","MESSAGE":"Failed password for u from 192.0.2.1 port 1 ssh2","X":["a","b"]}`,
		"journal, bytes":     `{"__REALTIME_TIMESTAMP":"1793696400123456","SYSLOG_IDENTIFIER":"sshd","MESSAGE":[70,97,105,108,101,100,32,112,97,115,115,119,111,114,100,32,102,111,114,32,117,32,102,114,111,109,32,49,57,50,46,48,46,50,46,49]}`,
		"docker's json-file": `{"log":"Failed password for u from 192.0.2.1 port 1 ssh2\r\n","stream":"stderr","time":"2026-11-03T09:00:00.1Z"}`,
	} {
		events, _ := read(t, Options{}, line)
		if diff := cmp.Diff([]string{"09:00:00 u 192.0.2.1 failure password"}, shownAll(events)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// A line that cannot be read is told from one that is of no use.
func TestUnreadable(t *testing.T) {
	for line, want := range map[string]string{
		"":                            "",
		"-- Boot 0123456789abcdef --": "",
		"Nov  3 10:00:00 host cron[1]: (root) CMD":                                                 "",
		"Nov  3 10:00:00 host -- MARK --":                                                          "",
		"Nov  3 10:00:00 host sshd[1]: Server listening on 0.0.0.0 port 22.":                       "",
		"Nov  3 10:00:00 host evil: Failed password for root from 192.0.2.1 port 1 ssh2":           "",
		"??? 3 10:00:01 host sshd[1]: Failed password for root from 192.0.2.1 port 1 ssh2":         whyNoTime,
		"Nov 31 10:00:01 host sshd[1]: Failed password for root from 192.0.2.1 port 1 ssh2":        whyNoTime,
		"Failed password for root from 192.0.2.1 port 1 ssh2":                                      whyNoTime,
		"[12345.678901] host sshd[1]: Failed password for root from 192.0.2.1 port 1 ssh2":         whySinceBoot,
		"Tue 2026-11-03 10:00:00 XYZ host sshd[1]: Failed password for root from 192.0.2.1 port 1": whyZone,
		"Nov  3 10:00:00 host (sshd) Failed password for root from 192.0.2.1 port 1 ssh2":          whyShape,
		"Nov  3 10:00:00 host: sshd[1]: Failed password for root from 192.0.2.1 port 1 ssh2":       whyShape,
		"Nov  3 10:00:00 host sshd[1]: Failed password for ro":                                     whyCut,
		`{"a":1}`: whyJSON,
		`{"a`:     whyJSON,
	} {
		r := New(Options{Year: 2026}, func(event []byte) { t.Errorf("%q gave %s", line, event) })
		if used, why := r.Line(1, []byte(line)); used || why != want {
			t.Errorf("%q: used %t, unreadable %q, want %q", line, used, why, want)
		}
		r.End()
	}
	r := New(Options{Year: 2025}, func([]byte) {})
	if _, why := r.Line(1, []byte("Feb 29 10:00:01 host sshd[1]: Failed password for root from 192.0.2.1")); why != whyLeap {
		t.Errorf("February 29 of 2025: %q", why)
	}
}
