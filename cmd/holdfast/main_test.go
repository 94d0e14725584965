package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"holdfast/cmd/internal/app"
	"holdfast/ingest/embedded/setup"
)

// asHoldfast makes the test binary behave as the real one, so that commands and
// the engine's child run as processes of their own.
const asHoldfast = "HOLDFAST_TEST_AS_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(asHoldfast) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// Not the test's context, which ends before the clean-up that stops an instance.
	c := exec.CommandContext(context.Background(), exe, args...)
	c.Env = append(os.Environ(), asHoldfast+"=1", "HOLDFAST_OBSERVABILITY_LISTEN=127.0.0.1:0", "HOLDFAST_API_LISTEN=127.0.0.1:0")
	return c
}

// holdfast runs one command to its end.
func holdfast(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	c := command(t, args...)
	c.Stdout, c.Stderr = &out, &errs
	err := c.Run()
	if c.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), errs.String(), c.ProcessState.ExitCode()
}

func TestCommandLine(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.yaml")
	if err := os.WriteFile(bad, []byte("kafka:\n  brokrs: [a:1]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	numbers := filepath.Join(dir, "policies.yaml")
	tried := filepath.Join(dir, "tried.yaml")
	file := "parameters: {volume: {floor_1h: 80}}\npolicies:\n  - {name: look, entity: account, verdict: review, when: severity >= high}\n"
	if err := os.WriteFile(numbers, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	shadow := strings.Replace(file, "policies:", "shadow: {name: low, parameters: {volume: {floor_1h: 40}}}\npolicies:", 1)
	if err := os.WriteFile(tried, []byte(shadow), 0o600); err != nil {
		t.Fatal(err)
	}
	worse := filepath.Join(dir, "worse.yaml")
	if err := os.WriteFile(worse, []byte(strings.Replace(file, "80", "-1", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	events := filepath.Join(dir, "events.ndjson")
	if err := os.WriteFile(events, []byte("{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	guessable := filepath.Join(dir, "token.yaml")
	if err := os.WriteFile(guessable, fmt.Appendf(nil, "intake: {http: {listen: ':0', tokens: [{name: mailer, token_file: %s}]}}\n", events), 0o600); err != nil {
		t.Fatal(err)
	}
	sections := filepath.Join(dir, "sections.yaml")
	if err := os.WriteFile(sections, fmt.Appendf(nil, "enforce:\n  webhook:\n    name: Platform\n    url: nowhere\n    secret_file: %s\nenrichment:\n"+
		"  vpn_files: [%s,\n    /does/not/exist]\nintake: {platform: [{name: x, topics: [t], mapping: {tpye: send}}]}\n", events, events), 0o600); err != nil {
		t.Fatal(err)
	}
	halves := filepath.Join(dir, "halves.yaml")
	if err := os.WriteFile(halves, fmt.Appendf(nil, "enforce:\n  webhook: {secret_file: %s}\n  smtp: {operators: [ops@x.example], from: ops@x.example}\n", events), 0o600); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name string
		args []string
		code int
		out  string // standard output has it
		errs string // standard error has it
	}{
		{"version", []string{"version"}, 0, "holdfast ", ""},
		{"version as a flag", []string{"--version"}, 0, "holdfast ", ""},
		{"nothing", nil, 0, "Usage: holdfast <command>", ""},
		{"help", []string{"help"}, 0, "Usage: holdfast <command>", ""},
		{"help for a command", []string{"help", "policies", "check"}, 0, "Usage: holdfast policies check", ""},
		{"schema", []string{"schema", "login"}, 0, `"outcome"`, ""},
		{"unknown schema", []string{"schema", "mail"}, 1, "", "send, delivery"},
		{"unknown command", []string{"stop"}, 2, "", "unexpected argument"},
		{"good configuration", []string{"config", "check"}, 0, "configuration OK", ""},
		{"bad configuration", []string{"config", "check", "-c", bad}, 1, "", "bad.yaml:2: kafka.brokrs"},
		{"a token that can be guessed", []string{"config", "check", "-c", guessable}, 1, "", "token.yaml:1: intake.http.tokens[0]: gateway: token mailer"},
		{"mistakes in sections", []string{"config", "check", "-c", sections}, 1, "", "sections.yaml:4: enforce.webhook: url is not one"},
		{"a webhook without its address", []string{"config", "check", "-c", halves}, 1, "", "halves.yaml:2: enforce.webhook: url is missing"},
		{"a mail server without its name", []string{"config", "check", "-c", halves}, 1, "", "halves.yaml:3: enforce.smtp[0]: host is missing"},
		{"mistakes in sections are counted", []string{"config", "check", "-c", sections}, 1, "", "holdfast: 5 mistakes in the configuration"},
		{"a run finds the same mistakes", []string{"run", "-c", sections}, 1, "", "sections.yaml:4: enforce.webhook: url is not one"},
		{"and all of them", []string{"run", "-c", sections}, 1, "", "holdfast: 5 mistakes in the configuration"},
		{"a mapping of something unknown", []string{"config", "check", "-c", sections}, 1, "", "sections.yaml:9: intake.platform[0]: mapping: yaml: construct errors: line 9: field tpye not found"},
		{"a file of enrichment that is missing", []string{"config", "check", "-c", sections}, 1, "", "sections.yaml:8: enrichment.vpn_files[1]: "},
		{"configuration as JSON", []string{"config", "print", "--json"}, 0, `"age_limit": "6h"`, ""},
		{"policies with their numbers", []string{"policies", "print", numbers}, 0, "#     floor_1h: 80  # recipients, 1 to 1e+07; set in line 1; default 50: ", ""},
		{"numbers as JSON", []string{"policies", "print", numbers, "--json"}, 0, `"name":"floor_1h","value":80,"unit":"recipients","default":50`, ""},
		{"sound policies", []string{"policies", "check", numbers}, 0, "1 policy, 1 number set for detectors: without a mistake", ""},
		{"numbers in shadow", []string{"policies", "print", tried}, 0, "#     floor_1h: 80  # shadow low: 40 (line 2); recipients, 1 to 1e+07; set in line 1; default 50: ", ""},
		{"numbers in shadow as JSON", []string{"policies", "print", tried, "--json"}, 0, `"name":"floor_1h","value":80,"shadow":40,"unit"`, ""},
		{"sound numbers in shadow", []string{"policies", "check", tried}, 0, "1 number set for detectors, 1 number in shadow as low", ""},
		{"bad numbers", []string{"policies", "check", worse}, 1, "", "worse.yaml:1: parameters: volume.floor_1h is -1"},
		{"a replay over its own input", []string{"replay", events, "--signals", events}, 1, "", "would be lost"},
		{"a replay of what is missing", []string{"replay", filepath.Join(dir, "none"), "--signals", events}, 1, "", "no such file"},
		{"a back-test of nothing", []string{"--data-dir", dir, "backtest", "--from", "30d"}, 1, "", "start one with `holdfast run`"},
		{"a back-test without a time", []string{"backtest"}, 2, "", "--from"},
		{"nothing runs", []string{"--data-dir", dir, "status", "acct-1"}, 1, "", "start one with `holdfast run`"},
		{"unknown kind", []string{"--data-dir", dir, "status", "user:1"}, 1, "", "use account, ip or employee"},
		{"nobody named", []string{"--data-dir", dir, "suspend", "", "--why", "x"}, 1, "", "write kind:id"},
		{"nothing named", []string{"status"}, 2, "", "see holdfast status --help"},
		{"a folder of events", []string{"--data-dir", dir, "import", dir}, 1, "", "is a folder: name the files in it"},
		{"a configuration named alone", []string{"config", "check", bad}, 1, "", "bad.yaml:2: kafka.brokrs"},
		{"no reason", []string{"suspend", "acct-1"}, 2, "", "--why"},
		{"unknown role", []string{"--data-dir", dir, "run", "--roles", "detcet"}, 1, "", "is unknown"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			out, errs, code := holdfast(t, c.args...)
			if code != c.code || !strings.Contains(out, c.out) || !strings.Contains(errs, c.errs) {
				t.Errorf("exit %d, want %d\nstdout: %s\nstderr: %s", code, c.code, out, errs)
			}
		})
	}
	if b, err := os.ReadFile(events); err != nil || string(b) != "{}\n" {
		t.Errorf("the replays left %q, %v of their file", b, err)
	}
}

// received is what a platform's webhook got, its signature checked.
type received struct {
	ID, Status, Entity string
}

func platform(t *testing.T, key []byte) (string, <-chan received) {
	t.Helper()
	got := make(chan received, 100)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		id, stamp := r.Header.Get("webhook-id"), r.Header.Get("webhook-timestamp")
		mac := hmac.New(sha256.New, key)
		fmt.Fprintf(mac, "%s.%s.%s", id, stamp, body)
		if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); r.Header.Get("webhook-signature") != want {
			t.Errorf("signature %q, want %q", r.Header.Get("webhook-signature"), want)
		}
		var x struct {
			Status string `json:"status"`
			Entity struct{ Kind, ID string }
		}
		if err := json.Unmarshal(body, &x, json.MatchCaseInsensitiveNames(true)); err != nil {
			t.Errorf("%v: %s", err, body)
		}
		got <- received{id, x.Status, x.Entity.Kind + ":" + x.Entity.ID}
	}))
	t.Cleanup(s.Close)
	return s.URL, got
}

// instance starts `holdfast run` and waits until it says where it is.
func instance(t *testing.T, dir, config string) app.Endpoints {
	t.Helper()
	if _, err := setup.Find(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	run := command(t, "run", "--data-dir", dir, "-c", config)
	var log bytes.Buffer
	run.Stderr = &log
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- run.Wait() }()
	t.Cleanup(func() {
		_ = run.Process.Signal(syscall.SIGTERM)
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("run ended with %v:\n%s", err, log.String())
			}
		case <-time.After(40 * time.Second):
			t.Error("run does not end when told to")
			_ = run.Process.Kill()
		}
	})
	var at app.Endpoints
	eventually(t, "the instance to run", func() bool {
		b, err := os.ReadFile(filepath.Join(dir, "endpoints.json"))
		return err == nil && json.Unmarshal(b, &at) == nil
	})
	return at
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited a minute for %s", what)
		case <-tick.C:
		}
	}
}

