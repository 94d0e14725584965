package lane_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"holdfast/schemas"
)

// The folds here are small ones with everything in them that makes recovery hard:
// windows with a threshold of their own, alarms that freeze them, sets of what was
// seen, facts between lanes, counts by block of the log, levels, episodes.

const (
	lateness = 10
	window   = 20
)

type event struct {
	ID   string
	Key  string
	Time int
	IP   string
}

type fact struct {
	Kind   string
	Window int
	Time   int
	Lane   int32
	Block  int64
	N      int
	Value  string
}

type floorFrom struct{ From, Floor int }

type win struct {
	N      int
	IPs    map[string]bool
	Thr    int
	Frozen bool
}

// detectState is an entity's state but for the addresses it knows, which are a part
// of their own.
type detectState struct {
	Clock     int
	Win       map[int]*win
	Members   map[int]map[string]bool
	Counts    map[int]map[string]int
	Signals   map[string]bool
	Strangers int
}

type detectEntity struct {
	detectState
	applied schemas.Applied
	ips     map[string]bool
	known   schemas.Applied // of ips
}

type countKey struct {
	ip    string
	win   int
	block int64
}

type detectFold struct {
	lane   int32
	block  int64
	floors []floorFrom
	all    map[string]*detectEntity
	counts map[countKey]int
}

func newDetectFold(lane int32, block int64) *detectFold {
	return &detectFold{lane: lane, block: block, floors: []floorFrom{{-1 << 30, 3}}, all: map[string]*detectEntity{}, counts: map[countKey]int{}}
}

func (f *detectFold) Control(key string, value []byte) error {
	if key != "floor" {
		return nil
	}
	return json.Unmarshal(value, &f.floors)
}

func (f *detectFold) entity(key string) *detectEntity {
	e := f.all[key]
	if e == nil {
		e = &detectEntity{detectState: detectState{Clock: -1 << 30, Win: map[int]*win{}, Members: map[int]map[string]bool{},
			Counts: map[int]map[string]int{}, Signals: map[string]bool{}}, ips: map[string]bool{}}
		f.all[key] = e
	}
	return e
}

const partIPs = "/ips"

func (f *detectFold) Restore(key string, value []byte) error {
	frame, err := schemas.ParseStateFrame(value)
	if err != nil {
		return err
	}
	if key, ok := strings.CutSuffix(key, partIPs); ok {
		e := f.entity(key)
		e.known, e.ips = frame.Applied, map[string]bool{}
		return json.Unmarshal(frame.Payload, &e.ips)
	}
	e := f.entity(key)
	e.applied, e.detectState = frame.Applied, detectState{}
	return json.Unmarshal(frame.Payload, &e.detectState)
}

func (f *detectFold) Save(key string, emit func(string, []byte)) error {
	e := f.all[key]
	if e == nil {
		return fmt.Errorf("nothing is known of %s", key)
	}
	frame := func(a schemas.Applied, v any) []byte {
		payload, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		return schemas.AppendStateFrame(nil, schemas.StateFrame{Version: 1, Applied: a, Payload: payload})
	}
	if e.known != (schemas.Applied{}) {
		emit(key+partIPs, frame(e.known, e.ips))
	}
	emit(key, frame(e.applied, &e.detectState))
	return nil
}

func (f *detectFold) Apply(in *schemas.Input, emit func(schemas.Output)) (bool, error) {
	if in.Topic == schemas.TopicEvents {
		var ev event
		if err := json.Unmarshal(in.Value, &ev); err != nil {
			return false, &schemas.Error{Reason: schemas.ReasonNotJSON, Record: in.ID, What: err.Error()}
		}
		return f.event(in, &ev, emit), nil
	}
	var ft fact
	if err := json.Unmarshal(in.Value, &ft); err != nil {
		return false, err
	}
	return f.fact(in, &ft, emit), nil
}

