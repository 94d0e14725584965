package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"holdfast/cmd/internal/world"
)

type simulateCmd struct {
	Out        string        `arg:"" optional:"" placeholder:"OUT" help:"A folder for events and labels; a file for events alone (.ndjson, .ndjson.gz); - is standard output."`
	Profile    string        `default:"mixed" help:"Kind of customers: mixed, shop, saas, newsletter, agency, business; mail (who writes to whom alone); sshd (logins alone)."`
	Accounts   int           `default:"400" help:"Customers."`
	Employees  int           `default:"60" help:"Staff."`
	Days       int           `default:"28" help:"Length."`
	Start      string        `placeholder:"DATE" help:"First day, as 2026-03-02 (default: so many days ago, so that it ends with yesterday)."`
	Seed       uint64        `default:"1" help:"A different seed gives a different platform."`
	Attacks    int           `default:"5" help:"Attacks of each kind."`
	Lookalikes int           `default:"5" help:"Honest events of each kind that look like attacks."`
	Kinds      []string      `placeholder:"KIND" help:"Only these kinds of attack and look-alike (default: all; --list-kinds prints them)."`
	Rate       float64       `default:"20" help:"Messages per account and day, on average."`
	URL        string        `name:"url" placeholder:"URL" help:"Send to a running instance's POST /v1/events in place of writing files."`
	TokenFile  string        `placeholder:"FILE" help:"Holds the bearer token for --url (default: HOLDFAST_TOKEN)."`
	Speed      float64       `placeholder:"TIMES" help:"With --url: how many times faster than life (default: as fast as possible)."`
	Follow     bool          `help:"With --url: end with today; send what has passed at once and the rest when its time comes."`
	Labels     string        `placeholder:"DIR" help:"With --url, a file or standard output: write truth.csv, traps.csv and harm.csv here."`
	ListKinds  bool          `help:"Print the profile's kinds of attack and look-alike, and exit."`
	Timeout    time.Duration `default:"1m" help:"With --url: of one request."`
}

// Run makes the traffic.
func (s *simulateCmd) Run(ctx context.Context) error {
	if s.ListKinds {
		fmt.Println("attacks:", strings.Join(world.AttackKinds(s.Profile), " "))
		fmt.Println("look-alikes:", strings.Join(world.LookalikeKinds(s.Profile), " "))
		return nil
	}
	o, err := s.options(time.Now())
	if err != nil {
		return err
	}
	w, err := world.New(o)
	if err != nil {
		return err
	}
	begin := time.Now()
	sum, err := s.to(ctx, w, o)
	switch {
	case err != nil && ctx.Err() == nil:
		return err
	case err != nil:
		fmt.Fprint(os.Stderr, "not done; so far: ")
	}
	took := time.Since(begin)
	fmt.Fprintf(os.Stderr, "%d events, %d of them attackers' sends; %d attacks, %d look-alikes; %s, %.0f events/s\n",
		sum.Events, sum.Harm, sum.Attacks, sum.Lookalikes, took.Round(time.Millisecond), float64(sum.Events)/took.Seconds())
	return err
}

func (s *simulateCmd) options(now time.Time) (world.Options, error) {
	o := world.Options{Profile: s.Profile, Seed: s.Seed, Accounts: s.Accounts, Employees: s.Employees, Days: s.Days,
		Attacks: s.Attacks, Lookalikes: s.Lookalikes, Kinds: s.Kinds, Rate: s.Rate}
	o.Start = now.UTC().Truncate(24*time.Hour).AddDate(0, 0, -s.Days)
	if s.Follow {
		o.Start = o.Start.AddDate(0, 0, 1)
	}
	if s.Start != "" {
		t, err := time.Parse(time.DateOnly, s.Start)
		if err != nil {
			return o, fmt.Errorf("--start %q: write a date as 2026-03-02", s.Start)
		}
		o.Start = t
	}
	switch {
	case (s.Out == "") == (s.URL == ""):
		return o, errors.New("name either a folder or file to write, or --url of an instance to send to")
	case s.URL != "" && !strings.HasPrefix(s.URL, "http://") && !strings.HasPrefix(s.URL, "https://"):
		return o, fmt.Errorf("--url %q: write http://HOST:PORT or https://HOST:PORT", s.URL)
	case s.Follow && (s.URL == "" || s.Start != "" || s.Speed != 0):
		return o, errors.New("--follow goes with --url, and without --start and --speed")
	case s.Speed < 0 || s.Speed > 0 && s.URL == "":
		return o, fmt.Errorf("--speed %g: give a number above 0, together with --url", s.Speed)
	}
	return o, o.Validate()
}

