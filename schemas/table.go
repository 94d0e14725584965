package schemas

import (
	"fmt"
	"slices"
	"strings"
)

// ColumnKind is the shape of one column of the audit store.
type ColumnKind byte

// The kinds of column.
const (
	ColumnText    ColumnKind = iota
	ColumnWord               // text of which there are few different ones
	ColumnInt32              //
	ColumnUint32             //
	ColumnInt64              //
	ColumnFloat64            //
	ColumnBool               //
	ColumnTime               // Unix milliseconds, UTC
	ColumnIP                 // an address, IPv4 as IPv6-mapped; NULL where there is none
	ColumnTexts              // a list of texts
	ColumnInts               // a list of 64-bit numbers
	ColumnFloats             // a list of 32-bit floating point numbers
)

var columnTypes = [...]string{
	ColumnText: "String", ColumnWord: "LowCardinality(String)", ColumnInt32: "Int32", ColumnUint32: "UInt32", ColumnInt64: "Int64",
	ColumnFloat64: "Float64", ColumnBool: "Bool", ColumnTime: "DateTime64(3, 'UTC')", ColumnIP: "Nullable(IPv6)",
	ColumnTexts: "Array(String)", ColumnInts: "Array(Int64)", ColumnFloats: "Array(Float32)",
}

// Column is one column of a table.
type Column struct {
	Name string
	Kind ColumnKind
	// Codec packs the column; empty leaves the table's default.
	Codec string
	// Bloom adds a Bloom filter, so that a search for a value outside the sort
	// key reads only the granules that may hold it.
	Bloom bool
}

// Type is the column's ClickHouse type.
func (c Column) Type() string { return columnTypes[c.Kind] }

// Table declares where one journal's records are kept.
//
// A row's position (log_id, topic, partition, offset) is unique. It stands at the
// end of the sort key of a ReplacingMergeTree, so that a row that was written
// twice is one again after the next merge, and in every query that says FINAL.
// Tables are partitioned by the month of arrival alone, which a range of offsets
// is cut at: so one insert is one part, and happens or does not.
type Table struct {
	Topic   Topic
	Name    string
	Columns []Column
	OrderBy []string // without the position
	Indexes []Index
	Days    int // how long rows are kept unless the configuration says otherwise
}

// Index is a Bloom filter over an expression.
type Index struct{ Name, Expr string }

// The columns that every table begins with, in this order.
const (
	ColumnLogID     = "log_id"
	ColumnTopic     = "topic"
	ColumnPartition = "partition"
	ColumnOffset    = "offset"
	ColumnArrival   = "arrival"
)

// What exactly-once recording stands on: a table remembers the tokens of its
// last inserts, one table alone and replicated ones each by a setting of its own.
const (
	DeduplicationWindow = 10_000
	DeduplicationDays   = 30
)

// TableSettings are the settings that every table has.
func TableSettings() map[string]string {
	return map[string]string{
		"non_replicated_deduplication_window":     fmt.Sprint(DeduplicationWindow),
		"replicated_deduplication_window":         fmt.Sprint(DeduplicationWindow),
		"replicated_deduplication_window_seconds": fmt.Sprint(DeduplicationDays * 24 * 3600),
		"ttl_only_drop_parts":                     "1",
		// An insert of many columns costs half as much when they are one file; what
		// is merged from inserts has a file for each column.
		"min_bytes_for_wide_part": fmt.Sprint(256 << 20),
	}
}

func positionColumns() []Column {
	return []Column{
		{Name: ColumnLogID, Kind: ColumnWord},
		{Name: ColumnTopic, Kind: ColumnWord},
		{Name: ColumnPartition, Kind: ColumnInt32},
		{Name: ColumnOffset, Kind: ColumnInt64, Codec: "Delta, ZSTD(1)"},
		{Name: ColumnArrival, Kind: ColumnTime, Codec: "Delta, ZSTD(1)"},
	}
}

// PositionColumns is how many columns every table begins with.
const PositionColumns = 5

// Tables lists the table of every recorded journal.
func Tables() []Table {
	return append([]Table{eventTable()}, findingTables()...)
}

// TableOf returns the table of a journal; false where it is not recorded.
func TableOf(t Topic) (Table, bool) {
	for _, x := range Tables() {
		if x.Topic == t {
			return x, true
		}
	}
	return Table{}, false
}

// SortKey is the whole sort key.
func (t Table) SortKey() []string {
	return append(slices.Clone(t.OrderBy), ColumnLogID, ColumnTopic, ColumnPartition, ColumnOffset)
}

// Index returns the number of a column by its name, or -1.
func (t Table) Index(name string) int {
	return slices.IndexFunc(t.Columns, func(c Column) bool { return c.Name == name })
}

// Twin is the name of the table of engine Null that has the same columns: rows
// are held against it where an insert is refused, to find the bad ones without
// spending the range's token.
func (t Table) Twin() string { return t.Name + "_twin" }

// DDL returns the statements that create the table, its twin and its views.
func (t Table) DDL() []string {
	out := []string{t.createTable(), t.createTwin(), t.createUnique()}
	if t.Topic == TopicInbox {
		out = append(out, signalsView)
	}
	for _, v := range Views() {
		if v.Topic == t.Topic {
			out = append(out, v.DDL())
		}
	}
	return out
}

func (t Table) createTable() string {
	var b strings.Builder
	fmt.Fprintf(&b, "CREATE TABLE IF NOT EXISTS %s\n(\n", t.Name)
	var lines []string
	for _, c := range t.Columns {
		line := "    `" + c.Name + "` " + c.Type()
		if c.Codec != "" {
			line += " CODEC(" + c.Codec + ")"
		}
		lines = append(lines, line)
	}
	for _, c := range t.Columns {
		if c.Bloom {
			lines = append(lines, fmt.Sprintf("    INDEX by_%s `%s` TYPE bloom_filter(0.01) GRANULARITY 1", c.Name, c.Name))
		}
	}
	for _, x := range t.Indexes {
		lines = append(lines, fmt.Sprintf("    INDEX %s %s TYPE bloom_filter(0.01) GRANULARITY 1", x.Name, x.Expr))
	}
	b.WriteString(strings.Join(lines, ",\n"))
	fmt.Fprintf(&b, "\n)\nENGINE = ReplacingMergeTree\nPARTITION BY toYYYYMM(%s)\nORDER BY (%s)\n", ColumnArrival, quoted(t.SortKey()))
	fmt.Fprintf(&b, "TTL toDateTime(%s) + toIntervalDay(%d)\n", ColumnArrival, t.Days)
	settings := TableSettings()
	var pairs []string
	for name, value := range settings {
		pairs = append(pairs, name+" = "+value)
	}
	slices.Sort(pairs)
	b.WriteString("SETTINGS " + strings.Join(pairs, ", "))
	return b.String()
}

func (t Table) createTwin() string {
	var lines []string
	for _, c := range t.Columns {
		lines = append(lines, "    `"+c.Name+"` "+c.Type())
	}
	return fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s\n(\n%s\n)\nENGINE = Null", t.Twin(), strings.Join(lines, ",\n"))
}

func quoted(names []string) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = "`" + n + "`"
	}
	return strings.Join(out, ", ")
}
