package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/oklog/ulid/v2"

	"holdfast/cmd/internal/config"
	"holdfast/cmd/internal/rebuild"
	"holdfast/ingest/history"
	"holdfast/ingest/kafka"
	"holdfast/ingest/lane"
	"holdfast/schemas"
)

// RebuildOptions say what is rebuilt and where to.
type RebuildOptions struct {
	Since  time.Time // of the past, what arrived since then; zero is all that the store holds
	Prefix string    // of new topics; "" rebuilds the state of the present ones
	Lanes  int       // of the new topics
	Notes  string    // the file that says how far a run has come
	Every  int64     // after how many events that is written down (default 2,000,000)
	DryRun bool      // rebuild and compare, and write nothing
	Actor  string
	// Progress, where given, is told how far it is.
	Progress func(rebuild.Progress)
}

// Rebuilt is what a rebuild did.
type Rebuilt struct {
	Events   int64                 `json:"events"`
	Requests int64                 `json:"requests"`
	Resumed  bool                  `json:"resumed,omitempty"`
	Values   map[schemas.Topic]int `json:"values"`  // written, by projection
	Deleted  int                   `json:"deleted"` // values of entities of which the store knows nothing
	Adopted  int                   `json:"adopted"` // standings taken from the status topic alone
	Same     int                   `json:"same_decisions"`
	Missing  []string              `json:"missing_decisions,omitempty"` // in the store, and do not follow again
	Extra    []string              `json:"extra_decisions,omitempty"`   // follow, and were never made
}

// ErrStillRunning says that lanes work on the state that is to be rebuilt.
var ErrStillRunning = errors.New("the installation runs")

// rebuilding is one rebuild's surroundings.
type rebuilding struct {
	client  *kafka.Client
	cfg     *config.Config
	opts    RebuildOptions
	install schemas.Installation
	control map[string][]byte
	// applied are the offsets up to which the lanes have worked, by topic and lane.
	applied map[schemas.Topic][]int64
	out     Rebuilt
}

// Rebuild makes the state of detect, respond and the gate anew from the audit store. The
// installation's lanes must be stopped; its broker and its store run. What the lanes had
// worked up to is rebuilt, and they go on from there: nothing is published twice, and
// nothing is published by this. Without a prefix the state of the present topics is
// replaced. With one, new topics are made, with as many lanes as is wished, whose control,
// status and state are those of the old ones; the switch is the configuration's
// kafka.prefix and kafka.lanes.
func Rebuild(ctx context.Context, client *kafka.Client, cfg *config.Config, past *history.History, opts RebuildOptions) (Rebuilt, error) {
	r := &rebuilding{client: client, cfg: cfg, opts: opts, applied: map[schemas.Topic][]int64{}, out: Rebuilt{Values: map[schemas.Topic]int{}}}
	if err := r.look(ctx); err != nil {
		return r.out, err
	}
	st, err := rebuild.Run(ctx, rebuild.Config{
		Control: r.control, HashSecret: r.install.HashSecret, AgeLimit: cfg.Respond.AgeLimit.Duration(), Brake: cfg.Respond.Brake,
		Since: opts.Since, Folded: r.folded, Notes: opts.Notes, Every: opts.Every, Progress: opts.Progress,
	}, past)
	if err != nil {
		return r.out, fmt.Errorf("rebuild: %w", err)
	}
	r.out.Events, r.out.Requests, r.out.Resumed = st.Events, st.Requests, st.Resumed
	statuses, err := r.statuses(ctx)
	if err != nil {
		return r.out, err
	}
	if r.out.Adopted, err = st.Adopt(statuses); err != nil {
		return r.out, err
	}
	if err := r.compare(ctx, past, st); err != nil {
		return r.out, err
	}
	if opts.DryRun {
		return r.out, nil
	}
	if err := r.stopped(ctx); err != nil {
		return r.out, err
	}
	if opts.Prefix != "" {
		return r.out, r.move(ctx, st)
	}
	return r.out, r.replace(ctx, st)
}

