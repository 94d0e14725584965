package world

import (
	"fmt"
	"hash/fnv"
	"iter"
	"time"

	"holdfast/schemas"
)

// Event is one event as a platform would send it.
type Event struct {
	Time time.Time
	ID   string
	JSON []byte // the caller's until the next event
	Harm bool   // a send of an attacker's own
}

// Span is a label: what happened to an entity from when to when. Kinds that begin
// with ~ are neutral: neither to be found nor to be left alone.
type Span struct {
	Entity     schemas.Entity
	Kind       string
	Start, End int64 // Unix milliseconds
}

// World is one platform's time. It is used once: see Events.
type World struct {
	opt        Options
	start, end int64
	now        int64 // the day that is being made
	tag        string
	platform   platform
	nets       *networks
	accounts   []*account
	staff      []*employee
	incidents  []incident
	truth      []Span
	traps      []Span
	out        buffer
	to         []uint64
	writers    []*correspondent // of profile mail, beside accounts
	users      []*account       // of profile sshd, the same as accounts
}

// incident is something planned that happens on a day.
type incident struct {
	at  int64
	run func()
}

// New plans a world.
func New(o Options) (*World, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	start := o.Start.UTC().Truncate(24 * time.Hour).UnixMilli()
	w := &World{opt: o, start: start, now: start, end: start + int64(o.Days)*day}
	h := fnv.New32a()
	fmt.Fprintf(h, "%s/%d/%d/%d/%d", o.Profile, o.Seed, o.Accounts, o.Days, start)
	w.out.floor = start
	w.tag = fmt.Sprintf("e%07x", h.Sum32()>>4)
	d := newDice(o.Seed, "platform "+o.Profile, 0)
	w.nets = newNetworks(d)
	w.platform = newPlatform(d, o.Profile)
	switch o.Profile {
	case profileMail:
		w.mailWorld(d)
	case profileSSHD:
		w.serverWorld(d)
	default:
		w.populate(d)
		w.plan()
	}
	return w, nil
}

func (w *World) populate(d dice) {
	ranks := d.Perm(w.opt.Accounts)
	whole := zipfScale(w.opt.Accounts, w.platform.skew)
	for n := range w.opt.Accounts {
		scale := whole * zipfShare(ranks[n], w.platform.skew)
		w.accounts = append(w.accounts, w.newAccount(n, scale))
	}
	for n := range w.opt.Employees {
		w.staff = append(w.staff, w.newEmployee(n))
	}
	for i := len(w.accounts) / 20; i > 0; i-- { // some were here and left long ago
		a := one(d, w.accounts)
		if a.born == w.start && a.dormant == 0 {
			a.dormant = w.start + int64(d.IntN(2))*day + 1
			a.created = min(a.created, w.start-300*day)
		}
	}
}

// Accounts is how many accounts there are.
func (w *World) Accounts() int { return len(w.accounts) }

// Truth is what the attackers did. It is whole when Events has ended.
func (w *World) Truth() []Span { return w.truth }

// Traps are the honest events that look like attacks.
func (w *World) Traps() []Span { return w.traps }

// Events gives the world's events in the order of time, once.
func (w *World) Events() iter.Seq[Event] {
	return func(yield func(Event) bool) {
		n, line := 0, []byte(nil)
		give := func(r record, body []byte) bool {
			n++
			id := fmt.Sprintf("%s-%08d", w.tag, n)
			line = append(append(append(line[:0], `{"id":"`...), id...), '"')
			line = append(line, body...)
			return yield(Event{Time: time.UnixMilli(r.at).UTC(), ID: id, JSON: line, Harm: r.harm})
		}
		for ; w.now < w.end; w.now += day {
			w.everybody()
			for _, e := range w.staff {
				e.work(w, w.now)
			}
			for _, x := range w.incidents {
				if x.at >= w.now && x.at < w.now+day {
					x.run()
				}
			}
			if !w.out.take(w.now+day, give) {
				return
			}
		}
	}
}

func appendTime(b []byte, at int64) []byte { return time.UnixMilli(at).UTC().AppendFormat(b, timeForm) }

// everybody lives a day.
func (w *World) everybody() {
	for _, c := range w.writers {
		c.live(w, w.now)
	}
	for _, a := range w.users {
		w.enterServer(a, w.now)
	}
	if len(w.writers)+len(w.users) > 0 {
		return
	}
	for _, a := range w.accounts {
		a.live(w, w.now)
	}
}
