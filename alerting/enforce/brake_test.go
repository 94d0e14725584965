package enforce_test

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"

	"holdfast/alerting/decision"
	"holdfast/alerting/enforce"
	"holdfast/alerting/gate"
	"holdfast/alerting/policy"
	"holdfast/alerting/respond"
	"holdfast/schemas"
)

// everybody is a policy that stops whomever it hears of.
const everybody = `
policies:
  - name: everybody
    version: 1
    entity: account
    verdict: suspend
    window: 24h
    when: any(signals, .severity >= low)
    floor: {recipients: 1}
    reason: '{{.Entity}}'
    notice_reason: It looked odd.
`

// lanes are respond's folds and the gate's, with the records between them on logs as a broker
// keeps them. Nothing is delivered before it is asked for, and each fold can be restored.
type lanes struct {
	t         *testing.T
	cfg       respond.Config
	folds     []*respond.Fold
	saved     []map[string][]byte
	offsets   []int64
	gate      *gate.Fold
	proposals []schemas.Output
	asked     int // proposals that the gate has answered
	answers   []schemas.Output
	out       []*decision.Record
}

func newLanes(t *testing.T, policies string, n int) *lanes {
	set, err := policy.Parse("test", []byte(policies))
	if err != nil {
		t.Fatal(err)
	}
	l := &lanes{t: t, cfg: respond.DefaultConfig(), gate: gate.New(gate.Config{}), offsets: make([]int64, n)}
	l.cfg.Policies = set
	secret, err := json.Marshal(schemas.Installation{ID: "i", HashSecret: make([]byte, 32)})
	if err == nil {
		err = l.gate.Control(schemas.ControlInstallation, secret)
	}
	if err != nil {
		t.Fatal(err)
	}
	for range n {
		l.folds, l.saved = append(l.folds, respond.New(l.cfg)), append(l.saved, map[string][]byte{})
	}
	return l
}

// put folds one record of an entity's inbox.
func (l *lanes) put(kind schemas.Kind, id, key string, value []byte, at time.Time) {
	l.t.Helper()
	h := fnv.New32a()
	_, _ = h.Write([]byte(key))
	lane := int(h.Sum32()) % len(l.folds)
	in := &schemas.Input{Topic: schemas.TopicInbox, Offset: l.offsets[lane], Arrival: at.UnixMilli(), Kind: kind, ID: id, Origin: schemas.OriginLive, Key: key, Value: value}
	l.offsets[lane]++
	touched, err := l.folds[lane].Apply(in, func(o schemas.Output) {
		switch o.Kind {
		case schemas.KindProposal:
			l.proposals = append(l.proposals, o)
		case schemas.KindDecision:
			r, err := decision.Decode(o.Value)
			if err != nil {
				l.t.Fatal(err)
			}
			l.out = append(l.out, r)
		}
	})
	if err == nil && touched {
		err = l.folds[lane].Save(key, func(k string, v []byte) { l.saved[lane][k] = v })
	}
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *lanes) value(v any) []byte {
	l.t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		l.t.Fatal(err)
	}
	return b
}

// ask has the gate answer the next proposal.
func (l *lanes) ask() {
	l.t.Helper()
	p := l.proposals[l.asked]
	in := &schemas.Input{Topic: schemas.TopicProposals, Offset: int64(l.asked), Kind: p.Kind, ID: p.ID, Key: gate.Key, Origin: p.Origin, Value: p.Value}
	if _, err := l.gate.Apply(in, func(o schemas.Output) { l.answers = append(l.answers, o) }); err != nil {
		l.t.Fatal(err)
	}
	l.asked++
}

// tell delivers the next answer to its owner.
func (l *lanes) tell(at time.Time) {
	a := l.answers[0]
	l.answers = l.answers[1:]
	l.put(a.Kind, a.ID, a.Key, a.Value, at)
}

// restart restores one lane's fold from what it saved.
func (l *lanes) restart(lane int) {
	l.t.Helper()
	f := respond.New(l.cfg)
	for k, v := range l.saved[lane] {
		if err := f.Restore(k, v); err != nil {
			l.t.Fatal(err)
		}
	}
	l.folds[lane] = f
}

