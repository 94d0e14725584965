package api

import (
	"math"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// pace bounds how fast requests come from one person and one address, and makes wrong
// secrets cost time.
type pace struct {
	person, address *limiters
	names, from     *failures
}

func newPace(c Config) *pace {
	return &pace{
		person: &limiters{rate: c.PersonRate, all: map[string]*rate.Limiter{}}, address: &limiters{rate: c.AddressRate, all: map[string]*rate.Limiter{}},
		// A stranger can make a person wait, so that it is not for long; an address waits
		// longer.
		names: &failures{free: 5, most: 30 * time.Second, all: map[string]*failed{}}, from: &failures{free: 10, most: 15 * time.Minute, all: map[string]*failed{}},
	}
}

// maxPaced bounds the names and addresses that are remembered of each kind: some 2 MiB.
const maxPaced = 16_384

// limiters are token buckets by key.
type limiters struct {
	rate float64
	mu   sync.Mutex
	all  map[string]*rate.Limiter
}

// wait is how many seconds a request has to wait; 0: none.
func (l *limiters) wait(key string, now time.Time) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	x := l.all[key]
	if x == nil {
		if len(l.all) >= maxPaced {
			for k, v := range l.all { // those that are full again are as new ones
				if v.TokensAt(now) >= float64(v.Burst()) {
					delete(l.all, k)
				}
			}
			if len(l.all) >= maxPaced {
				return 1
			}
		}
		x = rate.NewLimiter(rate.Limit(l.rate), int(math.Max(1, 2*l.rate)))
		l.all[key] = x
	}
	if x.AllowN(now, 1) {
		return 0
	}
	return 1
}

// failures remembers wrong secrets by key.
type failures struct {
	free int           // so many cost nothing
	most time.Duration // the longest wait
	mu   sync.Mutex
	all  map[string]*failed
}

type failed struct {
	n     int
	until time.Time // no further try before
	last  time.Time
}

// forgetFailures is after how long without a failure they are forgotten.
const forgetFailures = time.Hour

// try takes a try in advance: it counts as wrong until right is called, so that tries that
// come at once do not pass together. wait is above 0 where it is too early.
func (f *failures) try(key string, now time.Time) (wait time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	x := f.all[key]
	if x != nil && now.Sub(x.last) > forgetFailures {
		delete(f.all, key)
		x = nil
	}
	if x == nil {
		if len(f.all) >= maxPaced {
			f.forget(now)
		}
		x = &failed{}
		f.all[key] = x
	}
	if now.Before(x.until) {
		return x.until.Sub(now)
	}
	x.n, x.last = x.n+1, now
	if over := x.n - f.free; over >= 0 {
		x.until = now.Add(min(f.most, time.Second<<min(over, 20)))
	}
	return 0
}

// right takes the last try back: the secret was right.
func (f *failures) right(key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.all, key)
}

// forget makes room: those that failed longest ago go.
func (f *failures) forget(now time.Time) {
	for k, x := range f.all {
		if now.Sub(x.last) > f.most {
			delete(f.all, k)
		}
	}
	for k := range f.all {
		if len(f.all) < maxPaced {
			return
		}
		delete(f.all, k)
	}
}

// networkOf is by what an address is paced: itself, or its /64.
func networkOf(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	if a = a.Unmap(); a.Is6() {
		if p, err := a.WithZone("").Prefix(64); err == nil {
			return p.String()
		}
	}
	return a.String()
}
