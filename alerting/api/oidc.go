package api

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"holdfast/schemas"
)

// OIDCConfig is how people sign in by a provider.
type OIDCConfig struct {
	Issuer, ClientID, Secret string
	Origin                   string // where the provider sends people back: https://host
	Scopes                   []string
	NameClaim, RoleClaim     string
	Roles                    map[string]Role // by a value of the role's claim
	CAFile                   string
}

// OIDC signs people in by a provider: the code flow with PKCE, a nonce, and a state that is
// bound to the browser. It finds the provider at the first sign-in, so that one that is away
// keeps nothing else from working.
type OIDC struct {
	cfg    OIDCConfig
	client *http.Client

	mu       sync.Mutex
	provider *oidc.Provider
}

// NewOIDC returns an OIDC that has asked nobody yet.
func NewOIDC(cfg OIDCConfig) (*OIDC, error) {
	o := &OIDC{cfg: cfg, client: &http.Client{Timeout: 10 * time.Second}}
	if cfg.CAFile != "" {
		pem, err := os.ReadFile(cfg.CAFile)
		if err != nil {
			return nil, err
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate", cfg.CAFile)
		}
		o.client.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}
	}
	return o, nil
}

// callback is where the provider sends people back.
const callback = "/v1/oidc/callback"

// flow is what is known of the provider, and how it is asked.
func (o *OIDC) flow(ctx context.Context) (*oidc.Provider, *oauth2.Config, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.provider == nil {
		// The provider keeps the context for later, when this request is over.
		p, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), o.client), o.cfg.Issuer)
		if err != nil {
			return nil, nil, err
		}
		o.provider = p
	}
	return o.provider, &oauth2.Config{
		ClientID: o.cfg.ClientID, ClientSecret: o.cfg.Secret, Endpoint: o.provider.Endpoint(), RedirectURL: strings.TrimRight(o.cfg.Origin, "/") + callback,
		Scopes: append([]string{oidc.ScopeOpenID}, o.cfg.Scopes...),
	}, nil
}

// attempt is one sign-in on its way. It stands sealed in a cookie of the browser that began
// it, so that an answer which another browser was made to ask for is none.
type attempt struct {
	State    string    `json:"s"`
	Nonce    string    `json:"n"`
	Verifier string    `json:"v"`
	To       string    `json:"t"`
	Until    time.Time `json:"u"`
}

// attemptFor is how long a sign-in may take.
const attemptFor = 10 * time.Minute

func (h *Handler) attemptCookie() string { return h.cookie() + "-signin" }

func random() string {
	b := make([]byte, 24)
	_, _ = rand.Read(b) // it never fails
	return base64.RawURLEncoding.EncodeToString(b)
}

// LocalPath gives the path on this server that a page asked to go to, or / where it names
// another server.
func LocalPath(to string) string {
	if !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || strings.ContainsAny(to, "\\\x00\r\n\t") || len(to) > 2048 {
		return "/"
	}
	return to
}

func (h *Handler) serveOIDCStart(w http.ResponseWriter, r *http.Request, _ Principal, in any) {
	o := h.cfg.OIDC
	if o == nil {
		h.fail(w, r, notFound("no provider is configured: sign in by a password"))
		return
	}
	_, flow, err := o.flow(r.Context())
	if err != nil {
		h.log.Warn("the provider does not answer", "issuer", o.cfg.Issuer, "error", err)
		h.fail(w, r, away(errors.New("the provider does not answer: try again later")))
		return
	}
	a := attempt{State: random(), Nonce: random(), Verifier: oauth2.GenerateVerifier(), To: LocalPath(in.(*oidcStartIn).To), Until: h.service.now().Add(attemptFor)}
	c := h.cookieOf(h.service.seal("signin", a), int(attemptFor.Seconds())) //nolint:gosec // cookieOf sets all three
	c.Name = h.attemptCookie()
	http.SetCookie(w, c)
	http.Redirect(w, r, flow.AuthCodeURL(a.State, oidc.Nonce(a.Nonce), oauth2.S256ChallengeOption(a.Verifier)), http.StatusSeeOther)
}

func (h *Handler) serveOIDCBack(w http.ResponseWriter, r *http.Request, p Principal, x any) {
	in := x.(*oidcBackIn)
	if h.cfg.OIDC == nil {
		h.fail(w, r, notFound("no provider is configured: sign in by a password"))
		return
	}
	var a attempt
	c, err := r.Cookie(h.attemptCookie())
	if err == nil {
		_, err = h.service.unseal("signin", c.Value, &a)
	}
	drop := h.cookieOf("", -1) //nolint:gosec // cookieOf sets all three
	drop.Name = h.attemptCookie()
	http.SetCookie(w, drop)
	switch {
	case err != nil || a.State == "" || a.State != in.State || !h.service.now().Before(a.Until):
		h.fail(w, r, forbidden("this sign-in was not begun in this browser, or took too long: begin again"))
		return
	case in.Error != "":
		h.fail(w, r, forbidden("the provider refused: "+clip(schemas.Printable(in.Error), 100)))
		return
	}
	got, err := h.byProvider(r, p, a, in.Code)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	h.SetSession(w, got)
	http.Redirect(w, r, a.To, http.StatusSeeOther)
}

