package replay

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/netip"
	"runtime"
	"sync/atomic"
	"testing"

	"holdfast/schemas"
)

// decisions are what a run over files decides, byte for byte.
func decisions(t *testing.T, files ...io.Reader) []byte {
	t.Helper()
	var raw bytes.Buffer
	r, err := New(Config{}, Deps{Decisions: func(v []byte) error {
		raw.Write(v)
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if _, err := r.Run(t.Context(), f); err != nil {
			t.Fatal(err)
		}
	}
	return raw.Bytes()
}

// How many workers there are, and who of them does what, changes nothing.
func TestWorkersChangeNothing(t *testing.T) {
	data := append(life(), sparse()...)
	var first []byte
	for _, cores := range []int{1, 2, 3, 8} {
		before := runtime.GOMAXPROCS(cores)
		got := decisions(t, bytes.NewReader(data))
		runtime.GOMAXPROCS(before)
		if first == nil {
			first = got
		}
		if len(got) == 0 || !bytes.Equal(got, first) {
			t.Errorf("%d bytes of decisions on %d cores, %d on one", len(got), cores, len(first))
		}
	}
}

// What has been read is concluded, whatever is still to come.
func TestWaitingForMoreHoldsNothingUp(t *testing.T) {
	data := sparse()
	decided := make(chan struct{})
	r, err := New(Config{}, Deps{Decisions: func([]byte) error {
		select {
		case <-decided:
		default:
			close(decided)
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	waited := readerFunc(func([]byte) (int, error) {
		<-decided
		return 0, io.EOF
	})
	if _, err := r.Run(t.Context(), io.MultiReader(bytes.NewReader(data), waited)); err != nil {
		t.Fatal(err)
	}
}

// Where what is decided cannot be written, the run ends, though more is to be read.
func TestRunEndsWhereDecisionsCannotBeWritten(t *testing.T) {
	full := errors.New("the disk is full")
	n, ended := 0, make(chan struct{})
	r, err := New(Config{}, Deps{Decisions: func([]byte) error {
		n++
		return full
	}})
	if err != nil {
		t.Fatal(err)
	}
	held := readerFunc(func([]byte) (int, error) {
		<-ended
		return 0, io.EOF
	})
	if _, err := r.Run(t.Context(), io.MultiReader(bytes.NewReader(sparse()), held)); !errors.Is(err, full) || n != 1 {
		t.Errorf("%v after %d decisions", err, n)
	}
	close(ended)
}

// Once a run has returned nothing that it was given is asked any more.
func TestNothingGoesOnAfterTheRun(t *testing.T) {
	data, full := sparse(), errors.New("the disk is full")
	for range 30 {
		var returned, late atomic.Bool
		r, err := New(Config{Networks: func(netip.Addr) (n schemas.Network) {
			late.CompareAndSwap(false, returned.Load())
			return n
		}}, Deps{Signals: func([]byte) error { return full }})
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.Run(t.Context(), bytes.NewReader(bytes.Repeat(data, 20)))
		returned.Store(true)
		if !errors.Is(err, full) || late.Load() {
			t.Fatalf("%v; asked for a network afterwards: %t", err, late.Load())
		}
	}
}

func TestStoppedBeforeItBegins(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 {
		r, err := New(Config{}, Deps{})
		if err != nil {
			t.Fatal(err)
		}
		if sum, err := r.Run(ctx, bytes.NewReader(lines(100))); !errors.Is(err, context.Canceled) || sum.Lines > 0 {
			t.Fatalf("%d lines and %v", sum.Lines, err)
		}
	}
}
