package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// HandlerConfig is how the API is reached.
type HandlerConfig struct {
	// Secure says that people come by TLS, here or at a proxy: cookies are for TLS alone.
	Secure bool
	// Proxies are those whose X-Forwarded-For is believed.
	Proxies []netip.Prefix
	// Streams bounds the streams of changes that are open at once; 256.
	Streams int
	// Done ends streams when it is closed; nil: never.
	Done <-chan struct{}
	// OIDC signs people in by a provider; nil: none does.
	OIDC *OIDC
}

// Handler serves /v1. It also says to the console who is at the other end.
type Handler struct {
	cfg     HandlerConfig
	service *Service
	log     *slog.Logger
	mux     *http.ServeMux
	cross   *http.CrossOriginProtection
	streams atomic.Int64
	openapi []byte
	tag     string // of openapi
}

// Bounds of a request.
const (
	maxBody     = 64 << 10
	maxBigBody  = 1 << 20
	bodyTime    = 10 * time.Second // to come in
	requestTime = 60 * time.Second // to be answered
	writeTime   = 30 * time.Second // to be read by who asked
)

// NewHandler returns the handler of a service.
func NewHandler(s *Service, cfg HandlerConfig) *Handler {
	if cfg.Streams <= 0 {
		cfg.Streams = 256
	}
	h := &Handler{cfg: cfg, service: s, log: s.log, mux: http.NewServeMux(), cross: http.NewCrossOriginProtection()}
	all := routes()
	h.openapi = OpenAPI(all)
	sum := sha256.Sum256(h.openapi)
	h.tag = `"` + strconv.FormatUint(uint64(sum[0])<<24|uint64(sum[1])<<16|uint64(sum[2])<<8|uint64(sum[3]), 16) + `"`
	for _, r := range all {
		h.mux.HandleFunc(r.method+" "+r.path, func(w http.ResponseWriter, req *http.Request) { h.serve(w, req, &r) })
	}
	h.mux.HandleFunc("/v1/", func(w http.ResponseWriter, req *http.Request) { h.unknown(w, req, all) })
	return h
}

// ServeHTTP answers a request of /v1.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	head := w.Header()
	head.Set("Cache-Control", "no-store")
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	head.Set("Referrer-Policy", "no-referrer")
	defer func() {
		if x := recover(); x != nil {
			if x == http.ErrAbortHandler { //nolint:errorlint // it is compared as net/http does
				panic(x)
			}
			h.log.Error("a request panicked", "method", r.Method, "path", r.URL.Path, "panic", x)
			h.fail(w, r, problem(http.StatusInternalServerError, CodeInternal, "something went wrong within Holdfast: its log says what"))
		}
	}()
	h.mux.ServeHTTP(w, r)
}

// unknown answers what no route is for.
func (h *Handler) unknown(w http.ResponseWriter, r *http.Request, all []route) {
	var allow []string
	exact := slices.ContainsFunc(all, func(x route) bool { return x.path == r.URL.Path })
	for _, x := range all {
		if (!exact || x.path == r.URL.Path) && matches(x.path, r.URL.EscapedPath()) && !slices.Contains(allow, x.method) {
			allow = append(allow, x.method)
		}
	}
	if len(allow) > 0 {
		slices.Sort(allow)
		w.Header().Set("Allow", strings.Join(allow, ", "))
		h.fail(w, r, problem(http.StatusMethodNotAllowed, CodeInvalid, r.Method+" is not for this: use "+strings.Join(allow, " or ")))
		return
	}
	h.fail(w, r, notFound("there is nothing here: /v1/openapi.json tells what there is"))
}

// matches compares a route's path with a request's.
func matches(pattern, path string) bool {
	a, b := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] && !strings.HasPrefix(a[i], "{") {
			return false
		}
	}
	return true
}

// Address is where a request comes from: of the connection, or as a proxy that is believed
// says.
func (h *Handler) Address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && h.believes(host); i-- {
		next, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		host = next.String()
	}
	return host
}

