package gate_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"holdfast/alerting/gate"
	"holdfast/schemas"
)

var noon = time.Date(2026, 3, 12, 12, 0, 0, 0, time.UTC)

type tb interface {
	Helper()
	Fatalf(format string, args ...any)
}

type lane struct {
	t      tb
	cfg    gate.Config
	fold   *gate.Fold
	offset int64
	saved  []byte
	outs   []schemas.Output
}

func newLane(t tb, cfg gate.Config) *lane {
	l := &lane{t: t, cfg: cfg}
	l.start()
	return l
}

func (l *lane) start() {
	l.t.Helper()
	l.fold = gate.New(l.cfg)
	value, err := json.Marshal(schemas.Installation{ID: "i", HashSecret: make([]byte, 32)})
	if err != nil {
		l.t.Fatalf("%v", err)
	}
	if err := l.fold.Control(schemas.ControlInstallation, value); err != nil {
		l.t.Fatalf("%v", err)
	}
	if l.saved != nil {
		if err := l.fold.Restore(gate.Key, l.saved); err != nil {
			l.t.Fatalf("%v", err)
		}
	}
}

func (l *lane) put(kind schemas.Kind, id string, v any) []schemas.Output {
	l.t.Helper()
	value, err := json.Marshal(v)
	if err != nil {
		l.t.Fatalf("%v", err)
	}
	from := len(l.outs)
	_, err = l.fold.Apply(&schemas.Input{Topic: schemas.TopicProposals, Offset: l.offset, Kind: kind, ID: id, Key: gate.Key, Value: value},
		func(o schemas.Output) { l.outs = append(l.outs, o) })
	if err != nil {
		l.t.Fatalf("%v", err)
	}
	l.offset++
	if err := l.fold.Save(gate.Key, func(_ string, v []byte) { l.saved = v }); err != nil {
		l.t.Fatalf("%v", err)
	}
	return l.outs[from:]
}

func (l *lane) propose(n int, at time.Time) schemas.Answer {
	l.t.Helper()
	p := schemas.Proposal{ID: fmt.Sprintf("prop-%d", n), Time: at, Decision: fmt.Sprintf("dec-%d", n), Verdict: schemas.VerdictSuspend,
		Entity: schemas.Entity{Kind: schemas.KindAccount, ID: fmt.Sprintf("acct-%d", n)}}
	outs := l.put(schemas.KindProposal, p.ID, p)
	if len(outs) != 1 || outs[0].Topic != schemas.TopicInbox || outs[0].Key != p.Entity.Key() || outs[0].Kind != schemas.KindAnswer {
		l.t.Fatalf("outputs %v", outs)
	}
	var a schemas.Answer
	if err := json.Unmarshal(outs[0].Value, &a); err != nil {
		l.t.Fatalf("%v", err)
	}
	if a.Decision != p.Decision || a.Entity != p.Entity || a.ID != outs[0].ID {
		l.t.Fatalf("answer %+v to %+v", a, p)
	}
	return a
}

// active says that n accounts were active in the last seven days.
func (l *lane) active(n int) {
	l.t.Helper()
	for i := range n {
		value, err := json.Marshal(schemas.Active{Account: fmt.Sprintf("acct-%d", i), Day: 20_000 + int64(i%7)})
		if err != nil {
			l.t.Fatalf("%v", err)
		}
		if _, err := l.fold.Apply(&schemas.Input{Offset: l.offset, Kind: schemas.KindActive, Key: gate.Key, Value: value}, nil); err != nil {
			l.t.Fatalf("%v", err)
		}
		l.offset++
	}
}

func (l *lane) release(n int) schemas.Operator {
	l.t.Helper()
	r := schemas.Request{ID: fmt.Sprintf("req-%d", n), Time: noon, Act: gate.ActRelease, Actor: "ann", Why: "looked"}
	outs := l.put(schemas.KindRequest, r.ID, r)
	if len(outs) != 1 {
		l.t.Fatalf("outputs %v", outs)
	}
	var op schemas.Operator
	if err := json.Unmarshal(outs[0].Value, &op); err != nil {
		l.t.Fatalf("%v", err)
	}
	return op
}

func TestTripsAboveTwentyInTenMinutes(t *testing.T) {
	l := newLane(t, gate.Config{})
	for i := range 20 {
		if a := l.propose(i, noon.Add(time.Duration(i)*29*time.Second)); !a.Go {
			t.Fatalf("stop %d is braked: %s", i+1, a.Reason)
		}
	}
	if a := l.propose(20, noon.Add(10*time.Minute-time.Millisecond)); a.Go || !a.Page || a.Reason == "" {
		t.Fatalf("stop 21: %+v", a)
	}
	if a := l.propose(21, noon.Add(48*time.Hour)); a.Go || a.Page {
		t.Errorf("a later stop while tripped: %+v", a)
	}
}

func TestTwentyOneInMoreThanTenMinutesGo(t *testing.T) {
	l := newLane(t, gate.Config{})
	l.active(40_000) // so that the hour allows about 40
	for i := range 20 {
		l.propose(i, noon.Add(time.Duration(i)*29*time.Second))
	}
	if a := l.propose(20, noon.Add(10*time.Minute)); !a.Go {
		t.Errorf("braked: %s", a.Reason)
	}
}

