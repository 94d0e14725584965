package policy

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"holdfast/schemas"
)

// maxFile is the largest policy file, in bytes.
const maxFile = 1 << 20

var namePattern = regexp.MustCompile(`^[a-z][a-z0-9-]{0,62}$`)

// maxFor is the longest for which a policy may hold anybody by itself.
const maxFor = 365 * 24 * time.Hour

// Parse reads a policy file. name is what mistakes call it. The error joins every
// mistake found, each a *Mistake; beside it stands what could be read, for whoever
// checks that too, or nil.
func Parse(name string, data []byte) (*Set, error) {
	r := &reader{file: name}
	if len(data) > maxFile {
		return nil, &Mistake{File: name, What: fmt.Sprintf("the file has %d bytes", len(data)), Fix: fmt.Sprintf("keep to %d", maxFile)}
	}
	s := &Set{allow: map[string][]Allow{}}
	root := r.document(data)
	if root == nil {
		return nil, r.err()
	}
	seen := map[string]bool{}
	r.mapping(root, "the file", fields{
		"certain":    func(n *yaml.Node) { r.list(n, "certain", 100, func(x *yaml.Node) { r.certain(s, x) }) },
		"parameters": func(n *yaml.Node) { s.Parameters = r.settings(n, "parameters") },
		"shadow":     func(n *yaml.Node) { r.shadow(s, n) },
		"allow":      func(n *yaml.Node) { r.list(n, "allow", MaxAllows, func(x *yaml.Node) { r.allow(s, x) }) },
		"trusted_proxies": func(n *yaml.Node) {
			r.list(n, "trusted_proxies", MaxProxies, func(x *yaml.Node) { r.proxy(s, x) })
		},
		"policies": func(n *yaml.Node) {
			r.list(n, "policies", MaxPolicies, func(x *yaml.Node) { r.policy(s, x, seen) })
		},
	})
	if len(s.Policies) == 0 && len(r.mistakes) == 0 {
		r.at(root, "there is no policy, and a policy file replaces the built-in ones", "to change numbers alone, write the built-in ones to another file, `holdfast policies print --builtin > NEW.yaml`, and set the numbers under its parameters:")
	}
	return s, r.err()
}

func (r *reader) certain(s *Set, n *yaml.Node) {
	c := Certain{}
	if !r.mapping(n, "a certain signal", fields{
		"detector": func(n *yaml.Node) { c.Detector = r.text(n, "detector", 64) },
		"severity": func(n *yaml.Node) { c.Severity = r.severity(n) },
	}) {
		return
	}
	if c.Detector == "" {
		r.at(n, "the certain signal names no detector", "add detector:")
	}
	s.Certain = append(s.Certain, c)
}

func (r *reader) severity(n *yaml.Node) int {
	return SeverityRank(schemas.Severity(r.oneOf(n, "severity", "low", "medium", "high", "critical")))
}

func (r *reader) allow(s *Set, n *yaml.Node) {
	var a Allow
	if !r.mapping(n, "an allow entry", fields{
		"entity": func(n *yaml.Node) {
			e, err := schemas.ParseEntity(n.Value)
			if err != nil {
				r.at(n, err.Error(), "")
			}
			a.Entity = e
		},
		"detectors": func(n *yaml.Node) {
			r.list(n, "detectors", 100, func(x *yaml.Node) { a.Detectors = append(a.Detectors, r.text(x, "detector", 64)) })
		},
		"until":  func(n *yaml.Node) { a.Until = r.time(n, "until") },
		"reason": func(n *yaml.Node) { a.Reason = r.text(n, "reason", schemas.MaxText) },
	}) {
		return
	}
	missing := func(is bool, field, fix string) {
		if is {
			r.at(n, "the allow entry has no "+field, fix)
		}
	}
	missing(a.Entity.IsZero() && !has(n, "entity"), "entity", "add entity: account:ID")
	missing(!has(n, "until"), "end", "add until: with a time; nothing is allowed for ever")
	missing(!has(n, "reason"), "reason", "add reason: so that others know why")
	s.allow[a.Entity.Key()] = append(s.allow[a.Entity.Key()], a)
}

func has(n *yaml.Node, name string) bool { return field(n, name) != nil }

// field is a mapping's value of a name, or nil.
func field(n *yaml.Node, name string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return n.Content[i+1]
		}
	}
	return nil
}

