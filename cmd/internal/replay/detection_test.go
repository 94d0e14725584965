package replay

import (
	"bytes"
	"fmt"
	"testing"
	"time"
)

// ordinary is n sends of 20 accounts to people whom they write to again and again.
func ordinary(n int) []byte {
	var b bytes.Buffer
	for i := range n {
		at := begin.Add(time.Duration(i) * 2 * time.Second)
		fmt.Fprintf(&b, `{"id":"e%d","time":%q,"type":"send","account":"acct-%d","ip":"192.0.2.%d","sender":"a@x.example","recipients":["r%d@y.example"]}`+"\n",
			i, at.Format(time.RFC3339), i%20, i%20, i%97)
	}
	return b.Bytes()
}

// Once accounts are known, an event costs no allocation from reading to deciding:
// what remains is a block's, an hour's and a day's.
func TestReplayAllocatesNothingAnEvent(t *testing.T) {
	allocs := func(n int) float64 {
		data := ordinary(n)
		return testing.AllocsPerRun(2, func() {
			r, err := New(Config{}, Deps{})
			if err != nil {
				t.Fatal(err)
			}
			if sum, err := r.Run(t.Context(), bytes.NewReader(data)); err != nil || sum.Events != int64(n) {
				t.Fatalf("%d events, %v", sum.Events, err)
			}
		})
	}
	const n = 40_000
	if more := (allocs(2*n) - allocs(n)) / n; more > 0.1 {
		t.Errorf("%.3f allocations an event", more)
	}
}
