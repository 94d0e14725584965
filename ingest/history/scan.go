package history

import (
	"net/netip"
	"strings"
	"time"

	"holdfast/schemas"
)

// eventScan holds the variables that an event's columns are read into, and makes
// the event of them.
type eventScan struct {
	columns []schemas.EventColumn
	texts   []string
	longs   []int64
	flags   []bool
	times   []time.Time
	addrs   []*netip.Addr
	lists   [][]string
	numbers [][]int64
}

func newEventScan() *eventScan {
	c := schemas.EventColumns()
	n := len(c)
	return &eventScan{
		columns: c, texts: make([]string, n), longs: make([]int64, n), flags: make([]bool, n), times: make([]time.Time, n),
		addrs: make([]*netip.Addr, n), lists: make([][]string, n), numbers: make([][]int64, n),
	}
}

// names are the columns in the order of into. Each has another name in the answer,
// so that a condition on a column never means what is given in its place.
func (s *eventScan) names() string {
	names := make([]string, len(s.columns))
	for i, c := range s.columns {
		names[i] = "`" + c.Name + "` AS `event_" + c.Name + "`"
	}
	return strings.Join(names, ", ")
}

// defaults are as many values of the same types, for rows that are no event.
func (s *eventScan) defaults() string {
	values := make([]string, len(s.columns))
	for i, c := range s.columns {
		values[i] = "defaultValueOfTypeName('" + strings.ReplaceAll(c.Type(), "'", `\'`) + "') AS `event_" + c.Name + "`"
	}
	return strings.Join(values, ", ")
}

// into are the destinations of a row's event columns.
func (s *eventScan) into() []any {
	out := make([]any, len(s.columns))
	for i, c := range s.columns {
		switch c.Kind {
		case schemas.ColumnInt64:
			out[i] = &s.longs[i]
		case schemas.ColumnBool:
			out[i] = &s.flags[i]
		case schemas.ColumnTime:
			out[i] = &s.times[i]
		case schemas.ColumnIP:
			out[i] = &s.addrs[i]
		case schemas.ColumnTexts:
			out[i] = &s.lists[i]
		case schemas.ColumnInts:
			out[i] = &s.numbers[i]
		default:
			out[i] = &s.texts[i]
		}
	}
	return out
}

// event makes the event of the row that was read last.
func (s *eventScan) event() *schemas.Event {
	e := new(schemas.Event)
	for i, c := range s.columns {
		switch {
		case c.Str != nil:
			*c.Str(e) = s.texts[i]
		case c.Kind == schemas.ColumnTime:
			*c.Num(e) = s.times[i].UnixMilli()
		case c.Num != nil:
			*c.Num(e) = s.longs[i]
		case c.Flag != nil:
			*c.Flag(e) = s.flags[i]
		case c.Addr != nil && s.addrs[i] != nil:
			*c.Addr(e) = s.addrs[i].Unmap()
		case c.List != nil && len(s.lists[i]) > 0:
			*c.List(e) = s.lists[i]
		case c.Raw != nil && s.texts[i] != "":
			*c.Raw(e) = []byte(s.texts[i])
		case c.Part != nil:
			s.parts(i, e)
		}
	}
	return e
}

func (s *eventScan) parts(i int, e *schemas.Event) {
	part := s.columns[i].Part
	if part.Str != nil {
		part.Grow(e, len(s.lists[i]))
		for k, v := range s.lists[i] {
			*part.Str(e, k) = v
		}
		return
	}
	part.Grow(e, len(s.numbers[i]))
	for k, v := range s.numbers[i] {
		*part.Num(e, k) = v
	}
}
