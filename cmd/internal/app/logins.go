package app

import (
	"fmt"

	"holdfast/cmd/internal/config"
	"holdfast/ingest/embedded/broker"
	"holdfast/ingest/embedded/secret"
)

const (
	brokerUser = "holdfast" // where kafka.sasl.user is empty
	readerUser = "reader"   // the read-only user of the embedded ClickHouse
	authPeer   = "peer"     // the value of embedded.auth by which this user and root need no password
)

// ensureLogins completes cfg with how to log in to the embedded engines: what the
// configuration says, else secrets in the data folder, made where they are missing.
func (e *engines) ensureLogins(cfg *config.Config) (readerPassword string, err error) {
	e.passwordFiles = map[string]string{}
	get := func(name, inline, file string) (string, error) {
		switch {
		case file != "":
			e.passwordFiles[name] = file
		case inline == "":
			e.passwordFiles[name] = secret.Path(cfg.DataDir, name)
			return secret.Ensure(cfg.DataDir, name)
		}
		return config.Secret(inline, file)
	}
	if cfg.EmbeddedBroker() {
		if err := brokerLogin(cfg, get); err != nil {
			return "", err
		}
	}
	if !cfg.EmbeddedClickHouse() {
		return "", nil
	}
	if cfg.ClickHouse.User == readerUser {
		return "", fmt.Errorf("clickhouse.user: %s is the embedded engine's read-only user: name another, or leave it out", readerUser)
	}
	if err := storeLogin(cfg, get); err != nil {
		return "", err
	}
	if readerPassword, err = get(secret.Reader, "", ""); err != nil {
		return "", fmt.Errorf("embedded clickhouse: %w", err)
	}
	return readerPassword, nil
}

// findLogins completes cfg with how to log in to the embedded engines of the
// instance that runs.
func findLogins(cfg *config.Config, e Endpoints) error {
	get := func(name, inline, file string) (string, error) {
		if inline == "" && file == "" {
			return secret.Read(cfg.DataDir, name)
		}
		return config.Secret(inline, file)
	}
	cfg.Embedded.Auth = e.Auth
	if cfg.EmbeddedBroker() {
		if err := brokerLogin(cfg, get); err != nil {
			return err
		}
	}
	if cfg.EmbeddedClickHouse() {
		return storeLogin(cfg, get)
	}
	return nil
}

// getPassword returns the configured password, inline or of a file, else the
// secret of that name.
type getPassword = func(name, inline, file string) (string, error)

func brokerLogin(cfg *config.Config, get getPassword) (err error) {
	s := &cfg.Kafka.SASL
	if s.Mechanism != "" && s.Mechanism != broker.Mechanism {
		return fmt.Errorf("kafka.sasl.mechanism: the embedded broker speaks %s alone: write that, or leave it out", broker.Mechanism)
	}
	if s.User == "" {
		s.User = brokerUser
	}
	s.Mechanism = broker.Mechanism
	if s.Password, err = get(secret.Broker, s.Password, s.PasswordFile); err != nil {
		return fmt.Errorf("embedded broker: %w", err)
	}
	s.PasswordFile = ""
	return nil
}

func storeLogin(cfg *config.Config, get getPassword) (err error) {
	c := &cfg.ClickHouse
	if c.Password, err = get(secret.Store, c.Password, c.PasswordFile); err != nil {
		return fmt.Errorf("embedded clickhouse: %w", err)
	}
	c.PasswordFile = ""
	return nil
}
