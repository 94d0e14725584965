package proof

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"holdfast/schemas"
)

// Coverage is how far the log of proof has come with one partition.
type Coverage struct {
	Log   string `json:"log"`
	Seq   int64  `json:"seq"`   // of the last batch
	First int64  `json:"first"` // the first offset that any batch covers
	To    int64  `json:"to"`
	Last  int64  `json:"last"` // arrival of the last record, Unix milliseconds
}

// Fold is what follows from the leaves so far: which records of the topic "proof" are
// leaves, and what they cover. A record that comes twice, or from a process that has
// lost its place to another, is none.
type Fold struct {
	Log   string              `json:"log"` // newest log id
	Logs  []string            `json:"logs"`
	Cover map[string]Coverage `json:"cover"` // by topic/partition
	IDs   map[string]bool     `json:"ids"`   // of erasures and expiries
}

func newFold() *Fold { return &Fold{Cover: map[string]Coverage{}, IDs: map[string]bool{}} }

func partitionKey(t schemas.Topic, partition int32) string { return fmt.Sprintf("%s/%d", t, partition) }

// Of tells how far one partition is covered.
func (f *Fold) Of(t schemas.Topic, partition int32) Coverage {
	return f.Cover[partitionKey(t, partition)]
}

// Apply folds an entry in; false: it is no leaf.
func (f *Fold) Apply(e *Entry) bool {
	switch e.Kind {
	case KindLog:
		if e.Log == f.Log {
			return false
		}
		f.Log = e.Log
		for _, id := range append([]string{e.Log}, e.Known...) {
			if !slices.Contains(f.Logs, id) {
				f.Logs = append(f.Logs, id)
			}
		}
		for key, end := range e.Ends {
			if c, ok := f.Cover[key]; ok {
				c.To = end
				f.Cover[key] = c
			}
		}
	case KindBatch:
		key := partitionKey(e.Topic, e.Partition)
		c := f.Cover[key]
		if e.Seq != c.Seq+1 || c.Seq > 0 && e.Log == c.Log && e.From < c.To {
			return false
		}
		if c.Seq == 0 {
			c.First = e.From
		}
		c.Log, c.Seq, c.To, c.Last = e.Log, e.Seq, e.To, e.Last
		f.Cover[key] = c
	case KindErasure, KindExpiry, KindScope:
		if f.IDs[e.ID] {
			return false
		}
		f.IDs[e.ID] = true
	}
	return true
}

// Partitions lists what is covered, topics in the order of schemas.Tables.
func (f *Fold) Partitions() []string {
	order := map[string]int{}
	for i, t := range schemas.Tables() {
		order[string(t.Topic)] = i
	}
	keys := slices.Collect(maps.Keys(f.Cover))
	slices.SortFunc(keys, func(a, b string) int {
		at, ap, _ := strings.Cut(a, "/")
		bt, bp, _ := strings.Cut(b, "/")
		if at != bt {
			return order[at] - order[bt]
		}
		if len(ap) != len(bp) {
			return len(ap) - len(bp)
		}
		return strings.Compare(ap, bp)
	})
	return keys
}
