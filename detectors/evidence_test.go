package detectors

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"holdfast/schemas"
)

// forged is what somebody sends who can write through an evidence-only source: each of the
// platform's own records beforehand, under the same id, to make it a duplicate; attacks on
// its accounts, addresses and employees; honest-looking mail from the sources and to the
// people of an attack that is to come, to teach baselines; snapshots that make an account
// protected; and times at the edge of what is taken.
func forged(e timed, n int, rng *rand.Rand) (out []timed) {
	var ev schemas.Event
	if err := schemas.Decode([]byte(strings.Clone(e.data)), &ev); err != nil {
		panic(err)
	}
	out = append(out, e)
	add := func(ms int64, format string, args ...any) {
		t := time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z")
		out = append(out, timed{ms, fmt.Sprintf(`{"id":"f%06d-%d","time":%q,`, n, len(out), t) + fmt.Sprintf(format, args...) + "}"})
	}
	account, ip := ev.Account, ev.IP.String()
	if account == "" {
		account = "nobody"
	}
	if !ev.IP.IsValid() {
		ip = "198.51.100.77"
	}
	switch rng.IntN(7) {
	case 0:
		add(e.ms, `"type":"send","account":%q,"credential":"k","ip":%q,"recipient_count":%d`, account, ip, 1+rng.IntN(100_000))
	case 1:
		for range 12 {
			add(e.ms, `"type":"login","account":%q,"user":"u","ip":%q,"outcome":"failure"`, account, ip)
		}
		add(e.ms+1000, `"type":"login","account":%q,"user":"u","ip":%q,"outcome":"success"`, account, ip)
	case 2:
		add(e.ms+4*msMinute, `"type":"credential","account":%q,"credential":"new","kind":"api_key","change":"created","ip":%q`, account, ip)
	case 3:
		add(e.ms, `"type":"access","employee":"emp-1","action":"view_secret","account":%q`, account)
	case 4:
		add(e.ms, `"type":"connection","ip":%q,"state":"open"`, ip)
	case 5:
		add(e.ms, `"type":"account","account":%q,"plan":"huge","protected":true,"created":"2010-01-01T00:00:00Z"`, account)
	default:
		add(e.ms, `"type":"delivery","account":%q,"message_id":"m%d","outcome":"hard_bounce"`, account, n)
	}
	return out
}

// Whatever an evidence-only source sends, what the sources of full trust lead to stays the
// same to the byte: it can cause nothing, tip nothing over a threshold, hide nothing and
// teach nothing. What it shows by itself leaves under ids of its own. (One lane: between
// lanes, what one is told when follows how fast each reads, forged or not.)
func TestEvidenceChangesNothingLive(t *testing.T) {
	raised := 0
	for seed := *first; seed < *first+max(seeds()/20, 2); seed++ {
		events := newLife(seed, 20+int(seed%5)).out
		with := func(cut float64) *router {
			rng := rand.New(rand.NewPCG(seed, 8))
			r := newRouter(t, 1, seed)
			r.parameters(touchy)
			r.cut = cut
			for n, e := range events {
				for _, f := range forged(e, n, rng) {
					r.eventOf([]byte(f.data), "partner", schemas.TrustEvidence)
				}
				r.event([]byte(e.data))
			}
			r.run()
			for _, err := range r.errors {
				t.Fatal(err)
			}
			return r
		}
		want := play(t, events, 1, seed, func(r *router) { r.parameters(touchy) })
		got := with(0)
		for id, w := range want.signals {
			if g := got.signals[id]; !reflect.DeepEqual(w, g) {
				t.Errorf("seed %d: signal\n%+v becomes\n%+v", seed, w, g)
				break
			}
		}
		if !reflect.DeepEqual(want.signals, got.signals) {
			t.Errorf("seed %d: %d live signals beside forged records, %d without, or others", seed, len(got.signals), len(want.signals))
		}
		for i := range want.logs {
			if w, g := facts(want, i), facts(got, i); !slices.Equal(w, g) {
				t.Errorf("seed %d, lane %d: %d facts beside forged records, %d without, or others", seed, i, len(g), len(w))
			}
		}
		for id, s := range got.tried {
			if s.Trial != schemas.EvidenceRun || s.Mode != schemas.ModeShadow {
				t.Errorf("signal %s is of trial %q, mode %q", id, s.Trial, s.Mode)
			}
			if _, live := got.signals[id]; live {
				t.Errorf("signal %s is live and evidence", id)
			}
		}
		raised += len(got.tried)
		cut := with(0.003)
		if !reflect.DeepEqual(ids(got.tried), ids(cut.tried)) || !reflect.DeepEqual(ids(want.signals), ids(cut.signals)) {
			t.Errorf("seed %d: cut and restored, %d evidence signals of %d, %d live ones of %d", seed, len(cut.tried), len(got.tried), len(cut.signals), len(want.signals))
		}
	}
	if raised == 0 {
		t.Error("forged attacks were not noticed at all")
	}
	t.Logf("%d signals of evidence alone", raised)
}

func facts(r *router, lane int) (out []string) {
	for _, in := range r.logs[lane][schemas.TopicFacts] {
		out = append(out, in.Key+" "+string(in.Value))
	}
	return out
}

func ids(all map[string]schemas.Signal) (out []string) {
	for id := range all {
		out = append(out, id)
	}
	slices.Sort(out)
	return out
}

// Without such a source there is no second engine.
func TestNoEvidenceCostsNothing(t *testing.T) {
	f := NewFold(Config{Lanes: 1, HashSecret: secret})
	if _, err := f.Apply(input(0, "account:a", sendAt("e", "2026-03-02T10:00:00Z")), func(schemas.Output) {}); err != nil {
		t.Fatal(err)
	}
	if f.evidence != nil {
		t.Error("there is an engine for evidence")
	}
}
