package main

import (
	"os"
	"regexp"
	"slices"
	"testing"
)

// Every case that is listed beside the inputs is tried, and no other.
func TestEveryListedCaseIsTried(t *testing.T) {
	const list = "../../../../shared/cases/README.md"
	text, err := os.ReadFile(list)
	if os.IsNotExist(err) {
		t.Skipf("%s is not here: this test compares with it", list)
	}
	if err != nil {
		t.Fatal(err)
	}
	var want, have []string
	for _, m := range regexp.MustCompile(`(?m)^\| ([a-z]+-\d\d) \|`).FindAllSubmatch(text, -1) {
		want = append(want, string(m[1]))
	}
	for _, c := range all() {
		have = append(have, c.name)
	}
	slices.Sort(want)
	slices.Sort(have)
	if !slices.Equal(want, have) || len(want) == 0 {
		t.Errorf("cases %q, listed are %q", have, want)
	}
}

// The inputs that the project keeps are enough where the others are not there.
func TestOwnInputsAreEnough(t *testing.T) {
	h, err := newHarness(t.Context(), "", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.close(); err != nil {
			t.Error(err)
		}
	})
	files, err := own.ReadDir("testdata")
	if err != nil || len(files) < 35 {
		t.Fatalf("%d inputs: %v", len(files), err)
	}
	for _, f := range files {
		if s, err := h.text(f.Name()); err != nil || s == "" {
			t.Errorf("%s: %q, %v", f.Name(), s, err)
		}
	}
}

func TestFieldsAreChanged(t *testing.T) {
	const record = `{"a":"X@EXAMPLE.COM","user":"Ann","recipients":["B@C.D"]}` + "\n"
	if got, want := lowerNames(record), `{"a":"X@EXAMPLE.COM","recipients":["b@c.d"],"user":"ann"}`+"\n"; sorted(got) != sorted(want) {
		t.Errorf("%s, want %s", got, want)
	}
	if got := toldOnce(`{"type":"delivery","message_id":"m"}` + "\n" + `{"type":"delivery","message_id":"m","id":"2"}` + "\n" + `{"type":"send"}` + "\n"); got != `{"type":"delivery","message_id":"m"}`+"\n"+`{"type":"send"}`+"\n" {
		t.Error(got)
	}
	if got := withoutTheFuture(`{"time":"2026-01-02"}` + "\n" + `{"time":"2026-09-02"}` + "\n" + `{"time":"2026-01-03"}` + "\n"); got != `{"time":"2026-01-02"}`+"\n"+`{"time":"2026-01-03"}`+"\n" {
		t.Error(got)
	}
}

func sorted(s string) string {
	b := []byte(s)
	slices.Sort(b)
	return string(b)
}
