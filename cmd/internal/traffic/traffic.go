// Package traffic makes up a small platform's life: accounts with their own hours,
// addresses, keys and recipients, employees who help them, and what attackers do
// to them. The same Config gives the same events, byte for byte and in the order
// of time; nothing in an event says that it belongs to an attack.
package traffic

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
)

// Config says how large a life and how long.
type Config struct {
	Seed      uint64
	Accounts  int
	Employees int
	Start     time.Time
	Length    time.Duration
	// Incidents are laid over the life; see Leak, Botnet and Insider.
	Incidents []Incident
}

// Event is one event as a platform would send it, and what a platform decides by.
type Event struct {
	Time     time.Time
	JSON     []byte
	Type     string
	Account  string // empty for an employee's login
	Employee string // empty for what customers do
	IP       string
}

// Incident is something that an attacker does. It adds its events to the life.
type Incident func(*life)

type account struct {
	id, key, domain, plan string
	ips                   []string
	rate                  float64 // sends an hour at the busiest time
	peak                  float64 // hour of the day
	pool                  int     // recipients that it knows
}

type employee struct{ id, ip string }

type life struct {
	cfg       Config
	rnd       *rand.Rand
	accounts  []account
	employees []employee
	events    []entry
}

type entry struct {
	at     time.Time
	fields map[string]any
}

// AccountID is the id of the n-th account.
func AccountID(n int) string { return fmt.Sprintf("acct-%04d", n) }

// EmployeeID is the id of the n-th employee.
func EmployeeID(n int) string { return fmt.Sprintf("emp-%02d", n) }

// Events gives the life's events in the order of time.
func Events(cfg Config) iter.Seq[Event] {
	return func(yield func(Event) bool) {
		l := &life{cfg: cfg, rnd: rand.New(rand.NewPCG(cfg.Seed, 7))}
		l.populate()
		l.snapshots()
		for i := range l.accounts {
			l.live(&l.accounts[i])
		}
		for i := range l.employees {
			l.work(&l.employees[i])
		}
		for _, x := range cfg.Incidents {
			x(l)
		}
		slices.SortStableFunc(l.events, func(a, b entry) int { return a.at.Compare(b.at) })
		// The stretch's start is part of the id: two stretches of one life share none.
		stretch := fmt.Sprintf("t%d-%d", cfg.Seed, cfg.Start.Unix())
		for n, e := range l.events {
			e.fields["id"] = fmt.Sprintf("%s-%07d", stretch, n+1)
			b, err := json.Marshal(e.fields, json.Deterministic(true))
			if err != nil { // fields are strings, numbers and lists of strings
				panic(err)
			}
			x := Event{Time: e.at, JSON: b, Type: e.fields["type"].(string)}
			x.Account, _ = e.fields["account"].(string)
			x.Employee, _ = e.fields["employee"].(string)
			x.IP, _ = e.fields["ip"].(string)
			if !yield(x) {
				return
			}
		}
	}
}

func (l *life) add(at time.Time, kind string, fields map[string]any) {
	if at.Before(l.cfg.Start) || !at.Before(l.cfg.Start.Add(l.cfg.Length)) {
		return
	}
	fields["type"] = kind
	fields["time"] = at.UTC().Format("2006-01-02T15:04:05.000Z")
	l.events = append(l.events, entry{at, fields})
}

// populate makes the people. It draws from a stream of its own, so that two lives
// of one seed, a past and a present, have the same people.
func (l *life) populate() {
	r := rand.New(rand.NewPCG(l.cfg.Seed, 1))
	plans := []string{"free", "flex", "flex", "scale"}
	for n := range l.cfg.Accounts {
		a := account{
			id: AccountID(n), key: fmt.Sprintf("key-%d-1", n), domain: fmt.Sprintf("shop%d.example", n), plan: plans[r.IntN(len(plans))],
			rate: 4 + 12*r.Float64()*r.Float64(), peak: 9 + 8*r.Float64(), pool: 150 + r.IntN(400),
		}
		for range 1 + r.IntN(2) {
			a.ips = append(a.ips, fmt.Sprintf("198.51.%d.%d", r.IntN(100), 1+r.IntN(250)))
		}
		l.accounts = append(l.accounts, a)
	}
	for n := range l.cfg.Employees {
		l.employees = append(l.employees, employee{EmployeeID(n), fmt.Sprintf("192.0.2.%d", 10+n)})
	}
}

