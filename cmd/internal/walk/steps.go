package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"holdfast/schemas"
)

// The cast.
const (
	account  = "walk-1"
	user     = "ann@example.org"
	owner    = "owner@example.org"
	desk     = "desk@example.com"
	home     = "192.0.2.10"
	intruder = "198.51.100.99"
	leaked   = "key-web"
	mail     = "mx@example.org"
	planted  = "key-planted"
)

// step is one thing that must be so.
type step struct {
	says  string
	holds func(*instance) error
}

func steps() []step {
	return []step{
		{"forty days of ordinary mail are imported", history},
		{"the intruder makes a key and sends with the leaked one: the account is suspended", stopped},
		{"there is one case of it, contained, with how they came in and what they made", oneCase},
		{"the platform stops the account, and its confirmation proves that sessions ended", confirmed},
		{"the customer is told once, in plain words, and the operators too", told},
		{"an analyst takes the case, writes a note and judges it", analyst},
		{"the intruder's own resets and rotations prove nothing, and count as a relapse", impostor},
		{"the customer's confirmation comes too early and is refused", tooEarly},
		{"a key that is rotated before the password was reset does not count", wrongOrder},
		{"step: the leak is explained", investigated},
		{"step: the user's password is reset", proven("user_password:"+user, "user_password", "reset", "pw-ann")},
		{"step: the user's second factor is set up", proven("mfa:"+user, "mfa", "enabled", "mfa-ann")},
		{"step: the key that the intruder made is removed", proven("removal:api_key:"+planted, "api_key", "revoked", planted)},
		{"step: the API key is rotated", proven("api_key:"+leaked, "api_key", "rotated", leaked)},
		{"with one step open the account is still suspended", stillSuspended},
		{"step: the SMTP password of the sender domain is rotated", proven("smtp_password:"+mail, "smtp_password", "rotated", mail)},
		{"step: all is well, says the analyst for the customer: the account is released on probation", released},
		{"the platform takes its mail again, and the customer is told", openAgain},
		{"the case is closed", closed},
		{"who did what is on record, by name", onRecord},
	}
}

// waits for what the instance does in the background.
func (i *instance) eventually(holds func() error) error { return i.within(patience, holds) }

func history(i *instance) error {
	now := time.Now().UTC()
	lines := [][]byte{i.event(now.AddDate(0, 0, -41), map[string]any{
		"type": "account", "plan": "pro", "created": "2024-01-01T00:00:00Z", "users": []string{user}, "domains": []string{"example.org"},
		"credentials": []map[string]string{{"id": leaked, "kind": "api_key"}, {"id": mail, "kind": "smtp_password"}},
		"contacts":    []map[string]string{{"email": owner, "role": "owner"}},
	})}
	for day := 40; day > 0; day-- {
		morning := now.AddDate(0, 0, -day)
		lines = append(lines, i.event(morning, map[string]any{"type": "login", "user": user, "ip": home, "outcome": "success"}))
		for n := range 30 {
			lines = append(lines, i.event(morning.Add(time.Duration(n)*5*time.Minute), map[string]any{
				"type": "send", "ip": fmt.Sprintf("192.0.2.%d", 20+day%3), "credential": leaked, "recipients": []string{fmt.Sprintf("reader%d@example.com", n)},
			}))
		}
	}
	path := filepath.Join(i.dir, "history.ndjson")
	if err := os.WriteFile(path, slices.Concat(lines...), 0o600); err != nil {
		return err
	}
	out, err := i.holdfast("import", path)
	if err == nil && !strings.Contains(out, "1,241") && !strings.Contains(out, "1241") {
		err = fmt.Errorf("the import says %q, want 1241 accepted", out)
	}
	return err
}

func stopped(i *instance) error {
	now := time.Now()
	lines := [][]byte{i.event(now.Add(-3*time.Minute), map[string]any{
		"type": "send", "ip": intruder, "credential": leaked, "recipients": []string{"first@bought.example"},
	})}
	for n := range 120 {
		lines = append(lines, i.event(now.Add(time.Duration(n-125)*time.Second), map[string]any{
			"type": "send", "ip": intruder, "credential": leaked, "recipients": []string{fmt.Sprintf("stranger%d@bought.example", n), fmt.Sprintf("other%d@bought.example", n)},
		}))
		if n == 60 {
			lines = append(lines, i.event(now.Add(-64*time.Second), map[string]any{
				"type": "credential", "kind": "api_key", "change": "created", "credential": planted, "actor": "customer", "ip": intruder,
			}))
		}
	}
	if err := i.send(lines...); err != nil {
		return err
	}
	return i.eventually(func() error {
		s, err := i.status()
		if err == nil && s.Status != "suspended" {
			err = fmt.Errorf("the account is %s", s.Status)
		}
		return err
	})
}

