// Package sharedsignals tells other systems (identity providers, partners) by the OpenID
// Shared Signals Framework 1.0 what became of an account or employee: events of RISC 1.0
// (account-disabled, account-enabled, credential-compromise,
// account-credential-change-required) and of CAEP 1.0 (session-revoked), each in a security
// event token of its own (SET, RFC 8417), signed (typ secevent+jwt) and pushed (RFC 8935).
//
// A token's jti is derived from the notice's id and the event, and its iat is the notice's
// time, so that whoever gets a token twice knows it. The subject stands in sub_id (RFC 9493);
// there is no sub and no exp, as the framework asks. Tokens name the account or employee and,
// for administrators, the credential; no evidence, no threshold and nobody else.
//
// 2xx takes a token. What the receiver answers 400 with is final where it says that the token
// is wrong (invalid_request, invalid_issuer, invalid_audience), and may be tried again where
// it says that a key or a right is (invalid_key, authentication_failed, access_denied).
package sharedsignals

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"

	"holdfast/alerting/notify"
	"holdfast/alerting/notify/post"
	"holdfast/schemas"
)

// The events that are sent.
const (
	AccountDisabled          = "account-disabled"
	AccountEnabled           = "account-enabled"
	CredentialCompromise     = "credential-compromise" // #nosec G101 -- an event's name
	CredentialChangeRequired = "account-credential-change-required"
	SessionRevoked           = "session-revoked"
)

// Events are all of them.
var Events = []string{AccountDisabled, AccountEnabled, CredentialCompromise, CredentialChangeRequired, SessionRevoked}

const (
	risc = "https://schemas.openid.net/secevent/risc/event-type/"
	caep = "https://schemas.openid.net/secevent/caep/event-type/"
)

func uri(event string) string {
	if event == SessionRevoked {
		return caep + event
	}
	return risc + event
}

// Transmitter is one receiver's. It is safe for concurrent use.
type Transmitter struct {
	cfg    Config
	signer jose.Signer
	client *http.Client
	header http.Header
}

// Deps are what a Transmitter works with; each may be missing.
type Deps struct{ Transport http.RoundTripper }

// New reads the key and the token.
func New(cfg Config, deps Deps) (*Transmitter, error) {
	cfg.Subject = cmp.Or(cfg.Subject, SubjectIssuer)
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("shared signals %q: %w", cfg.Name, err)
	}
	key, err := signingKey(cfg.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("shared signals %q: key_file %s: %w", cfg.Name, cfg.KeyFile, err)
	}
	options := (&jose.SignerOptions{}).WithType("secevent+jwt")
	if cfg.KeyID != "" {
		options.WithHeader("kid", cfg.KeyID)
	}
	signer, err := jose.NewSigner(key, options)
	if err != nil {
		return nil, fmt.Errorf("shared signals %q: key_file %s: %w", cfg.Name, cfg.KeyFile, err)
	}
	t := &Transmitter{cfg: cfg, signer: signer, client: post.Client(cfg.Timeout, deps.Transport), header: http.Header{
		"Content-Type": {"application/secevent+jwt"}, "Accept": {"application/json"},
	}}
	if cfg.TokenFile != "" {
		token, err := notify.ReadSecret(cfg.TokenFile)
		if err != nil {
			return nil, fmt.Errorf("shared signals %q: token_file: %w", cfg.Name, err)
		}
		t.header.Set("Authorization", "Bearer "+token)
	}
	return t, nil
}

// minRSA is the least size of an RSA key, in bits (RFC 7518, 3.3).
const minRSA = 2048

func signingKey(path string) (jose.SigningKey, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return jose.SigningKey{}, err
	}
	block, _ := pem.Decode(b)
	if block == nil {
		return jose.SigningKey{}, errors.New("it holds no PEM")
	}
	var key any
	switch block.Type {
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	default:
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	}
	if err != nil {
		return jose.SigningKey{}, fmt.Errorf("it holds no private key that can be read: %w", err)
	}
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		if k.Curve == elliptic.P256() {
			return jose.SigningKey{Algorithm: jose.ES256, Key: k}, nil
		}
	case *rsa.PrivateKey:
		if k.N.BitLen() >= minRSA {
			return jose.SigningKey{Algorithm: jose.RS256, Key: k}, nil
		}
	}
	return jose.SigningKey{}, errors.New("use a key of EC P-256, or RSA of at least 2048 bits")
}

// Name is the receiver's name.
func (t *Transmitter) Name() string { return t.cfg.Name }

// Audiences says that it tells a system.
func (t *Transmitter) Audiences() []notify.Address {
	return []notify.Address{{Audience: notify.AudienceSystem, To: t.cfg.Name}}
}

// Customers says that it tells no customer.
func (t *Transmitter) Customers() bool { return false }

// Send pushes the tokens that follow from a message, in their order. Those that were taken
// before one that was not come again with it, under the same jti.
func (t *Transmitter) Send(ctx context.Context, m notify.Message) (retry bool, err error) {
	for _, e := range events(&m.Occasion) {
		if len(t.cfg.Events) > 0 && !slices.Contains(t.cfg.Events, e) {
			continue
		}
		token, err := t.Token(m, e)
		if err != nil {
			return false, err
		}
		if retry, err := t.push(ctx, token); err != nil {
			return retry, fmt.Errorf("%s: %w", e, err)
		}
	}
	return false, nil
}

