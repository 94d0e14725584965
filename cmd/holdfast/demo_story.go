package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"holdfast/cmd/internal/app"
	"holdfast/cmd/internal/demo"
	"holdfast/cmd/internal/traffic"
	"holdfast/schemas"
)

// The demo's cast.
const (
	demoAccounts, demoEmployees = 80, 8
	demoLeaked, demoBotnet      = 7, 21
	demoInsider                 = 3
	demoSeen, demoLastSeen      = 30, 79 // accounts whose secrets the employee reads, in order
	demoHistory                 = 21 * 24 * time.Hour
	demoLength                  = 90 * time.Second
)

// scene is one attack of the story, from when on.
type scene struct {
	at     time.Duration
	entity schemas.Entity // who is stopped for it
	title  string
	what   string // what it does, counted
}

func scenes() []scene {
	account := func(n int) schemas.Entity {
		return schemas.Entity{Kind: schemas.KindAccount, ID: traffic.AccountID(n)}
	}
	employee := schemas.Entity{Kind: schemas.KindEmployee, ID: traffic.EmployeeID(demoInsider)}
	return []scene{
		{5 * time.Second, account(demoLeaked), "somebody else sends with the leaked key of " + traffic.AccountID(demoLeaked), "mails"},
		{15 * time.Second, employee, employee.ID + " reads one customer's secrets after the other, without a ticket", "reads"},
		{40 * time.Second, account(demoBotnet), "a botnet of 120 addresses sends with the key of " + traffic.AccountID(demoBotnet), "mails"},
		{65 * time.Second, account(demoSeen), "the key of " + traffic.AccountID(demoSeen) + ", which " + employee.ID + " read, is used from elsewhere", "mails"},
	}
}

// story is the demo as it is told: what the attackers try, what Holdfast decides, what
// the platform does about it and which mails people get, each line when it happens.
type story struct {
	seed     uint64
	out      io.Writer
	platform *demo.Platform

	mu       sync.Mutex
	begin    time.Time // zero before the present begins
	stopped  map[string]time.Time
	effect   map[string]time.Time // when the platform took the stop over
	attacked map[string]time.Time // when the attack began
	told     map[string]time.Time // when the first mail to a customer came, by account
	early    []string             // mails to customers about what was not done yet
	before   map[string]int       // what passed before the stop, by kind:id
	refused  map[string]int
}

func newStory(seed uint64, out io.Writer) *story {
	s := &story{
		seed: seed, out: out, stopped: map[string]time.Time{}, effect: map[string]time.Time{}, told: map[string]time.Time{}, attacked: map[string]time.Time{}, before: map[string]int{}, refused: map[string]int{},
	}
	s.platform = demo.NewPlatform(s.changed)
	return s
}

func (s *story) traffic(start time.Time, length time.Duration, incidents ...traffic.Incident) traffic.Config {
	return traffic.Config{Seed: s.seed, Accounts: demoAccounts, Employees: demoEmployees, Start: start, Length: length, Incidents: incidents}
}

// past imports three weeks in which nothing happens, so that everybody has habits.
func (s *story) past(ctx context.Context, p *app.Player) (int, error) {
	begin := time.Now().UTC().Truncate(time.Second)
	n, err := p.Play(ctx, traffic.Events(s.traffic(begin.Add(-demoHistory), demoHistory)), schemas.OriginImport, nil)
	if err != nil {
		return n, err
	}
	return n, p.Settled(ctx)
}

// present plays the attacks among honest traffic, in real time. An event that the
// platform does not allow does not happen.
func (s *story) present(ctx context.Context, p *app.Player) error {
	begin := time.Now().UTC().Truncate(time.Second).Add(time.Second)
	s.mu.Lock()
	s.begin = begin
	s.mu.Unlock()
	all := scenes()
	at := func(i int) time.Time { return begin.Add(all[i].at) }
	events := traffic.Events(s.traffic(begin, demoLength,
		traffic.LeakEvery(demoLeaked, at(0), 60*time.Second, 300*time.Millisecond),
		traffic.Reads(demoInsider, demoSeen, demoLastSeen, at(1), time.Second),
		traffic.BotnetEvery(demoBotnet, 120, at(2), 40*time.Second, 60*time.Millisecond),
		traffic.Used(demoSeen, at(3), 500*time.Millisecond),
	))
	fmt.Fprintf(s.out, "Now %d seconds of life in real time, with four attacks:\n\n", int(demoLength.Seconds()))
	watch, cancel := context.WithCancel(ctx)
	defer cancel()
	var g errgroup.Group
	g.Go(func() error { return p.Watch(watch, s.decided) })
	next := 0
	_, err := p.PlayJSON(ctx, func(yield func([]byte) bool) {
		for e := range events {
			if !until(ctx, e.Time) {
				return
			}
			for next < len(all) && !e.Time.Before(at(next)) {
				s.attack(all[next])
				next++
			}
			if s.allowed(e) && !yield(e.JSON) {
				return
			}
		}
	}, schemas.OriginLive)
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = p.Settled(ctx)
	}
	if err == nil {
		err = s.everybodyTold(ctx)
	}
	cancel()
	if werr := g.Wait(); err == nil && !isCancelled(werr) {
		err = werr
	}
	return err
}