// look reads what is fixed and how far everybody has come.
func (r *rebuilding) look(ctx context.Context) (err error) {
	if r.install, err = ReadInstallation(ctx, r.client, r.cfg); err != nil {
		return err
	}
	if err := r.stopped(ctx); err != nil {
		return err
	}
	r.control, err = lastValues(ctx, r.client, r.cfg.Kafka.Prefix+string(schemas.TopicControl), []int32{0}, func(k string) bool { return k != schemas.ControlInstallation })
	if err != nil {
		return err
	}
	if _, err := schemas.ParseLevel(r.control[schemas.ControlLevel]); err != nil {
		return err
	}
	if r.control[schemas.ControlPolicies] == nil {
		return errors.New("control holds no policies: start the installation once, or write them by `holdfast topics create`")
	}
	for _, x := range []struct {
		group  string
		topic  schemas.Topic
		lanes  int
		stored bool // the recorder must have come as far
	}{
		{lane.Detect().Name, schemas.TopicEvents, r.install.Lanes, true}, {lane.Detect().Name, schemas.TopicFacts, r.install.Lanes, false},
		{lane.Respond().Name, schemas.TopicInbox, r.install.Lanes, true}, {lane.Gate().Name, schemas.TopicProposals, 1, false},
	} {
		if r.applied[x.topic], err = r.progress(ctx, x.group, x.topic, x.lanes, x.stored); err != nil {
			return err
		}
	}
	return nil
}

// stopped refuses while a lane or enforcement works.
func (r *rebuilding) stopped(ctx context.Context) error {
	for _, group := range []string{lane.Detect().Name, lane.Respond().Name, lane.Gate().Name, "enforce"} {
		members, err := r.client.Members(ctx, r.cfg.Kafka.Prefix+group)
		if err != nil {
			return err
		}
		if len(members) > 0 {
			return fmt.Errorf("%w: %d members are in group %s, the first %s at %s: stop every process with the roles detect and respond "+
				"(the embedded engines run by `holdfast run --roles record,serve`)", ErrStillRunning, len(members), r.cfg.Kafka.Prefix+group, members[0].ID, members[0].Host)
		}
	}
	return nil
}

// progress is how far a group has come in its lanes of a topic. Where the broker has
// forgotten that, it is how far the recorder has, or the log's end.
func (r *rebuilding) progress(ctx context.Context, group string, topic schemas.Topic, lanes int, stored bool) ([]int64, error) {
	var tps []kafka.TopicPartition
	for p := range int32(lanes) {
		tps = append(tps, kafka.TopicPartition{Topic: r.cfg.Kafka.Prefix + string(topic), Partition: p})
	}
	done, err := r.client.Committed(ctx, r.cfg.Kafka.Prefix+group, tps)
	if err != nil {
		return nil, err
	}
	kept, err := r.client.Committed(ctx, r.cfg.Kafka.Prefix+"record", tps)
	if err != nil {
		return nil, err
	}
	ends, err := r.client.Offsets(ctx, tps)
	if err != nil {
		return nil, err
	}
	out := make([]int64, lanes)
	for i, tp := range tps {
		at := done[tp].Offset
		if at < 0 {
			if at = ends[tp].End; stored {
				at = max(kept[tp].Offset, 0)
			}
		}
		if stored && kept[tp].Offset < at {
			return nil, fmt.Errorf("the audit store lacks records of %s: the lanes have come to offset %d and the recorder to %d: let a process with the role record catch up first", tp, at, max(kept[tp].Offset, 0))
		}
		if r.opts.Prefix != "" && topic == schemas.TopicEvents && at < ends[tp].End {
			return nil, fmt.Errorf("%s has %d events that no lane has read: start the installation, stop intake, let its lanes catch up, and stop it again", tp, ends[tp].End-at)
		}
		out[i] = at
	}
	return out, nil
}

// folded reports whether a record of the past was part of the lanes' state.
func (r *rebuilding) folded(at history.Position) bool {
	done := r.applied[at.Topic]
	return at.LogID != r.install.LogID || int(at.Partition) >= len(done) || at.Offset < done[at.Partition]
}

func partitions(n int) []int32 {
	out := make([]int32, n)
	for i := range out {
		out[i] = int32(i)
	}
	return out
}

