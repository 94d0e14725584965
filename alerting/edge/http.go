package edge

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"holdfast/schemas"
)

// maxBulk is how many entities one request may name.
const maxBulk = 1000

// Handler serves
//
//	GET  /v1/status/{entity}        one answer: {"entity":…,"status":…,"known":…,…}
//	GET  /v1/status?entity=A&entity=B  and POST /v1/status {"entities":[…]}: up to 1,000
//	GET  /v1/stopped?kind=account&status=suspended,blocked&format=text|json
//	GET  /v1/changes                server-sent events, "status" for each change
//	GET  /healthz, /readyz
//
// An entity is written kind:id; its answer is 200 also where it is unknown.
func (e *Edge) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", e.serveMany)
	mux.HandleFunc("POST /v1/status", e.serveBulk)
	mux.HandleFunc("GET /v1/stopped", e.serveStopped)
	mux.HandleFunc("GET /v1/changes", e.serveChanges)
	mux.HandleFunc("GET /readyz", e.serveReady)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthz" && r.URL.Path != "/readyz" && !e.admits(r) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="holdfast edge"`)
			problem(w, http.StatusUnauthorized, "send the header Authorization: Bearer TOKEN, or the token as the password of basic authentication")
			return
		}
		// The hot way, without the mux: it would decode the path and allocate matches.
		if rest, ok := strings.CutPrefix(r.URL.EscapedPath(), "/v1/status/"); ok && r.Method == http.MethodGet {
			e.serveOne(w, rest)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// admits compares with every token in constant time.
func (e *Edge) admits(r *http.Request) bool {
	if len(e.cfg.Tokens) == 0 {
		return true
	}
	given := ""
	if scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "Bearer") {
		given = strings.TrimSpace(token)
	} else if _, password, ok := r.BasicAuth(); ok {
		given = password
	}
	digest, found := sha256.Sum256([]byte(given)), 0
	for _, t := range e.cfg.Tokens {
		want := sha256.Sum256(t)
		found |= subtle.ConstantTimeCompare(digest[:], want[:])
	}
	return found == 1
}

// problem answers by RFC 9457.
func problem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.MarshalWrite(w, map[string]any{"title": http.StatusText(status), "status": status, "detail": detail}, json.Deterministic(true))
}

var buffers = sync.Pool{New: func() any { return new([]byte) }}

var typeJSON = []string{"application/json"}

func (e *Edge) serveOne(w http.ResponseWriter, escaped string) {
	name, err := url.PathUnescape(escaped)
	if err != nil {
		problem(w, http.StatusBadRequest, "the entity in the path is not escaped as it must be: "+err.Error())
		return
	}
	entity, err := schemas.ParseEntity(name)
	if err != nil {
		problem(w, http.StatusBadRequest, err.Error())
		return
	}
	a := e.Lookup(entity)
	e.deps.Metrics.lookup(viaHTTP, &a)
	buf := buffers.Get().(*[]byte)
	*buf = append(a.appendJSON((*buf)[:0]), '\n')
	w.Header()["Content-Type"] = typeJSON
	_, _ = w.Write(*buf)
	buffers.Put(buf)
}

func (e *Edge) serveMany(w http.ResponseWriter, r *http.Request) {
	e.answer(w, r.URL.Query()["entity"])
}

func (e *Edge) serveBulk(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		problem(w, http.StatusRequestEntityTooLarge, "the body has more than 1 MiB, or broke off: ask for at most 1,000 entities at a time")
		return
	}
	var ask struct {
		Entities []string `json:"entities"`
	}
	if err := json.Unmarshal(body, &ask, json.RejectUnknownMembers(true)); err != nil {
		problem(w, http.StatusBadRequest, `the body is not {"entities": ["account:acct-1", …]}: `+err.Error())
		return
	}
	e.answer(w, ask.Entities)
}

