package schemas

import (
	stdjson "encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/google/jsonschema-go/jsonschema"
	"pgregory.net/rapid"
)

// resolved returns the schema as a user gets it: from its text.
func resolved(t testing.TB, name string) *jsonschema.Resolved {
	t.Helper()
	text, err := JSONSchema(name)
	if err != nil {
		t.Fatal(err)
	}
	var s jsonschema.Schema
	if err := stdjson.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	r, err := s.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func valid(t fataler, r *jsonschema.Resolved, data []byte) error {
	var v any
	if err := stdjson.Unmarshal(data, &v); err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	return r.Validate(v)
}

type fataler interface{ Fatalf(string, ...any) }

// drawGood draws a value that the field's declaration allows.
func drawGood(t *rapid.T, f *Field) any {
	text := rapid.StringOfN(rapid.RuneFrom([]rune("aZ9 .-@ßλ漢")), 1, 12, -1)
	switch f.Kind {
	case FieldEnum:
		return rapid.SampledFrom(f.Enum).Draw(t, f.Name)
	case FieldInteger:
		return rapid.Int64Range(0, f.Max).Draw(t, f.Name)
	case FieldBool:
		return rapid.Bool().Draw(t, f.Name)
	case FieldTime:
		return rapid.SampledFrom([]string{"2026-03-02T00:00:08.350Z", "2026-03-02T00:00:08+05:30", "2026-12-31T23:59:59Z", "2026-03-02t00:00:08.12345678901z"}).Draw(t, f.Name)
	case FieldIP:
		return rapid.SampledFrom([]string{"192.0.2.1", "2001:db8::1", "::", "::ffff:192.0.2.1", "fe80::1%eth0", "255.255.255.255"}).Draw(t, f.Name)
	case FieldStrings:
		return rapid.SliceOfN(text, 0, 4).Draw(t, f.Name)
	case FieldCredentials:
		return []any{map[string]any{"id": text.Draw(t, "id"), "kind": "api_key", "created": "2026-03-02T00:00:08Z"}, map[string]any{"id": "k", "note": 1}}
	case FieldContacts:
		return []any{map[string]any{"email": text.Draw(t, "email"), "role": "owner"}}
	}
	return text.Draw(t, f.Name)
}

// drawBad draws any value: some are wrong everywhere, some lie on a limit.
func drawBad(t *rapid.T, f *Field) any {
	limit := int(max(min(f.Max, 2000), 1))
	return rapid.OneOf(
		rapid.SampledFrom([]any{nil, true, 0, 1, -1, 1.5, 1e3, 1e300, "", " ", "x", "\x1b[2J", "\u202e", "é", []any{}, map[string]any{}, []any{1}, []any{""},
			[]any{nil}, "2026-13-02T00:00:08Z", "2026-03-02 00:00:08Z", "2026-03-02T24:00:08Z", "2026-02-30T00:00:08Z", "1999-01-01T00:00:00Z", "2026-03-02T00:00:08",
			"192.0.2.256", "192.0.2", "fe80::1%", "192.0.2.1%eth0", "2026-03-02T00:00:08,5Z", "2026-03-02T0:00:08Z", ":::", "1.2.3.4.5", "01.2.3.4"}),
		rapid.Custom(func(t *rapid.T) any {
			return strings.Repeat(rapid.SampledFrom([]string{"a", "é"}).Draw(t, "letter"), limit+rapid.IntRange(-1, 1).Draw(t, "over"))
		}),
		rapid.Custom(func(t *rapid.T) any { return f.Max + rapid.Int64Range(-1, 1).Draw(t, "over") }),
		rapid.Custom(func(t *rapid.T) any {
			list := make([]any, max(f.Items+rapid.IntRange(-1, 1).Draw(t, "over"), 0))
			for i := range list {
				list[i] = "a"
			}
			return list
		}),
		rapid.SampledFrom([]any{
			[]any{map[string]any{"id": ""}}, []any{map[string]any{"kind": "x"}}, []any{map[string]any{"id": "k", "created": "yesterday"}},
			[]any{map[string]any{"id": "k", "created": "", "kind": nil}}, []any{map[string]any{"id": "k", "kind": 7}}, []any{map[string]any{"email": ""}},
			[]any{map[string]any{"email": "a", "role": nil}}, []any{map[string]any{"email": strings.Repeat("a", MaxAddress+1)}},
		}),
	).Draw(t, "bad "+f.Name)
}

func drawRecord(t *rapid.T, typ EventType) map[string]any {
	record := map[string]any{"type": string(typ), "colour": "red"}
	fields := Fields(typ)
	for i := range fields {
		f := &fields[i]
		if f.Required && f.Name != "account" || rapid.IntRange(0, 2).Draw(t, "has") > 0 {
			record[f.Name] = drawGood(t, f)
		}
	}
	for range rapid.IntRange(0, 2).Draw(t, "mutations") {
		f := &fields[rapid.IntRange(0, len(fields)-1).Draw(t, "which")]
		if rapid.Bool().Draw(t, "drop") {
			delete(record, f.Name)
		} else {
			record[f.Name] = drawBad(t, f)
		}
	}
	return record
}

// schemaCannotSay are the refusals that JSONSchema's comment lists.
func schemaCannotSay(err *Error, data []byte) bool {
	switch err.Reason {
	case ReasonTooOld, ReasonTooLarge:
		return true
	case ReasonTooLong: // in bytes, and not in characters
		return utf8.RuneCount(data) != len(data)
	case ReasonBadField:
		return err.Field == "time" || err.Field == "created" || err.Field == "ip" || err.Field == "recipient_count" || strings.Contains(err.What, "created") ||
			utf8.RuneCount(data) != len(data) && (err.Field == "credentials" || err.Field == "contacts")
	}
	return false
}

func TestSchemaAndDecoderAgree(t *testing.T) {
	for _, typ := range EventTypes() {
		schema := resolved(t, string(typ))
		t.Run(string(typ), func(t *testing.T) {
			accepted := 0
			rapid.Check(t, func(t *rapid.T) {
				data, err := stdjson.Marshal(drawRecord(t, typ))
				if err != nil {
					t.Fatal(err)
				}
				var e Event
				refused, invalid := Decode(data, &e), valid(t, schema, data)
				switch {
				case refused == nil && invalid != nil:
					t.Fatalf("%.400s\nwas decoded, and the schema says: %v", data, invalid)
				case refused != nil && invalid == nil && !schemaCannotSay(refused, data):
					t.Fatalf("%.400s\nhas the schema's shape, and the decoder says: %v", data, refused)
				case refused == nil:
					accepted++
				}
			})
			if accepted < 10 {
				t.Errorf("only %d records were accepted: the test has lost its good ones", accepted)
			}
		})
	}
}

// fill sets every field of a struct to something that is not zero.
func fill(v reflect.Value) {
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(time.Unix(1772409608, 0).UTC()))
		return
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
		return
	}
	if word := words()[v.Type()]; word != nil && len(word.Enum) > 0 {
		v.SetString(reflect.ValueOf(word.Enum[0]).String())
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case reflect.String:
		v.SetString("x")
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(3)
	case reflect.Float64:
		v.SetFloat(0.5)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		if v.Type().Elem().Kind() != reflect.Uint8 {
			fill(v.Index(0))
		}
	}
}

func TestFindingsMatchTheirSchemas(t *testing.T) {
	for kind, typ := range findings {
		t.Run(string(kind), func(t *testing.T) {
			schema := resolved(t, string(kind))
			v := reflect.New(typ)
			fill(v.Elem())
			data, err := json.Marshal(v.Interface())
			if err != nil {
				t.Fatal(err)
			}
			if err := valid(t, schema, data); err != nil {
				t.Errorf("%s: %v", data, err)
			}
			if err := valid(t, schema, []byte(`{"id":7}`)); err == nil {
				t.Error("a number as the id has the schema's shape")
			}
		})
	}
}

func TestSchemaNames(t *testing.T) {
	for _, name := range JSONSchemaNames() {
		if _, err := JSONSchema(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := JSONSchema("sned"); err == nil || !strings.Contains(err.Error(), "send") {
		t.Errorf("an unknown name gives %v, which does not say the known ones", err)
	}
}
