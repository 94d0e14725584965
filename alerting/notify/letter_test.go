package notify_test

import (
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"holdfast/alerting/notify"
	"holdfast/schemas"
)

// What the outbox holds of a letter is all of it.
func TestLettersSurviveTheOutbox(t *testing.T) {
	for _, s := range notify.Samples() {
		for _, o := range s.Occasions {
			l := notify.Letter{
				ID: "ntc_1", Time: o.Time, Decision: o.Cause, Entity: o.Entity, Audience: s.Audience, Channel: "smtp", To: "a@b.example", Occasion: o,
				Language: "de", Key: "notice:smtp", Wait: notify.Span(90 * time.Second), Spree: &notify.Spree{Name: "cases", Alone: 3, Quiet: notify.Span(10 * time.Minute)},
			}
			b, err := json.Marshal(&l)
			if err != nil {
				t.Fatal(err)
			}
			var back notify.Letter
			if err := json.Unmarshal(b, &back); err != nil {
				t.Fatalf("%v in %s", err, b)
			}
			if d := cmp.Diff(l, back); d != "" {
				t.Errorf("%s: %s", s.Name, d)
			}
		}
	}
}

// One that an earlier version wrote brings its words along.
func TestLettersOfOldAreSentAsTheyAre(t *testing.T) {
	var l notify.Letter
	old := `{"id":"ntc_1","time":"2026-03-12T20:24:49Z","decision":"dec_1","entity":{"kind":"account","id":"a"},"verdict":"suspend","policy":"two","audience":"operator","channel":"smtp","to":"a@b.example","subject":"Decided","body":"Hello"}`
	if err := json.Unmarshal([]byte(old), &l); err != nil {
		t.Fatal(err)
	}
	m := l.Message(nil)
	if m.Subject != "Decided" || m.Body != "Hello" || m.HTML != "" || m.Decision.Verdict != schemas.VerdictSuspend || l.RecordKey() != "account:a" {
		t.Errorf("%+v", m)
	}
}
