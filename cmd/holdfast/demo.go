package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"holdfast/cmd/internal/app"
	"holdfast/cmd/internal/traffic"
	"holdfast/schemas"
)

type demoCmd struct {
	Check bool    `help:"End by itself and fail unless exactly the attacked were stopped."`
	Speed float64 `default:"60" help:"How many times faster than life."`
	Keep  bool    `help:"Keep the data folder of an earlier demonstration."`
}

// The demonstration's cast.
const (
	demoAccounts, demoEmployees = 80, 8
	demoLeaked, demoBotnet      = 7, 21
	demoInsider                 = 3
	demoFirstSeen, demoLastSeen = 30, 62
	demoHistory                 = 21 * 24 * time.Hour
)

// demoEntities are those that the demonstration stops, and why.
func demoEntities() map[string]string {
	return map[string]string{
		"account:" + traffic.AccountID(demoLeaked):    "its key leaked",
		"account:" + traffic.AccountID(demoBotnet):    "a botnet has its key",
		"employee:" + traffic.EmployeeID(demoInsider): "reads too many customers' secrets",
		"account:" + traffic.AccountID(demoLastSeen):  "its key, which that employee saw, is used from elsewhere",
	}
}

// Run plays the demonstration.
func (d *demoCmd) Run(ctx context.Context, c *common) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	if c.DataDir == "" { // nothing of what a run keeps is touched
		cfg.DataDir = filepath.Join(cfg.DataDir, demoFolder)
	}
	if !cfg.EmbeddedBroker() || !cfg.EmbeddedClickHouse() {
		return fmt.Errorf("the demonstration uses the embedded engines: leave kafka.brokers and clickhouse.addr out")
	}
	if d.Speed <= 0 {
		return fmt.Errorf("--speed %g: give a number above 0", d.Speed)
	}
	if !d.Keep {
		if err := clearDemo(cfg.DataDir); err != nil {
			return err
		}
	}
	cfg.Observability.Listen = "127.0.0.1:0"
	a, err := app.New(cfg, app.Options{}, quiet())
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
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
	err = d.play(ctx, a, os.Stdout)
	if err == nil && !d.Check {
		<-ctx.Done()
		fmt.Println("\nstopping")
	}
	stop()
	if werr := g.Wait(); err == nil || ctx.Err() != nil && isCancelled(err) {
		err = werr
	}
	return err
}

// clearDemo removes an earlier demonstration, and nothing that is not one.
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
		if !unfinished && !halfWritten && !slices.Contains([]string{"kafka", "clickhouse", "secrets", "endpoints.json"}, n.Name()) {
			return fmt.Errorf("%s holds %s, which is no part of a demonstration: name another folder with --data-dir", dir, n.Name())
		}
	}
	if app.Alive(dir) {
		return fmt.Errorf("an instance runs on %s: stop it, or name another folder with --data-dir", dir)
	}
	return os.RemoveAll(dir)
}

func (d *demoCmd) play(ctx context.Context, a *app.App, out io.Writer) error {
	cfg := a.Config()
	now := time.Now().UTC().Truncate(time.Second)
	begin := now.Add(-time.Hour)
	fmt.Fprintf(out, "Holdfast runs on embedded engines (data in %s).\n", cfg.DataDir)
	fmt.Fprintf(out, "Three quiet weeks of %d accounts and %d employees first, so that everybody has habits ...\n", demoAccounts, demoEmployees)
	p, err := app.NewPlayer(&cfg)
	if err != nil {
		return err
	}
	defer p.Close()
	past := traffic.Config{Seed: 1, Accounts: demoAccounts, Employees: demoEmployees, Start: begin.Add(-demoHistory), Length: demoHistory}
	n, err := p.Play(ctx, traffic.Events(past), schemas.OriginImport, nil)
	if err != nil {
		return err
	}
	if err := p.Settled(ctx); err != nil {
		return err
	}
	fmt.Fprintf(out, "%d events of history are in. Now an hour of life, %g times faster than life:\n", n, d.Speed)
	fmt.Fprintf(out, "  minute 10  the key of %s leaks\n  minute 15  %s begins to read customers' secrets\n  minute 25  a botnet sends with the key of %s\n  minute 40  the key of %s, which the employee saw, is used from elsewhere\n\n",
		traffic.AccountID(demoLeaked), traffic.EmployeeID(demoInsider), traffic.AccountID(demoBotnet), traffic.AccountID(demoLastSeen))
	return d.present(ctx, p, begin, out)
}

