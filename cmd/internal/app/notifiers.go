package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"holdfast/alerting/enforce"
	"holdfast/alerting/notify/alertmanager"
	"holdfast/alerting/notify/pagerduty"
	"holdfast/alerting/notify/ses"
	"holdfast/alerting/notify/slack"
	"holdfast/alerting/notify/smtp"
	"holdfast/alerting/notify/webhook"
	"holdfast/cmd/internal/config"
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
	c := webhook.Config{Name: w.Name, URL: w.URL, Timeout: w.Timeout, AllowHTTP: w.AllowHTTP, StatusURL: w.StatusURL}
	for _, f := range []string{w.SecretFile, w.OldSecret} {
		if f != "" {
			c.SecretFiles = append(c.SecretFiles, f)
		}
	}
	return c
}

func smtpConfig(s config.SMTP) smtp.Config {
	return smtp.Config{
		Host: s.Host, Port: s.Port, TLS: s.TLS, Username: s.User, PasswordFile: s.PasswordFile, CAFile: s.CAFile,
		From: s.From, Operators: s.Operators, Customers: s.Customers, Timeout: s.Timeout,
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
	if c := webhookConfig(cfg.Enforce.Notices); c.Enabled() {
		add("enforce.notices", c.Name, func() (enforce.Notifier, error) { return newWebhook(c) })
	}
	if c := smtpConfig(cfg.Enforce.SMTP); c.Enabled() {
		add("enforce.smtp", smtp.Channel, func() (enforce.Notifier, error) { return newMailer(c) })
	}
	for i, x := range cfg.Enforce.Slack {
		add(fmt.Sprintf("enforce.slack[%d]", i), x.Name, func() (enforce.Notifier, error) {
			return slack.New(slack.Config{Name: x.Name, URLFile: x.URLFile, Timeout: orDefault(x.Timeout)}, slack.Deps{})
		})
	}
	for i, x := range cfg.Enforce.PagerDuty {
		add(fmt.Sprintf("enforce.pagerduty[%d]", i), x.Name, func() (enforce.Notifier, error) {
			return pagerduty.New(pagerduty.Config{Name: x.Name, URL: x.URL, KeyFile: x.KeyFile, All: x.All, Timeout: orDefault(x.Timeout)}, pagerduty.Deps{})
		})
	}
	for i, x := range cfg.Enforce.Alertmanager {
		add(fmt.Sprintf("enforce.alertmanager[%d]", i), x.Name, func() (enforce.Notifier, error) {
			c := alertmanager.Config{Name: x.Name, URL: x.URL, UserFile: x.UserFile, ResolveAfter: x.ResolveAfter, Timeout: orDefault(x.Timeout)}
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
	if cfg.Enforce.Notices.StatusURL != "" {
		wrong("enforce.notices.status_url", errors.New("a receiver of notices keeps no status: set enforce.webhook.status_url"))
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
	for _, c := range all {
		_, err := c.make()
		wrong(c.key, err)
	}
}
