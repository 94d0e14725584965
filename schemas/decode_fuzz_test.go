package schemas

import (
	"bytes"
	"reflect"
	"testing"
	"unicode/utf8"
)

// FuzzDecode holds the decoder to its promises: it never panics; what it accepts
// reads the same again, with a new decoder or a used one, and is within limits;
// what it refuses names a field or a place, and a way out.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		sampleSend, `{}`, `[]`, ``, `{"type":"login"}`, `{"id":"a","id":"b"}`, "{\"id\":\"\xff\"}",
		`{"id":"1","type":"login","account":"a","time":"2026-03-02T00:00:08Z","user":"u","ip":"2001:db8::1","outcome":"success"}`,
		`{"id":"1","type":"account","account":"a","time":"2026-03-02T00:00:08Z","credentials":[{"id":"k","kind":"api_key","created":"2026-03-02T00:00:08Z"}],"contacts":[{"email":"a@b","role":"owner"}],"protected":true}`,
		`{"id":"1","type":"access","employee":"e","action":"view_secret","accounts":["a","b"],"rows":1e2,"time":"2026-03-02T00:00:08Z"}`,
		`{"id":"1","type":"connection","ip":"192.0.2.1","state":"open","time":"2026-03-02T00:00:08Z","bytes":18446744073709551616}`,
		`{"id":"\ud800","type":"send"}`, `{"x":[[[[[[[[[[]]]]]]]]]]}`, `{"type":"send"} {"type":"send"}`,
		`{"recipients":["a\\","b\""],"id":"1","type":"send","account":"a","time":"2026-03-02T00:00:08Z"}`,
	} {
		f.Add([]byte(s))
	}
	var used Decoder
	var dirty Event
	f.Fuzz(func(t *testing.T, data []byte) {
		before := bytes.Clone(data)
		var e Event
		err := Decode(data, &e)
		again := used.Decode(data, &dirty)
		if (err == nil) != (again == nil) || err != nil && *err != *again {
			t.Fatalf("a new decoder says %v, a used one %v", err, again)
		}
		if !bytes.Equal(before, data) {
			t.Fatal("the decoder changed the record")
		}
		if err != nil {
			checkRefusal(t, err)
			return
		}
		if !same(&e, &dirty) {
			t.Fatalf("a new decoder reads\n%+v, a used one\n%+v", e, dirty)
		}
		checkAccepted(t, &e)
	})
}

func checkRefusal(t *testing.T, err *Error) {
	if err.Reason == "" || err.What == "" || err.Fix == "" {
		t.Fatalf("the refusal %+v lacks a part", err)
	}
	place := err.Field != "" || bytes.Contains([]byte(err.What), []byte("byte")) || err.What == "is not a JSON object"
	if !place {
		t.Fatalf("%v names neither a field nor a place", err)
	}
	if !utf8.ValidString(err.Error()) {
		t.Fatalf("%q is not UTF-8", err.Error())
	}
}

func checkAccepted(t *testing.T, e *Event) {
	if e.ID == "" || len(e.ID) > MaxID || !utf8.ValidString(e.ID) || !TimeInRange(e.Time) || Fields(e.Type) == nil {
		t.Fatalf("accepted %+v", e)
	}
	if entity := e.Entity(); entity.ID == "" {
		t.Fatalf("%+v belongs to no entity", e)
	} else if back, err := ParseEntity(entity.Key()); err != nil || back != entity {
		t.Fatalf("entity %s reads back as %s: %v", entity, back, err)
	}
	if e.Volume() < 0 || e.Volume() > MaxCount || e.Type == TypeSend && e.Volume() == 0 {
		t.Fatalf("volume %d", e.Volume())
	}
	if e.Extra != nil {
		var inner Event
		if err := Decode(e.Extra, &inner); err != nil && (err.Reason == ReasonNotJSON || err.Reason == ReasonBadUTF8) {
			t.Fatalf("extra %s: %v", e.Extra, err)
		}
	}
}

// same compares events, an empty list being as good as none.
func same(a, b *Event) bool {
	x, y := reflect.ValueOf(*a), reflect.ValueOf(*b)
	for i := range x.NumField() {
		f, g := x.Field(i), y.Field(i)
		if f.Kind() == reflect.Slice && f.Len() == 0 && g.Len() == 0 {
			continue
		}
		if !reflect.DeepEqual(f.Interface(), g.Interface()) {
			return false
		}
	}
	return true
}
