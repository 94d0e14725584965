package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Limit is a duration, or "off" (0): no limit.
type Limit time.Duration

// Duration is the limit as a duration; 0 is none.
func (l Limit) Duration() time.Duration { return time.Duration(l) }

// String writes it as a configuration has it.
func (l Limit) String() string {
	if l == 0 {
		return "off"
	}
	return FormatDuration(time.Duration(l))
}

func parseLimit(s string) (Limit, error) {
	if s == "off" {
		return 0, nil
	}
	d, err := ParseDuration(s)
	if err == nil && d <= 0 {
		err = fmt.Errorf("%q is not above 0", s)
	}
	return Limit(d), err
}

// ParseDuration reads a duration as Go writes it, and whole days as in 30d.
func ParseDuration(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 && n <= 36500 {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is not a duration", s)
	}
	return d, nil
}

// FormatDuration drops the zeros that time.Duration writes: 6h, not 6h0m0s.
func FormatDuration(d time.Duration) string {
	const day = 24 * time.Hour
	if d >= 2*day && d%day == 0 {
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
