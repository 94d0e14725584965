package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"holdfast/alerting/api"
	"holdfast/alerting/policy"
	"holdfast/cmd/internal/app"
	"holdfast/detectors"
)

type policiesCmd struct {
	List  policiesListCmd  `cmd:"" default:"1" help:"The policies in force with how often each decided, and how often people agreed."`
	Print policiesPrintCmd `cmd:"" help:"Print the policies in force and every detector's numbers, with units and where the defaults come from."`
	Check policiesCheckCmd `cmd:"" help:"Check a policy file; every mistake with its line."`
}

type policiesListCmd struct {
	Since string `placeholder:"WHEN" default:"30d" help:"Count decisions from then on: 24h, 30d, or a time."`
	JSON  bool   `help:"As JSON."`
}

// Run lists the policies with their live numbers.
func (l *policiesListCmd) Run(ctx context.Context, c *common) error {
	since, err := pastTime("--since", l.Since, time.Now())
	if err != nil {
		return err
	}
	all, err := pages[api.Policy](ctx, c, "/v1/policies", url.Values{"since": {since.UTC().Format(time.RFC3339)}}, 0)
	if err != nil {
		return err
	}
	if l.JSON {
		return printJSON(all)
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "POLICY\tMODE\tVERDICT\tDECISIONS\tBRAKED\tIN SHADOW\tCONFIRMED\tFALSE ALARMS\tPRECISION")
	for _, p := range all {
		precision := "-"
		if p.Precision != nil {
			precision = fmt.Sprintf("%.0f %%", 100**p.Precision)
		}
		fmt.Fprintf(w, "%s v%d\t%s\t%s %s\t%d\t%d\t%d\t%d\t%d\t%s\n", clean(p.Name), p.Version, p.Mode, p.Verdict, p.Entity, p.Decisions, p.Braked, p.Shadow, p.Confirmed, p.FalseAlarm, precision)
	}
	return w.Flush()
}

type policiesPrintCmd struct {
	File    string `arg:"" optional:"" help:"The file (default: the configuration's)."`
	Builtin bool   `help:"Print the built-in ones, whatever the configuration says."`
	JSON    bool   `help:"The detectors' numbers alone, one JSON object a line."`
}

// Run prints the file and, as comments below it, the detectors' numbers.
func (p *policiesPrintCmd) Run(c *common) error {
	name, err := "", error(nil)
	if !p.Builtin {
		name, err = policyFile(c, p.File)
	} else if p.File != "" {
		err = fmt.Errorf("--builtin and %s: name one of them", p.File)
	}
	if err != nil {
		return err
	}
	file, set, err := app.ReadPolicies(name)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(os.Stdout)
	if p.JSON {
		err = printNumbersJSON(out, set)
	} else {
		fmt.Fprintf(out, "%s\n", file)
		printNumbers(out, set)
	}
	if err != nil {
		return err
	}
	return out.Flush()
}

// policyFile is the file that is named, or else the configuration's; nothing stands
// for the one that Holdfast brings.
func policyFile(c *common, name string) (string, error) {
	if name != "" {
		return name, nil
	}
	cfg, err := c.load()
	return cfg.Respond.PoliciesFile, err
}

