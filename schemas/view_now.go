package schemas

import (
	"fmt"
	"strings"
)

// View is a view over a journal's table that shows what holds now: one row an entity, or
// one row a case. Dashboards ask it.
type View struct {
	Name    string
	Topic   Topic // of the journal whose table it reads
	About   string
	Columns []ViewColumn
	from    string // the newest record of each, as the subquery that the columns read
}

// ViewColumn is one column of a View.
type ViewColumn struct {
	Name, Type, Meaning string

	expr string // empty: the subquery's column of that name
}

// Names of the views of what holds now.
const (
	StandingView     = "standing"
	DecisionsNowView = "decisions_now"
	CasesNowView     = "cases_now"
)

// The types of their columns that no table has.
const (
	typeMoment   = "Nullable(DateTime64(3, 'UTC'))"
	typeTexts    = "Array(String)"
	typeWhole    = "Int64"
	typeText     = "String"
	typeTime     = "DateTime64(3, 'UTC')"
	kindOfEntity = "splitByChar(':', entity)[1]"
)

// Views lists the views of what holds now.
func Views() []View { return []View{standingView(), decisionsNowView(), casesNowView()} }

// DDL is the statement that creates the view.
func (v View) DDL() string {
	lines := make([]string, len(v.Columns))
	for i, c := range v.Columns {
		lines[i] = c.expr + " AS `" + c.Name + "`"
		if c.expr == "" {
			lines[i] = "`" + c.Name + "`"
		}
	}
	return fmt.Sprintf("CREATE OR REPLACE VIEW %s AS\nSELECT\n    %s\nFROM\n(\n%s\n)", v.Name, strings.Join(lines, ",\n    "), v.from)
}

func textOf(name, meaning string, path ...string) ViewColumn {
	return ViewColumn{Name: name, Type: typeText, Meaning: meaning, expr: jsonOf("JSONExtractString", path)}
}

func wholeOf(name, meaning string, path ...string) ViewColumn {
	return ViewColumn{Name: name, Type: typeWhole, Meaning: meaning, expr: jsonOf("JSONExtractInt", path)}
}

// momentOf is a time that may be absent.
func momentOf(name, meaning string, path ...string) ViewColumn {
	return ViewColumn{Name: name, Type: typeMoment, Meaning: meaning, expr: "parseDateTime64BestEffortOrNull(" + jsonOf("JSONExtractString", path) + ", 3, 'UTC')"}
}

func textsOf(name, meaning string, path ...string) ViewColumn {
	return ViewColumn{Name: name, Type: typeTexts, Meaning: meaning, expr: strings.TrimSuffix(jsonOf("JSONExtract", path), ")") + ", 'Array(String)')"}
}

func jsonOf(function string, path []string) string {
	return function + "(" + path[0] + ", '" + strings.Join(path[1:], "', '") + "')"
}

func kindColumn() ViewColumn {
	return ViewColumn{Name: "kind", Type: typeText, Meaning: "account, ip or employee", expr: kindOfEntity}
}

func standingView() View {
	const s = "now"
	return View{
		Name: StandingView, Topic: TopicDecisions,
		About: "The present status of each entity that ever had one: what the newest decision published that changed it. An entity that is not here is active.",
		Columns: []ViewColumn{
			{Name: "entity", Type: typeText, Meaning: "kind:id"}, kindColumn(),
			{Name: "account", Type: typeText, Meaning: "the account's id; empty for an address or an employee that is not one account's"},
			textOf("status", "active, review, throttled, revoked, suspended or blocked", s, "status"),
			textOf("verdict", "of the decision", s, "verdict"),
			wholeOf("episode", "grows with each compromise", s, "episode"),
			wholeOf("step", "grows with each change within the episode", s, "step"),
			momentOf("since", "when the status began", s, "since"),
			momentOf("until", "when it ends by itself; NULL: it does not", s, "until"),
			textOf("by", "the person; empty: a policy", s, "by"),
			{Name: "policy", Type: typeText, Meaning: "of the decision"},
			{Name: "policy_version", Type: "Int32", Meaning: "of the decision"},
			textOf("decision", "the decision's id", s, "decision"),
			textOf("case", "the case's id", s, "case"),
			textOf("reason", "as the customer may read it", s, "reason"),
			textsOf("revoked", "credentials that are taken away", s, "revoked"),
			wholeOf("per_day", "recipients a day in probation; 0: no limit", s, "per_day"),
		},
		from: `    SELECT entity, tupleElement(last, 1) AS account, tupleElement(last, 2) AS policy, tupleElement(last, 3) AS policy_version, tupleElement(last, 4) AS now
    FROM
    (
        SELECT entity, argMax((account, policy, policy_version, status), (JSONExtractInt(status, 'episode'), JSONExtractInt(status, 'step'), arrival, offset)) AS last
        FROM (SELECT entity, account, policy, policy_version, arrival, offset, JSONExtractRaw(body, 'status') AS status FROM decisions WHERE kind = 'decision' AND mode = 'live' AND trial = '' AND JSONHas(body, 'status'))
        GROUP BY entity
    )`,
	}
}