func oneCase(i *instance) error {
	return i.eventually(func() error {
		c, err := i.theCase()
		if err != nil {
			return err
		}
		has := func(kind, value string) bool {
			return slices.ContainsFunc(c.Entry, func(t schemas.Trace) bool { return t.Kind == kind && t.Value == value })
		}
		switch {
		case c.Stage != schemas.StageContained && c.Stage != schemas.StageRecovering:
			return fmt.Errorf("the case is %s", c.Stage)
		case !has(schemas.TraceAddress, intruder) || !has(schemas.TraceCredential, leaked):
			return fmt.Errorf("how they came in: %+v", c.Entry)
		case !slices.ContainsFunc(c.Made, func(m schemas.Made) bool { return m.ID == planted }):
			return fmt.Errorf("what they made: %+v", c.Made)
		case len(c.Steps) != 8:
			return fmt.Errorf("%d steps, want 8: %+v", len(c.Steps), c.Steps)
		}
		return nil
	})
}

// isDone reports a step that is open.
func (i *instance) isDone(id string) error {
	c, err := i.theCase()
	if err != nil {
		return err
	}
	at := slices.IndexFunc(c.Steps, func(s schemas.Step) bool { return s.ID == id })
	switch {
	case at < 0:
		return fmt.Errorf("the case has no step %s", id)
	case !c.Steps[at].Done():
		return fmt.Errorf("step %s is open: %s", id, c.Steps[at].Ignored)
	}
	return nil
}

func confirmed(i *instance) error {
	return i.eventually(func() error {
		if i.platform.Allows(schemas.Entity{Kind: schemas.KindAccount, ID: account}) {
			return errors.New("the platform takes the account's mail")
		}
		return i.isDone("sessions")
	})
}

func told(i *instance) error {
	return i.eventually(func() error {
		customer, operators := i.mailsTo(owner), i.mailsTo(desk)
		switch {
		case len(customer) != 1:
			return fmt.Errorf("%d mails to the customer, want one", len(customer))
		case len(operators) == 0:
			return errors.New("no mail to the operators")
		case strings.Contains(customer[0].Body, "new_source") || strings.Contains(customer[0].Body, "1 in "):
			return fmt.Errorf("the customer is told what is not for them: %s", customer[0].Body)
		}
		return nil
	})
}

func analyst(i *instance) error {
	for _, fields := range []map[string]any{
		{"act": "assign", "item": "ann", "why": "on shift"},
		{"act": "note", "text": "The key was in a public repository."},
		{"act": "verdict", "verdict": "compromised", "reason": "key_leaked", "why": "the repository's history shows it"},
	} {
		if err := i.act(fields); err != nil {
			return err
		}
	}
	return i.eventually(func() error {
		c, err := i.theCase()
		if err == nil && (c.Owner != "ann" || len(c.Notes) != 1 || c.Verdict != schemas.CaseCompromised) {
			err = fmt.Errorf("owner %q, %d notes, verdict %q", c.Owner, len(c.Notes), c.Verdict)
		}
		return err
	})
}

// change is a credential event of now.
func (i *instance) change(kind, change, credential, ip string) error {
	return i.send(i.event(time.Now(), map[string]any{
		"type": "credential", "kind": kind, "change": change, "credential": credential, "user": user, "actor": "customer", "ip": ip,
	}))
}

func impostor(i *instance) error {
	for _, x := range [][3]string{{"user_password", "reset", "pw-x"}, {"mfa", "enabled", "mfa-x"}, {"api_key", "rotated", leaked}} {
		if err := i.change(x[0], x[1], x[2], intruder); err != nil {
			return err
		}
	}
	return i.eventually(func() error {
		c, err := i.theCase()
		if err != nil {
			return err
		}
		if c.Relapses == 0 {
			return errors.New("no relapse is counted")
		}
		for k := range c.Steps {
			if s := &c.Steps[k]; s.Done() && s.Kind != schemas.StepSessions {
				return fmt.Errorf("step %s is proven by %+v", s.ID, s.Proof)
			}
		}
		return nil
	})
}

