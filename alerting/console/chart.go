package console

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"holdfast/alerting/api"
	"holdfast/schemas"
)

// chart is a time series as a page draws it: a picture without JavaScript, the same rows as
// a table beneath, and what a module draws of that table where there is one.
type chart struct {
	Rows     []chartRow
	Step     time.Duration
	StepName string
	From, To time.Time // of what is marked; zero: nothing is
	Max      int64
	HasUsual bool
	Plain    bool  // counts of records, not recipients
	Usual    int64 // recipients a day
	// What the picture is made of.
	Bars, Line         string
	MarkX, MarkW       string
	Ticks              []tick
	Base               string // the page, for the other step
	TotalIn, TotalMark int64
}

type chartRow struct {
	At                  time.Time
	Value               int64
	Expected            float64
	Bounces, Complaints int64
	Marked              bool
}

type tick struct{ X, Text string }

// The picture's size.
const chartW, chartH = 800.0, 150.0

// volume makes the chart of an account's recipients against what is usual at the hour.
func (c *Console) volume(ctx context.Context, p api.Principal, e schemas.Entity, window schemas.Window, until time.Time, usual int64, step string) (*chart, error) {
	now := c.now()
	end := now
	if !until.IsZero() && until.Before(now) {
		end = minTime(now, until.Add(24*time.Hour))
	}
	if !window.To.IsZero() && now.Sub(window.To) > 7*24*time.Hour && end.Sub(window.To) > 5*24*time.Hour {
		end = window.To.Add(48 * time.Hour)
	}
	size, shown, learn := time.Hour, 7*24*time.Hour, 14*24*time.Hour
	if step == "5m" {
		size, shown, learn = 5*time.Minute, 24*time.Hour, 7*24*time.Hour
		if !window.To.IsZero() {
			end = minTime(now, window.To.Add(6*time.Hour))
		}
	} else {
		step = "1h"
	}
	from := end.Add(-shown).Truncate(size)
	got, err := c.service.Volume(ctx, p, api.VolumeIn{Entity: e.Key(), Since: from.Add(-learn), Until: end, Step: step})
	if err != nil {
		return nil, err
	}
	at := map[int64]api.Bucket{}
	for _, b := range got.Items {
		at[b.At.Unix()] = b
	}
	ch := &chart{Step: size, StepName: step, From: window.From, To: window.To, Usual: usual}
	day := int64((24 * time.Hour).Seconds())
	first := int64(math.MaxInt64)
	for s := range at {
		first = min(first, s)
	}
	for t := from; t.Before(end); t = t.Add(size) {
		s := t.Unix()
		b := at[s]
		row := chartRow{At: t.UTC(), Value: b.Recipients, Bounces: b.Bounces, Complaints: b.Complaints}
		n, sum := 0, 0.0
		for k := s - day; k >= first && k >= s-int64(learn.Seconds()); k -= day {
			if !window.From.IsZero() && k+int64(size.Seconds()) > window.From.Unix() {
				continue // what is marked is no habit
			}
			n++
			sum += float64(at[k].Recipients)
		}
		if n >= 3 {
			row.Expected, ch.HasUsual = sum/float64(n), true
		}
		row.Marked = !window.From.IsZero() && t.Add(size).After(window.From) && !t.After(window.To)
		ch.Max = max(ch.Max, row.Value, int64(row.Expected+0.999))
		ch.TotalIn += row.Value
		if row.Marked {
			ch.TotalMark += row.Value
		}
		ch.Rows = append(ch.Rows, row)
	}
	ch.draw()
	return ch, nil
}

func minTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// draw makes the picture.
func (ch *chart) draw() {
	n := len(ch.Rows)
	if n == 0 {
		return
	}
	top := float64(max(ch.Max, 1))
	w := chartW / float64(n)
	y := func(v float64) float64 { return chartH - v/top*(chartH-8) }
	var bars, line strings.Builder
	mark0, mark1 := -1, -1
	for i, r := range ch.Rows {
		x := float64(i) * w
		if r.Value > 0 {
			fmt.Fprintf(&bars, "M%.1f %.1fV%.1fH%.1fV%.1fZ", x, chartH, y(float64(r.Value)), x+w*0.82, chartH)
		}
		if ch.HasUsual {
			fmt.Fprintf(&line, "%s%.1f %.1f", map[bool]string{true: "M", false: "L"}[i == 0], x+w/2, y(r.Expected))
		}
		if r.Marked {
			if mark0 < 0 {
				mark0 = i
			}
			mark1 = i
		}
		if t := r.At; ch.Step == time.Hour && t.Hour() == 0 || ch.Step < time.Hour && t.Minute() == 0 && t.Hour()%4 == 0 {
			text := t.Format("2 Jan")
			if ch.Step < time.Hour {
				text = t.Format("15:04")
			}
			ch.Ticks = append(ch.Ticks, tick{fmt.Sprintf("%.1f", x), text})
		}
	}
	ch.Bars, ch.Line = bars.String(), line.String()
	if mark0 >= 0 {
		ch.MarkX = fmt.Sprintf("%.1f", float64(mark0)*w)
		ch.MarkW = fmt.Sprintf("%.1f", max(float64(mark1-mark0+1)*w, 3))
	}
}
