package respond

import (
	"cmp"
	"slices"
	"time"

	"holdfast/alerting/policy"
	"holdfast/schemas"
)

// sight is what is made of a window. It is the same for all policies whose windows
// begin with the same signal.
type sight struct {
	first int // which signal
	views []view
}

// view is a window as it may have been seen, and the episode that it speaks of.
type view struct {
	window  []*kept // oldest first
	episode int
	env     *policy.Env // nil until a policy is judged by it
}

// lateness is how much later than in its turn a signal may come, in milliseconds.
const lateness = int64(schemas.Lateness / time.Millisecond)

// views are the episodes that a window speaks of. Its episode is the cell in which
// the newest of its gravest signals lies: a weak signal that comes after does not
// begin another episode with the grave ones of before.
//
// A signal that comes late may move the gravest into another cell after the window
// was judged without it. So that the order does not matter, the window is judged
// also as it was without signals of its last ten minutes, where it then spoke of
// another cell: for each cell with the most that it can have held. A condition that
// asks for "at least" holds on that if it held on anything less. Windows that do
// not reach over the border of a cell, all but one in 288, have a single view.
// The newest episode comes first: what follows finds its verdict in force.
func (j *judgement) views(window []*kept) []view {
	tops := j.tops(window)
	out := make([]view, 0, len(tops))
	for _, top := range tops {
		v := view{episode: cellOf(top.Time)}
		if len(tops) == 1 {
			v.window = window
		} else if v.window = j.upTo(window, top); v.window[len(v.window)-1].Time != j.at {
			continue // it ends earlier, and was judged there
		}
		out = append(out, v)
	}
	return out
}

// tops are the signals that can have been the newest of the gravest: one of each
// cell, the gravest that it may be, newest cell first.
func (j *judgement) tops(window []*kept) []*kept {
	var sure *kept
	for _, k := range window {
		if !j.mayBeLate(k) && (sure == nil || byGravity(k, sure) > 0) {
			sure = k
		}
	}
	var tops []*kept
	for _, k := range window {
		if sure != nil && byGravity(k, sure) < 0 || sure != nil && k.ID != sure.ID && !j.mayBeLate(k) {
			continue
		}
		at := slices.IndexFunc(tops, func(t *kept) bool { return cellOf(t.Time) == cellOf(k.Time) })
		if at < 0 {
			tops = append(tops, k)
		} else if byGravity(k, tops[at]) > 0 {
			tops[at] = k
		}
	}
	slices.SortFunc(tops, func(a, b *kept) int { return cmp.Compare(b.Time, a.Time) })
	return tops
}

// upTo is the window without what may have come late and is graver or newer.
func (j *judgement) upTo(window []*kept, top *kept) []*kept {
	return slices.DeleteFunc(slices.Clone(window), func(k *kept) bool { return j.mayBeLate(k) && byGravity(k, top) > 0 })
}

// mayBeLate reports whether the window can have been judged without the signal.
func (j *judgement) mayBeLate(k *kept) bool { return j.at-k.Time <= lateness }

// byGravity orders signals by severity, and equal ones by time.
func byGravity(a, b *kept) int {
	if c := cmp.Compare(policy.SeverityRank(a.Severity), policy.SeverityRank(b.Severity)); c != 0 {
		return c
	}
	return byTime(a, b)
}
