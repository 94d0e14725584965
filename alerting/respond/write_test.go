package respond_test

import (
	"bytes"
	"fmt"
	"reflect"
	"testing"
	"time"
	"unsafe"

	"github.com/go-json-experiment/json"
	"pgregory.net/rapid"

	"holdfast/alerting/respond"
	"holdfast/schemas"
)

// States are written when they are saved and not with every signal. When that is
// makes no difference to what is decided or saved, nor do signals in between whose
// decisions cannot be written, nor whether a signal is given decoded or as JSON.
func TestWhenStatesAreWrittenLeavesNoTrace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		each, late := respond.New(testConfig()), respond.New(testConfig())
		var outs [2][]schemas.Output
		take := func(i int) func(schemas.Output) {
			return func(o schemas.Output) { outs[i] = append(outs[i], o) }
		}
		n := rapid.IntRange(1, 40).Draw(t, "signals")
		for i := range n {
			s := schemas.Signal{
				ID: fmt.Sprint("s", i), Time: noon.Add(time.Duration(rapid.IntRange(0, 100).Draw(t, "minute")) * time.Minute), Entity: alice, Origin: schemas.OriginLive,
				Detector: rapid.SampledFrom([]string{"volume", "new_source", "takeover"}).Draw(t, "detector"), Family: schemas.FamilyVolume,
				Account: "alice", Credential: fmt.Sprint("key", i%3), Evidence: schemas.Evidence{Observed: 7, Unit: "recipients", Text: fmt.Sprint(i, " of them")},
				Severity: rapid.SampledFrom([]schemas.Severity{schemas.SeverityLow, schemas.SeverityMedium, schemas.SeverityHigh}).Draw(t, "severity"), Score: 0.5,
			}
			value, err := json.Marshal(s)
			if err != nil {
				t.Fatal(err)
			}
			if rapid.IntRange(0, 5).Draw(t, "odd") == 0 {
				value = []byte(`{"id":"odd` + s.ID + `","time":"9999-12-31T23:59:59-10:00","origin":"live","entity":{"kind":"account","id":"alice"},"severity":"high","certain":true}`)
			}
			in := schemas.Input{Topic: schemas.TopicInbox, Offset: int64(i), Arrival: noon.UnixMilli(), Kind: schemas.KindSignal, ID: s.ID, Origin: schemas.OriginLive, Key: alice.Key(), Value: value}
			_, a := each.Apply(&in, take(0))
			saved(t, each)
			spoil := func() {}
			if given := new(schemas.Signal); rapid.Bool().Draw(t, "given") && json.Unmarshal(value, given) == nil {
				in.Signal, spoil = given, lend(given)
			}
			_, b := late.Apply(&in, take(1))
			spoil()
			if fmt.Sprint(a) != fmt.Sprint(b) {
				t.Fatalf("signal %d: %v where it was saved each time, %v where not", i, a, b)
			}
		}
		if a, b := saved(t, each), saved(t, late); !bytes.Equal(a, b) {
			t.Fatalf("saved each time: %s\nsaved once:      %s", a, b)
		}
		if a, b := outs[0], outs[1]; !reflect.DeepEqual(a, b) {
			t.Fatalf("emitted where saved each time: %+v\nsaved once: %+v", a, b)
		}
	})
}

// lend moves a signal's texts to memory of which only the call is theirs.
func lend(s *schemas.Signal) (spoil func()) {
	var lent [][]byte
	for _, at := range []*string{&s.ID, &s.Detector, (*string)(&s.Family), &s.Entity.ID, (*string)(&s.Severity), &s.Account, &s.Credential, &s.Evidence.Unit, &s.Evidence.Text, &s.Trial} {
		text := []byte(*at)
		*at = unsafe.String(unsafe.SliceData(text), len(text))
		lent = append(lent, text)
	}
	return func() {
		for _, text := range lent {
			copy(text, bytes.Repeat([]byte("#"), len(text)))
		}
	}
}

func saved(t *rapid.T, f *respond.Fold) (out []byte) {
	if err := f.Save(alice.Key(), func(_ string, v []byte) { out = v }); err != nil {
		t.Fatal(err)
	}
	return out
}
