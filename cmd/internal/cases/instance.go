package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/go-json-experiment/json"

	"holdfast/cmd/internal/app"
)

const token = "cases-token-0123456789abcdef0123456789abcdef"

// instance is a running Holdfast on the embedded engines, beside a platform that
// confirms what it is asked and a mail server that keeps what it is sent.
type instance struct {
	h        *harness
	dir      string
	config   string
	places   string // the file of places
	proc     *exec.Cmd
	log      *os.File
	at       app.Endpoints
	platform *platform
	mail     *mailServer
}

// instance returns the one that runs, and starts it the first time.
func (h *harness) instance() (*instance, error) {
	if h.live != nil {
		return h.live, nil
	}
	i := &instance{h: h, dir: filepath.Join(h.temp, "data"), config: filepath.Join(h.temp, "holdfast.yaml"), places: filepath.Join(h.temp, "city.mmdb")}
	var err error
	if i.platform, err = newPlatform(); err != nil {
		return nil, err
	}
	if i.mail, err = newMailServer(); err != nil {
		return nil, err
	}
	places, err := h.bytes("geo-a.mmdb")
	if err == nil {
		err = os.WriteFile(i.places, places, 0o600)
	}
	if err == nil {
		err = i.configure()
	}
	if err == nil {
		err = i.start()
	}
	if err != nil {
		return nil, errors.Join(err, i.stop())
	}
	h.live = i
	return i, nil
}

func (i *instance) configure() error {
	files := map[string]string{"token": token + "\n", "secret": "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n"}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(i.h.temp, name), []byte(content), 0o600); err != nil {
			return err
		}
	}
	yaml := fmt.Sprintf(`
data_dir: %s
intake:
  http:
    listen: 127.0.0.1:0
    tokens:
      - {name: cases, token_file: %s}
enrichment: {city_file: %s, reload_every: 2s}
observability: {listen: "127.0.0.1:0"}
api: {listen: "127.0.0.1:0"}
enforce:
  webhook: {url: "http://%s/actions", secret_file: %s}
  smtp: {host: 127.0.0.1, port: %d, tls: none, from: holdfast@example.com, customers: true}
`, i.dir, filepath.Join(i.h.temp, "token"), i.places, i.platform.addr, filepath.Join(i.h.temp, "secret"), i.mail.port())
	return os.WriteFile(i.config, []byte(yaml), 0o600)
}

func (i *instance) start() error {
	var err error
	if i.log, err = os.Create(filepath.Join(i.h.temp, "log")); err != nil {
		return err
	}
	i.proc = exec.CommandContext(context.WithoutCancel(i.h.ctx), i.h.binary, "run", "--config", i.config) // stop ends it in its own time
	i.proc.Env, i.proc.Stderr, i.proc.Dir = environment(), i.log, i.h.temp
	if err := i.proc.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- i.proc.Wait() }()
	deadline := time.Now().Add(patience)
	for {
		b, err := os.ReadFile(filepath.Join(i.dir, "endpoints.json"))
		if err == nil && json.Unmarshal(b, &i.at) == nil && i.at.ClickHouseURL != "" && i.at.Intake != "" {
			return nil
		}
		select {
		case err := <-ended:
			return fmt.Errorf("the instance ended: %w\n%s", err, i.said())
		case <-i.h.ctx.Done():
			return i.h.ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the instance did not start within %s\n%s", patience, i.said())
		}
	}
}

// said is the instance's log.
func (i *instance) said() string {
	b, _ := os.ReadFile(i.log.Name())
	return string(b)
}

func (i *instance) stop() error {
	if i.proc != nil && i.proc.Process != nil {
		_ = i.proc.Process.Signal(syscall.SIGTERM)
		for range 300 {
			if i.proc.Process.Signal(syscall.Signal(0)) != nil {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		_ = i.proc.Process.Kill()
	}
	if i.platform != nil {
		i.platform.close()
	}
	if i.mail != nil {
		i.mail.close()
	}
	if i.log != nil {
		return i.log.Close()
	}
	return nil
}

// holdfast runs a command against the instance.
func (i *instance) holdfast(args ...string) (result, error) { return i.holdfastIn(nil, args...) }

func (i *instance) holdfastIn(env []string, args ...string) (result, error) {
	return i.h.command(env, append(args, "--config", i.config)...)
}

// ask runs one query on the audit store.
func (i *instance) ask(sql string) ([][]string, error) {
	req, err := http.NewRequestWithContext(i.h.ctx, http.MethodPost, i.at.ClickHouseURL+"/?database=holdfast&default_format=CSV", strings.NewReader(sql))
	if err != nil {
		return nil, err
	}
	if login := i.at.ReaderLogin; login != nil {
		password, err := os.ReadFile(login.PasswordFile)
		if err != nil {
			return nil, err
		}
		req.SetBasicAuth(login.User, strings.TrimSpace(string(password)))
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(resp.Body)
		return nil, fmt.Errorf("%s: %s", resp.Status, b)
	}
	return csv.NewReader(resp.Body).ReadAll()
}

// post sends a body to the gateway.
func (i *instance) post(body string) error {
	url := i.at.Intake
	if !strings.Contains(url, "://") {
		url = "http://" + url
	}
	req, err := http.NewRequestWithContext(i.h.ctx, http.MethodPost, url+"/v1/events", strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/x-ndjson")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if b, _ := io.ReadAll(resp.Body); resp.StatusCode >= 300 {
		return fmt.Errorf("%s: %s", resp.Status, b)
	}
	return nil
}

// eventually waits until holds says so, and returns why it does not.
func (i *instance) eventually(holds func() error) error { return i.within(patience, holds) }

func (i *instance) within(limit time.Duration, holds func() error) error {
	ctx, cancel := context.WithTimeout(i.h.ctx, limit)
	defer cancel()
	for {
		err := holds()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(100 * time.Millisecond):
		}
	}
}
