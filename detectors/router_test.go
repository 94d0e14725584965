package detectors

import (
	"bytes"
	"maps"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"unsafe"

	"github.com/go-json-experiment/json"

	"holdfast/schemas"
)

// router plays P detect lanes in one process: it keeps a log of events and facts a
// partition, knows doubles as the lanes do, and collects what the engines emit.
type router struct {
	now     int64 // the latest arrival of what was folded
	t       testing.TB
	engines []*Engine // the folds' live ones
	folds   []*Fold
	trial   []byte // the control value, if there is one
	told    int64  // from which arrival on it is known
	knows   []bool // which lanes have been given it
	tried   map[string]schemas.Signal
	logs    []map[schemas.Topic][]schemas.Input
	read    []map[schemas.Topic]int
	seen    []map[schemas.Topic]map[string]bool
	signals map[string]schemas.Signal
	order   []string
	outputs map[string]bool // every output's id, by topic
	config  Config
	errors  []error
	// networks is what intake would know of addresses.
	networks map[string]schemas.Network
	level    []byte         // the control value "level", nil for none
	origin   schemas.Origin // of events
	// Faults: how a fact travels, and how often a lane is cut.
	rng        *rand.Rand
	delay      bool // facts wait, are doubled and overtake each other
	cut        float64
	saved      []map[string][]byte
	dirty      []map[string]bool
	checkpoint []map[schemas.Topic]int
}

func newRouter(t testing.TB, lanes int, seed uint64) *router {
	r := &router{t: t, signals: map[string]schemas.Signal{}, tried: map[string]schemas.Signal{}, outputs: map[string]bool{}, rng: rand.New(rand.NewPCG(seed, 99)),
		origin: schemas.OriginLive, config: Config{Lanes: lanes, HashSecret: []byte("a secret of the tests' own, yes.")}}
	for i := range lanes {
		r.engines, r.folds, r.knows = append(r.engines, nil), append(r.folds, nil), append(r.knows, false)
		r.start(i)
		r.logs = append(r.logs, map[schemas.Topic][]schemas.Input{})
		r.read = append(r.read, map[schemas.Topic]int{})
		r.seen = append(r.seen, map[schemas.Topic]map[string]bool{schemas.TopicEvents: {}, schemas.TopicFacts: {}})
		r.saved = append(r.saved, map[string][]byte{})
		r.dirty = append(r.dirty, map[string]bool{})
		r.checkpoint = append(r.checkpoint, map[schemas.Topic]int{})
	}
	return r
}

// lentFact is a fact as who wrote it hands it on: its texts are parts of memory that
// is used again.
func lentFact(t testing.TB, value []byte) (*schemas.Fact, []byte) {
	var f schemas.Fact
	if err := json.Unmarshal(value, &f); err != nil {
		t.Fatal(err)
	}
	lent := make([]byte, 0, 2*len(value)) // never moves
	for _, s := range []*string{&f.Entity.ID, &f.From.ID, &f.Value, &f.Account, &f.Employee, &f.Credential, &f.Address, &f.Event} {
		lent = append(lent, *s...)
		part := lent[len(lent)-len(*s):]
		*s = unsafe.String(unsafe.SliceData(part), len(part))
	}
	return &f, lent
}

// parameters starts all engines anew with these parameters.
func (r *router) parameters(p string) {
	r.config.Parameters = []byte(p)
	for i := range r.engines {
		r.start(i)
	}
}

// start makes a lane's fold anew.
func (r *router) start(i int) {
	r.config.Lane = i
	r.folds[i] = NewFold(r.config)
	if r.level != nil {
		if err := r.folds[i].Control(schemas.ControlLevel, r.level); err != nil {
			r.t.Fatal(err)
		}
	}
	r.engines[i], r.knows[i] = r.folds[i].Live(), false
}

// upgrade raises the installation to the newest feature level, at which all is saved.
func (r *router) upgrade() {
	r.level = newest.Value
	for i := range r.engines {
		r.start(i)
	}
}

