package app

import (
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// The running server is held against its OpenAPI document by schemathesis, which makes
// requests of it, right and wrong ones, and looks at each answer: its status, its media
// type, its schema. Who may ask what is tested by alerting/api itself; here every request
// has an admin's token.
func TestContract(t *testing.T) {
	named := os.Getenv("HOLDFAST_SCHEMATHESIS")
	if named == "" {
		t.Skip("schemathesis is not named: make contract installs it and runs this test")
	}
	tool, err := exec.LookPath(named)
	if err != nil {
		t.Fatalf("%s: %v: make contract installs it", named, err)
	}
	needEngine(t)
	cfg := testConfig(t, t.TempDir())
	cfg.API.AddressRate, cfg.API.PersonRate = 100_000, 100_000
	a, _ := launch(t, cfg, Options{})
	me := askerOf(t, a)
	within(t, time.Minute, "the audit store does not answer", func() bool {
		return me.do("GET", "/v1/operators", nil, nil).StatusCode == http.StatusOK
	})
	// Left out: streams without an end, what would take the token away from the test itself,
	// and what begins a session.
	c := exec.CommandContext(t.Context(), tool, "run", me.at+"/v1/openapi.json", "--header", "Authorization: Bearer "+me.token, "--max-time", "40", "--workers", "1",
		"--exclude-path", "/v1/changes", "--exclude-path-regex", "session|oidc|welcome|tokens|people|/me/|acts$",
		"--exclude-checks", "positive_data_acceptance,ignored_auth", "--warnings", "off", "--no-color")
	c.Dir = t.TempDir() // it keeps a cache where it works
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !strings.Contains(string(out), "generated") {
		t.Errorf("nothing was tried:\n%s", out)
	}
}
