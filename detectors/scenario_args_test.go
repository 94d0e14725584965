package detectors

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// args are a line's key=value pairs; the first mistake stays in err.
type args struct {
	m    map[string]string
	used []string
	err  error
}

func (a *args) text(k, def string) string {
	a.used = append(a.used, k)
	if v, ok := a.m[k]; ok {
		return v
	}
	return def
}

func (a *args) int(k string, def int) int {
	n, err := strconv.Atoi(a.text(k, strconv.Itoa(def)))
	if err != nil {
		a.err = err
	}
	return n
}

func (a *args) float(k string) float64 {
	f, err := strconv.ParseFloat(a.text(k, "0"), 64)
	if err != nil {
		a.err = err
	}
	return f
}

func (a *args) span(k, def string) (from, to int) {
	x, y, ok := strings.Cut(a.text(k, def), "-")
	if !ok {
		y = x
	}
	from, err := strconv.Atoi(x)
	to, err2 := strconv.Atoi(y)
	if err != nil || err2 != nil {
		a.err = fmt.Errorf("%s is no range", k)
	}
	return from, to
}

func (a *args) when(start int64) int64 {
	clock, err := time.Parse("15:04", a.text("at", "00:00"))
	if err != nil {
		a.err = err
	}
	return start + int64(a.int("day", 1)-1)*msDay + int64(clock.Hour())*msHour + int64(clock.Minute())*msMinute
}

func (a *args) lasts(k, def string) int64 {
	d, err := time.ParseDuration(a.text(k, def))
	if err != nil {
		a.err = err
	}
	return d.Milliseconds()
}

// source draws one of the addresses that "from" names, "" for none.
func (s *scenario) source(from string) string {
	if from == "none" {
		return ""
	}
	list := strings.Split(from, ",")
	one := list[s.rng.IntN(len(list))]
	base, more, ok := strings.Cut(one, "+")
	if !ok {
		return one
	}
	n, _ := strconv.Atoi(more)
	dot := strings.LastIndexByte(base, '.')
	last, _ := strconv.Atoi(base[dot+1:])
	return fmt.Sprintf("%s.%d", base[:dot], last+s.rng.IntN(max(n, 1)))
}

func (s *scenario) recipients(account, to string, n int) []string {
	pool, size, ok := strings.Cut(to, ":")
	if !ok {
		var out []string
		for range n {
			s.fresh++
			out = append(out, fmt.Sprintf("new%d@elsewhere.example", s.fresh))
		}
		return out
	}
	k, _ := strconv.Atoi(size)
	var out []string
	for range n {
		out = append(out, fmt.Sprintf("%s%d@%s.example", pool, s.rng.IntN(max(k, 1)), account))
	}
	return out
}
