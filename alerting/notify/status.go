package notify

import (
	"net/http"
	"strconv"
	"time"
)

// Retry is the one table that says whether a call that was answered with an HTTP
// status may succeed later as it is: whatever the status, but for 400 and 422, with which
// the receiver says that it does not take this body. A receiver that is misconfigured (401,
// 403, 404, a redirect) gets put right without anybody touching the call. 2xx is success
// and never asks.
func Retry(status int) bool {
	return status != http.StatusBadRequest && status != http.StatusUnprocessableEntity
}

// maxRetryAfter bounds how long a receiver may put a call off.
const maxRetryAfter = 10 * time.Minute

// RetryAfter reads the header of that name: seconds, or a time. Nothing or nonsense
// is 0; more than 10 minutes are 10 minutes.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	v := h.Get("Retry-After")
	if s, err := strconv.Atoi(v); err == nil {
		return min(max(0, time.Duration(min(s, 1<<20))*time.Second), maxRetryAfter)
	}
	if t, err := http.ParseTime(v); err == nil {
		return min(max(0, t.Sub(now)), maxRetryAfter)
	}
	return 0
}