// events are those that an occasion means.
func events(o *notify.Occasion) (out []string) {
	switch o.What {
	case notify.Stopped, notify.Relapsed:
		out = append(out, AccountDisabled, SessionRevoked)
		if o.Credential != "" {
			out = append(out, CredentialCompromise)
		}
		if o.By == "" {
			out = append(out, CredentialChangeRequired)
		}
	case notify.Revoked:
		out = append(out, CredentialCompromise, CredentialChangeRequired)
	case notify.Released, notify.Probation:
		out = append(out, AccountEnabled)
	}
	return out
}

// claims are a token's content.
type claims struct {
	Issuer   string         `json:"iss"`
	ID       string         `json:"jti"`
	IssuedAt int64          `json:"iat"`
	Audience string         `json:"aud"`
	Txn      string         `json:"txn,omitempty"` // the case: tokens of one cause have the same
	Subject  subject        `json:"sub_id"`
	Events   map[string]any `json:"events"`
}

type subject struct {
	Format string `json:"format"`
	Issuer string `json:"iss,omitempty"`
	Sub    string `json:"sub,omitempty"`
	ID     string `json:"id,omitempty"`
}

// event holds the attributes of all kinds; each uses those that its profile names.
type event struct {
	Reason     string            `json:"reason,omitempty"`          // account-disabled
	Credential string            `json:"credential_type,omitempty"` // credential-compromise
	At         int64             `json:"event_timestamp,omitzero"`
	Initiator  string            `json:"initiating_entity,omitempty"` // session-revoked
	Admin      map[string]string `json:"reason_admin,omitempty"`
	User       map[string]string `json:"reason_user,omitempty"`
}

// Token is the signed token of one event, in compact form.
func (t *Transmitter) Token(m notify.Message, kind string) (string, error) {
	body, err := json.Marshal(t.claims(m, kind), json.Deterministic(true))
	if err != nil {
		return "", fmt.Errorf("shared signals %s: encode: %w", t.cfg.Name, err)
	}
	signed, err := t.signer.Sign(body)
	if err != nil {
		return "", fmt.Errorf("shared signals %s: sign: %w", t.cfg.Name, err)
	}
	return signed.CompactSerialize()
}

// Preview is what a receiver is sent, before it is signed: the claims of each token.
func Preview(m notify.Message) any {
	t := &Transmitter{cfg: Config{Issuer: "https://holdfast.example/", Audience: "https://receiver.example/", Subject: SubjectIssuer}}
	var out []claims
	for _, e := range events(&m.Occasion) {
		out = append(out, t.claims(m, e))
	}
	return out
}

func (t *Transmitter) claims(m notify.Message, kind string) claims {
	o := &m.Occasion
	c := claims{
		Issuer: t.cfg.Issuer, ID: schemas.DeriveID("set", m.ID, kind), IssuedAt: m.Time.Unix(), Audience: t.cfg.Audience, Txn: o.Case,
		Events: map[string]any{uri(kind): attributes(o, kind)},
	}
	if t.cfg.Subject == SubjectOpaque {
		c.Subject = subject{Format: SubjectOpaque, ID: o.Entity.ID}
	} else {
		c.Subject = subject{Format: SubjectIssuer, Issuer: t.cfg.Issuer, Sub: o.Entity.ID}
	}
	return c
}

func attributes(o *notify.Occasion, kind string) event {
	switch kind {
	case AccountDisabled:
		if o.By == "" {
			return event{Reason: "hijacking"}
		}
	case CredentialCompromise:
		e := event{Credential: "password", At: o.Time.Unix()}
		if o.Credential != "" {
			// An API key, an SMTP password: its id is how the platform knows it.
			e.Admin = map[string]string{"en": "credential " + schemas.Printable(o.Credential) + " is used by somebody else"}
		}
		return e
	case SessionRevoked:
		e := event{At: o.Time.Unix(), Initiator: "policy"}
		if o.By != "" {
			e.Initiator = "admin"
		}
		if o.Reason != "" && o.Entity.Kind == schemas.KindAccount {
			e.User = map[string]string{notify.DefaultLanguage: schemas.Printable(o.Reason)}
		}
		return e
	}
	return event{}
}

// refusal is how a receiver says why it does not take a token (RFC 8935, 2.3).
type refusal struct {
	Err         string `json:"err"`
	Description string `json:"description"`
}

func (t *Transmitter) push(ctx context.Context, token string) (retry bool, err error) {
	_, err = post.Do(ctx, t.client, "shared signals "+t.cfg.Name, http.MethodPost, t.cfg.URL, []byte(token), t.header)
	var answered *post.StatusError
	if errors.As(err, &answered) && answered.Status == http.StatusBadRequest {
		var why refusal
		if json.Unmarshal([]byte(strings.TrimSpace(answered.Body)), &why) == nil {
			switch why.Err {
			case "invalid_key", "authentication_failed", "access_denied":
				return true, err
			}
		}
	}
	return post.Retry(err), err
}