// byProvider changes the code into who it is, and begins a session.
func (h *Handler) byProvider(r *http.Request, p Principal, a attempt, code string) (SignedIn, error) {
	o, ctx := h.cfg.OIDC, oidc.ClientContext(r.Context(), h.cfg.OIDC.client)
	if err := h.service.tryAll("", p.From); err != nil {
		return SignedIn{}, err
	}
	provider, flow, err := o.flow(ctx)
	if err != nil {
		return SignedIn{}, away(errors.New("the provider does not answer: try again later"))
	}
	token, err := flow.Exchange(ctx, code, oauth2.VerifierOption(a.Verifier))
	if err != nil {
		h.log.Info("a code of the provider was refused", "error", err)
		return SignedIn{}, forbidden("the provider does not take this code: begin again")
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := provider.Verifier(&oidc.Config{ClientID: o.cfg.ClientID, Now: time.Now}).Verify(ctx, raw)
	if err != nil || id.Nonce != a.Nonce {
		h.log.Warn("an answer of the provider is not what was asked for", "error", err)
		return SignedIn{}, forbidden("the provider's answer is not what was asked for: begin again")
	}
	var claims map[string]any
	if err := id.Claims(&claims); err != nil {
		return SignedIn{}, forbidden("the provider's answer cannot be read")
	}
	if claims[o.cfg.NameClaim] == nil || o.cfg.RoleClaim != "" && claims[o.cfg.RoleClaim] == nil {
		o.more(ctx, provider, token, id.Subject, claims)
	}
	h.service.pace.from.right(networkOf(p.From))
	name, err := h.service.known(ctx, o, id.Issuer+" "+id.Subject, claims, p.From)
	if err != nil {
		return SignedIn{}, err
	}
	return h.service.begin(ctx, name, p.From, r.UserAgent(), "oidc")
}

// more adds the claims that the provider only gives when it is asked for them, of the same
// subject.
func (o *OIDC) more(ctx context.Context, provider *oidc.Provider, token *oauth2.Token, subject string, claims map[string]any) {
	info, err := provider.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil || info.Subject != subject {
		return // then they are missing, which is told
	}
	var also map[string]any
	if info.Claims(&also) != nil {
		return
	}
	for name, v := range also {
		if claims[name] == nil {
			claims[name] = v
		}
	}
}

// known finds the person of a subject. One that is new is added where its claims give a
// role; the claims of one who was added before give its role anew. Somebody who was added
// here under the name, and has no subject yet, is not taken over: names can be chosen at a
// provider.
func (s *Service) known(ctx context.Context, o *OIDC, subject string, claims map[string]any, from string) (string, error) {
	role, has := o.role(claims)
	s.people.write.Lock()
	defer s.people.write.Unlock()
	var x *Person
	s.people.mu.RLock()
	for _, y := range s.people.persons {
		if y.Subject == subject {
			c := *y
			x = &c
		}
	}
	s.people.mu.RUnlock()
	p := Principal{Name: "holdfast", From: from}
	op := schemas.Operator{Act: "add person", Why: "signed in by " + o.cfg.Issuer}
	if x == nil {
		if !has {
			return "", forbidden("you are not known here: ask an admin to add you")
		}
		name, _ := claims[o.cfg.NameClaim].(string)
		name = strings.ToLower(name)
		if err := checkName(name); err != nil {
			return "", forbidden("the provider gives no name that can be used (claim " + o.cfg.NameClaim + "): ask an admin")
		}
		if _, taken := get(s.people, s.people.persons, name); taken {
			return "", forbidden("the name " + name + " is somebody else's here: ask an admin")
		}
		mail, _ := claims["email"].(string)
		x = &Person{Name: name, Role: role, Mail: clip(mail, 254), Subject: subject, Created: s.now().UTC().Truncate(time.Second), By: o.cfg.Issuer}
	} else {
		if x.Disabled {
			return "", forbidden("you are disabled here: ask an admin")
		}
		if !has || role == x.Role {
			if o.cfg.RoleClaim != "" && !has {
				return "", forbidden("the provider gives you no role here any more: ask an admin")
			}
			return x.Name, nil
		}
		op.Act, op.Before = "change person", s.standing(x)
		x.Role, x.Rev = role, x.Rev+1
	}
	op.Item, op.After = "person:"+x.Name, s.standing(x)
	if err := s.record(ctx, p, op); err != nil {
		return "", err
	}
	return x.Name, s.people.put(ctx, keyPerson+x.Name, x)
}

// role is what the claims give: of several the one with most rights.
func (o *OIDC) role(claims map[string]any) (best Role, ok bool) {
	if o.cfg.RoleClaim == "" {
		return "", false
	}
	var values []string
	switch v := claims[o.cfg.RoleClaim].(type) {
	case string:
		values = []string{v}
	case []any:
		for _, x := range v {
			if s, is := x.(string); is {
				values = append(values, s)
			}
		}
	}
	for _, r := range []Role{RoleAdmin, RoleLead, RoleAnalyst, RoleAuditor, RoleViewer} {
		for value, role := range o.cfg.Roles {
			if role == r && slices.Contains(values, value) {
				return r, true
			}
		}
	}
	return "", false
}
