package platform

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

// mapping turns a topic's records into events. It is not safe for use by several
// goroutines.
type mapping struct {
	topic  *Topic
	nested []rename // from dotted names, in order
	fields map[schemas.EventType]map[string]schemas.FieldKind
}

// rename moves a value out of nested objects.
type rename struct {
	path []string
	to   string
}

func newMapping(t *Topic) *mapping {
	m := &mapping{topic: t, fields: map[schemas.EventType]map[string]schemas.FieldKind{}}
	for _, from := range sortedKeys(t.Fields) {
		if path := strings.Split(from, "."); len(path) > 1 {
			m.nested = append(m.nested, rename{path, t.Fields[from]})
		}
	}
	for _, typ := range schemas.EventTypes() {
		kinds := map[string]schemas.FieldKind{}
		for _, f := range schemas.Fields(typ) {
			kinds[f.Name] = f.Kind
		}
		m.fields[typ] = kinds
	}
	return m
}

// member is one member of an object; value aliases the record.
type member struct {
	name  string
	value jsontext.Value
}

// apply returns the event's bytes, newly made. What is wrong with the record
// itself is left to the decoder wherever it can tell it.
func (m *mapping) apply(rec *kafka.Record, at kafka.TopicPartition) ([]byte, *schemas.Error) {
	in, err := members(rec.Value)
	if err != nil {
		return nil, err
	}
	out := m.rename(in)
	for _, name := range sortedKeys(m.topic.Constants) {
		out = set(out, name, quoted(m.topic.Constants[name]))
	}
	if m.topic.Type != "" {
		out = set(out, "type", quoted(string(m.topic.Type)))
	}
	if m.topic.Time == KafkaTime {
		out = set(out, "time", quoted(time.UnixMilli(rec.Time).UTC().Format(time.RFC3339Nano)))
	}
	if !slices.ContainsFunc(out, func(x member) bool { return x.name == "id" }) {
		id := schemas.DeriveID("evt", at.Topic, strconv.Itoa(int(at.Partition)), strconv.FormatInt(rec.Offset, 10))
		out = set(out, "id", quoted(id))
	}
	m.translate(out)
	return encode(out), nil
}

// rename applies Fields. A renamed field takes the place of one that already
// bears the name.
func (m *mapping) rename(in []member) []member {
	out := make([]member, 0, len(in)+len(m.nested)+4)
	var moved []member
	for _, x := range in {
		if to, ok := m.topic.Fields[x.name]; ok {
			moved = append(moved, member{to, x.value})
			continue
		}
		out = append(out, x)
	}
	for _, r := range m.nested {
		if v := lookup(in, r.path); v != nil {
			moved = append(moved, member{r.to, v})
		}
	}
	for _, x := range moved {
		out = set(out, x.name, x.value)
	}
	return out
}

// translate writes the values as events have them.
func (m *mapping) translate(out []member) {
	for i, x := range out {
		if table := m.topic.Values[x.name]; table != nil {
			if to, ok := table[plain(x.value)]; ok {
				out[i].value = quoted(to)
			}
		}
	}
	kinds := m.fields[typeOf(out)]
	for i, x := range out {
		if kind, ok := kinds[x.name]; ok {
			out[i].value = m.coerce(kind, x.value)
		}
	}
}

// coerce fixes what platforms commonly write otherwise: numbers for texts, one
// text for a list, times in other formats.
func (m *mapping) coerce(kind schemas.FieldKind, v jsontext.Value) jsontext.Value {
	switch kind {
	case schemas.FieldIdent, schemas.FieldString, schemas.FieldEnum:
		if v.Kind() == '0' {
			return quoted(string(v))
		}
	case schemas.FieldStrings:
		if v.Kind() == '"' {
			return slices.Concat(jsontext.Value("["), v, jsontext.Value("]"))
		}
	case schemas.FieldTime:
		if t, ok := m.instant(plain(v)); ok {
			return quoted(t.UTC().Format(time.RFC3339Nano))
		}
	}
	return v
}

