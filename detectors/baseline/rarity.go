package baseline

import (
	"math"
	"slices"
)

const (
	rarest    = 64 // the largest values that are remembered
	rarityMin = 50 // values before the first is judged
)

// Rarity ranks a value among all before it by remembering the largest of them.
// With r−1 of the k largest at or above the new one,
//
//	R = ln((k+1)/r) / ln(rarest+1),   k = min(rarest, n/8)
//
// which is 1 for a record after 512 values and 0 for what does not belong to the k
// largest. Value n of a series without trend is among the r largest so far with
// probability r/n, whatever the distribution (A. Rényi, 1962, on records), so that n
// rows bring about r·ln n of them and not a share of n: a long series needs no other
// threshold than a short one.
type Rarity struct {
	n   int
	top []float64 // ascending, at most rarest
}

// Add returns how rare the value is and learns it. Zero is never rare.
func (r *Rarity) Add(value float64) float64 {
	score := r.rank(value)
	r.n++
	i, _ := slices.BinarySearch(r.top, value)
	switch {
	case len(r.top) < rarest:
		r.top = slices.Insert(r.top, i, value)
	case i > 0:
		copy(r.top, r.top[1:i])
		r.top[i-1] = value
	}
	return score
}

func (r *Rarity) rank(value float64) float64 {
	if value <= 0 || r.n < rarityMin {
		return 0
	}
	i, _ := slices.BinarySearch(r.top, value)
	place := float64(len(r.top) - i + 1)
	among := min(float64(len(r.top)), float64(r.n)/8)
	return max(0, math.Log((among+1)/place)/math.Log(rarest+1))
}
