package app

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	chgo "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/go-json-experiment/json"
	"go.yaml.in/yaml/v4"

	"holdfast/ingest/history"
	"holdfast/schemas"
)

const grafanaFolder = "../../../deploy/grafana"

// dashboard is what the tests look at in one of deploy/grafana/dashboards.
type dashboard struct {
	UID        string  `json:"uid"`
	Title      string  `json:"title"`
	Panels     []panel `json:"panels"`
	Templating struct {
		List []struct {
			Name    string `json:"name"`
			Type    string `json:"type"`
			Query   string `json:"query"`
			Current struct {
				Value string `json:"value"`
			} `json:"current"`
		} `json:"list"`
	} `json:"templating"`
}

type panel struct {
	ID          int    `json:"id"`
	Type        string `json:"type"`
	Title       string `json:"title"`
	Description string `json:"description"`
	Targets     []struct {
		Datasource struct {
			Type string `json:"type"`
			UID  string `json:"uid"`
		} `json:"datasource"`
		Expr      string `json:"expr"`
		SQL       string `json:"rawSql"`
		QueryType string `json:"queryType"`
	} `json:"targets"`
}

func dashboards(t *testing.T) (out []dashboard) {
	t.Helper()
	paths, err := filepath.Glob(grafanaFolder + "/dashboards/*.json")
	if err != nil || len(paths) < 3 {
		t.Fatalf("dashboards: %v %v", paths, err)
	}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var d dashboard
		if err := json.Unmarshal(b, &d); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if d.UID != "holdfast-"+strings.TrimSuffix(filepath.Base(path), ".json") {
			t.Errorf("%s has the uid %s", path, d.UID)
		}
		out = append(out, d)
	}
	return out
}

// The dashboards name the data sources that are provisioned, and every panel says what it
// shows.
func TestDashboardsAreWhole(t *testing.T) {
	b, err := os.ReadFile(grafanaFolder + "/provisioning/datasources/holdfast.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var sources struct {
		Datasources []struct {
			UID  string `yaml:"uid"`
			Type string `yaml:"type"`
		} `yaml:"datasources"`
	}
	if err := yaml.Unmarshal(b, &sources); err != nil {
		t.Fatal(err)
	}
	for _, d := range dashboards(t) {
		types := map[string]string{}
		for _, v := range d.Templating.List {
			if v.Type != "datasource" {
				continue
			}
			types["${"+v.Name+"}"] = v.Query
			if !slices.ContainsFunc(sources.Datasources, func(s struct {
				UID  string `yaml:"uid"`
				Type string `yaml:"type"`
			}) bool {
				return s.UID == v.Current.Value && s.Type == v.Query
			}) {
				t.Errorf("%s: variable %s is %s of type %s, which is not provisioned", d.Title, v.Name, v.Current.Value, v.Query)
			}
		}
		ids := map[int]bool{}
		for _, p := range d.Panels {
			if ids[p.ID] || p.Title == "" {
				t.Errorf("%s: panel %d %q has the id of another one, or no title", d.Title, p.ID, p.Title)
			}
			if ids[p.ID] = true; p.Type == "row" {
				continue
			}
			if p.Description == "" || len(p.Targets) == 0 {
				t.Errorf("%s: panel %q has no description or asks nothing", d.Title, p.Title)
			}
			for _, x := range p.Targets {
				if types[x.Datasource.UID] != x.Datasource.Type || (x.Expr == "") == (x.SQL == "") {
					t.Errorf("%s: panel %q asks %s of type %s for %q", d.Title, p.Title, x.Datasource.UID, x.Datasource.Type, x.Expr+x.SQL)
				}
			}
		}
	}
}

// mayBeEmpty are panels of what did not happen in the hour that the test plays.
var mayBeEmpty = []string{
	"Braked and shadowed decisions", "Hours from stop to release", "Changes at receivers", "Notices", "Changes that are not done", "Gaps", "Rejected records",
}

