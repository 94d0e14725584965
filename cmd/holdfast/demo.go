package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"holdfast/alerting/api"
	"holdfast/cmd/internal/app"
	"holdfast/cmd/internal/config"
	"holdfast/cmd/internal/demo"
	"holdfast/cmd/internal/traffic"
)

type demoCmd struct {
	Check bool   `help:"Exit after the story; fail unless exactly the attacked accounts were stopped."`
	Seed  uint64 `default:"1" help:"The same seed gives the same customers and attacks."`
	Keep  bool   `help:"Keep the data folder of an earlier demo."`
}

// demoUser is who signs in to the demo's console.
const demoUser = "demo"

// demoSecret is the file in the data folder that holds the webhook's secret.
const demoSecret = "webhook-secret"

// Run plays the demo.
func (d *demoCmd) Run(ctx context.Context, c *common) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	if c.DataDir == "" { // nothing of what a run keeps is touched
		cfg.DataDir = filepath.Join(cfg.DataDir, demoFolder)
	}
	if !cfg.EmbeddedBroker() || !cfg.EmbeddedClickHouse() {
		return fmt.Errorf("the demo uses the embedded engines: leave kafka.brokers and clickhouse.addr out")
	}
	if !d.Keep {
		if err := clearDemo(cfg.DataDir); err != nil {
			return err
		}
	}
	s := newStory(d.Seed, os.Stdout)
	stop, err := s.open(ctx, &cfg)
	if err != nil {
		return err
	}
	defer stop()
	cfg.Observability.Listen, cfg.API.Listen = "127.0.0.1:0", "127.0.0.1:0"
	a, err := app.New(cfg, app.Options{}, quiet())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var g errgroup.Group
	ended := make(chan struct{})
	g.Go(func() error {
		defer close(ended)
		return a.Run(ctx)
	})
	select {
	case <-a.Ready():
	case <-ended:
		return g.Wait()
	}
	err = d.play(ctx, a, s)
	if err == nil && !d.Check {
		<-ctx.Done()
		fmt.Println("\nstopping")
	}
	cancel()
	if werr := g.Wait(); err == nil || ctx.Err() != nil && isCancelled(err) {
		err = werr
	}
	return err
}

// open starts the platform's webhook and mail server and names them in cfg.
func (s *story) open(ctx context.Context, cfg *config.Config) (stop func(), err error) {
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return nil, err
	}
	secret := filepath.Join(cfg.DataDir, demoSecret)
	if err := os.WriteFile(secret, []byte(s.platform.Secret()), 0o600); err != nil {
		return nil, err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	mailbox, err := demo.NewMailbox(ctx, s.mail)
	if err != nil {
		_ = l.Close()
		return nil, err
	}
	cfg.Enforce.Webhook.URL, cfg.Enforce.Webhook.SecretFile = "http://"+l.Addr().String(), secret
	cfg.Enforce.SMTP = []config.SMTP{{
		Host: "127.0.0.1", Port: mailbox.Port(), TLS: "none", From: "Holdfast <holdfast@demo.example>",
		Operators: []string{"trust-and-safety@demo.example"}, Customers: true,
	}}
	server := &http.Server{Handler: s.platform, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = server.Serve(l) }()
	return func() {
		_ = server.Close()
		mailbox.Close()
	}, nil
}

// clearDemo removes an earlier demo, and nothing that is not one.
func clearDemo(dir string) error {
	names, err := os.ReadDir(dir)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, n := range names {
		unfinished, _ := filepath.Match("import-*.json", n.Name())
		halfWritten, _ := filepath.Match("*.tmp", n.Name())
		if !unfinished && !halfWritten && !slices.Contains([]string{"kafka", "clickhouse", "secrets", "endpoints.json", "token", demoSecret}, n.Name()) {
			return fmt.Errorf("%s holds %s, which is no part of a demo: name another folder with --data-dir", dir, n.Name())
		}
	}
	if app.Alive(dir) {
		return fmt.Errorf("an instance runs on %s: stop it, or name another folder with --data-dir", dir)
	}
	return os.RemoveAll(dir)
}

// play brings the history in, then plays the story.
func (d *demoCmd) play(ctx context.Context, a *app.App, s *story) error {
	cfg := a.Config()
	fmt.Fprintf(s.out, "Holdfast runs on embedded engines (data in %s).\n", cfg.DataDir)
	p, err := app.NewPlayer(&cfg)
	if err != nil {
		return err
	}
	defer p.Close()
	n, err := s.past(ctx, p)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "Imported: %d events of three quiet weeks of %d accounts and %d employees.\n", n, demoAccounts, demoEmployees)
	if err := s.present(ctx, p); err != nil {
		return err
	}
	wrong := s.summary()
	if d.Check {
		if len(wrong) > 0 {
			return fmt.Errorf("the demo went wrong: %s", strings.Join(wrong, "; "))
		}
		fmt.Fprintln(s.out, "demo checked: 1 passed, 0 failed")
		return nil
	}
	password, err := a.AddUser(ctx, demoUser, api.RoleLead, "the demo")
	if err != nil {
		return fmt.Errorf("add the demo's user: %w", err)
	}
	leaked, insider := traffic.AccountID(demoLeaked), traffic.EmployeeID(demoInsider)
	fmt.Fprintf(s.out, "\nIt goes on running. The console, from the queue to the closed case:\n  %s/queue\n  user %s, password %s: may read and act, as a lead does\n", a.Endpoints().API, demoUser, password)
	fmt.Fprintln(s.out, "Or look around from another terminal:")
	for _, cmd := range []string{
		"timeline account:" + leaked + " --no-events --since 1h", "timeline employee:" + insider + " --since 1h",
		"status account:" + traffic.AccountID(demoSeen), "release account:" + leaked + ` --why "keys rotated"`,
	} {
		fmt.Fprintf(s.out, "  %s --data-dir %s %s\n", os.Args[0], cfg.DataDir, cmd)
	}
	fmt.Fprintln(s.out, "What the platform does then is printed here. Ctrl-C ends it.")
	return nil
}

// firstSentences shortens a reason to what fits one line.
func firstSentences(s string, n int) string {
	s = strings.TrimSpace(s)
	if _, rest, ok := strings.Cut(s, ": "); ok {
		s = rest
	}
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n-1]) + "…"
}