func tooEarly(i *instance) error {
	err := i.act(map[string]any{"act": "tick", "item": "confirmation", "text": "all is well"})
	if err == nil {
		return errors.New("it is taken")
	}
	if !strings.Contains(err.Error(), "other steps are open") {
		return fmt.Errorf("it is refused for another reason: %w", err)
	}
	return nil
}

func wrongOrder(i *instance) error {
	if err := i.change("api_key", "rotated", leaked, home); err != nil {
		return err
	}
	return i.eventually(func() error {
		err := i.isDone("api_key:" + leaked)
		if err == nil {
			return errors.New("it counts")
		}
		if !strings.Contains(err.Error(), "before the password") {
			return err
		}
		return nil
	})
}

// said proves a step that is said, sessions too where the relapse has opened it again.
func investigated(i *instance) error {
	if err := i.act(map[string]any{"act": "tick", "item": "investigation", "text": "the key was in a public repository"}); err != nil {
		return err
	}
	if i.isDone("sessions") != nil {
		if err := i.act(map[string]any{"act": "tick", "item": "sessions", "text": "ended by hand"}); err != nil {
			return err
		}
	}
	return i.eventually(func() error { return errors.Join(i.isDone("investigation"), i.isDone("sessions")) })
}

// proven has the customer do what proves a step, and looks that the account waits on.
func proven(id, kind, change, credential string) func(*instance) error {
	return func(i *instance) error {
		if err := i.change(kind, change, credential, home); err != nil {
			return err
		}
		if err := i.eventually(func() error { return i.isDone(id) }); err != nil {
			return err
		}
		return stillSuspended(i)
	}
}

func stillSuspended(i *instance) error {
	s, err := i.status()
	if err == nil && s.Status != "suspended" {
		err = fmt.Errorf("the account is %s", s.Status)
	}
	return err
}

func released(i *instance) error {
	if err := i.act(map[string]any{"act": "tick", "item": "confirmation", "text": "confirmed by telephone"}); err != nil {
		return err
	}
	return i.eventually(func() error {
		s, err := i.status()
		if err != nil {
			return err
		}
		c, err := i.theCase()
		switch {
		case err != nil:
			return err
		case s.Status != "active" || s.PerDay <= 0:
			return fmt.Errorf("the account is %s with a limit of %d a day; the case is %s with steps %+v, holds %+v", s.Status, s.PerDay, c.Stage, c.Steps, c.Holds)
		case c.Stage != schemas.StageProbation || c.Ramp == nil || c.Ramp.Share != 10:
			return fmt.Errorf("the case is %s, ramp %+v", c.Stage, c.Ramp)
		}
		return nil
	})
}

func openAgain(i *instance) error {
	return i.eventually(func() error {
		if !i.platform.Allows(schemas.Entity{Kind: schemas.KindAccount, ID: account}) {
			return errors.New("the platform refuses the account's mail")
		}
		if n := len(i.mailsTo(owner)); n < 2 {
			return fmt.Errorf("%d mails to the customer, want one of the release too", n)
		}
		return nil
	})
}

func closed(i *instance) error {
	if err := i.act(map[string]any{"act": "close", "why": "the customer has sent well for a day"}); err != nil {
		return err
	}
	return i.eventually(func() error {
		c, err := i.theCase()
		if err == nil && c.Stage != schemas.StageClosed {
			err = fmt.Errorf("the case is %s", c.Stage)
		}
		return err
	})
}

func onRecord(i *instance) error {
	var me struct {
		Name string `json:"name"`
	}
	if err := i.ask(http.MethodGet, "/v1/me", nil, &me); err != nil {
		return err
	}
	return i.eventually(func() error {
		var page struct {
			Items []struct {
				Body schemas.Operator `json:"body"`
			} `json:"items"`
		}
		if err := i.ask(http.MethodGet, "/v1/operators", nil, &page); err != nil {
			return err
		}
		seen := map[string]string{}
		for _, x := range page.Items {
			if x.Body.From == "" {
				seen[x.Body.Act] = x.Body.Actor
			}
		}
		for _, act := range []string{"assign", "note", "verdict", "tick", "close"} {
			if seen[act] == "" || seen[act] != me.Name {
				return fmt.Errorf("act %s is on record as %q's, want %q", act, seen[act], me.Name)
			}
		}
		return nil
	})
}
