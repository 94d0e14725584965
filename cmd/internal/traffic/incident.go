package traffic

import (
	"fmt"
	"time"
)

func (l *life) strangers(n int) []string {
	to := make([]string, n)
	for i := range to {
		to[i] = fmt.Sprintf("x%d@bought.example", l.rnd.IntN(1<<30))
	}
	return to
}

// Leak is a key used by somebody else, from a few addresses, to a bought list.
func Leak(n int, at time.Time, length time.Duration) Incident {
	return LeakEvery(n, at, length, 2*time.Second)
}

// LeakEvery is Leak with a mail after one to two times every.
func LeakEvery(n int, at time.Time, length, every time.Duration) Incident {
	return func(l *life) {
		a := &l.accounts[n]
		ips := []string{"203.0.113.7", "203.0.113.99", "203.0.113.180"}
		for t := at; t.Before(at.Add(length)); t = t.Add(every + l.upTo(every)) {
			l.send(a, t, ips[l.rnd.IntN(len(ips))], a.key, l.strangers(8+l.rnd.IntN(5)))
		}
	}
}

// Botnet is a key used from so many addresses, a little from each.
func Botnet(n, addresses int, at time.Time, length time.Duration) Incident {
	return BotnetEvery(n, addresses, at, length, 500*time.Millisecond)
}

// BotnetEvery is Botnet with a mail after one to four times every.
func BotnetEvery(n, addresses int, at time.Time, length, every time.Duration) Incident {
	return func(l *life) {
		a := &l.accounts[n]
		for t := at; t.Before(at.Add(length)); t = t.Add(every + l.upTo(3*every)) {
			x := l.rnd.IntN(addresses)
			l.send(a, t, fmt.Sprintf("100.%d.%d.%d", 64+x%32, x*7%251, 1+x*13%250), a.key, l.strangers(1+l.rnd.IntN(3)))
		}
	}
}

// upTo draws less than d, in whole milliseconds.
func (l *life) upTo(d time.Duration) time.Duration {
	return time.Duration(l.rnd.IntN(int(d.Milliseconds()))) * time.Millisecond
}

// Insider is an employee who looks at the secrets of customers, first to last, one
// every half minute and without a ticket; some time later the last one's key is
// used from elsewhere.
func Insider(n, first, last int, at, used time.Time) Incident {
	return func(l *life) {
		Reads(n, first, last, at, 30*time.Second)(l)
		Used(last, used, 5*time.Second)(l)
	}
}

// Reads is an employee who looks at the secrets of customers, first to last, without a
// ticket.
func Reads(n, first, last int, at time.Time, every time.Duration) Incident {
	return func(l *life) {
		for i := first; i <= last; i++ {
			l.access(&l.employees[n], at.Add(time.Duration(i-first)*every), &l.accounts[i], "view_secret", "")
		}
	}
}

// Used is an account's key used from an address that the account never had, forty times.
func Used(n int, at time.Time, every time.Duration) Incident {
	return func(l *life) {
		a := &l.accounts[n]
		for i := range 40 {
			l.send(a, at.Add(time.Duration(i)*every), "203.0.113.44", a.key, l.strangers(5))
		}
	}
}
