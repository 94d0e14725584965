package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
)

// has says that a finding is there.
func (f *found) has(decisions []string, signals []string) error {
	for _, d := range decisions {
		if !slices.Contains(f.decisions, d) {
			return fmt.Errorf("no decision %q, but %q; signals %q; %s", d, f.decisions, f.signals, f.said())
		}
	}
	for _, s := range signals {
		if !slices.Contains(f.signals, s) {
			return fmt.Errorf("no signal %q, but %q; decisions %q; %s", s, f.signals, f.decisions, f.said())
		}
	}
	return nil
}

// none says that no decision or signal holds the text.
func (f *found) none(text string) error {
	for _, x := range slices.Concat(f.decisions, f.signals) {
		if strings.Contains(x, text) {
			return fmt.Errorf("%q, but nothing with %q may come; all: %q %q", x, text, f.decisions, f.signals)
		}
	}
	return nil
}

// same says that two replays found the same.
func (f *found) same(other found) error {
	a, b := slices.Concat(f.decisions, f.signals), slices.Concat(other.decisions, other.signals)
	if slices.Sort(a); true {
		slices.Sort(b)
	}
	if !slices.Equal(a, b) {
		return fmt.Errorf("found\n        %s\n      and, with the one thing changed,\n        %s", strings.Join(a, "\n        "), strings.Join(b, "\n        "))
	}
	return nil
}

// replayCase is a case that replays an input; check looks at what came, and controlled at
// what came of the input changed by change.
func replayCase(name, input, says string, check func(found) error, change func(string) string, controlled func(found) error) oneCase {
	look := func(change func(string) string, check func(found) error) func(h *harness) error {
		return func(h *harness) error {
			f, err := h.replayed(input, change)
			if err == nil && f.status != 0 {
				err = fmt.Errorf("exit status %d: %s", f.status, f.said())
			}
			if err == nil {
				err = check(f)
			}
			return err
		}
	}
	return oneCase{name: name, says: says, right: look(nil, check), control: look(change, controlled)}
}

// likeCase is a case from which must come what comes of the input changed by change.
func likeCase(name, input, says string, change func(string) string, also func(found) error) oneCase {
	return oneCase{name: name, says: says, right: func(h *harness) error {
		f, err := h.replayed(input, nil)
		if err != nil {
			return err
		}
		other, err := h.replayed(input, change)
		if err == nil {
			err = f.same(other)
		}
		if err == nil {
			err = also(f)
		}
		return err
	}}
}

func loginCases() []oneCase {
	guessed := func(f found) error {
		return f.has([]string{"block ip:198.51.100.7 (address-certain)"}, nil)
	}
	asked := func(ip string) func(f found) error {
		return func(f found) error {
			if err := f.none("block "); err != nil {
				return err
			}
			return f.has([]string{"review ip:" + ip + " (address-review)"}, nil)
		}
	}
	takenOver := func(account string) func(f found) error {
		return func(f found) error {
			return f.has([]string{"suspend account:" + account + " (account-taken-over)"}, []string{"takeover critical account:" + account})
		}
	}
	return []oneCase{
		likeCase("login-01", "login-01-nat64.ndjson", "block 198.51.100.7, which the NAT64 address holds", with("64:ff9b::c633:6407", "198.51.100.7"), func(f found) error {
			if err := f.none("64:ff9b"); err != nil {
				return err
			}
			return guessed(f)
		}),
		replayCase("login-02", "login-02-loopback.ndjson", "no block of 127.0.0.1: a person is asked", asked("127.0.0.1"), with("127.0.0.1", "198.51.100.7"), guessed),
		replayCase("login-03", "login-03-private.ndjson", "no block of 10.0.0.2: a person is asked", asked("10.0.0.2"), with("10.0.0.2", "198.51.100.7"), guessed),
		likeCase("login-06", "login-06-spellings.ndjson", "takeover critical and suspend, as with one spelling", lowerNames, takenOver("acct-g")),
		replayCase("login-08", "login-08-first-heard-of.ndjson", "takeover critical at the success, then suspend", takenOver("svc"), func(s string) string {
			return `{"id": "h-0", "time": "2026-09-20T09:00:00Z", "type": "login", "account": "svc", "user": "svc", "ip": "192.0.2.10", "outcome": "success"}` + "\n" + s
		}, takenOver("svc")),
		{name: "login-09", says: "29 late records are told of, or seen all the same", right: laterClock, control: func(h *harness) error {
			f, err := h.replayed("login-09-later-clock.ndjson", withoutTheFuture)
			if err == nil {
				err = takenOver("acct-g")(f)
			}
			return err
		}},
	}
}

// laterClock accepts either of the two values that are right.
func laterClock(h *harness) error {
	f, err := h.replayed("login-09-later-clock.ndjson", nil)
	if err != nil {
		return err
	}
	if f.has([]string{"suspend account:acct-g (account-taken-over)"}, nil) == nil {
		return nil
	}
	if strings.Contains(f.said(), "29") && strings.Contains(f.said(), "late") {
		return nil
	}
	return fmt.Errorf("decisions %q; said: %s", f.decisions, f.said())
}

// withoutTheFuture drops the record whose time lies after the file's last.
func withoutTheFuture(s string) string {
	lines := slices.Collect(strings.Lines(s))
	at := func(line string) string {
		var x struct {
			Time string `json:"time"`
		}
		_ = json.Unmarshal([]byte(line), &x)
		return x.Time
	}
	last := at(lines[len(lines)-1])
	return strings.Join(slices.DeleteFunc(lines, func(line string) bool { return at(line) > last }), "")
}

// lowerNames writes every user's name and address in lower case.
func lowerNames(s string) string {
	return mapFields(s, func(name, value string) string {
		switch name {
		case "user", "recipients", "recipient":
			return strings.ToLower(value)
		}
		return value
	})
}
