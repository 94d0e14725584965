package record

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"holdfast/ingest/clickhouse"
	"holdfast/ingest/history"
	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

// eventJSON makes a valid event of any type from the declarations of its fields.
func eventJSON(id string) *rapid.Generator[[]byte] {
	return rapid.Custom(func(t *rapid.T) []byte {
		typ := rapid.SampledFrom(schemas.EventTypes()).Draw(t, "type")
		v := map[string]any{"type": typ}
		for _, f := range schemas.Fields(typ) {
			if f.Required || rapid.Bool().Draw(t, f.Name) {
				v[f.Name] = fieldValue(t, f)
			}
		}
		v["id"] = id
		switch {
		case typ == schemas.TypeSend && v["recipients"] == nil:
			v["recipient_count"] = 3
		case typ == schemas.TypeSend:
			delete(v, "recipient_count")
		case typ == schemas.TypeLogin:
			delete(v, "employee")
			v["account"] = "a"
			if rapid.Bool().Draw(t, "staff") {
				delete(v, "account")
				v["employee"] = "m"
			}
		}
		if rapid.Bool().Draw(t, "unknown") {
			v["colour"] = map[string]any{"hue": rapid.Int().Draw(t, "hue"), "text": rapid.String().Draw(t, "text")}
		}
		out, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return out
	})
}

func fieldValue(t *rapid.T, f schemas.Field) any {
	texts := func(n int) []string {
		return rapid.SliceOfN(rapid.StringN(1, 12, 60), n, 5).Draw(t, f.Name)
	}
	switch f.Kind {
	case schemas.FieldIdent:
		return rapid.StringMatching(`[ -~é漢]{1,30}`).Draw(t, f.Name)
	case schemas.FieldEnum:
		return rapid.SampledFrom(f.Enum).Draw(t, f.Name)
	case schemas.FieldInteger:
		return rapid.Int64Range(0, f.Max).Draw(t, f.Name)
	case schemas.FieldBool:
		return rapid.Bool().Draw(t, f.Name)
	case schemas.FieldTime:
		ms := rapid.Int64Range(schemas.EarliestTime, 2_000_000_000_000).Draw(t, f.Name)
		if f.Name != "time" { // when an account was created, its sender may say what it likes
			ms = rapid.Int64Range(-60_000_000_000_000, 250_000_000_000_000).Draw(t, f.Name)
		}
		return time.UnixMilli(ms).UTC().Format(time.RFC3339Nano)
	case schemas.FieldIP:
		if rapid.Bool().Draw(t, "six") {
			return netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, f.Name))).Unmap().String()
		}
		return rapid.SampledFrom([]string{"192.0.2.1", "0.0.0.0", "::", "255.255.255.255", "::ffff:1.2.3.4"}).Draw(t, f.Name)
	case schemas.FieldStrings:
		return texts(1)
	case schemas.FieldCredentials:
		var list []map[string]any
		for i := range texts(0) {
			list = append(list, map[string]any{"id": fmt.Sprint("k", i), "kind": "api_key", "created": "2026-03-02T00:00:00Z"})
		}
		return append(list, map[string]any{"id": "last"})
	case schemas.FieldContacts:
		var list []map[string]any
		for _, s := range texts(1) {
			list = append(list, map[string]any{"email": s, "role": "owner"})
		}
		return list
	}
	return rapid.StringN(0, 20, 60).Draw(t, f.Name)
}

// networkText makes what may stand in a record's network header, also what may not.
func networkText() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		n := schemas.Network{
			Country: rapid.SampledFrom([]string{"", "DE", "US"}).Draw(t, "country"), City: rapid.SampledFrom([]string{"", "Köln", "São Paulo"}).Draw(t, "city"),
			ASN: rapid.Uint32().Draw(t, "asn"), Hosting: rapid.Bool().Draw(t, "hosting"), VPN: rapid.Bool().Draw(t, "vpn"),
			Located: rapid.Bool().Draw(t, "located"), Lat: rapid.Float64Range(-90, 90).Draw(t, "lat"), Lon: rapid.Float64Range(-180, 180).Draw(t, "lon"),
			IPv4: rapid.SampledFrom([]string{"", "", "198.51.100.7"}).Draw(t, "IPv4"),
		}
		return string(schemas.AppendNetwork(nil, n)) + rapid.SampledFrom([]string{"", "", "", ";bad"}).Draw(t, "end")
	})
}

