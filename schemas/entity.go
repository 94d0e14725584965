package schemas

import (
	"fmt"
	"net/netip"
	"strings"
)

// EntityKind is the kind of thing that is watched.
type EntityKind string

// The kinds of entity.
const (
	KindAccount  EntityKind = "account"
	KindIP       EntityKind = "ip"
	KindEmployee EntityKind = "employee"
)

// Entity is what is watched. Its key on every topic is "kind:id".
type Entity struct {
	Kind EntityKind `json:"kind"`
	ID   string     `json:"id"`
}

// Key returns the entity's record key, "kind:id".
func (e Entity) Key() string { return string(e.Kind) + ":" + e.ID }

// HasKey reports whether key is the entity's.
func (e Entity) HasKey(key string) bool {
	n := len(e.Kind)
	return len(key) == n+1+len(e.ID) && key[:n] == string(e.Kind) && key[n] == ':' && key[n+1:] == e.ID
}

// String returns the key.
func (e Entity) String() string { return e.Key() }

// IsZero reports whether no entity is named.
func (e Entity) IsZero() bool { return e.Kind == "" && e.ID == "" }

// ParseEntity reads "kind:id". The error names the kinds that are watched; an incident is
// an entity that nothing but people's acts is about.
func ParseEntity(key string) (Entity, error) {
	kind, id, ok := strings.Cut(key, ":")
	e := Entity{Kind: EntityKind(kind), ID: id}
	if !ok || id == "" {
		return Entity{}, fmt.Errorf("entity %q: write kind:id, for example account:acct-1, ip:192.0.2.1 or employee:emp-1", key)
	}
	switch e.Kind {
	case KindAccount, KindEmployee, KindIncident:
		return e, nil
	case KindIP:
		if _, err := netip.ParseAddr(id); err == nil {
			return e, nil
		}
		if p, err := netip.ParsePrefix(id); err == nil && p == p.Masked() {
			return e, nil
		}
		return Entity{}, fmt.Errorf("entity %q: %q is neither an address nor a network: write ip:192.0.2.1 or ip:2001:db8::/64", key, id)
	}
	return Entity{}, fmt.Errorf("entity %q: kind %q is unknown: use account, ip or employee", key, kind)
}

// IPEntity returns the entity that stands for an address: an IPv4 address itself, also
// one that is written as IPv6, see NormalIP; an IPv6 address by its /64, so that one
// network's owner cannot fill memory with addresses.
func IPEntity(a netip.Addr) Entity { return Entity{Kind: KindIP, ID: IPKey(a)} }

// IPKey is IPEntity's id.
func IPKey(a netip.Addr) string {
	a = NormalIP(a)
	if !a.IsValid() {
		return ""
	}
	if a.Is4() {
		return a.String()
	}
	p, err := a.Prefix(64)
	if err != nil {
		return ""
	}
	return p.String()
}
