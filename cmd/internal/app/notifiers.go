package app

import (
	"errors"
	"fmt"
	"time"

	"holdfast/alerting/enforce"
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
	if c := webhookConfig(cfg.Enforce.Notices); c.Enabled() {
		w, err := newWebhook(c)
		if err != nil {
			return nil, nil, fmt.Errorf("enforce.notices: %w", err)
		}
		notifiers = append(notifiers, w)
	}
	if c := smtpConfig(cfg.Enforce.SMTP); c.Enabled() {
		m, err := newMailer(c)
		if err != nil {
			return nil, nil, fmt.Errorf("enforce.smtp: %w", err)
		}
		notifiers = append(notifiers, m)
	}
	return platforms, notifiers, nil
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
	for _, x := range []struct {
		key string
		w   config.Webhook
	}{{"enforce.webhook", cfg.Enforce.Webhook}, {"enforce.notices", cfg.Enforce.Notices}} {
		if c := webhookConfig(x.w); c.Enabled() {
			_, err := newWebhook(c)
			wrong(x.key, err)
		}
	}
	if c := smtpConfig(cfg.Enforce.SMTP); c.Enabled() {
		_, err := newMailer(c)
		wrong("enforce.smtp", err)
	}
}
