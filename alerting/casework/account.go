package casework

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"holdfast/schemas"
)

// The bounds of what is kept of an account.
const (
	MaxKeys    = 128
	MaxUsers   = 128
	MaxChanges = 192
	maxText    = schemas.MaxID
)

// keepFor is how long a change is remembered by itself: window of compromise and lateness
// are shorter.
const keepFor = int64(7 * 24 * time.Hour / time.Millisecond)

// The kinds of credential event, as schemas.Event.Kind has them.
const (
	kindAPIKey   = "api_key"
	kindSMTP     = "smtp_password"
	kindPassword = "user_password"
	kindMFA      = "mfa"
)

// The changes of a credential event, as schemas.Event.Change has them.
const (
	created  = "created"
	added    = "added"
	rotated  = "rotated"
	revoked  = "revoked"
	removed  = "removed"
	reset    = "reset"
	enabled  = "enabled"
	disabled = "disabled"
)

// Key is a credential of the account's.
type Key struct {
	ID   string `json:"id"`
	Kind string `json:"kind"`
}

// Change is a credential event. Times are Unix milliseconds.
type Change struct {
	ID       string `json:"id"`
	At       int64  `json:"at"`
	Found    int64  `json:"found"`
	Kind     string `json:"kind"`
	What     string `json:"what"`
	Object   string `json:"obj"`
	User     string `json:"user,omitempty"`
	Actor    string `json:"actor,omitempty"`
	Employee string `json:"emp,omitempty"`
	Address  string `json:"ip,omitempty"`
	Told     bool   `json:"told,omitzero"` // it was a relapse, and is none again
}

// Account is what is known of an account's ways in: its last snapshot, and the changes
// since, oldest first.
type Account struct {
	AsOf    int64          `json:"t,omitzero"` // of the snapshot
	Keys    []Key          `json:"keys,omitempty"`
	Users   []string       `json:"users,omitempty"`
	Changes []Change       `json:"changes,omitempty"`
	Lost    int64          `json:"lost,omitzero"` // time of the newest change that made something and was one too many
	Rest    jsontext.Value `json:",embed"`        // of another version
}

// IsZero reports whether nothing is known.
func (a *Account) IsZero() bool {
	return a == nil || len(a.Keys)+len(a.Users)+len(a.Changes)+len(a.Rest) == 0
}

// Snapshot takes the account's newest snapshot over. The caller knows that it is.
func (a *Account) Snapshot(e *schemas.Event) {
	a.AsOf, a.Keys, a.Users = e.Time, nil, nil
	for _, c := range e.Credentials[:min(len(e.Credentials), MaxKeys)] {
		a.Keys = append(a.Keys, Key{own(c.ID), own(c.Kind)})
	}
	for _, u := range e.Users[:min(len(e.Users), MaxUsers)] {
		a.Users = append(a.Users, own(u))
	}
}

// Add remembers a credential event that arrived at the given time. It reports whether it
// was new. from is the beginning of the open case's window, 0 where there is none: what lies
// after it is kept.
func (a *Account) Add(e *schemas.Event, arrival, from int64) bool {
	c := Change{ID: own(e.ID), At: e.Time, Found: arrival, Kind: own(e.Kind), What: own(e.Change), Object: own(e.Credential),
		User: own(e.User), Actor: own(e.Actor), Employee: own(e.Employee)}
	if e.IP.IsValid() {
		c.Address = e.IP.String()
	}
	at, found := slices.BinarySearchFunc(a.Changes, c, byTime)
	if found {
		return false
	}
	a.Changes = slices.Insert(a.Changes, at, c)
	a.trim(from)
	return true
}

func byTime(a, b Change) int { return cmp.Or(cmp.Compare(a.At, b.At), strings.Compare(a.ID, b.ID)) }

// trim folds changes that are too old, or too many, into the inventory.
func (a *Account) trim(from int64) {
	newest := a.Changes[len(a.Changes)-1].At
	n := 0
	for n < len(a.Changes)-1 {
		c := &a.Changes[n]
		old := newest-c.At > keepFor && (from == 0 || c.At < from)
		if !old && len(a.Changes)-n <= MaxChanges {
			break
		}
		if !old && c.makes() {
			a.Lost = max(a.Lost, c.At)
		}
		if c.At > a.AsOf {
			a.Keys, a.Users = c.apply(a.Keys, a.Users)
			a.AsOf = c.At
		}
		n++
	}
	a.Changes = slices.Delete(a.Changes, 0, n)
}

// asOf is what the account had at a time.
func (a *Account) asOf(at int64) (keys []Key, users []string) {
	keys, users = slices.Clone(a.Keys), slices.Clone(a.Users)
	for i := range a.Changes {
		if c := &a.Changes[i]; c.At > a.AsOf && c.At <= at {
			keys, users = c.apply(keys, users)
		}
	}
	return keys, users
}

// apply makes the change to an inventory.
func (c *Change) apply(keys []Key, users []string) ([]Key, []string) {
	gone := c.What == revoked || c.What == removed
	switch c.Kind {
	case kindAPIKey, kindSMTP:
		has := func(k Key) bool { return k.ID == c.Object }
		if gone {
			return slices.DeleteFunc(keys, has), users
		}
		if !slices.ContainsFunc(keys, has) && len(keys) < MaxKeys {
			keys = append(keys, Key{c.Object, c.Kind})
		}
	case kindPassword, kindMFA:
		u := c.user()
		if gone && c.Kind == kindPassword {
			return keys, slices.DeleteFunc(users, func(x string) bool { return same(x, u) })
		}
		if u != "" && !gone && !slices.ContainsFunc(users, func(x string) bool { return same(x, u) }) && len(users) < MaxUsers {
			users = append(users, u)
		}
	}
	return keys, users
}

// user is whose password or second factor it is.
func (c *Change) user() string { return cmp.Or(c.User, c.Object) }

// same compares user names as everywhere else.
func same(a, b string) bool { return a == b || schemas.NormalUser(a) == schemas.NormalUser(b) }

// network is what an address is compared by: itself, or its /64.
func network(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	if a = a.Unmap().WithZone(""); a.Is4() {
		return a.String()
	}
	p, err := a.Prefix(64)
	if err != nil {
		return address
	}
	return p.String()
}

// own is a copy of a text, clipped: what is kept outlives the record's bytes.
func own(s string) string {
	if len(s) > maxText {
		n := maxText
		for n > 0 && s[n]&0xC0 == 0x80 {
			n--
		}
		s = s[:n]
	}
	return strings.Clone(s)
}

func fromMilli(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
