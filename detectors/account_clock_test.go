package detectors

import (
	"testing"

	"holdfast/detectors/sketch"
)

// The last hour of a day is judged by what the account's past was on that day, whenever
// the next record comes: at once, in the first minutes of an hour after midnight, or later.
func TestTheDayBeforeKeepsItsPast(t *testing.T) {
	const start = int64(20_000 * msDay)
	for name, next := range map[string]int64{
		"a minute after midnight":         msMinute,
		"a quarter of an hour after":      15 * msMinute,
		"in the first minutes after one":  msHour + 5*msMinute,
		"a quarter past one":              msHour + 15*msMinute,
		"in the first minutes after two":  2*msHour + 5*msMinute,
		"in the first minutes of a later": 6*msHour + msMinute,
	} {
		t.Run(name, func(t *testing.T) {
			e := New(Config{Lanes: 1})
			a := e.newAccount("account:shop")
			midnight := start + 20*msDay
			var of dayBase // the past of the day that ends at midnight
			seen := 0
			closed := &closing{func(h int32) {
				if d := dayOfHour(h); d == sketch.DayOf(midnight-1) && h == hourOf(midnight-1) {
					seen++
					if got := *a.dailyAt(&e.store, d); got != of {
						t.Errorf("the day's last hour is judged by %+v, want %+v", got, of)
					}
				}
			}, func(*watch, int32) {}}
			for at := start; at < midnight; at += msHour {
				a.advance(&e.store, at+30*msMinute, closed)
				w := &a.hours[mod3(a.hour)]
				w.recipients, a.days[mod2(a.day)].recipients = 5, a.days[mod2(a.day)].recipients+5
				of = a.daily
			}
			if of.volume.N == 0 {
				t.Fatal("nothing was learnt")
			}
			for at := midnight + next; seen == 0 && at < midnight+10*msHour; at += 20 * msMinute {
				a.advance(&e.store, at, closed)
			}
			if seen != 1 {
				t.Errorf("the day's last hour was judged %d times", seen)
			}
		})
	}
}
