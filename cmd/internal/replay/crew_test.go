package replay

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"testing"
)

// decisions are what a run over a file decides, byte for byte.
func decisions(t *testing.T, in io.Reader) []byte {
	t.Helper()
	var raw bytes.Buffer
	r, err := New(Config{}, Deps{Decisions: func(v []byte) error {
		raw.Write(v)
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Run(t.Context(), in); err != nil {
		t.Fatal(err)
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