// control gives a lane what the control topic holds.
func (r *router) control(i int) {
	if r.trial == nil || r.knows[i] || r.now < r.told {
		return
	}
	r.knows[i] = true
	if err := r.folds[i].Control(schemas.ControlTrial, r.trial); err != nil {
		r.t.Fatal(err)
	}
}

// lane spreads keys; any function of the key alone will do.
func (r *router) lane(key string) int {
	h := uint32(2166136261)
	for i := range len(key) {
		h = (h ^ uint32(key[i])) * 16777619
	}
	return int(h % uint32(len(r.engines)))
}

func (r *router) append(topic schemas.Topic, in schemas.Input) {
	i := r.lane(in.Key)
	in.Topic, in.Partition, in.Offset = topic, int32(i), int64(len(r.logs[i][topic]))
	id := in.Source + "\x00" + in.ID
	in.Duplicate = r.seen[i][topic][id]
	r.seen[i][topic][id] = true
	r.logs[i][topic] = append(r.logs[i][topic], in)
}

// event appends one event's JSON to its lane's log.
func (r *router) event(data []byte) { r.eventOf(data, "test", schemas.TrustFull) }

func (r *router) eventOf(data []byte, source string, trust schemas.Trust) {
	var e schemas.Event
	if err := schemas.Decode(data, &e); err != nil {
		r.t.Fatalf("%s: %v", data, err)
	}
	var network schemas.Network
	if e.IP.IsValid() {
		network = r.networks[schemas.NormalIP(e.IP).String()]
	}
	r.append(schemas.TopicEvents, schemas.Input{Network: network, Arrival: e.Time, Kind: schemas.KindEvent, ID: e.ID, Source: source, Trust: trust, Origin: r.origin,
		Key: e.Entity().Key(), Value: data})
}

// step lets one lane fold the next record of one of its topics.
func (r *router) step(i int, topic schemas.Topic) bool {
	at := r.read[i][topic]
	if at >= len(r.logs[i][topic]) {
		return false
	}
	in := r.logs[i][topic][at]
	r.read[i][topic]++
	r.now = max(r.now, in.Arrival)
	r.control(i)
	// What the engine is handed is only valid during the call: spoil it afterwards.
	lent := bytes.Clone(in.Value)
	in.Value = lent
	if topic == schemas.TopicFacts && r.rng.IntN(2) == 0 {
		in.Fact, lent = lentFact(r.t, lent)
	}
	touched, err := r.folds[i].Apply(&in, r.emit)
	for k := range lent {
		lent[k] = '#'
	}
	if err != nil {
		r.errors = append(r.errors, err)
	}
	if touched {
		r.dirty[i][in.Key] = true
	}
	if r.cut > 0 {
		r.faults(i)
	}
	return true
}

func (r *router) emit(out schemas.Output) {
	if out.ID == "" || out.Key == "" || len(out.Value) == 0 {
		r.t.Fatalf("an output without id, key or value: %+v", out)
	}
	r.outputs[string(out.Topic)+" "+out.ID] = true
	switch out.Topic {
	case schemas.TopicFacts:
		var f schemas.Fact
		if err := json.Unmarshal(out.Value, &f); err != nil || !reflect.DeepEqual(&f, out.Fact) {
			r.t.Fatalf("a fact %+v (%v) was written from %+v", f, err, out.Fact)
		}
		in := schemas.Input{Arrival: r.now, Kind: out.Kind, ID: out.ID, Origin: out.Origin, Key: out.Key, Value: out.Value}
		r.append(schemas.TopicFacts, in)
		if r.delay && r.rng.IntN(3) == 0 {
			r.append(schemas.TopicFacts, in)
		}
	case schemas.TopicInbox:
		if out.Kind == schemas.KindEvent {
			return
		}
		var s schemas.Signal
		if err := json.Unmarshal(out.Value, &s); err != nil {
			r.t.Fatal(err)
		}
		if !reflect.DeepEqual(&s, out.Signal) {
			r.t.Fatalf("a signal %+v was written from %+v", s, out.Signal)
		}
		if s.ID != out.ID || s.Entity.Key() != out.Key {
			r.t.Fatalf("signal %+v does not match its envelope %+v", s, out)
		}
		if out.Kind == schemas.KindTrial {
			r.tried[s.ID] = s
			return
		}
		if _, ok := r.signals[s.ID]; !ok {
			r.signals[s.ID] = s
			r.order = append(r.order, s.ID)
		}
	}
}