func (r *rebuilding) statuses(ctx context.Context) ([]schemas.Status, error) {
	all, err := lastValues(ctx, r.client, r.cfg.Kafka.Prefix+string(schemas.TopicStatus), partitions(r.install.Lanes), func(string) bool { return true })
	if err != nil {
		return nil, err
	}
	var out []schemas.Status
	for _, key := range slices.Sorted(maps.Keys(all)) {
		var s schemas.Status
		if err := json.Unmarshal(all[key], &s); err != nil {
			return nil, fmt.Errorf("the status of %q: %w", key, err)
		}
		out = append(out, s)
	}
	return out, nil
}

// compare says which decisions follow from the past and were not made, and the reverse.
func (r *rebuilding) compare(ctx context.Context, past *history.History, st *rebuild.State) error {
	made, err := past.Decided(ctx, time.UnixMilli(0), time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC))
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for i := range made {
		d := &made[i]
		known[d.ID] = true
		switch {
		case st.Decisions[d.ID]:
			r.out.Same++
		case d.By == "" && !d.Time.Before(r.opts.Since):
			r.out.Missing = append(r.out.Missing, d.ID)
		}
	}
	for id := range st.Decisions {
		if !known[id] {
			r.out.Extra = append(r.out.Extra, id)
		}
	}
	slices.Sort(r.out.Extra)
	return nil
}

// stateRoles are the roles whose state is rebuilt.
var stateRoles = map[schemas.Topic]lane.Role{schemas.TopicStateDetect: lane.Detect(), schemas.TopicStateRespond: lane.Respond(), schemas.TopicStateGate: lane.Gate()}

// replace writes the state over what is there, and deletes what the store knows nothing of.
func (r *rebuilding) replace(ctx context.Context, st *rebuild.State) error {
	w := newStateWriter(r.client, r.cfg.Kafka.Prefix, r.install)
	stale := map[kafka.TopicPartition]map[string]bool{}
	for topic := range stateRoles {
		n := r.install.Lanes
		if topic == schemas.TopicStateGate {
			n = 1
		}
		for _, p := range partitions(n) {
			tp := kafka.TopicPartition{Topic: r.cfg.Kafka.Prefix + string(topic), Partition: p}
			keys, err := lastValues(ctx, r.client, tp.Topic, []int32{p}, func(string) bool { return true })
			if err != nil {
				return err
			}
			stale[tp] = map[string]bool{}
			for key := range keys {
				stale[tp][key] = true
			}
		}
	}
	err := st.Values(func(topic schemas.Topic, entity string) (a schemas.Applied) {
		p := partitionOf(topic, entity, r.install.Lanes)
		switch topic {
		case schemas.TopicStateDetect:
			a[schemas.AppliedEvents], a[schemas.AppliedFacts] = r.applied[schemas.TopicEvents][p], r.applied[schemas.TopicFacts][p]
		case schemas.TopicStateRespond:
			a[schemas.AppliedInbox] = r.applied[schemas.TopicInbox][p]
		default:
			a[schemas.AppliedProposals] = r.applied[schemas.TopicProposals][p]
		}
		return a
	}, func(topic schemas.Topic, entity, key string, value []byte) error {
		at := w.at(topic, entity)
		delete(stale[at], key)
		r.out.Values[topic]++
		return w.put(ctx, topic, at, key, value)
	})
	if err != nil {
		return err
	}
	for at, keys := range stale {
		topic := schemas.Topic(strings.TrimPrefix(at.Topic, r.cfg.Kafka.Prefix))
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			r.out.Deleted++
			if err := w.put(ctx, topic, at, key, nil); err != nil {
				return err
			}
		}
	}
	if err := w.flush(ctx); err != nil {
		return err
	}
	if err := r.commit(ctx); err != nil {
		return err
	}
	return r.audit(ctx, r.cfg.Kafka.Prefix)
}

// commit gives the groups what the state holds, where the broker had forgotten it.
func (r *rebuilding) commit(ctx context.Context) error {
	for group, topics := range map[string][]schemas.Topic{lane.Detect().Name: {schemas.TopicEvents, schemas.TopicFacts}, lane.Respond().Name: {schemas.TopicInbox}, lane.Gate().Name: {schemas.TopicProposals}} {
		offsets := map[kafka.TopicPartition]kafka.Committed{}
		for _, topic := range topics {
			for p, at := range r.applied[topic] {
				offsets[kafka.TopicPartition{Topic: r.cfg.Kafka.Prefix + string(topic), Partition: int32(p)}] = kafka.Committed{Offset: at}
			}
		}
		if err := r.client.Commit(ctx, kafka.Assignment{Group: r.cfg.Kafka.Prefix + group, Generation: -1}, offsets); err != nil {
			return err
		}
	}
	return nil
}

