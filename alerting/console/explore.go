package console

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"holdfast/alerting/api"
	"holdfast/schemas"
)

// exploreData is a question and its answer.
type exploreData struct {
	Query  url.Values
	Mode   string // filter or sql
	From   string // events, signals or decisions
	SQL    string
	Table  *api.Table
	Cells  [][]string
	Link   []bool // columns whose values are entities
	Wrong  string
	Chart  *chart
	Views  []api.View
	Days   int
	Before bool // compared with the period before
	By     string
	Bys    []string
	Types  []string
	Save   bool
	Rows   int
	Here   string
}

// Export is where the answer is a file of a format. It is a whole address: what is put behind
// the question mark of a template's own would be escaped as one value.
func (d exploreData) Export(format string) string {
	return "/explore." + format + "?" + d.Query.Encode()
}

// exploreFrom is what can be asked: the view, and by which columns.
var exploreFrom = map[string]struct {
	table   string
	by      []string
	filters []string
}{
	"events":    {"events_unique", []string{"account", "ip", "type", "credential", "employee", "outcome", "country", "user_agent", "source"}, []string{"type", "account", "ip", "employee", "credential", "outcome", "user_agent"}},
	"signals":   {"signals", []string{"detector", "family", "severity", "entity", "account", "mode"}, []string{"entity", "account", "detector", "severity"}},
	"decisions": {"decisions_unique", []string{"policy", "verdict", "entity", "account", "mode", "by"}, []string{"entity", "account", "policy", "verdict", "mode"}},
}

// literal is a text as ClickHouse reads it.
func literal(s string) string {
	var b strings.Builder
	b.WriteByte('\'')
	for i := range len(s) {
		if s[i] == '\'' || s[i] == '\\' {
			b.WriteByte('\\')
		}
		if s[i] != 0 {
			b.WriteByte(s[i])
		}
	}
	b.WriteByte('\'')
	return b.String()
}

// exploreSQL makes the question that filters mean, and that of the series. Nothing but
// literals comes from outside. Where the period before is compared, n_before counts its records.
func exploreSQL(q url.Values, now time.Time, days int) (sql, series string) {
	from, ok := exploreFrom[q.Get("from")]
	if !ok {
		from = exploreFrom["events"]
	}
	period := time.Duration(days) * 24 * time.Hour
	begin := now.Add(-period).UTC().Truncate(time.Minute)
	at := func(t time.Time) string {
		return "toDateTime64(" + literal(t.Format("2006-01-02 15:04:05")) + ", 3, 'UTC')"
	}
	where, n, order := "time >= "+at(begin), "count() AS n", "n DESC"
	if q.Get("compare") == "before" {
		where = "time >= " + at(begin.Add(-period))
		n, order = "countIf(time >= "+at(begin)+") AS n, countIf(time < "+at(begin)+") AS n_before", "n DESC, n_before DESC"
	}
	for _, f := range from.filters {
		if v := strings.TrimSpace(q.Get(f)); v != "" {
			where += " AND " + f + " = " + literal(v)
		}
	}
	by := q.Get("by")
	if !slices.Contains(from.by, by) {
		by = from.by[0]
	}
	step := "3600"
	if days > 7 {
		step = "86400"
	}
	sql = fmt.Sprintf("SELECT %s, %s, min(time) AS first, max(time) AS last\nFROM %s\nWHERE %s\nGROUP BY %s ORDER BY %s, %s LIMIT 100", by, n, from.table, where, by, order, by)
	series = fmt.Sprintf("SELECT toUnixTimestamp(toStartOfInterval(time, toIntervalSecond(%s))) AS at, %s\nFROM %s\nWHERE %s\nGROUP BY at ORDER BY at LIMIT 1000", step, n, from.table, where)
	return sql, series
}

func (c *Console) ask(r *http.Request, p api.Principal, d *exploreData, limit int) error {
	q := r.URL.Query()
	d.Query, d.Mode, d.From, d.By, d.Here = q, q.Get("mode"), q.Get("from"), q.Get("by"), r.URL.RequestURI()
	if _, ok := exploreFrom[d.From]; !ok {
		d.From = "events"
	}
	d.Bys = exploreFrom[d.From].by
	if d.Days = dayChoices[q.Get("days")]; d.Days == 0 {
		d.Days = 7
	}
	for _, t := range schemas.EventTypes() {
		d.Types = append(d.Types, string(t))
	}
	series := ""
	if d.Mode == "sql" {
		d.SQL = strings.TrimSpace(q.Get("sql"))
	} else if d.Mode = "filter"; q.Get("go") != "" {
		d.Before = q.Get("compare") == "before"
		d.SQL, series = exploreSQL(q, c.now(), d.Days)
	}
	if d.SQL == "" {
		return nil
	}
	t, err := c.service.Query(r.Context(), p, api.QueryIn{SQL: d.SQL, Limit: limit})
	if err != nil {
		x := api.AsProblem(err)
		if x.Status == http.StatusForbidden || x.Status == http.StatusUnauthorized {
			return err
		}
		d.Wrong = x.Detail
		return nil
	}
	d.Table, d.Rows = &t, len(t.Rows)
	for _, name := range t.Columns {
		d.Link = append(d.Link, name == "account" || name == "ip" || name == "employee" || name == "entity")
	}
	for _, row := range t.Rows {
		line := make([]string, len(row))
		for i, v := range row {
			line[i] = plainText(v)
		}
		d.Cells = append(d.Cells, line)
	}
	if series != "" {
		if s, err := c.service.Query(r.Context(), p, api.QueryIn{SQL: series, Limit: 1000}); err == nil {
			d.Chart = seriesChart(s, d.Days, d.Before, c.now())
		}
	}
	return nil
}

