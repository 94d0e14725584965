package sshd

import (
	"bufio"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"holdfast/schemas"
)

// expected is what fail2ban's test file says of the line below it.
type expected struct {
	Match      bool   `json:"match"`
	Host       string `json:"host"`
	Constraint string `json:"constraint"`
	line       string
	at         string // its time
}

// TestFail2banLines counts, of the lines that fail2ban's filter for sshd is tested on in
// its normal mode, those of attacks that give a failure of the right address at the right
// time, and the others that give one. The file is fail2ban/tests/files/logs/sshd of its
// repository, and no part of this one:
//
//	HOLDFAST_FAIL2BAN_LOG=…/sshd go test ./ingest/adapters/sshd -run Fail2ban -v
func TestFail2banLines(t *testing.T) {
	path := os.Getenv("HOLDFAST_FAIL2BAN_LOG")
	if path == "" {
		t.Skip("HOLDFAST_FAIL2BAN_LOG names no file: this test counts the lines of fail2ban's")
	}
	lines := normalLines(t, path)
	failures := map[string][]string{} // hosts by time
	r := New(Options{Year: 2004}, func(event []byte) {
		var e schemas.Event
		var more struct {
			RHost string `json:"rhost"`
		}
		if err := schemas.Decode(event, &e); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(event, &more); err != nil {
			t.Fatal(err)
		}
		if e.Outcome == "failure" {
			at := time.UnixMilli(e.Time).UTC().Format("01-02T15:04:05")
			host := more.RHost
			if e.IP.IsValid() {
				host = e.IP.String()
			}
			failures[at] = append(failures[at], host)
		}
	})
	for i := range lines {
		x := &lines[i]
		if _, why := r.Line(int64(i+1), []byte(x.line)); why != "" {
			t.Errorf("unreadable, for it %s: %s", why, x.line)
		}
		e, _, _ := parseEntry(x.line, r.zones)
		x.at = e.stamp.at.Format("01-02T15:04:05")
	}
	r.End()
	attacks, seen, others, wrong := 0, 0, 0, 0
	right := map[string]bool{} // "time host" of attacks
	for _, x := range lines {
		if !x.Match {
			continue
		}
		attacks++
		found := false
		for _, host := range failures[x.at] {
			if x.Host == "" || host == x.Host {
				found, right[x.at+" "+host] = true, true
			}
		}
		if found {
			seen++
		} else {
			t.Logf("missed: %s", x.line)
		}
	}
	for _, x := range lines {
		if x.Match {
			continue
		}
		others++
		for _, host := range failures[x.at] {
			if !right[x.at+" "+host] && strings.Contains(x.line, host) {
				wrong++
				t.Logf("taken for an attack: %s", x.line)
				break
			}
		}
	}
	t.Logf("%d of %d lines of attacks, %d of %d others", seen, attacks, wrong, others)
	if attacks == 68 && seen < 65 || wrong > 2 {
		t.Error("fewer lines are read right than were")
	}
}

// normalLines are those of the sections and lines that normal mode is tested on.
func normalLines(t *testing.T, path string) (out []expected) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	options := regexp.MustCompile(`^# filterOptions: (.*)$`)
	mode := regexp.MustCompile(`\{[^}]*\}`)
	normal := true
	var next *expected
	for in := bufio.NewScanner(f); in.Scan(); {
		line := in.Text()
		if m := options.FindStringSubmatch(line); m != nil {
			normal = false
			for _, o := range mode.FindAllString(m[1], -1) {
				normal = normal || !strings.Contains(o, `"mode"`)
			}
			continue
		}
		if said, ok := strings.CutPrefix(line, "# failJSON: "); ok {
			next = &expected{}
			if err := json.Unmarshal([]byte(said), next); err != nil {
				t.Fatalf("%s: %v", said, err)
			}
			continue
		}
		if line == "" || line[0] == '#' || next == nil {
			continue
		}
		if normal && !strings.Contains(next.Constraint, "== 'aggressive'") {
			next.line = line
			out = append(out, *next)
		}
	}
	return out
}

// TestCrowdSecLines reads the logs that CrowdSec's parsers for sshd are tested on, in the
// folders ssh-bf, sshd-logs, sshd-invalid-bf and sshd-success-logs of .tests in its hub:
//
//	HOLDFAST_CROWDSEC_TESTS=…/.tests go test ./ingest/adapters/sshd -run CrowdSec -v
func TestCrowdSecLines(t *testing.T) {
	dir := os.Getenv("HOLDFAST_CROWDSEC_TESTS")
	if dir == "" {
		t.Skip("HOLDFAST_CROWDSEC_TESTS names no folder: this test counts the lines of CrowdSec's")
	}
	// What its parser takes for an attempt, where sshd writes it.
	attempt := regexp.MustCompile(`Invalid user|Failed |Accepted |authentication failure|(authenticating|invalid) user|not allowed|Magic value|Connection closed by [\d.]+ port \d+ \[preauth\]`)
	lines, seen := 0, 0
	for _, test := range []string{"ssh-bf", "sshd-logs", "sshd-invalid-bf", "sshd-success-logs"} {
		logs, err := filepath.Glob(filepath.Join(dir, test, "*.log"))
		if err != nil || len(logs) == 0 {
			t.Fatalf("no log in %s: %v", test, err)
		}
		for _, name := range logs {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			told := 0
			r := New(Options{Year: 2005}, func([]byte) { told++ })
			for i, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
				used, why := r.Line(int64(i+1), []byte(line))
				if why != "" {
					t.Errorf("unreadable, for it %s: %s", why, line)
				}
				if attempt.MatchString(line) {
					lines++
					if used {
						seen++
					} else {
						t.Logf("missed: %s", line)
					}
				}
			}
			r.End()
			t.Logf("%s: %d events", test, told)
		}
	}
	t.Logf("%d of %d lines", seen, lines)
	if seen < 31 {
		t.Error("fewer lines are read than were")
	}
}