// A policy that fires on everyone stops at the brake: at most twenty stops in any ten minutes,
// everybody else throttled and reviewed, one page, however the answers come and lanes restart.
func TestAPolicyThatFiresOnEveryoneStopsAtTheBrake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		accounts := 10_000
		if testing.Short() {
			accounts = 1000
		}
		l, rnd := newLanes(t, everybody, 4), rand.New(rand.NewPCG(3, 1))
		began := time.Now()
		order := rnd.Perm(accounts)
		at := func(n int) time.Time { return began.Add(time.Duration(n) * 40 * time.Minute / time.Duration(accounts)) } // a quarter of them in ten minutes
		for n := 0; n < accounts || l.asked < len(l.proposals) || len(l.answers) > 0; {
			now := at(min(n, accounts-1))
			switch way := rnd.IntN(5); {
			case way < 3 && n < accounts:
				id := fmt.Sprintf("acct-%d", order[n])
				key := "account:" + id
				ev := map[string]any{"id": "ev-a-" + id, "type": "account", "time": now, "account": id, "status": "active", "contacts": []map[string]string{{"email": "owner@" + id + ".example", "role": "owner"}}}
				l.put(schemas.KindEvent, "ev-a-"+id, key, l.value(ev), now)
				s := schemas.Signal{
					ID: "sig-" + id, Time: now, Detector: "volume", Version: 1, Family: schemas.FamilyVolume, Entity: schemas.Entity{Kind: schemas.KindAccount, ID: id}, Account: id,
					Level: 1, Score: .9, Severity: schemas.SeverityHigh, Technique: "T1078", Trigger: "ev-" + id, Origin: schemas.OriginLive, Arrival: now, Certain: true,
					Evidence: schemas.Evidence{Observed: 500, Expected: 10, Threshold: 100, Unit: "recipients", Window: "5m0s", Floor: 50, Text: "500 recipients"},
				}
				l.put(schemas.KindSignal, s.ID, key, l.value(s), now)
				n++
			case way == 3 && l.asked < len(l.proposals):
				l.ask()
			case way == 4 && len(l.answers) > 0:
				l.tell(now)
			}
			if rnd.IntN(8000) == 0 {
				l.restart(rnd.IntN(4))
			}
		}
		l.check(t, accounts)

		w := newWorld(l.out...)
		mail := mailer()
		w.notifiers = []enforce.Notifier{mail}
		w.pass(t, time.Hour)
		status, pages, customers := map[string]string{}, 0, map[string]int{}
		for _, c := range w.platform.changes {
			status[c.Entity.ID] = c.Status
		}
		counts := map[string]int{}
		for _, s := range status {
			counts[s]++
		}
		for _, letter := range w.outbox {
			if letter.Page {
				pages++
			}
			if letter.Audience == "customer" {
				customers[status[letter.Entity.ID]]++
			}
		}
		if counts["suspended"] != 20 || counts["throttled"] != accounts-20 || len(counts) != 2 {
			t.Errorf("the platform ends with %v", counts)
		}
		if pages != 1 {
			t.Errorf("%d pages", pages)
		}
		if customers["suspended"] != 20 || customers["throttled"] != 0 {
			t.Errorf("customers were told %v", customers)
		}
	})
}

func (l *lanes) check(t *testing.T, accounts int) {
	var stops []int64
	reviewed, throttled := map[string]bool{}, map[string]bool{}
	for _, r := range l.out {
		switch {
		case r.Verdict == schemas.VerdictSuspend:
			stops = append(stops, r.Time.UnixMilli())
			delete(throttled, r.Entity.ID)
		case r.Verdict == schemas.VerdictThrottle && r.Status != nil:
			throttled[r.Entity.ID] = true
		case r.Verdict == schemas.VerdictReview:
			reviewed[r.Entity.ID] = true
		}
	}
	slices.Sort(stops)
	for i := 20; i < len(stops); i++ {
		if stops[i]-stops[i-20] < (10 * time.Minute).Milliseconds() {
			t.Fatal("21 stops within ten minutes")
		}
	}
	if len(stops) != 20 || len(throttled) != accounts-20 || len(reviewed) != accounts-20 {
		t.Errorf("%d stops, %d stay throttled, %d are reviewed", len(stops), len(throttled), len(reviewed))
	}
}
