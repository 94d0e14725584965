package backtest

import (
	"fmt"
	"slices"
	"time"

	"holdfast/ingest/history"
	"holdfast/schemas"
)

// sight is what was seen of the past while it was read.
type sight struct {
	logs            map[logID]*log
	days            map[int64]bool // since 1970-01-01, with an event
	events, refused int64
	first           int64 // event time, Unix milliseconds
}

type logID struct {
	id        string
	partition int32
}

// log knows the ids of one partition's log.
type log struct {
	ids  *schemas.Ring
	next int64
}

func newSight() *sight { return &sight{logs: map[logID]*log{}, days: map[int64]bool{}} }

const day = 24 * time.Hour

// event notes an event and reports whether its id stands among those before it in
// its log. Read in another order than the log's, duplicates are looked for among the
// events that were read before.
func (s *sight) event(r *history.Recorded, order history.Order) bool {
	if s.events == 0 || r.Event.Time < s.first {
		s.first = r.Event.Time
	}
	s.events++
	s.days[dayOf(r.Event.Time)] = true
	id := logID{r.LogID, r.Partition}
	l := s.logs[id]
	if l == nil {
		l = &log{ids: schemas.NewRing(schemas.DuplicateReach, 0)}
		s.logs[id] = l
	}
	at := l.next
	if order == history.ByArrival {
		at = max(at, r.Offset) // offsets fall only where the broker's clock was set back
	}
	l.next = at + 1
	return l.ids.Seen(at, r.Source, r.Event.ID)
}

func dayOf(ms int64) int64 { return ms / day.Milliseconds() }

// missing says in sentences what could not be seen between start and the end.
func (s *sight) missing(cfg *Config, start time.Time, gaps []schemas.Gap) []string {
	var out []string
	if s.events == 0 {
		return append(out, fmt.Sprintf("the audit store holds no event from %s to %s", stamp(start), stamp(cfg.To)))
	}
	first := time.UnixMilli(s.first)
	switch late := first.Sub(start); {
	case first.After(cfg.From):
		out = append(out, fmt.Sprintf("the first event is of %s: there is no past before %s to judge by", stamp(first), stamp(cfg.From)))
	case late >= day:
		out = append(out, fmt.Sprintf("the first event is of %s: %s of the warm-up are there", stamp(first), days(cfg.From.Sub(first))))
	}
	out = append(out, s.quiet(first, cfg.To)...)
	for _, g := range gaps {
		out = append(out, fmt.Sprintf("a gap on %s, partition %d, offsets %d to %d, noted %s: %s", g.Topic, g.Partition, g.From, g.To, stamp(g.Time), g.Reason))
	}
	if s.refused > 0 {
		out = append(out, fmt.Sprintf("%d records that detection refuses", s.refused))
	}
	return out
}

// quiet names the days, of which the last may be cut, that have no event at all.
func (s *sight) quiet(first, to time.Time) []string {
	var out []string
	last := dayOf(to.UnixMilli() - 1)
	for d := dayOf(first.UnixMilli()); d <= last; d++ {
		end := d
		for end <= last && !s.days[end] {
			end++
		}
		if end > d {
			out = append(out, fmt.Sprintf("no event from %s on for %s", time.UnixMilli(d*day.Milliseconds()).UTC().Format(time.DateOnly), days(time.Duration(end-d)*day)))
			d = end
		}
	}
	return slices.Clip(out)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func days(d time.Duration) string {
	if n := int64(d / day); n != 1 {
		return fmt.Sprintf("%d days", n)
	}
	return "1 day"
}
