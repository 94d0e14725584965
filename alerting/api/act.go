package api

import (
	"fmt"
	"slices"
	"strings"

	"holdfast/alerting/gate"
	"holdfast/schemas"
)

// act is one thing that people can do: a line of the table of acts. A new one is a line
// here; that the entity's lane understands it is alerting/respond's.
type act struct {
	Name  string
	Label string // what a button says
	// Does says what it will do, for a preview: %s is the entity.
	Does    string
	Inverse string // the act that undoes it; empty: none does
	Kinds   []schemas.EntityKind
	// Needs are the fields that must be set: why, item, text, until, verdict, other.
	Needs []string
	Item  string // what item means
	// Case says that it is on a case: its entity must have one.
	Case bool
	// Adds says that it takes nothing away from what others did, so that it needs no
	// version that the person saw.
	Adds bool
	Lead bool // only leads and admins may
	// Grave acts on many entities need a second person.
	Grave bool
	// Two says that on a protected entity a second person has to approve it.
	Two bool
	// Right is another right than "act." and the name.
	Right Right
	// fits reports whether it makes sense as things stand; nil: always.
	fits func(st schemas.Status, c *schemas.Case, z *Snooze) bool
}

func (a *act) right() Right {
	if a.Right != "" {
		return a.Right
	}
	return Right("act." + a.Name)
}

var (
	owners   = []schemas.EntityKind{schemas.KindAccount, schemas.KindEmployee}
	accounts = []schemas.EntityKind{schemas.KindAccount}
	ips      = []schemas.EntityKind{schemas.KindIP}
)

