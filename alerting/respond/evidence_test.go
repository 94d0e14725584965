package respond

import (
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"
)

// TestAlike holds two sentences side by side against what is left of each without digits.
func TestAlike(t *testing.T) {
	without := func(s string) string {
		return strings.Map(func(r rune) rune {
			if unicode.IsDigit(r) {
				return -1
			}
			return r
		}, s)
	}
	text := rapid.OneOf(rapid.StringOfN(rapid.RuneFrom([]rune("ab1٣é\uFFFD")), 0, 6, -1), rapid.StringMatching(`[a12]{0,5}\xff?`), rapid.String())
	rapid.Check(t, func(t *rapid.T) {
		a, b := text.Draw(t, "a"), text.Draw(t, "b")
		if got, want := alike(a, b), without(a) == without(b); got != want {
			t.Fatalf("alike(%q, %q) = %v", a, b, got)
		}
	})
}