// faults saves some of what changed, and sometimes loses the process: its
// successor restores what was saved and reads on from the last commit.
func (r *router) faults(i int) {
	for _, key := range shuffledKeys(r.rng, r.dirty[i]) {
		if r.rng.Float64() < 0.2 {
			r.save(i, key)
		}
	}
	if r.rng.Float64() < r.cut {
		for _, key := range shuffledKeys(r.rng, r.dirty[i]) {
			r.save(i, key)
		}
		r.checkpoint[i] = maps.Clone(r.read[i])
	}
	if r.rng.Float64() < r.cut {
		r.start(i)
		for _, key := range shuffledKeys(r.rng, r.saved[i]) {
			if err := r.folds[i].Restore(key, r.saved[i][key]); err != nil {
				r.t.Fatal(err)
			}
		}
		r.control(i)
		r.dirty[i] = map[string]bool{}
		r.read[i] = maps.Clone(r.checkpoint[i])
	}
}

// shuffledKeys is a map's keys in an order that only the seed decides, so that what fails
// with a seed fails with it again.
func shuffledKeys[V any](rng *rand.Rand, m map[string]V) []string {
	keys := slices.Sorted(maps.Keys(m))
	rng.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	return keys
}

func (r *router) save(i int, key string) {
	err := r.folds[i].Save(key, func(key string, value []byte) {
		if value == nil {
			delete(r.saved[i], key)
			return
		}
		r.saved[i][key] = value
	})
	if err != nil {
		r.t.Fatal(err)
	}
	delete(r.dirty[i], key)
}

// run folds everything. Lanes and topics take turns at random where facts are
// delayed, and otherwise facts go first.
func (r *router) run() {
	topics := []schemas.Topic{schemas.TopicFacts, schemas.TopicEvents}
	for busy := true; busy; {
		busy = false
		for n := range r.engines {
			i := n
			if r.delay {
				i = r.rng.IntN(len(r.engines))
				busy = r.turn(i, topics[min(r.rng.IntN(8), 1)]) || busy
				continue
			}
			for r.step(i, schemas.TopicFacts) {
				busy = true
			}
			busy = r.turn(i, schemas.TopicEvents) || busy
		}
		if !busy {
			for i := range r.engines {
				for _, topic := range topics {
					busy = r.turn(i, topic) || busy
				}
			}
		}
	}
}

// turn is a step, or waiting where the lane is ahead of the others.
func (r *router) turn(i int, topic schemas.Topic) bool {
	return topic == schemas.TopicEvents && r.ahead(i) || r.step(i, topic)
}

// ahead reports whether a lane's events are more than a day ahead of what another
// has not read yet. What addresses are told is forgotten after five, and no lane
// that lives is so far behind.
func (r *router) ahead(lane int) bool {
	next := func(i int, topic schemas.Topic) int64 {
		if log, at := r.logs[i][topic], r.read[i][topic]; at < len(log) {
			return log[at].Arrival
		}
		return math.MaxInt64
	}
	mine, least := next(lane, schemas.TopicEvents), int64(math.MaxInt64)
	for i := range r.engines {
		least = min(least, next(i, schemas.TopicEvents), next(i, schemas.TopicFacts))
	}
	return mine < math.MaxInt64 && mine > least+msDay
}

// ids returns the signals' ids, sorted.
func (r *router) ids() []string { return slices.Sorted(maps.Keys(r.signals)) }
