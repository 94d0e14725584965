package schemas

import (
	"fmt"
	"slices"
	"strings"
)

// ColumnCopies is the column of a view that counts the rows behind one of its own.
const ColumnCopies = "copies"

// Unique is the name of the view that shows each of a table's records once, however
// often it was sent or written: senders repeat what was not answered, and a process
// that was killed writes again what it may have written. Queries that count or sum
// ask the view; only who asks for positions asks the table.
//
// An event's copies are what one source sent with one id about one entity at one
// time; the view shows any of them. A finding's copies have its kind and id; the view
// shows the last, since a decision, an action, a notice or a case goes on under its
// id. Conditions on the columns that copies share (UniqueBy) are looked up in the
// table's sort key and indexes before anything is counted.
func (t Table) Unique() string { return t.Name + "_unique" }

// UniqueBy lists the columns that a record's copies share.
func (t Table) UniqueBy() []string {
	if t.Topic == TopicEvents {
		return []string{ColumnEntity, "account", "employee", "type", "time", ColumnSource, "id"}
	}
	return []string{ColumnEntity, "account", "kind", "id"}
}

func (t Table) createUnique() string {
	return "CREATE OR REPLACE VIEW " + t.Unique() + " AS\n" + t.uniqueSelect(t.Name)
}

// uniqueSelect reads each record once from a table, or from a part of it.
func (t Table) uniqueSelect(from string) string {
	keys := t.UniqueBy()
	var columns []string
	for _, c := range t.Columns {
		columns = append(columns, t.uniqueColumn(c, slices.Contains(keys, c.Name)))
	}
	columns = append(columns, "count() AS "+ColumnCopies)
	return fmt.Sprintf("SELECT\n    %s\nFROM %s AS t\nGROUP BY t.%s", strings.Join(columns, ",\n    "), from, strings.Join(keys, ", t."))
}

func (t Table) uniqueColumn(c Column, key bool) string {
	name := "`" + c.Name + "`"
	switch {
	case key:
		return "t." + name + " AS " + name
	case t.Topic == TopicEvents:
		// All columns are of one copy, also where one of them is NULL.
		return "any_respect_nulls(t." + name + ") AS " + name
	}
	return "argMax(t." + name + ", (t.arrival, t.offset)) AS " + name
}
