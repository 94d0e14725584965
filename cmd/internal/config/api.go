package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"time"
)

// API is how people and their tools reach Holdfast: /v1, and the console. It listens in
// processes of the role serve.
type API struct {
	Listen   string   `yaml:"listen"`                 // host:port; empty: no API and no console
	CertFile string   `yaml:"cert_file" file:"yes"`   // server certificate, PEM; empty: no TLS
	KeyFile  string   `yaml:"key_file" file:"secret"` // its key, PEM
	Origin   string   `yaml:"origin"`                 // where people reach it, https://host; for links and the provider of oidc
	Proxies  []string `yaml:"proxies"`                // addresses or networks whose X-Forwarded-For is believed
	// SessionIdle is how long a session may stay unused.
	SessionIdle time.Duration `yaml:"session_idle"`
	// SessionEnd is how long after signing in a session ends at the latest.
	SessionEnd time.Duration `yaml:"session_end"`
	// LinkEnd is how long a one-time link works.
	LinkEnd time.Duration `yaml:"link_end"`
	// TokenEnd is the longest life of a token.
	TokenEnd time.Duration `yaml:"token_end"`
	// ApproveWithin is how long an act on many entities waits for its second person.
	ApproveWithin time.Duration `yaml:"approve_within"`
	BulkMax       int           `yaml:"bulk_max"`     // entities of one act
	PersonRate    int           `yaml:"person_rate"`  // requests a second of one person or token
	AddressRate   int           `yaml:"address_rate"` // requests a second from one address
	// MaxConnections bounds the connections at once.
	MaxConnections int `yaml:"max_connections"`
	// ReaderUser runs people's SQL: a user of ClickHouse who can only read Holdfast's
	// tables. Empty: the embedded engine's own; of another ClickHouse nobody asks by SQL.
	ReaderUser         string `yaml:"reader_user"`
	ReaderPasswordFile string `yaml:"reader_password_file" file:"secret"` // holds the password
	OIDC               OIDC   `yaml:"oidc"`
}

// OIDC signs people in by a provider. Without an issuer there is none.
type OIDC struct {
	Issuer     string   `yaml:"issuer"`                    // https://provider, as its configuration document has it
	ClientID   string   `yaml:"client_id"`                 // of Holdfast at the provider
	SecretFile string   `yaml:"secret_file" file:"secret"` // holds the client's secret; empty: a public client
	CAFile     string   `yaml:"ca_file" file:"yes"`        // certificates to trust, PEM; empty: the system's
	Scopes     []string `yaml:"scopes"`                    // beside openid
	NameClaim  string   `yaml:"name_claim"`                // names the person
	RoleClaim  string   `yaml:"role_claim"`                // one text, or a list; empty: only who was added may sign in
	// Roles is which role a value of the claim gives: viewer, analyst, lead, auditor, admin.
	Roles map[string]string `yaml:"roles"`
}

func defaultAPI() API {
	return API{
		Listen: "127.0.0.1:9465", SessionIdle: 8 * time.Hour, SessionEnd: 7 * 24 * time.Hour, LinkEnd: 24 * time.Hour, TokenEnd: 365 * 24 * time.Hour,
		ApproveWithin: 24 * time.Hour, BulkMax: 1000, PersonRate: 50, AddressRate: 100, MaxConnections: 1024,
		OIDC: OIDC{Scopes: []string{"profile", "email"}, NameClaim: "preferred_username"},
	}
}

// Secure reports whether people come by TLS.
func (a *API) Secure() bool {
	u, err := url.Parse(a.Origin)
	return a.CertFile != "" || err == nil && u.Scheme == "https"
}

// api checks what no single value of the API's part can tell.
func (r *reader) api(c *API) {
	r.pair("api", c.CertFile, c.KeyFile)
	if c.Origin != "" {
		if u, err := url.Parse(c.Origin); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.Path != "" || u.RawQuery != "" {
			r.at("api.origin", fmt.Sprintf("%q is no origin", c.Origin), "write https://host or https://host:port")
		}
	}
	if host, _, err := net.SplitHostPort(c.Listen); err == nil && !c.Secure() {
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			r.at("api.listen", fmt.Sprintf("%s can be reached from elsewhere without TLS", c.Listen), "set api.cert_file and api.key_file, or api.origin to the https address of a proxy before it, or listen on 127.0.0.1")
		}
	}
	for i, p := range c.Proxies {
		if _, err := Network(p); err != nil {
			r.at(fmt.Sprintf("api.proxies[%d]", i), fmt.Sprintf("%q is neither an address nor a network", p), "write 192.0.2.1 or 192.0.2.0/24")
		}
	}
	for key, d := range map[string]time.Duration{"session_idle": c.SessionIdle, "session_end": c.SessionEnd, "link_end": c.LinkEnd, "token_end": c.TokenEnd, "approve_within": c.ApproveWithin} {
		if d < time.Minute {
			r.at("api."+key, "is less than a minute", "write a duration such as 8h or 7d")
		}
	}
	for key, n := range map[string]int{"bulk_max": c.BulkMax, "person_rate": c.PersonRate, "address_rate": c.AddressRate, "max_connections": c.MaxConnections} {
		if n < 1 {
			r.at("api."+key, "is 0", "write a whole number from 1 on")
		}
	}
	o := &c.OIDC
	if o.Issuer == "" {
		return
	}
	if u, err := url.Parse(o.Issuer); err != nil || u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || !loopbackHost(u.Hostname())) {
		r.at("api.oidc.issuer", fmt.Sprintf("%q is no https address", o.Issuer), "write the issuer as the provider's configuration document has it")
	}
	if o.ClientID == "" {
		r.at("api.oidc.client_id", "is missing", "write the id of Holdfast at the provider")
	}
	if c.Origin == "" {
		r.at("api.origin", "is missing", "the provider sends people back there: write https://host")
	}
	for value, role := range o.Roles {
		switch role {
		case "viewer", "analyst", "lead", "auditor", "admin":
		default:
			r.at(join("api.oidc.roles", value), fmt.Sprintf("%q is no role", role), "use viewer, analyst, lead, auditor or admin")
		}
	}
}

func loopbackHost(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Network reads an address or a network.
func Network(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	return netip.ParsePrefix(s)
}
