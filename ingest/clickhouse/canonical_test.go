package clickhouse

import (
	"testing"
)

// What the log of proof commits to must be the same whether it is made of a block or of
// the row that the store gives back.
func TestCanonicalOfBlockAndStore(t *testing.T) {
	c := open(t)
	makeEverything(t, c)
	table := everything
	b := fillEverything(0, 500)
	form := NewCanonical(table)
	var want []string
	if err := form.Rows(b, func(_ int64, row []byte) { want = append(want, string(row)) }); err != nil {
		t.Fatal(err)
	}
	if err := c.Insert(t.Context(), "everything", "t", b); err != nil {
		t.Fatal(err)
	}
	rows, err := c.Query(t.Context(), "SELECT "+form.Select()+" FROM everything ORDER BY n")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	i := 0
	for ; rows.Next(); i++ {
		var raw string
		if err := rows.Scan(&raw); err != nil {
			t.Fatal(err)
		}
		got, err := form.Row(nil, raw)
		if err != nil {
			t.Fatal(err)
		}
		if i < len(want) && string(got) != want[i] {
			t.Fatalf("row %d:\n%q, want\n%q", i, got, want[i])
		}
	}
	if rows.Err() != nil || i != len(want) || i != 500 {
		t.Errorf("%d rows (%v), want %d", i, rows.Err(), len(want))
	}
	if _, err := form.Row(nil, "short"); err == nil {
		t.Error("half a row was taken")
	}
}
