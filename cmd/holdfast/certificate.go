package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"holdfast/cmd/internal/app"
	"holdfast/cmd/internal/config"
	"holdfast/ingest/clickhouse"
	"holdfast/ingest/kafka"
	"holdfast/ingest/proof"
)

// stretch is an incident's cause and time.
type stretch struct {
	From string `placeholder:"WHEN" help:"From this time on: 30d, 2026-01-02 or 2026-01-02T15:04:05Z."`
	To   string `placeholder:"WHEN" help:"Before this time (default: now)."`
}

func (s *stretch) times() (from, to time.Time, err error) {
	if from, err = when("--from", s.From); err != nil {
		return from, to, err
	}
	if to, err = when("--to", s.To); err == nil && to.IsZero() {
		to = time.Now().UTC().Truncate(time.Second)
	}
	if err == nil && !from.Before(to) {
		err = errors.New("--from must lie before --to")
	}
	return from, to, err
}

type scopeCmd struct {
	Entity string `arg:"" help:"employee:ID, or an address."`
	stretch
	Commit bool   `help:"Put the result into the log of proof, so that certificates can be made of it."`
	Why    string `placeholder:"TEXT" help:"The reason, with --commit."`
	Actor  string `placeholder:"NAME" help:"Who asks (default: the user of this machine)."`
	JSON   bool   `help:"As JSON."`
}

// Run finds the scope.
func (s *scopeCmd) Run(ctx context.Context, c *common) error {
	if s.Commit && s.Why == "" {
		return errors.New("--commit needs --why: the reason is kept for auditors")
	}
	w, err := c.witness()
	if err != nil {
		return err
	}
	defer w.close()
	x, err := w.scope(ctx, s.Entity, &s.stretch)
	if err != nil {
		return err
	}
	if s.Commit {
		r, err := app.CommitRun(ctx, w.client, &w.cfg, w.store, x, actorOr(s.Actor), s.Why)
		if err != nil {
			return err
		}
		if s.JSON {
			return printJSON(r)
		}
		defer fmt.Printf("committed as %s: holdfast certificate --run %s --account ID\n", r.ID, r.ID)
	} else if s.JSON {
		return printJSON(x)
	}
	return printScope(x)
}

func printScope(x *proof.Scope) error {
	fmt.Printf("%s, %s to %s\n", clean(x.Entity), x.From.Format(time.RFC3339), x.To.Format(time.RFC3339))
	fmt.Printf("reached %d of %d customers (%.1f %%) in %d records, %d rows read\n", len(x.Reached), x.Accounts, 100*x.Share, x.Records, x.Rows)
	fmt.Printf("reads of many: %d with %d rows; %d of them with %d rows name no customer: whom they reached is not known\n", x.Bulk, x.BulkRows, x.Blind, x.BlindRows)
	out := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(out, "CUSTOMER\tFIRST\tLAST\tRECORDS\tROWS\tSECRETS\tHOW")
	for _, r := range x.Reached {
		secret := "-"
		if r.Secret {
			secret = "seen"
		}
		fmt.Fprintf(out, "%s\t%s\t%s\t%d\t%d\t%s\t%s\n", clean(r.Account), r.First.UTC().Format(time.RFC3339), r.Last.UTC().Format(time.RFC3339), r.Records, r.Rows, secret, clean(strings.Join(r.Actions, " ")))
	}
	if err := out.Flush(); err != nil {
		return err
	}
	if len(x.Used) == 0 {
		_, err := fmt.Println("no credential of a customer whose secrets were seen was used from a new address afterwards")
		return err
	}
	fmt.Fprintln(out, "USED AFTERWARDS\tCREDENTIAL\tNEW ADDRESS\tSINCE\tEVENTS")
	for _, u := range x.Used {
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%d\n", clean(u.Account), clean(u.Credential), clean(u.Address), u.First.UTC().Format(time.RFC3339), u.Events)
	}
	return out.Flush()
}

type certificateCmd struct {
	Make  certificateMakeCmd  `cmd:"" default:"withargs" help:"Make the certificate of one account: affected, or not affected."`
	Check certificateCheckCmd `cmd:"" help:"Check a certificate with the public key alone."`
}

