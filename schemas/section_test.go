package schemas

import (
	"bytes"
	"errors"
	"testing"
)

func TestSectionsComeBack(t *testing.T) {
	var b []byte
	bodies := [][]byte{1: []byte("a"), 2: bytes.Repeat([]byte("b"), 127), 3: bytes.Repeat([]byte("c"), 128), 40: bytes.Repeat([]byte("d"), 70_000)}
	for tag, body := range bodies {
		from := len(b)
		var at int
		b, at = BeginSection(b, uint64(tag), 5)
		b = append(b, body...)
		b = EndSection(b, from, at)
	}
	var again []byte
	for tag, body := range bodies {
		again = AppendSection(again, uint64(tag), 5, body)
	}
	if !bytes.Equal(b, again) {
		t.Error("the two ways to write sections differ")
	}
	last, n := uint64(0), 0
	for rest := b; len(rest) > 0; n++ {
		s, more, err := CutSection(rest, last)
		if err != nil {
			t.Fatal(err)
		}
		if s.Version != 5 || !bytes.Equal(s.Body, bodies[s.Tag]) || !bytes.Equal(s.Raw, rest[:len(rest)-len(more)]) {
			t.Errorf("section %d came back as version %d, %d bytes", s.Tag, s.Version, len(s.Body))
		}
		rest, last = more, s.Tag
	}
	if n != 4 {
		t.Errorf("%d sections, want 4", n)
	}
	if _, _, err := CutSection(b, 1); !errors.Is(err, ErrStateDamaged) {
		t.Errorf("a tag that comes again gives %v", err)
	}
}

func TestSectionThatHoldsNothingIsLeftOut(t *testing.T) {
	b, at := BeginSection([]byte("x"), 300, 0)
	if b = EndSection(append(b, 0, 0, 0), 1, at); string(b) != "x" {
		t.Errorf("%q is left", b)
	}
}

func FuzzCutSection(f *testing.F) {
	f.Add(AppendSection(nil, 1, 0, []byte("abc")), uint64(0))
	f.Add([]byte{9, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}, uint64(0))
	f.Fuzz(func(t *testing.T, b []byte, last uint64) {
		s, rest, err := CutSection(b, last)
		if err == nil && len(s.Raw)+len(rest) != len(b) {
			t.Error("bytes are lost")
		}
	})
}

func TestLevels(t *testing.T) {
	for value, want := range map[string]Level{`{"level":0}`: 0, `{"level":1,"since":"x"}`: 1} {
		if got, err := ParseLevel([]byte(value)); err != nil || got != want {
			t.Errorf("%s: %d, %v", value, got, err)
		}
	}
	if got, err := ParseLevel(nil); got != LevelLayouts || err != nil {
		t.Errorf("no value: %d, %v", got, err)
	}
	if _, err := ParseLevel([]byte(`{"level":999}`)); !errors.Is(err, ErrStateNewer) {
		t.Errorf("a level of the future gives %v", err)
	}
}