// acts is the table of acts.
var acts = []act{
	{Name: "suspend", Label: "Suspend", Kinds: owners, Two: true, Needs: []string{"why"}, Inverse: "release", Grave: true,
		Does: "suspends %s with its credentials, its sessions and its queued mail; the platform is told at once",
		fits: func(st schemas.Status, _ *schemas.Case, _ *Snooze) bool { return st.Status != "suspended" }},
	{Name: "block", Label: "Block", Kinds: ips, Needs: []string{"why"}, Inverse: "release", Grave: true,
		Does: "blocks %s: nothing is taken from there any more",
		fits: func(st schemas.Status, _ *schemas.Case, _ *Snooze) bool { return st.Status != "blocked" }},
	{Name: "throttle", Label: "Throttle", Kinds: owners, Two: true, Needs: []string{"why"}, Inverse: "release", Grave: true,
		Does: "limits how fast %s may send; nothing is taken away",
		fits: func(st schemas.Status, _ *schemas.Case, _ *Snooze) bool {
			return !stopped(st) && st.Status != "throttled"
		}},
	{Name: "revoke", Label: "Revoke a credential", Kinds: accounts, Two: true, Needs: []string{"why", "item"}, Item: "the credential", Inverse: "release", Grave: true,
		Does: "takes one credential away from %s; the others go on"},
	{Name: "release", Label: "Release", Two: true, Needs: []string{"why"}, Grave: true,
		Does: "releases %s: it may work again, and is watched more closely for a while",
		fits: func(st schemas.Status, _ *schemas.Case, _ *Snooze) bool {
			return stopped(st) || st.Status == "throttled" || st.Status == "revoked"
		}},
	{Name: "dismiss", Label: "Dismiss", Needs: []string{"why"}, Grave: true,
		Does: "closes the review of %s as a false positive; what was found does not raise it again",
		fits: func(st schemas.Status, _ *schemas.Case, _ *Snooze) bool {
			return st.Status == "review" || st.Status == "throttled"
		}},
	{Name: "confirm", Label: "Confirm", Needs: []string{"why"},
		Does: "says that what was found about %s is so; its status stays as it is",
		fits: func(st schemas.Status, _ *schemas.Case, _ *Snooze) bool { return st.Status != "active" }},
	{Name: "snooze", Label: "Snooze", Needs: []string{"why", "until"}, Inverse: "unsnooze", Grave: true,
		Does: "answers no signal of %s until the time that is given; they are recorded all the same",
		fits: func(_ schemas.Status, _ *schemas.Case, z *Snooze) bool { return z == nil }},
	{Name: "unsnooze", Label: "End the snooze", Needs: []string{"why"}, Inverse: "snooze",
		Does: "answers signals of %s again, from now on",
		fits: func(_ schemas.Status, _ *schemas.Case, z *Snooze) bool { return z != nil }},
	{Name: "allow", Label: "Allow a detector's signals", Needs: []string{"why", "until", "item"}, Item: "the detector", Inverse: "disallow", Right: RightPolicy,
		Does: "answers no signal of one detector about %s until the time that is given"},
	{Name: "disallow", Label: "End an allowance", Needs: []string{"why", "item"}, Item: "the detector", Inverse: "allow", Right: RightPolicy,
		Does: "answers the detector's signals about %s again, from now on"},
	{Name: "protect", Label: "Protect", Kinds: owners, Needs: []string{"why"}, Inverse: "unprotect", Lead: true,
		Does: "makes every stop and release of %s by hand need two people",
		fits: func(_ schemas.Status, c *schemas.Case, _ *Snooze) bool { return c == nil || !c.Protected }},
	{Name: "unprotect", Label: "Unprotect", Kinds: owners, Two: true, Needs: []string{"why"}, Inverse: "protect", Lead: true, Grave: true,
		Does: "lets one person alone stop and release %s",
		fits: func(_ schemas.Status, c *schemas.Case, _ *Snooze) bool { return c == nil || c.Protected }},

	{Name: "assign", Label: "Assign", Case: true, Item: "the person; empty: nobody", Inverse: "assign",
		Does: "makes somebody answer for the case of %s"},
	{Name: "watch", Label: "Watch", Case: true, Adds: true, Item: "the person; empty: who asks", Inverse: "unwatch", Does: "lists a person as one who wants to know of the case of %s"},
	{Name: "unwatch", Label: "Do not watch", Case: true, Adds: true, Item: "the person; empty: who asks", Inverse: "watch", Does: "takes a person off the watchers of the case of %s"},
	{Name: "note", Label: "Write a note", Case: true, Adds: true, Needs: []string{"text"}, Does: "adds a note to the case of %s"},
	{Name: "ticket", Label: "Link a ticket", Case: true, Adds: true, Needs: []string{"item"}, Item: "the ticket", Does: "links a ticket to the case of %s"},
	{Name: "tick", Label: "Answer a step", Case: true, Needs: []string{"item"}, Item: "the step", Does: "says that a step of the way back of %s is done: an answer, or a confirmation", fits: hasSteps},
	{Name: "waive", Label: "Waive a step", Case: true, Two: true, Needs: []string{"item", "why"}, Item: "the step", Does: "lets %s go without a step of the way back, by name and with a reason", fits: hasSteps},
	{Name: "keep", Label: "Keep what was made", Case: true, Two: true, Needs: []string{"item", "why"}, Item: "the step", Does: "lets what was made inside the window stay at %s, by name and with a reason", fits: hasSteps},
	{Name: "ours", Label: "An address is theirs", Case: true, Two: true, Needs: []string{"item", "why"}, Item: "the address", Inverse: "theirs", Does: "says that an address is the customer's own: what %s does from there counts as the customer's"},
	{Name: "theirs", Label: "An address is the intruder's", Case: true, Needs: []string{"item", "why"}, Item: "the address", Inverse: "ours", Does: "says that an address is the intruder's: what %s does from there proves nothing"},
	{Name: "verdict", Label: "Judge", Case: true, Needs: []string{"verdict"}, Inverse: "verdict", Does: "writes down what the case of %s was; it counts for the precision of its policies"},
	{Name: "merge", Label: "Merge", Case: true, Needs: []string{"other", "why"}, Inverse: "split", Does: "makes the case of %s part of another one"},
	{Name: "link", Label: "Link", Case: true, Needs: []string{"other", "why"}, Does: "names another case beside that of %s, with the reason"},
	{Name: "join", Label: "Join an incident", Case: true, Needs: []string{"item"}, Item: "the incident", Does: "makes the case of %s one of an incident's"},
	{Name: "split", Label: "Split", Case: true, Needs: []string{"item", "why"}, Item: "the decision from which on it is another case", Inverse: "merge", Does: "makes what came later in the case of %s a case of its own",
		fits: func(_ schemas.Status, c *schemas.Case, _ *Snooze) bool { return c != nil && len(c.Decisions) > 1 }},
	{Name: "reopen", Label: "Reopen", Case: true, Needs: []string{"why"}, Does: "opens the case of %s again",
		fits: func(_ schemas.Status, c *schemas.Case, _ *Snooze) bool {
			return c != nil && c.Stage == schemas.StageClosed
		}},
	{Name: "close", Label: "Close", Case: true, Needs: []string{"why"}, Inverse: "reopen", Does: "closes the case of %s, and ends the limit of its probation",
		fits: func(st schemas.Status, c *schemas.Case, _ *Snooze) bool {
			return c != nil && c.Stage != schemas.StageClosed && st.Status == "active"
		}},
	{Name: "approve", Label: "Approve", Case: true, Right: RightApprove, Does: "carries out, as the second person, the act on %s that waits",
		fits: func(_ schemas.Status, c *schemas.Case, _ *Snooze) bool { return c != nil && c.Awaits != nil }},
	{Name: "decline", Label: "Decline", Case: true, Right: RightApprove, Does: "does not carry out the act on %s that waits",
		fits: func(_ schemas.Status, c *schemas.Case, _ *Snooze) bool { return c != nil && c.Awaits != nil }},
	{Name: gate.ActRelease, Label: "Release the brake", Right: RightBrake, Needs: []string{"why"}, Does: "lets policies stop accounts by themselves again"},
}

