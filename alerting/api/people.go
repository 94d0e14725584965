package api

import (
	"cmp"
	"context"
	"crypto/subtle"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
)

// People is the live copy of who may do what, and the only one who changes it. Secrets are
// kept as hashes; a second factor's secret is kept as it is, since codes are computed from
// it: whoever reads the topic people can compute them too.
type People struct {
	cfg   Config
	store Store
	now   func() time.Time

	write sync.Mutex // one change at a time

	mu       sync.RWMutex
	persons  map[string]*Person
	tokens   map[string]*Token // by id
	sessions map[string]*Session
	links    map[string]*Link
	bulks    map[string]*Bulk
	views    map[string]*View
	hashes   map[string]string // id by hash, of tokens, sessions and links
}

func newPeople(cfg Config, store Store, now func() time.Time) *People {
	return &People{
		cfg: cfg, store: store, now: now, persons: map[string]*Person{}, tokens: map[string]*Token{}, sessions: map[string]*Session{},
		links: map[string]*Link{}, bulks: map[string]*Bulk{}, views: map[string]*View{}, hashes: map[string]string{},
	}
}

// The kinds of key on the topic people.
const (
	keyPerson  = "person:"
	keyToken   = "token:"
	keySession = "session:"
	keyLink    = "link:"
	keyBulk    = "bulk:"
	keyView    = "view:"
)

// apply takes a record of the topic in. One that is older than what is known changes
// nothing.
func (p *People) apply(r Record) error {
	kind, id, ok := strings.Cut(r.Key, ":")
	if !ok {
		return fmt.Errorf("key %q is unknown", r.Key)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch kind + ":" {
	case keyPerson:
		return take(r.Value, p.persons, id, func(x *Person) (int, string) { return x.Rev, "" }, nil)
	case keyToken:
		return take(r.Value, p.tokens, id, func(x *Token) (int, string) { return x.Rev, x.Hash }, p.hashes)
	case keySession:
		return take(r.Value, p.sessions, id, func(x *Session) (int, string) { return x.Rev, x.Hash }, p.hashes)
	case keyLink:
		return take(r.Value, p.links, id, func(x *Link) (int, string) { return x.Rev, x.Hash }, p.hashes)
	case keyBulk:
		return take(r.Value, p.bulks, id, func(x *Bulk) (int, string) { return x.Rev, "" }, nil)
	case keyView:
		return take(r.Value, p.views, id, func(x *View) (int, string) { return x.Rev, "" }, nil)
	}
	return nil // of a newer version
}

func take[T any](value []byte, all map[string]*T, id string, of func(*T) (rev int, hash string), hashes map[string]string) error {
	before := all[id]
	if value == nil {
		if before != nil {
			_, hash := of(before)
			delete(hashes, hash)
		}
		delete(all, id)
		return nil
	}
	x := new(T)
	if err := json.Unmarshal(value, x); err != nil {
		return err
	}
	rev, hash := of(x)
	if before != nil {
		known, _ := of(before)
		if rev < known {
			return nil
		}
	}
	if all[id] = x; hash != "" {
		hashes[hash] = id
	}
	return nil
}

// put writes a record and knows it at once. The caller holds p.write.
func (p *People) put(ctx context.Context, key string, x any) error {
	var value []byte
	if x != nil {
		var err error
		if value, err = json.Marshal(x); err != nil {
			return err
		}
	}
	if err := p.store.Put(ctx, key, value); err != nil {
		return away(fmt.Errorf("the log does not take the change: %w", err))
	}
	return p.apply(Record{Key: key, Value: value})
}

func get[T any](p *People, all map[string]*T, id string) (T, bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if x := all[id]; x != nil {
		return *x, true
	}
	var none T
	return none, false
}

// Empty reports whether nobody is known.
func (p *People) Empty() bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return len(p.persons) == 0
}

// person gives somebody who is known and not disabled.
func (p *People) person(name string) (Person, bool) {
	x, ok := get(p, p.persons, name)
	return x, ok && !x.Disabled
}

// byHash finds what a secret is, in a time that tells nothing of how near it came.
func byHash[T any](p *People, all map[string]*T, secret string, hash func(*T) string) (T, bool) {
	var none T
	h := hashSecret(secret)
	p.mu.RLock()
	defer p.mu.RUnlock()
	x := all[p.hashes[h]]
	if x == nil || subtle.ConstantTimeCompare([]byte(hash(x)), []byte(h)) != 1 {
		return none, false
	}
	return *x, true
}

// ByToken returns whose a token is.
func (p *People) ByToken(secret, from string) (Principal, bool) {
	t, ok := byHash(p, p.tokens, secret, func(t *Token) string { return t.Hash })
	if !ok || !p.now().Before(t.Until) {
		return Principal{}, false
	}
	who, ok := p.person(t.Person)
	if !ok {
		return Principal{}, false
	}
	return Principal{Name: who.Name, Role: who.Role, Only: t.Only, Via: "token:" + t.ID, From: from}, true
}

