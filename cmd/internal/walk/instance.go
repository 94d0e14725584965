package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/go-json-experiment/json"

	"holdfast/cmd/internal/app"
	"holdfast/cmd/internal/demo"
	"holdfast/schemas"
)

// token is the event source's. The instance lives for minutes, on loopback.
const token = "walk-token-0123456789abcdef0123456789abcdef"

// patience bounds the wait for what an instance does in the background.
const patience = 90 * time.Second

// instance is a running Holdfast beside the platform that it stops accounts of.
type instance struct {
	ctx      context.Context
	binary   string
	dir      string
	config   string
	proc     *exec.Cmd
	log      *os.File
	at       app.Endpoints
	api      string // the token of the user of this machine
	platform *demo.Platform
	webhook  *http.Server
	mailbox  *demo.Mailbox
	serial   int // numbers events
	caseID   string

	mu      sync.Mutex
	mails   []demo.Mail
	changes []demo.Change
}

func start(ctx context.Context, binary string) (i *instance, err error) {
	i = &instance{ctx: ctx, binary: binary}
	if i.dir, err = os.MkdirTemp("", "holdfast-walk-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			i.stop()
		}
	}()
	i.platform = demo.NewPlatform(func(c demo.Change) {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.changes = append(i.changes, c)
	})
	if i.mailbox, err = demo.NewMailbox(ctx, func(m demo.Mail) {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.mails = append(i.mails, m)
	}); err != nil {
		return nil, err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	i.webhook = &http.Server{Handler: i.platform, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = i.webhook.Serve(l) }()
	for name, content := range map[string]string{"token": token + "\n", "secret": i.platform.Secret() + "\n"} {
		if err := os.WriteFile(filepath.Join(i.dir, name), []byte(content), 0o600); err != nil {
			return nil, err
		}
	}
	i.config = filepath.Join(i.dir, "holdfast.yaml")
	yaml := fmt.Sprintf(`
data_dir: %s
intake:
  http: {listen: "127.0.0.1:0", tokens: [{name: platform, token_file: %s}]}
observability: {listen: "127.0.0.1:0"}
api: {listen: "127.0.0.1:0"}
enforce:
  webhook: {url: "http://%s", secret_file: %s}
  smtp: [{host: 127.0.0.1, port: %d, tls: none, from: holdfast@example.com, operators: [desk@example.com], customers: true}]
`, filepath.Join(i.dir, "data"), filepath.Join(i.dir, "token"), l.Addr(), filepath.Join(i.dir, "secret"), i.mailbox.Port())
	if err := os.WriteFile(i.config, []byte(yaml), 0o600); err != nil {
		return nil, err
	}
	return i, i.run()
}

// run starts the process and waits until it tells where it listens.
func (i *instance) run() (err error) {
	if i.log, err = os.Create(filepath.Join(i.dir, "log")); err != nil {
		return err
	}
	i.proc = exec.CommandContext(context.WithoutCancel(i.ctx), i.binary, "run", "--config", i.config) //nolint:gosec // the binary is named by who runs the walk; stop ends it
	i.proc.Stderr, i.proc.Stdout, i.proc.Dir = i.log, i.log, i.dir
	if err := i.proc.Start(); err != nil {
		return err
	}
	return i.within(patience, func() error {
		b, err := os.ReadFile(filepath.Join(i.dir, "data", "endpoints.json"))
		if err != nil {
			return fmt.Errorf("the instance does not start: %w\n%s", err, i.said())
		}
		if err := json.Unmarshal(b, &i.at); err != nil || i.at.Intake == "" || i.at.API == "" {
			return errors.Join(err, errors.New("the instance does not say where it listens"))
		}
		secret, err := os.ReadFile(filepath.Join(i.dir, "data", "token"))
		i.api = strings.TrimSpace(string(secret))
		return err
	})
}

func (i *instance) said() string {
	b, _ := os.ReadFile(filepath.Join(i.dir, "log"))
	return string(b[max(0, len(b)-3000):])
}

func (i *instance) stop() {
	if i.proc != nil && i.proc.Process != nil {
		_ = i.proc.Process.Signal(syscall.SIGTERM)
		kill := time.AfterFunc(20*time.Second, func() { _ = i.proc.Process.Kill() })
		_ = i.proc.Wait()
		kill.Stop()
	}
	if i.webhook != nil {
		_ = i.webhook.Close()
	}
	if i.mailbox != nil {
		i.mailbox.Close()
	}
	if i.log != nil {
		_ = i.log.Close()
	}
	_ = os.RemoveAll(i.dir)
}

// within waits until holds says so, and returns why it does not.
func (i *instance) within(limit time.Duration, holds func() error) error {
	ctx, cancel := context.WithTimeout(i.ctx, limit)
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

// event is one line for the platform's events, of the account.
func (i *instance) event(at time.Time, fields map[string]any) []byte {
	i.serial++
	fields["id"], fields["account"], fields["time"] = fmt.Sprintf("walk-%d", i.serial), account, at.UTC().Format("2006-01-02T15:04:05.000Z")
	b, err := json.Marshal(fields)
	if err != nil {
		panic(err) // strings, numbers and lists of strings
	}
	return append(b, '\n')
}

// send posts events as they happen.
func (i *instance) send(lines ...[]byte) error {
	req, err := http.NewRequestWithContext(i.ctx, http.MethodPost, "http://"+strings.TrimPrefix(i.at.Intake, "http://")+"/v1/events", bytes.NewReader(slices.Concat(lines...)))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/x-ndjson")
	return answer(req, nil)
}

// ask asks the API.
func (i *instance) ask(method, path string, body, out any) error {
	var r io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		r = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(i.ctx, method, i.at.API+path, r)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+i.api)
	req.Header.Set("Content-Type", "application/json")
	return answer(req, out)
}

func answer(req *http.Request, out any) error {
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %s: %s", req.Method, req.URL.Path, resp.Status, b)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(b, out)
}

// holdfast runs a command of the binary against the instance.
func (i *instance) holdfast(args ...string) (string, error) {
	cmd := exec.CommandContext(i.ctx, i.binary, append(args, "--config", i.config)...) //nolint:gosec // as above
	b, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("holdfast %s: %w: %s", strings.Join(args, " "), err, b)
	}
	return string(b), err
}

// theCase is the account's case as it is now. There must be one and no other.
func (i *instance) theCase() (c schemas.Case, err error) {
	if i.caseID == "" {
		var page struct {
			Items []struct {
				ID string `json:"id"`
			} `json:"items"`
		}
		if err := i.ask(http.MethodGet, "/v1/cases?q="+account, nil, &page); err != nil {
			return c, err
		}
		if len(page.Items) != 1 {
			return c, fmt.Errorf("%d cases of %s, want one", len(page.Items), account)
		}
		i.caseID = page.Items[0].ID
	}
	return c, i.ask(http.MethodGet, "/v1/cases/"+i.caseID, nil, &c)
}

// status is the account's.
func (i *instance) status() (s schemas.Status, err error) {
	var view struct {
		Status schemas.Status `json:"status"`
	}
	err = i.ask(http.MethodGet, "/v1/entities/account:"+account, nil, &view)
	return view.Status, err
}

// act carries out an act on the account as the user of this machine.
func (i *instance) act(fields map[string]any) error {
	return i.ask(http.MethodPost, "/v1/entities/account:"+account+"/acts", fields, nil)
}

// mailsTo are the mails to an address.
func (i *instance) mailsTo(address string) (out []demo.Mail) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, m := range i.mails {
		if strings.Contains(m.To, address) {
			out = append(out, m)
		}
	}
	return out
}
