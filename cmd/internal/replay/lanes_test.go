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

	"github.com/go-json-experiment/json"

	"holdfast/schemas"
)

// file is a file that is being written.
type file struct {
	bytes.Buffer
	n int
}

func (f *file) add(at time.Time, format string, args ...any) {
	f.n++
	fmt.Fprintf(f, `{"id":"e%d","time":%q,`, f.n, at.Format(time.RFC3339))
	fmt.Fprintf(f, format+"}\n", args...)
}

func (f *file) send(at time.Time, account, to int, ip string) {
	f.add(at, `"type":"send","account":"acct-%d","credential":"key-%d","ip":%q,"recipients":["p%d@x.example"]`, account, account, ip, to)
}

// sparse is the mail of six accounts over two months in few lines: on the twelfth day an
// employee looks at the keys of all of them and of others, each key is used from
// elsewhere, and weeks later its account does something else that is odd.
func sparse() []byte {
	const accounts = 6
	var f file
	each := func(do func(account int)) {
		for a := range accounts {
			do(a)
		}
	}
	for day := range 12 {
		each(func(a int) { f.send(begin.AddDate(0, 0, day), a, a, fmt.Sprintf("192.0.2.%d", a)) })
	}
	seen, later := begin.AddDate(0, 0, 12), begin.AddDate(0, 0, 40)
	for a := range 4 * accounts {
		f.add(seen.Add(time.Duration(a)*time.Minute), `"type":"access","employee":"emp-1","action":"view_secret","account":"acct-%d"`, a)
	}
	each(func(a int) { f.send(seen.Add(2*time.Hour), a, a, "203.0.113.9") })
	for i := range 40 {
		each(func(a int) { f.send(later.Add(time.Duration(i)*time.Minute), a, 1000+i, "198.51.100.7") })
	}
	return f.Bytes()
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

// found counts signals by detector and entity.
func found(t *testing.T, data []byte) map[string]int {
	t.Helper()
	out := map[string]int{}
	r, err := New(Config{}, Deps{Signals: func(v []byte) error {
		var s schemas.Signal
		if err := json.Unmarshal(v, &s); err != nil {
			return err
		}
		out[s.Detector+" "+s.Entity.Key()]++
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Run(t.Context(), bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	return out
}

// Where an account only hears of it after its key was used, hearing is what completes
// the finding, also from the other lane, and with ordinary mail on that line.
func TestHearingCompletesFindings(t *testing.T) {
	const accounts = 8
	var f file
	for day := range 12 {
		for a := range accounts {
			f.send(begin.AddDate(0, 0, day), a, a, fmt.Sprintf("192.0.2.%d", a))
		}
	}
	seen := begin.AddDate(0, 0, 12)
	for a := range 4 * accounts { // more than is an employee's work
		f.add(seen.Add(time.Duration(a)*time.Second), `"type":"access","employee":"emp-1","action":"view_secret","account":"acct-%d"`, a)
	}
	for a := range accounts {
		f.send(seen.Add(time.Minute+time.Duration(a)*time.Second), a, a, "203.0.113.9")
	}
	for a := range accounts {
		f.send(seen.Add(30*time.Minute+time.Duration(a)*time.Second), a, a, fmt.Sprintf("192.0.2.%d", a))
	}
	got := found(t, f.Bytes())
	for a := range accounts {
		if key := fmt.Sprintf("exposed_key account:acct-%d", a); got[key] == 0 {
			t.Errorf("no %s, only %v", key, got)
		}
	}
}

// Addresses' own records are folded in beside those of accounts.
func TestHeldSocketsAreSeen(t *testing.T) {
	var b bytes.Buffer
	b.Write(ordinary(2000))
	open := begin.Add(2 * time.Hour)
	for i := range 1200 {
		fmt.Fprintf(&b, `{"id":"c%d","time":%q,"type":"connection","ip":"198.51.100.9","state":"open"}`+"\n", i, open.Add(time.Duration(i)*100*time.Millisecond).Format(time.RFC3339))
	}
	fmt.Fprintf(&b, `{"id":"last","time":%q,"type":"connection","ip":"198.51.100.9","state":"open"}`+"\n", open.Add(time.Hour).Format(time.RFC3339))
	if got := found(t, b.Bytes()); got["held_sockets ip:198.51.100.9"] == 0 {
		t.Errorf("no held sockets, only %v", got)
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

// teller tells an account what an employee did.
type teller struct{ account string }

func (teller) Control(string, []byte) error { return nil }

func (f teller) Apply(_ *schemas.Input, emit func(schemas.Output)) (bool, error) {
	emit(schemas.Output{Topic: schemas.TopicFacts, Kind: schemas.KindMember, Key: f.account, Value: []byte("{}"), Fact: &schemas.Fact{}})
	return true, nil
}

// What the other lane is told it hears when the line is gone that the fact's texts are of.
func TestWordsAreReadAnew(t *testing.T) {
	keyOf := func(kind schemas.EntityKind, lane int32) string {
		for i := 0; ; i++ {
			if key := fmt.Sprintf("%s:x-%d", kind, i); laneOf([]byte(key)) == lane {
				return key
			}
		}
	}
	account := teller{keyOf(schemas.KindAccount, 1)}
	l := &newDetection([lanes]fold{account, account}).lanes[0]
	in, to := newInput(), turn{}
	in.Key = keyOf(schemas.KindEmployee, 0)
	l.event(&in, &to)
	if l.follow(&in, &to, 1); len(l.said) != 1 || l.said[0].in.Fact != nil || string(l.said[0].in.Value) != "{}" {
		t.Errorf("said %+v", l.said)
	}
}
