package notify_test

import (
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	"holdfast/alerting/decision"
	"holdfast/alerting/notify"
	"holdfast/alerting/policy"
	"holdfast/schemas"
)

func TestRetry(t *testing.T) {
	for status := 100; status < 600; status++ {
		want := status != http.StatusBadRequest && status != http.StatusUnprocessableEntity
		if got := notify.Retry(status); got != want {
			t.Errorf("%d %s: retry %v", status, http.StatusText(status), got)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 3, 12, 12, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "3": 3 * time.Second, "-3": 0, "soon": 0, "99999999999": 0, "86400": 10 * time.Minute,
		"Thu, 12 Mar 2026 12:00:07 GMT": 7 * time.Second, "Thu, 12 Mar 2026 11:00:00 GMT": 0,
	} {
		if got := notify.RetryAfter(http.Header{"Retry-After": {value}}, now); got != want && value != "99999999999" {
			t.Errorf("%q: %s, want %s", value, got, want)
		}
	}
}

func record() *decision.Record {
	e := schemas.Entity{Kind: schemas.KindAccount, ID: "acct-1"}
	return &decision.Record{
		Decision: schemas.Decision{
			ID: "dec_1", Entity: e, Account: "acct-1", Verdict: schemas.VerdictSuspend, Proposed: schemas.VerdictSuspend, Policy: "two", PolicyVersion: 3,
			Mode: schemas.ModeLive, Signals: []string{"s1"}, Score: .91, Reason: "4312 recipients in 5m, threshold 200; 14 new sources",
			NoticeReason: "We saw mail that does not look like yours.",
		},
		Status: &schemas.Status{Entity: e, Status: "suspended"},
	}
}

// flat is a text with its lines joined.
func flat(s string) string { return strings.Join(strings.Fields(s), " ") }

func write(audience string, o notify.Occasion) notify.Text {
	t := notify.Default.Write(audience, "en", []*notify.Occasion{&o})
	t.Body = flat(t.Body)
	return t
}

func toOperator(r *decision.Record, receivers []string) notify.Text {
	return write(notify.AudienceOperator, notify.FromDecision(r, receivers, false))
}

func toCustomer(r *decision.Record, confirmed bool) notify.Text {
	return write(notify.AudienceCustomer, notify.FromDecision(r, []string{"platform"}, confirmed))
}

func TestOperatorsSeeTheEvidence(t *testing.T) {
	text := toOperator(record(), []string{"platform"})
	for _, want := range []string{"account:acct-1", "4312 recipients in 5m, threshold 200", "14 new sources", "holdfast timeline account:acct-1", "dec_1"} {
		if !strings.Contains(text.Body, want) {
			t.Errorf("no %q in:\n%s", want, text.Body)
		}
	}
}

func TestOperatorsSeeShares(t *testing.T) {
	r := record()
	r.Seen = []schemas.Seen{{Signal: "s1", Detector: "volume", Share: .7, Text: "4312 recipients in 5m"}, {Signal: "s2", Detector: "new_source", Share: .3, Text: "14 new sources"}}
	body := toOperator(r, []string{"platform"}).Body
	for _, want := range []string{"share of the risk: - 70 %: 4312 recipients in 5m - 30 %: 14 new sources", "Risk: 0.910"} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q in:\n%s", want, body)
		}
	}
}

// A person's decision rests on no signal, so there is no risk to tell of.
func TestOperatorsSeeWhoDecided(t *testing.T) {
	r := record()
	r.By, r.Reason, r.Signals, r.Score, r.Policy, r.PolicyVersion = "alice", "by alice: the key is on a paste site", nil, 1, "operator", 1
	body := toOperator(r, []string{"platform"}).Body
	if want := "Decided by: alice Reason: the key is on a paste site"; !strings.Contains(body, want) {
		t.Errorf("no %q in:\n%s", want, body)
	}
	for _, never := range []string{"Risk", "signal", "seen", "operator"} {
		if strings.Contains(body, never) {
			t.Errorf("%q in:\n%s", never, body)
		}
	}
}