func (h *Handler) believes(host string) bool {
	a, err := netip.ParseAddr(host)
	return err == nil && slices.ContainsFunc(h.cfg.Proxies, func(p netip.Prefix) bool { return p.Contains(a.Unmap().WithZone("")) })
}

// Principal returns who is at the other end of a request; the zero value where nobody is
// signed in. The error is a Problem: of a token that is none, of a request that another
// site made a browser send, or of one that comes too fast.
func (h *Handler) Principal(r *http.Request) (Principal, error) {
	from := h.Address(r)
	nobody := Principal{From: from}
	if !h.service.book.isReady.Load() {
		p := problem(http.StatusServiceUnavailable, CodeAway, "Holdfast is starting: it still reads the present state")
		p.retry = 1
		return nobody, p
	}
	if wait := h.service.pace.address.wait(networkOf(from), h.service.now()); wait > 0 {
		return nobody, tooMany(wait, "too many requests from this address: wait a second")
	}
	p := nobody
	if auth := r.Header.Get("Authorization"); auth != "" {
		secret, ok := bearer(auth)
		if ok {
			p, ok = h.service.people.ByToken(secret, from)
		}
		if !ok {
			if err := h.service.tryAll("", from); err != nil {
				return nobody, err
			}
			return nobody, unauthorized("the token is none that works: it was dropped, it is over, or it never was one")
		}
	} else if c, err := r.Cookie(h.cookie()); err == nil {
		// Only cookies are sent by a browser without being asked.
		if err := h.cross.Check(r); err != nil {
			return nobody, forbidden("another site made the browser send this request: it was not carried out")
		}
		p, _ = h.service.people.BySession(r.Context(), c.Value, from)
		p.From = from
	}
	if p.Name != "" {
		if wait := h.service.pace.person.wait(p.Name+"\x00"+p.Via, h.service.now()); wait > 0 {
			return nobody, tooMany(wait, "too many requests: wait a second")
		}
	}
	return p, nil
}

func bearer(auth string) (string, bool) {
	kind, secret, ok := strings.Cut(auth, " ")
	return strings.TrimSpace(secret), ok && strings.EqualFold(kind, "Bearer") && len(secret) <= 256
}

// cookie is the name of the session's.
func (h *Handler) cookie() string {
	if h.cfg.Secure {
		return "__Host-holdfast"
	}
	return "holdfast"
}

// SetSession gives the browser its session.
func (h *Handler) SetSession(w http.ResponseWriter, in SignedIn) {
	http.SetCookie(w, h.cookieOf(in.Secret, int(in.Session.Until.Sub(h.service.now()).Seconds())))
}

// DropSession takes the session away from the browser.
func (h *Handler) DropSession(w http.ResponseWriter) { http.SetCookie(w, h.cookieOf("", -1)) }

func (h *Handler) cookieOf(value string, age int) *http.Cookie {
	return &http.Cookie{Name: h.cookie(), Value: value, Path: "/", MaxAge: age, HttpOnly: true, Secure: h.cfg.Secure, SameSite: http.SameSiteLaxMode} // #nosec G124 -- Secure is off where there is no TLS, on one machine
}

// serve answers a request of a route.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request, x *route) {
	out := http.NewResponseController(w)
	_ = out.SetReadDeadline(time.Now().Add(bodyTime))
	p, err := h.Principal(r)
	if err == nil && p.Name == "" && x.right != RightNone {
		err = unauthorized("sign in, or send a token in the header Authorization: Bearer …")
	}
	if err == nil {
		err = h.mayAsk(r.Context(), p, x)
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	body, err := readBody(w, r, x)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	in, err := decode(r, x, body)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	_ = out.SetReadDeadline(time.Time{})
	if x.raw != nil {
		x.raw(h, w, r, p, in)
		return
	}
	_ = out.SetWriteDeadline(time.Now().Add(requestTime + writeTime))
	key := r.Header.Get("Idempotency-Key")
	if key == "" || !x.key {
		answer(h.call(r, p, x, in)).write(w, r)
		return
	}
	if len(key) > maxKey {
		h.fail(w, r, invalid("Idempotency-Key", "the key has %d bytes: use at most %d", len(key), maxKey))
		return
	}
	name := p.Name + "\x00" + key
	print := sha256.Sum256([]byte(r.Method + " " + r.URL.RequestURI() + "\x00" + r.Header.Get("If-Match") + "\x00" + string(body)))
	before, err := h.service.again.begin(name, print, h.service.now())
	if err != nil {
		h.fail(w, r, err)
		return
	}
	if before != nil {
		w.Header().Set("Idempotent-Replay", "true")
		(&reply{before.status, before.header, before.body}).write(w, r)
		return
	}
	a := answer(h.call(r, p, x, in))
	h.service.again.end(name, a.status, a.header, a.body)
	a.write(w, r)
}

