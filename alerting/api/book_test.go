package api

import (
	"testing"
	"testing/synctest"
	"time"

	"holdfast/schemas"
)

// An act is answered once the copy has both its status and its case, in whichever order they
// come, and after a bound where one never does.
func TestAnActIsAnsweredOnceItCanBeSeen(t *testing.T) {
	e := schemas.Entity{Kind: schemas.KindAccount, ID: "a"}
	op := schemas.Operator{Entity: e, Episode: 7, Step: 1, Version: 3}
	status := Record{Topic: schemas.TopicStatus, Key: e.Key(), Value: []byte(asText(schemas.Status{Entity: e, Status: "suspended", Episode: 7, Step: 1}))}
	theCase := Record{Topic: schemas.TopicCasebook, Key: e.Key(), Value: []byte(asText(schemas.Case{ID: "c", Entity: e, Version: 3}))}
	for name, c := range map[string]struct {
		records []Record // one a second
		want    time.Duration
	}{
		"both": {[]Record{status, theCase}, 2 * time.Second}, "the other way": {[]Record{theCase, status}, 2 * time.Second},
		"no status": {[]Record{theCase}, syncFor}, "no case": {[]Record{status}, syncFor},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newWorld(t).service.book
				go func() {
					for _, r := range c.records {
						time.Sleep(time.Second)
						if err := b.Apply(r); err != nil {
							t.Error(err)
						}
					}
				}()
				began := time.Now()
				b.has(t.Context(), &op)
				if took := time.Since(began); took < c.want || took > c.want+100*time.Millisecond {
					t.Errorf("answered after %s, want %s", took, c.want)
				}
			})
		})
	}
}
