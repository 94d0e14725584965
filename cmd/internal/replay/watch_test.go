package replay

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"holdfast/schemas"
)

// endless is a fold that comes to no end with one event before it is told to.
type endless struct {
	fold
	id  string
	end chan struct{}
}

func (f *endless) Apply(in *schemas.Input, emit func(schemas.Output)) (bool, error) {
	if in.ID == f.id {
		<-f.end
	}
	return f.fold.Apply(in, emit)
}

// A line with which detection or decisions come to no end is named, and the run can be
// ended.
func TestStuckLineIsNamedAndGivenUp(t *testing.T) {
	for where, stuck := range map[string]func(r *Replay, f *endless){
		"detection": func(r *Replay, f *endless) {
			for i := range r.detection.lanes {
				r.detection.lanes[i].engine = &endless{r.detection.lanes[i].engine, f.id, f.end}
			}
		},
		"decisions": func(r *Replay, f *endless) {
			f.id, f.fold = "x700", r.events.fold
			r.events.fold = f
		},
	} {
		t.Run(where, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				named := make(chan int64, 10)
				r, err := New(Config{}, Deps{Stuck: func(line int64, busy time.Duration) {
					if busy < StuckAfter {
						t.Errorf("named after %s", busy)
					}
					named <- line
				}})
				if err != nil {
					t.Fatal(err)
				}
				f := &endless{id: "e699", end: make(chan struct{})}
				defer synctest.Wait() // workers that were given up end too
				defer close(f.end)
				stuck(r, f)
				data := bytes.Join(bytes.SplitAfter(ordinary(1000), []byte("\n"))[:699], nil)
				data = append(data, bytes.SplitAfter(ordinary(1000), []byte("\n"))[699]...)
				data = append(data, `{"id":"x700","time":"2026-05-04T13:00:00Z","type":"connection","ip":"192.0.2.1","state":"open"}`+"\n"...)
				data = append(data, bytes.Join(bytes.SplitAfter(ordinary(1000), []byte("\n"))[700:], nil)...)
				type result struct {
					sum Summary
					err error
				}
				ended := make(chan result, 1)
				go func() {
					sum, err := r.Run(ctx, bytes.NewReader(data))
					ended <- result{sum, err}
				}()
				want := int64(700)
				if f.id == "x700" {
					want = 701
				}
				if line := <-named; line != want {
					t.Errorf("line %d is named, want %d", line, want)
				}
				cancel()
				got := <-ended
				if !errors.Is(got.err, context.Canceled) || !strings.Contains(got.err.Error(), "takes no end") {
					t.Errorf("ended with %v", got.err)
				}
				if got.sum.Lines == 0 || got.sum.Lines >= want {
					t.Errorf("%d lines are said to be done", got.sum.Lines)
				}
				if len(named) > 0 {
					t.Error("a line is named twice")
				}
			})
		})
	}
}

// Whatever the times of records are, each takes a bounded time. On 2180-01-01 days are
// as large as state can hold.
func TestTimesOutOfRangeEndNothing(t *testing.T) {
	var b bytes.Buffer
	for _, at := range []string{"2180-03-02", "9999-12-31", "0001-01-01", "1969-12-31", "1999-12-31", "2179-06-05", "2179-06-06", "2100-01-01"} {
		b.WriteString(`{"id":"` + at + `","time":"` + at + `T00:00:00Z","type":"login","account":"a","user":"u","outcome":"failure","ip":"192.0.2.1"}` + "\n")
	}
	b.Write(ordinary(10))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	refused := 0
	r, err := New(Config{}, Deps{Refused: func(_ int64, err *schemas.Error) {
		if refused++; err.Reason != schemas.ReasonTooOld || err.Fix == "" {
			t.Errorf("refused for %s: %v", err.Reason, err)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	sum, err := r.Run(ctx, &b)
	if err != nil || sum.Events != 10 || refused != 8 {
		t.Errorf("%d events, %d refused, %v", sum.Events, refused, err)
	}
}