// What is decoded from the log and what is read back from the store must be the
// same, whatever the event.
func TestEventsAreLossless(t *testing.T) {
	c := openStore(t)
	table, _ := schemas.TableOf(schemas.TopicEvents)
	block, enc := clickhouse.NewBlock(table), newEncoder()
	arrival := time.Date(2026, 3, 2, 1, 2, 3, 4e6, time.UTC)
	var want []*schemas.Event
	var networks []schemas.Network
	for i := range 3000 {
		value := eventJSON(fmt.Sprint("e", i)).Example(i)
		e := new(schemas.Event)
		if err := schemas.Decode(value, e); err != nil {
			t.Fatalf("%s: %v", value, err)
		}
		want = append(want, e)
		text := networkText().Example(i)
		network, _ := schemas.ParseNetwork(text)
		networks = append(networks, network)
		rec := kafka.Record{Offset: int64(i), Time: arrival.UnixMilli(), Value: value, Headers: []kafka.Header{
			{Key: schemas.HeaderKind, Value: []byte("event")}, {Key: schemas.HeaderSource, Value: []byte("shop")}, {Key: schemas.HeaderOrigin, Value: []byte("import")},
			{Key: schemas.HeaderNetwork, Value: []byte(text)}}}
		if f := enc.append(block, place{"log", schemas.TopicEvents, 3}, &rec); f != stored {
			t.Fatalf("%s: fate %d", value, f)
		}
	}
	if err := c.Insert(t.Context(), table.Name, "t", block); err != nil {
		t.Fatal(err)
	}
	n := 0
	for r, err := range history.New(c).Events(t.Context(), arrival, arrival.Add(time.Second)) {
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want[n], r.Event, cmpopts.EquateEmpty(), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Fatalf("event %d came back otherwise:\n%s", n, diff)
		}
		if r.Network != networks[n] {
			t.Fatalf("event %d has network %+v, want %+v", n, r.Network, networks[n])
		}
		if r.Source != "shop" || r.Origin != schemas.OriginImport || !r.Arrival.Equal(arrival) || r.Partition != 3 || r.Offset != int64(n) {
			t.Fatalf("event %d stands at %+v", n, r)
		}
		n++
	}
	if n != len(want) {
		t.Errorf("%d events came back, want %d", n, len(want))
	}
}

// findingValues has one finding of each kind, with every field set.
func findingValues() map[schemas.Topic]map[schemas.Kind]any {
	at := time.Date(2026, 3, 2, 1, 2, 3, 0, time.UTC)
	e := schemas.Entity{Kind: schemas.KindAccount, ID: "a1"}
	return map[schemas.Topic]map[schemas.Kind]any{
		schemas.TopicInbox: {
			schemas.KindSignal:  schemas.Signal{ID: "i", Time: at, Entity: e, Detector: "volume", Family: schemas.FamilyVolume, Severity: schemas.SeverityHigh, Level: 2, Score: .5},
			schemas.KindRequest: schemas.Request{ID: "i", Time: at, Entity: e, Act: "suspend", Actor: "ann", Why: "asked"},
			schemas.KindAnswer:  schemas.Answer{ID: "i", Time: at, Entity: e, Decision: "d1", Go: true},
			schemas.KindEvent:   json.RawMessage(`{"id":"i","type":"login","time":"2026-03-02T01:02:03Z","account":"a1","user":"u","outcome":"success"}`),
		},
		schemas.TopicDecisions: {schemas.KindDecision: schemas.Decision{ID: "i", Time: at, Entity: e, Verdict: "suspend", Proposed: "suspend", Policy: "p", PolicyVersion: 3, Mode: "live", Episode: 4, Score: .7, Braked: true, By: "ann", Signals: []string{"s1", "s2"}, Shares: []float64{.75, .25}}},
		schemas.TopicActions:   {schemas.KindAction: schemas.Action{ID: "i", Time: at, Entity: e, Decision: "d1", Verdict: "suspend", Channel: "webhook", Target: "t", Outcome: "done", Attempts: 2}},
		schemas.TopicNotices:   {schemas.KindNotice: schemas.Notice{ID: "i", Time: at, Entity: e, Decision: "d1", Audience: "customer", Channel: "mail", To: "x@y.example", Outcome: "sent", Attempts: 1}},
		schemas.TopicCases:     {schemas.KindCase: schemas.Case{ID: "i", Time: at, Entity: e, Episode: 4, Stage: schemas.StageOpen, By: "ann"}},
		schemas.TopicOperator:  {schemas.KindOperator: schemas.Operator{ID: "i", Time: at, Entity: e, Actor: "ann", Act: "suspend", Why: "asked", Refused: "no"}},
		schemas.TopicGaps:      {schemas.KindGap: schemas.Gap{ID: "i", Time: at, Topic: "events", Partition: 5, From: 6, To: 7, Reason: "gone"}},
		schemas.TopicRejected:  {schemas.KindRejected: schemas.Rejected{ID: "i", Time: at, Topic: "events", Partition: 5, Offset: 6, Reason: "not_json", Detail: "x", Head: []byte{0, 255}, Size: 2, SHA256: "ff"}},
	}
}