func (r *reader) policy(s *Set, n *yaml.Node, seen map[string]bool) {
	p := &Policy{Version: 1, Mode: schemas.ModeLive, Window: MaxWindow}
	p.reason, _ = parseTemplate("reason", `{{join .Evidence "; "}}`, ReasonData{})
	p.notice, _ = parseTemplate("notice_reason", `We saw unusual activity on this account.`, NoticeData{})
	if entity := field(n, "entity"); entity != nil && entity.Value != string(schemas.KindAccount) {
		p.notice, _ = parseTemplate("notice_reason", `We saw unusual activity.`, NoticeData{})
	}
	if !r.mapping(n, "a policy", fields{
		"name":          func(n *yaml.Node) { p.Name = r.name(n, seen) },
		"version":       func(n *yaml.Node) { p.Version = r.whole(n, "version") },
		"entity":        func(n *yaml.Node) { p.Entity = schemas.EntityKind(r.oneOf(n, "entity", "account", "employee", "ip")) },
		"mode":          func(n *yaml.Node) { p.Mode = schemas.Mode(r.oneOf(n, "mode", "live", "shadow")) },
		"verdict":       func(n *yaml.Node) { p.Verdict = r.verdict(n) },
		"window":        func(n *yaml.Node) { p.Window = r.duration(n, "window", time.Minute, MaxWindow) },
		"floor":         func(n *yaml.Node) { p.Floor = r.floor(n) },
		"when_alone":    func(n *yaml.Node) { p.Alone = r.oneOf(n, "when_alone", "revoke") == "revoke" },
		"for":           func(n *yaml.Node) { p.For = r.duration(n, "for", time.Minute, maxFor) },
		"release":       func(n *yaml.Node) { p.Stays = r.oneOf(n, "release", "steps", "person") == "person" },
		"when":          func(n *yaml.Node) { r.when(p, n) },
		"reason":        func(n *yaml.Node) { r.reason(p, n) },
		"notice_reason": func(n *yaml.Node) { r.notice(p, n) },
	}) {
		return
	}
	r.complete(p, n)
	s.Policies = append(s.Policies, p)
}

// complete checks what only the whole policy shows.
func (r *reader) complete(p *Policy, n *yaml.Node) {
	for _, f := range []struct{ field, fix string }{
		{"name", "add name: in lower case with dashes"},
		{"entity", "add entity: account, employee or ip"},
		{"verdict", "add verdict: observe, review, throttle, revoke, suspend or block"},
		{"when", "add when: with a condition"},
	} {
		if !has(n, f.field) {
			r.at(n, "the policy has no "+f.field, f.fix)
		}
	}
	if p.Verdict.Stops() && !has(n, "floor") {
		r.at(n, fmt.Sprintf("policy %q stops somebody without a floor", p.Name), "add floor: with a unit and its least number, for example recipients: 100")
	}
	if p.Alone && (p.Verdict != schemas.VerdictSuspend || p.Entity != schemas.KindAccount) {
		r.at(n, fmt.Sprintf("policy %q: when_alone goes with the suspension of an account", p.Name), "leave when_alone out")
	}
	if p.Entity == "" {
		return
	}
	if isIP := p.Entity == schemas.KindIP; isIP && (p.Verdict == schemas.VerdictSuspend || p.Verdict == schemas.VerdictThrottle) {
		r.at(n, fmt.Sprintf("policy %q: an address cannot be %sed", p.Name, strings.TrimSuffix(string(p.Verdict), "e")), "use verdict: block")
	} else if p.Verdict == schemas.VerdictRevoke && p.Entity != schemas.KindAccount {
		r.at(n, fmt.Sprintf("policy %q: only an account has credentials that can be revoked", p.Name), "use verdict: suspend")
	} else if !isIP && p.Verdict == schemas.VerdictBlock {
		r.at(n, fmt.Sprintf("policy %q: only addresses are blocked", p.Name), "use verdict: suspend")
	}
}

func (r *reader) name(n *yaml.Node, seen map[string]bool) string {
	switch {
	case !namePattern.MatchString(n.Value):
		r.at(n, fmt.Sprintf("name %q is not a name", n.Value), "use lower case letters, digits and dashes, at most 63")
	case n.Value == NameOperator:
		r.at(n, "the name operator is reserved for decisions of people", "choose another name")
	case OfCase(n.Value):
		r.at(n, fmt.Sprintf("the name %s is reserved for decisions that follow from a case", n.Value), "choose another name")
	case seen[n.Value]:
		r.at(n, fmt.Sprintf("policy %q appears twice", n.Value), "give each policy a name of its own")
	}
	seen[n.Value] = true
	return n.Value
}

func (r *reader) verdict(n *yaml.Node) schemas.Verdict {
	if n.Value == "release" {
		r.at(n, fmt.Sprintf("verdict %q is not a policy's to give", n.Value), "use observe, review, throttle, revoke, suspend or block")
		return ""
	}
	return schemas.Verdict(r.oneOf(n, "verdict", "observe", "review", "throttle", "revoke", "suspend", "block"))
}

func (r *reader) floor(n *yaml.Node) map[string]float64 {
	out := map[string]float64{}
	if n.Kind != yaml.MappingNode || len(n.Content) == 0 {
		r.at(n, "floor must name at least one unit", "write for example recipients: 100")
		return out
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		out[n.Content[i].Value] = r.number(n.Content[i+1], "floor", 1)
	}
	return out
}

func (r *reader) reason(p *Policy, n *yaml.Node) {
	sample := ReasonData{Entity: "account:a", Evidence: []string{"x"}, Families: []string{"volume"}}
	t, err := parseTemplate("reason", r.text(n, "reason", 2048), sample)
	if err != nil {
		r.at(n, "reason is not a template: "+err.Error(), "use .Entity, .Account, .Policy, .Families, .Evidence or .Risk")
		return
	}
	p.reason = t
}

func (r *reader) notice(p *Policy, n *yaml.Node) {
	t, err := parseTemplate("notice_reason", r.text(n, "notice_reason", 2048), NoticeData{Account: "a", Families: []string{"volume"}})
	if err != nil {
		r.at(n, "notice_reason is not a template: "+err.Error(), "use .Account or .Families; customers are told no number")
		return
	}
	p.notice = t
}
