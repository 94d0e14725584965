package api

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"

	"holdfast/schemas"
)

var (
	decoyOnce sync.Once
	decoyHash string
)

// change changes a person, once its operator record stands.
func (s *Service) change(ctx context.Context, p Principal, name string, op schemas.Operator, f func(*Person) error, after ...func() error) error {
	s.people.write.Lock()
	defer s.people.write.Unlock()
	x, ok := get(s.people, s.people.persons, name)
	if !ok {
		return notFound("there is nobody named %q", clip(name, 80))
	}
	op.Item = cmp.Or(op.Item, "person:"+name)
	op.Before = s.standing(&x)
	if err := f(&x); err != nil {
		return err
	}
	op.After = s.standing(&x)
	if err := s.record(ctx, p, op); err != nil {
		return err
	}
	x.Rev++
	if err := s.people.put(ctx, keyPerson+name, &x); err != nil {
		return err
	}
	for _, f := range after {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

// standing is a person in words, for an operator record.
func (s *Service) standing(x *Person) string {
	words := []string{string(x.Role)}
	for word, is := range map[string]bool{"disabled": x.Disabled, "password": x.Hash != "", "second factor": x.TOTP != ""} {
		if is {
			words = append(words, word)
		}
	}
	slices.Sort(words[1:])
	return strings.Join(words, ", ")
}

// Me is who asks.
type Me struct {
	Principal
	Rights []Right     `json:"rights"`
	Person *PersonView `json:"person,omitempty"`
}

// Me returns what who asks may do.
func (s *Service) Me(_ context.Context, p Principal) (Me, error) {
	if err := p.need(RightSelf); err != nil {
		return Me{}, err
	}
	out := Me{Principal: p, Rights: p.Rights()}
	if v, ok := s.people.viewOf(p.Name); ok {
		out.Person = &v
	}
	return out, nil
}

// ListPeople returns who may do what.
func (s *Service) ListPeople(_ context.Context, p Principal) (Page[PersonView], error) {
	if err := p.need(RightPeople); err != nil {
		return Page[PersonView]{}, err
	}
	all := s.people.list()
	return Page[PersonView]{Items: all, Total: len(all)}, nil
}

// Names lists who a case can be assigned to.
func (s *Service) Names(_ context.Context, p Principal) (Page[string], error) {
	out := Page[string]{Items: []string{}}
	if err := p.need(RightRead); err != nil {
		return out, err
	}
	for _, x := range s.people.list() {
		if !x.Disabled && roleRights[x.Role]["act.assign"] {
			out.Items = append(out.Items, x.Name)
		}
	}
	return out, nil
}

// NewPerson is somebody to add.
type NewPerson struct {
	Name string `json:"name"`
	Role Role   `json:"role"`
	Mail string `json:"mail,omitempty"`
	// Subject is issuer and subject of OIDC, with a blank between them, where it is known.
	Subject string `json:"subject,omitempty"`
	Why     string `json:"why"`
}

// OneTime is a link by which somebody sets a password, once. It is shown to who made it.
type OneTime struct {
	Person string    `json:"person"`
	Link   string    `json:"link"` // the secret
	Path   string    `json:"path"` // of the page that takes it
	Until  time.Time `json:"until"`
}

// AddPerson adds somebody, and makes the link by which a password is set.
func (s *Service) AddPerson(ctx context.Context, p Principal, in NewPerson) (OneTime, error) {
	if err := p.need(RightManage); err != nil {
		return OneTime{}, s.deny(ctx, p, "add person", schemas.Entity{}, in.Why, err)
	}
	if err := checkName(in.Name); err != nil {
		return OneTime{}, err
	}
	if !in.Role.Known() {
		return OneTime{}, invalid("role", "role %q is unknown: use one of %v", clip(string(in.Role), 40), Roles())
	}
	if len(in.Mail) > 254 || len(in.Subject) > 512 || in.Why == "" || len(in.Why) > maxWhy {
		return OneTime{}, invalid("why", "why is missing, or mail, subject or why is too long")
	}
	s.people.write.Lock()
	defer s.people.write.Unlock()
	if _, there := get(s.people, s.people.persons, in.Name); there {
		return OneTime{}, conflict("there is somebody named " + in.Name + " already")
	}
	x := Person{Name: in.Name, Role: in.Role, Mail: in.Mail, Subject: in.Subject, Created: s.now().UTC().Truncate(time.Second), By: p.Name}
	if err := s.record(ctx, p, schemas.Operator{Act: "add person", Why: in.Why, Item: "person:" + in.Name, After: s.standing(&x)}); err != nil {
		return OneTime{}, err
	}
	if err := s.people.put(ctx, keyPerson+in.Name, &x); err != nil {
		return OneTime{}, err
	}
	return s.link(ctx, p, in.Name)
}

// link makes a one-time link; the ones before it work no more. The caller holds
// people.write.
func (s *Service) link(ctx context.Context, p Principal, name string) (OneTime, error) {
	s.people.mu.RLock()
	var old []string
	for id, l := range s.people.links {
		if l.Person == name {
			old = append(old, id)
		}
	}
	s.people.mu.RUnlock()
	for _, id := range old {
		if err := s.people.put(ctx, keyLink+id, nil); err != nil {
			return OneTime{}, err
		}
	}
	now := s.now().UTC().Truncate(time.Second)
	secret, hash := newSecret("hfl_")
	l := Link{ID: "link_" + ulid.Make().String(), Person: name, Hash: hash, Created: now, Until: now.Add(s.cfg.LinkEnd), By: p.Name}
	if err := s.people.put(ctx, keyLink+l.ID, &l); err != nil {
		return OneTime{}, err
	}
	return OneTime{Person: name, Link: secret, Path: "/welcome?link=" + secret, Until: l.Until}, nil
}

// ResetLink makes a new one-time link for somebody whose password is lost; a second factor
// is taken away with it.
func (s *Service) ResetLink(ctx context.Context, p Principal, name, why string) (OneTime, error) {
	if err := p.need(RightManage); err != nil {
		return OneTime{}, s.deny(ctx, p, "reset link", schemas.Entity{}, why, err)
	}
	if why == "" || len(why) > maxWhy {
		return OneTime{}, invalid("why", "why is missing or longer than %d bytes", maxWhy)
	}
	s.people.write.Lock()
	defer s.people.write.Unlock()
	x, ok := get(s.people, s.people.persons, name)
	if !ok {
		return OneTime{}, notFound("there is nobody named %q", clip(name, 80))
	}
	before := s.standing(&x)
	x.TOTP, x.Pending = "", ""
	if err := s.record(ctx, p, schemas.Operator{Act: "reset link", Why: why, Item: "person:" + name, Before: before, After: s.standing(&x)}); err != nil {
		return OneTime{}, err
	}
	x.Rev++
	if err := s.people.put(ctx, keyPerson+name, &x); err != nil {
		return OneTime{}, err
	}
	return s.link(ctx, p, name)
}

// PersonChange is what of a person is to be different; nil leaves it.
type PersonChange struct {
	Role     *Role   `json:"role,omitempty"`
	Mail     *string `json:"mail,omitempty"`
	Disabled *bool   `json:"disabled,omitempty"`
	Why      string  `json:"why"`
}

// ChangePerson changes somebody's role or disables them, which ends their sessions. The
// last admin stays one.
func (s *Service) ChangePerson(ctx context.Context, p Principal, name string, in PersonChange) (PersonView, error) {
	if err := p.need(RightManage); err != nil {
		return PersonView{}, s.deny(ctx, p, "change person", schemas.Entity{}, in.Why, err)
	}
	if in.Why == "" || len(in.Why) > maxWhy {
		return PersonView{}, invalid("why", "why is missing or longer than %d bytes", maxWhy)
	}
	if in.Role != nil && !in.Role.Known() {
		return PersonView{}, invalid("role", "role %q is unknown: use one of %v", clip(string(*in.Role), 40), Roles())
	}
	err := s.change(ctx, p, name, schemas.Operator{Act: "change person", Why: in.Why}, func(x *Person) error {
		was := x.Role == RoleAdmin && !x.Disabled
		if in.Role != nil {
			x.Role = *in.Role
		}
		if in.Mail != nil {
			x.Mail = clip(*in.Mail, 254)
		}
		if in.Disabled != nil {
			x.Disabled = *in.Disabled
		}
		if was && (x.Role != RoleAdmin || x.Disabled) && s.admins() == 1 {
			return conflict(name + " is the last admin: make another one first")
		}
		return nil
	}, func() error {
		if in.Disabled == nil || !*in.Disabled {
			return nil
		}
		return s.endSessions(ctx, name, "")
	})
	v, _ := s.people.viewOf(name)
	return v, err
}

func (s *Service) admins() (n int) {
	s.people.mu.RLock()
	defer s.people.mu.RUnlock()
	for _, x := range s.people.persons {
		if x.Role == RoleAdmin && !x.Disabled {
			n++
		}
	}
	return n
}

// NewToken is a token to make.
type NewToken struct {
	Person string  `json:"person,omitempty"` // empty: for who asks
	Name   string  `json:"name"`
	Only   []Right `json:"only,omitempty"` // fewer rights than the person's
	Days   int     `json:"days,omitzero"`  // it works so long; 90 where nothing is said
	Why    string  `json:"why,omitempty"`
}

// MakeToken makes a token for oneself, or for another where one manages people. Its secret
// is in the answer and nowhere else.
func (s *Service) MakeToken(ctx context.Context, p Principal, in NewToken) (TokenView, error) {
	name := cmp.Or(in.Person, p.Name)
	right := RightSelf
	if name != p.Name {
		right = RightManage
	}
	if err := p.need(right); err != nil {
		return TokenView{}, s.deny(ctx, p, "make token", schemas.Entity{}, in.Why, err)
	}
	who, ok := s.people.person(name)
	if !ok {
		return TokenView{}, notFound("there is nobody named %q who may sign in", clip(name, 80))
	}
	if strings.HasPrefix(p.Via, "token:") && p.Only != nil {
		return TokenView{}, s.deny(ctx, p, "make token", schemas.Entity{}, in.Why, forbidden("a token with fewer rights makes no other token"))
	}
	for _, r := range in.Only {
		if !roleRights[who.Role][r] {
			return TokenView{}, invalid("only", "the role %s has no right %q", who.Role, clip(string(r), 64))
		}
	}
	if in.Name == "" || len(in.Name) > 64 || in.Days < 0 || len(in.Why) > maxWhy {
		return TokenView{}, invalid("name", "the token needs a name of 1 to 64 bytes")
	}
	life := time.Duration(cmp.Or(in.Days, 90)) * 24 * time.Hour
	if life > s.cfg.TokenEnd || in.Days > 36_500 {
		return TokenView{}, invalid("days", "a token works at most %d days", int(s.cfg.TokenEnd.Hours()/24))
	}
	if n := len(s.people.tokensOf(name)); n >= 100 {
		return TokenView{}, refused(fmt.Sprintf("%s has %d tokens: drop some first", name, n))
	}
	return s.token(ctx, p, Token{Person: name, Name: in.Name, Only: in.Only, Until: s.now().UTC().Add(life).Truncate(time.Second)}, cmp.Or(in.Why, "asked for"))
}

func (s *Service) token(ctx context.Context, p Principal, t Token, why string) (TokenView, error) {
	var secret string
	secret, t.Hash = newSecret("hft_")
	t.ID, t.Created, t.By = "tok_"+ulid.Make().String(), s.now().UTC().Truncate(time.Second), p.Name
	if err := s.record(ctx, p, schemas.Operator{Act: "make token", Why: why, Item: "token:" + t.ID, Text: t.Person + ", " + t.Name}); err != nil {
		return TokenView{}, err
	}
	s.people.write.Lock()
	defer s.people.write.Unlock()
	if err := s.people.put(ctx, keyToken+t.ID, &t); err != nil {
		return TokenView{}, err
	}
	v := t.view()
	v.Secret = secret
	return v, nil
}

// Tokens lists one's own tokens, or everybody's where one may see people.
func (s *Service) Tokens(_ context.Context, p Principal, everybody bool) (Page[TokenView], error) {
	right, name := RightSelf, p.Name
	if everybody {
		right, name = RightPeople, ""
	}
	if err := p.need(right); err != nil {
		return Page[TokenView]{}, err
	}
	all := s.people.tokensOf(name)
	return Page[TokenView]{Items: all, Total: len(all)}, nil
}

// DropToken makes a token worthless: one's own, or anybody's where one manages people.
func (s *Service) DropToken(ctx context.Context, p Principal, id string) error {
	if err := p.need(RightSelf); err != nil {
		return err
	}
	t, ok := get(s.people, s.people.tokens, id)
	if !ok || t.Person != p.Name && !p.May(RightManage) {
		return notFound("you have no token %q", clip(id, 80)) // nobody learns whose it is
	}
	if err := s.record(ctx, p, schemas.Operator{Act: "drop token", Why: "asked for", Item: "token:" + id, Text: t.Person + ", " + t.Name}); err != nil {
		return err
	}
	s.people.write.Lock()
	defer s.people.write.Unlock()
	return s.people.put(ctx, keyToken+id, nil)
}

// Sessions lists one's own sessions, or everybody's where one may see people.
func (s *Service) Sessions(_ context.Context, p Principal, everybody bool) (Page[SessionView], error) {
	right, name := RightSelf, p.Name
	if everybody {
		right, name = RightPeople, ""
	}
	if err := p.need(right); err != nil {
		return Page[SessionView]{}, err
	}
	all := s.people.sessionsOf(name, p.Via)
	return Page[SessionView]{Items: all, Total: len(all)}, nil
}

// FirstAdmin makes the first admin where nobody is known yet, for one machine. ok is false
// where somebody is. It must be called once Ready is closed.
func (s *Service) FirstAdmin(ctx context.Context, name string) (link OneTime, ok bool, err error) {
	if !s.people.Empty() {
		return OneTime{}, false, nil
	}
	p := Principal{Name: "holdfast", Role: RoleAdmin}
	link, err = s.AddPerson(ctx, p, NewPerson{Name: name, Role: RoleAdmin, Why: "nobody was known: the first admin"})
	return link, err == nil, err
}

// LocalToken makes a token for a user of this machine, who is added with a role where it is
// not known. Only the process that runs the embedded engines calls it, for the user who owns
// them.
func (s *Service) LocalToken(ctx context.Context, name string, role Role, life time.Duration) (TokenView, error) {
	p := Principal{Name: "holdfast", Role: RoleAdmin}
	s.people.write.Lock()
	who, ok := get(s.people, s.people.persons, name)
	var err error
	if !ok {
		who = Person{Name: name, Role: role, Created: s.now().UTC().Truncate(time.Second), By: p.Name}
		if err = s.record(ctx, p, schemas.Operator{Act: "add person", Why: "the user who runs Holdfast on this machine", Item: "person:" + name, After: s.standing(&who)}); err == nil {
			err = s.people.put(ctx, keyPerson+name, &who)
		}
	}
	var old []string
	for _, t := range s.people.tokensOf(name) {
		if err == nil && t.Name == localToken {
			old = append(old, t.ID)
		}
	}
	for _, id := range old {
		if err == nil {
			err = s.people.put(ctx, keyToken+id, nil)
		}
	}
	s.people.write.Unlock()
	if err != nil {
		return TokenView{}, err
	}
	return s.token(ctx, p, Token{Person: name, Name: localToken, Until: s.now().UTC().Add(life).Truncate(time.Second)}, "for the commands of the user who runs Holdfast")
}

// localToken is the name of the token for the machine's own user.
const localToken = "this machine"
