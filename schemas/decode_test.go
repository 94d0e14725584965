package schemas

import (
	"slices"
	"strings"
	"testing"
)

const sampleSend = `{"id":"e1","time":"2026-03-02T00:00:08.350Z","type":"send","account":"acct-00015","credential":"key-15-1","channel":"api","ip":"52.20.55.165","sender":"hello@shop15.example","recipients":["u4876203@corp873.example","b\u0040x.example"],"message_id":"m598@shop15.example","size":53507,"colour":"red"}`

func TestDecodeSend(t *testing.T) {
	var e Event
	if err := Decode([]byte(sampleSend), &e); err != nil {
		t.Fatal(err)
	}
	if e.Account != "acct-00015" || e.Time != 1772409608350 || e.Size != 53507 || e.Entity().Key() != "account:acct-00015" {
		t.Errorf("decoded %+v", e)
	}
	if want := []string{"u4876203@corp873.example", "b@x.example"}; !slices.Equal(e.Recipients, want) {
		t.Errorf("recipients %q, want %q", e.Recipients, want)
	}
	if string(e.Extra) != `{"colour":"red"}` {
		t.Errorf("extra %s", e.Extra)
	}
}

func TestDecodeRefuses(t *testing.T) {
	change := func(old, with string) string { return strings.Replace(sampleSend, old, with, 1) }
	cases := []struct {
		name, data string
		reason     Reason
		field      string
	}{
		{"empty", ``, ReasonNotJSON, ""},
		{"not an object", `[1]`, ReasonNotJSON, ""},
		{"truncated", sampleSend[:80], ReasonNotJSON, ""},
		{"two objects", sampleSend + sampleSend, ReasonNotJSON, ""},
		{"duplicate key", change(`"colour":"red"`, `"id":"e2"`), ReasonDuplicateKey, ""},
		{"duplicate key within an unknown field", change(`"red"`, `{"a":1,"a":2}`), ReasonDuplicateKey, ""},
		{"bad UTF-8", change("hello", "\xff"), ReasonBadUTF8, ""},
		{"no type", change(`"type":"send",`, ``), ReasonMissing, "type"},
		{"unknown type", change(`"type":"send"`, `"type":"sned"`), ReasonUnknownType, "type"},
		{"no account", change(`"account":"acct-00015",`, ``), ReasonMissing, "account"},
		{"null", change(`"acct-00015"`, `null`), ReasonBadField, "account"},
		{"control character in an id", change(`acct-00015`, `a\u001b[2J`), ReasonBadField, "account"},
		{"direction override in an id", change(`acct-00015`, `a\u202eb`), ReasonBadField, "account"},
		{"bad time", change(`2026-03-02T`, `2026-03-02 `), ReasonBadField, "time"},
		{"unset clock", change(`2026-03-02T`, `1970-01-01T`), ReasonTooOld, "time"},
		{"bad address", change(`52.20.55.165`, `52.20.55.365`), ReasonBadField, "ip"},
		{"zone", change(`52.20.55.165`, `fe80::1%eth0`), ReasonBadField, "ip"},
		{"negative", change(`53507`, `-1`), ReasonBadField, "size"},
		{"fraction", change(`53507`, `1.5`), ReasonBadField, "size"},
		{"no recipients", change(`["u4876203@corp873.example","b\u0040x.example"]`, `[]`), ReasonMissing, "recipients"},
		{"recipient of the wrong type", change(`"b\u0040x.example"`, `7`), ReasonBadField, "recipients"},
		{"too large", `{"x":"` + strings.Repeat("a", MaxRecord) + `"}`, ReasonTooLarge, ""},
		{"id too long", change(`"e1"`, `"`+strings.Repeat("e", MaxID+1)+`"`), ReasonTooLong, "id"},
		{"login of nobody", `{"id":"1","type":"login","time":"2026-03-02T00:00:08Z","user":"u","outcome":"success"}`, ReasonMissing, "account"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var e Event
			err := Decode([]byte(c.data), &e)
			if err == nil {
				t.Fatal("was accepted")
			}
			if err.Reason != c.reason || err.Field != c.field {
				t.Errorf("refused for %s in %q (%v), want %s in %q", err.Reason, err.Field, err, c.reason, c.field)
			}
			if err.Fix == "" {
				t.Errorf("%v: does not say how to mend it", err)
			}
		})
	}
}

// A decoder that has read one record must read the next as a new one would, whatever
// types the two are of and however much they fill, and with a bad one between them.
func TestDecoderForgets(t *testing.T) {
	full := map[FieldKind]string{
		FieldString: `"x"`, FieldIdent: `"x"`, FieldTime: `"2026-03-02T00:00:08Z"`, FieldIP: `"192.0.2.1"`, FieldInteger: `7`,
		FieldBool: `true`, FieldStrings: `["x","y"]`, FieldCredentials: `[{"id":"k"}]`, FieldContacts: `[{"email":"a@b.example","role":"owner"}]`,
	}
	var lines []string
	for _, typ := range EventTypes() {
		line := `{"type":"` + string(typ) + `","unheard_of":1`
		for _, f := range Fields(typ) {
			value := full[f.Kind]
			if f.Kind == FieldEnum {
				value = `"` + f.Enum[0] + `"`
			}
			if typ == TypeLogin && f.Name == "employee" {
				continue // beside an account it is refused
			}
			line += `,"` + f.Name + `":` + value
		}
		lines = append(lines, line+"}", sampleLines[typ])
	}
	bad := []string{"", `{"bad`, `{"type":"send","time":"2026-03-02T00:00:08Z"}`, // nothing and hardly anything of it is read, or nearly all
		`{"type":"send","id":"1","time":"2026-03-02T00:00:08Z","account":"a","recipients":["x"],"sender":"s","message_id":"m","size":7,"test":7}`}
	for _, before := range lines {
		for _, data := range lines {
			for _, between := range bad {
				var d Decoder
				var e, fresh Event
				if err := d.Decode([]byte(before), &e); err != nil {
					t.Fatalf("%s: %v", before, err)
				}
				if between != "" {
					err, want := d.Decode([]byte(between), &e), Decode([]byte(between), &Event{})
					if err == nil || *err != *want {
						t.Fatalf("after %s\n%s is refused with %v, else with %v", before, between, err, want)
					}
				}
				if err := d.Decode([]byte(data), &e); err != nil {
					t.Fatalf("%s: %v", data, err)
				}
				if _ = Decode([]byte(data), &fresh); !same(&e, &fresh) {
					t.Fatalf("after %s and %q\n%s reads\n%+v, else\n%+v", before, between, data, e, fresh)
				}
			}
		}
	}
}

func BenchmarkDecodeSend(b *testing.B) {
	var d Decoder
	var e Event
	data := []byte(strings.Replace(strings.Replace(sampleSend, `,"colour":"red"`, ``, 1), `\u0040`, `@`, 1))
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if err := d.Decode(data, &e); err != nil {
			b.Fatal(err)
		}
	}
}
