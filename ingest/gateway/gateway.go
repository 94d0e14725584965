package gateway

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"holdfast/ingest/intake"
	"holdfast/ingest/kafka"
	"holdfast/ingest/pressure"
	"holdfast/schemas"
)

// Path is where events are posted.
const Path = "/v1/events"

// Writer is what the gateway needs of *intake.Producer.
type Writer interface {
	Send(ctx context.Context, r *intake.Receipt, topic schemas.Topic, rec kafka.Record) error
}

// Deps are the gateway's surroundings. All but Writer may be nil.
type Deps struct {
	Writer   Writer
	Networks intake.Networks
	Logger   *slog.Logger
	Metrics  *intake.Metrics
	Now      func() time.Time
	// Short lists what too little is left of to take anything in.
	Short func() []pressure.Shortage
}

// Gateway is the http.Handler for Path.
type Gateway struct {
	cfg     Config
	deps    Deps
	senders []sender
	refused *intake.Refusals
	places  *places // one for each request being served
}

// New checks the configuration and reads the tokens' files.
func New(cfg Config, deps Deps) (*Gateway, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg.setDefaults()
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	if deps.Metrics == nil {
		deps.Metrics = intake.NewMetrics(nil)
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	g := &Gateway{
		cfg: cfg, deps: deps, refused: intake.NewRefusals(deps.Writer, deps.Logger),
		places: newPlaces(cfg.MaxConcurrent, len(cfg.Tokens) == 1),
	}
	for i := range cfg.Tokens {
		s, err := cfg.Tokens[i].sender()
		if err != nil {
			return nil, err
		}
		g.senders = append(g.senders, s)
	}
	return g, nil
}

// ServeHTTP answers one request.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	conn, begin := http.NewResponseController(w), time.Now()
	from, problem := g.admit(r)
	if problem != nil {
		turnAway(conn, w, problem)
		return
	}
	identified(r.Context())
	if problem := g.short(); problem != nil {
		turnAway(conn, w, problem)
		return
	}
	if wait := from.source.Late(g.deps.Now()); wait > 0 {
		turnAway(conn, w, tooFast(wait))
		return
	}
	leave, ok := g.places.take(from, network(r.RemoteAddr))
	if !ok {
		turnAway(conn, w, busy())
		return
	}
	defer leave()
	ctx, cancel := context.WithTimeout(r.Context(), g.cfg.Timeout)
	defer cancel()
	_ = conn.SetWriteDeadline(begin.Add(g.cfg.Timeout + answerTime))
	r.Body = struct {
		io.Reader
		io.Closer
	}{&pace{body: r.Body, conn: conn, now: time.Now, end: begin.Add(g.cfg.Timeout), grace: paceGrace, rate: g.cfg.MinRate}, r.Body}
	body, problem := g.open(w, r)
	if problem != nil {
		turnAway(conn, w, problem)
		return
	}
	defer body.close()
	g.take(ctx, body, &from.source).write(w, g.deps.Logger)
}

// Deadlines of a request beside its own Timeout.
const (
	paceGrace  = 5 * time.Second  // before a body has to come on
	answerTime = 30 * time.Second // for the answer to be read
	leaveTime  = 2 * time.Second  // for what is left of a body that nobody reads
)

// turnAway answers a request whose body is not read. The server would wait for some
// of it, without an end.
func turnAway(conn *http.ResponseController, w http.ResponseWriter, p *problem) {
	// Not every ResponseWriter has deadlines.
	_ = conn.SetReadDeadline(time.Now().Add(leaveTime))
	_ = conn.SetWriteDeadline(time.Now().Add(answerTime))
	p.write(w)
}

// admit tells who sends, or what is wrong with the request before its body.
func (g *Gateway) admit(r *http.Request) (*sender, *problem) {
	if r.Method != http.MethodPost {
		return nil, &problem{Status: http.StatusMethodNotAllowed, Detail: "post events to " + Path, allow: http.MethodPost}
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return nil, &problem{Status: http.StatusUnauthorized, Detail: "send the header Authorization: Bearer TOKEN"}
	}
	from := g.sender(strings.TrimSpace(token))
	if from == nil {
		return nil, &problem{Status: http.StatusUnauthorized, Detail: "the token is unknown: check it, or add it to intake.http.tokens"}
	}
	return from, checkMedia(r.Header)
}

// sender looks a token up. It compares with every one, each in constant time, so
// that the time tells nothing of which came close.
func (g *Gateway) sender(token string) *sender {
	digest := sha256.Sum256([]byte(token))
	found := -1
	for i := range g.senders {
		if subtle.ConstantTimeCompare(digest[:], g.senders[i].digest[:]) == 1 {
			found = i
		}
	}
	if found < 0 {
		return nil
	}
	return &g.senders[found]
}
