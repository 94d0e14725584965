package clickhouse

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"holdfast/ingest/embedded/owner"
)

// Access says who may ask the engine.
type Access struct {
	User     string // the full user; "default" if empty
	Password string // its password; "" asks for none, which is for tests

	Reader         string // the read-only user; "reader" if empty
	ReaderPassword string // its password; "" means that there is no such user
	ReaderDatabase string // the one database that it sees; "holdfast" if empty

	// Peers asks processes of this process's own user and of root, by the kernel's word, for
	// no password where they give none: they can read it anyway.
	Peers bool
}

func (a Access) withDefaults() Access {
	if a.User == "" {
		a.User = "default"
	}
	if a.Reader == "" {
		a.Reader = "reader"
	}
	if a.ReaderDatabase == "" {
		a.ReaderDatabase = "holdfast"
	}
	return a
}

// login tells who asks, by basic authentication, ClickHouse's headers or the URL's
// parameters; reader is true for the read-only user.
func (a Access) login(r *http.Request) (reader bool, err error) {
	user, password, ok := r.BasicAuth()
	if !ok {
		q := r.URL.Query()
		user = first(r.Header.Get("X-ClickHouse-User"), q.Get("user"))
		password = first(r.Header.Get("X-ClickHouse-Key"), q.Get("password"))
	}
	user = first(user, a.User)
	full := same(user, a.User) & same(password, a.Password)
	reads := same(user, a.Reader) & same(password, a.ReaderPassword)
	switch {
	case full == 1, a.Peers && password == "" && user == a.User && isPeer(r.Context()):
		return false, nil
	case reads == 1 && a.ReaderPassword != "":
		return true, nil
	}
	return false, refuse(codeAuthentication, "AUTHENTICATION_FAILED", "%s: Authentication failed: password is incorrect, or there is no user with such name; `holdfast endpoints` shows how to log in", strconv.Quote(clip(user, 64)))
}

// same compares in a time that tells nothing of what differs, the length included.
func same(a, b string) int {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:])
}

func clip(s string, n int) string {
	if len(s) > n {
		return s[:n] + "…"
	}
	return s
}

// What a client may hold before it is known: a line of requests that waits costs
// memory of ours.
const (
	maxHeader  = 256 << 10 // bytes of a request's head; a GET carries its query there
	ownConns   = 512       // connections of this process's user
	otherConns = 64        // connections of all others, such as a dashboard's
)

// guard bounds the connections of a listener.
func guard(ln net.Listener) net.Listener {
	return owner.Listen(ln, owner.Config{Own: ownConns, Foreign: otherConns})
}

type peerKey struct{}

// withPeer notes whether a connection is of this process's user or of root.
func withPeer(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, peerKey{}, owner.Own(c))
}

func isPeer(ctx context.Context) bool {
	own, _ := ctx.Value(peerKey{}).(bool)
	return own
}

// readerMaxRequest bounds a read-only request: it holds a query and no rows.
const readerMaxRequest = 1 << 20

// readerLimits bound one query of the read-only user.
type readerLimits struct {
	seconds, rows, bytes, memory int64
}

func limitsOf(maxMemory int64) readerLimits {
	l := readerLimits{seconds: 30, rows: 1_000_000, bytes: 256 << 20, memory: 1 << 30}
	if maxMemory > 0 {
		l.memory = min(l.memory, max(maxMemory/4, 64<<20))
	}
	return l
}

// set writes the limits. A request may ask for a shorter time or fewer rows.
func (l readerLimits) set(req *request) string {
	seconds, rows := l.seconds, l.rows
	for _, s := range req.settings {
		n, err := strconv.ParseInt(s.value, 10, 64)
		if err != nil || n <= 0 {
			continue
		}
		switch s.name {
		case "max_execution_time":
			seconds = min(seconds, n)
		case "max_result_rows":
			rows = min(rows, n)
		}
	}
	return fmt.Sprintf("SET max_execution_time = %d, timeout_overflow_mode = 'throw', max_result_rows = %d, max_result_bytes = %d, "+
		"result_overflow_mode = 'throw', max_memory_usage = %d, max_threads = 2", seconds, rows, l.bytes, l.memory)
}

// readerMaySet names the settings of a read-only request that are applied: those
// that shape an answer, and the two that can make a limit tighter.
func readerMaySet(name string) bool {
	switch name {
	case "max_execution_time", "max_result_rows", "session_timezone", "extremes", "log_comment", "date_time_output_format", "join_use_nulls":
		return true
	}
	return strings.HasPrefix(name, "output_format_") || strings.HasPrefix(name, "format_csv_")
}

// readerPerMinute is how many queries the read-only user may ask in a minute: a
// dashboard of 50 panels, renewed every 5 s.
const readerPerMinute = 600

// quota counts the read-only user's queries by minute.
type quota struct {
	mu     sync.Mutex
	minute time.Time
	asked  int
}

func (q *quota) take(now time.Time) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if minute := now.Truncate(time.Minute); !minute.Equal(q.minute) {
		q.minute, q.asked = minute, 0
	}
	if q.asked++; q.asked > readerPerMinute {
		return refuse(codeQuota, "QUOTA_EXCEEDED", "Quota for the read-only user has been exceeded: %d queries a minute; renew dashboards less often", readerPerMinute)
	}
	return nil
}
