package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"holdfast/alerting/enforce"
	"holdfast/alerting/notify"
	"holdfast/alerting/notify/alertmanager"
	"holdfast/alerting/notify/pagerduty"
	"holdfast/alerting/notify/ses"
	"holdfast/alerting/notify/sharedsignals"
	"holdfast/alerting/notify/slack"
	"holdfast/alerting/notify/smtp"
	"holdfast/alerting/notify/webhook"
	"holdfast/cmd/internal/config"
	"holdfast/schemas"
)

// enforceConfig says how decisions are carried out.
func enforceConfig(cfg *config.Config) enforce.Config {
	e := enforce.DefaultConfig()
	e.AgeLimit = cfg.Respond.AgeLimit.Duration()
	e.Concurrency, e.GiveUp, e.NotifyReviews = cfg.Enforce.Concurrency, cfg.Enforce.GiveUp, cfg.Enforce.NotifyReviews
	e.MaxBackoff, e.PageAfter, e.Reconcile = cfg.Enforce.MaxBackoff, cfg.Enforce.PageAfter, cfg.Enforce.ReconcileEvery.Duration()
	return e
}

func webhookConfig(w config.Webhook) webhook.Config {
	c := webhook.Config{Name: w.Name, URL: w.URL, Timeout: orDefault(w.Timeout), AllowHTTP: w.AllowHTTP, StatusURL: w.StatusURL}
	for _, f := range []string{w.SecretFile, w.OldSecret} {
		if f != "" {
			c.SecretFiles = append(c.SecretFiles, f)
		}
	}
	return c
}

func smtpConfig(s config.SMTP) smtp.Config {
	return smtp.Config{
		Name: cmp.Or(s.Name, smtp.Channel), Host: s.Host, Port: cmp.Or(s.Port, 587), TLS: cmp.Or(s.TLS, smtp.TLSStart), Username: s.User, PasswordFile: s.PasswordFile, CAFile: s.CAFile,
		From: s.From, Operators: s.Operators, Customers: s.Customers, Timeout: orDefault(s.Timeout),
	}
}

// channel is one configured way to people, by its place in the configuration.
type channel struct {
	key  string
	name string
	make func() (enforce.Notifier, error)
}

// channels lists every configured way to people.
func channels(cfg *config.Config) (out []channel) {
	add := func(key, name string, make func() (enforce.Notifier, error)) {
		out = append(out, channel{key, name, make})
	}
	for i, x := range cfg.Enforce.Notices {
		c := webhookConfig(x)
		c.Name = cmp.Or(c.Name, "operators")
		add(fmt.Sprintf("enforce.notices[%d]", i), c.Name, func() (enforce.Notifier, error) { return newWebhook(c) })
	}
	for i, x := range cfg.Enforce.SMTP {
		c := smtpConfig(x)
		add(fmt.Sprintf("enforce.smtp[%d]", i), c.Name, func() (enforce.Notifier, error) { return newMailer(c) })
	}
	for i, x := range cfg.Enforce.Slack {
		add(fmt.Sprintf("enforce.slack[%d]", i), x.Name, func() (enforce.Notifier, error) {
			return slack.New(slack.Config{Name: x.Name, TokenFile: x.TokenFile, Channel: x.Channel, URL: x.URL, URLFile: x.URLFile, Timeout: orDefault(x.Timeout)}, slack.Deps{})
		})
	}
	for i, x := range cfg.Enforce.PagerDuty {
		add(fmt.Sprintf("enforce.pagerduty[%d]", i), x.Name, func() (enforce.Notifier, error) {
			return pagerduty.New(pagerduty.Config{Name: x.Name, URL: x.URL, KeyFile: x.KeyFile, All: x.All, Timeout: orDefault(x.Timeout)}, pagerduty.Deps{})
		})
	}
	for i, x := range cfg.Enforce.SharedSignals {
		add(fmt.Sprintf("enforce.shared_signals[%d]", i), x.Name, func() (enforce.Notifier, error) {
			return sharedsignals.New(sharedsignals.Config{
				Name: x.Name, URL: x.URL, Issuer: x.Issuer, Audience: x.Audience, KeyFile: x.KeyFile, KeyID: x.KeyID, TokenFile: x.TokenFile,
				Subject: x.Subject, Events: x.Events, Timeout: orDefault(x.Timeout),
			}, sharedsignals.Deps{})
		})
	}
	for i, x := range cfg.Enforce.Alertmanager {
		add(fmt.Sprintf("enforce.alertmanager[%d]", i), x.Name, func() (enforce.Notifier, error) {
			c := alertmanager.Config{Name: x.Name, URL: x.URL, UserFile: x.UserFile, ResolveAfter: x.ResolveAfter, Timeout: orDefault(x.Timeout), Labels: x.Labels}
			if c.ResolveAfter == 0 {
				c.ResolveAfter = 24 * time.Hour
			}
			return alertmanager.New(c, alertmanager.Deps{})
		})
	}
	return out
}

