package respond

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"holdfast/alerting/policy"
	"holdfast/schemas"
)

// maxSeen is how many sentences a decision quotes: people read five.
const maxSeen = 5

// name lists the signals, gravest first, with their shares, and says what to read
// first: what is certain, then what adds most.
func (j *judgement) name(d *schemas.Decision, gravest []*kept) {
	signals := make([]policy.Signal, len(gravest))
	for i, k := range gravest {
		signals[i] = j.asSeen(k)
		d.Signals = append(d.Signals, k.ID)
	}
	d.Shares = policy.Shares(signals)
	quoted := quote(gravest, d.Shares)
	slices.SortStableFunc(quoted, func(a, b quotation) int {
		return cmp.Or(compareBool(signals[b.at].Certain, signals[a.at].Certain), cmp.Compare(b.share, a.share))
	})
	for _, q := range quoted[:min(len(quoted), maxSeen)] {
		k := gravest[q.at]
		d.Seen = append(d.Seen, schemas.Seen{Signal: k.ID, Detector: k.Detector, Share: q.share, Text: k.Text})
	}
}

// quotation is a signal whose sentence stands for others that say no more.
type quotation struct {
	at    int     // which signal
	share float64 // its own and theirs
}

// quote takes the gravest signal of each detector, since what a detector says of an
// hour it says again of the day; and of two detectors that say the same but for the
// numbers, the graver.
func quote(gravest []*kept, shares []float64) []quotation {
	var out []quotation
	for i, k := range gravest {
		if k.Text == "" {
			continue
		}
		same := slices.IndexFunc(out, func(q quotation) bool {
			said := gravest[q.at]
			return said.Detector == k.Detector || alike(said.Text, k.Text)
		})
		if same < 0 {
			out = append(out, quotation{i, shares[i]})
		} else {
			out[same].share += shares[i]
		}
	}
	return out
}

// alike reports whether two sentences are the same but for their digits.
func alike(a, b string) bool {
	for {
		a, b = strings.TrimLeftFunc(a, unicode.IsDigit), strings.TrimLeftFunc(b, unicode.IsDigit)
		x, n := utf8.DecodeRuneInString(a)
		y, m := utf8.DecodeRuneInString(b)
		if x != y || n == 0 || m == 0 {
			return n == 0 && m == 0
		}
		a, b = a[n:], b[m:]
	}
}

// sentences are what was seen, each with its share in per cent. One alone has all.
func sentences(seen []schemas.Seen) []string {
	out := make([]string, len(seen))
	for i, s := range seen {
		if out[i] = s.Text; len(seen) > 1 {
			out[i] = fmt.Sprintf("%s [%.0f %%]", s.Text, 100*s.Share)
		}
	}
	return out
}
