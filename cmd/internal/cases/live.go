package main

import (
	"fmt"
	"os"
	"strings"
	"time"
)

func liveCases() []oneCase {
	return []oneCase{
		{name: "live-01", says: "5 failures at the right instants, by --timezone and by the machine's zone", right: zoned, control: inUTC},
		{name: "live-02", says: "an account whose history came after its first live record is protected, or the import says what to do", right: lateHistory, control: earlyHistory},
		{name: "live-03", says: "50 rows and 100 recipients where a body was sent twice", right: sentTwice, control: sentOnce},
		{name: "live-04", says: "no travel between two editions of the file of places", right: newPlaces, control: realTravel},
		{name: "live-05", says: "RCPT by A-label; a notice that cannot be sent is recorded as not sent", right: contacts, control: plainContact},
	}
}

// zoned imports what a server in each of two zones wrote just now.
func zoned(h *harness) error {
	for _, zone := range []string{"Europe/Berlin", "America/Los_Angeles"} {
		loc, err := time.LoadLocation(zone)
		if err != nil {
			return err
		}
		for _, byOption := range []bool{true, false} {
			now := time.Now()
			var log strings.Builder
			var want []string
			for n := 1; n <= 5; n++ {
				fmt.Fprintf(&log, "%s gate3 sshd[%d]: Failed password for ivo from 192.0.2.6%d port 510%d ssh2\n", now.In(loc).Format(time.Stamp), 400+n, n, n)
				want = append(want, fmt.Sprintf("ivo 192.0.2.6%d failure %s", n, now.UTC().Format("2006-01-02T15:04:05Z")))
			}
			path, err := h.file("auth.log", log.String())
			if err != nil {
				return err
			}
			in, err := h.logWith(byOption, zone, path)
			if err == nil {
				err = gives(in, want...)
			}
			if err != nil {
				return fmt.Errorf("%s, option %t: %w", zone, byOption, err)
			}
		}
	}
	return nil
}

// logWith imports a log live, the zone given as an option or as the machine's own, which
// must then be named.
func (h *harness) logWith(byOption bool, zone, path string) (imported, error) {
	if byOption {
		return h.logOf(nil, []string{path}, "--live", "--timezone", zone)
	}
	in, err := h.logOf([]string{"TZ=" + zone}, []string{path}, "--live")
	if err == nil && !strings.Contains(in.said(), zone) {
		err = fmt.Errorf("the zone is not named: %s", in.said())
	}
	return in, err
}

// life is what an account did: a record of today, the 40 days before it, and what an
// intruder sends now.
type life struct{ today, history, intruder string }

func lifeOf(account string) life {
	now := time.Now().UTC()
	record := func(name string, n int, back time.Duration, rest string) string {
		return fmt.Sprintf(`{"id": "%s-%s-%d", "account": %q, "time": %q, %s}`+"\n", account, name, n, account, now.Add(-back).Format("2006-01-02T15:04:05Z"), rest)
	}
	var l life
	l.today = record("today", 0, 7*time.Minute, `"type": "account", "plan": "pro", "created": "2024-01-01T00:00:00Z"`)
	var history, intruder strings.Builder
	n := 0
	for day := 40; day > 0; day-- {
		for i := range 30 {
			history.WriteString(record("history", n, time.Duration(day)*24*time.Hour-time.Duration(5*i)*time.Second,
				fmt.Sprintf(`"type": "send", "ip": "192.0.2.%d", "recipients": ["reader%d@example.com"]`, 10+day%3, i)))
			n++
		}
	}
	for i := range 120 {
		intruder.WriteString(record("intruder", i, time.Duration(150-i)*time.Second,
			fmt.Sprintf(`"type": "send", "ip": "198.51.100.99", "recipients": ["stranger%d@example.org"]`, i)))
	}
	l.history, l.intruder = history.String(), intruder.String()
	return l
}

// imports imports records, and returns what was said.
func (i *instance) imports(name, records string, args ...string) (result, error) {
	path, err := i.h.file(name, records)
	if err != nil {
		return result{}, err
	}
	return i.holdfast(append([]string{"import", path}, args...)...)
}

func (i *instance) suspended(account string) error {
	r, err := i.holdfast("status", account, "--json")
	if err == nil && !strings.Contains(strings.ReplaceAll(r.out, " ", ""), `"verdict":"suspend"`) {
		err = fmt.Errorf("%s is not suspended: %s", account, r.said())
	}
	return err
}

