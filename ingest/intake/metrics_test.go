package intake

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"holdfast/schemas"
)

// A source that falls silent shows by its age, an import by that of what it brings.
func TestNewestEventAge(t *testing.T) {
	reg := prometheus.NewRegistry()
	check := Checker{Metrics: NewMetrics(reg)}
	now := time.Now().UTC()
	send := func(src *Source, ago time.Duration) {
		t.Helper()
		e := `{"id":"a","type":"send","account":"acct-1","recipient_count":1,"time":"` + now.Add(-ago).Format(time.RFC3339Nano) + `"}`
		if _, bad := check.Check([]byte(e), src, now); bad != nil {
			t.Fatal(bad)
		}
	}
	api, old := &Source{Name: "http:api", Origin: schemas.OriginLive}, &Source{Name: "import:old", Origin: schemas.OriginImport}
	send(api, time.Minute)
	send(old, 48*time.Hour)
	send(api, 2*time.Minute)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	ages := map[string]time.Duration{}
	for _, f := range families {
		if f.GetName() == "holdfast_intake_newest_event_age_seconds" {
			for _, m := range f.GetMetric() {
				ages[m.GetLabel()[0].GetValue()] = time.Duration(m.GetGauge().GetValue() * float64(time.Second)).Round(time.Minute)
			}
		}
	}
	if len(ages) != 2 || ages["http:api"] != time.Minute || ages["import:old"] != 48*time.Hour {
		t.Errorf("%v", ages)
	}
}
