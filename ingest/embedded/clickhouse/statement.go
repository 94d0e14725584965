package clickhouse

import (
	"strings"
)

// statement is what the HTTP layer needs to know of a query's text: it never
// understands SQL further than where a clause begins.
type statement struct {
	verb   string // the first word, upper case
	format string // the name after a FORMAT clause at the top level, "" if none

	// For an INSERT whose data follow the text: the byte where FROM INFILE is to
	// be put in, the byte where FORMAT or VALUES begins, and the one after it.
	dataFollow                  bool
	clausesAt, formatAt, dataAt int
	usesInput, another          bool // INSERT … SELECT FROM input(); a second statement after ';'
	outfile                     bool // the answer goes to a file
}

// reads tells whether the statement only reads.
func (s statement) reads() bool {
	switch s.verb {
	case "SELECT", "WITH", "SHOW", "DESCRIBE", "DESC", "EXISTS", "EXPLAIN", "CHECK", "FROM", "(":
		return true
	}
	return false
}

// selects tells whether the engine can give the answer piece by piece.
func (s statement) selects() bool { return (s.verb == "SELECT" || s.verb == "WITH") && !s.outfile }

// parse finds the clauses of one statement. It is given the beginning of the text
// at least; an INSERT's data, which may be binary, are never looked at.
func parse(sql string) statement {
	var st statement
	lex := lexer{text: sql}
	first := lex.next()
	st.verb = strings.ToUpper(first.text)
	if st.verb == "INSERT" {
		parseInsert(&lex, &st)
		return st
	}
	depth := 0
	if first.text == "(" {
		depth = 1
	}
	parseRest(&lex, &st, depth)
	return st
}

// parseRest walks to the end, or to the end of the first statement.
func parseRest(lex *lexer, st *statement, depth int) {
	for {
		tok := lex.next()
		switch {
		case tok.kind == tokenEnd:
			return
		case tok.text == "(":
			depth++
		case tok.text == ")":
			depth--
		case depth == 0 && tok.text == ";":
			for tok.text == ";" {
				tok = lex.next()
			}
			st.another = tok.kind != tokenEnd
			return
		case depth == 0 && tok.is("FORMAT"):
			if name := lex.next(); name.kind == tokenWord {
				st.format = name.text
			}
		case depth == 0 && tok.is("OUTFILE"):
			st.outfile = true
		case tok.is("input") && st.verb == "INSERT":
			st.usesInput = true
		}
	}
}

func parseInsert(lex *lexer, st *statement) {
	tok := lex.next()
	for tok.is("INTO") || tok.is("TABLE") {
		tok = lex.next()
	}
	if tok.is("FUNCTION") {
		lex.next()
	}
	// The table's name, or the function's: words and dots; then lists in brackets.
	for tok = lex.next(); tok.text == "."; tok = lex.next() {
		lex.next()
	}
	for tok.text == "(" {
		lex.skipBrackets()
		tok = lex.next()
	}
	st.clausesAt = tok.at
	if tok.is("SETTINGS") {
		for !tok.is("FORMAT") && !tok.is("VALUES") && !tok.is("SELECT") && !tok.is("WITH") && tok.kind != tokenEnd {
			tok = lex.next()
		}
	}
	switch {
	case tok.is("FORMAT"):
		name := lex.next()
		st.format, st.dataFollow, st.formatAt, st.dataAt = name.text, name.kind == tokenWord, tok.at, lex.at
	case tok.is("VALUES"):
		st.format, st.dataFollow, st.formatAt, st.dataAt = "Values", true, tok.at, lex.at
	case tok.is("SELECT"), tok.is("WITH"), tok.is("FROM"), tok.text == "(":
		parseRest(lex, st, 0)
	}
}

type tokenKind int

const (
	tokenEnd tokenKind = iota
	tokenWord
	tokenQuoted
	tokenSign
)

type token struct {
	kind tokenKind
	text string
	at   int
}

func (t token) is(word string) bool {
	return t.kind == tokenWord && strings.EqualFold(t.text, word)
}

// lexer cuts SQL into words, quoted pieces and signs, and drops comments.
type lexer struct {
	text string
	at   int
}

func (l *lexer) next() token {
	l.skipBlank()
	if l.at >= len(l.text) {
		return token{kind: tokenEnd, at: len(l.text)}
	}
	start, c := l.at, l.text[l.at]
	switch {
	case c == '\'' || c == '"' || c == '`':
		l.skipQuoted(c)
		return token{kind: tokenQuoted, text: l.text[start:l.at], at: start}
	case isWord(c):
		for l.at < len(l.text) && isWord(l.text[l.at]) {
			l.at++
		}
		return token{kind: tokenWord, text: l.text[start:l.at], at: start}
	}
	l.at++
	return token{kind: tokenSign, text: l.text[start:l.at], at: start}
}

func isWord(c byte) bool {
	return c == '_' || c == '$' || c >= 0x80 || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func (l *lexer) skipBlank() {
	for l.at < len(l.text) {
		rest := l.text[l.at:]
		switch {
		case strings.ContainsRune(" \t\r\n\f\v", rune(rest[0])):
			l.at++
		case strings.HasPrefix(rest, "--"), strings.HasPrefix(rest, "#!"), strings.HasPrefix(rest, "# "):
			l.skipPast("\n")
		case strings.HasPrefix(rest, "/*"):
			l.skipPast("*/")
		default:
			return
		}
	}
}

func (l *lexer) skipPast(end string) {
	if i := strings.Index(l.text[l.at:], end); i >= 0 {
		l.at += i + len(end)
	} else {
		l.at = len(l.text)
	}
}

// skipQuoted passes a quoted piece; a backslash or a doubled quote keeps it open.
func (l *lexer) skipQuoted(quote byte) {
	for l.at++; l.at < len(l.text); l.at++ {
		switch l.text[l.at] {
		case '\\':
			l.at++
		case quote:
			l.at++
			if l.at >= len(l.text) || l.text[l.at] != quote {
				return
			}
		}
	}
	l.at = len(l.text)
}

// skipBrackets passes everything up to the bracket that closes the open one.
func (l *lexer) skipBrackets() {
	for depth := 1; depth > 0; {
		switch tok := l.next(); {
		case tok.kind == tokenEnd:
			return
		case tok.text == "(":
			depth++
		case tok.text == ")":
			depth--
		}
	}
}

// quote writes a value as an SQL string.
func quote(v string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(v) + "'"
}

// quoteName writes a name as an SQL identifier.
func quoteName(v string) string {
	return "`" + strings.NewReplacer(`\`, `\\`, "`", "\\`").Replace(v) + "`"
}
