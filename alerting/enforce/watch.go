package enforce

import (
	"context"
	"time"

	"holdfast/alerting/decision"
	"holdfast/alerting/notify"
	"holdfast/schemas"
)

// Summary is what one receiver has yet to confirm.
type Summary struct {
	Receiver    string           `json:"receiver"`
	Undelivered int              `json:"undelivered"`
	Refused     int              `json:"refused"`
	Oldest      time.Duration    `json:"oldest"` // 0 where nothing waits
	Error       string           `json:"error,omitempty"`
	record      *decision.Record // of the oldest
	since       time.Time
}

// Summaries reports on each receiver, in their order.
func (e *Enforcer) Summaries() []Summary {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.now()
	out := make([]Summary, len(e.lines))
	for i, l := range e.lines {
		s := &out[i]
		s.Receiver, s.Undelivered = l.name, len(l.waits)
		for t := range l.waits {
			r := t.receipt()
			if r.Failing != nil && r.Failing.Refused {
				s.Refused++
			}
			if since := t.ent.Since(r); s.record == nil || since.Before(s.since) || since.Equal(s.since) && r.Pending[0] < s.record.ID {
				s.since, s.record, s.Oldest, s.Error = since, t.ent.Change(r.Pending[0]).Record, now.Sub(since), ""
				if r.Failing != nil {
					s.Error = r.Failing.Error
				}
			}
		}
	}
	return out
}

// alarms are what operators were paged about on one line. Each is told once when it
// begins, and the first again when it is over.
type alarms struct {
	overdue *decision.Record // the change that was the oldest when it began
	since   time.Time        // and when it was wanted
	gone    bool             // the receiver says that nobody is there any more
	told    bool             // of gone
}

// watch keeps the metrics, pages operators, and probes receivers that are away. It begins
// with what there was to page about.
func (e *Enforcer) watch(ctx context.Context, begun []notify.Letter) {
	e.pages(ctx, begun)
	e.every(ctx, time.Second, func(ctx context.Context) {
		letters := e.alarmed()
		for _, l := range e.lines {
			l.probe()
		}
		e.pages(ctx, letters)
	})
}

func (e *Enforcer) pages(ctx context.Context, letters []notify.Letter) {
	if len(letters) > 0 {
		e.write(ctx, "letters", func(ctx context.Context) error { return e.deps.Sink.Letters(ctx, letters) })
	}
}

// alarmed returns what operators have to be told now of each receiver.
func (e *Enforcer) alarmed() (letters []notify.Letter) {
	for i, s := range e.Summaries() {
		e.deps.Metrics.summary(s)
		letters = append(letters, e.page(e.lines[i], s)...)
	}
	return letters
}

// page returns what operators have to be told now.
func (e *Enforcer) page(l *line, s Summary) []notify.Letter {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []notify.Letter
	switch overdue := s.Oldest > e.cfg.PageAfter; {
	case overdue && l.alarms.overdue == nil:
		l.alarms.overdue, l.alarms.since = s.record, s.since
		e.log.Error("changes are overdue at the receiver", "receiver", l.name, "undelivered", s.Undelivered, "oldest", s.Oldest.Round(time.Second), "error", s.Error)
		out = e.letters(s.record, notify.AudienceOperator, notify.IsOverdue(s.record, l.name, s.Undelivered, s.Oldest, s.since, s.Error))
	case !overdue && l.alarms.overdue != nil:
		r := l.alarms.overdue
		l.alarms.overdue = nil
		out = e.letters(r, notify.AudienceOperator, notify.IsResolved(r, l.name, s.Undelivered, l.alarms.since))
	}
	if l.alarms.gone && !l.alarms.told && s.record != nil {
		l.alarms.told = true
		out = append(out, e.letters(s.record, notify.AudienceOperator, notify.IsGone(s.record, l.name, s.Error))...)
	}
	if !l.alarms.gone {
		l.alarms.told = false
	}
	return out
}

// probeEvery is how often a receiver that is away is tried with one change, however long
// the pauses of all changes are by then.
const probeEvery = 30 * time.Second

func (l *line) probe() {
	l.e.mu.Lock()
	defer l.e.mu.Unlock()
	now := l.e.now()
	if l.missed < awayAfter || now.Sub(l.probed) < probeEvery {
		return
	}
	l.probed = now
	for _, t := range l.later {
		if r := t.receipt(); r.Waits() && r.Failing != nil && !r.Failing.Refused && !t.least.After(now) {
			if t.due.After(now) {
				l.schedule(t, now)
			}
			return
		}
	}
}

// Undelivered is one change that a receiver has yet to confirm, for people to read.
type Undelivered struct {
	Receiver string         `json:"receiver"`
	Entity   schemas.Entity `json:"entity"`
	Status   string         `json:"status"`
	Decision string         `json:"decision"`
	Since    time.Time      `json:"since"`
	State    string         `json:"state"` // waiting, failing, refused, held
	Attempts int            `json:"attempts"`
	Error    string         `json:"error,omitempty"`
	Next     time.Time      `json:"next,omitzero"`
}

// The states of what is undelivered.
const (
	StateWaiting = "waiting"
	StateFailing = "failing"
	StateRefused = "refused"
	StateHeld    = "held"
)

// Undelivered lists what receivers have yet to confirm of the entity, the newest change of
// each.
func (s *State) Undelivered() []Undelivered {
	var out []Undelivered
	for name, r := range s.Receivers {
		if !r.Waits() {
			continue
		}
		u := Undelivered{Receiver: name, Entity: s.Entity, Status: s.Last.Status, Decision: s.Last.Decision, Since: s.Since(r), State: StateWaiting}
		if f := r.Failing; f != nil {
			u.State, u.Attempts, u.Error, u.Next = StateFailing, f.Attempts, f.Error, f.Next
			if f.Refused {
				u.State = StateRefused
			}
		}
		if r.Held {
			u.State = StateHeld
		}
		out = append(out, u)
	}
	return out
}
