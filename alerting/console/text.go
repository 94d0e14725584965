package console

import (
	"embed"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v4"

	"holdfast/schemas"
)

//go:embed messages/en.yaml
var messageFiles embed.FS

// messages is every text of the console by its name.
type messages struct{ all map[string]string }

func loadMessages() *messages {
	b, err := messageFiles.ReadFile("messages/en.yaml")
	if err != nil {
		panic(err) // it is part of the binary
	}
	m := &messages{all: map[string]string{}}
	if err := yaml.Unmarshal(b, &m.all); err != nil {
		panic("messages/en.yaml: " + err.Error())
	}
	return m
}

// say gives a text with its arguments put in. A name without a text is shown as it is.
func (m *messages) say(key string, args ...any) string {
	text, ok := m.all[key]
	switch {
	case !ok:
		return key
	case len(args) == 0:
		return text
	}
	return fmt.Sprintf(text, args...)
}

// word gives the text of one value of a kind of word, such as a stage, or the value itself.
func (m *messages) word(kind string, value any) string {
	v := fmt.Sprint(value)
	if text, ok := m.all[kind+"."+v]; ok {
		return text
	}
	return strings.ReplaceAll(v, "_", " ")
}

// count gives one text or the other by a number: key.one, key.many.
func (m *messages) count(key string, n int64) string {
	if n == 1 {
		return m.say(key + ".one")
	}
	return m.say(key+".many", number(n))
}

// step says in plain words what has to be done.
func (m *messages) step(s schemas.Step) string {
	key := "step." + s.Kind
	if _, ok := m.all[key]; !ok {
		return m.word("step", s.Kind) + " " + s.Object
	}
	what := s.Object
	if what == "" {
		what = s.User
	}
	if !strings.Contains(m.all[key], "%s") {
		return m.say(key)
	}
	return m.say(key, what)
}

// owner says whose a hold is.
func (m *messages) owner(o string) string {
	kind, name, _ := strings.Cut(o, ":")
	if key := "owner." + kind; m.all[key] != "" {
		if name == "" {
			return m.say(key)
		}
		return m.say(key, name)
	}
	return o
}

// number writes 12345 as 12,345.
func number(n int64) string {
	s := fmt.Sprint(n)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}
