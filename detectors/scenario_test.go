package detectors

import (
	"bytes"
	"flag"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"holdfast/schemas"
)

var update = flag.Bool("update", false, "rewrite the signals that scenarios expect")

// Scenarios are in testdata/<detector>_<name>.txt, known incidents in
// incident_<name>.txt. A line is a comment (#), an expectation or what happens. Days
// count from 1, the 2nd of March 2026, a Monday; times are UTC. Ranges are 1-20, lists
// a,b.
//
//	must volume [high] [entity]   a signal of the detector must come (as severe, for that entity)
//	never any|volume [high]       none must come (as severe or more)
//	account A plan=P created=2024-01-01 [day=1]
//	habit A days=1-20 hours=9-17 sends=12 [each=1] key=K from=IP,IP to=regulars:30 [weekdays=1-5] [growth=0.03] [bounces=0.01 …]
//	burst A day=21 at=10:00 over=30m sends=200 [each=1] key=K from=IP[+N]|none to=new|regulars:30 [test=true] [count=500] [bounces=0.01 …]
//	login A day=21 at=09:00 from=IP [user=U] [agent=X]       (or: login employee:E …)
//	guesses A day=21 at=09:00 over=10m tries=12 from=IP [user=U] [success=true] [reason=unknown_user]
//	credential A day=21 at=09:00 [key=K] [kind=api_key] [change=created] [actor=customer] [from=IP]
//	connections IP day=21 at=09:00 over=10m opens=2000 [hold=2h]
//	network IP [country=CC] [asn=N] [hosting=true] [vpn=true] [lat=N lon=N]
//	staff E days=1-20 hours=9-17 views=3 customers=50 from=IP [action=view_secret] [ticket=T] [agent=X] [weekdays=1-5]
//	reads E day=21 at=10:00 over=20m views=30 [first=0] from=IP [action=view_secret] [ticket=T] [rows=N] [agent=X]
//
// Sends take bounces=, soft= and complaints= (the share of messages that come to
// this) and sender=. from=IP+N draws from N neighbouring addresses, from=none sends
// without any. A name such as shop1..12 is the line once for each number, which {n}
// stands for; {i} in a sender or user counts. What follows the line "signals" is
// written by -update.
type scenario struct {
	t        *testing.T
	rng      *rand.Rand
	life     life
	expect   []expectation
	networks map[string]schemas.Network
	fresh    int
	messages int
}

type expectation struct {
	detector, entity string
	severity         schemas.Severity // and worse, "" for any
	must             bool
}

func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scenarios", err)
	}
	perDetector := map[string]int{}
	for _, file := range files {
		for _, s := range Specs() {
			if strings.HasPrefix(filepath.Base(file), s.Name+"_") {
				perDetector[s.Name]++
			}
		}
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { runScenario(t, file) })
	}
	for _, s := range Specs() {
		if perDetector[s.Name] < 3 {
			t.Errorf("%s has %d scenarios, not at least 3", s.Name, perDetector[s.Name])
		}
	}
}

func runScenario(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, want, _ := bytes.Cut(text, []byte("\nsignals\n"))
	h := fnv.New64a()
	h.Write([]byte(filepath.Base(file)))
	s := &scenario{t: t, rng: rand.New(rand.NewPCG(h.Sum64(), 0)), networks: map[string]schemas.Network{}}
	s.life = life{rng: s.rng, start: time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC).UnixMilli()}
	for i, line := range strings.Split(string(head), "\n") {
		if err := s.line(line); err != nil {
			t.Fatalf("%s:%d: %v", file, i+1, err)
		}
	}
	slices.SortStableFunc(s.life.out, func(a, b timed) int { return int(a.ms - b.ms) })
	r := play(t, s.life.out, 3, 1, func(r *router) { r.networks = s.networks })
	s.check(r)
	got := describe(r)
	if *update {
		out := slices.Concat(head, []byte("\nsignals\n"), []byte(got))
		if err := os.WriteFile(file, out, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got != string(want) {
		t.Errorf("signals are now\n%s\nand were\n%s\nLook at the difference; -update accepts it", got, want)
	}
}

// describe lists the signals. Of the same signal about many entities the first
// three stand for all.
func describe(r *router) string {
	var list []schemas.Signal
	for _, s := range r.signals {
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b schemas.Signal) int {
		return strings.Compare(a.Time.Format("20060102150405.000")+a.Detector+a.ID, b.Time.Format("20060102150405.000")+b.Detector+b.ID)
	})
	var b strings.Builder
	entities := map[string]int{}
	for _, s := range list {
		what := fmt.Sprintf("%s/%d %s", s.Detector, s.Level, s.Evidence.Window)
		if entities[what]++; entities[what] > 3 && s.Entity.Kind != schemas.KindIP && r.entities() > 8 {
			continue
		}
		fmt.Fprintf(&b, "%s %s %s %s: %s\n", s.Time.Format("2006-01-02T15:04:05"), s.Entity, what, s.Severity, s.Evidence.Text)
	}
	for _, what := range slices.Sorted(maps.Keys(entities)) {
		if entities[what] > 3 && r.entities() > 8 {
			fmt.Fprintf(&b, "%d signals %s\n", entities[what], what)
		}
	}
	return b.String()
}