// mayAsk looks at the route's right before anything of the request is looked at. What is
// refused is recorded where it would have changed something.
func (h *Handler) mayAsk(ctx context.Context, p Principal, x *route) error {
	err := p.need(x.right)
	if err == nil || x.method == http.MethodGet || p.Name == "" {
		return err
	}
	return h.service.deny(ctx, p, x.id, noEntity, "", err)
}

// call answers, as one value: the answer or a Problem.
func (h *Handler) call(r *http.Request, p Principal, x *route, in any) (*route, any, error) {
	ctx, cancel := context.WithTimeout(r.Context(), requestTime)
	defer cancel()
	v, err := x.call(ctx, h.service, p, in)
	if err != nil {
		if q := AsProblem(err); q.Code == CodeInternal {
			h.log.Error("a request failed", "request", x.id, "path", r.URL.Path, "error", err)
		}
	}
	return x, v, err
}

// reply is an answer as it is sent.
type reply struct {
	status int
	header http.Header
	body   []byte
}

func answer(x *route, v any, err error) *reply {
	a := &reply{status: x.status, header: http.Header{}}
	if err != nil {
		return problemReply(AsProblem(err))
	}
	if s, ok := v.(interface{ status() int }); ok {
		a.status = s.status()
	}
	if t, ok := v.(interface{ ETag() string }); ok {
		if tag := t.ETag(); tag != "" {
			a.header.Set("ETag", tag)
		}
	}
	if a.status == http.StatusNoContent {
		return a
	}
	a.header.Set("Content-Type", "application/json")
	if a.body, err = json.Marshal(v, json.Deterministic(true), jsontext.AllowInvalidUTF8(true)); err != nil {
		return problemReply(AsProblem(err))
	}
	return a
}

func problemReply(p *Problem) *reply {
	a := &reply{status: p.Status, header: http.Header{}}
	a.header.Set("Content-Type", "application/problem+json")
	if p.retry > 0 {
		a.header.Set("Retry-After", strconv.Itoa(p.retry))
	}
	if p.Status == http.StatusUnauthorized {
		a.header.Set("WWW-Authenticate", `Bearer realm="holdfast"`)
	}
	a.body, _ = json.Marshal(p, jsontext.AllowInvalidUTF8(true))
	return a
}

func (a *reply) write(w http.ResponseWriter, r *http.Request) {
	for k, v := range a.header {
		w.Header()[k] = v
	}
	if tag := a.header.Get("ETag"); tag != "" && r.Method == http.MethodGet && slices.Contains(strings.Split(r.Header.Get("If-None-Match"), ", "), tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	if len(a.body) > 0 {
		w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // #nosec G705 -- JSON, said to be, and never sniffed
}

func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	problemReply(AsProblem(err)).write(w, r)
}

// readBody takes a request's JSON.
func readBody(w http.ResponseWriter, r *http.Request, x *route) ([]byte, error) {
	limit := int64(maxBody)
	if x.big {
		limit = maxBigBody
	}
	tooLarge := problem(http.StatusRequestEntityTooLarge, CodeTooLarge, "the body has more than "+strconv.FormatInt(limit>>10, 10)+" KiB")
	if r.ContentLength > limit {
		return nil, tooLarge
	}
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if m := (*http.MaxBytesError)(nil); errors.As(err, &m) {
		return nil, tooLarge
	}
	if err != nil {
		return nil, invalid("", "the body did not come whole")
	}
	if len(b) == 0 {
		return nil, nil
	}
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/json" || r.Header.Get("Content-Encoding") != "" {
		return nil, problem(http.StatusUnsupportedMediaType, CodeMedia, "send JSON as application/json, not compressed")
	}
	return b, nil
}