func (l *life) snapshots() {
	for _, a := range l.accounts {
		l.add(l.cfg.Start, "account", map[string]any{
			"account": a.id, "status": "active", "plan": a.plan, "created": "2024-02-01T00:00:00Z", "domains": []string{a.domain},
			"users": []string{"owner@" + a.domain}, "contacts": []map[string]string{{"email": "owner@" + a.domain, "role": "owner"}},
		})
	}
}

// rhythm is how busy an hour of the day is, 0.15 to 1.
func rhythm(at time.Time, peak float64) float64 {
	h := float64(at.UTC().Hour()) + float64(at.UTC().Minute())/60
	d := h - peak
	for d > 12 {
		d -= 24
	}
	for d < -12 {
		d += 24
	}
	return max(0.15, 1-d*d/64)
}

// steps gives the times of a Poisson process whose rate an hour is at most top and
// at each time top × share(time).
func (l *life) steps(top float64, share func(time.Time) float64) iter.Seq[time.Time] {
	return func(yield func(time.Time) bool) {
		end := l.cfg.Start.Add(l.cfg.Length)
		for at := l.cfg.Start; ; {
			at = at.Add(time.Duration(l.rnd.ExpFloat64() / top * float64(time.Hour)))
			if !at.Before(end) {
				return
			}
			if l.rnd.Float64() < share(at) && !yield(at) {
				return
			}
		}
	}
}

// live is an account's own life: mails to people it knows, now and then a new one.
func (l *life) live(a *account) {
	for at := range l.steps(a.rate, func(t time.Time) float64 { return rhythm(t, a.peak) }) {
		var to []string
		for range 1 + l.rnd.IntN(3) {
			n := l.rnd.IntN(a.pool)
			if l.rnd.IntN(50) == 0 {
				n = a.pool + l.rnd.IntN(1_000_000)
			}
			to = append(to, fmt.Sprintf("c%d.%s@mail.example", n, a.id))
		}
		l.send(a, at, a.ips[l.rnd.IntN(len(a.ips))], a.key, to)
	}
	for at := range l.steps(0.15, func(t time.Time) float64 { return rhythm(t, a.peak) }) {
		l.add(at, "login", map[string]any{"account": a.id, "user": "owner@" + a.domain, "ip": a.ips[0], "outcome": "success", "method": "password"})
	}
}

func (l *life) send(a *account, at time.Time, ip, key string, to []string) {
	l.add(at, "send", map[string]any{
		"account": a.id, "credential": key, "channel": "api", "ip": ip, "sender": "hello@" + a.domain, "recipients": to,
		"message_id": fmt.Sprintf("m%d@%s", l.rnd.Uint64(), a.domain), "size": 2000 + l.rnd.IntN(40_000),
	})
}

// work is an employee's: a handful of customers an hour in office hours, each with
// a ticket.
func (l *life) work(e *employee) {
	for at := range l.steps(3, func(t time.Time) float64 { return max(0, rhythm(t, 13)-0.3) }) {
		a := &l.accounts[l.rnd.IntN(len(l.accounts))]
		action := []string{"view_account", "view_account", "view_logs", "view_account", "view_secret"}[l.rnd.IntN(5)]
		l.access(e, at, a, action, fmt.Sprintf("T-%d", 1000+l.rnd.IntN(9000)))
	}
	for at := range l.steps(0.1, func(t time.Time) float64 { return rhythm(t, 9) }) {
		l.add(at, "login", map[string]any{"employee": e.id, "user": e.id, "ip": e.ip, "outcome": "success", "method": "sso"})
	}
}

func (l *life) access(e *employee, at time.Time, a *account, action, ticket string) {
	f := map[string]any{"employee": e.id, "account": a.id, "action": action, "resource": "account:" + a.id, "ip": e.ip}
	if ticket != "" {
		f["ticket"] = ticket
	}
	l.add(at, "access", f)
}