func (m *mapping) instant(s string) (time.Time, bool) {
	scale := 1.0
	switch m.topic.Time {
	case UnixMS:
		scale = 1000
	case Unix:
	default:
		return time.Time{}, false
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && scale == 1000 {
		return time.UnixMilli(n), inRange(float64(n) / scale)
	}
	n, err := strconv.ParseFloat(s, 64)
	if err != nil || !inRange(n/scale) {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(math.Round(n / scale * 1000))), true
}

// inRange keeps seconds within the years that RFC 3339 can write.
func inRange(seconds float64) bool { return seconds > -62e9 && seconds < 253e9 }

func typeOf(all []member) schemas.EventType {
	for _, x := range all {
		if x.name == "type" {
			return schemas.EventType(plain(x.value))
		}
	}
	return ""
}

// members reads an object's members in order.
func members(data []byte) ([]member, *schemas.Error) {
	if len(data) > schemas.MaxRecord {
		return nil, &schemas.Error{Reason: schemas.ReasonTooLarge, What: fmt.Sprintf("%d bytes are more than %d", len(data), schemas.MaxRecord), Fix: "split the record"}
	}
	dec := jsontext.NewDecoder(bytes.NewBuffer(data))
	if dec.PeekKind() != '{' {
		return nil, notAnObject(data, nil)
	}
	if _, err := dec.ReadToken(); err != nil {
		return nil, notAnObject(data, err)
	}
	var out []member
	for dec.PeekKind() != '}' {
		name, err := dec.ReadToken()
		if err != nil {
			return nil, notAnObject(data, err)
		}
		x := member{name: name.String()}
		value, err := dec.ReadValue()
		if err != nil {
			return nil, notAnObject(data, err)
		}
		x.value = value
		out = append(out, x)
	}
	if _, err := dec.ReadToken(); err != nil {
		return nil, notAnObject(data, err)
	}
	if len(bytes.TrimSpace(data[dec.InputOffset():])) > 0 {
		return nil, notAnObject(data, errors.New("something follows the object"))
	}
	return out, nil
}

// notAnObject lets the decoder say what is wrong, in the words it has for every
// source.
func notAnObject(data []byte, err error) *schemas.Error {
	var e schemas.Event
	if bad := schemas.Decode(data, &e); bad != nil && bad.Field == "" {
		return bad
	}
	what := "is not a JSON object"
	if err != nil {
		what += ": " + err.Error()
	}
	return &schemas.Error{Reason: schemas.ReasonNotJSON, What: what, Fix: "write one object a record"}
}

func lookup(in []member, path []string) jsontext.Value {
	for _, x := range in {
		if x.name != path[0] {
			continue
		}
		if len(path) == 1 {
			return x.value
		}
		inner, err := members(x.value)
		if err != nil {
			return nil
		}
		return lookup(inner, path[1:])
	}
	return nil
}

func set(all []member, name string, v jsontext.Value) []member {
	for i := range all {
		if all[i].name == name {
			all[i].value = v
			return all
		}
	}
	return append(all, member{name, v})
}

func encode(all []member) []byte {
	size := 2
	for _, x := range all {
		size += len(x.name) + len(x.value) + 6
	}
	out := append(make([]byte, 0, size), '{')
	for i, x := range all {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(append(out, quoted(x.name)...), ':'), x.value...)
	}
	return append(out, '}')
}

func quoted(s string) jsontext.Value {
	b, err := jsontext.AppendQuote(nil, s)
	if err != nil { // what is not UTF-8 was refused before, or stands in the configuration
		return jsontext.Value(strconv.QuoteToASCII(strings.ToValidUTF8(s, "\ufffd")))
	}
	return b
}

// plain is a string's text, and any other value as it is written.
func plain(v jsontext.Value) string {
	if v.Kind() != '"' {
		return string(v)
	}
	b, err := jsontext.AppendUnquote(nil, v)
	if err != nil {
		return ""
	}
	return string(b)
}