func (s *simulateCmd) to(ctx context.Context, w *world.World, o world.Options) (world.Summary, error) {
	if s.URL == "" && s.folder() {
		return w.WriteDir(ctx, s.Out)
	}
	var c world.Counter
	var err error
	if s.URL != "" {
		err = s.post(ctx, w, o.Start, &c)
	} else {
		err = w.WriteFile(ctx, s.Out, os.Stdout, c.See)
	}
	if s.Labels != "" && (err == nil || isCancelled(err)) { // a world that follows the clock is seldom seen to its end
		err = errors.Join(err, w.WriteLabels(s.Labels, &c))
	}
	return w.Summary(&c), err
}

// folder tells a folder from a file by its name.
func (s *simulateCmd) folder() bool {
	if s.Out == "-" {
		return false
	}
	for _, end := range []string{".ndjson", ".json", ".jsonl", ".gz"} {
		if strings.HasSuffix(s.Out, end) {
			return false
		}
	}
	return true
}

// The batches that are posted: so many bytes, or what came within this time.
const (
	postBytes = 1 << 20
	postAfter = 200 * time.Millisecond
)

// post sends the events in their order, waiting where a speed is set.
func (s *simulateCmd) post(ctx context.Context, w *world.World, begin time.Time, c *world.Counter) error {
	token, err := s.token()
	if err != nil {
		return err
	}
	p := poster{url: strings.TrimSuffix(s.URL, "/") + "/v1/events", token: token, client: &http.Client{Timeout: s.Timeout}}
	due := s.due(begin)
	last := time.Now()
	for e := range w.Events() {
		if d := due(e.Time); d > postAfter || d > 0 && time.Since(last) >= postAfter { // nothing lies about meanwhile
			if err := p.flush(ctx); err != nil {
				return err
			}
			last = time.Now()
		}
		if err := sleep(ctx, due(e.Time)); err != nil {
			return err
		}
		c.See(e)
		p.body.Write(e.JSON)
		p.body.WriteByte('\n')
		if p.body.Len() >= postBytes {
			if err := p.flush(ctx); err != nil {
				return err
			}
			last = time.Now()
		}
	}
	return p.flush(ctx)
}

// due tells how long it is until an event's turn.
func (s *simulateCmd) due(begin time.Time) func(time.Time) time.Duration {
	start := time.Now()
	switch {
	case s.Speed > 0:
		return func(at time.Time) time.Duration {
			return time.Until(start.Add(time.Duration(float64(at.Sub(begin)) / s.Speed)))
		}
	case s.Follow:
		return time.Until
	}
	return func(time.Time) time.Duration { return 0 }
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

func (s *simulateCmd) token() (string, error) {
	if s.TokenFile == "" {
		return os.Getenv("HOLDFAST_TOKEN"), nil
	}
	b, err := os.ReadFile(s.TokenFile)
	return strings.TrimSpace(string(b)), err
}

type poster struct {
	url, token string
	client     *http.Client
	body       bytes.Buffer
	answered   bool // an instance is there
}

// maxTries bounds how often one body is offered to an instance that is busy, or away
// after it was there.
const maxTries = 8

func (p *poster) flush(ctx context.Context) error {
	if p.body.Len() == 0 {
		return nil
	}
	defer p.body.Reset()
	for try := 1; ; try++ {
		retry, err := p.once(ctx)
		if err == nil || !retry || try == maxTries {
			return err
		}
		if err := sleep(ctx, time.Duration(try)*500*time.Millisecond); err != nil {
			return err
		}
	}
}

// once posts the body. The same body can be sent again: ids make that harmless.
func (p *poster) once(ctx context.Context) (retry bool, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(p.body.Bytes()))
	if err != nil {
		return false, err
	}
	r.Header.Set("Content-Type", "application/x-ndjson")
	if p.token != "" {
		r.Header.Set("Authorization", "Bearer "+p.token)
	}
	resp, err := p.client.Do(r)
	switch {
	case err != nil && !p.answered && ctx.Err() == nil:
		return false, fmt.Errorf("%w: is an instance running there, with intake.http.listen set?", err)
	case err != nil:
		return ctx.Err() == nil, err
	}
	p.answered = true
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10)) // the status and its beginning say enough
	if resp.StatusCode == http.StatusOK && bytes.Contains(text, []byte(`"refused_count":0`)) {
		return false, nil
	}
	retry = resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= 500
	const enough = 400 // the first of the refused lines
	if len(text) > enough {
		text = append(text[:enough], "…"...)
	}
	if resp.StatusCode == http.StatusOK {
		return false, fmt.Errorf("%s refused events: %s", p.url, clean(string(bytes.TrimSpace(text))))
	}
	return retry, fmt.Errorf("%s answered %s: %s", p.url, resp.Status, clean(string(bytes.TrimSpace(text))))
}