// move makes new topics with the installation's control, status and state. Its
// installation is written last: without it nothing starts on them.
func (r *rebuilding) move(ctx context.Context, st *rebuild.State) error {
	to := *r.cfg
	to.Kafka.Prefix, to.Kafka.Lanes = r.opts.Prefix, r.opts.Lanes
	if to.Kafka.Prefix == r.cfg.Kafka.Prefix {
		return fmt.Errorf("the new topics' prefix is the old one, %q: give another", to.Kafka.Prefix)
	}
	if to.Kafka.Lanes <= 0 {
		to.Kafka.Lanes = r.install.Lanes
	}
	r.opts.Lanes = to.Kafka.Lanes
	if err := CreateTopics(ctx, r.client, &to); err != nil {
		return err
	}
	if _, err := ReadInstallation(ctx, r.client, &to); !errors.Is(err, ErrNoInstallation) {
		return errors.Join(fmt.Errorf("topics %s* hold an installation already: give another prefix", to.Kafka.Prefix), err)
	}
	in := r.install
	in.Lanes, in.LogID, in.Created = to.Kafka.Lanes, ulid.Make().String(), time.Now().UTC().Truncate(time.Millisecond)
	now := time.Now().UnixMilli()
	for _, key := range slices.Sorted(maps.Keys(r.control)) {
		rec := kafka.Record{Key: []byte(key), Value: r.control[key], Time: now, Headers: []kafka.Header{{Key: schemas.HeaderKind, Value: []byte(schemas.KindControl)}}}
		if err := r.client.Write(ctx, kafka.TopicPartition{Topic: to.Kafka.Prefix + string(schemas.TopicControl)}, []kafka.Record{rec}); err != nil {
			return err
		}
	}
	w := newStateWriter(r.client, to.Kafka.Prefix, in)
	all, err := lastValues(ctx, r.client, r.cfg.Kafka.Prefix+string(schemas.TopicStatus), partitions(r.install.Lanes), func(string) bool { return true })
	if err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if err := w.put(ctx, schemas.TopicStatus, w.at(schemas.TopicStatus, key), key, all[key]); err != nil {
			return err
		}
	}
	err = st.Values(func(schemas.Topic, string) schemas.Applied { return schemas.Applied{} },
		func(topic schemas.Topic, entity, key string, value []byte) error {
			r.out.Values[topic]++
			return w.put(ctx, topic, w.at(topic, entity), key, value)
		})
	if err != nil {
		return err
	}
	if err := w.flush(ctx); err != nil {
		return err
	}
	if err := writeControl(ctx, r.client, &to, schemas.ControlInstallation, in, r.opts.Actor, "rebuilt from topics "+r.cfg.Kafka.Prefix+"*"); err != nil {
		return err
	}
	return r.audit(ctx, r.cfg.Kafka.Prefix)
}

// audit leaves an operator record.
func (r *rebuilding) audit(ctx context.Context, prefix string) error {
	why := "the state was made anew from the audit store"
	if r.opts.Prefix != "" {
		why += fmt.Sprintf(", into topics %s* with %d lanes", r.opts.Prefix, r.opts.Lanes)
	}
	now := time.Now().UTC()
	op := schemas.Operator{ID: "opr_" + ulid.Make().String(), Time: now, Actor: r.opts.Actor, Act: "rebuild", Why: why, After: fmt.Sprintf("%d events, %d requests", r.out.Events, r.out.Requests)}
	b, err := json.Marshal(op)
	if err != nil {
		return err
	}
	return r.client.Write(ctx, kafka.TopicPartition{Topic: prefix + string(schemas.TopicOperator)}, []kafka.Record{{
		Key: []byte("control:rebuild"), Value: b, Time: now.UnixMilli(),
		Headers: []kafka.Header{{Key: schemas.HeaderKind, Value: []byte(schemas.KindOperator)}, {Key: schemas.HeaderID, Value: []byte(op.ID)}},
	}})
}
