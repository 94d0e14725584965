// Package smtp sends notices by mail: plain text and HTML of the same words
// (multipart/alternative), one message a receiver, its
// Message-ID made from the notice's id so that a mail that is sent twice can be
// known. What strangers chose (an account's name, an address) cannot add a header
// or a receiver: control characters are refused in addresses and taken out of
// subjects. Domains go out as A-labels (münchen.example as xn--mnchen-3ya.example), which every
// server takes. An address whose local part lies outside of ASCII needs a server that offers
// SMTPUTF8 (RFC 6531); where it does not, the message is not sent and the error says so. It leaves
// trying again to its caller: an answer of 5xx is final, everything else may be tried again.
package smtp

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	netmail "net/mail"
	"net/textproto"
	"os"
	"strings"
	"time"
	"unicode"

	"github.com/wneessen/go-mail"
	"golang.org/x/net/idna"

	"holdfast/alerting/notify"
)

// Mailer sends by one server. It is safe for concurrent use.
type Mailer struct {
	cfg     Config
	options []mail.Option
	tls     *tls.Config // where TLS begins with the first byte
	from    *netmail.Address
	now     func() time.Time
}

// Deps are what a Mailer works with; each may be missing.
type Deps struct {
	Now func() time.Time
}

// New reads the password and the certificates. It connects when it is used.
func New(cfg Config, deps Deps) (*Mailer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("smtp: %w", err)
	}
	from, err := receiver(cfg.From)
	if err != nil {
		return nil, fmt.Errorf("smtp: from: %w", err)
	}
	m := &Mailer{cfg: cfg, from: from, now: deps.Now}
	if m.now == nil {
		m.now = time.Now
	}
	if err := m.configure(); err != nil {
		return nil, fmt.Errorf("smtp: %w", err)
	}
	if _, err := mail.NewClient(cfg.Host, m.options...); err != nil {
		return nil, fmt.Errorf("smtp: %w", err)
	}
	return m, nil
}

func (m *Mailer) configure() error {
	m.options = []mail.Option{mail.WithPort(m.cfg.Port), mail.WithTimeout(m.cfg.Timeout)}
	trust, err := trusted(m.cfg)
	if err != nil {
		return err
	}
	switch m.cfg.TLS {
	case TLSStart:
		m.options = append(m.options, mail.WithTLSPolicy(mail.TLSMandatory), mail.WithTLSConfig(trust))
	case TLSOnly:
		m.options = append(m.options, mail.WithSSL())
		m.tls = trust
	case TLSNone:
		m.options = append(m.options, mail.WithTLSPolicy(mail.NoTLS))
	}
	if m.cfg.Username == "" {
		return nil
	}
	password, err := notify.ReadSecret(m.cfg.PasswordFile)
	if err != nil {
		return fmt.Errorf("password_file: %w", err)
	}
	// The connection has TLS whenever there is a password: see Validate.
	m.options = append(m.options, mail.WithUsername(m.cfg.Username), mail.WithPassword(password),
		mail.WithOpportunisticSMTPAuth(mail.SMTPAuthSCRAMSHA256, mail.SMTPAuthPlain, mail.SMTPAuthLogin))
	return nil
}

func trusted(cfg Config) (*tls.Config, error) {
	trust := &tls.Config{ServerName: cfg.Host, MinVersion: tls.VersionTLS12}
	if cfg.CAFile == "" {
		return trust, nil
	}
	pem, err := os.ReadFile(cfg.CAFile)
	if err != nil {
		return nil, fmt.Errorf("ca_file: %w", err)
	}
	trust.RootCAs = x509.NewCertPool()
	if !trust.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("ca_file %s holds no certificate: write PEM into it", cfg.CAFile)
	}
	return trust, nil
}

// Name is the channel's name.
func (m *Mailer) Name() string { return cmp.Or(m.cfg.Name, Channel) }

// Channel is the name of a mail server that has none.
const Channel = "smtp"

// Audiences are the operators.
func (m *Mailer) Audiences() []notify.Address {
	out := make([]notify.Address, 0, len(m.cfg.Operators))
	for _, a := range m.cfg.Operators {
		out = append(out, notify.Address{Audience: notify.AudienceOperator, To: a})
	}
	return out
}

// Customers says whether accounts' contacts are told.
func (m *Mailer) Customers() bool { return m.cfg.Customers }

