package proof

import (
	"encoding/base64"
	"fmt"

	"github.com/go-json-experiment/json"
	"golang.org/x/mod/sumdb/tlog"

	"holdfast/schemas"
)

// Kind says what a leaf is about.
type Kind string

// The kinds of leaf.
const (
	KindLog     Kind = "log"     // the journals are read under another log id from here on
	KindBatch   Kind = "batch"   // a stretch of a partition, with its root
	KindErasure Kind = "erasure" // rows were erased, by a person
	KindExpiry  Kind = "expiry"  // rows were deleted since their time was over
	KindScope   Kind = "scope"   // whom an incident reached: Root is over a statement for each account
)

// Entry is a leaf, one line of JSON. It holds no personal data.
type Entry struct {
	Kind Kind `json:"kind"`

	// Of a log, beside its id: where the partitions that were covered further go on, since
	// the log is new or its end was lost.
	Ends map[string]int64 `json:"ends,omitempty"`
	// Of a log: the log ids under which rows were recorded before the log of proof began.
	Known []string `json:"known,omitempty"`
	// Of a batch, the log id also of a log.
	Log       string        `json:"log,omitempty"`
	Topic     schemas.Topic `json:"topic,omitempty"`
	Partition int32         `json:"partition,omitzero"`
	Seq       int64         `json:"seq,omitzero"` // number of the batch within its partition, from 1
	From      int64         `json:"from,omitzero"`
	To        int64         `json:"to,omitzero"` // not included
	Rows      int           `json:"rows,omitzero"`
	First     int64         `json:"first,omitzero"` // arrival of its records, Unix milliseconds
	Last      int64         `json:"last,omitzero"`
	Root      Hash          `json:"root,omitzero"`

	// Of an erasure or an expiry.
	ID     string `json:"id,omitempty"`
	Time   int64  `json:"time,omitzero"` // Unix milliseconds
	By     string `json:"by,omitempty"`
	Why    string `json:"why,omitempty"`
	Digest Hash   `json:"digest,omitzero"` // of the list of rows, see Removals
	// Of an expiry of a whole month of arrival: of which table, and how many rows stay,
	// because somebody holds them.
	Table string `json:"table,omitempty"`
	Month int    `json:"month,omitzero"` // YYYYMM
	Kept  int64  `json:"kept,omitzero"`
}

// Hash is a SHA-256 value, in JSON base64.
type Hash [32]byte

// MarshalText writes it in base64.
func (h Hash) MarshalText() ([]byte, error) {
	return base64.StdEncoding.AppendEncode(nil, h[:]), nil
}

// UnmarshalText reads base64.
func (h *Hash) UnmarshalText(b []byte) error {
	raw, err := base64.StdEncoding.AppendDecode(nil, b)
	if err != nil || len(raw) != len(h) {
		return fmt.Errorf("%q is no hash in base64", b)
	}
	copy(h[:], raw)
	return nil
}

// IsZero tells whether there is none.
func (h Hash) IsZero() bool { return h == Hash{} }

// Bytes is the leaf.
func (e *Entry) Bytes() ([]byte, error) { return json.Marshal(e, json.Deterministic(true)) }

// maxEntry is the longest leaf; the length of one stands in 16 bits (C2SP tlog-tiles).
const maxEntry = 1<<16 - 1

// ReadEntry reads a leaf. One that cannot be read is none: it is no leaf of the tree.
func ReadEntry(b []byte) (e Entry, err error) {
	if len(b) > maxEntry {
		return e, fmt.Errorf("a leaf of %d bytes is too long", len(b))
	}
	if err := json.Unmarshal(b, &e); err != nil {
		return e, fmt.Errorf("a leaf cannot be read: %w", err)
	}
	switch e.Kind {
	case KindLog:
		if e.Log == "" {
			return e, fmt.Errorf("a leaf of a log has no id: %.200q", b)
		}
	case KindBatch:
		if e.From < 0 || e.To <= e.From || e.Rows < 0 || int64(e.Rows) > e.To-e.From || e.Seq < 1 || e.Log == "" {
			return e, fmt.Errorf("the leaf of a batch makes no sense: %.200q", b)
		}
	case KindErasure, KindExpiry, KindScope:
		if e.ID == "" {
			return e, fmt.Errorf("a leaf of an erasure has no id: %.200q", b)
		}
	default:
		return e, fmt.Errorf("a leaf is of the unknown kind %q", e.Kind)
	}
	return e, nil
}

// leafHash is what the tree holds of a leaf (RFC 6962).
func leafHash(b []byte) tlog.Hash { return tlog.RecordHash(b) }
