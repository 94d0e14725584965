package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// History of an account that has lived for more than a week is recorded, and the import
// says that it teaches nothing; history of one that is new is learned from in silence.
func TestImportSaysWhatTeachesNothing(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	data := filepath.Join(dir, "data")
	instance(t, data, file("holdfast.yaml", "observability: {listen: '127.0.0.1:0'}\n"))
	now := time.Now().UTC()
	sends := func(account string, days ...int) string {
		var b strings.Builder
		for _, d := range days {
			at := now.AddDate(0, 0, -d).Add(-time.Minute).Format(time.RFC3339)
			fmt.Fprintf(&b, `{"id":"%s-%d","type":"send","account":%q,"time":%q,"ip":"192.0.2.7","recipients":["a@x.example"]}`+"\n", account, d, account, at)
		}
		return b.String()
	}
	do := func(code int, args ...string) string {
		t.Helper()
		out, errs, got := holdfast(t, append([]string{"--data-dir", data}, args...)...)
		if got != code {
			t.Fatalf("%v: exit %d, want %d:\n%s%s", args, got, code, out, errs)
		}
		return out + errs
	}
	says := func(said string, all ...string) {
		t.Helper()
		for _, s := range all {
			if !strings.Contains(said, s) {
				t.Errorf("it is not said that %q:\n%s", s, said)
			}
		}
	}
	lived := sends("acct-old", 9, 5, 1, 0) + sends("acct-new", 1, 0)
	if said := do(0, "import", "--live", file("lived.ndjson", lived)); strings.Contains(said, "teach") {
		t.Errorf("a live import says %s", said)
	}
	for _, account := range []string{"acct-old", "acct-new"} {
		eventually(t, "the audit store to hold "+account, func() bool {
			out, _, _ := holdfast(t, "--data-dir", data, "timeline", account)
			return strings.Count(out, "send to 1 recipient") == strings.Count(lived, `"`+account+`"`)
		})
	}
	old := file("old.ndjson", sends("acct-old", 40, 30, 20))
	says(do(1, "import", old), "3 lines: 3 accepted", "nothing was learned from this import: all 3 records, of 1 account (account:acct-old),", "within the 7 days after it")
	if said := do(0, "import", file("new.ndjson", sends("acct-new", 40, 30, 20))); strings.Contains(said, "teach") {
		t.Errorf("history of a new account: %s", said)
	}
	mixed := file("mixed.ndjson", sends("acct-old", 19, 18)+sends("acct-unknown", 30, 20, 25))
	says(do(0, "import", mixed), "warning: 2 of these records, of 1 account (account:acct-old),", "warning: 1 of these records, of 1 account (account:acct-unknown),", "sort files by time")
}