// Send sends one message to one receiver.
func (m *Mailer) Send(ctx context.Context, n notify.Message) (retry bool, err error) {
	to, err := receiver(n.Address.To)
	if err != nil {
		return false, fmt.Errorf("smtp: notice %s: %w", n.ID, err)
	}
	var line connection
	defer line.close()
	client, err := mail.NewClient(m.cfg.Host, append([]mail.Option{mail.WithDialContextFunc(m.dial(&line))}, m.options...)...)
	if err != nil {
		return false, fmt.Errorf("smtp: %w", err)
	}
	// The library watches ctx only while it connects.
	defer context.AfterFunc(ctx, line.close)()
	conn, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return mayRetry(err), fmt.Errorf("smtp: connect to %s: %w", client.ServerAddr(), err)
	}
	if !ascii(to.Address) {
		if offered, _ := conn.Extension("SMTPUTF8"); !offered {
			_ = client.CloseWithSMTPClient(conn)
			return false, fmt.Errorf("smtp: not sent to %s: %s does not offer SMTPUTF8, which this address needs: use a mail server that does",
				to.Address, client.ServerAddr())
		}
	}
	if err := client.SendWithSMTPClient(conn, m.message(n, to)); err != nil {
		return mayRetry(err), fmt.Errorf("smtp: send by %s: %w", client.ServerAddr(), err)
	}
	// A connection that ends badly after the server took the mail is not a failure:
	// another try would send it twice.
	_ = client.CloseWithSMTPClient(conn)
	return false, nil
}

func (m *Mailer) message(n notify.Message, to *netmail.Address) *mail.Msg {
	msg := mail.NewMsg(mail.WithNoDefaultUserAgent())
	msg.FromMailAddress(m.from)
	msg.ToMailAddress(to)
	msg.Subject(headerText(n.Subject))
	msg.SetDateWithValue(m.now())
	_, domain, _ := strings.Cut(m.from.Address, "@")
	msg.SetMessageIDWithValue(n.ID + "@" + domain)
	// RFC 3834: so that vacation programs do not answer.
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	if n.Page {
		msg.SetImportance(mail.ImportanceUrgent)
	}
	if n.Language != "" {
		msg.SetGenHeader("Content-Language", n.Language)
	}
	if of := n.Case(); of != "" {
		// RFC 5322, 3.6.4: mails of one case stand together, below one that nobody sent.
		root := "<" + of + "@" + domain + ">"
		msg.SetGenHeader(mail.HeaderInReplyTo, root)
		msg.SetGenHeader(mail.HeaderReferences, root)
	}
	msg.SetBodyString(mail.TypeTextPlain, n.Body)
	if n.HTML != "" {
		msg.AddAlternativeString(mail.TypeTextHTML, n.HTML) // RFC 2046, 5.1.4: the best one last
	}
	return msg
}

// receiver reads an address and writes its domain as A-labels. A name, a list or a control
// character is refused, and so is a domain that no server could be found for.
func receiver(s string) (*netmail.Address, error) {
	a, err := netmail.ParseAddress(s)
	if err != nil || strings.ContainsFunc(s, control) || strings.ContainsFunc(a.Address, control) {
		return nil, fmt.Errorf("receiver %q is not an address", s)
	}
	at := strings.LastIndexByte(a.Address, '@')
	if domain := a.Address[at+1:]; !ascii(domain) {
		label, err := idna.Lookup.ToASCII(domain)
		if err != nil {
			return nil, fmt.Errorf("receiver %q: its domain cannot be written in ASCII: %w", s, err)
		}
		a.Address = a.Address[:at+1] + label
	}
	return a, nil
}

func ascii(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII })
}

func control(r rune) bool { return r < ' ' || r == 0x7F }

func headerText(s string) string {
	return strings.Map(func(r rune) rune {
		if control(r) {
			return ' '
		}
		return r
	}, s)
}

// mayRetry is false where the server said 5xx: it would say so again.
func mayRetry(err error) bool {
	var answer *textproto.Error
	if errors.As(err, &answer) {
		return answer.Code < 500
	}
	var failed *mail.SendError
	if errors.As(err, &failed) && failed.ErrorCode() >= 500 {
		return false
	}
	return true
}

// Preview is a mail as it is sent, headers and all.
func Preview(n notify.Message, to string) (string, error) {
	address, err := receiver(to)
	if err != nil {
		return "", err
	}
	m := &Mailer{from: &netmail.Address{Name: "Holdfast", Address: "holdfast@platform.example"}, now: func() time.Time { return n.Time }}
	var b strings.Builder
	if _, err := m.message(n, address).WriteTo(&b); err != nil {
		return "", fmt.Errorf("smtp: %w", err)
	}
	return strings.ReplaceAll(b.String(), "\r\n", "\n"), nil
}
