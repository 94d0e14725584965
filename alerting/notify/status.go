package notify

import (
	"net/http"
	"strconv"
	"time"
)

// Retry is the one table that says whether a call that was answered with an HTTP
// status is worth another try. 2xx is success and never asks.
func Retry(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true // the receiver was busy or slow
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported, http.StatusLoopDetected,
		http.StatusNotExtended, http.StatusNetworkAuthenticationRequired:
		return false // a server's fault that does not pass
	}
	return status >= 500 && status <= 599
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
