package record

import (
	"holdfast/ingest/clickhouse"
	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

// eventColumn is an event's column with the way to its value decided beforehand.
type eventColumn struct {
	schemas.EventColumn
	put func(*eventColumn, *clickhouse.Column, *schemas.Event)
}

func eventColumns() []eventColumn {
	declared := schemas.EventColumns()
	out := make([]eventColumn, len(declared))
	for i, c := range declared {
		out[i].EventColumn = c
		out[i].put = putter(c)
	}
	return out
}

func putter(c schemas.EventColumn) func(*eventColumn, *clickhouse.Column, *schemas.Event) {
	switch {
	case c.Kind == schemas.ColumnWord:
		return func(c *eventColumn, to *clickhouse.Column, e *schemas.Event) { to.Word(*c.Str(e)) }
	case c.Str != nil:
		return func(c *eventColumn, to *clickhouse.Column, e *schemas.Event) { to.Text(*c.Str(e)) }
	case c.Kind == schemas.ColumnTime:
		return func(c *eventColumn, to *clickhouse.Column, e *schemas.Event) { to.Time(*c.Num(e)) }
	case c.Num != nil:
		return func(c *eventColumn, to *clickhouse.Column, e *schemas.Event) { to.Int64(*c.Num(e)) }
	case c.Flag != nil:
		return func(c *eventColumn, to *clickhouse.Column, e *schemas.Event) { to.Bool(*c.Flag(e)) }
	case c.Addr != nil:
		return func(c *eventColumn, to *clickhouse.Column, e *schemas.Event) { to.IP(*c.Addr(e)) }
	case c.List != nil:
		return func(c *eventColumn, to *clickhouse.Column, e *schemas.Event) { to.Texts(*c.List(e)) }
	case c.Raw != nil:
		return func(c *eventColumn, to *clickhouse.Column, e *schemas.Event) { to.Bytes(*c.Raw(e)) }
	}
	return putParts
}

// putParts appends one member of each element of a list.
func putParts(c *eventColumn, to *clickhouse.Column, e *schemas.Event) {
	for i := range c.Part.Len(e) {
		if c.Part.Str != nil {
			to.Text(*c.Part.Str(e, i))
		} else {
			to.Int64(*c.Part.Num(e, i))
		}
	}
	to.EndList()
}

func (e *encoder) appendEvent(b *clickhouse.Block, at place, r *kafka.Record, h headers) fate {
	if err := e.dec.Decode(r.Value, &e.event); err != nil {
		return undecoded
	}
	if e.event.Time > clickhouse.MaxTime {
		return unfit
	}
	w := row{b: b}
	w.position(at, r)
	came := e.event.IP
	e.event.Translate(&h.net)
	entity := e.event.Entity()
	e.event.IP = came // the row keeps what came
	w.next().Joined(string(entity.Kind), ":", entity.ID)
	w.word(h.source)
	w.word(h.origin)
	for i := range e.columns {
		c := &e.columns[i]
		c.put(c, w.next(), &e.event)
	}
	w.network(&h.net)
	w.word(h.trust)
	w.text(h.net.IPv4)
	b.EndRow()
	return stored
}
