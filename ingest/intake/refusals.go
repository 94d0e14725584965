package intake

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

// What one source may put on rejected within a minute, so that nobody fills the log
// with what is refused. The rest is counted, by one record at the minute's end.
const (
	refusalsPerMinute = 60
	refusedPerMinute  = 1 << 20 // bytes kept
	refusedHead       = 8 << 10 // of each record
)

// Sender is what takes records; *Producer is one.
type Sender interface {
	Send(ctx context.Context, r *Receipt, topic schemas.Topic, rec kafka.Record) error
}

// Refusals puts the records that senders were refused on the rejected topic, bounded
// by source and minute. It is safe for concurrent use.
type Refusals struct {
	to  Sender
	log *slog.Logger
	run string // tells this process's counts from another's

	mu      sync.Mutex
	minutes map[string]*refusedMinute // by source, of which the configuration has few
}

// refusedMinute is what a source was refused since its minute began.
type refusedMinute struct {
	src     *Source
	began   time.Time
	records int
	bytes   int
	more    map[schemas.Reason]int // counted only
}

// NewRefusals returns one that writes by a producer. The logger may be nil.
func NewRefusals(to Sender, log *slog.Logger) *Refusals {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Refusals{to: to, log: log, run: rand.Text(), minutes: map[string]*refusedMinute{}}
}

// Add keeps a refused record; receipt is settled when it stands in the log. An error
// means that the producer takes nothing.
func (r *Refusals) Add(ctx context.Context, receipt *Receipt, what Remains, src *Source, at Place, why *schemas.Error, now time.Time) error {
	what.Head = what.Head[:min(len(what.Head), refusedHead)]
	if !r.room(src, len(what.Head), why.Reason, now) {
		return nil
	}
	rec, err := Reject(what, src, at, why, now)
	if err != nil {
		return err
	}
	return r.to.Send(ctx, receipt, schemas.TopicRejected, rec)
}

// room takes a place in the source's minute, or counts the record.
func (r *Refusals) room(src *Source, size int, why schemas.Reason, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.minutes[src.Name]
	if m == nil || now.Sub(m.began) >= time.Minute && len(m.more) == 0 {
		m = &refusedMinute{src: src, began: now}
		r.minutes[src.Name] = m
	}
	if len(m.more) == 0 && m.records < refusalsPerMinute && m.bytes+size <= refusedPerMinute {
		m.records++
		m.bytes += size
		return true
	}
	if m.more == nil {
		m.more = map[schemas.Reason]int{}
		time.AfterFunc(max(m.began.Add(time.Minute).Sub(now), time.Second), func() { r.count(m) })
	}
	m.more[why]++
	return false
}

// count writes down how many records a source was refused beyond those that are kept.
func (r *Refusals) count(m *refusedMinute) {
	r.mu.Lock()
	delete(r.minutes, m.src.Name)
	r.mu.Unlock()
	n := 0
	var parts []string
	for _, why := range slices.Sorted(maps.Keys(m.more)) {
		n += m.more[why]
		parts = append(parts, fmt.Sprintf("%s %d", why, m.more[why]))
	}
	now := time.Now()
	v := schemas.Rejected{
		ID: schemas.DeriveID("rej", m.src.Name, r.run, fmt.Sprint(m.began.UnixMilli())), Time: now.UTC().Truncate(time.Millisecond),
		Topic: m.src.Name, Offset: int64(n), Source: m.src.Name, Reason: schemas.ReasonMore,
		Detail: fmt.Sprintf("%d more records were refused from %s on, and are not kept: %s", n, m.began.UTC().Format(time.RFC3339), strings.Join(parts, ", ")),
	}
	value, err := json.Marshal(&v)
	if err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		var receipt Receipt
		if err = r.to.Send(ctx, &receipt, schemas.TopicRejected, finding(schemas.KindRejected, v.ID, m.src, value, now)); err == nil {
			err = receipt.Wait(ctx)
		}
	}
	if err != nil {
		r.log.Warn("refused records were counted, but the count could not be written down", "source", m.src.Name, "records", n, "error", err)
	}
}
