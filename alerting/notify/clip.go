package notify

import (
	"unicode/utf8"

	"holdfast/schemas"
)

// maxSubject keeps a subject within one header line of any mail server.
const maxSubject = 200

// oneLine makes s fit for a subject: strangers choose parts of it.
func oneLine(s string) string { return Clip(schemas.Printable(s), maxSubject) }

// Clip cuts s to at most n bytes, between characters.
func Clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
