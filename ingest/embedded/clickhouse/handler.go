package clickhouse

import (
	"compress/gzip"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"holdfast/ingest/embedded/chdb"
)

// handler speaks ClickHouse's HTTP interface.
type handler struct {
	engine *engine
	access Access
	quota  quota
	limit  int64
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case !fromThisMachine(r):
		h.fail(w, refuse(codeAuthentication, "AUTHENTICATION_FAILED", "requests made by pages of other sites are refused"))
	case r.URL.Path == "/ping", r.URL.Path == "/replicas_status":
		_, _ = io.WriteString(w, "Ok.\n")
	case r.URL.Path != "/":
		http.Error(w, "There is no handle "+r.URL.Path+"\n\nUse / or /ping for health checks, and POST a query to / otherwise.", http.StatusNotFound)
	case r.Method == http.MethodGet && !r.URL.Query().Has("query"):
		_, _ = io.WriteString(w, "Ok.\n")
	case r.Method != http.MethodGet && r.Method != http.MethodPost && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD, POST")
		http.Error(w, "POST a query, or GET one that only reads.", http.StatusMethodNotAllowed)
	default:
		h.query(w, r)
	}
}

// fromThisMachine refuses what a browser sends on behalf of another site, another
// port of this machine included, and what comes under a name that is not this
// machine's: a page must not reach the engine through a visitor, nor by a name that
// it has turned to 127.0.0.1.
func fromThisMachine(r *http.Request) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site == "cross-site" || site == "same-site" {
		return false
	}
	if origin := r.Header.Get("Origin"); origin != "" {
		u, err := url.Parse(origin)
		if err != nil || !strings.EqualFold(u.Host, r.Host) {
			return false
		}
	}
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return isLoopbackName(strings.Trim(host, "[]"))
}

func isLoopbackName(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (h *handler) query(w http.ResponseWriter, r *http.Request) {
	started := time.Now()
	reader, err := h.access.login(r)
	if err == nil && reader {
		err = h.quota.take(started)
	}
	if err != nil {
		// The server would wait for some of the body, without an end.
		_ = http.NewResponseController(w).SetReadDeadline(started.Add(2 * time.Second))
		h.fail(w, asFault(err))
		return
	}
	limit := h.limit
	if reader {
		limit = min(limit, readerMaxRequest)
	}
	req, err := readRequest(w, r, reader, limit)
	if err != nil {
		h.fail(w, asFault(err))
		return
	}
	p, err := h.engine.prepare(req)
	if err != nil {
		h.fail(w, asFault(err))
		return
	}
	defer p.close()
	answer := &answer{w: w, req: req, started: started}
	header := w.Header()
	header.Set("X-ClickHouse-Query-Id", req.id)
	header.Set("X-ClickHouse-Timezone", h.engine.timezone)
	header.Set("X-ClickHouse-Server-Display-Name", "holdfast")
	format := first(p.st.format, req.format)
	header.Set("X-ClickHouse-Format", format)
	header.Set("Content-Type", contentType(format))
	if strings.TrimSpace(p.sql) == helloQuery && req.helloRevision > 0 {
		err = writeHello(answer, req.helloRevision, h.engine.version, h.engine.timezone)
	} else {
		_, err = h.engine.run(r.Context(), req, p, answer)
	}
	if err == nil {
		err = answer.close()
	}
	if err == nil {
		return
	}
	if answer.begun {
		answer.breakOff(asFault(err))
	}
	h.fail(w, asFault(err))
}

func (h *handler) fail(w http.ResponseWriter, f *fault) {
	header := w.Header()
	for _, name := range []string{"Content-Encoding", "X-ClickHouse-Format", "X-ClickHouse-Summary"} {
		header.Del(name)
	}
	header.Set("Content-Type", "text/plain; charset=UTF-8")
	header.Set("X-ClickHouse-Exception-Code", strconv.Itoa(f.code))
	w.WriteHeader(status(f.code))
	text := f.text
	if h.engine != nil && !strings.Contains(text, "(version ") {
		text += " (version " + h.engine.version + ")"
	}
	_, _ = io.WriteString(w, text+"\n")
}

// answer writes a result, compressed as the client asked; headers leave with the
// first byte.
type answer struct {
	w       http.ResponseWriter
	req     *request
	started time.Time
	stats   chdb.Stats

	begun  bool
	to     io.Writer
	finish []func() error
}

func (a *answer) begin() {
	a.begun = true
	a.to = a.w
	if a.req.gzip {
		a.w.Header().Set("Content-Encoding", "gzip")
		z, _ := gzip.NewWriterLevel(a.w, gzip.BestSpeed)
		a.to, a.finish = z, append(a.finish, z.Close)
	}
	if a.req.nativeCompress {
		n := newNativeWriter(a.to, a.req.nativeMethod)
		a.to, a.finish = n, append([]func() error{n.Flush}, a.finish...)
	}
}

// Observe is told the counts before the result, or a part of it, is written; the
// headers can still carry the first.
func (a *answer) Observe(s chdb.Stats) {
	a.stats = s
	if !a.begun {
		a.w.Header().Set("X-ClickHouse-Summary", a.summary())
	}
}

func (a *answer) Write(p []byte) (int, error) {
	if !a.begun {
		a.begin()
	}
	return a.to.Write(p)
}

func (a *answer) close() error {
	for _, f := range a.finish {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

// breakOff ends an answer whose status has left already. It writes the fault as
// the server does, between markers that clickhouse-go looks for, and cuts the
// connection, so that every other client notices too.
func (a *answer) breakOff(f *fault) {
	const marker, tag = "__exception__", "holdfastholdfast" // a tag has 16 bytes
	text := fmt.Sprintf("\r\n%s\r\n%s\r\n%s\n%d %s\r\n%s\r\n", marker, tag, f.text, len(f.text)+1, tag, marker)
	if _, err := io.WriteString(a.to, text); err == nil && a.close() == nil {
		_ = http.NewResponseController(a.w).Flush()
	}
	panic(http.ErrAbortHandler)
}

func (a *answer) summary() string {
	number := func(n uint64) string { return strconv.FormatUint(n, 10) }
	text, err := json.Marshal(map[string]string{
		"read_rows": number(a.stats.ReadRows), "read_bytes": number(a.stats.ReadBytes),
		"written_rows": number(a.stats.WrittenRows), "written_bytes": number(a.stats.WrittenBytes),
		"result_rows": number(a.stats.ResultRows), "total_rows_to_read": "0", "elapsed_ns": strconv.FormatInt(time.Since(a.started).Nanoseconds(), 10),
	})
	if err != nil {
		return "{}"
	}
	return string(text)
}

func contentType(format string) string {
	switch {
	case strings.HasPrefix(format, "JSONEachRow"), strings.HasPrefix(format, "JSONCompactEachRow"), strings.HasPrefix(format, "JSONLines"):
		return "application/x-ndjson; charset=UTF-8"
	case strings.HasPrefix(format, "JSON"):
		return "application/json; charset=UTF-8"
	case strings.HasPrefix(format, "CSV"):
		return "text/csv; charset=UTF-8; header=absent"
	case strings.HasPrefix(format, "TabSeparated"), strings.HasPrefix(format, "TSV"):
		return "text/tab-separated-values; charset=UTF-8"
	case format == "Native", strings.HasPrefix(format, "RowBinary"), format == "Parquet", format == "Arrow":
		return "application/octet-stream"
	}
	return "text/plain; charset=UTF-8"
}

func newID() string {
	var id [16]byte
	_, _ = rand.Read(id[:])
	return hex.EncodeToString(id[:])
}
