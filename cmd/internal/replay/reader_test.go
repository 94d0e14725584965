package replay

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"unsafe"

	"holdfast/schemas"
)

func lines(n int) []byte {
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, `{"id":"e%d","time":"2026-03-02T00:00:08Z","type":"login","account":"acct-%d","user":"u","outcome":"success"}`+"\n", i%(n-7), i%1000)
	}
	return b.Bytes()
}

// blocks reads all of in into one block again and again.
func blocks(r *reader, in io.Reader, each func(*block)) {
	r.begin(in)
	for b := newBlock(); ; {
		r.read(b)
		r.decode(b)
		each(b)
		if b.last {
			return
		}
	}
}

func TestBlocksAreReadInOrderAndUsedAgain(t *testing.T) {
	const n = 20_000
	r := reader{seen: newRing()}
	at, doubles := int64(0), 0
	blocks(&r, bytes.NewReader(lines(n)), func(b *block) {
		for i := range b.lines {
			l := &b.lines[i]
			if at++; l.n != at || l.err != nil || l.event.ID != fmt.Sprint("e", (at-1)%(n-7)) || l.key != fmt.Sprint("account:acct-", (at-1)%1000) {
				t.Fatalf("line %d is %d with event %q of %s: %v", at, l.n, l.event.ID, l.key, l.err)
			}
			in := newInput()
			if l.input(&in); in.ID != l.event.ID || in.Event != &l.event || in.Arrival != l.event.Time || in.Key != l.key || in.Kind != schemas.KindEvent {
				t.Fatalf("line %d is given to its lane as %+v", at, in)
			}
			if in.Duplicate {
				doubles++
			}
		}
	})
	if at != n || doubles != 7 {
		t.Errorf("%d lines, %d doubles, want %d and 7", at, doubles, n)
	}
}

// One long line makes its own block large, and no other.
func TestOneLongLineMakesOneLargeBlock(t *testing.T) {
	file := append(bytes.Repeat([]byte("x"), schemas.MaxRecord-10), '\n')
	r := reader{seen: newRing()}
	r.begin(bytes.NewReader(append(file, lines(20_000)...)))
	n, large := 0, 0
	for {
		b := newBlock()
		r.read(b)
		n += len(b.lines)
		if cap(b.buf) > 4*blockBytes {
			large++
		}
		if b.last {
			break
		}
	}
	if n != 20_001 || large != 1 {
		t.Errorf("%d lines, %d large blocks, want 20,001 and one", n, large)
	}
}

// A reader that never gives anything is given up.
func TestReaderThatNeverGivesAnything(t *testing.T) {
	r, err := New(Config{}, Deps{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.Run(t.Context(), readerFunc(func([]byte) (int, error) { return 0, nil }))
	if !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("the error is %v", err)
	}
}

func TestReadingStopsAtAnError(t *testing.T) {
	broken := errors.New("broken")
	r, err := New(Config{}, Deps{})
	if err != nil {
		t.Fatal(err)
	}
	sum, err := r.Run(t.Context(), io.MultiReader(bytes.NewReader(lines(100)), errReader{broken}))
	if !errors.Is(err, broken) || sum.Lines != 100 {
		t.Errorf("%d lines and %v, want the 100 before and the error", sum.Lines, err)
	}
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

// Reading and decoding must not make garbage beside what a run needs once.
func TestDecodingAllocatesNothingAnEvent(t *testing.T) {
	const n = 50_000
	data := lines(n)
	r := reader{seen: newRing()}
	allocs := testing.AllocsPerRun(3, func() {
		blocks(&r, bytes.NewReader(data), func(*block) {})
	})
	if allocs > n/50 {
		t.Errorf("%.0f allocations for %d events", allocs, n)
	}
}

// An event's key is its entity's, whichever way it was made.
func TestKeysAreThoseOfTheEntities(t *testing.T) {
	file := strings.Join([]string{
		`{"id":"1","time":"2026-03-02T00:00:08Z","type":"connection","ip":"192.0.2.1","state":"open"}`,
		`{"id":"2","time":"2026-03-02T00:00:08Z","type":"connection","ip":"2001:db8::7:1","state":"open"}`,
		`{"id":"3","time":"2026-03-02T00:00:08Z","type":"login","employee":"emp-1","user":"u","outcome":"failure"}`,
		`{"id":"4","time":"2026-03-02T00:00:08Z","type":"send","account":"acct:1","recipient_count":1}`,
	}, "\n{}\n")
	r := reader{seen: newRing()}
	n := 0
	blocks(&r, strings.NewReader(file), func(b *block) {
		for i := range b.lines {
			l := &b.lines[i]
			if l.err != nil {
				continue
			}
			n++
			if want := l.event.Entity().Key(); l.key != want || !strings.Contains(want, ":") {
				t.Errorf("key %q, want %q", l.key, want)
			}
		}
	})
	if n != 4 {
		t.Errorf("%d events, want 4", n)
	}
}

// BenchmarkFill is what the folding could be given at most.
func BenchmarkFill(b *testing.B) {
	data := life()
	n := bytes.Count(data, []byte("\n"))
	r := reader{seen: newRing()}
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		blocks(&r, bytes.NewReader(data), func(*block) {})
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

// Lanes that have nothing to do, and blocks of few lines, do not keep the others waiting.
func TestLanesNeverWaitForEachOther(t *testing.T) {
	var b bytes.Buffer
	for i := range 20_000 {
		who := `"type":"connection","state":"open","ip":"192.0.2.1"`
		if i >= 5_000 { // one account, thus one lane, and few lines a block
			who = fmt.Sprintf(`"type":"login","account":"acct-1","user":"u","outcome":"success","user_agent":"%01000d"`, i)
		}
		fmt.Fprintf(&b, `{"id":"e%d","time":"2026-03-02T00:00:08Z",%s}`+"\n", i, who)
	}
	r, err := New(Config{}, Deps{})
	if err != nil {
		t.Fatal(err)
	}
	if sum, err := r.Run(t.Context(), &b); err != nil || sum.Events != 20_000 {
		t.Errorf("%d events and %v", sum.Events, err)
	}
}

func TestLinesAreWholeCacheLines(t *testing.T) {
	if size := unsafe.Sizeof(line{}); size%64 != 0 {
		t.Errorf("a line has %d bytes: pad it", size)
	}
}
