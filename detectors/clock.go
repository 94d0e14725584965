package detectors

import (
	"holdfast/detectors/sketch"
	"holdfast/schemas"
)

const (
	msMinute = 60_000
	msBucket = 5 * msMinute
	msHour   = 60 * msMinute
	msDay    = 24 * msHour
	lateness = int64(schemas.Lateness / 1e6)

	// forgetHours is the gap after which everything but a summary is forgotten.
	forgetHours = 30 * 24
)

func hourOf(ms int64) int32              { return int32(ms / msHour) }
func hourStart(h int32) int64            { return int64(h) * msHour }
func bucketOf(ms int64) int32            { return int32(ms / msBucket) }
func firstHour(d sketch.Day) int32       { return hourOf(d.Start()) }
func weekday(d sketch.Day) int           { return int((uint32(d) + 5) % 7) } // 1999-12-31 was a Friday
func dayOfHour(h int32) sketch.Day       { return sketch.DayOf(hourStart(h)) }
func mod3(h int32) int                   { return int(uint32(h) % 3) }
func mod2(d sketch.Day) int              { return int(d & 1) }
func unixDay(d sketch.Day) int64         { return d.Start() / msDay }
func within(a, b sketch.Day, n int) bool { return int(a)-int(b) <= n && int(b)-int(a) <= n }
