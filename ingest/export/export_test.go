package export

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/parquet-go/parquet-go"

	"holdfast/ingest/clickhouse"
	"holdfast/ingest/embedded/clickhouse/clickhousetest"
	"holdfast/ingest/kafka"
	"holdfast/ingest/record"
	"holdfast/schemas"
)

func TestMain(m *testing.M) { clickhousetest.Main(m) }

// stored is a store with some records of each kind that is exported.
func stored(t *testing.T) *clickhouse.Client {
	c, err := clickhouse.Open(clickhouse.Config{Addrs: []string{clickhousetest.Start(t)}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if _, err := clickhouse.Migrate(t.Context(), c, clickhouse.MigrateOptions{}); err != nil {
		t.Fatal(err)
	}
	enc := record.NewEncoder()
	put := func(topic schemas.Topic, kind schemas.Kind, values ...string) {
		table, _ := schemas.TableOf(topic)
		b := clickhouse.NewBlock(table)
		for i, v := range values {
			r := kafka.Record{Offset: int64(i), Time: 1772413323000, Key: []byte("account:acct-1"), Value: []byte(v), Headers: []kafka.Header{{Key: schemas.HeaderKind, Value: []byte(kind)}, {Key: schemas.HeaderID, Value: fmt.Append(nil, kind, i)}}}
			if !enc.Append(b, topic, 0, &r) {
				t.Fatalf("no row: %s", v)
			}
		}
		if err := c.Insert(t.Context(), table.Name, string(topic), b); err != nil {
			t.Fatal(err)
		}
	}
	at := `"time":"2026-03-02T00:00:08.350Z","account":"acct-1"`
	var events []string
	for _, outcome := range []string{"success", "failure", "challenge"} {
		events = append(events, fmt.Sprintf(`{"id":"l-%s","type":"login",%s,"user":"=eve\"x","ip":"192.0.2.1","outcome":%q,"reason":"bad","session":"s1","user_agent":"UA, \"quoted\"\nline"}`, outcome, at, outcome))
	}
	events = append(events, `{"id":"staff","type":"login","time":"2026-03-02T00:00:08.350Z","employee":"emp-3","user":"bob","ip":"2001:db8::1","outcome":"success"}`)
	for _, kind := range []string{"api_key", "smtp_password", "user_password", "mfa", "sender_domain", "ip_allowlist", "webhook"} {
		for _, change := range []string{"created", "rotated", "revoked", "reset", "enabled", "disabled", "added", "removed"} {
			events = append(events, fmt.Sprintf(`{"id":"c-%s-%s","type":"credential",%s,"credential":"k1","kind":%q,"change":%q,"user":"ann","actor":"customer"}`, kind, change, at, kind, change))
		}
	}
	events = append(events,
		`{"id":"s1","type":"send",`+at+`,"credential":"k1","ip":"192.0.2.9","sender":"a@example.net","recipients":["u@example.org","v@example.org"],"message_id":"m1","size":900}`,
		`{"id":"s2","type":"send",`+at+`,"recipient_count":500}`,
		`{"id":"d1","type":"delivery",`+at+`,"message_id":"m1","recipient":"u@example.org","outcome":"hard_bounce"}`,
		`{"id":"other","type":"send","time":"2026-03-03T00:00:00Z","account":"acct-2","recipient_count":1}`)
	put(schemas.TopicEvents, schemas.KindEvent, events...)
	put(schemas.TopicInbox, schemas.KindSignal, `{"id":"sg1",`+at+`,"detector":"volume","version":2,"family":"volume","entity":{"kind":"account","id":"acct-1"},"level":1,"score":0.8,"severity":"high","technique":"T1586.002","trigger":"s1","origin":"live","arrival":"2026-03-02T00:00:09Z","evidence":{"observed":900,"expected":20,"threshold":80,"unit":"recipients","window":"1h0m0s","text":"many"}}`)
	put(schemas.TopicCases, schemas.KindCase,
		`{"id":"case1",`+at+`,"entity":{"kind":"account","id":"acct-1"},"episode":1,"state":"contained","opened":"2026-03-02T00:00:09Z","decisions":["d1"]}`,
		`{"id":"case2",`+at+`,"entity":{"kind":"account","id":"acct-1"},"episode":2,"state":"closed","opened":"2026-03-02T00:00:09Z","decisions":null,"verdict":"compromised","owner":"ada"}`)
	return c
}

func out(t *testing.T, c *clickhouse.Client, format string, q Query) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := NewWriter(format, q.Table, &b)
	if err != nil {
		t.Fatal(err)
	}
	if err := Rows(t.Context(), c, q, w.Write); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Each format holds the rows that the store counts, and reads back as what was written.
func TestFormats(t *testing.T) {
	c := stored(t)
	events, _ := schemas.TableOf(schemas.TopicEvents)
	q := Query{Table: events, Account: "acct-1", From: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), To: time.Date(2026, 3, 3, 0, 0, 0, 0, time.UTC)}
	var n uint64
	if err := c.QueryRow(t.Context(), "SELECT count() FROM events WHERE account = 'acct-1'").Scan(&n); err != nil {
		t.Fatal(err)
	}
	lines := bytes.Split(bytes.TrimSuffix(out(t, c, "ndjson", q), []byte("\n")), []byte("\n"))
	if len(lines) != int(n) {
		t.Errorf("%d lines, want %d", len(lines), n)
	}
	byID := map[string]map[string]any{}
	for _, l := range lines {
		var v map[string]any
		if err := json.Unmarshal(l, &v); err != nil {
			t.Fatalf("%s: %v", l, err)
		}
		byID[v["id"].(string)] = v
	}
	if v := byID["l-success"]; v["user"] != `=eve"x` || v["ip"] != "192.0.2.1" || v["time"] != "2026-03-02T00:00:08.350Z" || v["user_agent"] != "UA, \"quoted\"\nline" {
		t.Errorf("%v", v)
	}
	if v := byID["s1"]; fmt.Sprint(v["recipients"]) != "[u@example.org v@example.org]" || v["size"] != 900.0 {
		t.Errorf("%v", v)
	}
	records, err := csv.NewReader(bytes.NewReader(out(t, c, "csv", q))).ReadAll()
	if err != nil || len(records) != int(n)+1 || len(records[0]) != len(events.Columns) {
		t.Fatalf("%d records, %v", len(records), err)
	}
	for _, r := range records[1:] {
		if r[events.Index("id")] == "l-success" && r[events.Index("user")] != `'=eve"x` {
			t.Errorf("a formula stands in the file: %q", r[events.Index("user")])
		}
	}
	file := out(t, c, "parquet", q)
	f, err := parquet.OpenFile(bytes.NewReader(file), int64(len(file)))
	if err != nil || f.NumRows() != int64(n) {
		t.Fatalf("%v, %v rows", err, f)
	}
	seen := map[string]string{}
	r := parquet.NewReader(f) //nolint:staticcheck // rows without a Go type have no other reader
	rows := make([]parquet.Row, 1)
	names := map[int]string{}
	for i, path := range f.Schema().Columns() {
		names[i] = path[0]
	}
	for {
		k, err := r.ReadRows(rows)
		if k == 0 || err != nil && !errors.Is(err, io.EOF) {
			break
		}
		values := map[string]string{}
		for _, v := range rows[0] {
			if !v.IsNull() {
				values[names[v.Column()]] += v.String() + ";"
			}
		}
		seen[values["id"]] = values["recipients"] + values["ip"] + values["size"] + values["time"]
	}
	if want := "u@example.org;v@example.org;192.0.2.9;900;" + strconv.FormatInt(time.Date(2026, 3, 2, 0, 0, 8, 350e6, time.UTC).UnixMilli(), 10) + ";"; seen["s1;"] != want || len(seen) != int(n) {
		t.Errorf("%q, want %q; %d rows", seen["s1;"], want, len(seen))
	}
}

// schema is what is needed of OCSF's own schema, resolved: see testdata.
type schema struct {
	Classes map[string]struct {
		UID int `json:"uid"`
		shape
	} `json:"classes"`
	Objects map[string]shape `json:"objects"`
}

type shape struct {
	Attributes map[string]struct {
		Type     string   `json:"t"`
		Array    bool     `json:"array"`
		Required bool     `json:"required"`
		Enum     []string `json:"enum"`
	} `json:"attributes"`
	Constraints map[string][]string `json:"constraints"`
}

// check holds an object against a shape.
func (s *schema) check(where string, x map[string]any, is shape) (wrong []string) {
	for name, a := range is.Attributes {
		if _, ok := x[name]; a.Required && !ok {
			wrong = append(wrong, where+"."+name+" is missing")
		}
	}
	if some := is.Constraints["at_least_one"]; len(some) > 0 {
		found := false
		for _, name := range some {
			_, ok := x[name]
			found = found || ok
		}
		if !found {
			wrong = append(wrong, fmt.Sprintf("%s has none of %v", where, some))
		}
	}
	for name, v := range x {
		a, ok := is.Attributes[name]
		if !ok {
			wrong = append(wrong, where+"."+name+" is unknown")
			continue
		}
		list, isList := v.([]any)
		if isList != a.Array {
			wrong = append(wrong, where+"."+name+" is a list, or should be one")
			continue
		}
		if !isList {
			list = []any{v}
		}
		for _, v := range list {
			wrong = append(wrong, s.checkValue(where+"."+name, v, a.Type, a.Enum)...)
		}
	}
	return wrong
}

func (s *schema) checkValue(where string, v any, kind string, enum []string) []string {
	if o, ok := strings.CutPrefix(kind, "object:"); ok {
		x, isObject := v.(map[string]any)
		is, known := s.Objects[o]
		switch {
		case !isObject:
			return []string{where + " is no object"}
		case known:
			return s.check(where, x, is)
		}
		return nil
	}
	number, isNumber := v.(float64)
	text, isText := v.(string)
	switch kind {
	case "integer_t", "long_t", "timestamp_t":
		if !isNumber || number != float64(int64(number)) {
			return []string{where + " is no whole number"}
		}
		text = strconv.FormatInt(int64(number), 10)
	case "boolean_t", "float_t", "json_t":
		return nil
	default:
		if !isText || text == "" {
			return []string{where + " is no text, or empty"}
		}
	}
	if len(enum) > 0 {
		for _, e := range enum {
			if e == text {
				return nil
			}
		}
		return []string{fmt.Sprintf("%s is %s, none of %v", where, text, enum)}
	}
	return nil
}

// Every object that is written fits the published schema.
func TestOCSF(t *testing.T) {
	b, err := os.ReadFile("testdata/ocsf-1.9.json")
	if err != nil {
		t.Fatal(err)
	}
	var s schema
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	c := stored(t)
	for version, want := range map[string]map[int]int{
		"1.9.0": {classAuthentication: 4, classUserManagement: 56, classEmail: 4, classDetection: 1, classIncident: 2},
		"1.8.0": {classAuthentication: 4, classAccountChange: 56, classEmail: 4, classDetection: 1, classIncident: 2},
	} {
		got := map[int]int{}
		o := &OCSF{Version: version, Product: "test"}
		err := o.Write(t.Context(), c, Query{}, func(x Object) error {
			b, err := json.Marshal(x)
			if err != nil {
				return err
			}
			var plain map[string]any
			if err := json.Unmarshal(b, &plain); err != nil {
				return err
			}
			uid := int(plain["class_uid"].(float64))
			got[uid]++
			for name, k := range s.Classes {
				if category := int(plain["category_uid"].(float64)); k.UID == uid-category*1000 && fits(name, category) {
					for _, w := range s.check(name, plain, k.shape) {
						t.Errorf("%s: %s\n%s", version, w, b)
					}
					return nil
				}
			}
			t.Errorf("%s: no class %d", version, uid)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %v, want %v", version, got, want)
		}
	}
}

func fits(class string, category int) bool {
	return map[string]int{"authentication": 3, "user_management": 3, "account_change": 3, "detection_finding": 2, "incident_finding": 2, "email_activity": 4}[class] == category
}
