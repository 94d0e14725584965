package notify_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"holdfast/alerting/notify"
	"holdfast/schemas"
)

// way is a channel of a name.
type way struct {
	name      string
	to        []notify.Address
	customers bool
	gathers   bool
}

func (w way) Name() string                { return w.name }
func (w way) Audiences() []notify.Address { return w.to }
func (w way) Customers() bool             { return w.customers }
func (w way) Gathers() bool               { return w.gathers }

func operators(name string) way {
	return way{name: name, to: []notify.Address{{Audience: notify.AudienceOperator, To: name}}}
}

// ways are several receivers of a kind, and one to customers and one to systems.
func ways() []notify.Directory {
	mail := operators("mail")
	mail.customers = true
	am := operators("am")
	am.gathers = true
	return []notify.Directory{operators("slack-eu"), operators("slack-us"), operators("pager"), mail, am,
		way{name: "idp", to: []notify.Address{{Audience: notify.AudienceSystem, To: "idp"}}}}
}

var people = []schemas.Contact{{Email: "jo@shop.example"}, {Email: "eva@laden.de"}, {Email: "jo@shop.example"}}

func occasion(change ...func(*notify.Occasion)) *notify.Occasion {
	o := &notify.Occasion{
		What: notify.Stopped, Kind: "decided", Cause: "dec_1", Case: "case_1", Entity: schemas.Entity{Kind: schemas.KindAccount, ID: "a"}, Account: "a", Plan: "business",
		Severity: schemas.SeverityCritical, Verdict: schemas.VerdictSuspend, Policy: "account-unknown-source",
	}
	for _, f := range change {
		f(o)
	}
	return o
}

func told(d *notify.Desk, o *notify.Occasion, audience string) string {
	var out []string
	for _, l := range d.Letters(o, audience, people, time.Now()) {
		out = append(out, l.Channel+">"+l.To)
	}
	return strings.Join(out, " ")
}

func TestWithoutRoutesEverybodyIsTold(t *testing.T) {
	d := &notify.Desk{Directories: ways()}
	for audience, want := range map[string]string{
		notify.AudienceOperator: "slack-eu>slack-eu slack-us>slack-us pager>pager mail>mail am>am",
		notify.AudienceCustomer: "mail>jo@shop.example mail>eva@laden.de", notify.AudienceSystem: "idp>idp",
	} {
		if got := told(d, occasion(), audience); got != want {
			t.Errorf("%s: %s", audience, got)
		}
	}
	address := occasion(func(o *notify.Occasion) { o.Entity.Kind, o.Account = schemas.KindIP, "" })
	if got := told(d, address, notify.AudienceCustomer) + told(d, address, notify.AudienceSystem); got != "" {
		t.Errorf("an address has no people: %s", got)
	}
	review := occasion(func(o *notify.Occasion) { o.What = notify.Opened })
	if got := told(d, review, notify.AudienceCustomer) + told(d, review, notify.AudienceSystem); got != "" {
		t.Errorf("a review is told to %s", got)
	}
}

// Each thing that a route can go by, alone: what matches goes there and nowhere else, what
// does not goes on.
func TestRoutes(t *testing.T) {
	rest := notify.Route{To: []string{"mail"}}
	for name, x := range map[string]struct {
		route notify.Route
		no    func(*notify.Occasion)
	}{
		"happened": {notify.Route{Happened: []notify.What{notify.Stopped}}, func(o *notify.Occasion) { o.What = notify.Slowed }},
		"verdict":  {notify.Route{Verdicts: []schemas.Verdict{schemas.VerdictSuspend, schemas.VerdictBlock}}, func(o *notify.Occasion) { o.Verdict = schemas.VerdictReview }},
		"severity": {notify.Route{Severities: []schemas.Severity{schemas.SeverityCritical}}, func(o *notify.Occasion) { o.Severity = schemas.SeverityLow }},
		"policy":   {notify.Route{Policies: []string{"employee-*", "account-unknown*"}}, func(o *notify.Occasion) { o.Policy = "account-harm" }},
		"plan":     {notify.Route{Plans: []string{"business"}}, func(o *notify.Occasion) { o.Plan = "free" }},
		"kind":     {notify.Route{Kinds: []schemas.EntityKind{schemas.KindAccount}}, func(o *notify.Occasion) { o.Entity.Kind = schemas.KindEmployee }},
	} {
		x.route.To = []string{"pager", "slack-us"}
		d := &notify.Desk{Directories: ways(), Routes: []notify.Route{x.route, rest}}
		if got := told(d, occasion(), notify.AudienceOperator); got != "slack-us>slack-us pager>pager" {
			t.Errorf("%s: it goes to %s", name, got)
		}
		if got := told(d, occasion(x.no), notify.AudienceOperator); got != "mail>mail" {
			t.Errorf("%s: what does not match goes to %s", name, got)
		}
		d.Routes[0].Continue = true
		if got := told(d, occasion(), notify.AudienceOperator); got != "slack-us>slack-us pager>pager mail>mail" {
			t.Errorf("%s: with those below it goes to %s", name, got)
		}
		// Routes of operators say nothing of customers.
		if got := told(d, occasion(), notify.AudienceCustomer); got != "mail>jo@shop.example mail>eva@laden.de" {
			t.Errorf("%s: customers: %s", name, got)
		}
	}
	nobody := &notify.Desk{Directories: ways(), Routes: []notify.Route{{Audience: notify.AudienceCustomer, Plans: []string{"business"}}}}
	if got := told(nobody, occasion(), notify.AudienceCustomer); got != "" {
		t.Errorf("a route to nobody tells %s", got)
	}
	if got := told(nobody, occasion(func(o *notify.Occasion) { o.Plan = "free" }), notify.AudienceCustomer); got == "" {
		t.Error("a route to nobody is for one plan only")
	}
}

