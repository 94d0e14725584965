package edge

import (
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// harakaHarness loads the example as Haraka does, asks it once for the account in argv, and
// prints what it hands to next().
const harakaHarness = `
const vm = require('vm'), fs = require('fs')
const [file, account] = process.argv.slice(1)
const plugin = { register_hook () {} }
vm.runInNewContext(fs.readFileSync(file, 'utf8'), { exports: plugin, require, process, DENY: 902, setTimeout, encodeURIComponent })
plugin.register()
const connection = { notes: { auth_user: account || undefined }, logerror () { console.log('logged') } }
plugin.ask_holdfast((...args) => console.log('next', ...args), connection)
`

// The plugin for Haraka refuses a suspended account, and calls next() whatever happens.
func TestHarakaPlugin(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("node is missing: install nodejs")
		}
		t.Skip("node is missing: install nodejs")
	}
	f := newTopic()
	f.say("account:acct-1", "suspended", 1, 1)
	f.say("account:a/b", "suspended", 1, 1)
	e, _ := running(t, f, Default())
	until(t, "reading", e.Ready)
	s := httptest.NewServer(e.Handler())
	defer s.Close()
	ask := func(url, account string) string {
		t.Helper()
		cmd := exec.Command(node, "-e", harakaHarness, filepath.Join("..", "..", "deploy", "edge", "haraka-holdfast.js"), account)
		cmd.Env = append(os.Environ(), "HOLDFAST_EDGE="+url)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return strings.TrimSpace(string(out))
	}
	for account, want := range map[string]string{"acct-1": "next 902 5.7.1", "a/b": "next 902", "acct-2": "next", "": "next"} {
		if got := ask(s.URL, account); !strings.HasPrefix(got, want) || want == "next" && got != "next" {
			t.Errorf("%q: %q, not %q", account, got, want)
		}
	}
	if got := ask("http://127.0.0.1:1", "acct-1"); got != "logged\nnext" {
		t.Errorf("without an edge: %q", got)
	}
}
