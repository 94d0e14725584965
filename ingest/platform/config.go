package platform

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"holdfast/ingest/intake"
	"holdfast/schemas"
)

// Config names the platform's topics. Zero values take the defaults.
type Config struct {
	Group  string  `yaml:"group"` // consumer group; each topic's is this, a dot and the topic; default "holdfast.intake"
	Topics []Topic `yaml:"topics"`
	// MaxBytes bounds one fetch of one topic; default 8 MiB.
	MaxBytes int `yaml:"max_bytes"`
	// SessionTimeout is how long the group waits for a silent member; default 10 s.
	SessionTimeout time.Duration `yaml:"session_timeout"`
}

// Topic maps one of the platform's topics to events.
type Topic struct {
	Topic string `yaml:"topic"`
	// Type is the type of every record. Without it the field "type", renamed and
	// translated by the rules below, says it.
	Type schemas.EventType `yaml:"type"`
	// Fields renames: from the platform's name, with dots into nested objects, to
	// the event's. A field that is not named keeps its name.
	Fields map[string]string `yaml:"fields"`
	// Constants adds fields that every record has; they override the record's.
	Constants map[string]string `yaml:"constants"`
	// Values translates the texts of a field (by the event's name): from, to.
	Values map[string]map[string]string `yaml:"values"`
	// Time is how the record writes times.
	Time TimeFormat `yaml:"time"`
	// Allow lists the types that the topic may bring; none means all.
	Allow []schemas.EventType `yaml:"allow"`
	// Start is where a group without a position begins.
	Start Start `yaml:"start"`
	// Origin is live (default), or import for what must stop nobody.
	Origin schemas.Origin `yaml:"origin"`

	intake.Limits `yaml:",inline"`
}

// TimeFormat is how a topic writes times.
type TimeFormat string

// The formats of time.
const (
	RFC3339   TimeFormat = "rfc3339" // default
	Unix      TimeFormat = "unix"    // seconds, also with a fraction
	UnixMS    TimeFormat = "unix_ms"
	KafkaTime TimeFormat = "kafka" // the record's own timestamp; its field is ignored
)

// Start is where reading begins.
type Start string

// The starts.
const (
	Earliest Start = "earliest" // default
	Latest   Start = "latest"
)

func (c *Config) setDefaults() {
	if c.Group == "" {
		c.Group = "holdfast.intake"
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = 8 << 20
	}
	if c.SessionTimeout == 0 {
		c.SessionTimeout = 10 * time.Second
	}
}

// Validate returns every mistake, joined.
func (c *Config) Validate() error {
	var all []error
	if c.MaxBytes < 0 {
		all = append(all, fmt.Errorf("max_bytes: %d is negative: write bytes, or leave it out", c.MaxBytes))
	}
	seen := map[string]bool{}
	for i := range c.Topics {
		t := &c.Topics[i]
		if seen[t.Topic] {
			all = append(all, fmt.Errorf("topics[%d]: %s appears twice: give each topic one mapping", i, t.Topic))
		}
		seen[t.Topic] = true
		for _, err := range t.mistakes() {
			all = append(all, fmt.Errorf("topics[%d] (%s): %w", i, t.Topic, err))
		}
	}
	return errors.Join(all...)
}

func (t *Topic) mistakes() (all []error) {
	wrong := func(format string, args ...any) { all = append(all, fmt.Errorf(format, args...)) }
	if t.Topic == "" {
		wrong("topic: name it")
	}
	for _, typ := range append(slices.Clone(t.Allow), t.Type) {
		if typ != "" && !slices.Contains(schemas.EventTypes(), typ) {
			wrong("type %q is unknown: use one of %v", typ, schemas.EventTypes())
		}
	}
	if !slices.Contains([]TimeFormat{"", RFC3339, Unix, UnixMS, KafkaTime}, t.Time) {
		wrong("time: %q is unknown: use rfc3339, unix, unix_ms or kafka", t.Time)
	}
	if !slices.Contains([]Start{"", Earliest, Latest}, t.Start) {
		wrong("start: %q is unknown: use earliest or latest", t.Start)
	}
	if !slices.Contains([]schemas.Origin{"", schemas.OriginLive, schemas.OriginImport}, t.Origin) {
		wrong("origin: %q is unknown: use live or import", t.Origin)
	}
	all = append(all, t.Limits.Mistakes()...)
	all = append(all, t.fieldMistakes()...)
	return all
}

func (t *Topic) fieldMistakes() (all []error) {
	to := map[string]string{}
	for _, from := range sortedKeys(t.Fields) {
		name := t.Fields[from]
		switch {
		case name == "" || strings.Contains(name, "."):
			all = append(all, fmt.Errorf("fields: %s: %q is no field of an event: write its name", from, name))
		case slices.Contains(strings.Split(from, "."), ""):
			all = append(all, fmt.Errorf("fields: %q has an empty part: write a name, or names with dots between", from))
		case to[name] != "":
			all = append(all, fmt.Errorf("fields: %s and %s both become %s: keep one", to[name], from, name))
		case t.Type != "" && !known(t.Type, name):
			all = append(all, fmt.Errorf("fields: %s: a %s has no field %q", from, t.Type, name))
		}
		to[name] = from
	}
	for _, name := range sortedKeys(t.Constants) {
		if name == "" || to[name] != "" {
			all = append(all, fmt.Errorf("constants: %q is empty or comes from %s already: keep one", name, to[name]))
		}
		if t.Type != "" && !known(t.Type, name) {
			all = append(all, fmt.Errorf("constants: a %s has no field %q", t.Type, name))
		}
	}
	return all
}

func known(t schemas.EventType, name string) bool {
	return name == "type" || slices.ContainsFunc(schemas.Fields(t), func(f schemas.Field) bool { return f.Name == name })
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
