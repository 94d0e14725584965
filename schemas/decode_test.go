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
		{"the year 1", change(`2026-03-02T`, `0001-01-01T`), ReasonTooOld, "time"},
		{"last moment of 1999", change(`2026-03-02T00:00:08.350Z`, `1999-12-31T23:59:59.999Z`), ReasonTooOld, "time"},
		{"first moment of 2100", change(`2026-03-02T00:00:08.350Z`, `2100-01-01T00:00:00Z`), ReasonTooOld, "time"},
		{"first moment of 2100, elsewhere", change(`2026-03-02T00:00:08.350Z`, `2099-12-31T23:00:00-01:00`), ReasonTooOld, "time"},
		{"the year 2180", change(`2026-03-02T`, `2180-03-02T`), ReasonTooOld, "time"},
		{"the year 9999", change(`2026-03-02T`, `9999-12-31T`), ReasonTooOld, "time"},
		{"bad address", change(`52.20.55.165`, `52.20.55.365`), ReasonBadField, "ip"},
		{"zone of an IPv4 address", change(`52.20.55.165`, `192.0.2.1%eth0`), ReasonBadField, "ip"},
		{"empty zone", change(`52.20.55.165`, `fe80::1%`), ReasonBadField, "ip"},
		{"comma in a time", change(`:08.350Z`, `:08,350Z`), ReasonBadField, "time"},
		{"hour of one digit", change(`T00:`, `T0:`), ReasonBadField, "time"},
		{"offset that is none", change(`:08.350Z`, `:08.350+24:00`), ReasonBadField, "time"},
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

// Null in an optional field is as if the field were left out, for every reader of the
// decoder and as often as it comes.
func TestNullIsAbsent(t *testing.T) {
	for _, typ := range EventTypes() {
		var plain, nulls string
		for _, f := range Fields(typ) {
			if f.Required || typ == TypeLogin && f.Name == "account" || typ == TypeSend && f.Name == "recipient_count" {
				continue
			}
			nulls += `,"` + f.Name + `":null`
		}
		plain = `{"type":"` + string(typ) + `","id":"r1","time":"2026-03-02T00:00:08.000Z","account":"a","credential":"c","kind":"mfa","change":"added","message_id":"m","outcome":"` +
			map[EventType]string{TypeLogin: "success", TypeDelivery: "delivered"}[typ] + `","user":"u","employee":"e","action":"list","ip":"192.0.2.1","state":"open","recipient_count":1`
		var needed string
		var d Decoder
		fields := Fields(typ)
		for _, part := range strings.Split(plain[1:], ",") {
			name := strings.Trim(part[:strings.IndexByte(part, ':')], `"`)
			for i := range fields {
				if f := &fields[i]; f.Name == name && (f.Required || !strings.Contains(nulls, `"`+name+`"`)) {
					needed += "," + part
				}
			}
		}
		without := `{"type":"` + string(typ) + `"` + needed + `}`
		with := strings.TrimSuffix(without, "}") + nulls + "}"
		var want Event
		if err := Decode([]byte(without), &want); err != nil {
			t.Fatalf("%s: %v", without, err)
		}
		for range 3 { // thoroughly or quickly, and then by habit
			var e Event
			if err := d.Decode([]byte(with), &e); err != nil {
				t.Fatalf("%s: %v", with, err)
			}
			if !same(&e, &want) {
				t.Fatalf("%s reads\n%+v, want\n%+v", with, e, want)
			}
		}
		if _, habit := agree(t, &d, []byte(with)); !habit {
			t.Errorf("%s is not read by habit", with)
		}
		var e Event
		if err := new(Decoder).thorough([]byte(with), &e); err != nil || !same(&e, &want) {
			t.Errorf("%s reads thoroughly\n%+v, %v", with, e, err)
		}
		if err := valid(t, resolved(t, string(typ)), []byte(with)); err != nil {
			t.Errorf("the schema refuses %s: %v", with, err)
		}
	}
}

// RFC 3339, section 5.6: t and z may be lower case. A zone says nothing.
func TestOtherSpellings(t *testing.T) {
	for _, c := range [][2]string{
		{`2026-03-02t00:00:08.350z`, `2026-03-02T00:00:08.350Z`},
		{`2026-03-02t01:30:08.35+01:30`, `2026-03-02T00:00:08.350Z`},
		{`2026-03-01T22:30:08.3500000000001-01:30`, `2026-03-02T00:00:08.350Z`},
		{`fe80::1%eth0`, `fe80::1`}, {`::ffff:192.0.2.7`, `192.0.2.7`},
	} {
		line := `{"id":"1","time":"2026-03-02T00:00:08.350Z","type":"connection","ip":"fe80::1","state":"open"}`
		set := func(v string) []byte {
			if v[0] == '2' {
				return []byte(strings.Replace(line, "2026-03-02T00:00:08.350Z", v, 1))
			}
			return []byte(strings.Replace(line, `"ip":"fe80::1"`, `"ip":"`+v+`"`, 1))
		}
		var a, b Event
		if err := Decode(set(c[0]), &a); err != nil {
			t.Errorf("%s: %v", c[0], err)
		}
		if err := Decode(set(c[1]), &b); err != nil || !same(&a, &b) {
			t.Errorf("%s reads %+v, want %+v", c[0], a, b)
		}
		if err := valid(t, resolved(t, "connection"), set(c[0])); err != nil {
			t.Errorf("the schema refuses %s: %v", c[0], err)
		}
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
