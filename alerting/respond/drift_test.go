package respond_test

import (
	"slices"
	"testing"
	"time"

	"holdfast/alerting/respond"
	"holdfast/schemas"
)

// While years are imported in minutes, what an account hears through another lane
// can be weeks behind what it hears through its own. It is decided on all the same,
// and together with what happened then.
func TestSignalsFromALaneThatIsWeeksBehind(t *testing.T) {
	arrived := func(s *schemas.Signal) { s.Arrival = noon.Add(100 * 24 * time.Hour) }
	signals := []schemas.Signal{
		sig("then", alice, net, medium, noon, arrived),
		sig("behind", alice, vol, high, noon.Add(time.Hour), arrived, certain),
		sig("since", alice, net, medium, noon.Add(20*24*time.Hour), arrived),
	}
	play := func(order ...int) []string {
		b := newInbox(t, respond.Config{})
		for _, i := range order {
			b.signal(signals[i])
		}
		out := b.ids()
		slices.Sort(out)
		return slices.Compact(out)
	}
	want := play(0, 1, 2)
	if len(want) < 3 {
		t.Fatalf("only %v decided", want)
	}
	if got := play(0, 2, 1); !slices.Equal(got, want) {
		t.Errorf("out of order: %v, in order: %v", got, want)
	}
}
