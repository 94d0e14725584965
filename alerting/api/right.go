package api

import (
	"slices"
	"strings"
)

// Right is leave to do one thing. That of an act on an entity or a case is "act." and the
// act's name.
type Right string

// The rights beside those of acts.
const (
	RightNone     Right = "-"        // asked of nobody: also who is not signed in may
	RightSelf     Right = "self"     // one's own account: everybody who is signed in
	RightRead     Right = "read"     // cases, statuses, timelines, policies, the system
	RightAudit    Right = "audit"    // what people did, refused acts too
	RightPeople   Right = "people"   // see who may do what
	RightManage   Right = "manage"   // add people, change roles, make tokens for others
	RightQuery    Right = "query"    // ask the audit store by SQL, read only and bounded
	RightBulk     Right = "bulk"     // ask for an act on many entities
	RightApprove  Right = "approve"  // be the second person
	RightBrake    Right = "brake"    // release the brake on automatic stops
	RightRetry    Right = "retry"    // have receivers told again
	RightPolicy   Right = "policy"   // change what is expected of entities and policies
	RightIncident Right = "incident" // open incidents, and act on them
)

// Role is a set of rights.
type Role string

// The roles.
const (
	RoleViewer  Role = "viewer"
	RoleAnalyst Role = "analyst"
	RoleLead    Role = "lead"
	RoleAuditor Role = "auditor"
	RoleAdmin   Role = "admin"
)

// Roles lists the roles.
func Roles() []Role { return []Role{RoleViewer, RoleAnalyst, RoleLead, RoleAuditor, RoleAdmin} }

// roleRights says what each role may. An admin manages people and what only a lead may do;
// a person who stops accounts and one who says who may is still the same person on one
// machine, so that an admin has every right but none is taken from the record.
var roleRights = func() map[Role]map[Right]bool {
	set := func(rights ...Right) map[Right]bool {
		out := map[Right]bool{}
		for _, r := range rights {
			out[r] = true
		}
		return out
	}
	viewer := []Right{RightSelf, RightRead}
	analyst := append(slices.Clone(viewer), RightQuery, RightBulk, RightRetry, RightIncident)
	lead := append(slices.Clone(analyst), RightApprove, RightBrake, RightPolicy, RightAudit)
	for _, a := range acts {
		if !a.Lead && a.Right == "" {
			analyst = append(analyst, a.right())
		}
		lead = append(lead, a.right())
	}
	admin := append(slices.Clone(lead), RightPeople, RightManage)
	return map[Role]map[Right]bool{
		RoleViewer: set(viewer...), RoleAnalyst: set(analyst...), RoleLead: set(lead...), RoleAdmin: set(admin...),
		RoleAuditor: set(RightSelf, RightRead, RightAudit, RightPeople, RightQuery),
	}
}()

// Rights lists what a role may, sorted.
func (r Role) Rights() []Right {
	var out []Right
	for x := range roleRights[r] {
		out = append(out, x)
	}
	slices.Sort(out)
	return out
}

// Known reports whether there is such a role.
func (r Role) Known() bool { return roleRights[r] != nil }

// Principal is who asks or acts. The zero value is nobody and may nothing.
type Principal struct {
	Name string `json:"name"`
	Role Role   `json:"role"`
	// Only narrows the role's rights, for tokens; nil leaves them.
	Only []Right `json:"only,omitempty"`
	// Via is what showed who it is: session:ID or token:ID.
	Via string `json:"via,omitempty"`
	// From is the address that it came from.
	From string `json:"from,omitempty"`
}

// May reports whether p has a right.
func (p Principal) May(r Right) bool {
	switch {
	case r == RightNone:
		return true
	case p.Name == "" || !roleRights[p.Role][r]:
		return false
	case r == RightSelf || p.Only == nil:
		return true
	}
	return slices.Contains(p.Only, r)
}

// Rights lists what p may, sorted: what a page shows buttons for.
func (p Principal) Rights() []Right {
	return slices.DeleteFunc(p.Role.Rights(), func(r Right) bool { return !p.May(r) })
}

// MayAct reports whether p may carry out an act of this name.
func (p Principal) MayAct(act string) bool { return p.May(Right("act." + act)) }

// need returns the refusal where p lacks a right.
func (p Principal) need(r Right) error {
	switch {
	case p.May(r):
		return nil
	case p.Name == "":
		return unauthorized("sign in, or send a token in the header Authorization: Bearer …")
	}
	what := string(r)
	if act, ok := strings.CutPrefix(what, "act."); ok {
		what = "act " + act
	}
	return forbidden("the role " + string(p.Role) + " lacks the right \"" + what + "\": ask a lead or an admin")
}
