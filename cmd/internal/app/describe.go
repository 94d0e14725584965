package app

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"holdfast/cmd/internal/config"
	"holdfast/ingest/history"
	"holdfast/schemas"
)

// Describe says in one sentence what an entry is, in the timeline of an entity. It may hold
// any character that an event did.
func Describe(e history.Entry, of schemas.Entity) string {
	if e.Event != nil {
		text := describeEvent(e.Event)
		if a := e.Event.Account; a != "" && of != (schemas.Entity{Kind: schemas.KindAccount, ID: a}) && e.Event.Type != schemas.TypeAccess {
			text += ", account " + a
		}
		if late := e.Arrival.Sub(e.Time); e.Origin == string(schemas.OriginLive) && late > schemas.Lateness {
			text += fmt.Sprintf(" (arrived %s later)", config.FormatDuration(late.Round(time.Second)))
		}
		return text
	}
	text := describeFinding(e)
	if e.Account != "" && of.Kind == schemas.KindIP && e.Entity != of.Key() {
		text += ", account " + e.Account
	}
	if e.FoundLate() {
		text = fmt.Sprintf("(found %s later; happened %s) %s", config.FormatDuration(e.Arrival.Sub(e.Time).Round(time.Second)), e.Time.UTC().Format("2 Jan 15:04:05"), text)
	}
	return text
}

// unitOf is a unit behind a number: 1 source, 2 sources.
func unitOf(n float64, unit string) string {
	if n != 1 {
		return unit
	}
	if unit == "accesses" {
		return "access"
	}
	return strings.TrimSuffix(unit, "s")
}

func describeFinding(e history.Entry) string {
	switch e.Kind {
	case schemas.KindSignal, schemas.KindTrial:
		return from(e, func(s schemas.Signal) string {
			return onTrial(s.Trial) + fmt.Sprintf("%s (%s, %s): %s [observed %.6g %s, expected %.6g, threshold %.6g in %s; %s]", s.Detector, s.Family, s.Severity,
				s.Evidence.Text, s.Evidence.Observed, unitOf(s.Evidence.Observed, s.Evidence.Unit), s.Evidence.Expected, s.Evidence.Threshold, short(s.Evidence.Window), s.Technique)
		})
	case schemas.KindDecision:
		return from(e, func(d schemas.Decision) string {
			text := strings.ToUpper(string(d.Verdict))
			if d.Verdict != d.Proposed {
				text += " (proposed " + string(d.Proposed) + ")"
			}
			if d.Mode != schemas.ModeLive && d.Trial == "" {
				text += " in mode " + string(d.Mode)
			}
			if d.By != "" {
				return text + " " + d.Reason // by whom, and why
			}
			return onTrial(d.Trial) + fmt.Sprintf("%s by policy %s v%d%s: %s", text, d.Policy, d.PolicyVersion, riskOf(&d), d.Reason)
		})
	case schemas.KindAction:
		return from(e, func(a schemas.Action) string {
			return fmt.Sprintf("%s at %s %s after %s%s", a.Verdict, a.Target, a.Outcome, count(a.Attempts, "try", "tries"), told(a.Detail))
		})
	case schemas.KindNotice:
		return from(e, func(n schemas.Notice) string {
			return fmt.Sprintf("to %s (%s, %s) %s: %s%s", n.To, n.Audience, n.Channel, n.Outcome, n.Subject, told(n.Detail))
		})
	case schemas.KindCase:
		return from(e, func(c schemas.Case) string {
			return fmt.Sprintf("%s is %s with %s%s", c.ID, c.Stage, count(len(c.Decisions), "decision", "decisions"), told(c.Why))
		})
	case schemas.KindOperator:
		return from(e, func(o schemas.Operator) string {
			if o.Refused != "" {
				return fmt.Sprintf("%s asked for %s (%s) and was refused: %s", o.Actor, o.Act, o.Why, o.Refused)
			}
			return fmt.Sprintf("%s: %s, %s before and %s after: %s", o.Actor, o.Act, o.Before, o.After, o.Why)
		})
	case schemas.KindRequest:
		return from(e, func(r schemas.Request) string { return fmt.Sprintf("%s asks for %s: %s", r.Actor, r.Act, r.Why) })
	case schemas.KindAnswer:
		return from(e, func(a schemas.Answer) string {
			if a.Go {
				return "the gate allows the stop"
			}
			return "the gate holds the stop back: " + a.Reason
		})
	}
	return string(e.Body)
}

