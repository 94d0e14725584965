package proof

import (
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"holdfast/schemas"
)

// ControlHolds is the control value that lists holds.
const ControlHolds = "holds"

// Hold keeps rows for a litigation or an investigation: they are neither erased nor do
// they expire until it ends.
type Hold struct {
	ID     string    `json:"id"`
	Entity string    `json:"entity"` // kind:id, or * for everything
	From   time.Time `json:"from,omitzero"`
	To     time.Time `json:"to,omitzero"` // of arrival; zero: open
	Why    string    `json:"why"`
	By     string    `json:"by"`
	At     time.Time `json:"at"`
	Ended  time.Time `json:"ended,omitzero"`
	EndBy  string    `json:"end_by,omitempty"`
	EndWhy string    `json:"end_why,omitempty"`
}

// ReadHolds reads the control value; none is no hold.
func ReadHolds(b []byte) (out []Hold, err error) {
	if len(b) == 0 {
		return nil, nil
	}
	if err := json.Unmarshal(b, &out); err != nil {
		return nil, fmt.Errorf("proof: the holds in control: %w", err)
	}
	return out, nil
}

// about is the condition by which a table's rows are about an entity.
func about(t schemas.Table, entity string) string {
	kind, id, _ := strings.Cut(entity, ":")
	by := fmt.Sprintf("entity = '%s'", quote(entity))
	switch schemas.EntityKind(kind) {
	case schemas.KindAccount:
		by += fmt.Sprintf(" OR account = '%s'", quote(id))
	case schemas.KindEmployee:
		if t.Topic == schemas.TopicEvents {
			by += fmt.Sprintf(" OR employee = '%s'", quote(id))
		}
	}
	return "(" + by + ")"
}

// held is the condition by which any hold keeps a table's rows.
func held(t schemas.Table, holds []Hold) string {
	var out []string
	for _, h := range holds {
		if !h.Ended.IsZero() {
			continue
		}
		by := "1"
		if h.Entity != "*" {
			by = about(t, h.Entity)
		}
		if !h.From.IsZero() {
			by += fmt.Sprintf(" AND arrival >= fromUnixTimestamp64Milli(%d, 'UTC')", h.From.UnixMilli())
		}
		if !h.To.IsZero() {
			by += fmt.Sprintf(" AND arrival < fromUnixTimestamp64Milli(%d, 'UTC')", h.To.UnixMilli())
		}
		out = append(out, "("+by+")")
	}
	if len(out) == 0 {
		return "0"
	}
	return "(" + strings.Join(out, " OR ") + ")"
}