func TestCustomersSeeNoThreshold(t *testing.T) {
	text := toCustomer(record(), true)
	for _, never := range []string{"4312", "200", "threshold", "score", "two"} {
		if strings.Contains(strings.ReplaceAll(text.Body, "two-factor", ""), never) {
			t.Errorf("%q in:\n%s", never, text.Body)
		}
	}
	for _, want := range []string{"acct-1", "does not look like yours", "Rotate every API key", "SMTP passwords", "password of every user", "two-factor", "Confirm"} {
		if !strings.Contains(text.Body, want) {
			t.Errorf("no %q in:\n%s", want, text.Body)
		}
	}
}

// Whose mail is only slowed down is not told that it was stopped, and neither sees a number.
func TestCustomersAreAskedWhereMailIsSlowedDown(t *testing.T) {
	r := record()
	r.Verdict, r.Proposed = schemas.VerdictThrottle, schemas.VerdictThrottle
	text := toCustomer(r, true)
	all := text.Subject + "\n" + text.Body
	for _, never := range []string{"stopped", "4312", "threshold", "score", "released"} {
		if strings.Contains(all, never) {
			t.Errorf("%q in:\n%s", never, all)
		}
	}
	for _, want := range []string{"acct-1", "slowed down", "does not look like yours", "If you did not", "Rotate every API key"} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q in:\n%s", want, all)
		}
	}
}

func of(o notify.Occasion) notify.Text { return write(notify.AudienceOperator, o) }

func TestSubjectsAreOneLine(t *testing.T) {
	r := record()
	r.Account = "a\r\nBcc: everyone@example.com\u2028x"
	r.Entity.ID = r.Account
	for _, text := range []notify.Text{toCustomer(r, true), toOperator(r, nil), of(notify.IsHeld(r, time.Hour)), of(notify.IsRefused(r, "platform", "no\nno")),
		of(notify.IsOverdue(r, "platform", 3, time.Hour, r.Time, "no\nno")), of(notify.IsResolved(r, "platform", 0, r.Time)), of(notify.IsGone(r, "platform", "no\nno"))} {
		if strings.ContainsAny(text.Subject, "\r\n\u2028") {
			t.Errorf("subject %q", text.Subject)
		}
	}
}

// What is said to be in force was confirmed; what was only decided is not said to be.
func TestTextsSayWhatIsKnown(t *testing.T) {
	for _, v := range []schemas.Verdict{schemas.VerdictSuspend, schemas.VerdictThrottle, schemas.VerdictRelease} {
		r := record()
		r.Verdict, r.Proposed = v, v
		before, after := toCustomer(r, false), toCustomer(r, true)
		for _, done := range []string{"has been", "have stopped", "have slowed", "no mail is sent", "Mail still goes out"} {
			if strings.Contains(before.Subject+before.Body, done) {
				t.Errorf("%s: %q before it is in force:\n%s\n%s", v, done, before.Subject, before.Body)
			}
		}
		if before.Subject == after.Subject || before.Body == after.Body {
			t.Errorf("%s: the same text before and after", v)
		}
		// A release ends nothing but what it says: no closer look is kept for some days.
		if strings.Contains(after.Body, "days") {
			t.Errorf("%s promises what nobody does:\n%s", v, after.Body)
		}
		for receivers, want := range map[string]string{"": "no receiver is configured", "platform": "not confirmed yet by platform"} {
			text := toOperator(r, strings.Fields(receivers))
			if !strings.Contains(text.Body, want) || strings.Contains(text.Body, "has been") {
				t.Errorf("%s, receivers %q:\n%s", v, receivers, text.Body)
			}
		}
	}
}

// linked finds what mail programs make links of, generously.
var linked = regexp.MustCompile(`(?i)[a-z][a-z0-9+.-]*:[/\\]|\bmailto:|[^\s@'\[\]]+@[^\s@'\[\]]+|[\p{L}\p{N}-]+[.。．｡][\p{L}][\p{L}\p{N}-]`)

