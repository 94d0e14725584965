package app

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"holdfast/alerting/edge"
	"holdfast/alerting/edge/kumomta"
	"holdfast/cmd/internal/config"
	"holdfast/schemas"
)

const referenceFolder = "../../../deploy/docs/reference"

// reference compares a page of deploy/docs/reference with what the code says, or writes
// it: go test ./cmd/internal/app -run Reference -update.
func reference(t *testing.T, name, title string, body []byte) {
	t.Helper()
	page := append([]byte("# "+title+"\n\nGenerated from the code by `make reference`; do not edit.\n\n"), body...)
	path := filepath.Join(referenceFolder, name)
	if *updateDoc {
		if err := os.MkdirAll(referenceFolder, 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, page, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, page) {
		t.Errorf("%s is not what the code says: run make reference, and read the difference", path)
	}
}

// cell makes text fit for a table.
func cell(s string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(s), " "), "|", "\\|")
}

// comments reads what stands beside each field of the configuration's structs.
func comments(t *testing.T) map[string]map[string]string {
	t.Helper()
	out := map[string]map[string]string{}
	files, err := filepath.Glob("../config/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			s, ok := spec.Type.(*ast.StructType)
			if !ok {
				return true
			}
			out[spec.Name.Name] = map[string]string{}
			for _, field := range s.Fields.List {
				for _, id := range field.Names {
					text := strings.TrimPrefix(strings.TrimSpace(field.Doc.Text()+" "+field.Comment.Text()), id.Name)
					text = strings.TrimSpace(strings.TrimPrefix(strings.TrimPrefix(text, " is "), ":"))
					out[spec.Name.Name][id.Name] = text
				}
			}
			return true
		})
	}
	return out
}

func TestReferenceOfSettings(t *testing.T) {
	said, b := comments(t), new(bytes.Buffer)
	fmt.Fprint(b, "Keys of the YAML file. `HOLDFAST_` and the key in capitals, with `_` for each dot, sets a key in\nthe environment, unless it is in a list. `holdfast config print` prints what is in force.\n")
	var lists []func()
	var walk func(v reflect.Value, key string)
	table := func(title string) {
		fmt.Fprintf(b, "\n## %s\n| key | default | allowed | meaning |\n|---|---|---|---|\n", title)
	}
	walk = func(v reflect.Value, key string) {
		for i := range v.NumField() {
			f := v.Type().Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
			at, x := strings.TrimPrefix(key+"."+name, "."), v.Field(i)
			if x.Kind() == reflect.Struct && x.Type().PkgPath() == v.Type().PkgPath() {
				if key == "" {
					table(name)
				}
				walk(x, at)
				continue
			}
			if key == "" && i == 0 {
				table("general")
			}
			meaning := said[v.Type().Name()][f.Name]
			if x.Kind() == reflect.Slice && x.Type().Elem().Kind() == reflect.Struct {
				elem := reflect.New(x.Type().Elem()).Elem()
				lists = append(lists, func() {
					table(at + "[]")
					walk(elem, at+"[]")
				})
				meaning += " A list: see " + at + "[] below."
			}
			fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", at, shown(x), cell(allowed(f, x)), cell(meaning))
		}
	}
	walk(reflect.ValueOf(config.Default()), "")
	for len(lists) > 0 {
		next := lists[0]
		lists = lists[1:]
		next()
	}
	reference(t, "settings.md", "Settings", b.Bytes())
}

func shown(v reflect.Value) string {
	var text string
	switch x := v.Interface().(type) {
	case time.Duration:
		text = config.FormatDuration(x)
	case config.Limit:
		text = x.String()
	case string, bool, int, int64, float64:
		text = fmt.Sprint(x)
	}
	if text == "" || text == "0" || text == "0s" {
		return ""
	}
	return "`" + text + "`"
}

func allowed(f reflect.StructField, v reflect.Value) string {
	one := strings.TrimPrefix(f.Tag.Get("one"), ",")
	switch {
	case one != "" && v.Kind() == reflect.Slice:
		return "some of " + strings.ReplaceAll(one, ",", ", ")
	case one != "":
		return strings.ReplaceAll(one, ",", ", ")
	case f.Tag.Get("file") != "":
		return "a file"
	}
	switch v.Type().String() {
	case "time.Duration":
		return "duration"
	case "config.Limit":
		return "duration, or off"
	case "yaml.Node":
		return "mapping"
	}
	switch v.Kind() {
	case reflect.Slice:
		return "list"
	case reflect.Map:
		return "table"
	case reflect.Bool:
		return "true, false"
	case reflect.Int, reflect.Int64, reflect.Float64:
		return "number"
	}
	return "text"
}

// shapes are how a field is written in JSON.
var shapes = map[schemas.FieldKind]string{
	schemas.FieldString: "text", schemas.FieldIdent: "text, not empty, of characters that can be shown", schemas.FieldEnum: "one of the values",
	schemas.FieldInteger: "whole number", schemas.FieldBool: "true or false", schemas.FieldTime: "time, RFC 3339", schemas.FieldIP: "IP address",
	schemas.FieldStrings: "list of texts", schemas.FieldCredentials: "list of {id, kind, created}", schemas.FieldContacts: "list of {email, role}",
}

