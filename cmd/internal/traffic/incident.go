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
	return func(l *life) {
		a := &l.accounts[n]
		ips := []string{"203.0.113.7", "203.0.113.99", "203.0.113.180"}
		for t := at; t.Before(at.Add(length)); t = t.Add(2*time.Second + time.Duration(l.rnd.IntN(2000))*time.Millisecond) {
			l.send(a, t, ips[l.rnd.IntN(len(ips))], a.key, l.strangers(8+l.rnd.IntN(5)))
		}
	}
}

// Botnet is a key used from so many addresses, a little from each.
func Botnet(n, addresses int, at time.Time, length time.Duration) Incident {
	return func(l *life) {
		a := &l.accounts[n]
		for t := at; t.Before(at.Add(length)); t = t.Add(500*time.Millisecond + time.Duration(l.rnd.IntN(1500))*time.Millisecond) {
			x := l.rnd.IntN(addresses)
			l.send(a, t, fmt.Sprintf("100.%d.%d.%d", 64+x%32, x*7%251, 1+x*13%250), a.key, l.strangers(1+l.rnd.IntN(3)))
		}
	}
}

// Insider is an employee who looks at the secrets of customers, first to last, one
// every half minute and without a ticket; some time later the last one's key is
// used from elsewhere.
func Insider(n, first, last int, at, used time.Time) Incident {
	return func(l *life) {
		e := &l.employees[n]
		for i := first; i <= last; i++ {
			l.access(e, at.Add(time.Duration(i-first)*30*time.Second), &l.accounts[i], "view_secret", "")
		}
		a := &l.accounts[last]
		for i := range 40 {
			l.send(a, used.Add(time.Duration(i)*5*time.Second), "203.0.113.44", a.key, l.strangers(5))
		}
	}
}