func TestFindingsAreLossless(t *testing.T) {
	c := openStore(t)
	for _, table := range schemas.Tables()[1:] {
		block, enc := clickhouse.NewBlock(table), newEncoder()
		offset := int64(0)
		want := map[int64]string{}
		kinds := findingValues()[table.Topic]
		if len(kinds) == 0 {
			t.Errorf("%s: no finding to try", table.Name)
		}
		add := func(kind schemas.Kind, value []byte) {
			rec := kafka.Record{Offset: offset, Time: 1772413323000, Key: []byte("account:a1"), Value: value,
				Headers: []kafka.Header{{Key: schemas.HeaderKind, Value: []byte(kind)}, {Key: schemas.HeaderID, Value: []byte("i")}}}
			if f := enc.append(block, place{"log", table.Topic, 0}, &rec); f != stored {
				t.Fatalf("%s: fate %d", value, f)
			}
			want[offset] = string(value)
			offset++
		}
		for kind, v := range kinds {
			value, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			add(kind, value)
			add(kind, []byte("\xff not JSON at all")) // kept all the same
		}
		if err := c.Insert(t.Context(), table.Name, "t", block); err != nil {
			t.Fatal(err)
		}
		rows, err := c.Query(t.Context(), "SELECT offset, id, time, entity, account, body FROM "+table.Name)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var o int64
			var id, entity, account, body string
			var at time.Time
			if err := rows.Scan(&o, &id, &at, &entity, &account, &body); err != nil {
				t.Fatal(err)
			}
			readable := !strings.HasPrefix(body, "\xff")
			noEntity := table.Topic == schemas.TopicGaps || table.Topic == schemas.TopicRejected
			if body != want[o] || id != "i" || !at.Equal(time.UnixMilli(1772413323000)) || entity != "account:a1" && !noEntity || readable && !noEntity && account != "a1" {
				t.Errorf("%s: row %q %s %q %q %q, want %q", table.Name, id, at, entity, account, body, want[o])
			}
			delete(want, o)
		}
		if err := rows.Err(); err != nil || len(want) > 0 {
			t.Errorf("%s: %d rows are missing (%v)", table.Name, len(want), err)
		}
	}
	// The columns that people search by have what the findings say.
	for query, want := range map[string]string{
		"SELECT concat(detector, family, severity, toString(level), toString(score)) FROM signals WHERE detector != ''":                                                                        "volumevolumehigh20.5",
		"SELECT concat(act, actor) FROM inbox WHERE kind = 'request' AND act != ''":                                                                                                            "suspendann",
		"SELECT decision FROM inbox WHERE kind = 'answer' AND decision != ''":                                                                                                                  "d1",
		"SELECT concat(verdict, proposed, policy, toString(policy_version), mode, toString(episode), toString(braked), by, signals[2], toString(shares[1])) FROM decisions WHERE policy != ''": "suspendsuspendp3live4trueanns20.75",
		"SELECT concat(decision, verdict, channel, target, outcome, toString(attempts)) FROM actions WHERE decision != ''":                                                                     "d1suspendwebhooktdone2",
		"SELECT concat(decision, audience, channel, `to`, outcome, toString(attempts)) FROM notices WHERE decision != ''":                                                                      "d1customermailx@y.examplesent1",
		"SELECT concat(toString(episode), state, by) FROM cases WHERE state != ''":                                                                                                             "4openann",
		"SELECT concat(actor, act, why, refused) FROM operator WHERE act != ''":                                                                                                                "annsuspendaskedno",
		"SELECT concat(gap_topic, toString(gap_partition), toString(gap_from), toString(gap_to), reason) FROM gaps WHERE gap_topic != ''":                                                      "events567gone",
		"SELECT concat(rejected_topic, toString(rejected_partition), toString(rejected_offset), reason, detail, toString(size), sha256) FROM rejected WHERE sha256 != ''":                      "events56not_jsonx2ff",
	} {
		var got string
		if err := c.QueryRow(t.Context(), query).Scan(&got); err != nil || got != want {
			t.Errorf("%s: %q (%v), want %q", query, got, err, want)
		}
	}
}

