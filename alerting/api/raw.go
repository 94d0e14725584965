package api

import (
	"net/http"
	"reflect"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"

	"holdfast/schemas"
)

// noEntity is what an act is on that is on none.
var noEntity schemas.Entity

type loginIn struct {
	Body Login `body:"json"`
}

type newPasswordIn struct {
	Body NewPassword `body:"json"`
}

// begun is the answer to a sign-in; the cookie has the secret.
type begun struct {
	Person PersonView `json:"person"`
	Until  time.Time  `json:"until"`
}

type streamIn struct {
	Last string `header:"Last-Event-ID" doc:"Go on behind this change."`
	Text string `query:"after" doc:"The same as a parameter."`
}

type oidcStartIn struct {
	To string `query:"to" doc:"The page to go to afterwards: a path on this server."`
}

type oidcBackIn struct {
	Code  string `query:"code" doc:"As the provider sends it."`
	State string `query:"state" doc:"As it was sent to the provider."`
	Error string `query:"error" doc:"As the provider sends it."`
	Text  string `query:"error_description" doc:"As the provider sends it."`
	URI   string `query:"error_uri" doc:"As the provider sends it."`
	Iss   string `query:"iss" doc:"The provider, RFC 9207."`
	Sess  string `query:"session_state" doc:"As the provider sends it."`
	Scope string `query:"scope" doc:"As the provider sends it."`
	User  string `query:"authuser" doc:"As the provider sends it."`
	Hint  string `query:"prompt" doc:"As the provider sends it."`
	HD    string `query:"hd" doc:"As the provider sends it."`
}

// rawRoutes are the requests that answer by more than one JSON value.
func rawRoutes() []route {
	return []route{
		{method: http.MethodGet, path: "/v1/openapi.json", right: RightNone, tag: "system", id: "getOpenapi", says: "This document.", in: reflect.TypeFor[none](), status: http.StatusOK, media: "application/json", raw: (*Handler).serveOpenAPI},
		{method: http.MethodGet, path: "/v1/changes", right: RightRead, tag: "cases", id: "streamChanges", says: "Changes of cases and statuses as server-sent events: read a list, then follow.", in: reflect.TypeFor[streamIn](), out: reflect.TypeFor[Change](), status: http.StatusOK, media: "text/event-stream", raw: (*Handler).serveChanges},
		{method: http.MethodPost, path: "/v1/session", right: RightNone, tag: "people", id: "signIn", says: "Sign in by a password: the answer sets the session's cookie.", in: reflect.TypeFor[loginIn](), out: reflect.TypeFor[begun](), status: http.StatusCreated, raw: (*Handler).serveSignIn},
		{method: http.MethodDelete, path: "/v1/session", right: RightSelf, tag: "people", id: "signOut", says: "Sign out.", in: reflect.TypeFor[none](), status: http.StatusNoContent, raw: (*Handler).serveSignOut},
		{method: http.MethodPost, path: "/v1/welcome", right: RightNone, tag: "people", id: "useLink", says: "Set a password by a one-time link, and sign in.", in: reflect.TypeFor[newPasswordIn](), out: reflect.TypeFor[begun](), status: http.StatusCreated, raw: (*Handler).serveWelcome},
		{method: http.MethodGet, path: "/v1/oidc/start", right: RightNone, tag: "people", id: "oidcStart", says: "Sign in by the provider: goes there.", in: reflect.TypeFor[oidcStartIn](), status: http.StatusSeeOther, raw: (*Handler).serveOIDCStart},
		{method: http.MethodGet, path: "/v1/oidc/callback", right: RightNone, tag: "people", id: "oidcCallback", says: "Comes back from the provider.", in: reflect.TypeFor[oidcBackIn](), status: http.StatusSeeOther, raw: (*Handler).serveOIDCBack},
	}
}

func (h *Handler) serveOpenAPI(w http.ResponseWriter, r *http.Request, _ Principal, _ any) {
	(&reply{http.StatusOK, http.Header{"Content-Type": {"application/json"}, "Etag": {h.tag}}, h.openapi}).write(w, r)
}

func (h *Handler) serveSignIn(w http.ResponseWriter, r *http.Request, p Principal, in any) {
	if err := h.cross.Check(r); err != nil { // nobody is signed in by another site
		h.fail(w, r, forbidden("another site made the browser send this request"))
		return
	}
	got, err := h.service.SignIn(r.Context(), in.(*loginIn).Body, p.From, r.UserAgent())
	h.begin(w, r, got, err)
}

