package detectors

import (
	"bytes"
	"flag"
	"fmt"
	"hash/fnv"
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

// Scenarios are in testdata/<detector>_<name>.txt. A line is a comment (#), an
// expectation or what happens. Days count from 1, the 2nd of March 2026, a Monday;
// times are UTC. Ranges are 1-20, lists a,b.
//
//	must volume [entity]      a signal of the detector must come (for that entity)
//	never volume              none must come
//	account A plan=P created=2024-01-01 [day=1]
//	habit A days=1-20 hours=9-17 sends=12 [each=1] key=K from=IP,IP to=regulars:30 [weekdays=1-5]
//	burst A day=21 at=10:00 over=30m sends=200 [each=1] key=K from=IP[+N] to=new|regulars:30 [test=true] [count=500]
//	login A day=21 at=09:00 from=IP            (or: login employee:E …)
//	staff E days=1-20 hours=9-17 views=3 customers=50 from=IP [action=view_secret] [ticket=T]
//	reads E day=21 at=10:00 over=20m views=30 [first=0] from=IP [action=view_secret] [ticket=T] [rows=N]
//
// from=IP+N draws from N neighbouring addresses. What follows the line "signals"
// is written by -update.
type scenario struct {
	t      *testing.T
	rng    *rand.Rand
	life   life
	expect []expectation
	fresh  int
}

type expectation struct {
	detector, entity string
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
	s := &scenario{t: t, rng: rand.New(rand.NewPCG(h.Sum64(), 0))}
	s.life = life{rng: s.rng, start: time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC).UnixMilli()}
	for i, line := range strings.Split(string(head), "\n") {
		if err := s.line(line); err != nil {
			t.Fatalf("%s:%d: %v", file, i+1, err)
		}
	}
	slices.SortStableFunc(s.life.out, func(a, b timed) int { return int(a.ms - b.ms) })
	r := play(t, s.life.out, 3, 1, nil)
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

func describe(r *router) string {
	var list []schemas.Signal
	for _, s := range r.signals {
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b schemas.Signal) int {
		return strings.Compare(a.Time.Format("20060102150405.000")+a.Detector+a.ID, b.Time.Format("20060102150405.000")+b.Detector+b.ID)
	})
	var b strings.Builder
	for _, s := range list {
		fmt.Fprintf(&b, "%s %s %s/%d %s %s: %s\n", s.Time.Format("2006-01-02T15:04:05"), s.Entity, s.Detector, s.Level, s.Evidence.Window, s.Severity, s.Evidence.Text)
	}
	return b.String()
}

func (s *scenario) check(r *router) {
	for _, x := range s.expect {
		found := false
		for _, sig := range r.signals {
			found = found || sig.Detector == x.detector && (x.entity == "" || sig.Entity.Key() == x.entity)
		}
		if found != x.must {
			s.t.Errorf("signals of %s %s: %v, must be %v", x.detector, x.entity, found, x.must)
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
		s.expect = append(s.expect, expectation{words[1], strings.Join(words[2:], ""), words[0] == "must"})
		return nil
	}
	a := args{m: map[string]string{}}
	for _, w := range words[2:] {
		k, v, ok := strings.Cut(w, "=")
		if !ok {
			return fmt.Errorf("%q is no key=value", w)
		}
		a.m[k] = v
	}
	do, ok := map[string]func(string, *args){"account": s.account, "habit": s.habit, "burst": s.burst, "login": s.login, "staff": s.staff, "reads": s.reads}[words[0]]
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

// args are a line's key=value pairs; the first mistake stays in err.
type args struct {
	m    map[string]string
	used []string
	err  error
}

func (a *args) text(k, def string) string {
	a.used = append(a.used, k)
	if v, ok := a.m[k]; ok {
		return v
	}
	return def
}

func (a *args) int(k string, def int) int {
	n, err := strconv.Atoi(a.text(k, strconv.Itoa(def)))
	if err != nil {
		a.err = err
	}
	return n
}

func (a *args) span(k, def string) (from, to int) {
	x, y, ok := strings.Cut(a.text(k, def), "-")
	if !ok {
		y = x
	}
	from, err := strconv.Atoi(x)
	to, err2 := strconv.Atoi(y)
	if err != nil || err2 != nil {
		a.err = fmt.Errorf("%s is no range", k)
	}
	return from, to
}

func (a *args) when(start int64) (at, over int64) {
	clock, err := time.Parse("15:04", a.text("at", "00:00"))
	if err != nil {
		a.err = err
	}
	d, err := time.ParseDuration(a.text("over", "0s"))
	if err != nil {
		a.err = err
	}
	return start + int64(a.int("day", 1)-1)*msDay + int64(clock.Hour())*msHour + int64(clock.Minute())*msMinute, d.Milliseconds()
}

// source draws one of the addresses that "from" names.
func (s *scenario) source(from string) string {
	list := strings.Split(from, ",")
	one := list[s.rng.IntN(len(list))]
	base, more, ok := strings.Cut(one, "+")
	if !ok {
		return one
	}
	n, _ := strconv.Atoi(more)
	dot := strings.LastIndexByte(base, '.')
	last, _ := strconv.Atoi(base[dot+1:])
	return fmt.Sprintf("%s.%d", base[:dot], last+s.rng.IntN(max(n, 1)))
}

func (s *scenario) recipients(account, to string, n int) []string {
	pool, size, ok := strings.Cut(to, ":")
	if !ok {
		var out []string
		for range n {
			s.fresh++
			out = append(out, fmt.Sprintf("new%d@elsewhere.example", s.fresh))
		}
		return out
	}
	k, _ := strconv.Atoi(size)
	var out []string
	for range n {
		out = append(out, fmt.Sprintf("%s%d@%s.example", pool, s.rng.IntN(max(k, 1)), account))
	}
	return out
}
