package config

import (
	"errors"
	"reflect"
	"testing"
)

// Whatever stands in the file, reading it ends, without a panic, and what is wrong
// is told as mistakes.
func FuzzDocument(f *testing.F) {
	for _, s := range []string{
		"kafka: {brokers: [a:1]}", "kafka: [1]", "kafka:\n  lanes: x\n  lanes: 2\n", "a: &a [*a]\nkafka: *a", "? [x]\n: y", "<<: {kafka: 1}",
		"intake: {platform: [{mapping: {a: {b: [1, 2]}}}]}", "clickhouse: {ttl: {events: off, x: [1]}}", "--- 1\n--- 2", "\t", "kafka: !!binary aGk=",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c := Default()
		r := &reader{where: "f", lines: map[string]int{}}
		r.document([]byte(s), &c)
		for _, m := range r.mistakes {
			if e := (*Mistake)(nil); !errors.As(m, &e) || m.Error() == "" {
				t.Errorf("%T %v", m, m)
			}
		}
		if len(r.mistakes) == 0 && reflect.DeepEqual(c, Config{}) {
			t.Error("the defaults are gone")
		}
	})
}
