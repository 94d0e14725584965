package clickhouse

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParse(t *testing.T) {
	tests := []struct {
		sql       string
		verb      string
		format    string
		data      string // what follows an INSERT's text
		clauses   string // where FROM INFILE goes before
		streams   bool
		another   bool
		usesInput bool
	}{
		{sql: "select 1", verb: "SELECT", streams: true},
		{sql: "-- a\n/* FORMAT x; */ SELECT ';', \"FORMAT\" format JSON;", verb: "SELECT", format: "JSON", streams: true},
		{sql: "SELECT 1; ; SELECT 2", verb: "SELECT", streams: true, another: true},
		{sql: "SELECT 'it''s \\' ; ' ; -- end", verb: "SELECT", streams: true},
		{sql: "WITH x AS (SELECT 1 FORMAT y) SELECT * FROM x", verb: "WITH", streams: true},
		{sql: "SELECT 1 INTO OUTFILE 'x'", verb: "SELECT"},
		{sql: "INSERT INTO t FORMAT Native\nabc", verb: "INSERT", format: "Native", data: "\nabc", clauses: "FORMAT Native"},
		{sql: "insert into table db.`t (x` (a, `b)`) settings a = 'FORMAT', b = 1 format CSV 1,2", verb: "INSERT", format: "CSV", data: " 1,2", clauses: "settings a"},
		{sql: "INSERT INTO FUNCTION remote('x', (1), t) (a) FORMAT TSV", verb: "INSERT", format: "TSV", clauses: "FORMAT TSV"},
		{sql: "INSERT INTO format (format) FORMAT format", verb: "INSERT", format: "format", clauses: "FORMAT format"},
		{sql: "INSERT INTO t VALUES (1, 'FORMAT Native ;'), (2, '')", verb: "INSERT", format: "Values", data: " (1, 'FORMAT Native ;'), (2, '')", clauses: "VALUES"},
		{sql: "INSERT INTO t (a) SETTINGS b = 1 values (1)", verb: "INSERT", format: "Values", data: " (1)", clauses: "SETTINGS b = 1 values"},
		{sql: "INSERT INTO t SELECT * FROM u FORMAT Native", verb: "INSERT", format: "Native"},
		{sql: "INSERT INTO t (a) SELECT a FROM input('a Int8') FORMAT CSV", verb: "INSERT", format: "CSV", usesInput: true},
		{sql: "INSERT INTO t FROM INFILE 'x' FORMAT CSV", verb: "INSERT", format: "CSV"},
		{sql: "", verb: ""}, {sql: "INSERT", verb: "INSERT"}, {sql: "INSERT INTO t (", verb: "INSERT"}, {sql: "'", verb: "'"},
	}
	for _, tt := range tests {
		st := parse(tt.sql)
		if st.verb != tt.verb || st.format != tt.format || st.another != tt.another || st.usesInput != tt.usesInput || st.selects() != tt.streams {
			t.Errorf("%s: %+v", tt.sql, st)
		}
		if st.dataFollow != (tt.clauses != "") {
			t.Errorf("%s: data follow: %v", tt.sql, st.dataFollow)
		}
		if st.dataFollow && (tt.sql[st.dataAt:] != tt.data || !strings.HasPrefix(tt.sql[st.clausesAt:], tt.clauses)) {
			t.Errorf("%s: clauses %q, data %q", tt.sql, tt.sql[st.clausesAt:], tt.sql[st.dataAt:])
		}
	}
}

// TestQuote checks that no value leaves its quotes.
func TestQuote(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.StringOf(rapid.RuneFrom([]rune("'\\`\"a;\n\x00"))).Draw(t, "value")
		for _, quoted := range []string{quote(v), quoteName(v)} {
			lex := lexer{text: quoted + " X"}
			if tok := lex.next(); tok.text != quoted {
				t.Fatalf("%q ends early: %q", quoted, tok.text)
			}
			if tok := lex.next(); tok.text != "X" {
				t.Fatalf("%q runs on into %q", quoted, tok.text)
			}
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"SELECT 1 FORMAT x", "INSERT INTO t (a) SETTINGS b=1 FORMAT CSV\n1", "/*", "INSERT INTO f('", "`"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		st := parse(sql)
		if st.dataFollow && (st.clausesAt > st.formatAt || st.formatAt > st.dataAt || st.dataAt > len(sql)) {
			t.Fatalf("%q: %+v", sql, st)
		}
	})
}
