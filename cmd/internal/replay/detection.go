package replay

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

// detection is the first half of a run: what is seen of accounts and employees, and
// what these tell each other. Nothing that follows from it ever comes back to it, so
// that it runs ahead of the second half: addresses, which are only told things, and
// the decisions. Two lanes share the entities.
type detection struct {
	lanes [lanes]lane
	talk  talk
}

const lanes = 2

// lane folds the records of its entities.
type lane struct {
	number        int32
	engine        fold
	events, facts int64 // offsets
	to            *turn
	from          int32
	emit          func(schemas.Output)

	// Over a file:
	in      schemas.Input
	at      int          // the line of the block at hand
	said    []*word      // to the other lane, that it has not been told
	heard   int64        // the other lane has come so far
	wants   int64        // and has to come so far before this one goes on
	waiting []*word      // what the other said, until their line
	now     atomic.Int64 // the line at hand, 0 for none
}

// turn is what detection made of one line.
type turn struct {
	outs []produced
	err  error // why the line itself could not be used
}

// produced is a record, and which of the turn's it followed from: the number of a
// fact plus one, 0 for the line itself.
type produced struct {
	out  schemas.Output
	from int32
	err  error // why the fact could not be used
}

func newDetection(engines [lanes]fold) *detection {
	d := new(detection)
	for i := range d.lanes {
		l := &d.lanes[i]
		l.number, l.engine, l.in = int32(i), engines[i], newInput()
		l.emit = func(o schemas.Output) { l.to.outs = append(l.to.outs, produced{out: o, from: l.from}) }
	}
	return d
}

// laneOf is the lane of an entity that is no address.
func laneOf(key []byte) int32 { return kafka.Partition(key, lanes) }

// ofAddress reports whether a key is an address's.
func ofAddress(key string) bool { return strings.HasPrefix(key, string(schemas.KindIP)+":") }

// take folds in an event and the facts that follow from it, in their order.
func (d *detection) take(in *schemas.Input, to *turn) {
	to.clear()
	if ofAddress(in.Key) {
		return
	}
	d.lanes[laneOf([]byte(in.Key))].event(in, to)
	for i := 0; i < len(to.outs); i++ {
		if o := &to.outs[i].out; forPeople(o) {
			to.outs[i].err = d.lanes[laneOf([]byte(o.Key))].fact(inputOf(o, in.Arrival), to, int32(i+1))
		}
	}
}

func (t *turn) clear() {
	clear(t.outs)
	t.outs, t.err = t.outs[:0], nil
}

// forPeople reports whether a record is a fact that an account or an employee is told.
func forPeople(o *schemas.Output) bool { return o.Topic == schemas.TopicFacts && !ofAddress(o.Key) }

// inputOf makes a fold's output the input of another.
func inputOf(o *schemas.Output, arrival int64) schemas.Input {
	return schemas.Input{Topic: o.Topic, Arrival: arrival, Kind: o.Kind, ID: o.ID, Source: o.Source, Origin: o.Origin, Key: o.Key,
		Value: o.Value, Fact: o.Fact, Signal: o.Signal}
}

func (l *lane) event(in *schemas.Input, to *turn) {
	l.to, l.from = to, 0
	in.Offset = l.events
	l.events++
	_, to.err = l.engine.Apply(in, l.emit)
}

// fact folds in a fact; what follows from it is noted as of that number.
func (l *lane) fact(in schemas.Input, to *turn, from int32) error {
	l.to, l.from = to, from
	in.Offset = l.facts
	l.facts++
	_, err := l.engine.Apply(&in, l.emit)
	return err
}

// alone makes a turn of a record that is not detection's.
func (*detection) alone(to *turn, o schemas.Output) {
	to.clear()
	to.outs = append(to.outs, produced{out: o})
}

// conclude is the second half: it hands all that detection made of a record to
// whoever it is for, and all that follows from that.
func (r *Replay) conclude(in *schemas.Input, t *turn) error {
	r.queue, r.arrival = r.queue[:0], in.Arrival
	if in.Topic == schemas.TopicEvents {
		r.latest = max(r.latest, in.Arrival)
	}
	next := t.follow(0, 0, r)
	if ofAddress(in.Key) {
		r.in = *in
		if err := r.apply(&r.events); err != nil {
			return err
		}
	} else if err := r.used(in, t.err); err != nil {
		return err
	}
	for i := 0; i < len(r.queue); i++ {
		q := r.queue[i]
		if q.out.Topic != schemas.TopicFacts || ofAddress(q.out.Key) {
			if err := r.deliver(&q.out); err != nil {
				return err
			}
			continue
		}
		if q.number == 0 {
			return fmt.Errorf("fact %q to %s comes too late: only accounts and employees may tell something to these", q.out.ID, q.out.Key)
		}
		next = t.follow(next, q.number, r)
		if err := r.used(&schemas.Input{Kind: q.out.Kind, ID: q.out.ID, Topic: q.out.Topic}, t.outs[q.number-1].err); err != nil {
			return err
		}
	}
	return nil
}

// toldPeople concludes what followed from facts that came from another lane.
func (r *Replay) toldPeople(words []*word) error {
	for _, w := range words {
		if err := r.conclude(&w.in, &w.turn); err != nil {
			return err
		}
	}
	return nil
}

// queued is a record that has yet to be delivered, and its number among the turn's
// plus one, 0 where it came later.
type queued struct {
	out    schemas.Output
	number int32
}

// follow queues the turn's records that followed from one of them, of which the
// first is the next. It returns the next one after them.
func (t *turn) follow(next int, from int32, r *Replay) int {
	for ; next < len(t.outs) && t.outs[next].from == from; next++ {
		r.queue = append(r.queue, queued{t.outs[next].out, int32(next + 1)})
	}
	return next
}

// used takes the outcome of folding a record in: one that cannot be used is refused,
// as a lane rejects it and goes on.
func (r *Replay) used(in *schemas.Input, err error) error {
	if err == nil {
		return nil
	}
	if refused, ok := errors.AsType[*schemas.Error](err); ok {
		r.refuse(r.at, refused)
		return nil
	}
	return fmt.Errorf("%s %q on %s: %w", in.Kind, in.ID, in.Topic, err)
}
