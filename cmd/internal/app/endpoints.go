package app

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"holdfast/cmd/internal/config"
	"holdfast/ingest/embedded/folder"
	"holdfast/ingest/embedded/secret"
)

// Endpoints tells other commands of the same user where a running instance is. It
// stands in the data folder, readable by its owner alone, and names the files of
// passwords, not what they hold.
type Endpoints struct {
	PID           int       `json:"pid"`
	Started       time.Time `json:"started"`
	Kafka         []string  `json:"kafka"`
	ClickHouse    []string  `json:"clickhouse"`
	ClickHouseURL string    `json:"clickhouse_url,omitempty"` // for curl, without the login
	Intake        string    `json:"intake,omitempty"`
	Observability string    `json:"observability,omitempty"`
	API           string    `json:"api,omitempty"`        // the API's origin: http://host:port
	TokenFile     string    `json:"token_file,omitempty"` // holds a token of the user who runs it

	Auth            string `json:"auth,omitempty"` // embedded.auth, where an engine is embedded
	KafkaLogin      *Login `json:"kafka_login,omitempty"`
	ClickHouseLogin *Login `json:"clickhouse_login,omitempty"`
	ReaderLogin     *Login `json:"reader_login,omitempty"` // the read-only user of ClickHouse
}

// Login is how to log in to an embedded engine.
type Login struct {
	User         string `json:"user"`
	Mechanism    string `json:"mechanism,omitempty"` // SASL
	PasswordFile string `json:"password_file,omitempty"`
	Database     string `json:"database,omitempty"`
	Password     string `json:"password,omitempty"` // never in endpoints.json
}

const endpointsFile = "endpoints.json"

func (e Endpoints) write(dir string) error {
	b, err := json.Marshal(e, jsontext.WithIndent("  "))
	if err != nil {
		return err
	}
	path := filepath.Join(dir, endpointsFile)
	if err := folder.WriteFile(path, append(b, '\n')); err != nil {
		return fmt.Errorf("tell others where this instance is: %w", err)
	}
	return os.Chmod(path, 0o600)
}

// logins adds how to log in to the engines that this process runs. Where the
// password stands in the configuration no file is named.
func (e *Endpoints) logins(cfg *config.Config, engines engines) {
	if engines.broker != nil || engines.clickhouse != nil {
		e.Auth = cfg.Embedded.Auth
	}
	if engines.broker != nil {
		e.KafkaLogin = &Login{User: cfg.Kafka.SASL.User, Mechanism: cfg.Kafka.SASL.Mechanism, PasswordFile: engines.passwordFiles[secret.Broker]}
	}
	if engines.clickhouse != nil {
		e.ClickHouseURL = "http://" + engines.clickhouse.Addr()
		e.ClickHouseLogin = &Login{User: cfg.ClickHouse.User, PasswordFile: engines.passwordFiles[secret.Store], Database: cfg.ClickHouse.Database}
		e.ReaderLogin = &Login{User: readerUser, PasswordFile: engines.passwordFiles[secret.Reader], Database: cfg.ClickHouse.Database}
	}
}

// ReadEndpoints tells where the instance is that runs on a data folder, and with
// which passwords its engines are asked, as far as they stand in files.
func ReadEndpoints(dir string) (Endpoints, error) {
	e, err := readEndpoints(dir)
	if err != nil {
		return e, err
	}
	for _, l := range []*Login{e.KafkaLogin, e.ClickHouseLogin, e.ReaderLogin} {
		if l == nil || l.PasswordFile == "" {
			continue
		}
		if l.Password, err = config.Secret("", l.PasswordFile); err != nil {
			return e, err
		}
	}
	return e, nil
}

// removeEndpoints removes what this process wrote. Where several processes share a data
// folder, the one that started last is the one that is found there.
func removeEndpoints(dir string) {
	if e, err := readEndpoints(dir); err == nil && e.PID == os.Getpid() {
		_ = os.Remove(filepath.Join(dir, endpointsFile))
	}
}

// ErrNotRunning says that no instance runs on the data folder.
var ErrNotRunning = errors.New("no instance runs here")

// FindRunning completes a configuration that uses the embedded engines with the
// addresses of the instance that runs on its data folder.
func FindRunning(cfg *config.Config) (Endpoints, error) {
	if !cfg.EmbeddedBroker() && !cfg.EmbeddedClickHouse() {
		return Endpoints{}, nil
	}
	e, err := readEndpoints(cfg.DataDir)
	if err != nil {
		return e, err
	}
	if err := findLogins(cfg, e); err != nil {
		return e, err
	}
	if cfg.EmbeddedBroker() {
		cfg.Kafka.Brokers = e.Kafka
	}
	if cfg.EmbeddedClickHouse() {
		cfg.ClickHouse.Addr, cfg.ClickHouse.Protocol = e.ClickHouse, "http"
	}
	return e, nil
}

// FindBroker is FindRunning for commands that need no audit store: where brokers
// are configured, nothing has to run here.
func FindBroker(cfg *config.Config) error {
	if !cfg.EmbeddedBroker() {
		return nil
	}
	_, err := FindRunning(cfg)
	return err
}

// readEndpoints reads what a running instance left; one that was killed left it
// too, and is not taken for running.
func readEndpoints(dir string) (Endpoints, error) {
	var e Endpoints
	path := filepath.Join(dir, endpointsFile)
	b, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(b, &e)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && !alive(e.PID):
		return e, fmt.Errorf("%w (%s): start one with `holdfast run`, or name another folder with --data-dir", ErrNotRunning, dir)
	case err != nil:
		return e, fmt.Errorf("where the running instance is: %s: %w", path, err)
	}
	return e, nil
}

// alive reports whether a process has that id.
func alive(pid int) bool {
	return pid > 0 && !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}
