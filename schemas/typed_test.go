package schemas

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
)

// Whoever tries to sign in may type any name. An attempt at one with characters that
// cannot be shown counts as any other: as an event of an account whose name is written
// with escapes, apart from every other one.
func TestTypedNamesAreKept(t *testing.T) {
	long := strings.Repeat("\x01", MaxID)
	for name, want := range map[string]string{
		"root\x03":           `root\x03`,
		"\x00":               `\x00`,
		"a\x1b[2J\x1b]0;x\a": `a\x1b[2J\x1b]0;x\x07`,
		"\u202eevil":         `\u202eevil`,
		"new\nline":          `new\x0aline`,
		"jörg":               "jörg",
		long:                 "",
	} {
		for _, who := range []string{"account", "employee"} {
			quoted, err := json.Marshal(name)
			if err != nil {
				t.Fatal(err)
			}
			data := `{"id":"1","type":"login","time":"2026-03-02T00:00:08Z","` + who + `":` + string(quoted) + `,"user":` + string(quoted) + `,"reason":` + string(quoted) +
				`,"user_agent":` + string(quoted) + `,"outcome":"failure","ip":"192.0.2.1"}`
			var e Event
			for range 2 { // by each of the decoder's readers
				if err := Decode([]byte(data), &e); err != nil {
					t.Fatalf("%q as %s: %v", name, who, err)
				}
			}
			got := e.Entity().ID
			if want != "" && got != want || len(got) > MaxID || identError(got) != nil || e.User != name || e.Reason != name || e.UserAgent != name {
				t.Errorf("%q as %s is %q of user %q", name, who, got, e.User)
			}
			if back, err := ParseEntity(e.Entity().Key()); err != nil || back != e.Entity() {
				t.Errorf("%q: the key reads back as %v: %v", name, back, err)
			}
		}
	}
	var e Event
	if err := Decode([]byte(`{"id":"1","type":"login","time":"2026-03-02T00:00:08Z","account":"","user":"u","outcome":"failure"}`), &e); err == nil {
		t.Error("a login at an account without a name was accepted")
	}
	a, b := (&Field{Max: MaxID}).escaped(long), (&Field{Max: MaxID}).escaped(long+"\x02")
	if a == b {
		t.Errorf("two long names are one: %q", a)
	}
}
