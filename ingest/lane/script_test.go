package lane_test

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strconv"

	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

// scripted is one thing that the outside writes.
type scripted struct {
	event  *event
	poison bool
	lane   int32
	floor  int // with from
	from   int
}

// script draws what the outside writes: events somewhat out of order, some of them
// twice, poison, and new floors.
func script(seed uint64) []scripted {
	r := rand.New(rand.NewPCG(seed, 7))
	var out []scripted
	var hist [laneCount][]*event
	now := 0
	for n := range 110 {
		now += []int{0, 0, 1, 1, 2, 3}[r.IntN(6)]
		x := r.Float64()
		p := int32(r.IntN(laneCount))
		switch {
		case x < .12 && len(hist[p]) > 0:
			some := hist[p][max(0, len(hist[p])-25):]
			ev := some[r.IntN(len(some))]
			hist[p] = append(hist[p], ev)
			out = append(out, scripted{event: ev, lane: p})
		case x < .15:
			out = append(out, scripted{poison: true, lane: p})
		case x < .19:
			out = append(out, scripted{floor: 2 + r.IntN(4), from: now + 15})
		default:
			ev := &event{ID: "e" + strconv.Itoa(n), Key: "account:a" + strconv.Itoa(r.IntN(4)), Time: max(0, now-r.IntN(6)), IP: "ip:192.0.2." + strconv.Itoa(r.IntN(3))}
			own := kafka.Partition([]byte(ev.Key), laneCount)
			hist[own] = append(hist[own], ev)
			out = append(out, scripted{event: ev, lane: own})
		}
	}
	return out
}

func record(kind schemas.Kind, id, key string, v any) kafka.Record {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	r := kafka.Record{Value: b, Headers: []kafka.Header{{Key: schemas.HeaderKind, Value: []byte(kind)}}}
	if key != "" {
		r.Key = []byte(key)
	}
	if id != "" {
		r.Headers = append(r.Headers, kafka.Header{Key: schemas.HeaderID, Value: []byte(id)})
	}
	return r
}

// write lets the outside write its next record.
func (w *world) write() {
	s := w.script[0]
	w.script = w.script[1:]
	switch {
	case s.poison:
		w.c.Append(at(schemas.TopicEvents, s.lane), kafka.Record{Value: []byte("{bad"), Key: poisonKey(s.lane)})
	case s.event != nil:
		w.c.Append(at(schemas.TopicEvents, s.lane), record(schemas.KindEvent, s.event.ID, s.event.Key, s.event))
	default:
		w.floors = append(slices.Clone(w.floors), floorFrom{s.from, s.floor})
		w.c.Append(at(schemas.TopicControl, 0), record(schemas.KindControl, "", "floor", w.floors))
	}
}

// poisonKey gives a key that maps to the partition.
func poisonKey(p int32) []byte {
	for i := 0; ; i++ {
		if key := []byte("account:p" + strconv.Itoa(i)); kafka.Partition(key, laneCount) == p {
			return key
		}
	}
}