// One machine from end to end: events over HTTP, a stop by hand, the platform told
// by a signed webhook, everything in the audit store, and the way back.
func TestFromEventToStoppedAccount(t *testing.T) {
	dir := t.TempDir()
	key := []byte("a secret of the platform's own!!")
	url, told := platform(t, key)
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	config := file("holdfast.yaml", fmt.Sprintf(`
intake: {http: {listen: "127.0.0.1:0", tokens: [{name: mailer, token_file: %s, types: [send, account]}]}}
enforce: {webhook: {url: %q, secret_file: %s, allow_http: true}}
`, file("token", "token-of-the-mailer-0123456789abcdef"), url, file("secret", "whsec_"+base64.StdEncoding.EncodeToString(key))))
	data := filepath.Join(dir, "data")
	at := instance(t, data, config)

	now := time.Now().UTC().Format(time.RFC3339Nano)
	body := fmt.Sprintf(`{"id":"e1","type":"send","time":%q,"account":"acct-1","recipients":["a@x.example"],"ip":"192.0.2.7"}
{"id":"e2","type":"send","time":%q,"account":"acct-1"}
{"id":"e3","type":"login","time":%q,"account":"acct-1","user":"u","outcome":"success"}
`, now, now, now)
	if answer := post(t, at.Intake, body); !strings.Contains(answer, `"accepted":1`) || !strings.Contains(answer, "recipients") || !strings.Contains(answer, "type_not_allowed") {
		t.Errorf("the gateway answered %s", answer)
	}
	eventually(t, "the store to know the account", func() bool {
		_, _, code := holdfast(t, "--data-dir", data, "status", "acct-1")
		return code == 0
	})
	if out, errs, code := holdfast(t, "--data-dir", data, "suspend", "acct-1", "--why", "key \x1b[31mleaked"); code != 0 || !strings.Contains(out, "confirmed by platform at") {
		t.Fatalf("suspend: %s%s", out, errs)
	}
	if out, errs, code := holdfast(t, "--data-dir", data, "suspend", "acct-1", "--why", "once more"); code != 1 || !strings.Contains(errs, "it is suspended already") || !strings.Contains(out, "confirmed by platform at") {
		t.Errorf("suspending who is suspended: %s%s", out, errs)
	}
	if out, errs, code := holdfast(t, "--data-dir", data, "enforce", "list"); code != 0 || !strings.Contains(out, "every receiver has confirmed everything") {
		t.Errorf("enforce list: %s%s", out, errs)
	}
	for verdict, has := range map[string]bool{"suspend": true, "review,suspend": true, "throttle": false} {
		out, errs, code := holdfast(t, "--data-dir", data, "list", "--verdict", verdict)
		if code != 0 || strings.Contains(out, "account:acct-1") != has {
			t.Errorf("list --verdict %s: %s%s", verdict, out, errs)
		}
	}
	select {
	case r := <-told:
		if r.Status != "suspended" || r.Entity != "account:acct-1" || r.ID == "" {
			t.Errorf("the platform was told %+v", r)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the platform was never told")
	}
	if out, _, _ := holdfast(t, "--data-dir", data, "status", "acct-1"); !strings.Contains(out, "account:acct-1 is suspended") {
		t.Errorf("status says %s", out)
	}
	var out string
	eventually(t, "the timeline to hold everything", func() bool {
		out, _, _ = holdfast(t, "--data-dir", data, "timeline", "acct-1")
		return strings.Contains(out, "send to 1 recipient from 192.0.2.7") && strings.Contains(out, "SUSPEND by ") && strings.Contains(out, "action")
	})
	if strings.Contains(out, "\x1b") {
		t.Errorf("the timeline lets a control character through:\n%q", out)
	}
	if out, errs, code := holdfast(t, "--data-dir", data, "release", "acct-1", "--why", "rotated"); code != 0 || !strings.Contains(out, "active") {
		t.Errorf("release: %s%s", out, errs)
	}
	if out, errs, code := holdfast(t, "--data-dir", data, "suspend", "acct-1", "--why", "again"); code != 0 || errs != "" {
		t.Errorf("suspending who is known: %s%s", out, errs)
	}
	if out, errs, code := holdfast(t, "--data-dir", data, "status", "nobody"); code != 1 || !strings.Contains(errs, "account:nobody is unknown") {
		t.Errorf("status of nobody: %s%s", out, errs)
	}
	snoozes(t, data)
	for name, want := range map[string][]string{
		"nobody":   {"timeline", "nobody"},
		"private":  {"block", "10.0.0.1", "--why", "x"},
		"a client": {"block", "acct-1", "--why", "x"},
	} {
		says := map[string]string{"nobody": "account:nobody is unknown", "private": "add --force", "a client": "holdfast suspend"}[name]
		if out, errs, code := holdfast(t, append([]string{"--data-dir", data}, want...)...); code != 1 || !strings.Contains(errs, says) {
			t.Errorf("%s: status %d\n%s%s", name, code, out, errs)
		}
	}
	if out, errs, code := holdfast(t, "--data-dir", data, "timeline", "acct-1", "--since", "2000-01-01T00:00:00Z", "--json"); code != 0 || out == "" {
		t.Errorf("timeline of acct-1: status %d, %s", code, errs)
	}
	if out, errs, code := holdfast(t, "--data-dir", data, "block", "10.0.0.1", "--why", "ours", "--force"); code != 0 || errs != "" {
		t.Errorf("block --force: status %d\n%s%s", code, out, errs)
	}
	if out, errs, code := holdfast(t, "--data-dir", data, "suspend", "acct-2", "--why", "mistyped"); code != 1 || !strings.Contains(errs, "nothing is recorded about account:acct-2") || !strings.Contains(errs, "--force") {
		t.Errorf("suspending who is unknown: %s%s", out, errs)
	}
	if out, errs, code := holdfast(t, "--data-dir", data, "suspend", "acct-2", "--why", "meant", "--force"); code != 0 || errs != "" {
		t.Errorf("suspending who is unknown by force: %s%s", out, errs)
	}
	if out, errs, code := holdfast(t, "--data-dir", data, "topics", "check"); code != 0 {
		t.Errorf("topics check: %s%s", out, errs)
	}
	if out, errs, code := holdfast(t, "--data-dir", data, "migrate"); code != 0 || !strings.Contains(out, "0 steps") {
		t.Errorf("migrate: %s%s", out, errs)
	}
}

// snoozes adds, lists and ends one, and asks for one that is too long.
func snoozes(t *testing.T, data string) {
	t.Helper()
	do := func(code int, want string, args ...string) {
		t.Helper()
		out, errs, got := holdfast(t, append([]string{"--data-dir", data, "snooze"}, args...)...)
		if got != code || !strings.Contains(out+errs, want) {
			t.Errorf("snooze %v: exit %d: %s%s", args, got, out, errs)
		}
	}
	do(0, "nothing is snoozed", "list")
	do(1, "at most 30d", "acct-1", "--why", "x", "--for", "31d")
	do(0, "snoozed until", "acct-1", "--why", "their launch", "--for", "7d")
	do(0, "their launch", "list")
	do(0, "the snooze has ended", "end", "acct-1", "--why", "launched")
	do(0, "nothing is snoozed", "list")
	do(1, "is not snoozed", "end", "acct-1", "--why", "again")
}

func post(t *testing.T, addr, body string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+addr+"/v1/events", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer token-of-the-mailer-0123456789abcdef")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d %s", resp.StatusCode, b)
}
