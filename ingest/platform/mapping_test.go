package platform

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v4"

	"holdfast/ingest/intake"
	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

const sample = `
topics:
  - topic: platform.mail
    type: send
    fields: {uid: id, customer: account, ts: time, meta.client.ip: ip, to: recipients, kanal: channel}
    constants: {sender: "shop@example.net"}
    values: {channel: {HTTP: api, relay: smtp}}
    time: unix_ms
    start: latest
  - topic: platform.audit
    fields: {kind: type}
    values: {type: {signin: login, api_key: credential}}
    allow: [login, credential]
`

func config(t *testing.T, text string) Config {
	t.Helper()
	var cfg Config
	if err := yaml.Unmarshal([]byte(text), &cfg); err != nil {
		t.Fatal(err)
	}
	return cfg
}

var (
	at  = kafka.TopicPartition{Topic: "platform.mail", Partition: 3}
	now = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
)

func TestMapping(t *testing.T) {
	cfg := config(t, sample)
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	mail, audit := &cfg.Topics[0], &cfg.Topics[1]
	cases := []struct {
		name     string
		topic    *Topic
		in, want string
	}{
		{"everything", mail,
			`{"uid":"u1","customer":4711,"ts":1772409608350,"meta":{"client":{"ip":"192.0.2.1"},"x":1},"to":"a@example.net","kanal":"relay","size":12,"colour":"red"}`,
			`{"id":"u1","account":"4711","time":"2026-03-02T00:00:08.35Z","ip":"192.0.2.1","recipients":["a@example.net"],"channel":"smtp","size":12,"colour":"red","meta":{"client":{"ip":"192.0.2.1"},"x":1},"sender":"shop@example.net","type":"send"}`},
		{"a time as text, and a value that needs no change", mail,
			`{"uid":"u1","customer":"a","ts":"1772409608350","to":["b"],"kanal":"api"}`,
			`{"id":"u1","account":"a","time":"2026-03-02T00:00:08.35Z","recipients":["b"],"channel":"api","sender":"shop@example.net","type":"send"}`},
		{"the renamed field wins", mail,
			`{"id":"old","uid":"new","customer":"a","ts":1772409608350,"to":["b"]}`,
			`{"id":"new","account":"a","time":"2026-03-02T00:00:08.35Z","recipients":["b"],"sender":"shop@example.net","type":"send"}`},
		{"no id", mail,
			`{"customer":"a","ts":1772409608350,"to":["b"]}`,
			`{"id":"` + schemas.DeriveID("evt", "platform.mail", "3", "17") + `","account":"a","time":"2026-03-02T00:00:08.35Z","recipients":["b"],"sender":"shop@example.net","type":"send"}`},
		{"type from a field", audit,
			`{"id":"l","kind":"signin","account":"a","user":7,"outcome":"success","time":"2026-03-02T00:00:08+01:00"}`,
			`{"id":"l","type":"login","account":"a","user":"7","outcome":"success","time":"2026-03-02T00:00:08+01:00"}`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			out, bad := newMapping(c.topic).apply(&kafka.Record{Offset: 17, Value: []byte(c.in)}, at)
			if bad != nil {
				t.Fatal(bad)
			}
			var got, want any
			if err := json.Unmarshal(out, &got); err != nil {
				t.Fatalf("%s: %v", out, err)
			}
			if err := json.Unmarshal([]byte(c.want), &want); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("event (-want +got):\n%s", diff)
			}
			var checker intake.Checker
			if _, bad := checker.Check(out, &intake.Source{Types: c.topic.Allow}, now); bad != nil {
				t.Errorf("%s: %v", out, bad)
			}
		})
	}
}

