package app

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"

	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

// RunClock tells entities that a time has come for which their case waits: a hold that ends,
// the next step of probation, an act that nobody approved. A lane reads no clock, so this is
// a request like a person's. It says the time that the case names, not the present one, and
// its id follows from that: whoever says it twice changes nothing.
func (e *enforcement) RunClock(ctx context.Context) error {
	return e.member(ctx, "clock", schemas.TopicCasebook, e.clock)
}

// sayAgain is after how long a request is written again to which nothing was heard.
const sayAgain = 30 * time.Second

// waiting is a case that the clock changes.
type waiting struct {
	entity schemas.Entity
	id     string // the case's
	next   time.Time
	said   time.Time
}

func (e *enforcement) clock(ctx context.Context, gen *kafka.Generation) error {
	r := &reader{client: e.client, log: e.log, gauge: func(int32, float64) {}}
	if err := r.start(ctx, gen, e.prefix, schemas.TopicCasebook); err != nil {
		return err
	}
	cases := map[string]*waiting{}
	for {
		err := r.next(ctx, func(_ kafka.TopicPartition, rec *kafka.Record) {
			key := string(rec.Key)
			delete(cases, key)
			if rec.Value == nil {
				return
			}
			var c schemas.Case
			if err := json.Unmarshal(rec.Value, &c); err != nil {
				e.log.Error("a case cannot be read: nothing of it falls due", "entity", schemas.Printable(key), "error", err)
				return
			}
			if c.Next.IsZero() {
				return
			}
			cases[key] = &waiting{entity: c.Entity, id: c.ID, next: c.Next}
		})
		if err != nil {
			return err
		}
		for _, w := range cases {
			now := time.Now()
			if now.Before(w.next) || now.Sub(w.said) < sayAgain {
				continue
			}
			if err := e.say(ctx, w); err != nil {
				return err
			}
			w.said = now
		}
	}
}

func (e *enforcement) say(ctx context.Context, w *waiting) error {
	q := schemas.Request{
		ID: schemas.DeriveID("req", "due", w.id, strconv.FormatInt(w.next.UnixMilli(), 10)), Time: w.next, Entity: w.entity,
		Act: schemas.ActDue, Actor: schemas.FromHoldfast, From: schemas.FromHoldfast,
	}
	b, err := json.Marshal(&q)
	if err != nil {
		return fmt.Errorf("encode request %s: %w", q.ID, err)
	}
	return writeKeyed(ctx, e.client, e.prefix, e.lanes, schemas.TopicInbox, schemas.KindRequest, q.ID, q.Entity.Key(), b)
}
