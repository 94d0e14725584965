package main

import (
	"bufio"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/go-json-experiment/json"

	"holdfast/schemas"
)

// collector is an instance that is busy at first and then takes everything.
type collector struct {
	mu     sync.Mutex
	busy   int
	events int
	bad    int
	tokens map[string]bool
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.busy--; c.busy >= 0 {
		w.WriteHeader(http.StatusTooManyRequests)
		return
	}
	c.tokens[r.Header.Get("Authorization")] = true
	n, lines := 0, bufio.NewScanner(r.Body)
	lines.Buffer(nil, schemas.MaxRecord)
	for lines.Scan() {
		var e schemas.Event
		if schemas.Decode(lines.Bytes(), &e) != nil {
			c.bad++
		}
		n++
	}
	c.events += n
	_ = json.MarshalWrite(w, map[string]any{"accepted": n, "refused_count": 0})
}

// What is posted to an instance is what a file would hold, with the labels beside.
func TestSimulatePosts(t *testing.T) {
	dir := t.TempDir()
	args := []string{"simulate", "--accounts", "20", "--employees", "2", "--days", "3", "--attacks", "1", "--lookalikes", "1", "--seed", "4", "--start", "2026-03-02"}
	file := filepath.Join(dir, "events.ndjson")
	if code := run(t.Context(), append(args, file)); code != 0 {
		t.Fatalf("to a file: code %d", code)
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	c := &collector{busy: 1, tokens: map[string]bool{}}
	s := httptest.NewServer(c)
	defer s.Close()
	token := filepath.Join(dir, "token")
	if err := os.WriteFile(token, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code := run(t.Context(), append(args, "--url", s.URL, "--token-file", token, "--labels", filepath.Join(dir, "labels"), "--speed", "1e9")); code != 0 {
		t.Fatalf("to an instance: code %d", code)
	}
	if lines := strings.Count(string(want), "\n"); c.events != lines || c.bad > 0 || !c.tokens["Bearer secret"] {
		t.Errorf("%d events posted (%d of them refused by the decoder) where the file has %d, as %v", c.events, c.bad, lines, c.tokens)
	}
	if _, err := os.Stat(filepath.Join(dir, "labels", "truth.csv")); err != nil {
		t.Error(err)
	}
}

// An instance that never answered is not waited for; one that did may be restarting.
func TestSimulateWaitsForAnInstanceThatWasThere(t *testing.T) {
	s := httptest.NewServer(&collector{tokens: map[string]bool{}})
	p := poster{url: s.URL, client: s.Client()}
	p.body.WriteString("{}\n")
	if err := p.flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if retry, err := p.once(t.Context()); err == nil || !retry {
		t.Errorf("an instance that has gone: retry %v, %v", retry, err)
	}
	p = poster{url: s.URL, client: s.Client()}
	if retry, err := p.once(t.Context()); err == nil || retry || !strings.Contains(err.Error(), "is an instance running there") {
		t.Errorf("an instance that never was: retry %v, %v", retry, err)
	}
}

func TestSimulateMistakes(t *testing.T) {
	for _, args := range [][]string{
		{}, {"x", "--url", "http://127.0.0.1:1"}, {"x", "--speed", "2"}, {"x", "--follow"}, {"x", "--start", "yesterday"}, {"x", "--profile", "none"}, {"x", "--kinds", "none"},
	} {
		if code := run(t.Context(), append([]string{"simulate"}, args...)); code != 1 {
			t.Errorf("simulate %v: code %d", args, code)
		}
	}
}
