package main

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// imported is what an import gave: its summary, and "USER IP OUTCOME [REASON] TIME" for
// each event, in the order of time.
type imported struct {
	result
	accepted, refused, irrelevant, unreadable int
	events                                    []string
	source                                    string
}

var summary = regexp.MustCompile(`lines?: (\d+) accepted, (\d+) refused, (\d+) irrelevant, (\d+) unreadable`)

// logOf imports files of sshd as a source of its own.
func (h *harness) logOf(env, paths []string, args ...string) (imported, error) {
	i, err := h.instance()
	if err != nil {
		return imported{}, err
	}
	h.runs++
	source := fmt.Sprintf("case-%d", h.runs)
	r, err := i.holdfastIn(env, append(append([]string{"import", "--format", "sshd", "--source", source}, args...), paths...)...)
	in := imported{result: r, source: source}
	if err != nil {
		return in, err
	}
	m := summary.FindStringSubmatch(r.out)
	if m == nil {
		return in, fmt.Errorf("no summary: %s", r.said())
	}
	for n, to := range []*int{&in.accepted, &in.refused, &in.irrelevant, &in.unreadable} {
		*to, _ = strconv.Atoi(m[n+1])
	}
	return in, i.eventually(func() error {
		rows, err := i.ask(`SELECT user, if(isNull(ip), '-', replaceOne(toString(ip), '::ffff:', '')), outcome, reason, formatDateTime(time, '%Y-%m-%dT%H:%i:%SZ', 'UTC')
			FROM events FINAL WHERE source = '` + source + `' ORDER BY time, id`)
		if err != nil {
			return err
		}
		in.events = in.events[:0]
		for _, row := range rows {
			in.events = append(in.events, strings.Join(slices.DeleteFunc(row, func(s string) bool { return s == "" }), " "))
		}
		if len(rows) != in.accepted {
			return fmt.Errorf("%d of %d events stand in the audit store", len(rows), in.accepted)
		}
		return nil
	})
}

// logs imports inputs, each changed by change where that is not nil.
func (h *harness) logs(names []string, change func(string) string, args ...string) (imported, error) {
	var paths []string
	for _, name := range names {
		path, err := h.input(name, change)
		if err != nil {
			return imported{}, err
		}
		paths = append(paths, path)
	}
	return h.logOf(nil, paths, args...)
}

// rotated puts the inputs side by side in one folder, named as rotation does.
func (h *harness) rotated(names map[string]string, order []string, args ...string) (imported, error) {
	var dir string
	var paths []string
	for _, to := range order {
		content, err := h.text(names[to])
		if err != nil {
			return imported{}, err
		}
		if dir == "" {
			path, err := h.file(to, content)
			if err != nil {
				return imported{}, err
			}
			dir = strings.TrimSuffix(path, to)
		} else if err := write(dir+to, content); err != nil {
			return imported{}, err
		}
		paths = append(paths, dir+to)
	}
	return h.logOf(nil, paths, args...)
}

// gives is a check that a log gives these events, in any order of those at one time.
func gives(in imported, want ...string) error {
	have := slices.Sorted(slices.Values(in.events))
	want = slices.Sorted(slices.Values(want))
	if !slices.Equal(have, want) {
		return fmt.Errorf("have\n        %s\n      want\n        %s\n      %s", strings.Join(have, "\n        "), strings.Join(want, "\n        "), in.said())
	}
	return nil
}

func times(n int, s string) []string { return slices.Repeat([]string{s}, n) }

// with replaces old by new in an input.
func with(old, new string) func(string) string {
	return func(s string) string { return strings.ReplaceAll(s, old, new) }
}

// sshdCase is a case whose input is a log of 2026, and whose control is the same log
// changed.
func sshdCase(name, input, says string, want []string, change func(string) string, controlled []string) oneCase {
	check := func(change func(string) string, want []string) func(h *harness) error {
		return func(h *harness) error {
			in, err := h.logs([]string{input}, change, "--year", "2026")
			if err != nil {
				return err
			}
			return gives(in, want...)
		}
	}
	return oneCase{name: name, says: says, right: check(nil, want), control: check(change, controlled)}
}

// every are events "USER IP failure[ REASON] 2026-11-03T10:MM:SSZ", one for each second.
func every(what string, seconds ...int) []string {
	var out []string
	for _, s := range seconds {
		out = append(out, fmt.Sprintf("%s 2026-11-03T10:%02d:%02dZ", what, s/60, s%60))
	}
	return out
}

