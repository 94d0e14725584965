package detectors

import (
	"fmt"
	"testing"

	"holdfast/schemas"
)

// What is said of an hour that has settled is not the doing of the event that came
// next: it names neither that one's credential nor the event, and is as little live as
// what happened in it.
func TestSettledHoursBlameNoEvent(t *testing.T) {
	for _, origin := range []schemas.Origin{schemas.OriginLive, schemas.OriginImport} {
		t.Run(string(origin), func(t *testing.T) { testSettled(t, origin) })
	}
}

func testSettled(t *testing.T, origin schemas.Origin) {
	l := life{start: 20_000 * msDay}
	send := func(ms int64, key, id string) {
		l.add(ms, `"type":"send","account":"shop","credential":%q,"message_id":%q,"ip":"192.0.2.1","recipients":["%s@example.net"]`, key, id, id)
	}
	for i := range 400 {
		id, at := fmt.Sprintf("m%d", i), l.start+20*msDay+int64(i)*5000
		send(at, "key-list", id)
		if i%2 == 0 {
			l.add(at+1000, `"type":"delivery","account":"shop","message_id":%q,"outcome":"hard_bounce"`, id)
		}
	}
	for i := range 24 {
		send(l.start+20*msDay+msHour+int64(i)*10*msMinute, "key-shop", fmt.Sprintf("n%d", i))
	}
	r := newRouter(t, 1, 1)
	for _, e := range l.out {
		if r.origin = origin; e.ms >= l.start+20*msDay+msHour {
			r.origin = schemas.OriginLive
		}
		r.event([]byte(e.data))
		r.run()
	}
	found := false
	for _, s := range r.signals {
		if s.Detector == badOutcomesSpec.Name {
			found = true
			if s.Credential != "" || len(s.Evidence.Samples) > 0 {
				t.Errorf("%s names credential %q and events %q", s.Detector, s.Credential, s.Evidence.Samples)
			}
			if s.Origin != origin {
				t.Errorf("%s of %s events is %s", s.Detector, origin, s.Origin)
			}
			if s.Trigger == "" || s.Severity != schemas.SeverityHigh && s.Level == 2 {
				t.Errorf("%+v", s)
			}
		}
	}
	if !found {
		t.Error("no bounces were found")
	}
}