// until waits for a time and reports whether it came.
func until(ctx context.Context, at time.Time) bool {
	t := time.NewTimer(time.Until(at))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

func (s *story) attack(x scene) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.attacked[x.entity.Key()] = time.Now()
	s.line("attack", "%s", x.title)
}

// everybodyTold waits until the platform and the customers were told of every stop, half
// a minute at most: what is missing then is for the summary to say.
func (s *story) everybodyTold(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		s.mu.Lock()
		missing := 0
		for _, x := range scenes() {
			_, told := s.told[x.entity.ID]
			if s.effect[x.entity.Key()].IsZero() || x.entity.Kind == schemas.KindAccount && !told {
				missing++
			}
		}
		s.mu.Unlock()
		if missing == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// actor is whose status decides whether an event may happen.
func actor(e traffic.Event) schemas.Entity {
	if e.Employee != "" {
		return schemas.Entity{Kind: schemas.KindEmployee, ID: e.Employee}
	}
	return schemas.Entity{Kind: schemas.KindAccount, ID: e.Account}
}

// allowed asks the platform, as its mail servers and its back office would.
func (s *story) allowed(e traffic.Event) bool {
	if e.Type == "account" {
		return true
	}
	who := actor(e)
	ok := s.platform.Allows(who)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !ok:
		s.refused[who.Key()]++
	case e.Type == "access" && e.Employee == traffic.EmployeeID(demoInsider), e.Type == "send" && foreign(e.IP):
		s.before[who.Key()]++
	}
	return ok
}

// foreign reports whether an address is one of the attackers'.
func foreign(ip string) bool {
	return strings.HasPrefix(ip, "203.0.113.") || strings.HasPrefix(ip, "100.")
}

// line prints a line with the time since the present began.
func (s *story) line(who, format string, args ...any) {
	if s.begin.IsZero() {
		return // of the past nothing is told
	}
	d := max(0, time.Since(s.begin))
	fmt.Fprintf(s.out, "%02d:%04.1f  %-9s %s\n", int(d.Minutes()), (d % time.Minute).Seconds(), who, clean(fmt.Sprintf(format, args...)))
}

// decided is called for each decision.
func (s *story) decided(x schemas.Decision) {
	if x.Mode != schemas.ModeLive || !x.Verdict.Stops() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.stopped[x.Entity.Key()]; ok {
		return
	}
	s.stopped[x.Entity.Key()] = time.Now()
	s.line("holdfast", "%s %s: %s", strings.ToUpper(string(x.Verdict)), x.Entity.Key(), firstSentences(x.Reason, 110))
}

// changed is called for each status that the platform takes over.
func (s *story) changed(c demo.Change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := c.Entity.Key()
	if c.Status != demo.Suspended && c.Status != demo.Blocked {
		s.line("platform", "%s is %s", key, c.Status)
		return
	}
	if _, ok := s.effect[key]; !ok {
		s.effect[key] = c.At
	}
	what := "no more mail of it is taken"
	if c.Entity.Kind == schemas.KindEmployee {
		what = "may read nothing more"
	}
	s.line("platform", "%s is %s: %s (%d passed before)", key, c.Status, what, s.before[key])
}

// mail is called for each mail that Holdfast sends.
func (s *story) mail(m demo.Mail) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.line("mail", "to %s: %s", m.To, m.Subject)
	for _, x := range scenes() {
		if x.entity.Kind == schemas.KindAccount && strings.Contains(m.Subject, x.entity.ID) && strings.HasPrefix(m.To, "owner@") && strings.Contains(m.Subject, "stopped") {
			if _, ok := s.told[x.entity.ID]; !ok {
				s.told[x.entity.ID] = m.At
			}
			if at, ok := s.effect[x.entity.Key()]; !ok || m.At.Before(at) {
				s.early = append(s.early, x.entity.ID)
			}
		}
	}
}

// summary prints what became of each attack and returns what should not have been.
func (s *story) summary() (wrong []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	want := map[string]bool{}
	fmt.Fprintf(s.out, "\n%-20s %-14s %-14s %s\n", "attacked", "in force after", "passed before", "refused since")
	for _, x := range scenes() {
		key := x.entity.Key()
		want[key] = true
		at, ok := s.effect[key]
		if !ok {
			wrong = append(wrong, key+" was not stopped: "+x.title)
			fmt.Fprintf(s.out, "%-20s %-14s %d %s\n", key, "never", s.before[key], x.what)
			continue
		}
		fmt.Fprintf(s.out, "%-20s %-14s %-14s %d\n", key, fmt.Sprintf("%.1f s", at.Sub(s.attacked[key]).Seconds()),
			fmt.Sprintf("%d %s", s.before[key], x.what), s.refused[key])
		if s.refused[key] == 0 {
			wrong = append(wrong, key+" was refused nothing after it was stopped")
		}
		if _, ok := s.told[x.entity.ID]; !ok && x.entity.Kind == schemas.KindAccount {
			wrong = append(wrong, "the owner of "+x.entity.ID+" got no mail")
		}
	}
	for key := range s.effect {
		if !want[key] {
			wrong = append(wrong, key+" was stopped and had done nothing")
		}
	}
	for _, id := range s.early {
		wrong = append(wrong, "the owner of "+id+" was told of a stop before it was in force")
	}
	slices.Sort(wrong)
	for _, w := range wrong {
		fmt.Fprintln(s.out, "not as it should be:", w)
	}
	return wrong
}
