package schemas

import (
	"testing"

	"github.com/go-json-experiment/json"
	"pgregory.net/rapid"
)

// What is appended is what the library writes, and refused what it refuses.
func TestAppendFactIsMarshal(t *testing.T) {
	text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "acct-1", "a\"b\\", "\xff", "\u2028"}))
	rapid.Check(t, func(t *rapid.T) {
		entity := func(name string) Entity { return Entity{EntityKind(text.Draw(t, name)), text.Draw(t, name)} }
		f := Fact{
			Kind: FactKind(text.Draw(t, "kind")), Name: text.Draw(t, "name"), Entity: entity("entity"), From: entity("from"),
			Time: rapid.Int64().Draw(t, "time"), Window: rapid.Int64().Draw(t, "window"), Value: text.Draw(t, "value"),
			Account: text.Draw(t, "account"), Employee: text.Draw(t, "employee"), Credential: text.Draw(t, "credential"),
			Address: text.Draw(t, "address"), Event: text.Draw(t, "event"), Origin: Origin(text.Draw(t, "origin")),
			Arrival: rapid.Int64().Draw(t, "arrival"), Lane: rapid.Int32Range(0, 3).Draw(t, "lane"),
			Block: rapid.Int64Range(0, 3).Draw(t, "block"), N: rapid.Int64Range(0, 3).Draw(t, "n"),
		}
		want, wantErr := json.Marshal(f)
		got, err := AppendFact(nil, &f)
		if (err != nil) != (wantErr != nil) || err == nil && string(got) != string(want) {
			t.Fatalf("%s, %v: want %s, %v", got, err, want, wantErr)
		}
		a := Active{Account: text.Draw(t, "active"), Day: rapid.Int64().Draw(t, "day")}
		want, wantErr = json.Marshal(a)
		got, err = AppendActive(nil, &a)
		if (err != nil) != (wantErr != nil) || err == nil && string(got) != string(want) {
			t.Fatalf("%s, %v: want %s, %v", got, err, want, wantErr)
		}
	})
}