func decisionsNowView() View {
	number := func(name, meaning string) ViewColumn {
		return ViewColumn{Name: name, Type: "Float64", Meaning: meaning, expr: "JSONExtractFloat(body, '" + name + "')"}
	}
	return View{
		Name: DecisionsNowView, Topic: TopicDecisions,
		About: "The newest live decision on each entity that asked for something: those of verdict observe are left out.",
		Columns: []ViewColumn{
			{Name: "entity", Type: typeText, Meaning: "kind:id"}, kindColumn(),
			textOf("account", "the account's id", "body", "account"),
			{Name: "id", Type: typeText, Meaning: "the decision's id"},
			{Name: "time", Type: typeTime, Meaning: "of the newest event behind it"},
			{Name: "arrival", Type: typeTime, Meaning: "when it was written"},
			{Name: "verdict", Type: typeText, Meaning: "review, throttle, revoke, suspend, block or release", expr: "JSONExtractString(body, 'verdict')"},
			textOf("proposed", "what the policy asked for, before the brake", "body", "proposed"),
			textOf("policy", "", "body", "policy"),
			wholeOf("policy_version", "", "body", "policy_version"),
			wholeOf("episode", "", "body", "episode"),
			number("score", "the risk, 0 to 1"),
			{Name: "braked", Type: "Bool", Meaning: "the brake has weakened it", expr: "toBool(JSONExtractBool(body, 'braked'))"},
			textOf("by", "the person; empty: a policy", "body", "by"),
			textsOf("signals", "ids of what it stands on", "body", "signals"),
			textOf("reason", "for analysts", "body", "reason"),
			textOf("severity", "of the gravest signal, where the verdict does not say it", "body", "severity"),
			textOf("case", "the case's id", "body", "case"),
		},
		from: `    SELECT entity, tupleElement(last, 1) AS id, tupleElement(last, 2) AS time, tupleElement(last, 3) AS arrival, tupleElement(last, 4) AS body
    FROM
    (
        SELECT d.entity AS entity, argMax((d.id, d.time, d.arrival, d.body), (d.time, d.arrival, d.offset)) AS last
        FROM decisions AS d
        WHERE d.kind = 'decision' AND d.mode = 'live' AND d.trial = '' AND d.verdict != 'observe'
        GROUP BY d.entity
    )`,
	}
}

func casesNowView() View {
	steps := func(where string) string {
		return "toInt64(arrayCount(x -> " + where + ", JSONExtractArrayRaw(body, 'steps')))"
	}
	length := func(name, meaning, key string) ViewColumn {
		return ViewColumn{Name: name, Type: typeWhole, Meaning: meaning, expr: "toInt64(JSONLength(body, '" + key + "'))"}
	}
	return View{
		Name: CasesNowView, Topic: TopicCases,
		About: "The newest record of each case.",
		Columns: []ViewColumn{
			{Name: "id", Type: typeText, Meaning: "the case's id"}, {Name: "entity", Type: typeText, Meaning: "kind:id"}, kindColumn(),
			textOf("account", "the account's id", "body", "account"),
			wholeOf("episode", "in which it began", "body", "episode"),
			wholeOf("version", "grows with each change", "body", "version"),
			momentOf("time", "of the last change", "body", "time"),
			textOf("stage", "open, contained, recovering, probation or closed", "body", "state"),
			momentOf("due", "when the stage should be over", "body", "due"),
			{Name: "verdict", Type: typeText, Meaning: "undetermined, compromised, expected or false_alarm", expr: "if(JSONExtractString(body, 'verdict') = '', 'undetermined', JSONExtractString(body, 'verdict'))"},
			textOf("reason", "of the verdict", "body", "reason"),
			textOf("owner", "who works on it; empty: nobody", "body", "owner"),
			momentOf("opened", "", "body", "opened"), momentOf("contained", "the newest stop or throttle", "body", "contained"),
			momentOf("released", "", "body", "released"), momentOf("closed", "", "body", "closed"),
			wholeOf("relapses", "how often new evidence opened it again", "body", "relapses"),
			textOf("by", "who changed it last; empty: nobody, it followed", "body", "by"),
			textOf("why", "the last change, in words", "body", "why"),
			textsOf("policies", "name@version of each that decided", "body", "policies"),
			length("decisions", "how many", "decisions"),
			length("steps", "of the way back, how many", "steps"),
			{Name: "steps_open", Type: typeWhole, Meaning: "those without proof", expr: steps("NOT JSONHas(x, 'proof')")},
			length("notes", "how many", "notes"),
			momentOf("window_from", "the first bad event", "body", "window", "from"), momentOf("window_to", "the last one", "body", "window", "to"),
			textOf("confidence", "of the window: high, medium or low", "body", "window", "confidence"),
			{Name: "protected", Type: "Bool", Meaning: "two people are needed for what matters", expr: "toBool(JSONExtractBool(body, 'protected'))"},
			textOf("awaits", "the act that waits for a second person", "body", "awaits", "request", "act"),
			textOf("incident", "the incident's id", "body", "incident"),
			textOf("merged", "the case that it was merged into", "body", "merged"),
		},
		from: `    SELECT c.id AS id, c.entity AS entity, argMax(c.body, (JSONExtractInt(c.body, 'version'), c.arrival, c.offset)) AS body
    FROM cases AS c
    WHERE c.kind = 'case'
    GROUP BY c.entity, c.id`,
	}
}