// What strangers wrote (accounts, user names, subdomains, a platform's answer) stands in
// mails so that nothing of it can be clicked, breaks a line or, pasted into a shell, does
// anything but name the entity.
func TestNothingOfStrangersIsClickedOrRun(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("there is no bash")
	}
	texts := []string{"https://evil.example/login", "see www.evil.example now", "joe@evil.example", "mailto:joe@evil.example", "evil.example", `\\evil\share`, "a\r\nSubject: x\x1b[2J", "пример.рф"}
	names := []string{"acct-1", "evil.example", "https://evil.example/", "joe@evil.example", "a b", "a'b", `a"b`, "$(touch /tmp/x)", "a;b&&c", "`id`", "a\nb", "-rf", "'evil.example'"}
	for i, name := range names {
		r := record()
		r.Entity.ID, r.Account, r.Credential = name, name, texts[i%len(texts)]
		r.NoticeReason = "The account " + name + " sent what it does not usually send. See https://help.platform.example."
		r.Reason = "login of user " + texts[i%len(texts)]
		seen := *r
		for _, x := range texts {
			seen.Seen = append(seen.Seen, schemas.Seen{Text: "mail as from " + x, Share: .1})
		}
		for _, x := range []notify.Text{
			toOperator(r, []string{"platform"}), toOperator(&seen, nil), of(notify.IsHeld(r, time.Hour)), of(notify.IsRefused(r, "platform", texts[i%len(texts)])),
			of(notify.IsOverdue(r, "platform", 1, time.Minute, r.Time, texts[i%len(texts)])), of(notify.IsResolved(r, "platform", 1, r.Time)), toCustomer(r, true), toCustomer(r, false),
		} {
			all := strings.ReplaceAll(x.Subject+"\n"+x.Body, "https://help.platform.example", "")
			all = strings.ReplaceAll(all, "enforce.webhook.url", "")
			if hit := linked.FindString(all); hit != "" {
				t.Errorf("%q can be clicked in:\n%s", hit, all)
			}
			for _, c := range all {
				if c != '\n' && !unicode.IsGraphic(c) {
					t.Errorf("%U stands in:\n%s", c, all)
				}
			}
		}
		o := notify.FromDecision(r, nil, false)
		_, command, _ := strings.Cut(notify.Default.Write(notify.AudienceOperator, "en", []*notify.Occasion{&o}).Body, "holdfast timeline ")
		command, _, _ = strings.Cut(command, "\n")
		out, err := exec.CommandContext(t.Context(), bash, "-c", "printf %s "+command).Output()
		if err != nil || string(out) != r.Entity.Key() {
			t.Errorf("%s names %q, not %q: %v", command, out, r.Entity.Key(), err)
		}
	}
}

// A decision's case decides what it joins, and what it is called: a stop in a case that had
// one before is a relapse, the end of probation closes it, and what only restates what is
// left in force is told to nobody.
func TestWhatADecisionIsInItsCase(t *testing.T) {
	for name, x := range map[string]struct {
		change func(*decision.Record)
		want   notify.What
		quiet  bool
	}{
		"a stop":    {func(*decision.Record) {}, notify.Stopped, false},
		"a relapse": {func(r *decision.Record) { r.Relapses = 1 }, notify.Relapsed, false},
		"the way back": {func(r *decision.Record) {
			r.Verdict, r.Policy, r.Stage, r.Status.PerDay = schemas.VerdictRelease, policy.NameWayBack, schemas.StageProbation, 400
		}, notify.Probation, false},
		"a person's release": {func(r *decision.Record) {
			r.Verdict, r.Policy, r.Stage = schemas.VerdictRelease, policy.NameOperator, schemas.StageProbation
		}, notify.Released, false},
		"a higher limit": {func(r *decision.Record) {
			r.Verdict, r.Policy, r.Stage, r.Again, r.Status.PerDay = schemas.VerdictRelease, policy.NameProbation, schemas.StageProbation, true, 900
		}, notify.Probation, true},
		"the end of probation": {func(r *decision.Record) {
			r.Verdict, r.Policy, r.Stage, r.Again = schemas.VerdictRelease, policy.NameProbation, schemas.StageClosed, true
		}, notify.Closed, false},
		"one of two holds ends": {func(r *decision.Record) { r.Policy, r.Again = policy.NameExpiry, true }, notify.Repeated, true},
		"it goes on":            {func(r *decision.Record) { r.Again = true }, notify.Repeated, false},
	} {
		r := record()
		r.Case, r.Steps = "case_9", []schemas.Step{{Kind: schemas.StepAPIKey, Object: "k"}}
		x.change(r)
		o := notify.FromDecision(r, nil, true)
		if o.What != x.want || o.Case != "case_9" || len(o.Steps) != 1 || (notify.Restates(r) && !notify.Closes(r)) != x.quiet {
			t.Errorf("%s: %s of %s, restates %v", name, o.What, o.Case, notify.Restates(r))
		}
	}
}