func TestLanguages(t *testing.T) {
	d := &notify.Desk{Directories: ways(), Language: "en", Languages: []notify.Language{
		{Language: "de", Domains: []string{".de", "example.at"}, Channels: []string{"slack-eu"}}, {Language: "de", Plans: []string{"kommunal"}},
	}}
	languages := func(o *notify.Occasion, audience string) map[string]string {
		out := map[string]string{}
		for _, l := range d.Letters(o, audience, append(slices.Clone(people), schemas.Contact{Email: "x@notexample.at"}, schemas.Contact{Email: "y@mail.example.at"}), time.Now()) {
			out[l.To] = l.Language
		}
		return out
	}
	got := languages(occasion(), notify.AudienceCustomer)
	for to, want := range map[string]string{"jo@shop.example": "en", "eva@laden.de": "de", "x@notexample.at": "en", "y@mail.example.at": "de"} {
		if got[to] != want {
			t.Errorf("%s is told in %q", to, got[to])
		}
	}
	if got := languages(occasion(func(o *notify.Occasion) { o.Plan = "kommunal" }), notify.AudienceCustomer); got["jo@shop.example"] != "de" {
		t.Errorf("by plan: %v", got)
	}
	if got := languages(occasion(), notify.AudienceOperator); got["slack-eu"] != "de" || got["slack-us"] != "en" {
		t.Errorf("operators: %v", got)
	}
	d.Routes = []notify.Route{{To: []string{"slack-us"}, Language: "de"}}
	if got := languages(occasion(), notify.AudienceOperator); got["slack-us"] != "de" {
		t.Errorf("by route: %v", got)
	}
}

// A stop, a page and a person's act wait for nothing; what gathers by itself is not gathered.
func TestWhatWaits(t *testing.T) {
	d := &notify.Desk{Directories: ways(), Wait: time.Minute, CustomerWait: time.Hour, Spree: notify.Spree{Alone: 3, Quiet: notify.Span(time.Minute)}}
	wait := func(audience string, change ...func(*notify.Occasion)) time.Duration {
		return time.Duration(d.Letters(occasion(change...), audience, people, time.Now())[0].Wait)
	}
	slowed := func(o *notify.Occasion) { o.What = notify.Slowed }
	for name, x := range map[string]struct{ got, want time.Duration }{
		"a stop": {wait(notify.AudienceOperator), 0}, "a throttle": {wait(notify.AudienceOperator, slowed), time.Minute},
		"a customer's": {wait(notify.AudienceCustomer, slowed), time.Hour}, "a customer's stop": {wait(notify.AudienceCustomer), 0},
		"a person's": {wait(notify.AudienceOperator, slowed, func(o *notify.Occasion) { o.By = "ann" }), 0},
		"a page":     {wait(notify.AudienceOperator, slowed, func(o *notify.Occasion) { o.Page = true }), 0},
		"a system's": {wait(notify.AudienceSystem), 0},
	} {
		if x.got != x.want {
			t.Errorf("%s waits %s, want %s", name, x.got, x.want)
		}
	}
	for _, l := range d.Letters(occasion(), notify.AudienceOperator, nil, time.Now()) {
		if (l.Spree == nil) != (l.Channel == "am") || l.RecordKey() != "notice:"+l.Channel {
			t.Errorf("%s: %v %s", l.Channel, l.Spree, l.RecordKey())
		}
	}
	for _, what := range []notify.What{notify.Tripped, notify.Overdue, notify.Refused, notify.Held} {
		for _, l := range d.Letters(occasion(func(o *notify.Occasion) { o.What = what }), notify.AudienceOperator, nil, time.Now()) {
			if l.Spree != nil {
				t.Errorf("%s is gathered", what)
			}
		}
	}
	d.Routes = []notify.Route{{To: []string{"pager"}, GroupBy: []string{"policy", "plan"}, Spree: &notify.Spree{Alone: 1, Quiet: notify.Span(time.Hour)}}}
	if l := d.Letters(occasion(), notify.AudienceOperator, nil, time.Now()); l[0].Spree.Name != "cases/account-unknown-source/business" || l[0].Spree.Alone != 1 {
		t.Errorf("%+v", l[0].Spree)
	}
}

func TestMistakesOfRoutes(t *testing.T) {
	for want, d := range map[string]*notify.Desk{
		"routes[0].to names the channel \"pagr\"": {Routes: []notify.Route{{To: []string{"pagr"}}}},
		"routes[0].happened: \"stoped\"":          {Routes: []notify.Route{{Happened: []notify.What{"stoped"}}}},
		"routes[0].policies":                      {Routes: []notify.Route{{Policies: []string{"a["}}}},
		"routes[0].language":                      {Routes: []notify.Route{{Language: "fr"}}},
		"routes[0].group_by: \"colour\"":          {Routes: []notify.Route{{GroupBy: []string{"colour"}}}},
		"languages[0].language is missing":        {Languages: []notify.Language{{Plans: []string{"x"}}}},
		"languages[0].channels":                   {Languages: []notify.Language{{Language: "de", Channels: []string{"x"}}}},
		"language: there are no words in \"xx\"":  {Language: "xx"},
	} {
		d.Directories = ways()
		if err := d.Validate(notify.Default.Languages()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if err := (&notify.Desk{Directories: ways(), Routes: []notify.Route{{To: []string{"pager"}, Policies: []string{"*"}}}}).Validate([]string{"en"}); err != nil {
		t.Error(err)
	}
}