// plainText is a value of an answer as a cell shows it.
func plainText(v jsontext.Value) string {
	if v.Kind() == '"' {
		var s string
		if json.Unmarshal(v, &s, jsontext.AllowInvalidUTF8(true)) == nil {
			return s
		}
	}
	return string(v)
}

// seriesChart draws counts over time, and those of the period before where there are any.
func seriesChart(t api.Table, days int, compare bool, now time.Time) *chart {
	ch := &chart{Step: time.Hour, StepName: "1h", Plain: true, HasUsual: compare}
	if days > 7 {
		ch.Step, ch.StepName = 24*time.Hour, "1d"
	}
	at, before := map[int64]int64{}, map[int64]int64{}
	for _, row := range t.Rows {
		if len(row) < 2 {
			continue
		}
		s, err := strconv.ParseInt(plainText(row[0]), 10, 64)
		n, err2 := strconv.ParseInt(plainText(row[1]), 10, 64)
		if err == nil && err2 == nil {
			at[s] = n
		}
		if compare && len(row) > 2 {
			if n, err3 := strconv.ParseInt(plainText(row[2]), 10, 64); err == nil && err3 == nil {
				before[s] = n
			}
		}
	}
	period := time.Duration(days) * 24 * time.Hour
	for x := now.UTC().Add(-period).Truncate(ch.Step); x.Before(now); x = x.Add(ch.Step) {
		row := chartRow{At: x, Value: at[x.Unix()], Expected: float64(before[x.Add(-period).Unix()])}
		ch.Max = max(ch.Max, row.Value, int64(row.Expected))
		ch.TotalIn += row.Value
		ch.Rows = append(ch.Rows, row)
	}
	ch.draw()
	return ch
}

func (c *Console) explorePage(w http.ResponseWriter, r *http.Request, p api.Principal) error {
	if !p.May(api.RightQuery) {
		_, err := c.service.Query(r.Context(), p, api.QueryIn{SQL: "SELECT 1"})
		return err
	}
	d := exploreData{Save: p.May(api.RightQuery)}
	if err := c.ask(r, p, &d, 1000); err != nil {
		return err
	}
	views, err := c.service.Views(r.Context(), p)
	if err != nil {
		return err
	}
	d.Views = views.Items
	return c.show(w, r, http.StatusOK, view{Page: "explore", Title: c.text.say("nav.explore"), Who: p, Data: d, Chart: d.Chart != nil})
}

func (c *Console) exploreCSV(w http.ResponseWriter, r *http.Request, p api.Principal) error {
	var d exploreData
	if err := c.ask(r, p, &d, 10_000); err != nil {
		return err
	}
	if d.Table == nil {
		return refusal(http.StatusBadRequest, d.Wrong)
	}
	out := newCSV(w, "explore")
	head := make([]any, len(d.Table.Columns))
	for i, x := range d.Table.Columns {
		head[i] = x
	}
	out.line(head...)
	for _, row := range d.Cells {
		line := make([]any, len(row))
		for i, x := range row {
			line[i] = x
		}
		out.line(line...)
	}
	return out.done()
}

func (c *Console) exploreNDJSON(w http.ResponseWriter, r *http.Request, p api.Principal) error {
	var d exploreData
	if err := c.ask(r, p, &d, 10_000); err != nil {
		return err
	}
	if d.Table == nil {
		return refusal(http.StatusBadRequest, d.Wrong)
	}
	attach(w, "explore", "ndjson", "application/x-ndjson")
	for _, row := range d.Table.Rows {
		line := map[string]jsontext.Value{}
		for i, v := range row {
			if i < len(d.Table.Columns) {
				line[d.Table.Columns[i]] = v
			}
		}
		b, err := json.Marshal(line, json.Deterministic(true), jsontext.AllowInvalidUTF8(true))
		if err != nil {
			return err
		}
		_, _ = w.Write(append(b, '\n')) // #nosec G705 -- a file to keep, said to be one
	}
	return nil
}

// viewAct saves a question, or forgets one.
func (c *Console) viewAct(w http.ResponseWriter, r *http.Request, p api.Principal) error {
	if id := r.PostFormValue("drop"); id != "" {
		return c.after(w, r, "/explore", c.text.say("view.dropped"), c.service.DropView(r.Context(), p, id))
	}
	query := local(r.PostFormValue("query"), "/explore")
	_, err := c.service.SaveView(r.Context(), p, api.View{Name: strings.TrimSpace(r.PostFormValue("name")), Query: query, Shared: r.PostFormValue("shared") == "true"})
	return c.after(w, r, query, c.text.say("view.saved"), err)
}

func unmarshal(b jsontext.Value, out any) error {
	return json.Unmarshal(b, out, jsontext.AllowInvalidUTF8(true))
}
