package proof

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"holdfast/schemas"
)

// verify runs over the bed's store and returns what it found.
func (b *bed) verify(change ...func(*Verifier)) (*Report, []Finding) {
	b.t.Helper()
	var found []Finding
	v := &Verifier{Dir: b.dir, Store: b.store, Key: b.keys.Verifier, Journals: OnKafka(b.client, b.prefix, b.prefix+"record"), Found: func(f Finding) { found = append(found, f) }}
	for _, f := range change {
		f(v)
	}
	r, err := v.Run(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	return r, found
}

func (b *bed) exec(sql string) {
	b.t.Helper()
	if err := b.store.Exec(b.t.Context(), sql); err != nil {
		b.t.Fatalf("%s: %v", sql, err)
	}
}

func (b *bed) number(sql string) (n uint64) {
	b.t.Helper()
	if err := b.store.QueryRow(b.t.Context(), sql).Scan(&n); err != nil {
		b.t.Fatalf("%s: %v", sql, err)
	}
	return n
}

// ready has a story recorded and proven, without a recorder that would put right what
// the test does.
func ready(t *testing.T, events int) *bed {
	b := newBed(t)
	stop := b.recordUntil()
	b.story(events)
	b.write(schemas.TopicEvents, 0, fence, eventOf("ev-last", "acct-1", 1))
	b.recorded()
	b.prove()
	b.settled()
	stop()
	return b
}

// settled waits until the recorder has committed what it has stored.
func (b *bed) settled() {
	b.t.Helper()
	j := OnKafka(b.client, b.prefix, b.prefix+"record")
	b.until("the recorder has not committed", func() bool {
		for _, t := range schemas.Tables() {
			for lane := range int32(testLanes) {
				if stored, end, ok := j.Recorded(b.t.Context(), t.Topic, lane); !ok || stored < end {
					return false
				}
			}
		}
		return true
	})
}

// aside keeps a table as it is and returns what restores it.
func (b *bed) aside(table string) (restore func()) {
	b.t.Helper()
	b.exec("DROP TABLE IF EXISTS kept_aside")
	b.exec("CREATE TABLE kept_aside AS " + table)
	b.exec("INSERT INTO kept_aside SELECT * FROM " + table)
	return func() {
		b.exec("TRUNCATE TABLE " + table)
		b.exec("INSERT INTO " + table + " SELECT * FROM kept_aside")
	}
}

const now = " SETTINGS mutations_sync = 2"

// Each column of each table, changed by SQL in one row, is found, and the row is named.
func TestTamperChanged(t *testing.T) {
	b := ready(t, 40)
	if _, found := b.verify(); len(found) > 0 {
		t.Fatal("before anything was changed:", found)
	}
	for _, table := range schemas.Tables() {
		for _, c := range table.Columns {
			if slices.Contains(table.SortKey(), c.Name) || c.Name == schemas.ColumnArrival {
				continue // the engine changes no key; see below
			}
			value := map[schemas.ColumnKind]string{
				schemas.ColumnText: "concat('x', `%s`)", schemas.ColumnWord: "concat('x', `%s`)", schemas.ColumnInt32: "`%s` + 1", schemas.ColumnUint32: "`%s` + 1",
				schemas.ColumnInt64: "`%s` + 1", schemas.ColumnFloat64: "`%s` + 0.5", schemas.ColumnBool: "NOT `%s`", schemas.ColumnTime: "`%s` + 1",
				schemas.ColumnIP: "toIPv6('2001:db8::7')", schemas.ColumnTexts: "arrayPushBack(`%s`, 'x')", schemas.ColumnInts: "arrayPushBack(`%s`, 1)", schemas.ColumnFloats: "arrayPushBack(`%s`, 1)",
			}[c.Kind]
			if strings.Contains(value, "%s") {
				value = fmt.Sprintf(value, c.Name)
			}
			t.Run(table.Name+"."+c.Name, func(t *testing.T) {
				defer b.aside(table.Name)()
				b.exec(fmt.Sprintf("ALTER TABLE %s UPDATE `%s` = %s WHERE partition = 1 AND offset = 1", table.Name, c.Name, value) + now)
				only(t, b, Finding{What: FoundChanged, Table: table.Name, Partition: 1, Offset: 1}, c.Name)
			})
		}
	}
}

// only wants exactly one finding, by which the row is named.
func only(t *testing.T, b *bed, want Finding, detail string) {
	t.Helper()
	_, found := b.verify(func(v *Verifier) { v.Tables = []string{want.Table} })
	if len(found) != 1 {
		t.Fatalf("found %+v, want one", found)
	}
	f := found[0]
	if f.What != want.What || f.Table != want.Table || f.Partition != want.Partition || f.Offset != want.Offset || !strings.Contains(f.Detail, detail) {
		t.Errorf("found %+v, want %+v with %q", f, want, detail)
	}
	if f.ID == "" || f.Time.IsZero() {
		t.Errorf("the row is not named: %+v", f)
	}
}

// Each table: a row deleted, a key changed by deleting and inserting, a row added at an
// offset of its own, beside another, in no partition, and behind the log's end.
func TestTamperRows(t *testing.T) {
	b := ready(t, 40)
	for _, table := range schemas.Tables() {
		name := table.Name
		kept := "SELECT * REPLACE (%s) FROM (SELECT * FROM " + name + " WHERE partition = 1 AND offset = 1)"
		for _, x := range []struct {
			what string
			do   []string
			want Finding
		}{
			{"deleted", []string{"ALTER TABLE " + name + " DELETE WHERE partition = 1 AND offset = 1" + now}, Finding{What: FoundMissing, Partition: 1, Offset: 1}},
			{"deleted lightly", []string{"DELETE FROM " + name + " WHERE partition = 1 AND offset = 1"}, Finding{What: FoundMissing, Partition: 1, Offset: 1}},
			{"beside another", []string{"INSERT INTO " + name + " " + fmt.Sprintf(kept, "'forged' AS id, time + 1 AS time")}, Finding{What: FoundAdded, Partition: 1, Offset: 1}},
			{"in no partition", []string{"INSERT INTO " + name + " " + fmt.Sprintf(kept, "toInt32(77) AS partition")}, Finding{What: FoundAdded, Partition: 77, Offset: 1}},
			{"of another log", []string{"INSERT INTO " + name + " " + fmt.Sprintf(kept, "'other' AS log_id")}, Finding{What: FoundAdded, Partition: 1, Offset: 1}},
			{"behind the end", []string{"INSERT INTO " + name + " " + fmt.Sprintf(kept, "toInt64(900000) AS offset")}, Finding{What: FoundAdded, Partition: 1, Offset: 900000}},
		} {
			t.Run(name+"/"+x.what, func(t *testing.T) {
				defer b.aside(name)()
				for _, sql := range x.do {
					b.exec(sql)
				}
				x.want.Table = name
				_, found := b.verify(func(v *Verifier) { v.Tables = []string{name} })
				if len(found) == 0 {
					t.Fatal("nothing was found")
				}
				for _, f := range found {
					if f.What != x.want.What || f.Table != name || f.Partition != x.want.Partition || f.Offset != x.want.Offset || f.ID == "" || f.Time.IsZero() {
						t.Errorf("found %+v, want %+v", f, x.want)
					}
				}
			})
		}
		for _, c := range []string{"time", "entity", "arrival"} {
			t.Run(name+"/key "+c, func(t *testing.T) {
				defer b.aside(name)()
				value := c + " + 1 AS " + c
				if c == "entity" {
					value = "concat(entity, 'x') AS entity"
				}
				b.exec("ALTER TABLE " + name + " DELETE WHERE partition = 1 AND offset = 1" + now)
				b.exec("INSERT INTO " + name + " SELECT * REPLACE (" + value + ") FROM (SELECT * FROM kept_aside WHERE partition = 1 AND offset = 1)")
				only(t, b, Finding{What: FoundChanged, Table: name, Partition: 1, Offset: 1}, c)
			})
		}
	}
	t.Run("an offset that has no row", func(t *testing.T) { // where the fence stands
		defer b.aside("events")()
		offset := b.number("SELECT toUInt64(max(offset) - 1) FROM events WHERE partition = 0")
		b.exec(fmt.Sprintf("INSERT INTO events SELECT * REPLACE (toInt64(%d) AS offset) FROM (SELECT * FROM events WHERE partition = 0 AND offset = 1)", offset))
		only(t, b, Finding{What: FoundAdded, Table: "events", Partition: 0, Offset: int64(offset)}, "no row")
	})
	t.Run("all rows of a table", func(t *testing.T) {
		defer b.aside("decisions")()
		b.exec("TRUNCATE TABLE decisions")
		if _, found := b.verify(); len(found) != 4 {
			t.Errorf("%d findings, want one for each of 4 decisions: %+v", len(found), found)
		}
	})
	t.Run("a row twice is no finding", func(t *testing.T) { // merges make it one
		defer b.aside("events")()
		b.exec("INSERT INTO events SELECT * FROM events WHERE offset = 1 SETTINGS insert_deduplicate = 0")
		if _, found := b.verify(); len(found) != 0 {
			t.Errorf("%+v", found)
		}
	})
}

// What the proof itself stands on, changed by SQL.
func TestTamperTheProof(t *testing.T) {
	b := ready(t, 40)
	for _, x := range []struct{ table, what, sql, want string }{
		{TableLog, "a leaf changed", "ALTER TABLE proof_log UPDATE body = replaceRegexpOne(body, '[a-z]', 'Z') WHERE leaf = 3" + now, FoundChanged},
		{TableLog, "a leaf deleted", "ALTER TABLE proof_log DELETE WHERE leaf = 5" + now, FoundMissing},
		{TableLog, "a leaf added", "INSERT INTO proof_log SELECT * REPLACE (toInt64(100000) AS leaf) FROM (SELECT * FROM proof_log WHERE leaf = 5)", FoundAdded},
		{TableBatches, "a seed changed", "ALTER TABLE proof_batches UPDATE seed = reverse(seed) WHERE topic = 'decisions' AND partition = 0 AND seq = 1" + now, FoundChanged},
		{TableBatches, "a commitment changed", "ALTER TABLE proof_batches UPDATE commitments = reverse(commitments) WHERE topic = 'events' AND partition = 0 AND seq = 1" + now, FoundChanged},
		{TableBatches, "a batch deleted", "ALTER TABLE proof_batches DELETE WHERE topic = 'events' AND partition = 0 AND seq = 1" + now, FoundMissing},
		{TableBatches, "a batch added", "INSERT INTO proof_batches SELECT * REPLACE (toInt64(999) AS seq, toUInt64(1) AS version) FROM (SELECT * FROM proof_batches WHERE topic = 'events' AND partition = 0 AND seq = 1)", FoundAdded},
		{TableRemovals, "a row said to be erased", "INSERT INTO proof_removals (removal, topic, partition, offset) SELECT 'mine', topic, partition, offset FROM events WHERE partition = 0 AND offset = 1", FoundAdded},
	} {
		t.Run(x.what, func(t *testing.T) {
			defer b.aside(x.table)()
			b.exec(x.sql)
			_, found := b.verify()
			if len(found) == 0 || !slices.ContainsFunc(found, func(f Finding) bool { return f.What == x.want }) {
				t.Errorf("found %+v, want %s in %s", found, x.want, x.table)
			}
		})
	}
	t.Run("a row deleted and said to be erased", func(t *testing.T) {
		defer b.aside("decisions")()
		b.exec("INSERT INTO proof_removals (removal, topic, partition, offset) VALUES ('mine', 'decisions', 1, 1)")
		defer b.exec("TRUNCATE TABLE proof_removals")
		b.exec("ALTER TABLE decisions DELETE WHERE partition = 1 AND offset = 1" + now)
		if _, found := b.verify(); !slices.ContainsFunc(found, func(f Finding) bool { return f.What == FoundMissing && f.Table == "decisions" && f.Offset == 1 }) {
			t.Errorf("found %+v", found)
		}
	})
	t.Run("a row changed with its seed and commitment", func(t *testing.T) {
		defer b.aside("decisions")()
		b.exec("ALTER TABLE decisions UPDATE verdict = 'release' WHERE partition = 1 AND offset = 1" + now)
		b.exec("CREATE TABLE batches_aside AS proof_batches")
		b.exec("INSERT INTO batches_aside SELECT * FROM proof_batches")
		defer func() {
			b.exec("TRUNCATE TABLE proof_batches")
			b.exec("INSERT INTO proof_batches SELECT * FROM batches_aside")
		}()
		// Who can compute HMAC can make a commitment that fits; the root no longer does.
		b.exec("ALTER TABLE proof_batches UPDATE commitments = unhex(repeat('ab', 32)) WHERE topic = 'decisions' AND partition = 1" + now)
		if _, found := b.verify(); !slices.ContainsFunc(found, func(f Finding) bool { return f.What == FoundChanged && f.Table == TableBatches }) {
			t.Errorf("found %+v", found)
		}
	})
}

// Who holds the key and every disk here can make all of it anew, but not the checkpoints
// that were sent away.
func TestTamperCutTail(t *testing.T) {
	b := ready(t, 40)
	kept := func() Kept {
		t.Helper()
		note, err := os.ReadFile(filepath.Join(b.kept, "checkpoint"))
		if err != nil {
			t.Fatal(err)
		}
		return Kept{"auditor", note}
	}
	before := kept()
	b.write(schemas.TopicDecisions, 0, findingOf(schemas.KindDecision, "late", "acct-1", `,"verdict":"suspend"`))
	stop := b.recordUntil()
	b.recorded()
	b.settled()
	stop()
	b.prove()
	after := kept()
	both := func(v *Verifier) { v.Kept = []Kept{before, after} }
	if r, found := b.verify(both); len(found) > 0 || r.Checkpoints != 2 {
		t.Fatal("an honest log:", r, found)
	}
	// The last decision and its leaf are taken away everywhere, and a checkpoint is signed.
	tree, err := OpenTree(b.dir)
	if err != nil {
		t.Fatal(err)
	}
	short := t.TempDir()
	cut, err := OpenTree(short)
	if err != nil {
		t.Fatal(err)
	}
	forge := func(to *Tree, dir string, change func(n int64, leaf []byte) []byte, n int64) {
		t.Helper()
		if err := Leaves(b.dir, 0, n, func(i int64, leaf []byte) error {
			leaf = change(i, slices.Clone(leaf))
			e, err := ReadEntry(leaf)
			if err != nil {
				return err
			}
			to.Fold().Apply(&e)
			return to.Append(leaf)
		}); err != nil {
			t.Fatal(err)
		}
		if err := to.Flush("log1", 0); err != nil {
			t.Fatal(err)
		}
		root, err := to.Root(to.size)
		if err != nil {
			t.Fatal(err)
		}
		c := &Checkpoint{Origin: "holdfast/test", Size: to.size, Root: root}
		if err := c.sign(b.keys.Signer); err != nil {
			t.Fatal(err)
		}
		if err := writeFile(filepath.Join(dir, checkpointFile), c.Note); err != nil {
			t.Fatal(err)
		}
	}
	same := func(_ int64, leaf []byte) []byte { return leaf }
	forge(cut, short, same, tree.size-1)
	b.exec(fmt.Sprintf("ALTER TABLE proof_log DELETE WHERE leaf >= %d", tree.size-1) + now)
	b.exec("ALTER TABLE proof_batches DELETE WHERE id = 'late'" + now)
	b.exec("ALTER TABLE decisions DELETE WHERE id = 'late'" + now)
	alone := func(v *Verifier) { v.Dir, v.Journals = short, nil }
	if _, found := b.verify(alone); len(found) != 0 {
		t.Errorf("without what was sent away, a tail that was cut cannot be seen: %+v", found)
	}
	_, found := b.verify(alone, both)
	if len(found) != 1 || found[0].What != FoundCut {
		t.Errorf("found %+v, want the cut", found)
	}
	// A leaf is replaced: the log is another one.
	other := t.TempDir()
	forked, err := OpenTree(other)
	if err != nil {
		t.Fatal(err)
	}
	forge(forked, other, func(n int64, leaf []byte) []byte {
		if n == 2 {
			leaf = []byte(strings.Replace(string(leaf), `"first":`, `"first":1`, 1))
		}
		return leaf
	}, tree.size-1)
	if _, found = b.verify(func(v *Verifier) { v.Dir = other }, both); !slices.ContainsFunc(found, func(f Finding) bool { return f.What == FoundForked }) {
		t.Errorf("found %+v, want the fork", found)
	}
}

// The folder can be made again from the topic, to the same root.
func TestTreeFromItsTopic(t *testing.T) {
	b := ready(t, 40)
	before, err := os.ReadFile(filepath.Join(b.dir, checkpointFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := Clear(b.dir); err != nil {
		t.Fatal(err)
	}
	b.prover = b.newProver("log1")
	if err := b.prover.Round(t.Context()); err != nil {
		t.Fatal(err)
	}
	c, err := OpenCheckpoint(before, b.keys.Verifier)
	if err != nil {
		t.Fatal(err)
	}
	if root, err := b.prover.tree.Root(c.Size); err != nil || root != c.Root {
		t.Errorf("the root of %d leaves is another one (%v)", c.Size, err)
	}
	if r, found := b.verify(func(v *Verifier) { v.Kept = []Kept{{"before", before}} }); len(found) > 0 || r.Checkpoints != 1 {
		t.Errorf("%+v %+v", r, found)
	}
	// Cut or changed, it signs nothing any more.
	if err := Clear(b.dir); err != nil {
		t.Fatal(err)
	}
	c.Root[0] ^= 1
	if err := c.sign(b.keys.Signer); err != nil {
		t.Fatal(err)
	}
	if err := writeFile(filepath.Join(b.dir, checkpointFile), c.Note); err != nil {
		t.Fatal(err)
	}
	b.prover = b.newProver("log1")
	if err := b.prover.Round(t.Context()); err == nil || !strings.Contains(err.Error(), "are not those of the last checkpoint") {
		t.Errorf("it signed against its last checkpoint: %v", err)
	}
}