func TestFatesOfRecords(t *testing.T) {
	table, _ := schemas.TableOf(schemas.TopicEvents)
	block, enc := clickhouse.NewBlock(table), newEncoder()
	good := `{"id":"1","type":"login","account":"a","time":"2026-03-02T00:00:08Z","user":"u","outcome":"success"}`
	for _, c := range []struct {
		name, value, kind string
		want              fate
	}{
		{"event", good, "event", stored},
		{"fence", "", "fence", skipped},
		{"broken", good[:50], "event", undecoded},
		{"far future", strings.Replace(good, "2026", "2300", 1), "event", undecoded}, // its lane rejects it
	} {
		rec := kafka.Record{Value: []byte(c.value), Headers: []kafka.Header{{Key: schemas.HeaderKind, Value: []byte(c.kind)}}}
		if got := enc.append(block, place{"log", schemas.TopicEvents, 0}, &rec); got != c.want {
			t.Errorf("%s: fate %d, want %d", c.name, got, c.want)
		}
	}
	if block.Rows() != 1 {
		t.Errorf("%d rows, want the event alone", block.Rows())
	}
}

// sampleEvent is a send with what most sends have.
func sampleEvent() kafka.Record {
	return kafka.Record{Time: 1772413323000, Key: []byte("account:acct-00015"), Value: []byte(`{"id":"e1","time":"2026-03-02T00:00:08.350Z","type":"send","account":"acct-00015","credential":"key-15-1","channel":"api","ip":"52.20.55.165","sender":"hello@shop15.example","recipients":["u4876203@corp873.example"],"message_id":"m598@shop15.example","size":53507}`),
		Headers: []kafka.Header{{Key: schemas.HeaderKind, Value: []byte("event")}, {Key: schemas.HeaderID, Value: []byte("e1")}, {Key: schemas.HeaderSource, Value: []byte("import")}, {Key: schemas.HeaderOrigin, Value: []byte("live")},
			{Key: schemas.HeaderNetwork, Value: []byte("cc=US;as=14618;k=h;lat=39.0438;lon=-77.4874;c=Ashburn")}}}
}

func TestEncodeAllocatesNothing(t *testing.T) {
	table, _ := schemas.TableOf(schemas.TopicEvents)
	block, enc, rec := clickhouse.NewBlock(table), newEncoder(), sampleEvent()
	at := place{"0123456789abcdef", schemas.TopicEvents, 3}
	for range 2000 {
		enc.append(block, at, &rec)
	}
	block.Reset()
	if n := testing.AllocsPerRun(1000, func() { enc.append(block, at, &rec) }); n > 0 {
		t.Errorf("%v allocations an event, want none", n)
	}
}

func BenchmarkEncode(b *testing.B) {
	table, _ := schemas.TableOf(schemas.TopicEvents)
	block, enc, rec := clickhouse.NewBlock(table), newEncoder(), sampleEvent()
	at := place{"0123456789abcdef", schemas.TopicEvents, 3}
	b.ReportAllocs()
	for b.Loop() {
		if block.Rows() == 100_000 {
			block.Reset()
		}
		if enc.append(block, at, &rec) != stored {
			b.Fatal("was not encoded")
		}
		rec.Offset++
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
