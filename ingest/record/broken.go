package record

import (
	"context"
	"fmt"
	"regexp"
)

// brokenPart finds the part that the store cannot read, and its table: its data are
// corrupt or its files are missing, which a merge on a full disk leaves behind.
var brokenPart = regexp.MustCompile(`(?is)code: (?:40|226|228|246)\b.*from part \S*?([0-9]+_[0-9]+_[0-9]+_[0-9]+(?:_[0-9]+)?)/? in table [^.\s]+\.([a-z_0-9]+)`)

// setAside takes a part out of the way that err says cannot be read, and has the store
// compared with the log for what the part held; true says that it is worth asking again
// at once. Whatever asks the store again and again calls it: one such part fails every
// question to its table, and at the start those before the first comparison.
func (r *Recorder) setAside(ctx context.Context, err error) bool {
	table, part, failed := r.deps.Store.SetAside(ctx, err)
	switch {
	case failed != nil:
		r.log.Error("a part of the audit store can be neither read nor set aside", "error", failed)
	case part != "":
		r.log.Error("a part of the audit store cannot be read; it is set aside, and what it held is recorded again", "table", table, "part", part, "error", err)
		r.check()
	}
	return part != ""
}

// SetAside detaches a part that err says cannot be read, so that its table can be. Its
// files stay in the table's folder detached. Replicated tables repair themselves and are
// left alone.
func (s onClickHouse) SetAside(ctx context.Context, err error) (table, part string, _ error) {
	m := brokenPart.FindStringSubmatch(err.Error())
	if m == nil {
		return "", "", nil
	}
	part, table = m[1], m[2]
	var n uint64
	if err := s.QueryRow(ctx, "SELECT count() FROM system.parts WHERE database = currentDatabase() AND table = ? AND name = ? AND active AND engine = 'ReplacingMergeTree'", table, part).Scan(&n); err != nil {
		return "", "", fmt.Errorf("record: looking for part %s of %s: %w", part, table, err)
	}
	if n == 0 {
		return "", "", nil
	}
	if err := s.Exec(ctx, "ALTER TABLE "+table+" DETACH PART '"+part+"'"); err != nil {
		return "", "", fmt.Errorf("record: detaching the broken part %s of %s: %w", part, table, err)
	}
	return table, part, nil
}