func (f *detectFold) event(in *schemas.Input, ev *event, emit func(schemas.Output)) bool {
	if in.Duplicate {
		return false
	}
	e, w := f.entity(in.Key), ev.Time/window
	at := countKey{ev.IP, w, in.Offset / f.block}
	f.counts[at]++
	emitJSON(emit, schemas.TopicFacts, schemas.KindCount, "", ev.IP,
		fact{Kind: "count", Window: w, Time: ev.Time, Lane: f.lane, Block: at.block, N: f.counts[at]})
	isNew := !e.ips[ev.IP]
	if in.Offset >= e.known[schemas.AppliedEvents] {
		e.ips[ev.IP] = true
		e.known[schemas.AppliedEvents] = in.Offset + 1
	}
	if in.Offset < e.applied[schemas.AppliedEvents] {
		return false
	}
	e.applied[schemas.AppliedEvents] = in.Offset + 1
	if ev.Time < e.Clock-lateness {
		return true
	}
	e.Clock = max(e.Clock, ev.Time)
	c := e.window(w, f.floors)
	c.N++
	for l := 1; l <= 2; l++ {
		if c.N >= c.Thr*l {
			e.signal(emit, "vol", in.Key, w, l)
			c.Frozen = true
		}
	}
	if isNew {
		e.Strangers++
		e.signal(emit, "new", in.Key, ev.IP, 1)
	}
	if e.Strangers >= 3 {
		e.signal(emit, "str", in.Key, 0, 1)
	}
	if !c.IPs[ev.IP] {
		c.IPs[ev.IP] = true
		emitJSON(emit, schemas.TopicFacts, schemas.KindMember, "", ev.IP, fact{Kind: "member", Window: w, Time: ev.Time, Value: in.Key})
	}
	return true
}

// window gives a window, which begins with the threshold in force at its start: the
// floor, or twice the highest of those that ended the lateness before.
func (e *detectEntity) window(w int, floors []floorFrom) *win {
	if c := e.Win[w]; c != nil {
		return c
	}
	base, floor := 0, 0
	for u, c := range e.Win {
		if (u+1)*window <= w*window-lateness && !c.Frozen {
			base = max(base, c.N)
		}
	}
	for _, f := range floors {
		if f.From <= w*window {
			floor = f.Floor
		}
	}
	c := &win{IPs: map[string]bool{}, Thr: max(floor, 2*base)}
	e.Win[w] = c
	return c
}

func (f *detectFold) fact(in *schemas.Input, ft *fact, emit func(schemas.Output)) bool {
	e := f.entity(in.Key)
	if in.Offset < e.applied[schemas.AppliedFacts] {
		return false
	}
	e.applied[schemas.AppliedFacts] = in.Offset + 1
	e.Clock = max(e.Clock, ft.Time)
	if ft.Kind == "member" {
		m := e.Members[ft.Window]
		if m == nil {
			m = map[string]bool{}
			e.Members[ft.Window] = m
		}
		m[ft.Value] = true
		for l := 2; l <= min(4, len(m)); l++ {
			e.signal(emit, "spray", in.Key, ft.Window, l)
		}
		return true
	}
	m := e.Counts[ft.Window]
	if m == nil {
		m = map[string]int{}
		e.Counts[ft.Window] = m
	}
	from := fmt.Sprintf("%d/%d", ft.Lane, ft.Block)
	if m[from] < ft.N {
		m[from] = ft.N
	}
	for _, l := range []int{3, 5, 7, 9} {
		if sum(m) >= l {
			e.signal(emit, "flood", in.Key, ft.Window, l)
		}
	}
	return true
}

func sum(m map[string]int) int {
	n := 0
	for _, v := range m {
		n += v
	}
	return n
}

type signal struct{ ID, Key, Family string }

func (e *detectEntity) signal(emit func(schemas.Output), family, key string, what any, level int) {
	id := fmt.Sprintf("%s %s %v %d", family, key, what, level)
	if e.Signals[id] {
		return
	}
	e.Signals[id] = true
	emitJSON(emit, schemas.TopicInbox, schemas.KindSignal, id, key, signal{id, key, family})
}

func emitJSON(emit func(schemas.Output), t schemas.Topic, k schemas.Kind, id, key string, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	emit(schemas.Output{Topic: t, Kind: k, ID: id, Key: key, Value: b})
}

// summary writes what of a detect entity's saved state must not depend on faults.
func (s *detectState) summary() string {
	var lines []string
	for w, c := range s.Win {
		lines = append(lines, fmt.Sprint("window ", w, " ", c.N, " ", c.IPs, " ", c.Thr))
	}
	for w, m := range s.Members {
		lines = append(lines, fmt.Sprint("members ", w, " ", m))
	}
	for w, m := range s.Counts {
		lines = append(lines, fmt.Sprint("counts ", w, " ", sum(m)))
	}
	slices.Sort(lines)
	return strings.Join(append(lines, fmt.Sprint("strangers ", s.Strangers)), "; ")
}