// seenEvery is how often the last use of a session is written down: less often than it is
// used, often enough for its idle end.
const seenEvery = 5 * time.Minute

// BySession returns whose a session is, and that it is used.
func (p *People) BySession(ctx context.Context, secret, from string) (Principal, bool) {
	s, ok := byHash(p, p.sessions, secret, func(s *Session) string { return s.Hash })
	if !ok || p.over(&s) {
		return Principal{}, false
	}
	who, ok := p.person(s.Person)
	if !ok {
		return Principal{}, false
	}
	if now := p.now(); now.Sub(s.Seen) >= min(seenEvery, p.cfg.SessionIdle/4) {
		p.write.Lock()
		if again, ok := get(p, p.sessions, s.ID); ok && again.Rev == s.Rev {
			s.Rev, s.Seen, s.From = s.Rev+1, now.UTC().Truncate(time.Second), from
			_ = p.put(ctx, keySession+s.ID, &s) // the next use tries again
		}
		p.write.Unlock()
	}
	return Principal{Name: who.Name, Role: who.Role, Via: "session:" + s.ID, From: from}, true
}

func (p *People) over(s *Session) bool {
	now := p.now()
	return !now.Before(s.Until) || now.Sub(s.Seen) > p.cfg.SessionIdle
}

func (p *People) view(x *Person) PersonView {
	v := PersonView{Name: x.Name, Mail: x.Mail, Role: x.Role, Rights: x.Role.Rights(), Password: x.Hash != "", TOTP: x.TOTP != "", OIDC: x.Subject != "",
		Disabled: x.Disabled, Created: x.Created, By: x.By, Seen: x.Seen}
	for _, s := range p.sessions {
		if s.Person == x.Name && !p.over(s) {
			v.Sessions++
		}
	}
	for _, t := range p.tokens {
		if t.Person == x.Name && p.now().Before(t.Until) {
			v.Tokens++
		}
	}
	return v
}

func (p *People) list() []PersonView {
	p.mu.RLock()
	defer p.mu.RUnlock()
	out := []PersonView{}
	for _, x := range p.persons {
		out = append(out, p.view(x))
	}
	return sortedBy(out, func(v PersonView) string { return v.Name })
}

func (p *People) viewOf(name string) (PersonView, bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	x := p.persons[name]
	if x == nil {
		return PersonView{}, false
	}
	return p.view(x), true
}

// tokensOf lists a person's tokens, or everybody's.
func (p *People) tokensOf(name string) []TokenView {
	p.mu.RLock()
	defer p.mu.RUnlock()
	out := []TokenView{}
	for _, t := range p.tokens {
		if (name == "" || t.Person == name) && p.now().Before(t.Until) {
			out = append(out, t.view())
		}
	}
	slices.SortFunc(out, func(a, b TokenView) int { return cmp.Or(cmp.Compare(a.Person, b.Person), cmp.Compare(a.ID, b.ID)) })
	return out
}

// sessionsOf lists a person's sessions, or everybody's, the newest first.
func (p *People) sessionsOf(name, current string) []SessionView {
	p.mu.RLock()
	defer p.mu.RUnlock()
	out := []SessionView{}
	for _, s := range p.sessions {
		if (name == "" || s.Person == name) && !p.over(s) {
			out = append(out, SessionView{ID: s.ID, Person: s.Person, Created: s.Created, Seen: s.Seen, Until: s.Until, From: s.From, Agent: s.Agent, Method: s.Method, Current: "session:"+s.ID == current})
		}
	}
	slices.SortFunc(out, func(a, b SessionView) int { return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(a.ID, b.ID)) })
	return out
}

// tidy drops what is over: sessions, links, tokens and old bulk acts.
func (p *People) tidy(ctx context.Context) {
	p.write.Lock()
	defer p.write.Unlock()
	now := p.now()
	var keys []string
	p.mu.RLock()
	for id, s := range p.sessions {
		if p.over(s) {
			keys = append(keys, keySession+id)
		}
	}
	for id, l := range p.links {
		if !now.Before(l.Until) {
			keys = append(keys, keyLink+id)
		}
	}
	for id, t := range p.tokens {
		if now.Sub(t.Until) > 30*24*time.Hour {
			keys = append(keys, keyToken+id)
		}
	}
	for id, b := range p.bulks {
		if now.Sub(b.Created) > 30*24*time.Hour {
			keys = append(keys, keyBulk+id)
		}
	}
	p.mu.RUnlock()
	for _, k := range keys[:min(len(keys), 1000)] {
		if p.put(ctx, k, nil) != nil {
			return
		}
	}
}
