package notify

import (
	"embed"
	"fmt"
	"slices"
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
// apart: decided, held, refused, overdue, resolved, gone.
type Text struct {
	Kind, Subject, Body string
}

type operatorData struct {
	Headline, State, Entity, Arg, Policy, Time, Credential, By, Why, Next, ID string
	Verdict, Proposed                                                         schemas.Verdict
	Version, Signals                                                          int
	Score                                                                     float64
	Evidence                                                                  []schemas.Seen
	Shared                                                                    bool // several parts: each has its share
}

// ForOperator is the message to operators about a decision, with its evidence. It goes out
// when the decision is made: it says that no receiver has confirmed yet, or, where none is
// configured, that nobody is told. A person's decision has no evidence: it says who decided
// and why.
func ForOperator(r *decision.Record, receivers []string) Text {
	var headline, next string
	name, arg := r.Entity.Key(), argOf(r)
	release := fmt.Sprintf("holdfast release %s --why …, if it was wrong", arg)
	switch {
	case r.Page:
		headline = "The brake has tripped: more automatic stops than allowed. From now on suspects are throttled and wait for you."
		next = "look whether the stops are right, then holdfast gate release --why …"
	case r.Braked:
		headline = "Decided: throttle " + name + ". It waits for you: the brake is on."
		next = fmt.Sprintf("holdfast suspend %s --why …, or holdfast release %s --why …", arg, arg)
	case r.Verdict == schemas.VerdictRelease:
		headline = "Decided: release " + name + "."
	case r.Again:
		headline = fmt.Sprintf("%s goes on, though it was decided to %s it: the platform is told again.", name, r.Verdict)
		next = "look whether the platform keeps it stopped"
	case r.Verdict.Stops():
		headline = fmt.Sprintf("Decided: %s %s.", r.Verdict, name)
		next = release
	case r.Verdict == schemas.VerdictThrottle:
		headline = "Decided: throttle " + name + "."
		next = fmt.Sprintf("holdfast suspend %s --why …, or holdfast release %s --why …", arg, arg)
	default:
		headline = "Please review " + name + "."
		next = fmt.Sprintf("holdfast suspend %s --why …, or holdfast dismiss %s --why …", arg, arg)
	}
	return Text{"decided", oneLine(headline), operatorBody(r, headline, stateOf(r, receivers), next)}
}

// stateOf says how far a decision is when it has just been made.
func stateOf(r *decision.Record, receivers []string) string {
	switch {
	case r.Status == nil || r.Verdict == schemas.VerdictReview:
		return "decided; the platform is not told of it"
	case len(receivers) == 0:
		return "decided; no receiver is configured, whatever reads the status topic carries it out"
	}
	return fmt.Sprintf("decided, not confirmed yet by %s: holdfast status %s", strings.Join(receivers, ", "), argOf(r))
}

// ForHeld asks operators about a decision that is too old to be carried out.
func ForHeld(r *decision.Record, limit time.Duration) Text {
	headline := fmt.Sprintf("%s should be %s, but what caused it arrived more than %s ago. Please decide.", r.Entity, done(r.Verdict), limit)
	return Text{"held", oneLine(headline), operatorBody(r, headline, "decided, held: the platform is not told before you say so",
		fmt.Sprintf("holdfast enforce retry %s --why … to carry it out, or holdfast release %s --why …", argOf(r), argOf(r)))}
}

// ForRefused tells operators that a receiver refuses a change as it is.
func ForRefused(r *decision.Record, receiver, answer string) Text {
	headline := fmt.Sprintf("%s refuses that %s is %s: %s", receiver, r.Entity, r.Status.Status, Clip(answer, 300))
	return Text{"refused", oneLine(fmt.Sprintf("%s refuses that %s is %s", receiver, r.Entity, r.Status.Status)),
		operatorBody(r, headline, "decided, refused by "+receiver+": it is not in force there",
			fmt.Sprintf("set the status at the platform by hand, fix what the answer names, then holdfast enforce retry %s --why …", argOf(r)))}
}

// ForOverdue pages operators: a receiver has not confirmed for too long. r is the oldest
// change that waits.
func ForOverdue(r *decision.Record, receiver string, undelivered int, age time.Duration, answer string) Text {
	headline := fmt.Sprintf("%s has not confirmed %s for %s, the oldest: %s is not in force there as %s. It is told again until it confirms.",
		receiver, counted(undelivered), age.Round(time.Second), r.Entity, r.Status.Status)
	if answer != "" {
		headline += " Last answer: " + Clip(answer, 300)
	}
	return Text{"overdue", oneLine(fmt.Sprintf("%s does not confirm: %s overdue", receiver, counted(undelivered))),
		operatorBody(r, headline, "decided, overdue at "+receiver, "holdfast enforce list, and look why "+receiver+" does not answer")}
}

// ForResolved tells operators that nothing is overdue at a receiver any more.
func ForResolved(r *decision.Record, receiver string, undelivered int) Text {
	headline := fmt.Sprintf("%s confirms again: nothing is overdue there any more (%s not confirmed yet).", receiver, counted(undelivered))
	return Text{"resolved", oneLine(receiver + " confirms again: nothing is overdue any more"),
		operatorBody(r, headline, "of the change that was the oldest: holdfast status "+argOf(r), "")}
}

// ForGone pages operators: a receiver says that there is nobody any more.
func ForGone(r *decision.Record, receiver, answer string) Text {
	headline := fmt.Sprintf("%s says that its address is gone for good: %s. Changes are still tried there.", receiver, Clip(answer, 300))
	return Text{"gone", oneLine(receiver + " says that its address is gone for good"),
		operatorBody(r, headline, "decided, not confirmed by "+receiver, "set enforce.webhook.url to where the platform listens now")}
}

func counted(n int) string {
	if n == 1 {
		return "1 change"
	}
	return fmt.Sprintf("%d changes", n)
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

func operatorBody(r *decision.Record, headline, state, next string) string {
	return render("operator.txt", operatorData{
		Headline: schemas.Unlinked(headline), State: state, Entity: schemas.Unlinked(r.Entity.Key()), Arg: argOf(r), Policy: r.Policy, Version: r.PolicyVersion, Time: r.Time.UTC().Format(time.RFC3339),
		Credential: schemas.Unlinked(r.Credential), By: schemas.Printable(r.By), Why: schemas.Printable(strings.TrimPrefix(r.Reason, "by "+r.By+": ")), Next: next, ID: r.ID, Verdict: r.Verdict, Proposed: r.Proposed, Signals: len(r.Signals),
		Score: r.Score, Evidence: seen(r), Shared: len(r.Seen) > 1,
	})
}

// argOf is the entity in a command that may be pasted into a shell.
func argOf(r *decision.Record) string { return schemas.MailArg(r.Entity.Key()) }

// seen is what to read first. Where there is none the reason stands for it. It quotes
// what strangers wrote, of which nothing may be clicked.
func seen(r *decision.Record) []schemas.Seen {
	out := slices.Clone(r.Seen)
	if len(out) == 0 {
		out = []schemas.Seen{{Text: r.Reason}}
	}
	for i := range out {
		out[i].Text = schemas.Unlinked(out[i].Text)
	}
	return out
}

// ForCustomer is the message to the account's people: why in plain words, never a
// number, and what to do. confirmed says that the platform has confirmed the change;
// only then does the text say what is in force.
func ForCustomer(r *decision.Record, confirmed bool) Text {
	data := struct {
		Account, Reason string
		Confirmed       bool
	}{schemas.Unlinked(r.Account), noticeOf(r), confirmed}
	subject := func(inForce, wanted string) string {
		if confirmed {
			return oneLine("Your account " + r.Account + " " + inForce)
		}
		return oneLine("Your account " + r.Account + " " + wanted)
	}
	switch r.Verdict {
	case schemas.VerdictRelease:
		return Text{"decided", subject("has been released", "is to be released"), render("released.txt", data)}
	case schemas.VerdictThrottle:
		return Text{"decided", subject("sends more slowly: is it you?", "is to send more slowly: is it you?"), render("slowed.txt", data)}
	}
	return Text{"decided", subject("has been stopped: what to do now", "is to be stopped: what to do now"), render("stopped.txt", data)}
}

// noticeOf is the reason for customers, in the operator's own words, whose links stay, but
// for the account's name, which whoever opened the account chose.
func noticeOf(r *decision.Record) string {
	if r.Account == "" {
		return r.NoticeReason
	}
	return strings.ReplaceAll(r.NoticeReason, r.Account, schemas.Unlinked(r.Account))
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
func oneLine(s string) string { return Clip(schemas.Unlinked(s), maxSubject) }

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
