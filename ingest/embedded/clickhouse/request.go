package clickhouse

import (
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/ClickHouse/ch-go/compress"
	"github.com/klauspost/compress/zstd"

	"holdfast/ingest/embedded/chdb"
)

// request is one HTTP request, taken apart.
type request struct {
	sql      string // from the query parameter; empty: the body holds it
	body     io.Reader
	database string
	format   string // for an answer whose query names none
	id       string
	reader   bool // by the read-only user
	get      bool // by a method that changes nothing
	settings []setting
	params   []chdb.Param

	helloRevision  int // the revision at which the client decodes its first query
	nativeCompress bool
	nativeMethod   compress.Method
	gzip           bool
}

// setting is one ClickHouse setting.
type setting struct{ name, value string }

// notSettings are URL parameters with a meaning of their own. Everything else,
// but param_*, is a setting.
var notSettings = map[string]bool{
	"query": true, "database": true, "default_format": true, "query_id": true, "quota_key": true, "user": true, "password": true,
	"compress": true, "decompress": true, "enable_http_compression": true, "wait_end_of_query": true, "buffer_size": true,
	"client_protocol_version": true, "stacktrace": true, "session_timeout": true, "session_check": true, "close_session": true,
}

var settingName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]{0,127}$`)

// readRequest takes a request apart; its body may be read up to limit bytes after
// decompression.
func readRequest(w http.ResponseWriter, r *http.Request, reader bool, limit int64) (*request, error) {
	q := r.URL.Query()
	if q.Has("session_id") {
		return nil, refuse(codeNotImplemented, "NOT_IMPLEMENTED", "sessions are not kept between requests; give settings with each request and leave session_id out")
	}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/form-data") {
		return nil, refuse(codeNotImplemented, "NOT_IMPLEMENTED", "external tables are not supported; use a table of your own")
	}
	req := &request{
		sql:            strings.TrimSpace(q.Get("query")),
		database:       first(q.Get("database"), r.Header.Get("X-ClickHouse-Database")),
		format:         first(q.Get("default_format"), r.Header.Get("X-ClickHouse-Format"), "TabSeparated"),
		id:             first(q.Get("query_id"), newID()),
		nativeCompress: isTrue(q.Get("compress")),
		gzip:           isTrue(q.Get("enable_http_compression")) && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip"),
		nativeMethod:   compress.LZ4,
		reader:         reader,
		// As the server does: a link that is followed changes nothing.
		get: r.Method != http.MethodPost,
	}
	if strings.EqualFold(q.Get("network_compression_method"), "ZSTD") {
		req.nativeMethod = compress.ZSTD
	}
	req.helloRevision, _ = strconv.Atoi(q.Get("client_protocol_version"))
	if err := req.readSettings(q); err != nil {
		return nil, err
	}
	body, err := decoded(http.MaxBytesReader(w, r.Body, limit), r.Header.Get("Content-Encoding"))
	if err != nil {
		return nil, err
	}
	if isTrue(q.Get("decompress")) {
		body = plainEOF{compress.NewReader(body)}
	}
	req.body = &limited{r: body, left: limit, limit: limit}
	return req, nil
}

func (req *request) readSettings(q url.Values) error {
	for name, values := range q {
		if notSettings[name] || len(values) == 0 {
			continue
		}
		value := values[len(values)-1]
		if param, ok := strings.CutPrefix(name, "param_"); ok {
			req.params = append(req.params, chdb.Param{Name: param, Value: value})
			continue
		}
		if !settingName.MatchString(name) {
			return refuse(codeUnknownSetting, "UNKNOWN_SETTING", "Unknown setting %q", name)
		}
		if slices.Contains(fixedSettings, name) {
			return refuse(codeFixedSetting, "SETTING_CONSTRAINT_VIOLATION", "Setting %s should not be changed", name)
		}
		if req.reader && !readerMaySet(name) {
			continue // what shapes no answer changes none
		}
		req.settings = append(req.settings, setting{name: name, value: value})
	}
	sort.Slice(req.settings, func(i, j int) bool { return req.settings[i].name < req.settings[j].name })
	return nil
}

func decoded(r io.Reader, encoding string) (io.Reader, error) {
	switch strings.ToLower(encoding) {
	case "", "identity":
		return r, nil
	case "gzip", "x-gzip":
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, refuse(codeBadArguments, "BAD_ARGUMENTS", "the body is not gzip: %v", err)
		}
		return z, nil
	case "deflate":
		z, err := zlib.NewReader(r)
		if err != nil {
			return nil, refuse(codeBadArguments, "BAD_ARGUMENTS", "the body is not deflate: %v", err)
		}
		return z, nil
	case "zstd":
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20))
		if err != nil {
			return nil, refuse(codeBadArguments, "BAD_ARGUMENTS", "the body is not zstd: %v", err)
		}
		return z.IOReadCloser(), nil
	}
	return nil, refuse(codeNotImplemented, "NOT_IMPLEMENTED", "Content-Encoding %q is not supported; use gzip, deflate, zstd or none", encoding)
}

// plainEOF gives the end of a compressed body as io.Copy expects it; ch-go wraps it.
type plainEOF struct{ r io.Reader }

func (p plainEOF) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	if errors.Is(err, io.EOF) {
		err = io.EOF
	}
	return n, err
}

// limited refuses a body that grows past the limit when it is decompressed.
type limited struct {
	r           io.Reader
	left, limit int64
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		// At the limit exactly is fine: only one byte more is too many.
		var one [1]byte
		n, err := l.r.Read(one[:])
		if n > 0 {
			return 0, &http.MaxBytesError{Limit: l.limit}
		}
		return 0, err
	}
	n, err := l.r.Read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	return n, err
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

func isTrue(v string) bool { return v == "1" || strings.EqualFold(v, "true") }

// onlyReads tells whether the request may change nothing.
func (req *request) onlyReads() bool { return req.reader || req.get }

// setStatement applies the request's settings to a session.
func (req *request) setStatement() string {
	if len(req.settings) == 0 {
		return ""
	}
	parts := make([]string, len(req.settings))
	for i, s := range req.settings {
		parts[i] = fmt.Sprintf("%s = %s", s.name, quote(s.value))
	}
	return "SET " + strings.Join(parts, ", ")
}