// entities is how many accounts, employees and addresses signals are about.
func (r *router) entities() int {
	seen := map[string]bool{}
	for _, s := range r.signals {
		seen[s.Entity.Key()] = true
	}
	return len(seen)
}

var severities = []schemas.Severity{schemas.SeverityLow, schemas.SeverityMedium, schemas.SeverityHigh, schemas.SeverityCritical}

func (x *expectation) matches(s *schemas.Signal) bool {
	return (x.detector == "any" || s.Detector == x.detector) && (x.entity == "" || s.Entity.Key() == x.entity) &&
		slices.Index(severities, s.Severity) >= slices.Index(severities, x.severity)
}

func (s *scenario) check(r *router) {
	for _, x := range s.expect {
		found := ""
		for _, sig := range r.signals {
			if x.matches(&sig) {
				found = fmt.Sprintf("%s %s/%d %s %s", sig.Entity, sig.Detector, sig.Level, sig.Severity, sig.Evidence.Text)
			}
		}
		if (found != "") != x.must {
			s.t.Errorf("signals of %s %s %s: %q, must be %v", x.detector, x.severity, x.entity, found, x.must)
		}
	}
}

func (s *scenario) line(line string) error {
	words := strings.Fields(line)
	if len(words) == 0 || strings.HasPrefix(words[0], "#") {
		return nil
	}
	if len(words) < 2 {
		return fmt.Errorf("%q is too short", line)
	}
	if words[0] == "must" || words[0] == "never" {
		return s.expected(words)
	}
	base, last, many := strings.Cut(words[1], "..")
	if !many {
		return s.verb(words)
	}
	n, err := strconv.Atoi(last)
	if err != nil {
		return fmt.Errorf("%q is no range of names", words[1])
	}
	for i := 1; i <= n; i++ {
		one := strings.Fields(strings.ReplaceAll(line, "{n}", strconv.Itoa(i)))
		one[1] = strings.TrimSuffix(base, "1") + strconv.Itoa(i)
		if err := s.verb(one); err != nil {
			return err
		}
	}
	return nil
}

func (s *scenario) expected(words []string) error {
	x := expectation{detector: words[1], must: words[0] == "must"}
	for _, w := range words[2:] {
		if slices.Contains(severities, schemas.Severity(w)) {
			x.severity = schemas.Severity(w)
			continue
		}
		x.entity = w
	}
	known := slices.ContainsFunc(Specs(), func(s Spec) bool { return s.Name == x.detector })
	if !known && x.detector != "any" {
		return fmt.Errorf("%q is no detector", x.detector)
	}
	s.expect = append(s.expect, x)
	return nil
}

func (s *scenario) verb(words []string) error {
	a := args{m: map[string]string{}}
	for _, w := range words[2:] {
		k, v, ok := strings.Cut(w, "=")
		if !ok {
			return fmt.Errorf("%q is no key=value", w)
		}
		a.m[k] = v
	}
	do, ok := map[string]func(string, *args){"account": s.account, "habit": s.habit, "burst": s.burst, "login": s.login, "guesses": s.guesses,
		"credential": s.credential, "connections": s.connections, "network": s.network, "staff": s.staff, "reads": s.reads}[words[0]]
	if !ok {
		return fmt.Errorf("%q is no verb", words[0])
	}
	do(words[1], &a)
	for k := range a.m {
		if !slices.Contains(a.used, k) {
			return fmt.Errorf("%s does not use %q", words[0], k)
		}
	}
	return a.err
}