func sshdCases() []oneCase {
	var quarters []int
	for n := range 20 {
		quarters = append(quarters, 15*n)
	}
	guesses := every("root 198.51.100.66 failure", quarters...)
	keys := []string{"dana 192.0.2.88 success 2026-11-03T10:00:06Z", "dana 192.0.2.88 success 2026-11-03T10:03:06Z", "dana 192.0.2.88 success 2026-11-03T10:06:06Z", "dana 192.0.2.88 success 2026-11-03T10:09:06Z"}
	prefixes := []string{"p1 192.0.2.41 failure 2026-11-03T10:00:00Z", "p2 192.0.2.41 failure 2026-11-03T10:00:01Z", "p3 192.0.2.41 failure 2026-11-03T10:00:02Z", "p4 192.0.2.41 failure 2026-11-03T10:00:03Z"}
	stamps := []string{"t1 192.0.2.43 failure 2026-11-03T10:00:00Z", "t2 192.0.2.43 failure 2026-11-03T10:00:01Z", "t3 192.0.2.43 failure 2026-11-03T10:00:02Z", "t4 192.0.2.43 failure 2026-11-03T10:00:03Z"}
	one := every("root 192.0.2.42 failure", 0)
	return []oneCase{
		sshdCase("sshd-01", "sshd-01-key-id-names-another-address.log", "20 failures of root, all from 198.51.100.66", guesses,
			with(" ID k from 203.0.113.77 port 22 ssh2: x ID y", " ID k"), guesses),
		sshdCase("sshd-03", "sshd-03-keys-only.log", "3 failures of root from 192.0.2.31",
			every("root 192.0.2.31 failure", 0, 4, 8), failedPasswords("192.0.2.31", 0, 4, 8), every("root 192.0.2.31 failure", 0, 4, 8)),
		sshdCase("sshd-04", "sshd-04-pam.log", "3 failures: oscar twice, nadia once, who is unknown",
			append(every("oscar 192.0.2.32 failure", 0, 5), every("nadia 192.0.2.33 failure unknown_user", 9)...),
			failedPasswords("192.0.2.33", 0, 5, 9), every("root 192.0.2.33 failure", 0, 5, 9)),
		sshdCase("sshd-05", "sshd-05-pam-only.log", "1 failure of petra, and one where \"Failed password\" follows",
			every("petra 192.0.2.34 failure", 0),
			with("Nov  3 10:00:02", "Nov  3 10:00:02 gate1 sshd[530]: Failed password for petra from 192.0.2.34 port 5020 ssh2\nNov  3 10:00:02"), every("petra 192.0.2.34 failure", 2)),
		sshdCase("sshd-06", "sshd-06-too-many.log", "1 failure of root, and none more where the attempts were logged one by one",
			every("root 192.0.2.35 failure", 0), func(s string) string {
				return strings.Repeat("Nov  3 10:00:00 gate1 sshd[540]: Failed password for root from 192.0.2.35 port 5030 ssh2\n", 6) + s
			}, times(6, every("root 192.0.2.35 failure", 0)[0])),
		sshdCase("sshd-07", "sshd-07-repeated-bsd.log", "6 failures of root",
			append(every("root 192.0.2.36 failure", 0), times(5, every("root 192.0.2.36 failure", 20)[0])...),
			with("last message repeated 5 times", "sshd[550]: message repeated 5 times: [ Failed password for root from 192.0.2.36 port 5040 ssh2]"),
			append(every("root 192.0.2.36 failure", 0), times(5, every("root 192.0.2.36 failure", 20)[0])...)),
		{name: "sshd-09", says: "2 failures of root without an address, the name kept", right: nameKept, control: func(h *harness) error {
			in, err := h.logs([]string{"sshd-09-name-for-address.log"}, with("dial7.example.com", "192.0.2.37"), "--year", "2026")
			if err == nil {
				err = gives(in, append(every("root 192.0.2.37 failure", 0), every("root 192.0.2.37 failure not_allowed", 4)...)...)
			}
			return err
		}},
		sshdCase("sshd-10", "sshd-10-many-keys.log", "4 successes and no failure", keys, onlyAccepted, keys),
		sshdCase("sshd-11", "sshd-11-prefixes.log", "4 failures, p1 to p4", prefixes, plainPrefixes, prefixes),
		sshdCase("sshd-12", "sshd-12-day-one-blank.log", "1 failure at 10:00:00", one, with("Nov 3", "Nov  3"), one),
		sshdCase("sshd-13", "sshd-13-times.log", "4 failures a second apart", stamps, plainTimes, stamps),
		{name: "sshd-16", says: "1 accepted; the line whose time cannot be read is named", right: unread, control: func(h *harness) error {
			in, err := h.logs([]string{"sshd-16-unread.log"}, with("??? 3", "Nov  3"), "--year", "2026")
			if err == nil {
				err = gives(in, every("root 192.0.2.46 failure", 1, 2)...)
			}
			return err
		}},
		sshdCase("sshd-17", "sshd-17-bom.log", "1 failure", every("root 192.0.2.47 failure", 0), with("\ufeff", ""), every("root 192.0.2.47 failure", 0)),
		sshdCase("sshd-19", "sshd-19-no-process.log", "2 failures, zoe and root",
			append(every("zoe 192.0.2.91 failure unknown_user", 0), every("root 192.0.2.92 failure", 1)...),
			func(s string) string {
				return strings.Replace(strings.Replace(s, "sshd:", "sshd[1]:", 1), "sshd:", "sshd[2]:", 1)
			},
			append(every("zoe 192.0.2.91 failure unknown_user", 0), every("root 192.0.2.92 failure", 1)...)),
		{name: "sshd-22", says: "2 failures, both on 2024-11-20", right: clockNotSet(nil), control: clockNotSet(func(s string) string {
			lines := strings.SplitAfter(s, "\n")
			return lines[0] + lines[2]
		})},
		{name: "sshd-23", says: "2025-12-29 and 2026-01-02", right: passingYear("2025", "auth.log.1", "auth.log"), control: func(h *harness) error {
			in, err := h.logs([]string{"sshd-23-auth.log.1"}, func(s string) string {
				return s + "Jan  2 10:00:00 box2 sshd[2]: Failed password for root from 192.0.2.52 port 7012 ssh2\n"
			}, "--year", "2025")
			if err == nil {
				err = gives(in, "root 192.0.2.52 failure 2025-12-29T10:00:00Z", "root 192.0.2.52 failure 2026-01-02T10:00:00Z")
			}
			return err
		}},
	}
}

