package kafka

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	kafkago "github.com/segmentio/kafka-go"
	"pgregory.net/rapid"
)

// drawHeld makes members with any mixture of true, stale and made-up claims.
func drawHeld(t *rapid.T) map[string]holding {
	held := map[string]holding{}
	for i := range rapid.IntRange(1, 9).Draw(t, "members") {
		held[fmt.Sprintf("m%d", i)] = holding{
			generation: rapid.Int32Range(0, 4).Draw(t, "generation"),
			lanes:      rapid.SliceOfNDistinct(rapid.Int32Range(-1, 20), 0, 16, rapid.ID).Draw(t, "lanes"),
		}
	}
	return held
}

func TestBalanceSharesEvenlyAndMovesLeast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		held := drawHeld(t)
		n := rapid.IntRange(0, 18).Draw(t, "lanes")
		shares := balance(held, n)
		checkShares(t, held, shares, n)
		if again := balance(held, n); !reflect.DeepEqual(shares, again) {
			t.Fatalf("the same members gave %v, then %v", shares, again)
		}
		// A settled group stays as it is.
		next := map[string]holding{}
		for m := range held {
			next[m] = holding{generation: 9, lanes: shares[m]}
		}
		if after := balance(next, n); !sameShares(shares, after) {
			t.Fatalf("without any change %v became %v", shares, after)
		}
	})
}

func sameShares(a, b map[string][]int32) bool {
	for m := range a {
		if !slices.Equal(a[m], b[m]) {
			return false
		}
	}
	return true
}

func checkShares(t *rapid.T, held map[string]holding, shares map[string][]int32, n int) {
	var all []int32
	least, most := n, 0
	for m := range held {
		all = append(all, shares[m]...)
		least, most = min(least, len(shares[m])), max(most, len(shares[m]))
	}
	slices.Sort(all)
	if len(all) != n || len(slices.Compact(all)) != n || n > 0 && (all[0] != 0 || int(all[n-1]) != n-1) {
		t.Fatalf("%d lanes were shared out as %v", n, shares)
	}
	if most-least > 1 {
		t.Fatalf("shares from %d to %d: %v", least, most, shares)
	}
	moved, must := 0, fewestMoves(claims(held, n), len(held), n)
	for m, lanes := range claims(held, n) {
		for _, lane := range lanes {
			if !slices.Contains(shares[m], lane) {
				moved++
			}
		}
	}
	if moved != must {
		t.Fatalf("%d lanes moved where %d would do: %v to %v", moved, must, held, shares)
	}
}

// fewestMoves works out how many held lanes must leave their member: the shares
// are n/members, and one more for some; those who hold most get these.
func fewestMoves(claims map[string][]int32, members, n int) int {
	sizes := make([]int, 0, members)
	for _, lanes := range claims {
		sizes = append(sizes, len(lanes))
	}
	for len(sizes) < members {
		sizes = append(sizes, 0)
	}
	slices.Sort(sizes)
	slices.Reverse(sizes)
	moves := 0
	for i, size := range sizes {
		quota := n / members
		if i < n%members {
			quota++
		}
		moves += max(size-quota, 0)
	}
	return moves
}

func TestLatestClaimWins(t *testing.T) {
	shares := balance(map[string]holding{
		"woken":  {generation: 3, lanes: []int32{0, 1}},
		"active": {generation: 5, lanes: []int32{0, 1}},
	}, 2)
	if len(shares["active"]) != 1 || len(shares["woken"]) != 1 || shares["active"][0] != 0 {
		t.Errorf("got %v: the member of the later generation keeps its first lane", shares)
	}
}

func TestAssignGivesSameNumbersOfAllTopics(t *testing.T) {
	b := &balancer{lanes: 4}
	var partitions []kafkago.Partition
	for p := range 4 {
		partitions = append(partitions, kafkago.Partition{Topic: "events", ID: p}, kafkago.Partition{Topic: "facts", ID: p})
	}
	partitions = append(partitions, kafkago.Partition{Topic: "small", ID: 0})
	topics := []string{"events", "facts", "small"}
	got := b.AssignGroups([]kafkago.GroupMember{
		{ID: "a", Topics: topics}, {ID: "b", Topics: topics, UserData: holding{1, []int32{2, 3}}.append(nil)},
	}, partitions)
	want := kafkago.GroupMemberAssignments{
		"a": {"events": {0, 1}, "facts": {0, 1}, "small": {0}},
		"b": {"events": {2, 3}, "facts": {2, 3}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestHoldingRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := holding{rapid.Int32Min(0).Draw(t, "generation"), rapid.SliceOf(rapid.Int32Min(0)).Draw(t, "lanes")}
		if got := parseHolding(h.append(nil)); got.generation != h.generation || !slices.Equal(got.lanes, h.lanes) {
			t.Fatalf("%v came back as %v", h, got)
		}
	})
}

func FuzzHolding(f *testing.F) {
	f.Add(holding{7, []int32{0, 5, 63}}.append(nil))
	f.Add([]byte{1, 0x80})
	f.Fuzz(func(t *testing.T, b []byte) {
		shares := balance(map[string]holding{"a": parseHolding(b), "b": {}}, 8)
		if len(shares["a"])+len(shares["b"]) != 8 {
			t.Errorf("user data %x gave %v", b, shares)
		}
	})
}