func lateHistory(h *harness) error {
	i, err := h.instance()
	if err != nil {
		return err
	}
	const account = "acct-x"
	l := lifeOf(account)
	if r, err := i.imports("today.ndjson", l.today, "--live"); err != nil || r.status != 0 {
		return fmt.Errorf("today: %w: %s", err, r.said())
	}
	// The history comes once the first live record has been read.
	if err := i.eventually(func() error { return i.stands(account, 1) }); err != nil {
		return err
	}
	r, err := i.imports("history.ndjson", l.history)
	if err != nil {
		return err
	}
	if said := r.said(); strings.Contains(said, "too old") || strings.Contains(said, "taught nothing") || strings.Contains(said, "not learn") {
		return nil
	}
	if err := i.eventually(func() error { return i.stands(account, 1201) }); err != nil {
		return err
	}
	if _, err := i.imports("intruder.ndjson", l.intruder, "--live"); err != nil {
		return err
	}
	if err := i.within(15*time.Second, func() error { return i.suspended(account) }); err != nil {
		return fmt.Errorf("%w; the import of its history said: %s", err, r.said())
	}
	return nil
}

func earlyHistory(h *harness) error {
	i, err := h.instance()
	if err != nil {
		return err
	}
	const account = "acct-y"
	l := lifeOf(account)
	for _, part := range []struct {
		name, records string
		args          []string
	}{{"history.ndjson", l.history, nil}, {"today.ndjson", l.today, []string{"--live"}}, {"intruder.ndjson", l.intruder, []string{"--live"}}} {
		if r, err := i.imports(part.name, part.records, part.args...); err != nil || r.status != 0 {
			return fmt.Errorf("%s: %w: %s", part.name, err, r.said())
		}
	}
	return i.eventually(func() error { return i.suspended(account) })
}

// stands says that so many of an account's events stand in the audit store.
func (i *instance) stands(account string, n int) error {
	rows, err := i.ask(fmt.Sprintf(`SELECT uniqExact(id) FROM events WHERE account = '%s'`, account))
	if err == nil && rows[0][0] != fmt.Sprint(n) {
		err = fmt.Errorf("%s of %d events of %s stand in the audit store", rows[0][0], n, account)
	}
	return err
}

func sentBody(account string) string {
	var b strings.Builder
	for i := range 50 {
		fmt.Fprintf(&b, `{"id": "%s-%d", "type": "send", "time": %q, "account": %q, "ip": "192.0.2.33", "recipients": ["reader%d@example.com", "other%d@example.com"]}`+"\n",
			account, i, time.Now().UTC().Add(time.Duration(i-60)*time.Second).Format("2006-01-02T15:04:05Z"), account, i, i)
	}
	return b.String()
}

// sums asks the view that shows each record once.
func (i *instance) sums(account string) error {
	rows, err := i.ask(`SELECT count(), uniqExact(id), sum(length(recipients)) FROM events_unique WHERE account = '` + account + `'`)
	if err == nil && strings.Join(rows[0], " ") != "50 50 100" {
		err = fmt.Errorf("rows, ids and recipients are %q, want 50 50 100", rows[0])
	}
	return err
}

func sentTwice(h *harness) error {
	i, err := h.instance()
	if err != nil {
		return err
	}
	body := sentBody("acct-again")
	for range 2 {
		if err := i.post(body); err != nil {
			return err
		}
	}
	// Both copies have been recorded once a later event is.
	if err := i.post(strings.ReplaceAll(sentBody("acct-after")[:strings.Index(sentBody("acct-after"), "\n")+1], "acct-after", "acct-again-after")); err != nil {
		return err
	}
	if err := i.eventually(func() error { return i.stands("acct-again-after", 1) }); err != nil {
		return err
	}
	return i.eventually(func() error { return i.sums("acct-again") })
}

func sentOnce(h *harness) error {
	i, err := h.instance()
	if err == nil {
		err = i.post(sentBody("acct-once"))
	}
	if err == nil {
		err = i.eventually(func() error { return i.sums("acct-once") })
	}
	return err
}

// login posts a login of now.
func (i *instance) login(id, account, ip string) error {
	return i.post(fmt.Sprintf(`{"id": %q, "type": "login", "time": %q, "account": %q, "user": %q, "ip": %q, "outcome": "success"}`+"\n",
		id, time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), account, account+"@example.com", ip))
}

// placed waits until a login from 192.0.2.0/24 is placed in a city.
func (i *instance) placed(city string) error {
	n := 0
	return i.eventually(func() error {
		n++
		id := fmt.Sprintf("mark-%s-%d", city, n)
		if err := i.login(id, "mark", "192.0.2.200"); err != nil {
			return err
		}
		rows, err := i.ask(`SELECT count() FROM events WHERE account = 'mark' AND city = '` + city + `'`)
		if err == nil && rows[0][0] == "0" {
			err = fmt.Errorf("no login from 192.0.2.200 was placed in %s", city)
		}
		return err
	})
}

// travels are the signals of an account that speak of travel.
func (i *instance) travels(account string) (string, error) {
	rows, err := i.ask(`SELECT severity, text FROM signals WHERE detector = 'takeover' AND account = '` + account + `'`)
	if err != nil || len(rows) == 0 {
		return "", err
	}
	return fmt.Sprint(rows), nil
}