func TestTripsInAnHour(t *testing.T) {
	for _, c := range []struct{ accounts, goes int }{{0, 20}, {10_000, 20}, {30_000, 30}} {
		t.Run(fmt.Sprint(c.accounts), func(t *testing.T) {
			l := newLane(t, gate.Config{})
			l.active(c.accounts)
			goes := 0
			for i := range 100 {
				if l.propose(i, noon.Add(time.Duration(i)*35*time.Second)).Go {
					goes++
				}
			}
			if goes < c.goes-1 || goes > c.goes+1 { // the sketch's error
				t.Errorf("%d stops went, want about %d", goes, c.goes)
			}
		})
	}
}

func TestOnlyAPersonReleases(t *testing.T) {
	l := newLane(t, gate.Config{})
	if op := l.release(0); op.Refused == "" {
		t.Errorf("a brake that is not on was released: %+v", op)
	}
	for i := range 22 {
		l.propose(i, noon)
	}
	l.start()
	if op := l.release(1); op.Refused != "" || op.Before != "tripped" || op.After != "open" {
		t.Fatalf("release: %+v", op)
	}
	if a := l.propose(50, noon); !a.Go {
		t.Errorf("after the release: %+v", a)
	}
	if a := l.propose(21, noon); a.Go {
		t.Errorf("a doubled proposal was answered differently: %+v", a)
	}
}

func TestBrakeOff(t *testing.T) {
	l := newLane(t, gate.Config{BrakeOff: true})
	for i := range 200 {
		if !l.propose(i, noon).Go {
			t.Fatal("braked")
		}
	}
}

func TestBadRecords(t *testing.T) {
	f := gate.New(gate.Config{})
	for _, in := range []schemas.Input{
		{Kind: schemas.KindProposal, Key: gate.Key, Value: []byte(`{}`)},
		{Kind: schemas.KindProposal, Key: gate.Key, Value: []byte(`{`)},
		{Kind: schemas.KindProposal, Key: "account:a", Value: []byte(`{}`)},
		{Kind: schemas.KindActive, Key: gate.Key, Value: []byte(`{"day":3}`)},
		{Kind: schemas.KindRequest, Key: gate.Key, Value: []byte(`{}`)},
		{Kind: schemas.KindSignal, Key: gate.Key, Value: []byte(`{}`)},
	} {
		if touched, err := f.Apply(&in, func(schemas.Output) { t.Error("emitted") }); err == nil || touched {
			t.Errorf("%s %s: touched %v, error %v", in.Kind, in.Value, touched, err)
		}
	}
}

// Cut and restored anywhere, with proposals doubled, the gate answers alike; and no
// 10 minutes hold more than 20 stops that went ahead.
func TestGateProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		plain, cut := newLane(t, gate.Config{}), newLane(t, gate.Config{})
		at := noon
		var went []int64
		answers := map[int]schemas.Answer{}
		for i := range rapid.IntRange(1, 80).Draw(t, "proposals") {
			at = at.Add(time.Duration(rapid.IntRange(-60, 120).Draw(t, "step")) * time.Second)
			a, b := plain.propose(i, at), cut.propose(i, at)
			if diff := cmp.Diff(a, b); diff != "" {
				t.Fatalf("a restart changed an answer: %s", diff)
			}
			answers[i] = a
			if a.Go {
				went = append(went, at.UnixMilli())
			}
			if rapid.IntRange(0, 4).Draw(t, "cut") == 0 {
				cut.start()
			}
			if rapid.IntRange(0, 4).Draw(t, "double") == 0 {
				n := rapid.IntRange(0, i).Draw(t, "which")
				if got := cut.propose(n, at); got.Go != answers[n].Go || got.Page != answers[n].Page {
					t.Fatalf("a double was answered differently: %+v, first %+v", got, answers[n])
				}
			}
		}
		slices.Sort(went)
		for i := 20; i < len(went); i++ {
			if went[i]-went[i-20] < (10 * time.Minute).Milliseconds() {
				t.Fatalf("21 stops went ahead within 10 minutes")
			}
		}
		if n := len(plain.saved); n > 128<<10 {
			t.Fatalf("the state has %d bytes", n)
		}
	})
}

func FuzzRestore(f *testing.F) {
	f.Add([]byte(`{"brake":{"times":[1,2]},"active":[{"day":3,"sketch":"AQ=="}]}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		fold := gate.New(gate.Config{})
		frame := schemas.AppendStateFrame(nil, schemas.StateFrame{Version: 1, Payload: payload})
		if fold.Restore(gate.Key, frame) != nil {
			return
		}
		p := []byte(`{"id":"a","time":"2026-01-01T00:00:00Z","decision":"d","entity":{"kind":"account","id":"a"}}`)
		if _, err := fold.Apply(&schemas.Input{Kind: schemas.KindProposal, Key: gate.Key, Value: p}, func(schemas.Output) {}); err != nil {
			t.Fatal(err)
		}
	})
}