func TestTimes(t *testing.T) {
	for _, c := range []struct {
		format         TimeFormat
		in, want, name string
	}{
		{Unix, `1772409608`, "2026-03-02T00:00:08Z", "seconds"},
		{Unix, `1772409608.35`, "2026-03-02T00:00:08.35Z", "seconds with a fraction"},
		{Unix, `"1772409608.35"`, "2026-03-02T00:00:08.35Z", "seconds as text"},
		{Unix, `1e300`, "", "out of all years"},
		{UnixMS, `1772409608350`, "2026-03-02T00:00:08.35Z", "milliseconds"},
		{UnixMS, `9223372036854775807`, "", "the largest number"},
		{KafkaTime, `"anything"`, "2026-03-02T00:00:09Z", "the record's own"},
	} {
		topic := &Topic{Topic: "t", Type: schemas.TypeLogin, Time: c.format}
		rec := &kafka.Record{Time: 1772409609000, Value: []byte(`{"id":"1","account":"a","user":"u","outcome":"success","time":` + c.in + `}`)}
		out, bad := newMapping(topic).apply(rec, at)
		if bad != nil {
			t.Fatalf("%s: %v", c.name, bad)
		}
		var e schemas.Event
		bad = schemas.Decode(out, &e)
		if got := time.UnixMilli(e.Time).UTC().Format(time.RFC3339Nano); (bad == nil) != (c.want != "") || bad == nil && got != c.want {
			t.Errorf("%s: %s gives %s, %v; want %s", c.name, out, got, bad, c.want)
		}
	}
}

func TestMappingRefuses(t *testing.T) {
	topic := &Topic{Topic: "t", Type: schemas.TypeSend}
	for in, reason := range map[string]schemas.Reason{
		`[]`: schemas.ReasonNotJSON, `{"a":1`: schemas.ReasonNotJSON, `{"a":1}{`: schemas.ReasonNotJSON, `{"a":1,"a":2}`: schemas.ReasonDuplicateKey,
		"{\"a\":\"\xff\"}": schemas.ReasonBadUTF8, `{"type":"send"} x`: schemas.ReasonNotJSON,
		`{"a":"` + strings.Repeat("x", schemas.MaxRecord) + `"}`: schemas.ReasonTooLarge,
	} {
		if _, bad := newMapping(topic).apply(&kafka.Record{Value: []byte(in)}, at); bad == nil || bad.Reason != reason || bad.Fix == "" {
			t.Errorf("%.60q: %v, want %s", in, bad, reason)
		}
	}
}

func TestValidateTellsEveryMistake(t *testing.T) {
	cfg := config(t, `
max_bytes: -1
topics:
  - topic: a
    type: sned
    time: noon
    start: middle
    origin: replay
    fields: {x: a.b, y: id, z: id, ".": user}
    constants: {id: "1"}
  - topic: a
    type: login
    fields: {x: recipients}
    constants: {size: "1"}
  - {}
`)
	err := cfg.Validate()
	if err == nil {
		t.Fatal("no mistake found")
	}
	for _, part := range []string{"max_bytes", `"sned" is unknown`, `"noon"`, `"middle"`, `"replay"`, `"a.b"`, "both become id", "empty part",
		"comes from z already", "appears twice", `no field "recipients"`, `no field "size"`, "name it"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not told in:\n%v", part, err)
		}
	}
}

// FuzzMapping: whatever stands on a topic, the result is JSON that the decoder
// can judge, and the same every time.
func FuzzMapping(f *testing.F) {
	f.Add([]byte(`{"uid":"u1","customer":4711,"ts":1772409608350,"meta":{"client":{"ip":"192.0.2.1"}},"to":"a"}`))
	f.Add([]byte(`{"meta":{"client":{"ip":"1","ip":"2"}},"\u0075id":"\ud834\udd1e"}`))
	f.Add([]byte(`{"ts":-0,"to":[],"kanal":null,"customer":1e5}`))
	f.Add([]byte(`[`))
	cfg := Config{}
	if err := yaml.Unmarshal([]byte(sample), &cfg); err != nil {
		f.Fatal(err)
	}
	m := newMapping(&cfg.Topics[0])
	f.Fuzz(func(t *testing.T, data []byte) {
		rec := &kafka.Record{Offset: 17, Value: data}
		out, bad := m.apply(rec, at)
		if bad != nil {
			if bad.Reason == "" || bad.Fix == "" {
				t.Fatalf("%+v lacks a part", bad)
			}
			return
		}
		again, _ := m.apply(rec, at)
		if string(out) != string(again) {
			t.Fatalf("%s, then %s", out, again)
		}
		var e schemas.Event
		if bad := schemas.Decode(out, &e); bad != nil && (bad.Reason == schemas.ReasonNotJSON || bad.Reason == schemas.ReasonDuplicateKey || bad.Reason == schemas.ReasonBadUTF8) {
			t.Fatalf("%s became %s: %v", data, out, bad)
		}
	})
}