// printNumbers prints every number as the file could set it, in comments that tell
// its unit, its bounds and where its default comes from.
func printNumbers(out io.Writer, set *policy.Set) {
	given, tried := byName(set.Parameters), tried(set)
	fmt.Fprint(out, "# Every number of every detector, as in force. To change one, write it under parameters: above.\n#\n# parameters:\n")
	line := func(detector, name, about, source string, standard float64) {
		value, note := standard, "default: "+source
		if p, ok := given[[2]string{detector, name}]; ok {
			value, note = p.Value, fmt.Sprintf("set in line %d; default %s: %s", p.Line, number(standard), source)
		}
		if p, ok := tried[[2]string{detector, name}]; ok {
			about = fmt.Sprintf("shadow %s: %s (line %d); %s", set.Trial.Name, number(p.Value), p.Line, about)
		}
		fmt.Fprintf(out, "#     %s: %s  # %s; %s\n", name, number(value), about, note)
	}
	for _, s := range detectors.Specs() {
		fmt.Fprintf(out, "#   %s:\n", s.Name)
		for _, p := range s.Parameters {
			line(s.Name, p.Name, fmt.Sprintf("%s, %s to %s", p.Unit, number(p.Min), number(p.Max)), p.Source, p.Default)
		}
	}
	fmt.Fprint(out, "#   cohorts:  # by plan, for accounts whose own past is too short; any plan may be named\n")
	cohorts := detectors.DefaultCohorts()
	for _, p := range set.Parameters {
		if _, ok := cohorts[p.Name]; p.Detector == "cohorts" && !ok {
			fmt.Fprintf(out, "#     %s: %s  # recipients an hour; set in line %d\n", p.Name, number(p.Value), p.Line)
		}
	}
	for _, at := range slices.SortedFunc(maps.Keys(tried), func(a, b [2]string) int { return strings.Compare(a[1], b[1]) }) {
		p := tried[at]
		if _, ok := cohorts[p.Name]; p.Detector == "cohorts" && !ok {
			fmt.Fprintf(out, "#     %s:  # recipients an hour; shadow %s: %s (line %d)\n", p.Name, set.Trial.Name, number(p.Value), p.Line)
		}
	}
	for _, plan := range slices.Sorted(maps.Keys(cohorts)) {
		line("cohorts", plan, "recipients an hour, 1 to 1e+09", "what such plans allow", cohorts[plan])
	}
}

func byName(settings []policy.Setting) map[[2]string]policy.Setting {
	out := map[[2]string]policy.Setting{}
	for _, p := range settings {
		out[[2]string{p.Detector, p.Name}] = p
	}
	return out
}

// tried are the numbers that run in shadow.
func tried(set *policy.Set) map[[2]string]policy.Setting {
	if set.Trial == nil {
		return nil
	}
	return byName(set.Trial.Parameters)
}

func printNumbersJSON(out io.Writer, set *policy.Set) error {
	given, tried := byName(set.Parameters), tried(set)
	for _, s := range detectors.Specs() {
		for _, p := range s.Parameters {
			value := p.Default
			if g, ok := given[[2]string{s.Name, p.Name}]; ok {
				value = g.Value
			}
			var shadow *float64
			if g, ok := tried[[2]string{s.Name, p.Name}]; ok {
				shadow = &g.Value
			}
			err := jsonLine(out, struct {
				Detector string   `json:"detector"`
				Name     string   `json:"name"`
				Value    float64  `json:"value"`
				Shadow   *float64 `json:"shadow,omitempty"`
				Unit     string   `json:"unit"`
				Default  float64  `json:"default"`
				Min      float64  `json:"min"`
				Max      float64  `json:"max"`
				Source   string   `json:"source"`
			}{s.Name, p.Name, value, shadow, p.Unit, p.Default, p.Min, p.Max, p.Source})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func number(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }

type policiesCheckCmd struct {
	File string `arg:"" optional:"" help:"The file (default: the configuration's)."`
}

// Run checks.
func (p *policiesCheckCmd) Run(c *common) error {
	name, err := policyFile(c, p.File)
	if err != nil {
		return err
	}
	_, set, err := app.ReadPolicies(name)
	if err != nil {
		return err
	}
	shadow := ""
	if set.Trial != nil {
		shadow = fmt.Sprintf(", %s in shadow as %s", count(len(set.Trial.Parameters), "number", "numbers"), set.Trial.Name)
	}
	_, err = fmt.Printf("%s, %s set for detectors%s: without a mistake\n",
		count(len(set.Policies), "policy", "policies"), count(len(set.Parameters), "number", "numbers"), shadow)
	return err
}
