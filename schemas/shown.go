package schemas

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// This file holds how text that strangers chose is shown to people: on a terminal, in a
// shell's command and in a mail. What is stored keeps the characters that came.

// Printable writes each character that cannot be shown as an escape (\x1b, \u202e), so
// that a text can neither steer a terminal nor hide a part of itself. A line's end is such
// a character too.
func Printable(s string) string {
	if plainASCII(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case unicode.IsGraphic(r) && r != 0x2028 && r != 0x2029:
			b.WriteString(s[i : i+n])
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
		i += n
	}
	return b.String()
}

func plainASCII(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

// ShellArg quotes a text as one word of a POSIX shell's command, so that a command may be
// pasted whatever stands in it. Characters that cannot be shown are written as octal
// numbers between $' and ', which bash, zsh, ksh, BusyBox and POSIX of 2024 read.
// An option is not told from a name by quotes: write -- before a name that may begin with
// a dash. Entities never do, as their kind stands first.
func ShellArg(s string) string { return shellWord(s, false) }

// MailArg is ShellArg for a command in a mail: the shell reads the same word, but dots, @
// and colons stand in quotes of their own where a mail program could take what is around
// them for a link or an address.
func MailArg(s string) string { return shellWord(s, true) }

func shellWord(s string, mail bool) string {
	if s == "" {
		return "''"
	}
	var b strings.Builder
	open := byte(0) // what the quotes at hand began with: ', $ for $', 0 for none
	to := func(quotes byte) {
		if open == quotes {
			return
		}
		if open != 0 {
			b.WriteByte('\'')
		}
		switch quotes {
		case '$':
			b.WriteString("$'")
		case '\'':
			b.WriteByte('\'')
		}
		open = quotes
	}
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		part := s[i : i+n]
		switch {
		case r == utf8.RuneError && n == 1 || !unicode.IsGraphic(r):
			to('$')
			for _, c := range []byte(part) {
				fmt.Fprintf(&b, `\%03o`, c)
			}
		case mail && links(s, i, r, n, true):
			to(0)
			b.WriteString("'" + part + "'")
		case r == '\'':
			to(0)
			b.WriteString(`"'"`)
		case bare(r):
			if open == '$' {
				to(0)
			}
			b.WriteString(part)
		default:
			to('\'')
			b.WriteString(part)
		}
		i += n
	}
	to(0)
	return b.String()
}

// bare reports whether a character means nothing to a shell, wherever it stands.
func bare(r rune) bool {
	return r < utf8.RuneSelf && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_@%+:,./-", r))
}

// Unlinked writes a text so that no mail program makes a link of a part of it: not of an
// address of the web, with or without its scheme, nor of a mail address, nor of a file
// share. evil.example becomes evil[.]example, https://x https[:]//x and a@b a[@]b. Numbers
// and IP addresses, whose dots no letter follows, stay as they are. Characters that cannot
// be shown become escapes, as by Printable.
func Unlinked(s string) string {
	s = Printable(s)
	var b strings.Builder
	done := 0
	for i, r := range s {
		if n := utf8.RuneLen(r); links(s, i, r, n, false) {
			b.WriteString(s[done:i] + "[" + s[i:i+n] + "]")
			done = i + n
		}
	}
	if done == 0 {
		return s
	}
	b.WriteString(s[done:])
	return b.String()
}

// looseSchemes are those that mail programs make links of without slashes.
var looseSchemes = map[string]bool{"mailto": true, "tel": true, "sms": true, "callto": true, "sip": true, "sips": true, "xmpp": true, "skype": true,
	"magnet": true, "javascript": true, "data": true, "news": true, "urn": true, "geo": true, "im": true, "file": true, "view-source": true}

// links reports whether the character of n bytes at s[i] could make what is around it a
// link: a dot before a letter, an @ between two characters, the colon of a scheme, the
// first of two backslashes. What a blank stands beside is no link, unless strict: quotes
// may come between.
func links(s string, i int, r rune, n int, strict bool) bool {
	before, _ := utf8.DecodeLastRuneInString(s[:i])
	after, _ := utf8.DecodeRuneInString(s[i+n:])
	switch r {
	case '.', '\u3002', '\uff0e', '\uff61', '\u2024', '\ufe52': // those that browsers take for a dot
		return unicode.IsLetter(after) || unicode.IsMark(after) || after > unicode.MaxASCII && !unicode.IsSpace(after) && i+n < len(s)
	case '@', '\uff20', '\ufe6b':
		return strict || i > 0 && i+n < len(s) && before != ' ' && after != ' '
	case ':', '\uff1a', '\ufe55':
		if after == '/' || after == '\\' {
			return unicode.IsLetter(before) || unicode.IsDigit(before) || before == '+' || before == '-' || before == '.'
		}
		word := s[:i]
		if at := strings.LastIndexFunc(word, func(r rune) bool { return !unicode.IsLetter(r) && r != '-' }); at >= 0 {
			_, size := utf8.DecodeRuneInString(word[at:])
			word = word[at+size:]
		}
		return looseSchemes[strings.ToLower(word)] && (strict || after != ' ' && i+n < len(s))
	case '\\':
		return after == '\\'
	}
	return false
}
