package lane_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"holdfast/schemas"
)

// countFold counts an entity's events: each gives a signal with its number, and every
// fourth tells the address whose turn it is. Whatever happens to a process, an entity's
// numbers must be 1, 2, 3 … and an address must know each teller once.
type countFold struct {
	all map[string]*counted
}

type counted struct {
	applied schemas.Applied
	n       uint64
	tellers []string
}

func newCountFold() *countFold { return &countFold{all: map[string]*counted{}} }

func (f *countFold) Control(string, []byte) error { return nil }

func (f *countFold) Restore(key string, value []byte) error {
	frame, err := schemas.ParseStateFrame(value)
	if err != nil {
		return err
	}
	c := &counted{applied: frame.Applied, n: binary.BigEndian.Uint64(frame.Payload)}
	if len(frame.Payload) > 8 {
		c.tellers = strings.Split(string(frame.Payload[8:]), "\n")
	}
	f.all[key] = c
	return nil
}

func (f *countFold) Save(key string, emit func(string, []byte)) error {
	c := f.all[key]
	payload := binary.BigEndian.AppendUint64(nil, c.n)
	payload = append(payload, strings.Join(c.tellers, "\n")...)
	emit(key, schemas.AppendStateFrame(nil, schemas.StateFrame{Version: 1, Applied: c.applied, Payload: payload}))
	return nil
}

func (f *countFold) Apply(in *schemas.Input, emit func(schemas.Output)) (bool, error) {
	c := f.all[in.Key]
	if c == nil {
		c = &counted{}
		f.all[in.Key] = c
	}
	topic := schemas.AppliedEvents
	if in.Topic == schemas.TopicFacts {
		topic = schemas.AppliedFacts
	}
	if in.Duplicate || in.Offset < c.applied[topic] {
		return false, nil
	}
	if string(in.Value) == "panic" {
		panic("as told")
	}
	if string(in.Value) == "bad" {
		return false, &schemas.Error{Reason: schemas.ReasonNotJSON, Record: in.ID, What: "bad"}
	}
	c.applied[topic] = in.Offset + 1
	if topic == schemas.AppliedFacts {
		if teller := string(in.Value); !slices.Contains(c.tellers, teller) {
			c.tellers = append(c.tellers, teller)
			slices.Sort(c.tellers)
		}
		return true, nil
	}
	c.n++
	emit(schemas.Output{Topic: schemas.TopicInbox, Kind: schemas.KindSignal, ID: signalID(in.Key, c.n), Key: in.Key, Value: in.Value})
	if c.n%4 == 0 {
		emit(schemas.Output{Topic: schemas.TopicFacts, Kind: schemas.KindMember, Key: address(in.Key, c.n), Value: []byte(fmt.Sprintf("%s %d", in.Key, c.n))})
	}
	return true, nil
}

func signalID(key string, n uint64) string { return fmt.Sprintf("%s#%d", key, n) }

func address(key string, n uint64) string {
	return fmt.Sprintf("ip:192.0.2.%d", (uint64(len(key))+n/4)%5)
}

// cheapFold is a fold that costs little: for measuring the lane around it.
type cheapFold struct{ all map[string]*cheap }

type cheap struct{ applied, n int64 }

func (f *cheapFold) Control(string, []byte) error { return nil }
func (f *cheapFold) Restore(string, []byte) error { return nil }
func (f *cheapFold) Save(key string, emit func(string, []byte)) error {
	c := f.all[key]
	frame := schemas.StateFrame{Version: 1, Payload: make([]byte, 500)}
	frame.Applied[schemas.AppliedEvents] = c.applied
	emit(key, schemas.AppendStateFrame(make([]byte, 0, 540), frame))
	return nil
}

func (f *cheapFold) Apply(in *schemas.Input, emit func(schemas.Output)) (bool, error) {
	c := f.all[in.Key]
	if c == nil {
		c = &cheap{}
		f.all[in.Key] = c
	}
	if in.Duplicate || in.Offset < c.applied {
		return false, nil
	}
	c.applied = in.Offset + 1
	if c.n++; c.n%1000 == 0 {
		emit(schemas.Output{Topic: schemas.TopicInbox, Kind: schemas.KindSignal, ID: signalID(in.Key, uint64(c.n)), Key: in.Key, Value: []byte("{}")})
	}
	return true, nil
}
