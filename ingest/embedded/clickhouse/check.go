package clickhouse

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"

	"holdfast/ingest/embedded/chdb"
)

// checker says whether a statement may run. It has the engine's own parser write
// the statement anew, in one spelling without comments, heredocs or a second
// statement, and looks at the words of that text.
type checker struct {
	mu      sync.Mutex
	session *chdb.Session
	denied  map[string]bool // functions and table functions, in lower case
}

// tableFunctions are those that reach nothing but tables and memory. Every other
// that the engine knows is refused, also ones that a later version brings.
var tableFunctions = []string{
	"format", "generateRandom", "generateSeries", "generate_series", "merge", "null", "numbers", "numbers_mt", "primes",
	"values", "SQLStandardValues", "view", "viewIfPermitted", "zeros", "zeros_mt",
}

// functions that read files, run models or call servers, by the whole name or, with
// a *, by its beginning.
var functions = []string{"file", "catboostEvaluate", "filesystem*", "aiClassify", "aiGenerate*", "aiExtract", "aiTranslate", "aiEmbed*"}

// Engines of tables and databases that keep their data where the engine does.
var (
	tableEngines    = []string{"Memory", "Log", "TinyLog", "StripeLog", "Null", "Set", "Join", "Buffer", "Merge", "GenerateRandom", "View", "MaterializedView"}
	databaseEngines = []string{"Atomic", "Memory", "Ordinary"}
)

// Kinds of statement, by the first word that the engine's parser writes.
var (
	readingKinds = []string{"SELECT", "WITH", "(", "SHOW", "DESCRIBE", "EXISTS", "EXPLAIN", "CHECK"}
	changeKinds  = []string{"INSERT", "CREATE", "ALTER", "DROP", "TRUNCATE", "RENAME", "EXCHANGE", "OPTIMIZE", "DELETE", "UPDATE", "UNDROP", "SET", "USE", "KILL"}
)

func newChecker(e *chdb.Engine) (*checker, error) {
	s, err := e.Session()
	if err != nil {
		return nil, err
	}
	c := &checker{session: s, denied: map[string]bool{}}
	if _, err := c.ask(fmt.Sprintf("SET max_query_size = %d", 4*maxStatement)); err != nil {
		return nil, fmt.Errorf("clickhouse: prepare the check of statements: %w", err)
	}
	names, err := c.ask("SELECT name FROM system.table_functions")
	if err != nil {
		return nil, fmt.Errorf("clickhouse: ask for table functions: %w", err)
	}
	for name := range strings.FieldsSeq(names) {
		if !slices.Contains(tableFunctions, name) {
			c.denied[strings.ToLower(name)] = true
		}
	}
	return c, nil
}

func (c *checker) close() { c.session.Close() }

func (c *checker) ask(sql string) (string, error) {
	var out bytes.Buffer
	_, err := c.session.Query(&out, sql, "TSVRaw", nil)
	return strings.TrimSuffix(out.String(), "\n"), err
}

// format has the engine's parser write a statement. It refuses what is not exactly
// one.
func (c *checker) format(sql string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ask("SELECT formatQuerySingleLine(" + quote(sql) + ")")
}

// examine refuses what neither user may do, and what the given one may not. file
// is the rows' file of an INSERT, the one that INFILE may name; "" allows none.
func (c *checker) examine(sql, file string, onlyReads bool) error {
	text, err := c.format(sql)
	if err != nil {
		return err
	}
	words := split(text)
	kind := ""
	if len(words) > 0 {
		kind = words[0].text
	}
	switch {
	case slices.Contains(readingKinds, kind):
	case kind == "SYSTEM" && len(words) > 2 && words[2].text == "MERGES" && !onlyReads: // STOP or START
	case !slices.Contains(changeKinds, kind):
		return denied("statements that begin with %s are not allowed on the embedded engine", kind)
	case onlyReads:
		return refuse(codeReadOnly, "READONLY", "Cannot execute query in readonly mode: %s changes something", kind)
	}
	if kind == "INSERT" && file == "" && !selects(words) {
		return denied("the rows of this INSERT were not found: write INSERT … FORMAT NAME or INSERT … VALUES, and the rows after it")
	}
	for i := range words {
		if err := c.word(words, i, kind, file); err != nil {
			return err
		}
	}
	return nil
}

// selects tells whether an INSERT takes its rows from a query, not from what
// follows it.
func selects(words []token) bool {
	depth := 0
	for _, w := range words {
		switch {
		case w.text == "(":
			depth++
		case w.text == ")":
			depth--
		case depth == 0 && w.kind == tokenWord && (w.text == "SELECT" || w.text == "WITH"):
			return true
		}
	}
	return false
}

// word looks at one word of a statement, with its neighbours.
func (c *checker) word(words []token, i int, kind, file string) error {
	at := func(i int) token {
		if i < 0 || i >= len(words) {
			return token{}
		}
		return words[i]
	}
	w := words[i]
	switch {
	case w.kind == tokenWord && w.text == "OUTFILE":
		return denied("INTO OUTFILE is not allowed on the embedded engine: read the answer, and write it where you are")
	case w.kind == tokenWord && w.text == "INFILE":
		if file == "" || at(i+1).text != quote(file) {
			return denied("FROM INFILE is not allowed on the embedded engine: send the rows after INSERT … FORMAT")
		}
	case w.kind == tokenWord && w.text == "ENGINE" && at(i+1).text == "=" && kind == "CREATE":
		return engineAllowed(at(i+2), at(1).text == "DATABASE")
	case w.kind != tokenSign && (at(i+1).text == "(" || at(i-1).is("APPLY")):
		if name := bare(w); c.denied[strings.ToLower(name)] || reaches(name) {
			return denied("%s is not allowed on the embedded engine: it reaches outside of the tables", name)
		}
	}
	return nil
}

func engineAllowed(w token, database bool) error {
	name := bare(w)
	allowed := slices.Contains(tableEngines, name) || strings.HasSuffix(name, "MergeTree") && !strings.HasPrefix(name, "Replicated")
	if database {
		allowed = slices.Contains(databaseEngines, name)
	}
	if !allowed && w.kind != tokenEnd {
		return denied("the engine %s is not allowed on the embedded engine: it reaches outside of the data folder", name)
	}
	return nil
}

func reaches(name string) bool {
	for _, f := range functions {
		if begin, open := strings.CutSuffix(f, "*"); strings.EqualFold(name, begin) ||
			open && len(name) > len(begin) && strings.EqualFold(name[:len(begin)], begin) {
			return true
		}
	}
	return false
}

// bare is a word, or a quoted identifier without its quotes; a string is nothing.
func bare(w token) string {
	if w.kind == tokenQuoted {
		if w.text[0] == '\'' {
			return ""
		}
		return strings.Trim(w.text, "`\"")
	}
	return w.text
}

func split(text string) []token {
	var out []token
	lex := lexer{text: text}
	for tok := lex.next(); tok.kind != tokenEnd; tok = lex.next() {
		out = append(out, tok)
	}
	return out
}

func denied(format string, args ...any) *fault {
	return refuse(codeDenied, "ACCESS_DENIED", format, args...)
}
