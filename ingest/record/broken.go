package record

import (
	"context"
	"fmt"
	"regexp"
	"strings"
)

// brokenPart finds the part that the store cannot read: its data are corrupt or its
// files are missing, which a merge on a full disk leaves behind.
var brokenPart = regexp.MustCompile(`(?i)code: (?:40|226|228|246)\b.*from part \S*?([0-9]+_[0-9]+_[0-9]+_[0-9]+(?:_[0-9]+)?)/? `)

// SetAside detaches a part that err says cannot be read, so that the table can be; the
// comparison with the log then finds what it held. Its files stay in the table's folder
// detached. Replicated tables repair themselves and are left alone.
func (s onClickHouse) SetAside(ctx context.Context, table string, err error) (part string, _ error) {
	m := brokenPart.FindStringSubmatch(strings.ReplaceAll(err.Error(), "\n", " "))
	if m == nil {
		return "", nil
	}
	var engine string
	if err := s.QueryRow(ctx, "SELECT engine FROM system.tables WHERE database = currentDatabase() AND name = ?", table).Scan(&engine); err != nil {
		return "", fmt.Errorf("record: looking at table %s: %w", table, err)
	}
	if engine != "ReplacingMergeTree" {
		return "", nil
	}
	if err := s.Exec(ctx, "ALTER TABLE "+table+" DETACH PART '"+m[1]+"'"); err != nil {
		return "", fmt.Errorf("record: detaching the broken part %s of %s: %w", m[1], table, err)
	}
	return m[1], nil
}