// answer writes {"results":[…]} in the order of the names.
func (e *Edge) answer(w http.ResponseWriter, names []string) {
	if len(names) == 0 || len(names) > maxBulk {
		problem(w, http.StatusBadRequest, fmt.Sprintf("%d entities are named: name 1 to %d", len(names), maxBulk))
		return
	}
	b := []byte(`{"results":[`)
	for i, name := range names {
		entity, err := schemas.ParseEntity(name)
		if err != nil {
			problem(w, http.StatusBadRequest, err.Error())
			return
		}
		if i > 0 {
			b = append(b, ',')
		}
		a := e.Lookup(entity)
		e.deps.Metrics.lookup(viaHTTP, &a)
		b = a.appendJSON(b)
	}
	w.Header()["Content-Type"] = typeJSON
	_, _ = w.Write(append(b, "]}\n"...)) // #nosec G705 -- JSON, and said to be
}

func (e *Edge) serveReady(w http.ResponseWriter, _ *http.Request) {
	asOf, age, stale := e.freshness()
	if asOf.IsZero() {
		http.Error(w, "the status topic has never been read to its end: the copy is empty", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintf(w, "ready: %d entities as of %s\n", e.table.Len(), asOf.Format(time.RFC3339))
	if stale {
		fmt.Fprintf(w, "stale: the status topic could not be read for %s; answers are the last known ones\n", age.Truncate(time.Second))
	}
}

// lists keeps the bodies of /v1/stopped until the stopped entities change.
type lists struct {
	mu      sync.Mutex
	version uint64
	by      map[string]*list
}

type list struct {
	body    []byte
	etag    string
	changed time.Time
}

// serveStopped lists ids, one a line or as JSON, with ETag and Last-Modified, so that who
// polls it keeps the last one while the edge is away.
func (e *Edge) serveStopped(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	kind := schemas.EntityKind(q.Get("kind"))
	if kind == "" {
		kind = schemas.KindAccount
	}
	statuses := []string{statusSuspended, statusBlocked}
	if s := q.Get("status"); s != "" {
		statuses = strings.Split(s, ",")
	}
	format := q.Get("format")
	switch {
	case kind != schemas.KindAccount && kind != schemas.KindIP && kind != schemas.KindEmployee:
		problem(w, http.StatusBadRequest, fmt.Sprintf("kind %q is unknown: use account, ip or employee", kind))
		return
	case slices.ContainsFunc(statuses, func(s string) bool { return strictness(s) < strictness(statusThrottled) }):
		problem(w, http.StatusBadRequest, fmt.Sprintf("status %q: list some of throttled, revoked, suspended, blocked", q.Get("status")))
		return
	case format != "" && format != "text" && format != "json":
		problem(w, http.StatusBadRequest, fmt.Sprintf("format %q is unknown: use text or json", format))
		return
	}
	if !e.Ready() {
		problem(w, http.StatusServiceUnavailable, "the status topic has never been read to its end: no list can be given yet")
		return
	}
	slices.Sort(statuses)
	l := e.stopped(kind, slices.Compact(statuses), format == "json")
	w.Header().Set("Content-Type", map[bool]string{true: "application/json", false: "text/plain; charset=utf-8"}[format == "json"])
	w.Header().Set("ETag", l.etag)
	w.Header().Set("Cache-Control", "no-cache")
	http.ServeContent(w, r, "", l.changed, bytes.NewReader(l.body))
}

func (e *Edge) stopped(kind schemas.EntityKind, statuses []string, asJSON bool) *list {
	version := e.table.Version()
	name := fmt.Sprint(kind, statuses, asJSON)
	e.lists.mu.Lock()
	defer e.lists.mu.Unlock()
	if e.lists.by == nil || e.lists.version != version {
		e.lists.by, e.lists.version = map[string]*list{}, version
	}
	if l := e.lists.by[name]; l != nil {
		return l
	}
	ids, changed := e.table.Stopped(kind, statuses...)
	l := &list{changed: changed}
	if asJSON {
		b := []byte(`{"kind":`)
		b = append(appendString(b, string(kind)), `,"ids":[`...)
		for i, id := range ids {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendString(b, id)
		}
		b = append(b, "]}\n"...)
		l.body = b
	} else {
		for _, id := range ids {
			l.body = append(append(l.body, id...), '\n')
		}
	}
	sum := sha256.Sum256(l.body)
	l.etag = `"` + hex.EncodeToString(sum[:12]) + `"`
	e.lists.by[name] = l
	return l
}