var timeType = reflect.TypeFor[time.Time]()

// decode reads a request into a new value of the route's type.
func decode(r *http.Request, x *route, body []byte) (any, error) {
	in := reflect.New(x.in)
	query := r.URL.Query()
	var known []string
	hasBody := false
	for i := range x.in.NumField() {
		f, v := x.in.Field(i), in.Elem().Field(i)
		switch {
		case f.Tag.Get("path") != "":
			v.SetString(r.PathValue(f.Tag.Get("path")))
		case f.Tag.Get("header") != "":
			v.SetString(r.Header.Get(f.Tag.Get("header")))
		case f.Tag.Get("body") != "":
			hasBody = true
			if body == nil {
				return nil, invalid("", "the body is missing: send a JSON object")
			}
			if err := json.Unmarshal(body, v.Addr().Interface(), json.RejectUnknownMembers(true)); err != nil {
				return nil, invalid("", "the body cannot be read: %s", clip(err.Error(), 300))
			}
		case f.Tag.Get("query") != "":
			name := f.Tag.Get("query")
			known = append(known, name)
			if err := setQuery(v, f, name, query[name]); err != nil {
				return nil, err
			}
		}
	}
	if body != nil && !hasBody && len(bytes.TrimSpace(body)) > 0 && string(bytes.TrimSpace(body)) != "{}" {
		return nil, invalid("", "this request takes no body")
	}
	for name := range query {
		if !slices.Contains(known, name) {
			return nil, invalid(clip(name, 64), "the parameter %q is unknown: use %s", clip(name, 64), strings.Join(known, ", "))
		}
	}
	return in.Interface(), nil
}

func setQuery(v reflect.Value, f reflect.StructField, name string, values []string) error {
	if len(values) == 0 || len(values) == 1 && values[0] == "" && (f.Type.Kind() == reflect.String || f.Type.Kind() == reflect.Slice) {
		return nil
	}
	if f.Type.Kind() == reflect.Slice {
		for _, x := range values {
			for part := range strings.SplitSeq(x, ",") {
				v.Set(reflect.Append(v, reflect.ValueOf(part)))
			}
		}
		if v.Len() > 50 {
			return invalid(name, "%s is given %d times: at most 50", name, v.Len())
		}
		return nil
	}
	if len(values) > 1 {
		return invalid(name, "%s is given more than once", name)
	}
	text := values[0]
	switch {
	case f.Type == timeType:
		t, err := time.Parse(time.RFC3339, text)
		if err != nil || t.Year() < 1 || t.Year() > 9999 {
			return invalid(name, "%s is no time: write 2026-01-02T15:04:05Z", name)
		}
		v.Set(reflect.ValueOf(t.UTC()))
	case f.Type.Kind() == reflect.Int:
		n, err := strconv.Atoi(text)
		most, _ := strconv.Atoi(f.Tag.Get("max"))
		if err != nil || n < 1 || most > 0 && n > most {
			return invalid(name, "%s is no whole number from 1 to %d", name, most)
		}
		v.SetInt(int64(n))
	case f.Type.Kind() == reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return invalid(name, "%s is neither true nor false", name)
		}
		v.SetBool(b)
	default:
		if len(text) > 1024 {
			return invalid(name, "%s has %d bytes: use at most 1,024", name, len(text))
		}
		if one := f.Tag.Get("enum"); one != "" && !slices.Contains(strings.Split(one, ","), text) {
			return invalid(name, "%s %q is unknown: use one of %s", name, clip(text, 64), one)
		}
		v.SetString(text)
	}
	return nil
}