// orDefault is the timeout of a channel that names none.
func orDefault(d time.Duration) time.Duration {
	if d == 0 {
		return 10 * time.Second
	}
	return d
}

// sameNames says which channels share a name: notices wait for each by its own.
func sameNames(all []channel) error {
	seen := map[string]string{}
	for _, c := range all {
		if first, ok := seen[c.name]; ok {
			return fmt.Errorf("%s: the name %q is that of %s too: give each channel a name of its own", c.key, c.name, first)
		}
		seen[c.name] = c.key
	}
	return nil
}

// receivers makes the platform's webhook and whoever tells people, as configured.
func receivers(cfg *config.Config) ([]enforce.Platform, []enforce.Notifier, error) {
	var platforms []enforce.Platform
	var notifiers []enforce.Notifier
	if c := webhookConfig(cfg.Enforce.Webhook); c.Enabled() {
		w, err := newWebhook(c)
		if err != nil {
			return nil, nil, fmt.Errorf("enforce.webhook: %w", err)
		}
		platforms = append(platforms, w)
	}
	if cfg.Enforce.SES.Region != "" {
		s, err := newSES(cfg.Enforce.SES)
		if err != nil {
			return nil, nil, fmt.Errorf("enforce.ses: %w", err)
		}
		platforms = append(platforms, s)
	}
	all := channels(cfg)
	if err := sameNames(all); err != nil {
		return nil, nil, err
	}
	for _, c := range all {
		n, err := c.make()
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", c.key, err)
		}
		notifiers = append(notifiers, n)
	}
	return platforms, notifiers, nil
}

func newSES(c config.SES) (*ses.SES, error) {
	x := ses.Config{Region: c.Region, Tenant: c.Tenant, Released: c.Released, Endpoint: c.Endpoint, Timeout: c.Timeout}
	if c.MapFile != "" {
		var err error
		if x.Map, err = readMap(c.MapFile, "account,tenant"); err != nil {
			return nil, err
		}
	}
	if err := x.Validate(); err != nil {
		return nil, err
	}
	return ses.New(context.Background(), x, ses.Deps{})
}

func newWebhook(c webhook.Config) (*webhook.Webhook, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return webhook.New(c, webhook.Deps{})
}

func newMailer(c smtp.Config) (*smtp.Mailer, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return smtp.New(c, smtp.Deps{})
}

// maxSnooze is the most that respond.snooze_max may be: snoozes are listed from the
// operator topic, which keeps its records so long.
const maxSnooze = 30 * 24 * time.Hour

