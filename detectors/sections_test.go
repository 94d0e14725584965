package detectors

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"holdfast/schemas"
)

func savedAt(t testing.TB, e *Engine, level schemas.Level, key string) (value []byte) {
	t.Helper()
	if err := e.saveAt(level, key, func(_ string, v []byte) { value = v }); err != nil {
		t.Fatal(err)
	}
	return value
}

// held is lived without the keys of entities that are forgotten.
func held(t testing.TB, seed uint64) (*Engine, []string) {
	e, keys := lived(t, seed)
	return e, slices.DeleteFunc(keys, func(key string) bool { return !e.knows(key) })
}

// withSections changes the payload of a state value.
func withSections(t testing.TB, value []byte, change func(payload []byte) []byte) []byte {
	t.Helper()
	f, err := schemas.ParseStateFrame(value)
	if err != nil || f.Version != schemas.FrameSections {
		t.Fatalf("version %d, %v", f.Version, err)
	}
	f.Payload = change(bytes.Clone(f.Payload))
	return schemas.AppendStateFrame(nil, f)
}

// What is written in sections is what is written in the layout before them, at the
// level that the installation has.
func TestSectionsHoldWhatTheLayoutHeld(t *testing.T) {
	e, keys := held(t, 6)
	whole, sections := 0, 0
	back := New(Config{Lanes: 1, HashSecret: secret})
	for _, key := range keys {
		one, many := savedAt(t, e, schemas.LevelLayouts, key), savedAt(t, e, schemas.LevelSections, key)
		if !bytes.Equal(one, saved(t, e, key)) {
			t.Fatal("an installation without a level is not written in layouts")
		}
		whole, sections = whole+len(one), sections+len(many)
		for _, v := range [][]byte{one, many} {
			if err := back.Restore(key, v); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(savedAt(t, back, schemas.LevelLayouts, key), one) || !bytes.Equal(savedAt(t, back, schemas.LevelSections, key), many) {
				t.Fatalf("%s differs after being restored", key)
			}
		}
	}
	if sections > whole {
		t.Errorf("sections take %d bytes, the layout before %d", sections, whole)
	}
	if err := e.Control(schemas.ControlLevel, []byte(`{"level":1}`)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(saved(t, e, keys[0]), savedAt(t, e, schemas.LevelSections, keys[0])) {
		t.Error("the installation's level is not kept to")
	}
	if err := e.Control(schemas.ControlLevel, []byte(`{"level":2}`)); err == nil {
		t.Error("a level of the future is taken")
	}
}

// Sections of a newer version's are kept, whatever happens to the entity in between.
func TestUnknownSectionsAreKept(t *testing.T) {
	e, keys := held(t, 7)
	extra := schemas.AppendSection(schemas.AppendSection(nil, 900, 3, []byte("of the future")), 901, 0, []byte("and more"))
	for _, key := range keys {
		value := withSections(t, savedAt(t, e, schemas.LevelSections, key), func(p []byte) []byte { return append(p, extra...) })
		if err := e.Restore(key, value); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(savedAt(t, e, schemas.LevelSections, key), value) {
			t.Errorf("%s: sections are lost", key)
		}
		if err := e.Restore(key, nil); err != nil {
			t.Fatal(err)
		}
	}
	if len(e.unknown) != 0 {
		t.Errorf("sections of %d entities are left of nothing", len(e.unknown))
	}
}

func TestSectionsOfOtherVersions(t *testing.T) {
	e, keys := held(t, 8)
	key := keys[0]
	before := savedAt(t, e, schemas.LevelSections, key)
	newer := withSections(t, before, func(p []byte) []byte { p[0]++; return p })
	if err := e.Restore(key, newer); !errors.Is(err, schemas.ErrStateNewer) || errors.Is(err, schemas.ErrStateDamaged) {
		t.Errorf("a newer version of a section gives %v", err)
	}
	if !bytes.Equal(savedAt(t, e, schemas.LevelSections, key), before) {
		t.Error("a value that was refused changed something")
	}
	twice := withSections(t, before, func(p []byte) []byte { return append(p, p...) })
	if err := e.Restore(key, twice); !errors.Is(err, schemas.ErrStateDamaged) {
		t.Errorf("sections that stand twice give %v", err)
	}
}

// A section's reader finds the version that was written, and the one before it is read.
func TestFormerVersionOfASection(t *testing.T) {
	type entity struct{ n uint64 }
	table := []section[entity, entity]{{tag: 4, version: 2,
		write: func(e *entity, w *writer, _ *store) { w.uint(e.n) },
		read: func(r *reader, v *entity) {
			if v.n = r.uint(1 << 20); r.version == 1 {
				v.n *= 60 // which told minutes
			}
		}}}
	for version, want := range map[byte]uint64{0: 0, 1: 120, 2: 2, 3: 0} {
		r, v := reader{b: schemas.AppendSection(nil, 4, version, []byte{2}), ok: true}, entity{}
		_, err := readSections(table, &r, &v)
		if v.n != want || (err == nil) != (want > 0) {
			t.Errorf("version %d: %d, %v", version, v.n, err)
		}
	}
}

// Saving allocates the value and nothing else, and restoring what it did before.
func TestSectionsAllocateNothingOfTheirOwn(t *testing.T) {
	e, keys := held(t, 9)
	drop := func(string, []byte) {}
	for _, key := range keys {
		savedAt(t, e, schemas.LevelSections, key)
		per := func(level schemas.Level) float64 {
			return testing.AllocsPerRun(20, func() { _ = e.saveAt(level, key, drop) })
		}
		if a, b := per(schemas.LevelLayouts), per(schemas.LevelSections); b > a {
			t.Errorf("%s: %v allocations for sections, %v for the layout before", key, b, a)
		}
	}
}