// count names so many of something.
func count[N int | int64](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// told appends what else there is to say.
func told(detail string) string {
	if detail == "" {
		return ""
	}
	return ": " + detail
}

// short writes a length of time as people do: 48h0m0s is 2d.
func short(length string) string {
	d, err := time.ParseDuration(length)
	if err != nil {
		return length
	}
	return config.FormatDuration(d)
}

// onTrial says that numbers in shadow found something.
func onTrial(trial string) string {
	if trial == "" {
		return ""
	}
	if trial == schemas.EvidenceRun {
		return "evidence only: "
	}
	return "shadow " + trial + ": "
}

// riskOf is how sure the decision's signals together are, and the share of each
// detector where the reason does not quote them.
func riskOf(d *schemas.Decision) string {
	var parts []string
	for _, s := range d.Seen {
		if strings.Contains(d.Reason, s.Text) {
			continue
		}
		parts = append(parts, fmt.Sprintf("%s %.0f %%", s.Detector, 100*s.Share))
	}
	text := fmt.Sprintf(", risk %.3f", d.Score)
	if len(parts) > 0 {
		text += " (" + strings.Join(parts, ", ") + ")"
	}
	return text
}

func from[T any](e history.Entry, say func(T) string) string {
	var v T
	if err := json.Unmarshal(e.Body, &v); err != nil {
		return string(e.Body)
	}
	return say(v)
}

func describeEvent(e *schemas.Event) string {
	at := ""
	if e.IP.IsValid() {
		at = " from " + e.IP.String()
	}
	switch e.Type {
	case schemas.TypeSend:
		return fmt.Sprintf("send to %s%s with %s as %s", count(e.Volume(), "recipient", "recipients"), at, orNone(e.Credential), orNone(e.Sender))
	case schemas.TypeDelivery:
		return fmt.Sprintf("delivery to %s: %s", orNone(e.Recipient), words(e.Outcome, e.Reason))
	case schemas.TypeLogin:
		return fmt.Sprintf("login of %s%s: %s", e.User, at, words(e.Outcome, e.Reason, e.Method))
	case schemas.TypeCredential:
		return fmt.Sprintf("%s %s %s%s by %s", e.Kind, e.Credential, e.Change, at, orNone(firstOf(e.User, e.Employee)))
	case schemas.TypeAccess:
		ticket := "no ticket"
		if e.Ticket != "" {
			ticket = "ticket " + e.Ticket
		}
		return fmt.Sprintf("%s: %s of %s%s, %s", e.Employee, e.Action, orNone(firstOf(e.Account, e.Resource)), at, ticket)
	case schemas.TypeConnection:
		return fmt.Sprintf("connection %s%s over %s", e.State, at, orNone(e.Protocol))
	case schemas.TypeAccount:
		return fmt.Sprintf("account snapshot: status %s, plan %s, %s, %s", orNone(e.Status), orNone(e.Plan),
			count(len(e.Users), "user", "users"), count(len(e.Domains), "domain", "domains"))
	}
	return string(e.Type)
}

// words are those that are not empty.
func words(all ...string) string {
	return strings.Join(slices.DeleteFunc(all, func(s string) bool { return s == "" }), " ")
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func orNone(s string) string {
	if s == "" {
		return "(none)"
	}
	return s
}