// Every statement of the dashboards is asked as the read-only user, in the way of Grafana's
// plugin, of a store that a platform with one leaked key was recorded in.
func TestDashboardsAskWhatTheReaderMay(t *testing.T) {
	needEngine(t)
	a, _ := launch(t, testConfig(t, t.TempDir()), Options{})
	cfg := a.Config()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	p, err := NewPlayer(&cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	past, present := small(time.Now().UTC().Add(-time.Hour).Truncate(time.Second))
	if _, err := p.Play(ctx, past, schemas.OriginImport, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Play(ctx, present, schemas.OriginLive, nil); err != nil {
		t.Fatal(err)
	}
	act(t, a, schemas.Entity{Kind: schemas.KindAccount, ID: "acct-0002"}, "throttle")
	store, err := OpenStore(&cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	within(t, 2*time.Minute, "the rows are not there", func() bool {
		counts, err := history.New(store).Counts(ctx)
		have := map[string]uint64{}
		for _, c := range counts {
			have[c.Table] = c.Rows
		}
		var stops uint64
		return err == nil && have["decisions"] > 0 && have["cases"] > 1 && have["operator"] > 0 &&
			store.QueryRow(ctx, "SELECT countIf(verdict = 'suspend') FROM decisions_now").Scan(&stops) == nil && stops > 0
	})
	at, err := ReadEndpoints(cfg.DataDir)
	if err != nil {
		t.Fatal(err)
	}
	reader, err := chgo.Open(&chgo.Options{
		Addr: at.ClickHouse, Protocol: chgo.HTTP,
		Auth:     chgo.Auth{Database: at.ReaderLogin.Database, Username: at.ReaderLogin.User, Password: at.ReaderLogin.Password},
		Settings: chgo.Settings{"max_execution_time": 30},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if err := reader.Exec(ctx, "INSERT INTO cases (id) SELECT 'x'"); err == nil {
		t.Error("the reader may write")
	}
	to := time.Now().Add(time.Minute)
	asked := 0
	for _, d := range dashboards(t) {
		for _, p := range d.Panels {
			for _, x := range p.Targets {
				if x.SQL == "" {
					continue
				}
				for _, entity := range []string{"", "account:acct-0004"} {
					sql := expand(t, x.SQL, to.Add(-24*time.Hour), to, entity)
					n, columns, err := answerTo(ctx, reader, sql)
					asked++
					switch {
					case err != nil:
						t.Errorf("%s: %s: %v\n%s", d.Title, p.Title, err, sql)
					case n == 0 && entity == "" && !slices.Contains(mayBeEmpty, p.Title):
						t.Errorf("%s: %s shows nothing:\n%s", d.Title, p.Title, sql)
					case x.QueryType == "timeseries" && n > 0 && columns[0] != "t":
						t.Errorf("%s: %s is a time series whose first column is %s", d.Title, p.Title, columns[0])
					}
				}
			}
		}
	}
	if asked < 40 {
		t.Errorf("only %d statements were asked", asked)
	}
}

// answerTo counts the rows of an answer, and names its columns.
func answerTo(ctx context.Context, conn chgo.Conn, sql string) (n int, columns []string, err error) {
	rows, err := conn.Query(ctx, sql)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		n++
	}
	return n, rows.Columns(), rows.Err()
}

var macro = regexp.MustCompile(`\$__?[A-Za-z_]+(\([^()]*\))?|\$\{[^}]*\}`)

// expand does what Grafana and its ClickHouse plugin do with a statement.
func expand(t *testing.T, sql string, from, to time.Time, entity string) string {
	t.Helper()
	date := func(at time.Time) string { return fmt.Sprintf("toDateTime(%d)", at.Unix()) }
	return macro.ReplaceAllStringFunc(sql, func(m string) string {
		name, arg, _ := strings.Cut(strings.TrimSuffix(m, ")"), "(")
		switch name {
		case "$__timeFilter":
			return fmt.Sprintf("%s >= %s AND %s <= %s", arg, date(from), arg, date(to))
		case "$__timeInterval":
			return fmt.Sprintf("toStartOfInterval(toDateTime(%s), INTERVAL 60 second)", arg)
		case "$__fromTime":
			return date(from)
		case "$__toTime":
			return date(to)
		case "${entity:sqlstring}":
			return "'" + strings.ReplaceAll(entity, "'", "''") + "'"
		}
		t.Errorf("%s is no macro that is known here", m)
		return m
	})
}

// The statements that make the read-only user on another ClickHouse are read by the
// engine's own parser: the embedded one has no users of its own to make.
func TestTheReadersStatements(t *testing.T) {
	needEngine(t)
	b, err := os.ReadFile("../../../deploy/clickhouse/grafana.sql")
	if err != nil {
		t.Fatal(err)
	}
	a, _ := launch(t, testConfig(t, t.TempDir()), Options{Roles: []Role{RoleRecord}})
	cfg := a.Config()
	store, err := OpenStore(&cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	within(t, time.Minute, "the audit store does not answer", func() bool { return store.Ping(t.Context()) == nil })
	n := 0
	for s := range strings.SplitSeq(string(b), "\n;\n") {
		if s = regexp.MustCompile(`(?m)^--.*\n?`).ReplaceAllString(s, ""); strings.TrimSpace(s) == "" {
			continue
		}
		n++
		var read string
		if err := store.QueryRow(t.Context(), "SELECT formatQuery(?)", s).Scan(&read); err != nil || !strings.Contains(read, "reader") {
			t.Errorf("%s: %v", s, err)
		}
	}
	if n != 7 {
		t.Errorf("%d statements", n)
	}
	var bad string
	if err := store.QueryRow(t.Context(), "SELECT formatQuery('CREATE QUOTA x FOR INTERVAL MAX')").Scan(&bad); err == nil {
		t.Error("a broken statement was read")
	}
}
