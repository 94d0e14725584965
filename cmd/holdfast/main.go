// Command holdfast watches a platform that sends mail: see the README.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/alecthomas/kong"

	"holdfast/ingest/embedded/clickhouse"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == clickhouse.ChildCommand {
		os.Exit(clickhouse.Child())
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends what does not heed the first
	code := run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

// run carries out one command line and returns the exit code: 0 done, 1 failed, 2
// not understood.
func run(ctx context.Context, args []string) int {
	var c cli
	parser, err := kong.New(&c, kong.Name("holdfast"), kong.UsageOnError(),
		kong.Description("Detects compromised accounts on a mail platform, suspends them, and keeps an audit trail."),
		kong.BindTo(ctx, (*context.Context)(nil)))
	if err != nil {
		fmt.Fprintln(os.Stderr, "holdfast:", err)
		return 2
	}
	k, err := parser.Parse(helped(args))
	if err != nil {
		fmt.Fprintf(os.Stderr, "holdfast: %v: see %s --help\n", err, understood(err))
		return 2
	}
	err = k.Run(&c.common)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "holdfast: interrupted")
		return 130
	}
	fmt.Fprintln(os.Stderr, "holdfast:", err)
	return 1
}

// understood is as much of a command line as was a command.
func understood(err error) string {
	if p := (*kong.ParseError)(nil); errors.As(err, &p) {
		if n := p.Context.Selected(); n != nil {
			return n.FullPath()
		}
	}
	return "holdfast"
}

// helped makes what people try first when they look for help into what is
// understood: no command at all, help, help COMMAND and --version.
func helped(args []string) []string {
	switch {
	case len(args) == 0:
		return []string{"--help"}
	case args[0] == "help":
		return append(slices.Clone(args[1:]), "--help")
	case args[0] == "--version":
		return []string{"version"}
	}
	return args
}

// cli is the command line.
type cli struct {
	common

	Run  runCmd  `cmd:"" help:"Run Holdfast: all roles, or some."`
	Edge edgeCmd `cmd:"" help:"Answer mail servers whether an account may send, from a copy of the status topic."`
	Demo demoCmd `cmd:"" help:"Play four attacks on a small built-in mail platform and show how they are stopped."`

	Endpoints endpointsCmd `cmd:"" help:"Show where the running instance is, and the logins of its embedded engines."`

	Setup    setupCmd    `cmd:"" help:"Fetch libchdb, the ClickHouse engine for one machine."`
	Topics   topicsCmd   `cmd:"" help:"Create or check the topics."`
	Migrate  migrateCmd  `cmd:"" help:"Migrate the tables of the audit store."`
	Rebuild  rebuildCmd  `cmd:"" help:"Rebuild the state of detection from the audit store."`
	Upgrade  upgradeCmd  `cmd:"" help:"Finish an upgrade once every process runs this version."`
	Config   configCmd   `cmd:"" help:"Print or check the configuration."`
	Schema   schemaCmd   `cmd:"" help:"Print the JSON Schema of a record."`
	Import   importCmd   `cmd:"" help:"Import files of events."`
	Replay   replayCmd   `cmd:"" help:"Run detection and policies over files, without broker or database."`
	Backtest backtestCmd `cmd:"" help:"Replay history with other policies and compare with what was decided."`
	Policies policiesCmd `cmd:"" help:"List, print or check the policies and the detectors' numbers."`
	Series   seriesCmd   `cmd:"" help:"Score each row of a series of counts from the rows before it."`

	Simulate simulateCmd `cmd:"" help:"Generate a platform's traffic with labelled attacks, into files or into a running instance."`

	Case      caseCmd     `cmd:"" help:"Cases: list, show, and what people do on them."`
	Suspend   suspendCmd  `cmd:"" help:"Suspend an account or an employee by hand."`
	Block     blockCmd    `cmd:"" help:"Block an address by hand."`
	Throttle  throttleCmd `cmd:"" help:"Limit an account or an employee by hand."`
	Revoke    revokeCmd   `cmd:"" help:"Take one credential of an account away."`
	Release   actCmd      `cmd:"" help:"Release what was stopped."`
	Dismiss   actCmd      `cmd:"" help:"Close a review: false positive."`
	Confirm   actCmd      `cmd:"" help:"Confirm a finding: true positive."`
	Protect   actCmd      `cmd:"" help:"Let stops and releases of an account by hand need two people."`
	Unprotect actCmd      `cmd:"" help:"Let one person alone stop and release an account."`
	Approve   approveCmd  `cmd:"" help:"Approve, as the second person, an act that waits."`
	Decline   approveCmd  `cmd:"" help:"Decline an act that waits for a second person."`
	Bulk      bulkCmd     `cmd:"" help:"One act on many entities, with a preview."`
	Snooze    snoozeCmd   `cmd:"" help:"Expect signals of an entity for a while, list snoozes and end them."`
	Allow     allowCmd    `cmd:"" help:"Let an entity raise a detector's signals for a while."`
	Brake     brakeCmd    `cmd:"" aliases:"gate" help:"The brake on automatic stops."`
	People    peopleCmd   `cmd:"" help:"Who may do what: people, roles, tokens."`
	Audit     auditCmd    `cmd:"" help:"What people did, refused acts too."`
	Timeline  timelineCmd `cmd:"" help:"Show everything recorded about an entity, in order of time."`
	Status    statusCmd   `cmd:"" help:"Show an entity's status, and whether the platform has confirmed it."`
	List      listCmd     `cmd:"" help:"List entities that are stopped, throttled or under review."`
	Incident  incidentCmd `cmd:"" help:"Incidents: cases with one cause, whom it reached, credentials to renew, and what was ever seen."`
	Notice    noticeCmd   `cmd:"" help:"Notices: what is told to operators and customers."`
	Enforce   enforceCmd  `cmd:"" help:"What receivers have not confirmed yet, and telling them again."`
	Version   versionCmd  `cmd:"" help:"Print the version."`

	Proof       proofCmd       `cmd:"" help:"The log of proof: its key."`
	Erase       eraseCmd       `cmd:"" help:"Erase what the audit store has about an account; all other proofs hold."`
	Hold        holdCmd        `cmd:"" help:"Holds: what is neither erased nor expires."`
	Export      exportCmd      `cmd:"" help:"Write rows as CSV, NDJSON or Parquet, or events and findings as OCSF."`
	Scope       scopeCmd       `cmd:"" help:"Whom an employee or an address reached: customers, a share of all, reads of many, credentials used afterwards."`
	Certificate certificateCmd `cmd:"" help:"Certificates of being affected by an incident, or not."`
	Verify      verifyCmd      `cmd:"" help:"Hold the audit store against the log of proof: what was changed, added or taken away."`
}