func (h *Handler) serveWelcome(w http.ResponseWriter, r *http.Request, p Principal, in any) {
	if err := h.cross.Check(r); err != nil {
		h.fail(w, r, forbidden("another site made the browser send this request"))
		return
	}
	got, err := h.service.UseLink(r.Context(), in.(*newPasswordIn).Body, p.From, r.UserAgent())
	h.begin(w, r, got, err)
}

func (h *Handler) begin(w http.ResponseWriter, r *http.Request, got SignedIn, err error) {
	if err != nil {
		h.fail(w, r, err)
		return
	}
	h.SetSession(w, got)
	b, err := json.Marshal(begun{got.Person, got.Session.Until})
	if err != nil {
		h.fail(w, r, err)
		return
	}
	(&reply{http.StatusCreated, http.Header{"Content-Type": {"application/json"}}, b}).write(w, r)
}

func (h *Handler) serveSignOut(w http.ResponseWriter, r *http.Request, p Principal, _ any) {
	if err := h.service.SignOut(r.Context(), p); err != nil {
		h.fail(w, r, err)
		return
	}
	h.DropSession(w)
	w.WriteHeader(http.StatusNoContent)
}

// heartbeat is how often a stream without changes says that it is alive.
const heartbeat = 15 * time.Second

// serveChanges streams each change as an event "change". A reader that comes back with
// Last-Event-ID gets what it missed; where that is no longer kept, the first event is
// "reset": read the list, then follow.
func (h *Handler) serveChanges(w http.ResponseWriter, r *http.Request, p Principal, x any) {
	in := x.(*streamIn)
	defer h.streams.Add(-1)
	if h.streams.Add(1) > int64(h.cfg.Streams) {
		q := problem(http.StatusServiceUnavailable, CodeAway, "all streams are taken: try again later, or ask for the list")
		q.retry = 10
		h.fail(w, r, q)
		return
	}
	changes := &h.service.book.changes
	_, at, _, _ := changes.since(^uint64(0), 0) // the newest
	reset := false
	if last := in.Last + in.Text; last != "" {
		n, err := strconv.ParseUint(last, 10, 64)
		if _, _, _, kept := changes.since(n, 0); err == nil && kept {
			at = n
		} else {
			reset = true
		}
	}
	out := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	buf := append([]byte("retry: 2000\nid: "), strconv.FormatUint(at, 10)...)
	if reset {
		buf = append(buf, "\nevent: reset\ndata: {}"...)
	}
	buf = append(buf, "\n\n"...)
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	for {
		_ = out.SetWriteDeadline(time.Now().Add(writeTime)) // who does not read is let go
		if len(buf) > 0 {
			if _, err := w.Write(buf); err != nil { // #nosec G705 -- JSON, and said to be
				return
			}
			if err := out.Flush(); err != nil {
				return
			}
		}
		list, next, wake, ok := changes.since(at, 256)
		if !ok {
			return // it fell out of what is kept: the next try is told so
		}
		buf = buf[:0]
		if len(list) == 0 {
			select {
			case <-r.Context().Done():
				return
			case <-h.cfg.Done:
				return
			case <-wake:
			case <-tick.C:
				buf = append(buf, ": alive\n\n"...)
				if !h.still(r, p) {
					return // the session or the token is over
				}
			}
			continue
		}
		for _, c := range list {
			b, err := json.Marshal(c)
			if err != nil {
				return
			}
			buf = append(buf, "event: change\nid: "...)
			buf = strconv.AppendUint(buf, c.N, 10)
			buf = append(append(append(buf, "\ndata: "...), b...), "\n\n"...)
		}
		at = next
	}
}

// still reports whether who opened a stream may still read.
func (h *Handler) still(r *http.Request, p Principal) bool {
	if secret, ok := bearer(r.Header.Get("Authorization")); ok {
		p, ok = h.service.people.ByToken(secret, p.From)
		return ok && p.May(RightRead)
	}
	c, err := r.Cookie(h.cookie())
	if err != nil {
		return false
	}
	p, ok := h.service.people.BySession(r.Context(), c.Value, p.From)
	return ok && p.May(RightRead)
}
