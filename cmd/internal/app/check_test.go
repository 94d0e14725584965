package app

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"holdfast/cmd/internal/config"
)

// mistakes checks a configuration file as `holdfast config check` and `run` do.
func mistakes(t *testing.T, path string, o CheckOptions) []string {
	t.Helper()
	environ := []string{"HOLDFAST_DATA_DIR=" + filepath.Join(t.TempDir(), "data")}
	if text, err := os.ReadFile(path); err == nil {
		for key, env := range map[string]string{"observability:": "HOLDFAST_OBSERVABILITY_LISTEN", "\napi:": "HOLDFAST_API_LISTEN"} {
			if !strings.Contains(string(text), key) {
				environ = append(environ, env+"=127.0.0.1:0")
			}
		}
	}
	cfg, places, err := config.LoadPlaces(path, environ)
	var out []string
	for _, m := range Check(&cfg, places, err, o) {
		out = append(out, m.Error())
	}
	return out
}

// Each file in testdata/config is named for its mistake. Its first lines say what must be
// reported, one "# want:" a mistake, and nothing else may be.
func TestMistakesInConfigurations(t *testing.T) {
	files, err := filepath.Glob("testdata/config/*.yaml")
	if err != nil || len(files) < 20 {
		t.Fatal(len(files), err)
	}
	for _, secret := range []string{"webhook-secret", "empty"} { // a clone leaves them readable by all
		if err := os.Chmod(filepath.Join("testdata/config", secret), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range files {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".yaml"), func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for line := range strings.Lines(string(text)) {
				if w, ok := strings.CutPrefix(line, "# want: "); ok {
					want = append(want, strings.TrimSpace(w))
				}
			}
			got := mistakes(t, path, CheckOptions{})
			for _, w := range want {
				if n := strings.Count(strings.Join(got, "\n"), w); n != 1 {
					t.Errorf("%q is reported %d times", w, n)
				}
			}
			if len(got) != len(want) || len(want) == 0 {
				t.Errorf("%d mistakes are reported, want %d:\n%s", len(got), len(want), strings.Join(got, "\n"))
			}
		})
	}
}

func TestDefaultConfigurationHasNoMistake(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(path, []byte("observability: {listen: 127.0.0.1:0}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := mistakes(t, path, CheckOptions{Starting: true}); len(got) > 0 {
		t.Errorf("%q", got)
	}
}

// A port that something else has is a mistake, for the roles that listen on it.
func TestPortInUse(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dir := t.TempDir()
	path := filepath.Join(dir, "c.yaml")
	text := fmt.Sprintf("observability: {listen: ''}\nintake:\n  http:\n    listen: %s\n    tokens: [{name: a, sha256: %s}]\n", l.Addr(), strings.Repeat("0", 64))
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("c.yaml:4: intake.http.listen: %s is in use by another process", l.Addr())
	if got := mistakes(t, path, CheckOptions{}); len(got) != 1 || !strings.Contains(got[0], want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got := mistakes(t, path, CheckOptions{Roles: []Role{RoleRecord}}); len(got) != 0 {
		t.Errorf("for a role that does not listen there: %q", got)
	}
	// The instance that runs on the data folder may be asked about its own configuration,
	// and no second one can start.
	dir = filepath.Join(dir, "data")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	cfg, places, err := config.LoadPlaces(path, []string{"HOLDFAST_DATA_DIR=" + dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := (Endpoints{PID: os.Getpid(), Intake: l.Addr().String()}).write(dir); err != nil {
		t.Fatal(err)
	}
	if got := Check(&cfg, places, nil, CheckOptions{}); len(got) != 0 {
		t.Errorf("its own address: %v", got)
	}
	if got := Check(&cfg, places, nil, CheckOptions{Starting: true}); len(got) != 1 || !strings.Contains(got[0].Error(), "runs on the same data_dir") {
		t.Errorf("a second instance: %v", got)
	}
}
