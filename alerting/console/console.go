package console

import (
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"holdfast/alerting/api"
)

// Config is how the console is reached.
type Config struct {
	// Provider is what people sign in by beside a password, as a button says it; empty: nothing.
	Provider string
	// Key signs the links of customers and what one page hands to the next: 32 bytes that
	// every process of the installation has.
	Key []byte
	// Secure says that cookies are for TLS alone.
	Secure bool
	// Support is how a customer reaches a person, as the customer's page says it.
	Support string
}

// Console serves the pages.
type Console struct {
	cfg     Config
	service *api.Service
	who     *api.Handler
	log     *slog.Logger
	mux     *http.ServeMux
	pages   pages
	assets  *assets
	text    *messages
	now     func() time.Time
}

// policy is the Content-Security-Policy of every page.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; " +
	"base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"

// New returns the console of a service. who says who is at the other end of a request.
func New(s *api.Service, who *api.Handler, cfg Config, log *slog.Logger) *Console {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	c := &Console{cfg: cfg, service: s, who: who, log: log, mux: http.NewServeMux(), assets: loadAssets(), text: loadMessages(), now: time.Now}
	c.pages = c.loadPages()
	c.routes()
	return c
}

// routes is the table of pages and acts.
func (c *Console) routes() {
	c.mux.HandleFunc("GET /assets/{name}", c.assets.serve)
	c.mux.Handle("GET /favicon.ico", http.RedirectHandler(c.assets.url("holdfast.svg"), http.StatusFound))
	c.open("GET /signin", c.signInPage)
	c.open("POST /signin", c.signIn)
	c.open("GET /welcome", c.welcomePage)
	c.open("POST /welcome", c.welcome)
	c.open("GET /c/{token}", c.customerPage)
	c.open("POST /c/{token}", c.customerAct)
	c.page("POST /signout", c.signOut)

	c.page("GET /{$}", func(w http.ResponseWriter, r *http.Request, _ api.Principal) error { return to(w, r, "/queue") })
	c.page("GET /find", c.find)
	c.page("GET /queue", c.queuePage)
	c.page("POST /queue/next", c.nextCase)
	c.page("GET /bulk", c.bulksPage)
	c.page("GET /bulk/preview", c.bulkPreview)
	c.page("POST /bulk", c.bulk)
	c.page("GET /bulk/{id}", c.bulkPage)
	c.page("POST /bulk/{id}", c.bulkAnswer)
	c.page("GET /case/{id}", c.casePage)
	c.page("POST /case/{id}", c.caseAct)
	c.page("GET /entity/{entity}", c.entityPage)
	c.page("POST /entity/{entity}", c.entityAct)
	c.page("GET /entity/{entity}/accounts.csv", c.touchedCSV)
	c.page("POST /undo", c.undoAct)

	c.page("GET /incidents", c.incidentsPage)
	c.page("POST /incidents", c.incidentOpen)
	c.page("GET /incident/{id}", c.incidentPage)
	c.page("POST /incident/{id}", c.incidentAct)
	c.page("GET /links", c.linksPage)
	c.page("GET /explore", c.explorePage)
	c.page("GET /explore.csv", c.exploreCSV)
	c.page("GET /explore.ndjson", c.exploreNDJSON)
	c.page("POST /views", c.viewAct)
	c.page("GET /operators", c.operatorsPage)
	c.page("GET /operators.csv", c.operatorsCSV)
	c.page("GET /policies", c.policiesPage)
	c.page("GET /expected", c.expectedPage)
	c.page("GET /system", c.systemPage)
	c.page("POST /brake", c.brakeAct)
	c.page("POST /retry", c.retryAct)
	c.page("GET /people", c.peoplePage)
	c.page("POST /people", c.peopleAct)
	c.page("GET /me", c.mePage)
	c.page("POST /me", c.meAct)
}

// open is a page for everybody.
func (c *Console) open(pattern string, f func(http.ResponseWriter, *http.Request) error) {
	c.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		if err := f(w, r); err != nil {
			c.problem(w, r, api.Principal{}, err)
		}
	})
}

// page is a page for who is signed in. Who is not is asked to, and comes back.
func (c *Console) page(pattern string, f func(http.ResponseWriter, *http.Request, api.Principal) error) {
	c.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		p, err := c.who.Principal(r)
		switch {
		case err != nil:
		case p.Name == "" && r.Method == http.MethodGet:
			next := ""
			if r.URL.Path != "/" {
				next = "?next=" + url.QueryEscape(r.URL.RequestURI())
			}
			err = to(w, r, "/signin"+next)
		case p.Name == "":
			err = to(w, r, "/signin")
		default:
			err = f(w, r, p)
		}
		if err != nil {
			c.problem(w, r, p, err)
		}
	})
}

// maxForm bounds what a form sends.
const maxForm = 256 << 10

// requestTime bounds a request.
const requestTime = 60 * time.Second

// ServeHTTP answers a request for a page.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	h.Set("Cache-Control", "no-store")
	out := http.NewResponseController(w)
	_ = out.SetReadDeadline(time.Now().Add(requestTime))
	_ = out.SetWriteDeadline(time.Now().Add(2 * requestTime))
	defer func() {
		if x := recover(); x != nil {
			if x == http.ErrAbortHandler { //nolint:errorlint // it is compared as net/http does
				panic(x)
			}
			c.log.Error("a page panicked", "method", r.Method, "path", r.URL.Path, "panic", x)
			http.Error(w, c.text.say("problem.internal"), http.StatusInternalServerError)
		}
	}()
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		if err := http.NewCrossOriginProtection().Check(r); err != nil {
			c.problem(w, r, api.Principal{}, refusal(http.StatusForbidden, c.text.say("problem.cross")))
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		if err := r.ParseForm(); err != nil {
			c.problem(w, r, api.Principal{}, refusal(http.StatusBadRequest, c.text.say("problem.form")))
			return
		}
	}
	if _, pattern := c.mux.Handler(r); pattern == "" {
		p, _ := c.who.Principal(r)
		status := http.StatusNotFound
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			status = http.StatusMethodNotAllowed
		}
		c.problem(w, r, p, refusal(status, c.text.say("problem.nowhere")))
		return
	}
	c.mux.ServeHTTP(w, r)
}

// refusal is a Problem of the console's own.
func refusal(status int, detail string) error {
	return &api.Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Code: api.CodeInvalid, Detail: detail}
}

// to sends the browser to another page by GET.
func to(w http.ResponseWriter, r *http.Request, where string) error {
	http.Redirect(w, r, where, http.StatusSeeOther) // #nosec G710 -- pages made here, or what local has looked at
	return nil
}

// local is a page of this server that a request names, or instead. Whatever could lead to
// another server is none: only a path that begins with one slash is.
func local(where, instead string) string {
	if !strings.HasPrefix(where, "/") || len(where) > 2048 || strings.ContainsAny(where, "\\\r\n\t\x00") || strings.HasPrefix(where, "//") {
		return instead
	}
	u, err := url.Parse(where)
	if err != nil || u.Host != "" || u.Scheme != "" || u.User != nil || strings.HasPrefix(u.Path, "//") || strings.Contains(u.Path, "\\") {
		return instead
	}
	return where
}