type certificateMakeCmd struct {
	Account string `required:"" placeholder:"ID" help:"Whom it is for."`
	RunID   string `name:"run" placeholder:"ID" help:"A run that was committed (holdfast scope --commit)."`
	Of      string `placeholder:"ENTITY" help:"Commit a run now, of what this employee or address reached."`
	stretch
	Why   string `placeholder:"TEXT" help:"The reason, with --of."`
	Actor string `placeholder:"NAME" help:"Who asks (default: the user of this machine)."`
	Out   string `short:"o" placeholder:"FILE" help:"Write here, not to standard output."`
}

// AfterApply checks what is needed together.
func (x *certificateMakeCmd) AfterApply() error {
	if (x.RunID == "") == (x.Of == "") {
		return errors.New("give --run, or --of with --from")
	}
	if x.Of != "" && x.Why == "" {
		return errors.New("--of needs --why: the reason is kept for auditors")
	}
	return nil
}

// Run makes the certificate, and waits for the checkpoint that it needs.
func (x *certificateMakeCmd) Run(ctx context.Context, c *common) error {
	w, err := c.witness()
	if err != nil {
		return err
	}
	defer w.close()
	id := x.RunID
	if x.Of != "" {
		s, err := w.scope(ctx, x.Of, &x.stretch)
		if err != nil {
			return err
		}
		r, err := app.CommitRun(ctx, w.client, &w.cfg, w.store, s, actorOr(x.Actor), x.Why)
		if err != nil {
			return err
		}
		id = r.ID
	}
	r, seed, e, err := proof.ReadRun(ctx, w.store, id)
	if err != nil {
		return err
	}
	keys, err := app.ProofKeys(&w.cfg, "")
	if err != nil {
		return err
	}
	var b []byte
	told := false
	for deadline := time.Now().Add(2*w.cfg.Proof.Every + time.Minute); ; {
		if b, err = proof.Certify(r, seed, e, x.Account, w.cfg.ProofDir(), keys); !errors.Is(err, proof.ErrNotYet) || time.Now().After(deadline) {
			break
		}
		if !told {
			fmt.Fprintln(os.Stderr, "waiting for the checkpoint that covers the run …")
			told = true
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if err != nil {
		return err
	}
	if x.Out != "" {
		return os.WriteFile(x.Out, b, 0o600)
	}
	_, err = os.Stdout.Write(b)
	return err
}

type certificateCheckCmd struct {
	File string `arg:"" help:"The certificate."`
	Key  string `placeholder:"FILE" help:"The public key (default: that of this installation)."`
}

// Run checks.
func (x *certificateCheckCmd) Run(c *common) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	file := x.Key
	if file == "" {
		file = app.ProofKeyFile(&cfg) + ".pub"
	}
	v, _, err := proof.ReadVerifier(file)
	if err != nil {
		return err
	}
	b, err := os.ReadFile(x.File) // #nosec G304 -- the user names it
	if err != nil {
		return err
	}
	k, err := proof.OpenCertificate(b, v)
	if err != nil {
		return err
	}
	_, err = fmt.Printf("%s: %s, by run %s, leaf %d of %d in the log %s\n", clean(k.Account), k.Result, k.Run, k.Index, k.Size, v.Name())
	return err
}

// witness is what questions about an incident need.
type witness struct {
	cfg    config.Config
	client *kafka.Client
	store  *clickhouse.Client
}

func (c *common) witness() (*witness, error) {
	cfg, err := c.running()
	if err != nil {
		return nil, err
	}
	w := &witness{cfg: cfg}
	if w.store, err = app.OpenStore(&cfg, quiet()); err != nil {
		return nil, err
	}
	if w.client, err = app.Connect(&cfg, quiet()); err != nil {
		_ = w.store.Close()
		return nil, err
	}
	return w, nil
}

func (w *witness) close() {
	w.client.Close()
	_ = w.store.Close()
}

func (w *witness) scope(ctx context.Context, of string, s *stretch) (*proof.Scope, error) {
	from, to, err := s.times()
	if err != nil {
		return nil, err
	}
	e, err := entity(of)
	if err != nil {
		return nil, err
	}
	return proof.FindScope(ctx, w.store, e, from, to)
}
