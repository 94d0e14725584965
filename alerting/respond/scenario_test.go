package respond_test

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"holdfast/schemas"
)

// Scenario files tell how cases go, in the words of who works on them. The lane is restarted
// before each line.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/scenarios/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txt"), func(t *testing.T) {
			f, err := os.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			s := &scenario{t: t, b: newInbox(t, testConfig())}
			lines := bufio.NewScanner(f)
			for s.line = 1; lines.Scan(); s.line++ {
				if words := strings.Fields(lines.Text()); len(words) > 0 && !strings.HasPrefix(words[0], "#") {
					s.play(words)
				}
			}
			if s.expected == 0 {
				t.Error("nothing is expected")
			}
		})
	}
}

type scenario struct {
	t        *testing.T
	b        *inbox
	line     int
	expected int
}

func (s *scenario) fatal(format string, args ...any) {
	s.t.Helper()
	s.t.Fatalf("line %d: %s", s.line, fmt.Sprintf(format, args...))
}

// options are the words with = in them; a plus stands for a space.
func options(words []string) (plain []string, named map[string]string) {
	named = map[string]string{}
	for _, w := range words {
		if k, v, ok := strings.Cut(w, "="); ok {
			named[k] = strings.ReplaceAll(v, "+", " ")
		} else {
			plain = append(plain, w)
		}
	}
	return plain, named
}

func (s *scenario) play(words []string) {
	s.t.Helper()
	verb, words := words[0], words[1:]
	switch verb {
	case "policy":
		cfg := testConfig()
		cfg.Policies = mustPolicies(s.t, lone)
		s.b = newInbox(s.t, cfg)
		return
	case "expect":
		_, want := options(words)
		s.expect(want)
		return
	}
	d, err := time.ParseDuration(words[0])
	if err != nil {
		s.fatal("%v", err)
	}
	at := noon.Add(d)
	plain, named := options(words[1:])
	s.b.restart()
	switch verb {
	case "snapshot":
		var keys []map[string]string
		for _, k := range strings.Split(named["keys"], ",") {
			kind, id, _ := strings.Cut(k, ":")
			keys = append(keys, map[string]string{"id": id, "kind": kind})
		}
		s.b.put(schemas.KindEvent, "snap", alice, map[string]any{"id": "snap", "type": "account", "time": at.Format(time.RFC3339), "account": "alice",
			"users": strings.Split(named["users"], ","), "credentials": keys})
	case "signal":
		family := map[string]schemas.Family{"vol": vol, "net": net, "ins": ins}[plain[0]]
		usual, _ := strconv.ParseInt(named["usual"], 10, 64)
		s.b.signal(sig(fmt.Sprint("s", s.line), alice, family, schemas.Severity(plain[1]), at, func(x *schemas.Signal) {
			x.Certain, x.Alone = slices.Contains(plain, "certain"), slices.Contains(plain, "alone")
			x.Address, x.Credential, x.Usual = named["source"], named["credential"], usual
		}))
	case "change":
		s.b.change(plain[0], plain[1], plain[2], named["user"], named["ip"], at)
	case "ask":
		op := s.b.request(plain[0], alice, at, func(r *schemas.Request) {
			r.Item, r.Text, r.From = named["item"], named["text"], named["from"]
			r.Verdict, r.Reason = schemas.CaseVerdict(named["verdict"]), named["reason"]
		})
		if refused := named["refused"]; (refused == "") != (op.Refused == "") || !strings.Contains(op.Refused, refused) {
			s.fatal("%s is refused by %q, want %q", plain[0], op.Refused, refused)
		}
	case "due":
		s.b.due(alice, at)
	default:
		s.fatal("%q is no verb: use policy, snapshot, signal, change, ask, due or expect", verb)
	}
}

func (s *scenario) expect(want map[string]string) {
	s.t.Helper()
	s.expected++
	c, st := s.b.theCase(alice), s.b.status[alice.Key()]
	got := map[string]string{
		"status": st.Status, "stage": string(c.Stage), "relapses": strconv.Itoa(c.Relapses), "limit": strconv.FormatInt(st.PerDay, 10),
		"steps": strconv.Itoa(len(c.Steps)), "revoked": strings.Join(st.Revoked, ","),
	}
	for k, v := range want {
		if k == "open" || k == "done" {
			at := slices.IndexFunc(c.Steps, func(x schemas.Step) bool { return x.ID == v })
			if at < 0 || c.Steps[at].Done() != (k == "done") {
				s.fatal("step %s is not %s: %+v", v, k, c.Steps)
			}
			continue
		}
		if g, ok := got[k]; !ok || g != v {
			s.fatal("%s is %q, want %q", k, g, v)
		}
	}
}