func stopped(st schemas.Status) bool { return st.Status == "suspended" || st.Status == "blocked" }

func hasSteps(_ schemas.Status, c *schemas.Case, _ *Snooze) bool { return c != nil && len(c.Steps) > 0 }

func actOf(name string) (*act, error) {
	if i := slices.IndexFunc(acts, func(a act) bool { return a.Name == name }); i >= 0 {
		return &acts[i], nil
	}
	return nil, invalid("act", "act %q is unknown: use one of %s", clip(name, 64), strings.Join(actNames(), ", "))
}

func actNames() []string {
	var out []string
	for _, a := range acts {
		if a.Name != gate.ActRelease {
			out = append(out, a.Name)
		}
	}
	return out
}

// ActInfo is what a person may do now, as a page shows it.
type ActInfo struct {
	Act     string   `json:"act"`
	Label   string   `json:"label"`
	Does    string   `json:"does"`
	Needs   []string `json:"needs,omitempty"`
	Item    string   `json:"item,omitempty"`
	Inverse string   `json:"inverse,omitempty"`
	// TwoPeople says that a second person has to approve it.
	TwoPeople bool `json:"two_people,omitzero"`
}

// actsFor lists what p may do to an entity as it stands.
func (s *Service) actsFor(p Principal, e schemas.Entity, st schemas.Status, c *schemas.Case, z *Snooze) []ActInfo {
	out := []ActInfo{}
	for i := range acts {
		a := &acts[i]
		if a.Name == gate.ActRelease || !p.May(a.right()) || a.Kinds != nil && !slices.Contains(a.Kinds, e.Kind) || a.Case && c == nil || a.fits != nil && !a.fits(st, c, z) {
			continue
		}
		out = append(out, a.info(e, c))
	}
	return out
}

func (a *act) info(e schemas.Entity, c *schemas.Case) ActInfo {
	does := a.Does
	if strings.Contains(does, "%s") {
		does = fmt.Sprintf(does, e.Key())
	}
	return ActInfo{
		Act: a.Name, Label: a.Label, Does: does, Needs: a.Needs, Item: a.Item, Inverse: a.Inverse,
		TwoPeople: c != nil && c.Protected && a.Two,
	}
}
