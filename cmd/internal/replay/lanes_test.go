package replay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/iotest"
	"time"

	"holdfast/schemas"
)

// sparse is the mail of six accounts over two months in few lines: on the twelfth day an
// employee looks at the keys of all of them and of others, each key is used from
// elsewhere, and weeks later its account does something else that is odd.
func sparse() []byte {
	const accounts = 6
	var b bytes.Buffer
	n := 0
	add := func(at time.Time, format string, args ...any) {
		n++
		fmt.Fprintf(&b, `{"id":"e%d","time":%q,`, n, at.Format(time.RFC3339))
		fmt.Fprintf(&b, format+"}\n", args...)
	}
	send := func(at time.Time, account, to int, ip string) {
		add(at, `"type":"send","account":"acct-%d","credential":"key-%d","ip":%q,"recipients":["p%d@x.example"]`, account, account, ip, to)
	}
	each := func(do func(account int)) {
		for a := range accounts {
			do(a)
		}
	}
	for day := range 12 {
		each(func(a int) { send(begin.AddDate(0, 0, day), a, a, fmt.Sprintf("192.0.2.%d", a)) })
	}
	seen, later := begin.AddDate(0, 0, 12), begin.AddDate(0, 0, 40)
	for a := range 4 * accounts {
		add(seen.Add(time.Duration(a)*time.Minute), `"type":"access","employee":"emp-1","action":"view_secret","account":"acct-%d"`, a)
	}
	each(func(a int) { send(seen.Add(2*time.Hour), a, a, "203.0.113.9") })
	for i := range 40 {
		each(func(a int) { send(later.Add(time.Duration(i)*time.Minute), a, 1000+i, "198.51.100.7") })
	}
	return b.Bytes()
}

// What one lane tells the other counts when it was told, also in a file where hundreds
// of lines are months.
func TestFewLinesOverMonths(t *testing.T) {
	_, ds, _ := decide(t, sparse())
	stopped := map[string]bool{}
	for _, d := range ds {
		if d.Policy == "account-certain" && d.Verdict == schemas.VerdictSuspend {
			stopped[d.Entity.ID] = true
		}
	}
	for a := range 6 {
		if id := fmt.Sprintf("acct-%d", a); !stopped[id] {
			t.Errorf("%s was not stopped although its key was used after the employee saw it", id)
		}
	}
}

// How a file is cut into blocks changes nothing, nor that it is two.
func TestBlocksChangeNothing(t *testing.T) {
	data := sparse()
	whole := decisions(t, bytes.NewReader(data))
	if got := decisions(t, iotest.OneByteReader(bytes.NewReader(data))); !bytes.Equal(got, whole) {
		t.Errorf("%d bytes of decisions where the file came byte by byte, %d where at once", len(got), len(whole))
	}
	for lines := range 4 {
		at := 0
		for range 120 * lines {
			at += bytes.IndexByte(data[at:], '\n') + 1
		}
		empty := bytes.NewReader(nil)
		if got := decisions(t, bytes.NewReader(data[:at]), empty, bytes.NewReader(data[at:])); len(got) != len(whole) {
			t.Errorf("%d bytes of decisions where the file was cut after line %d, %d where it was whole", len(got), 120*lines, len(whole))
		}
	}
}

// A file that cannot be read to its end gives what was read of it, and says why.
func TestReadErrorAmongLines(t *testing.T) {
	data, broken := sparse(), errors.New("the disk is gone")
	r, err := New(Config{}, Deps{})
	if err != nil {
		t.Fatal(err)
	}
	sum, err := r.Run(t.Context(), io.MultiReader(bytes.NewReader(data), iotest.ErrReader(broken)))
	if !errors.Is(err, broken) || sum.Events != int64(bytes.Count(data, []byte("\n"))) {
		t.Errorf("%d events and %v", sum.Events, err)
	}
}

// Whoever stops a run waits for none of its lanes, wherever it is, nor for more to read.
func TestStoppedRunEnds(t *testing.T) {
	data := bytes.Repeat(sparse(), 40)
	for stopAt := 1; stopAt < len(data); stopAt += len(data) / 20 {
		ctx, cancel := context.WithCancel(t.Context())
		r, err := New(Config{}, Deps{})
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		in := io.MultiReader(bytes.NewReader(data[:stopAt]), readerFunc(func([]byte) (int, error) {
			cancel()
			<-done
			return 0, io.EOF
		}))
		if _, err := r.Run(ctx, in); !errors.Is(err, context.Canceled) {
			t.Errorf("stopped at byte %d: %v", stopAt, err)
		}
		close(done)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }
