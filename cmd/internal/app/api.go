package app

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/go-json-experiment/json"
	"golang.org/x/sync/errgroup"

	"holdfast/alerting/api"
	"holdfast/alerting/console"
	"holdfast/alerting/enforce"
	"holdfast/cmd/internal/config"
	"holdfast/ingest/clickhouse"
	"holdfast/ingest/kafka"
	"holdfast/ingest/proof"
	"holdfast/schemas"
)

// apiLog writes for the API: requests, operator records and people.
type apiLog struct {
	client *kafka.Client
	cfg    *config.Config
	lanes  int
}

// Ask hands a request to its lane.
func (l apiLog) Ask(ctx context.Context, r schemas.Request) (schemas.Operator, error) {
	return Ask(ctx, l.client, l.cfg, r)
}

// Write writes an operator record.
func (l apiLog) Write(ctx context.Context, op schemas.Operator) error {
	b, err := json.Marshal(op)
	if err != nil {
		return err
	}
	key := op.Entity.Key()
	if op.Entity.IsZero() {
		key = "people:" + op.Actor
	}
	return writeKeyed(ctx, l.client, l.cfg.Kafka.Prefix, l.lanes, schemas.TopicOperator, schemas.KindOperator, op.ID, key, b)
}

// Put writes a record of the topic people.
func (l apiLog) Put(ctx context.Context, key string, value []byte) error {
	return writeKeyed(ctx, l.client, l.cfg.Kafka.Prefix, 1, schemas.TopicPeople, schemas.KindPeople, key, key, value)
}

// newService makes the API's service over the process's connections.
func (a *App) newService() (*api.Service, *apiPast) {
	c := a.cfg.API
	past := &apiPast{open: func() (*clickhouse.Client, error) { return OpenStore(&a.cfg, a.log) }}
	past.commit = func(ctx context.Context, store *clickhouse.Client, s *proof.Scope, by, why string) (*proof.Run, error) {
		return CommitRun(ctx, a.client, &a.cfg, store, s, by, why)
	}
	log := apiLog{client: a.client, cfg: &a.cfg, lanes: a.install.Lanes}
	receivers := &apiReceivers{client: a.client, cfg: &a.cfg, log: a.log, states: map[string]*enforce.State{}}
	feed := newAPIFeed(a.client, &a.cfg)
	feed.enforced = receivers.apply
	key := sha256.Sum256(append([]byte("holdfast api\x00"), a.install.HashSecret...))
	s := api.New(api.Config{
		SessionIdle: c.SessionIdle, SessionEnd: c.SessionEnd, LinkEnd: c.LinkEnd, TokenEnd: c.TokenEnd, BulkMax: c.BulkMax, ApproveFor: c.ApproveWithin,
		PersonRate: float64(c.PersonRate), AddressRate: float64(c.AddressRate),
	}, api.Deps{
		Requester: log, Journal: log, Store: log, Feed: feed, History: past, Incidents: past, Receivers: receivers,
		System: &apiSystem{app: a, started: time.Now().UTC().Truncate(time.Second)}, Key: key[:], Logger: a.log.With("role", "serve"),
	})
	receivers.status = s.Book().Status
	return s, past
}

// givesWay reports whether an address that is taken is none that anybody asked for: several
// processes of one machine need no setting to run beside each other. Where each of them
// listens is in its endpoints.
func givesWay(key, addr string) bool {
	return key == "api.listen" && addr == config.Default().API.Listen
}

// consoleKey signs the links of customers: every process of the installation has the same.
func (a *App) consoleKey() []byte {
	key := sha256.Sum256(append([]byte("holdfast console\x00"), a.install.HashSecret...))
	return key[:]
}

// CustomerLink is the path of the page on which the people of an account see how its case
// stands, and answer; see console.CustomerPath. It works for 30 days.
func (a *App) CustomerLink(account, id string, now time.Time) string {
	return console.CustomerPath(a.consoleKey(), account, id, now.Add(30*24*time.Hour))
}

// customerToken is what lets the customer in to the page of a case, without its path.
func (a *App) customerToken(account, id string, at time.Time) string {
	return strings.TrimPrefix(a.CustomerLink(account, id, at), "/c/")
}

// provider is what the button of the provider says: its host.
func provider(c config.OIDC) string {
	u, err := url.Parse(c.Issuer)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// startServe opens the API and the console. Where the embedded engines run, the user who runs them gets a
// token in the data folder, so that commands need no set-up.
func (a *App) startServe(ctx context.Context, g *errgroup.Group) error {
	c := a.cfg.API
	if !a.has(RoleServe) || c.Listen == "" {
		return nil
	}
	s, past := a.newService()
	g.Go(func() error {
		defer past.close()
		return s.Run(ctx)
	})
	a.at.logins(&a.cfg, a.engines)
	past.read = a.newReader()
	hc := api.HandlerConfig{Secure: c.Secure(), Done: ctx.Done()}
	for _, p := range c.Proxies {
		n, err := config.Network(p)
		if err != nil {
			return fmt.Errorf("api.proxies: %w", err)
		}
		hc.Proxies = append(hc.Proxies, n)
	}
	var err error
	if hc.OIDC, err = newOIDC(c); err != nil {
		return fmt.Errorf("api.oidc: %w", err)
	}
	handler := api.NewHandler(s, hc)
	mux := http.NewServeMux()
	mux.Handle("/v1/", handler)
	mux.Handle("/", console.New(s, handler, console.Config{Key: a.consoleKey(), Secure: c.Secure(), Provider: provider(c.OIDC), Support: a.cfg.Enforce.Words.Support}, a.log.With("role", "serve")))
	addr, err := listen(ctx, g, c.Listen, mux, c.CertFile, c.KeyFile, c.MaxConnections)
	if errors.Is(err, syscall.EADDRINUSE) && givesWay("api.listen", c.Listen) {
		a.log.Info("another process has the API's usual address: listening on a free port", "usual", c.Listen)
		addr, err = listen(ctx, g, "127.0.0.1:0", mux, c.CertFile, c.KeyFile, c.MaxConnections)
	}
	if err != nil {
		return fmt.Errorf("api.listen: %w", err)
	}
	a.at.API = "http://" + addr
	if c.CertFile != "" {
		a.at.API = "https://" + addr
	}
	a.service = s
	return a.welcome(ctx, s)
}

// newOIDC makes what signs people in by a provider; nil where none is configured.
func newOIDC(c config.API) (*api.OIDC, error) {
	x := c.OIDC
	if x.Issuer == "" {
		return nil, nil
	}
	secret, err := config.Secret("", x.SecretFile)
	if err != nil {
		return nil, err
	}
	roles := map[string]api.Role{}
	for value, role := range x.Roles {
		roles[value] = api.Role(role)
	}
	return api.NewOIDC(api.OIDCConfig{
		Issuer: x.Issuer, ClientID: x.ClientID, Secret: secret, Origin: c.Origin, Scopes: x.Scopes, NameClaim: x.NameClaim, RoleClaim: x.RoleClaim, Roles: roles, CAFile: x.CAFile,
	})
}