// failedPasswords is a plain log in place of an input.
func failedPasswords(ip string, seconds ...int) func(string) string {
	return func(string) string {
		var b strings.Builder
		for n, s := range seconds {
			fmt.Fprintf(&b, "Nov  3 10:%02d:%02d gate1 sshd[%d]: Failed password for root from %s port %d ssh2\n", s/60, s%60, 510+n, ip, 5000+n)
		}
		return b.String()
	}
}

func onlyAccepted(s string) string {
	var out []string
	for line := range strings.Lines(s) {
		if strings.Contains(line, "Accepted") {
			out = append(out, line)
		}
	}
	return strings.Join(out, "")
}

func plainPrefixes(s string) string {
	return strings.NewReplacer(" auth.info sshd", " sshd", "[ID 800047 auth.info] ", "", "<4.6>", "", "<auth.info> ", "").Replace(s)
}

func plainTimes(s string) string {
	return strings.NewReplacer("2026-11-03 10:00:00 gate1", "Nov  3 10:00:00 gate1", "2026-11-03T10:00:01.123456", "Nov  3 10:00:01", "Nov 03 2026", "Nov  3", "Tue 2026-11-03 10:00:03 UTC", "Nov  3 10:00:03").Replace(s)
}

// unread checks that the summary tells lines of no use from those that cannot be read.
func unread(h *harness) error {
	in, err := h.logs([]string{"sshd-16-unread.log"}, nil, "--year", "2026")
	if err != nil {
		return err
	}
	if in.irrelevant != 1 || in.unreadable != 1 || !strings.Contains(in.said(), "sshd-16-unread.log:2") {
		return fmt.Errorf("said: %s", in.said())
	}
	return gives(in, every("root 192.0.2.46 failure", 2)...)
}

// nameKept checks that a host's name in place of an address stands in the audit store.
func nameKept(h *harness) error {
	in, err := h.logs([]string{"sshd-09-name-for-address.log"}, nil, "--year", "2026")
	if err != nil {
		return err
	}
	rows, err := h.live.ask(`SELECT count() FROM events FINAL WHERE source = '` + in.source + `' AND extra LIKE '%dial7.example.com%'`)
	if err == nil && rows[0][0] != "2" {
		err = fmt.Errorf("%s of 2 rows have the name", rows[0][0])
	}
	if err != nil {
		return err
	}
	return gives(in, append(every("root - failure", 0), every("root - failure not_allowed", 4)...)...)
}

func clockNotSet(change func(string) string) func(h *harness) error {
	return func(h *harness) error {
		in, err := h.logs([]string{"sshd-22-clock-not-set.log"}, change, "--year", "2024")
		if err != nil {
			return err
		}
		return gives(in, "root 192.0.2.51 failure 2024-11-20T10:00:00Z", "root 192.0.2.51 failure 2024-11-20T10:05:00Z")
	}
}

// passingYear imports rotated files in the order given, and in the order in which a
// shell writes their names.
func passingYear(year string, names ...string) func(h *harness) error {
	return func(h *harness) error {
		for _, order := range [][]string{names, {names[1], names[0]}} {
			in, err := h.rotated(map[string]string{"auth.log": "sshd-23-auth.log", "auth.log.1": "sshd-23-auth.log.1"}, order, "--year", year)
			if err == nil {
				err = gives(in, "root 192.0.2.52 failure 2025-12-29T10:00:00Z", "root 192.0.2.52 failure 2026-01-02T10:00:00Z")
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
}
