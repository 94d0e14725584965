package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/mod/sumdb/note"

	"holdfast/cmd/internal/app"
	"holdfast/ingest/proof"
)

type verifyCmd struct {
	Checkpoint []string `placeholder:"FILE" help:"A checkpoint that was kept elsewhere: the log must go on from it. May be given several times."`
	Log        string   `placeholder:"DIR" help:"The log's folder, or a copy of it (default: proof.dir)."`
	Key        string   `placeholder:"FILE" help:"The public key (default: that of this installation)."`
	Table      []string `placeholder:"NAME" help:"Check these tables only."`
	NoJournals bool     `help:"Do not ask the broker what the journals still hold."`
	JSON       bool     `help:"As JSON: a line for each finding, then the report."`
}

// errFound makes the command fail where something was found.
var errFound = errors.New("the audit store is not as the log of proof says")

// Run verifies.
func (v *verifyCmd) Run(ctx context.Context, c *common) error {
	cfg, err := c.running()
	if errors.Is(err, app.ErrNotRunning) && len(cfg.ClickHouse.Addr) > 0 {
		err = nil
	}
	if err != nil {
		return err
	}
	store, err := app.OpenStore(&cfg, quiet())
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	x := &proof.Verifier{Dir: cfg.ProofDir(), Store: store, Tables: v.Table}
	if v.Log != "" {
		x.Dir = v.Log
	}
	if x.Key, err = v.key(app.ProofKeyFile(&cfg) + ".pub"); err != nil {
		return err
	}
	for _, name := range v.Checkpoint {
		b, err := os.ReadFile(name) // #nosec G304 -- the user names it
		if err != nil {
			return err
		}
		x.Kept = append(x.Kept, proof.Kept{Name: name, Note: b})
	}
	if !v.NoJournals && len(cfg.Kafka.Brokers) > 0 {
		client, err := app.Connect(&cfg, quiet())
		if err != nil {
			return err
		}
		defer client.Close()
		x.Journals = proof.OnKafka(client, cfg.Kafka.Prefix, cfg.Kafka.Prefix+"record")
	}
	var failed error
	x.Found = func(f proof.Finding) {
		if v.JSON {
			failed = errors.Join(failed, jsonLine(os.Stdout, f))
		} else {
			_, err := fmt.Println(shownFinding(f))
			failed = errors.Join(failed, err)
		}
	}
	r, err := x.Run(ctx)
	if err = errors.Join(err, failed); err != nil {
		return err
	}
	if v.JSON {
		err = jsonLine(os.Stdout, r)
	} else {
		err = printReport(r)
	}
	if err == nil && r.Findings > 0 {
		err = fmt.Errorf("%w: %d findings", errFound, r.Findings)
	}
	return err
}

func (v *verifyCmd) key(own string) (note.Verifier, error) {
	file := v.Key
	if file == "" {
		file = own
	}
	k, _, err := proof.ReadVerifier(file)
	return k, err
}

// shownFinding is a finding in one line.
func shownFinding(f proof.Finding) string {
	out := fmt.Sprintf("%-9s %s", f.What, f.Table)
	if f.ID != "" {
		out += " " + clean(f.ID)
	}
	if !f.Time.IsZero() {
		out += " of " + f.Time.UTC().Format(time.RFC3339Nano)
	}
	if f.Topic != "" {
		out += fmt.Sprintf(" (%s/%d@%d)", f.Topic, f.Partition, f.Offset)
	}
	return out + ": " + clean(f.Detail)
}

func printReport(r *proof.Report) error {
	say := func(format string, a ...any) { fmt.Printf(format+"\n", a...) }
	say("log of proof %s: %d leaves, signed %s", r.Origin, r.Leaves, r.Signed.Format(time.RFC3339))
	if r.Checkpoints > 0 {
		say("%d checkpoints that were kept elsewhere are parts of it", r.Checkpoints)
	}
	say("%d rows in %d batches are as they were committed to", r.Rows, r.Batches)
	if r.Pending > 0 {
		say("%d rows are too young: not covered or not recorded yet", r.Pending)
	}
	if r.Refused > 0 {
		say("%d records were refused by the store (table rejected)", r.Refused)
	}
	for _, x := range r.Removed {
		verb := "erased"
		if x.Kind == proof.KindExpiry {
			verb = "expired"
		}
		say("%d rows: %s on %s by %s: %s (%s)", x.Rows, verb, x.Time.UTC().Format(time.RFC3339), clean(x.By), clean(x.Why), x.ID)
	}
	for _, s := range r.NotCovered {
		say("not covered: %s, partition %d, offsets %d to %d, %d rows: %s", s.Table, s.Partition, s.From, s.To-1, s.Rows, s.Why)
	}
	_, err := fmt.Printf("%d findings\n", r.Findings)
	return err
}
