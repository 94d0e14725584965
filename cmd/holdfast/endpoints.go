package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"holdfast/cmd/internal/app"
	"holdfast/cmd/internal/config"
)

type endpointsCmd struct {
	JSON bool `help:"As JSON."`
}

// endpointsAnswer is what the command prints: where the instance is, with passwords,
// and a command line that asks its audit store.
type endpointsAnswer struct {
	app.Endpoints
	Curl string `json:"curl,omitempty"`
}

// Run shows where the running instance is and how to log in to its engines. The
// passwords are shown to whoever may read the secrets' files, who has them anyway.
func (e *endpointsCmd) Run(c *common) error {
	var at app.Endpoints
	_, err := c.find(func(cfg *config.Config) (err error) {
		at, err = app.ReadEndpoints(cfg.DataDir)
		return err
	})
	if err != nil {
		return err
	}
	a := endpointsAnswer{at, curlCommand(at)}
	if e.JSON {
		return printJSON(a)
	}
	return a.print(os.Stdout)
}

func (a endpointsAnswer) print(w io.Writer) error {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-14s "+format+"\n", append([]any{name}, args...)...)
	}
	login := func(name string, l *app.Login) {
		switch {
		case l == nil:
		case l.PasswordFile == "":
			line("  "+name, "%s, with the password of the configuration", l.User)
		default:
			line("  "+name, "%s, password %s (in %s)", l.User, l.Password, l.PasswordFile)
		}
	}
	line("process", "%d, since %s", a.PID, a.Started.Format(time.RFC3339))
	if a.Observability != "" {
		line("observability", "http://%s/metrics, /healthz, /readyz", a.Observability)
	}
	if a.Intake != "" {
		line("intake", "%s/v1/events", a.Intake)
	}
	line("kafka", "%s%s", strings.Join(a.Kafka, ","), mechanism(a.KafkaLogin))
	login("user", a.KafkaLogin)
	line("clickhouse", "%s", strings.Join(a.ClickHouse, ","))
	login("user", a.ClickHouseLogin)
	login("read-only", a.ReaderLogin)
	if a.Auth == "peer" {
		line("", "processes of this user and of root need no password (embedded.auth: peer)")
	}
	if a.Curl != "" {
		fmt.Fprintf(&b, "\nAsk the audit store as the read-only user:\n  %s\n", a.Curl)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func mechanism(l *app.Login) string {
	if l == nil {
		return ""
	}
	return ", SASL " + l.Mechanism + " without TLS"
}

// curlCommand asks the embedded audit store as its read-only user. curl reads the
// password from its standard input: on its command line every user could see it.
func curlCommand(at app.Endpoints) string {
	r := at.ReaderLogin
	if r == nil || at.ClickHouseURL == "" || r.PasswordFile == "" {
		return ""
	}
	return fmt.Sprintf(`printf 'user = "%s:%%s"' "$(cat %s)" | curl -sS -K - '%s/?database=%s' --data-binary "SELECT count() FROM events_unique"`,
		r.User, quoted(r.PasswordFile), at.ClickHouseURL, r.Database)
}

// quoted writes a path as one word of a shell.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