// checkReceivers says what is wrong with each receiver that is configured.
func checkReceivers(cfg *config.Config, wrong func(key string, err error)) {
	e := enforceConfig(cfg)
	wrong("enforce", e.Validate())
	for i, n := range cfg.Enforce.Notices {
		if n.StatusURL != "" {
			wrong(fmt.Sprintf("enforce.notices[%d].status_url", i), errors.New("a receiver of notices keeps no status: set enforce.webhook.status_url"))
		}
	}
	if d := cfg.Respond.SnoozeMax; d < time.Minute || d > maxSnooze {
		wrong("respond.snooze_max", fmt.Errorf("%s is out of range: write 1m to 30d, the time for which the operator topic keeps who asked", d))
	}
	if c := webhookConfig(cfg.Enforce.Webhook); c.Enabled() {
		_, err := newWebhook(c)
		wrong("enforce.webhook", err)
		if c.Name == ses.Name {
			wrong("enforce.webhook.name", fmt.Errorf("%q is the name of enforce.ses: give the webhook another", c.Name))
		}
	}
	if cfg.Enforce.SES.Region != "" {
		_, err := newSES(cfg.Enforce.SES)
		wrong("enforce.ses", err)
	}
	all := channels(cfg)
	wrong("enforce", sameNames(all))
	var made []enforce.Notifier
	for _, c := range all {
		n, err := c.make()
		if wrong(c.key, err); err == nil {
			made = append(made, n)
		} else {
			made = append(made, named(c.name))
		}
	}
	w, err := newWriter(cfg, sampleToken)
	if wrong("enforce.words", err); err == nil {
		wrong("enforce", newDesk(cfg, made).Validate(w.Languages()))
	}
}

// named is a channel that is configured and cannot be made, which its own mistake says.
type named string

func (n named) Name() string                                       { return string(n) }
func (n named) Audiences() []notify.Address                        { return nil }
func (n named) Customers() bool                                    { return false }
func (n named) Send(context.Context, notify.Message) (bool, error) { return false, nil }

// sampleToken is the token where messages are only shown: it opens nothing.
func sampleToken(string, string, time.Time) string { return "token" }

// newWriter makes the words of notices. token signs the customer into the page of a case;
// where no other page is named and people reach the console from outside, that one is it.
func newWriter(cfg *config.Config, token func(account, id string, at time.Time) string) (*notify.Writer, error) {
	x := cfg.Enforce.Words
	if x.CustomerURL == "" && cfg.API.Listen != "" && cfg.API.Origin != "" {
		x.CustomerURL = cfg.API.Origin + "/c/{token}"
	}
	return notify.NewWriter(notify.WriterConfig{Folder: x.Templates, CaseURL: x.CaseURL, CustomerURL: x.CustomerURL, Support: x.Support, Brand: x.Brand, Token: token})
}

// newDesk says who is told of what.
func newDesk(cfg *config.Config, notifiers []enforce.Notifier) *notify.Desk {
	e := &cfg.Enforce
	d := &notify.Desk{Language: e.Words.Language, Wait: e.Wait, CustomerWait: e.CustomerWait, Spree: notify.Spree{Alone: e.Spree.Alone, Quiet: notify.Span(e.Spree.Quiet)}}
	for _, n := range notifiers {
		d.Directories = append(d.Directories, n)
	}
	for _, l := range e.Words.Languages {
		d.Languages = append(d.Languages, notify.Language(l))
	}
	for _, r := range e.Routes {
		x := notify.Route{
			Audience: r.Audience, Happened: as[notify.What](r.Happened), Verdicts: as[schemas.Verdict](r.Verdicts), Severities: as[schemas.Severity](r.Severities),
			Policies: r.Policies, Plans: r.Plans, Kinds: as[schemas.EntityKind](r.Kinds), To: r.To, Continue: r.Continue, Language: r.Language, GroupBy: r.GroupBy,
		}
		if r.AtOnce || r.Wait > 0 {
			x.Wait = &r.Wait
		}
		if r.Spree.Alone > 0 {
			x.Spree = &notify.Spree{Alone: r.Spree.Alone, Quiet: notify.Span(cmp.Or(r.Spree.Quiet, e.Spree.Quiet))}
		}
		d.Routes = append(d.Routes, x)
	}
	return d
}

func as[T ~string](list []string) []T {
	var out []T
	for _, s := range list {
		out = append(out, T(s))
	}
	return out
}
