package notify

import (
	"embed"
	"fmt"
	"strings"
	"text/template"
	"time"
	"unicode/utf8"

	"holdfast/alerting/decision"
	"holdfast/schemas"
)

//go:embed templates/*.txt
var files embed.FS

var templates = template.Must(template.New("").Funcs(template.FuncMap{
	"percent": func(share float64) string { return fmt.Sprintf("%3.0f %%", 100*share) },
}).ParseFS(files, "templates/*.txt"))

// Text is what a message says. Kind tells different messages about one decision
// apart: decided, held, failed.
type Text struct {
	Kind, Subject, Body string
}

type operatorData struct {
	Headline, Entity, Policy, Time, Credential, By, Why, Next, ID string
	Verdict, Proposed                                             schemas.Verdict
	Version, Signals                                              int
	Score                                                         float64
	Evidence                                                      []schemas.Seen
	Shared                                                        bool // several parts: each has its share
}

// ForOperator is the message to operators about a decision, with its evidence. A
// person's decision has none: it says who decided and why.
func ForOperator(r *decision.Record) Text {
	var headline, next string
	name := r.Entity.Key()
	release := fmt.Sprintf("holdfast release %s --why …, if it was wrong", name)
	switch {
	case r.Page:
		headline = "The brake has tripped: more automatic stops than allowed. From now on suspects are throttled and wait for you."
		next = "look whether the stops are right, then holdfast gate release --why …"
	case r.Braked:
		headline = name + " is throttled and waits for you: the brake is on."
		next = fmt.Sprintf("holdfast suspend %s --why …, or holdfast release %s --why …", name, name)
	case r.Verdict == schemas.VerdictRelease:
		headline = name + " has been released."
	case r.Again:
		headline = fmt.Sprintf("%s was %s before and goes on: the platform is told again.", name, done(r.Verdict))
		next = "look whether the platform keeps it stopped"
	case r.Verdict.Stops():
		headline = fmt.Sprintf("%s has been %s.", name, done(r.Verdict))
		next = release
	case r.Verdict == schemas.VerdictThrottle:
		headline = name + " has been throttled."
		next = fmt.Sprintf("holdfast suspend %s --why …, or holdfast release %s --why …", name, name)
	default:
		headline = name + " wants a look."
	}
	return Text{"decided", oneLine(headline), operatorBody(r, headline, next)}
}

// ForHeld asks operators about a decision that is too old to be carried out.
func ForHeld(r *decision.Record, limit time.Duration) Text {
	headline := fmt.Sprintf("%s should be %s, but what caused it arrived more than %s ago. Please decide.", r.Entity, done(r.Verdict), limit)
	return Text{"held", oneLine(headline), operatorBody(r, headline, fmt.Sprintf("holdfast suspend %s --why …, or holdfast release %s --why …", r.Entity, r.Entity))}
}

// ForFailed tells operators that the platform did not take a change.
func ForFailed(r *decision.Record, err error) Text {
	headline := fmt.Sprintf("The platform was not told that %s is %s: %s", r.Entity, r.Status.Status, Clip(err.Error(), 300))
	return Text{"failed", oneLine(fmt.Sprintf("The platform was not told that %s is %s", r.Entity, r.Status.Status)),
		operatorBody(r, headline, "change the account at the platform by hand, and mend the webhook")}
}

func done(v schemas.Verdict) string {
	switch v {
	case schemas.VerdictBlock:
		return "blocked"
	case schemas.VerdictRevoke:
		return "revoked"
	}
	return "suspended"
}

func operatorBody(r *decision.Record, headline, next string) string {
	return render("operator.txt", operatorData{
		Headline: headline, Entity: r.Entity.Key(), Policy: r.Policy, Version: r.PolicyVersion, Time: r.Time.UTC().Format(time.RFC3339),
		Credential: r.Credential, By: r.By, Why: strings.TrimPrefix(r.Reason, "by "+r.By+": "), Next: next, ID: r.ID, Verdict: r.Verdict, Proposed: r.Proposed, Signals: len(r.Signals),
		Score: r.Score, Evidence: seen(r), Shared: len(r.Seen) > 1,
	})
}

// seen is what to read first. Where there is none the reason stands for it.
func seen(r *decision.Record) []schemas.Seen {
	if len(r.Seen) == 0 {
		return []schemas.Seen{{Text: r.Reason}}
	}
	return r.Seen
}

// ForCustomer is the message to the account's people: why in plain words, never a
// number, and what to do.
func ForCustomer(r *decision.Record) Text {
	data := struct{ Account, Reason string }{r.Account, r.NoticeReason}
	switch r.Verdict {
	case schemas.VerdictRelease:
		return Text{"decided", oneLine("Your account " + r.Account + " has been released"), render("released.txt", data)}
	case schemas.VerdictThrottle:
		return Text{"decided", oneLine("Mail from your account " + r.Account + " has been slowed down: is it yours?"), render("slowed.txt", data)}
	}
	return Text{"decided", oneLine("Your account " + r.Account + " has been stopped: what to do now"), render("stopped.txt", data)}
}

func render(name string, data any) string {
	var b strings.Builder
	if err := templates.ExecuteTemplate(&b, name, data); err != nil {
		return "the message could not be written: " + err.Error()
	}
	return b.String()
}

// maxSubject keeps a subject within one header line of any mail server.
const maxSubject = 200

// oneLine makes s fit for a subject: strangers choose parts of it.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7F || r == 0x2028 || r == 0x2029 || r == 0x85 {
			return ' '
		}
		return r
	}, s)
	return Clip(s, maxSubject)
}

// Clip cuts s to at most n bytes, between characters.
func Clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
