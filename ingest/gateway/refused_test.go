package gateway

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"

	"holdfast/ingest/intake"
	"holdfast/ingest/intake/intaketest"
	"holdfast/schemas"
)

// What HTTP refuses stands on the rejected topic, at most 60 records of a source and
// minute; the rest is counted by one record.
func TestRefusedLinesAreKeptAndThenCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &intaketest.Broker{Lanes: 1}
		g := handler(t, Config{}, Deps{Writer: intaketest.Producer(t, b, intake.Config{})})
		good := strings.ReplaceAll(login, "%d", "1")
		var bad strings.Builder
		for i := range 50 {
			fmt.Fprintf(&bad, "{broken %d\n", i)
		}
		for range 4 { // the same again has the same ids
			if w := post(g, strings.NewReader(good+bad.String())); w.Code != http.StatusOK {
				t.Fatal(w.Code, w.Body)
			}
		}
		kept := b.All(schemas.TopicRejected)
		if len(kept) != 60 {
			t.Fatalf("%d records are kept, want 60", len(kept))
		}
		var first schemas.Rejected
		if err := json.Unmarshal(kept[0].Value, &first); err != nil || first.Reason != schemas.ReasonNotJSON || string(first.Head) != "{broken 0" || first.Source != "http:all" || first.Offset != 2 {
			t.Errorf("%+v (%v)", first, err)
		}
		if intaketest.Header(&kept[0], "id") != intaketest.Header(&kept[50], "id") {
			t.Error("the same line refused twice has two ids")
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		all := b.All(schemas.TopicRejected)
		if len(all) != 61 {
			t.Fatalf("%d records after the minute, want one more", len(all))
		}
		var count schemas.Rejected
		if err := json.Unmarshal(all[60].Value, &count); err != nil || count.Reason != schemas.ReasonMore || count.Offset != 140 || !strings.Contains(count.Detail, "not_json 140") {
			t.Errorf("%+v (%v)", count, err)
		}
		post(g, strings.NewReader(good+"{broken\n"))
		if n := len(b.All(schemas.TopicRejected)); n != 62 {
			t.Errorf("%d records, want one of the next minute", n)
		}
	})
}
