package rebuild

import (
	"context"
	"time"

	"github.com/go-json-experiment/json"

	"holdfast/cmd/internal/replay"
	"holdfast/ingest/history"
	"holdfast/schemas"
)

func (s *State) decision(b []byte) error {
	var d struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(b, &d); err != nil {
		return err
	}
	s.Decisions[d.ID] = true
	return nil
}

type logID struct {
	id        string
	partition int32
}

// ring knows the ids of one log.
type ring struct {
	ids  *schemas.Ring
	next int64
}

// player gives the past to the folds.
type player struct {
	cfg   *Config
	past  Past
	st    *State
	ids   map[logID]*ring
	asked []history.Asked
	next  int       // of those, the next one
	from  time.Time // arrival from which on the past is still to be played
	noted int64     // events when was last written down how far this has come
	told  time.Time // progress
	last  int64     // the latest arrival, Unix milliseconds
}

// double notes an event's id and reports whether it stands among those before in its log.
func (p *player) double(r *history.Recorded) bool {
	id := logID{r.LogID, r.Partition}
	l := p.ids[id]
	if l == nil {
		l = &ring{ids: schemas.NewRing(schemas.DuplicateReach, 0)}
		p.ids[id] = l
	}
	at := max(l.next, r.Offset) // offsets fall only where the broker's clock was set back
	l.next = at + 1
	return l.ids.Seen(at, r.Source, r.Event.ID)
}

func (p *player) play(ctx context.Context) error {
	for p.next < len(p.asked) && p.asked[p.next].Arrival.Before(p.from) {
		p.next++
	}
	for rec, err := range p.past.Arrived(ctx, p.from, endOfTime) {
		if err != nil {
			return err
		}
		if err := p.event(&rec); err != nil {
			return err
		}
	}
	for ; p.next < len(p.asked); p.next++ {
		if err := p.request(&p.asked[p.next]); err != nil {
			return err
		}
	}
	p.progress(true)
	return nil
}

func (p *player) event(rec *history.Recorded) error {
	at := rec.Arrival.UnixMilli()
	for ; p.next < len(p.asked) && p.asked[p.next].Arrival.UnixMilli() < at; p.next++ {
		if err := p.request(&p.asked[p.next]); err != nil {
			return err
		}
	}
	// All that arrived before this millisecond has been played, and nothing of it.
	if p.st.Events-p.noted >= p.cfg.Every && at > p.last {
		if err := p.note(rec.Arrival); err != nil {
			return err
		}
	}
	double := p.double(rec)
	if !p.cfg.Folded(rec.Position) {
		return nil
	}
	p.st.Events++
	p.last = max(p.last, at)
	if p.st.Events%4096 == 0 {
		p.progress(false)
	}
	return p.st.run.Event(replay.Recorded{Event: rec.Event, Arrival: at, Source: rec.Source, Trust: rec.Trust, Origin: rec.Origin, Network: rec.Network, Double: double})
}

// request gives a person's request as it stood in the inbox, bound to what the person saw.
func (p *player) request(q *history.Asked) error {
	if !p.cfg.Folded(q.Position) {
		return nil
	}
	p.st.Requests++
	return p.st.run.Request(q.Request, q.Arrival.UnixMilli())
}

func (p *player) progress(now bool) {
	if p.cfg.Progress != nil && (now || time.Since(p.told) > 300*time.Millisecond) {
		p.told = time.Now()
		p.cfg.Progress(Progress{Events: p.st.Events, Arrival: time.UnixMilli(p.last).UTC(), Resumed: p.st.Resumed})
	}
}
