package record

import (
	"time"

	"github.com/go-json-experiment/json"

	"holdfast/ingest/clickhouse"
	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

// common is what every finding has, as far as it has it.
type common struct {
	id, entity, account string
	time                int64
}

// appendFinding adds a finding's row. What cannot be decoded is kept all the
// same: its body whole, its columns as far as headers and key tell.
func (e *encoder) appendFinding(b *clickhouse.Block, at place, r *kafka.Record, h headers) {
	c := common{id: h.id, entity: text(r.Key), time: r.Time}
	own := e.read(at.topic, &h, r, &c)
	w := row{b: b}
	w.position(at, r)
	w.word(string(h.kind))
	w.text(c.id)
	w.next().Time(c.time)
	w.text(c.entity)
	w.text(c.account)
	w.word(h.source)
	w.word(h.origin)
	if own != nil {
		own(&w)
	}
	w.end(len(b.Columns) - 1)
	w.next().Bytes(r.Value)
	b.EndRow()
}

// read decodes a finding, fills in what it has in common with others, and returns
// what appends its own columns.
func (e *encoder) read(topic schemas.Topic, h *headers, r *kafka.Record, c *common) func(*row) {
	switch topic {
	case schemas.TopicInbox:
		return e.readInbox(h, r, c)
	case schemas.TopicDecisions:
		return decoded(r, c, decision)
	case schemas.TopicActions:
		return decoded(r, c, action)
	case schemas.TopicNotices:
		return decoded(r, c, notice)
	case schemas.TopicCases:
		return decoded(r, c, whichCase)
	case schemas.TopicOperator:
		return decoded(r, c, operator)
	case schemas.TopicGaps:
		c.entity = ""
		return decoded(r, c, gap)
	case schemas.TopicRejected:
		c.entity = ""
		return decoded(r, c, rejected)
	}
	return nil
}

// decoded reads a finding of one type, nil where it cannot be read.
func decoded[T any](r *kafka.Record, c *common, columns func(*T, *common) func(*row)) func(*row) {
	var v T
	if err := json.Unmarshal(r.Value, &v); err != nil {
		return nil
	}
	return columns(&v, c)
}

func (c *common) fill(id string, t time.Time, entity schemas.Entity, account string) {
	if id != "" {
		c.id = id
	}
	if !t.IsZero() {
		c.time = t.UnixMilli()
	}
	if !entity.IsZero() {
		c.entity = entity.Key()
	}
	if c.account = account; account == "" && entity.Kind == schemas.KindAccount {
		c.account = entity.ID
	}
}

func (e *encoder) readInbox(h *headers, r *kafka.Record, c *common) func(*row) {
	switch h.kind {
	case schemas.KindSignal, schemas.KindTrial:
		return decoded(r, c, signal)
	case schemas.KindRequest:
		return decoded(r, c, request)
	case schemas.KindAnswer:
		return decoded(r, c, answer)
	case schemas.KindEvent:
		if e.dec.Decode(r.Value, &e.event) == nil {
			c.id, c.time, c.account = e.event.ID, e.event.Time, e.event.Account
		}
	}
	return nil
}

func signal(s *schemas.Signal, c *common) func(*row) {
	c.fill(s.ID, s.Time, s.Entity, s.Account)
	return func(w *row) {
		w.word(s.Detector)
		w.word(string(s.Family))
		w.word(string(s.Severity))
		w.whole(s.Level)
		w.float(s.Score)
		w.end(inboxTrial)
		w.word(s.Trial)
	}
}

func request(q *schemas.Request, c *common) func(*row) {
	c.fill(q.ID, q.Time, q.Entity, "")
	return func(w *row) {
		w.end(inboxAct)
		w.word(q.Act)
		w.text(q.Actor)
	}
}

func answer(a *schemas.Answer, c *common) func(*row) {
	c.fill(a.ID, a.Time, a.Entity, "")
	return func(w *row) {
		w.end(inboxDecision)
		w.text(a.Decision)
	}
}

var (
	inboxAct      = columnOf(schemas.TopicInbox, "act")
	inboxDecision = columnOf(schemas.TopicInbox, "decision")
	inboxTrial    = columnOf(schemas.TopicInbox, schemas.ColumnTrial)
)

func columnOf(topic schemas.Topic, name string) int {
	t, _ := schemas.TableOf(topic)
	return t.Index(name)
}

func decision(d *schemas.Decision, c *common) func(*row) {
	c.fill(d.ID, d.Time, d.Entity, d.Account)
	return func(w *row) {
		w.word(string(d.Verdict))
		w.word(string(d.Proposed))
		w.word(d.Policy)
		w.whole(d.PolicyVersion)
		w.word(string(d.Mode))
		w.whole(d.Episode)
		w.float(d.Score)
		w.flag(d.Braked)
		w.text(d.By)
		w.texts(d.Signals)
		w.next().Floats(d.Shares)
		w.word(d.Trial)
	}
}

func action(a *schemas.Action, c *common) func(*row) {
	c.fill(a.ID, a.Time, a.Entity, a.Account)
	return func(w *row) {
		w.text(a.Decision)
		w.word(string(a.Verdict))
		w.word(a.Channel)
		w.text(a.Target)
		w.word(a.Outcome)
		w.whole(a.Attempts)
	}
}

func notice(n *schemas.Notice, c *common) func(*row) {
	c.fill(n.ID, n.Time, n.Entity, n.Account)
	return func(w *row) {
		w.text(n.Decision)
		w.word(n.Audience)
		w.word(n.Channel)
		w.text(n.To)
		w.word(n.Outcome)
		w.whole(n.Attempts)
	}
}

func whichCase(k *schemas.Case, c *common) func(*row) {
	c.fill(k.ID, k.Time, k.Entity, k.Account)
	return func(w *row) {
		w.whole(k.Episode)
		w.word(string(k.Stage))
		w.text(k.By)
	}
}

func operator(o *schemas.Operator, c *common) func(*row) {
	c.fill(o.ID, o.Time, o.Entity, "")
	return func(w *row) {
		w.text(o.Actor)
		w.word(o.Act)
		w.text(o.Why)
		w.text(o.Refused)
	}
}

func gap(g *schemas.Gap, c *common) func(*row) {
	c.fill(g.ID, g.Time, schemas.Entity{}, "")
	return func(w *row) {
		w.word(string(g.Topic))
		w.whole(int(g.Partition))
		w.long(g.From)
		w.long(g.To)
		w.text(g.Reason)
	}
}

func rejected(j *schemas.Rejected, c *common) func(*row) {
	c.fill(j.ID, j.Time, schemas.Entity{}, "")
	return func(w *row) {
		w.text(j.Topic)
		w.whole(int(j.Partition))
		w.long(j.Offset)
		w.word(string(j.Reason))
		w.text(j.Detail)
		w.long(int64(j.Size))
		w.text(j.SHA256)
	}
}