func (d *demoCmd) present(ctx context.Context, p *app.Player, begin time.Time, out io.Writer) error {
	present := traffic.Config{
		Seed: 1, Accounts: demoAccounts, Employees: demoEmployees, Start: begin, Length: time.Hour,
		Incidents: []traffic.Incident{
			traffic.Leak(demoLeaked, begin.Add(10*time.Minute), 40*time.Minute),
			traffic.Insider(demoInsider, demoFirstSeen, demoLastSeen, begin.Add(15*time.Minute), begin.Add(40*time.Minute)),
			traffic.Botnet(demoBotnet, 120, begin.Add(25*time.Minute), 25*time.Minute),
		},
	}
	watch, cancel := context.WithCancel(ctx)
	defer cancel()
	stopped := map[string]bool{}
	var g errgroup.Group
	g.Go(func() error {
		return p.Watch(watch, func(x schemas.Decision) {
			if x.Mode == schemas.ModeLive && x.Verdict.Stops() {
				stopped[x.Entity.Key()] = true
				fmt.Fprintf(out, "%s  STOPPED %s: %s\n", x.Time.UTC().Format("15:04:05"), clean(x.Entity.Key()), clean(firstSentences(x.Reason, 160)))
			}
		})
	})
	_, err := p.Play(ctx, traffic.Events(present), schemas.OriginLive, app.Pace(begin, d.Speed))
	if err == nil {
		err = p.Settled(ctx)
	}
	cancel()
	if werr := g.Wait(); err == nil && !isCancelled(werr) {
		err = werr
	}
	if err != nil {
		return err
	}
	return d.verdict(stopped, p.DataDir(), out)
}

// verdict compares who was stopped with who should have been.
func (d *demoCmd) verdict(stopped map[string]bool, dir string, out io.Writer) error {
	var wrong []string
	want := demoEntities()
	for key, why := range want {
		if !stopped[key] {
			wrong = append(wrong, fmt.Sprintf("%s (%s) was not stopped", key, why))
		}
	}
	for key := range stopped {
		if want[key] == "" {
			wrong = append(wrong, key+" was stopped and had done nothing")
		}
	}
	slices.Sort(wrong)
	fmt.Fprintf(out, "\nThe hour is over: %d of %d attacked were stopped, and %d others.\n", len(want)-countMissing(want, stopped), len(want), len(stopped)-(len(want)-countMissing(want, stopped)))
	if d.Check && len(wrong) > 0 {
		return fmt.Errorf("the demonstration went wrong: %s", strings.Join(wrong, "; "))
	}
	if d.Check {
		fmt.Fprintln(out, "demonstration checked: 1 passed, 0 failed")
		return nil
	}
	fmt.Fprintf(out, "It goes on running. Look around from another terminal:\n")
	for _, cmd := range []string{
		"timeline account:" + traffic.AccountID(demoLeaked) + " --no-events --since 2h", "timeline employee:" + traffic.EmployeeID(demoInsider) + " --since 2h",
		"status account:" + traffic.AccountID(demoLastSeen), "release account:" + traffic.AccountID(demoLastSeen) + ` --why "keys rotated"`,
	} {
		fmt.Fprintf(out, "  %s --data-dir %s %s\n", os.Args[0], dir, cmd)
	}
	fmt.Fprintln(out, "Ctrl-C ends it.")
	return nil
}

func countMissing(want map[string]string, stopped map[string]bool) int {
	n := 0
	for key := range want {
		if !stopped[key] {
			n++
		}
	}
	return n
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
