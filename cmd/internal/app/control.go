package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/oklog/ulid/v2"

	"holdfast/alerting/policy"
	"holdfast/cmd/internal/config"
	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// lastValues reads a compacted topic to its end and returns the last value of each
// key; deleted keys are left out.
func lastValues(ctx context.Context, c *kafka.Client, topic string, partitions []int32, keep func(key string) bool) (map[string][]byte, error) {
	out := map[string][]byte{}
	for _, p := range partitions {
		err := readToEnd(ctx, c, kafka.TopicPartition{Topic: topic, Partition: p}, 0, func(r kafka.Record) error {
			if header(r, schemas.HeaderKind) == string(schemas.KindFence) || !keep(string(r.Key)) {
				return nil
			}
			if r.Value == nil {
				delete(out, string(r.Key))
				return nil
			}
			out[string(r.Key)] = slices.Clone(r.Value)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// readToEnd reads one partition from an offset to the end that it has now.
func readToEnd(ctx context.Context, c *kafka.Client, tp kafka.TopicPartition, from int64, each func(kafka.Record) error) error {
	ranges, err := c.Offsets(ctx, []kafka.TopicPartition{tp})
	if err != nil {
		return fmt.Errorf("find the end of %v: %w", tp, err)
	}
	at := kafka.Position{TopicPartition: tp, Offset: max(from, ranges[tp].Start)}
	for at.Offset < ranges[tp].End {
		got, err := c.Fetch(ctx, []kafka.Position{at}, kafka.FetchOptions{MaxWait: time.Second})
		if err == nil {
			err = got[0].Err
		}
		switch {
		case errors.Is(err, kafka.ErrOffsetOutOfRange):
			// Compaction has moved the log's start meanwhile.
			if ranges, err = c.Offsets(ctx, []kafka.TopicPartition{tp}); err != nil {
				return fmt.Errorf("find the end of %v: %w", tp, err)
			}
			at.Offset = max(at.Offset, ranges[tp].Start)
			continue
		case err != nil && kafka.Retriable(err) && ctx.Err() == nil:
			continue
		case err != nil:
			return fmt.Errorf("read %v: %w", at, err)
		}
		for _, r := range got[0].Records {
			if r.Offset < ranges[tp].End {
				if err := each(r); err != nil {
					return err
				}
			}
		}
		at.Offset = got[0].Next
	}
	return nil
}

func header(r kafka.Record, key string) string {
	for _, h := range r.Headers {
		if h.Key == key {
			return string(h.Value)
		}
	}
	return ""
}

// writeControl writes one value of control and the operator record of the change.
func writeControl(ctx context.Context, c *kafka.Client, cfg *config.Config, key string, value any, actor, why string) error {
	b, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode control value %s: %w", key, err)
	}
	now := time.Now().UTC()
	rec := kafka.Record{Key: []byte(key), Value: b, Time: now.UnixMilli(), Headers: []kafka.Header{{Key: schemas.HeaderKind, Value: []byte(schemas.KindControl)}}}
	if err := c.Write(ctx, kafka.TopicPartition{Topic: cfg.Kafka.Prefix + string(schemas.TopicControl)}, []kafka.Record{rec}); err != nil {
		return fmt.Errorf("write control value %s: %w", key, err)
	}
	op := schemas.Operator{ID: "opr_" + ulid.Make().String(), Time: now, Actor: actor, Act: "control " + key, Why: why, After: schemas.DeriveID("ctl", string(b))}
	ob, err := json.Marshal(op)
	if err != nil {
		return err
	}
	return c.Write(ctx, kafka.TopicPartition{Topic: cfg.Kafka.Prefix + string(schemas.TopicOperator)}, []kafka.Record{{
		Key: []byte("control:" + key), Value: ob, Time: now.UnixMilli(),
		Headers: []kafka.Header{{Key: schemas.HeaderKind, Value: []byte(schemas.KindOperator)}, {Key: schemas.HeaderID, Value: []byte(op.ID)}},
	}})
}

// ErrNoInstallation says that the topics hold no installation yet.
var ErrNoInstallation = errors.New("control holds no installation: run `holdfast topics create`")

// ReadInstallation returns what is fixed, from control.
func ReadInstallation(ctx context.Context, c *kafka.Client, cfg *config.Config) (schemas.Installation, error) {
	in, _, err := readInstallation(ctx, c, cfg)
	return in, err
}

// readInstallation returns the installation whose record came first, as its newest
// record says it, so that processes that each write one at the same time agree. last
// is false where another installation's record stands after it.
func readInstallation(ctx context.Context, c *kafka.Client, cfg *config.Config) (in schemas.Installation, last bool, err error) {
	tp := kafka.TopicPartition{Topic: cfg.Kafka.Prefix + string(schemas.TopicControl)}
	err = readToEnd(ctx, c, tp, 0, func(r kafka.Record) error {
		if string(r.Key) != schemas.ControlInstallation || r.Value == nil {
			return nil
		}
		var x schemas.Installation
		if err := json.Unmarshal(r.Value, &x); err != nil {
			return fmt.Errorf("control value %s: %w", schemas.ControlInstallation, err)
		}
		if last = in.ID == "" || x.ID == in.ID; last {
			in = x
		}
		return nil
	})
	if err == nil && in.ID == "" {
		err = ErrNoInstallation
	}
	return in, last, err
}

// ReadVersions returns the values of control that say how is judged, policies,
// parameters and what is on trial, each with its history.
func ReadVersions(ctx context.Context, c *kafka.Client, cfg *config.Config) (map[string][]byte, error) {
	return lastValues(ctx, c, cfg.Kafka.Prefix+string(schemas.TopicControl), []int32{0}, func(k string) bool {
		return k == schemas.ControlPolicies || k == schemas.ControlParameters || k == schemas.ControlTrial
	})
}

// EnsureInstallation reads the installation, or writes a new one. Of those that
// processes write at the same time the first in the log holds, and is written again
// so that it outlives compaction. A number of lanes that differs from the configured
// one is refused.
func EnsureInstallation(ctx context.Context, c *kafka.Client, cfg *config.Config) (schemas.Installation, error) {
	in, last, err := readInstallation(ctx, c, cfg)
	if errors.Is(err, ErrNoInstallation) {
		in = schemas.Installation{
			ID: ulid.Make().String(), Lanes: cfg.Kafka.Lanes, LogID: ulid.Make().String(),
			Created: time.Now().UTC().Truncate(time.Millisecond), HashSecret: make([]byte, 32),
		}
		if _, err := rand.Read(in.HashSecret); err != nil {
			return in, fmt.Errorf("make the installation's secret: %w", err)
		}
		// The level first: an installation without one is taken for a first release's.
		newest := schemas.FeatureLevel{Level: schemas.LevelNewest}
		if err := writeControl(ctx, c, cfg, schemas.ControlLevel, newest, "holdfast", "the topics are new"); err != nil {
			return in, err
		}
		if err := writeControl(ctx, c, cfg, schemas.ControlInstallation, in, "holdfast", "the topics are new"); err != nil {
			return in, err
		}
		in, last, err = readInstallation(ctx, c, cfg)
	}
	if err != nil {
		return in, err
	}
	if !last {
		if err := writeControl(ctx, c, cfg, schemas.ControlInstallation, in, "holdfast", "processes started at the same time"); err != nil {
			return in, err
		}
	}
	if in.Lanes != cfg.Kafka.Lanes {
		return in, fmt.Errorf("%w: they were created with %d lanes and the configuration says kafka.lanes: %d: set it to %d", ErrTopics, in.Lanes, cfg.Kafka.Lanes, in.Lanes)
	}
	return in, nil
}

// renewLogID gives the log a new id, after a stop that may have lost its tail.
func renewLogID(ctx context.Context, c *kafka.Client, cfg *config.Config, in schemas.Installation, why string) (schemas.Installation, error) {
	in.LogID = ulid.Make().String()
	return in, writeControl(ctx, c, cfg, schemas.ControlInstallation, in, "holdfast", why)
}

// EnsureVersions puts the configured policies, parameters and trial into control where
// they differ from the newest version there. What a new installation begins with
// holds from the beginning of time, what comes later six minutes and more from now.
func EnsureVersions(ctx context.Context, c *kafka.Client, cfg *config.Config) error {
	policies, params, trial, err := configured(cfg)
	if err != nil {
		return err
	}
	all, err := ReadVersions(ctx, c, cfg)
	if err != nil {
		return err
	}
	began := all[schemas.ControlPolicies] != nil
	for _, x := range []struct {
		key   string
		value jsontext.Value
	}{{schemas.ControlPolicies, policies}, {schemas.ControlParameters, params}, {schemas.ControlTrial, trial}} {
		var v schemas.Versioned
		if b, ok := all[x.key]; ok {
			if err := json.Unmarshal(b, &v); err != nil {
				return fmt.Errorf("control value %s: %w", x.key, err)
			}
		}
		if !grow(&v, x.value, began, time.Now().UTC()) {
			continue
		}
		if err := writeControl(ctx, c, cfg, x.key, v, "configuration", "the file changed"); err != nil {
			return err
		}
	}
	return nil
}

// grow adds a version to a history and reports whether it had to. No value means the
// defaults: so a file that sets no number any more gives the defaults back, and one
// that sets the first number does so from then on, not for what has been.
func grow(v *schemas.Versioned, value jsontext.Value, began bool, now time.Time) bool {
	none := value == nil
	if none {
		value = jsontext.Value("{}")
	}
	first := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	switch n := len(v.Versions); {
	case n == 0 && none:
		return false
	case n == 0 && began:
		v.Versions = []schemas.Version{{From: first, Value: jsontext.Value("{}")}}
	case n > 0 && string(v.Versions[n-1].Value) == string(value):
		return false
	}
	from := first
	if len(v.Versions) > 0 {
		from = now.Add(schemas.ControlDelay + time.Minute).Truncate(time.Second)
	}
	v.Versions = append(v.Versions, schemas.Version{From: from, Value: value})
	if n := len(v.Versions) - maxVersions; n > 0 {
		last := v.Versions[n-1]
		if v.Versions = v.Versions[n:]; sameTrial(last.Value, v.Versions[0].Value) {
			v.Versions[0].From = last.From // a trial keeps its beginning, by which its state is known
		}
	}
	return true
}

// sameTrial reports whether both values name one trial.
func sameTrial(a, b jsontext.Value) bool {
	var s, t schemas.Trial
	return json.Unmarshal(a, &s) == nil && json.Unmarshal(b, &t) == nil && s.Name != "" && s.Name == t.Name
}

// maxVersions bounds a control value's history below the largest message.
const maxVersions = 16

// configured reads the policies, always, and the parameters and the trial, where the
// file sets any.
func configured(cfg *config.Config) (policies, params, trial jsontext.Value, err error) {
	name := cfg.Respond.PoliciesFile
	file, set, err := ReadPolicies(name)
	if err != nil {
		return nil, nil, nil, err
	}
	if policies, err = json.Marshal(string(file)); err != nil {
		return nil, nil, nil, err
	}
	if params, err = Parameters(name, set); err != nil {
		return nil, nil, nil, err
	}
	trial, err = Trial(name, set)
	return policies, params, trial, err
}

// ReadPolicies reads a policy file; no name is the one that Holdfast brings.
func ReadPolicies(name string) ([]byte, *policy.Set, error) {
	if name == "" {
		return policy.DefaultFile(), policy.Default(), nil
	}
	file, err := os.ReadFile(name)
	if err != nil {
		return nil, nil, fmt.Errorf("the policy file cannot be read: %w", err)
	}
	set, err := policy.Parse(name, file)
	if set == nil {
		return nil, nil, err
	}
	_, wrong := Parameters(name, set)
	_, alsoWrong := Trial(name, set)
	return file, set, errors.Join(err, wrong, alsoWrong)
}

// CountRecords counts what stands on a topic, fences left out.
func CountRecords(ctx context.Context, c *kafka.Client, cfg *config.Config, t schemas.Topic) (int64, error) {
	name := cfg.Kafka.Prefix + string(t)
	partitions, err := c.Partitions(ctx, name)
	if err != nil {
		return 0, err
	}
	var n int64
	for p := range int32(partitions) {
		err := readToEnd(ctx, c, kafka.TopicPartition{Topic: name, Partition: p}, 0, func(r kafka.Record) error {
			if header(r, schemas.HeaderKind) != string(schemas.KindFence) {
				n++
			}
			return nil
		})
		if err != nil {
			return 0, err
		}
	}
	return n, nil
}
