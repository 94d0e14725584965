package schemas

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestPrintable(t *testing.T) {
	for s, want := range map[string]string{
		"":                      "",
		"plain user":            "plain user",
		"jörg ✉":                "jörg ✉",
		"a\x00b\x1b[2J\n\x7f":   `a\x00b\x1b[2J\x0a\x7f`,
		"right\u202eleft":       `right\u202eleft`,
		"zero\u200bwidth":       `zero\u200bwidth`,
		"c1\u009b31m":           `c1\x9b31m`,
		"bad\xffutf8":           `bad\xffutf8`,
		"two\u2028lines":        `two\u2028lines`,
		"tag\U000e0041":         `tag\U000e0041`,
		`C:\x1b is only a text`: `C:\x1b is only a text`,
	} {
		if got := Printable(s); got != want {
			t.Errorf("%q is shown as %q, want %q", s, got, want)
		}
	}
}

var hostile = []string{
	"", "acct-1", "account:acct 1", "account:a'b", `account:a"b`, "account:$(touch /tmp/x)", "account:`id`", "account:a\nb", "account:a\n", "account:\x1b[2J",
	"account:a;b&c|d>e<f", "account:a\\b", "account:*?[a]{b,c}~!#", "-rf", "account:jörg", "account:evil.example", "ip:192.0.2.1", "ip:2001:db8::/64",
	"account:joe@evil.example", "account:https://evil.example/x", "account:a\u202eb", "account:'.'", "account:\xff.com", "employee:$HOME", "account:a b.com c", "account:%s\\n",
}

// A shell reads back what was quoted, and nothing else happens.
func TestShellArg(t *testing.T) {
	for name, quoted := range map[string]func(string) string{"shell": ShellArg, "mail": MailArg} {
		for _, s := range hostile {
			word := quoted(s)
			if word != Printable(word) {
				t.Errorf("%s: %q is quoted as %q, which cannot be shown", name, s, word)
			}
			for _, shell := range []string{"sh", "bash"} {
				if shell == "sh" && strings.Contains(word, "$'") {
					continue // an older sh does not know it
				}
				path, err := exec.LookPath(shell)
				if err != nil {
					t.Skipf("there is no %s", shell)
				}
				out, err := exec.CommandContext(t.Context(), path, "-c", "printf %s "+word).Output()
				if s == "-rf" {
					continue // printf's own option; a command has -- before it
				}
				if err != nil || string(out) != s {
					t.Errorf("%s: %s reads %q of %q: %v", name, shell, out, word, err)
				}
			}
		}
	}
	if got := ShellArg("account:acct-1"); got != "account:acct-1" {
		t.Errorf("a harmless name is quoted as %s", got)
	}
	if got := MailArg("account:acct-1"); got != "account:acct-1" {
		t.Errorf("a harmless name is quoted as %s in a mail", got)
	}
}

// linkish finds what mail programs make links of, generously.
var linkish = regexp.MustCompile(`(?i)[a-z][a-z0-9+.-]*:[/\\]|(^|[^\p{L}])(mailto|tel|sms|sip|xmpp|skype|javascript|data|file|callto):\S|` +
	`[^\s@'\[\]]+[@＠﹫][^\s@'\[\]]+|[^\s.\['\]]+[.。．｡․][\p{L}\p{M}]|\\\\[^\s]`)

func TestUnlinked(t *testing.T) {
	for s, want := range map[string]string{
		"see https://evil.example/a?b=c now": "see https[:]//evil[.]example/a?b=c now",
		"evil.example":                       "evil[.]example",
		"www.evil.example.":                  "www[.]evil[.]example.",
		"joe@evil.example":                   "joe[@]evil[.]example",
		"mailto:joe":                         "mailto[:]joe",
		"tel:+123":                           "tel[:]+123",
		"evil。example":                       "evil[。]example",
		`\\evil\share`:                       `[\]\evil\share`,
		"evil\u200b.example":                 `evil\u200b[.]example`,
		"a\r\nBcc: x@y.example":              `a\x0d\x0aBcc: x[@]y[.]example`,
		"пример.рф":                          "пример[.]рф",
		"97.3 % of 1.2e6, 10^1.5 from 192.0.2.1. The end.": "97.3 % of 1.2e6, 10^1.5 from 192.0.2.1. The end.",
		"account:acct-1 and ip:2001:db8::/64":              "account:acct-1 and ip:2001:db8::/64",
		"key used:http://192.0.2.1/":                       "key used:http[:]//192.0.2.1/",
	} {
		if got := Unlinked(s); got != want {
			t.Errorf("%q is written as %q, want %q", s, got, want)
		}
	}
}

// Whatever strangers write, nothing of it can be clicked, nor steers a terminal; and a
// command in a mail says what it says on a terminal.
func TestUnlinkedHoldsNoLink(t *testing.T) {
	parts := rapid.SampledFrom([]string{"http", "https", ":", "//", "/", "\\", "evil", ".", "example", "com", "@", "mailto", "tel", "www", " ", "。", "．", "[", "]", "'", "\n", "\x1b", "\u200b", "é", "рф", "1", "＠", "$(", "`"})
	rapid.Check(t, func(t *rapid.T) {
		s := strings.Join(rapid.SliceOfN(parts, 0, 12).Draw(t, "parts"), "")
		for name, got := range map[string]string{"text": Unlinked(s), "argument": MailArg("account:" + s)} {
			if hit := linkish.FindString(got); hit != "" {
				t.Fatalf("%s %q of %q holds %q", name, got, s, hit)
			}
			for _, r := range got {
				if !unicode.IsGraphic(r) || r == utf8.RuneError {
					t.Fatalf("%s %q holds %U", name, got, r)
				}
			}
		}
	})
}