// newPlaces changes the file of places between two logins from one address.
func newPlaces(h *harness) error {
	i, err := h.instance()
	if err != nil {
		return err
	}
	if err := i.placed("Berlin"); err != nil {
		return err
	}
	if err := i.login("ann-1", "acct-ann", "192.0.2.5"); err != nil {
		return err
	}
	places, err := h.bytes("geo-b.mmdb")
	if err == nil {
		err = write(i.places+".new", string(places))
	}
	if err == nil {
		err = os.Rename(i.places+".new", i.places)
	}
	if err == nil {
		err = i.placed("Sevilla")
	}
	if err == nil {
		err = i.login("ann-2", "acct-ann", "192.0.2.5")
	}
	if err == nil {
		err = i.eventually(func() error { return i.stands("acct-ann", 2) })
	}
	// What would be found of another account later has been found of this one by then.
	if err == nil {
		err = i.flight("acct-later")
	}
	if err != nil {
		return err
	}
	signals, err := i.travels("acct-ann")
	if err == nil && signals != "" {
		err = fmt.Errorf("acct-ann travels: %s", signals)
	}
	return err
}

// flight makes an account log in at two places far apart, and waits for the signal.
func (i *instance) flight(account string) error {
	for n, ip := range []string{"198.51.100.5", "203.0.113.5"} {
		if err := i.login(fmt.Sprintf("%s-%d", account, n), account, ip); err != nil {
			return err
		}
	}
	return i.eventually(func() error {
		signals, err := i.travels(account)
		if err == nil && signals == "" {
			err = fmt.Errorf("no signal says that %s travels", account)
		}
		return err
	})
}

func realTravel(h *harness) error {
	i, err := h.instance()
	if err != nil {
		return err
	}
	return i.flight("acct-far")
}

// inUTC is a log of a server whose clock shows UTC.
func inUTC(h *harness) error {
	now := time.Now().UTC()
	path, err := h.file("auth.log", now.Format(time.Stamp)+" gate3 sshd[401]: Failed password for ivo from 192.0.2.61 port 5101 ssh2\n")
	if err != nil {
		return err
	}
	in, err := h.logOf(nil, []string{path}, "--live")
	if err == nil && strings.Contains(in.said(), "zone") {
		err = fmt.Errorf("a zone is named though the clock shows UTC: %s", in.said())
	}
	if err == nil {
		err = gives(in, "ivo 192.0.2.61 failure "+now.Format("2006-01-02T15:04:05Z"))
	}
	return err
}

// contacts suspends two accounts whose contacts' addresses are not ASCII.
func contacts(h *harness) error {
	i, err := h.instance()
	if err != nil {
		return err
	}
	records, err := h.text("live-05-contacts.ndjson")
	if err != nil {
		return err
	}
	if err := i.suspends(records, "acct-idn", "acct-eai"); err != nil {
		return err
	}
	if err := i.eventually(func() error { return i.asked("RCPT TO:<a@xn--mnchen-3ya.example>") }); err != nil {
		return err
	}
	if err := i.eventually(func() error { return i.notSent("acct-eai") }); err != nil {
		return err
	}
	for _, line := range i.mail.lines() {
		if strings.Trim(line, ascii) != "" || strings.Contains(line, "SMTPUTF8") {
			return fmt.Errorf("a server that does not offer SMTPUTF8 was sent %q", line)
		}
	}
	return nil
}

const ascii = " !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~"

// suspends imports accounts and suspends them by hand.
func (i *instance) suspends(records string, accounts ...string) error {
	if r, err := i.imports("contacts.ndjson", records, "--live"); err != nil || r.status != 0 {
		return fmt.Errorf("%w: %s", err, r.said())
	}
	for _, account := range accounts {
		if err := i.eventually(func() error { return i.stands(account, 1) }); err != nil {
			return err
		}
		if r, err := i.holdfast("suspend", account, "--why", "a case"); err != nil || r.status != 0 {
			return fmt.Errorf("suspend %s: %w: %s", account, err, r.said())
		}
	}
	return nil
}

// asked says that the mail server was sent a line.
func (i *instance) asked(want string) error {
	lines := i.mail.lines()
	for _, line := range lines {
		if line == want {
			return nil
		}
	}
	return fmt.Errorf("no %s, but %q", want, lines)
}

// notSent says that a notice stands as one that was not sent.
func (i *instance) notSent(account string) error {
	rows, err := i.ask(`SELECT outcome, body FROM notices WHERE account = '` + account + `' AND audience = 'customer'`)
	if err != nil {
		return err
	}
	for _, row := range rows {
		if row[0] == "failed" || row[0] == "not_sent" {
			return nil
		}
	}
	return fmt.Errorf("no notice to %s that was not sent: %q", account, rows)
}

func plainContact(h *harness) error {
	i, err := h.instance()
	if err != nil {
		return err
	}
	const record = `{"type": "account", "id": "c-2", "time": "2026-11-03T10:00:00Z", "account": "acct-ascii", "status": "active", "contacts": [{"email": "jo@example.com"}]}` + "\n"
	if err := i.suspends(record, "acct-ascii"); err != nil {
		return err
	}
	return i.eventually(func() error { return i.asked("RCPT TO:<jo@example.com>") })
}