func TestReferenceOfEvents(t *testing.T) {
	b := new(bytes.Buffer)
	fmt.Fprint(b, "One JSON object a record. Fields that are not listed are kept in the column `extra`; `null` is the\nsame as absent. `holdfast schema TYPE` prints the JSON Schema.\n")
	for _, typ := range schemas.EventTypes() {
		fmt.Fprintf(b, "\n## %s\n| field | required | shape | limit | values |\n|---|---|---|---|---|\n", typ)
		for _, f := range schemas.Fields(typ) {
			required, limit := "", ""
			if f.Required {
				required = "yes"
			}
			switch {
			case f.Items > 0 && f.Max > 0:
				limit = fmt.Sprintf("%d elements of %d bytes", f.Items, f.Max)
			case f.Items > 0:
				limit = fmt.Sprintf("%d elements", f.Items)
			case f.Max > 0 && f.Kind == schemas.FieldInteger:
				limit = fmt.Sprint(f.Max)
			case f.Max > 0:
				limit = fmt.Sprintf("%d bytes", f.Max)
			}
			fmt.Fprintf(b, "| `%s` | %s | %s | %s | %s |\n", f.Name, required, shapes[f.Kind], limit, strings.Join(f.Enum, ", "))
		}
	}
	reference(t, "events.md", "Event fields", b.Bytes())
}

func TestReferenceOfTables(t *testing.T) {
	b := new(bytes.Buffer)
	fmt.Fprint(b, "Query the views: each shows a record once, and in `copies` how many rows stand behind it. The tables\nbelow them keep every row that was written, repeats included. `clickhouse.ttl` changes how long rows\nare kept.\n\n")
	fmt.Fprint(b, "| view | table | journal | kept, days (default) | sort key |\n|---|---|---|---|---|\n")
	for _, x := range schemas.Tables() {
		fmt.Fprintf(b, "| `%s` | `%s` | %s | %d | %s |\n", x.Unique(), x.Name, x.Topic, x.Days, strings.Join(x.OrderBy, ", "))
	}
	for _, x := range schemas.Tables() {
		fmt.Fprintf(b, "\n## %s\n| column | type |\n|---|---|\n", x.Name)
		for _, c := range x.Columns {
			fmt.Fprintf(b, "| `%s` | %s |\n", c.Name, c.Type())
		}
	}
	fmt.Fprint(b, "\n## What holds now\nViews over the tables with one row an entity, or one row a case.\n")
	for _, v := range schemas.Views() {
		fmt.Fprintf(b, "\n### %s\n%s It reads `%s`.\n\n| column | type | meaning |\n|---|---|---|\n", v.Name, v.About, v.Topic)
		for _, c := range v.Columns {
			fmt.Fprintf(b, "| `%s` | %s | %s |\n", c.Name, c.Type, cell(c.Meaning))
		}
	}
	reference(t, "tables.md", "Tables", b.Bytes())
}

var descPattern = regexp.MustCompile(`^Desc\{fqName: "([^"]*)", help: "(.*?)"(?:, unit: "[^"]*")?, constLabels: \{([^}]*)\}, variableLabels: \{([^}]*)\}\}$`)

// The metrics are those of an instance with all roles and a way in, and of the edge.
func TestReferenceOfMetrics(t *testing.T) {
	needEngine(t)
	cfg := testConfig(t, t.TempDir())
	cfg.Intake.HTTP.Listen, cfg.Intake.HTTP.Tokens = "127.0.0.1:0", []config.Token{{Name: "test", SHA256: strings.Repeat("0", 64)}}
	a, stop := launch(t, cfg, Options{})
	within(t, time.Minute, "recording does not begin", a.health.store.Load)
	var lines []string
	collect := func(reg *prometheus.Registry) {
		found := make(chan *prometheus.Desc, 1000)
		reg.Describe(found)
		close(found)
		for d := range found {
			m := descPattern.FindStringSubmatch(d.String())
			if m == nil {
				t.Fatalf("%s is not understood", d)
			}
			if !strings.HasPrefix(m[1], "holdfast_") {
				continue
			}
			labels := strings.TrimSuffix(strings.ReplaceAll(m[4], ",", ", ")+", "+regexp.MustCompile(`="[^"]*"`).ReplaceAllString(strings.ReplaceAll(m[3], ",", ", "), ""), ", ")
			lines = append(lines, fmt.Sprintf("| `%s` | %s | %s |\n", m[1], strings.Trim(labels, ", "), cell(strings.ReplaceAll(m[2], `\"`, `"`))))
		}
	}
	collect(a.reg)
	stop()
	reg := prometheus.NewRegistry()
	edge.NewMetrics(reg)
	kumomta.NewMetrics(reg)
	collect(reg)
	slices.Sort(lines)
	body := "At `observability.listen`, path `/metrics`. No label is ever an account, an address or a domain.\n\n| metric | labels | meaning |\n|---|---|---|\n" + strings.Join(slices.Compact(lines), "")
	reference(t, "metrics.md", "Metrics", []byte(body))
}
