package api

import (
	"context"
	"crypto/subtle"
	"fmt"
	"math"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	"holdfast/schemas"
)

// Login is what somebody shows who signs in.
type Login struct {
	Name     string `json:"name"`
	Password string `json:"password"`
	Code     string `json:"code,omitempty"` // of the second factor
}

// SignedIn is a session that has begun. Secret is the cookie's value.
type SignedIn struct {
	Secret  string
	Session Session
	Person  PersonView
}

// decoy is the hash that a password is held against where there is no such person, so that
// an answer takes as long.
func (p *People) decoy() string {
	decoyOnce.Do(func() { decoyHash = hashPassword("nobody has this password", p.cfg.Password) })
	return decoyHash
}

// wrongLogin is the one answer to every wrong sign-in: it does not tell what was wrong.
func wrongLogin() error { return unauthorized("the name, the password or the code is wrong") }

// SignIn begins a session by a password and, where the person has one, a second factor.
// Wrong ones cost time, by name and by address.
func (s *Service) SignIn(ctx context.Context, l Login, from, agent string) (SignedIn, error) {
	if err := s.tryAll(l.Name, from); err != nil {
		return SignedIn{}, err
	}
	who, ok := s.people.person(l.Name)
	hash := who.Hash
	if hash == "" {
		hash = s.people.decoy()
	}
	right := checkPassword(l.Password, hash) && ok && who.Hash != ""
	method := "password"
	if right && who.TOTP != "" {
		method = "totp"
		right = s.code(ctx, who.Name, who.TOTP, l.Code)
	}
	if !right {
		if ok {
			// A failed attempt on a known account is an act that somebody may have to explain;
			// attempts on names that do not exist are not, and would fill the journal.
			_ = s.record(ctx, Principal{Name: who.Name, From: from}, schemas.Operator{Act: "sign in", Why: "with a password", Refused: "the password or the code is wrong"})
		}
		return SignedIn{}, wrongLogin()
	}
	s.pace.names.right(l.Name)
	s.pace.from.right(networkOf(from))
	return s.begin(ctx, who.Name, from, agent, method)
}

// tryAll makes a try wait after too many wrong ones.
func (s *Service) tryAll(name, from string) error {
	now := s.now()
	wait := s.pace.from.try(networkOf(from), now)
	if wait == 0 && name != "" {
		wait = s.pace.names.try(clip(name, 64), now)
	}
	if wait > 0 {
		seconds := int(math.Ceil(wait.Seconds()))
		return tooMany(seconds, fmt.Sprintf("too many wrong attempts: try again in %d s", seconds))
	}
	return nil
}

// code checks a code of the second factor. Each works once: the newest time step that was
// used is kept.
func (s *Service) code(ctx context.Context, name, secret, code string) bool {
	step, ok := matchCode(secret, code, s.now())
	if !ok {
		return false
	}
	s.people.write.Lock()
	defer s.people.write.Unlock()
	x, there := get(s.people, s.people.persons, name)
	if !there || step <= x.Step {
		return false
	}
	x.Rev, x.Step = x.Rev+1, step
	return s.people.put(ctx, keyPerson+name, &x) == nil
}

// period is that of the codes of a second factor.
const period = 30 * time.Second

// matchCode finds of which time step a code is: the present one, or one to either side.
func matchCode(secret, code string, now time.Time) (step uint64, ok bool) {
	if len(code) != 6 {
		return 0, false
	}
	for _, d := range []time.Duration{0, -period, period} {
		at := now.Add(d)
		want, err := totp.GenerateCodeCustom(secret, at, totp.ValidateOpts{Period: uint(period.Seconds()), Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
		if err == nil && subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			return uint64(at.Unix()) / uint64(period.Seconds()), true
		}
	}
	return 0, false
}

// begin makes a new session: never one whose secret was known before.
func (s *Service) begin(ctx context.Context, name, from, agent, method string) (SignedIn, error) {
	p := Principal{Name: name, From: from}
	now := s.now().UTC().Truncate(time.Second)
	secret, hash := newSecret("hfs_")
	x := Session{ID: "ses_" + ulid.Make().String(), Person: name, Hash: hash, Created: now, Seen: now, Until: now.Add(s.cfg.SessionEnd), From: from, Agent: clip(schemas.Printable(agent), 256), Method: method}
	if err := s.record(ctx, p, schemas.Operator{Act: "sign in", Why: "with " + method, Item: x.ID}); err != nil {
		return SignedIn{}, err
	}
	s.people.write.Lock()
	defer s.people.write.Unlock()
	who, ok := get(s.people, s.people.persons, name)
	if !ok || who.Disabled {
		return SignedIn{}, wrongLogin()
	}
	if err := s.people.put(ctx, keySession+x.ID, &x); err != nil {
		return SignedIn{}, err
	}
	who.Rev, who.Seen = who.Rev+1, now
	if err := s.people.put(ctx, keyPerson+name, &who); err != nil {
		return SignedIn{}, err
	}
	v, _ := s.people.viewOf(name)
	return SignedIn{Secret: secret, Session: x, Person: v}, nil
}

// SignOut ends the session of who asks.
func (s *Service) SignOut(ctx context.Context, p Principal) error {
	id, ok := sessionID(p)
	if !ok {
		return invalid("", "this is no session: a token is dropped, not signed out")
	}
	return s.EndSession(ctx, p, id)
}

func sessionID(p Principal) (string, bool) {
	const prefix = "session:"
	if len(p.Via) > len(prefix) && p.Via[:len(prefix)] == prefix {
		return p.Via[len(prefix):], true
	}
	return "", false
}

// EndSession revokes a session: one's own, or anybody's for who manages people.
func (s *Service) EndSession(ctx context.Context, p Principal, id string) error {
	if err := p.need(RightSelf); err != nil {
		return err
	}
	x, ok := get(s.people, s.people.sessions, id)
	if !ok || x.Person != p.Name && !p.May(RightManage) {
		return notFound("you have no session %q", clip(id, 80)) // nobody learns whose it is
	}
	if err := s.record(ctx, p, schemas.Operator{Act: "end session", Why: "asked for", Item: id, Text: x.Person}); err != nil {
		return err
	}
	s.people.write.Lock()
	defer s.people.write.Unlock()
	return s.people.put(ctx, keySession+id, nil)
}

// endSessions revokes a person's sessions, but for one. The caller holds people.write.
func (s *Service) endSessions(ctx context.Context, name, but string) error {
	for _, x := range s.people.sessionsOf(name, "") {
		if "session:"+x.ID == but {
			continue
		}
		if err := s.people.put(ctx, keySession+x.ID, nil); err != nil {
			return err
		}
	}
	return nil
}

// NewPassword is what a one-time link is used with.
type NewPassword struct {
	Link     string `json:"link"`
	Password string `json:"password"`
}

// LinkFor returns whose a one-time link is, where it still works.
func (s *Service) LinkFor(secret, from string) (string, error) {
	l, ok := byHash(s.people, s.people.links, secret, func(l *Link) string { return l.Hash })
	if !ok || !s.now().Before(l.Until) {
		if err := s.tryAll("", from); err != nil {
			return "", err
		}
		return "", notFound("the link was used, is too old, or never was one: ask an admin for another")
	}
	return l.Person, nil
}

// UseLink sets the password that a one-time link is for, ends the person's other sessions
// and begins one.
func (s *Service) UseLink(ctx context.Context, in NewPassword, from, agent string) (SignedIn, error) {
	name, err := s.LinkFor(in.Link, from)
	if err != nil {
		return SignedIn{}, err
	}
	if err := goodPassword(name, in.Password); err != nil {
		return SignedIn{}, err
	}
	hash := hashPassword(in.Password, s.cfg.Password)
	if err := s.spend(ctx, in.Link, from, hash); err != nil {
		return SignedIn{}, err
	}
	return s.begin(ctx, name, from, agent, "link")
}

// spend uses a link up: of two who use it at once one is refused.
func (s *Service) spend(ctx context.Context, secret, from, hash string) error {
	s.people.write.Lock()
	defer s.people.write.Unlock()
	l, ok := byHash(s.people, s.people.links, secret, func(l *Link) string { return l.Hash })
	who, there := get(s.people, s.people.persons, l.Person)
	if !ok || !there || who.Disabled {
		return notFound("the link was used, or the person is disabled: ask an admin")
	}
	if err := s.record(ctx, Principal{Name: who.Name, From: from}, schemas.Operator{Act: "set password", Why: "with a one-time link from " + l.By, Item: l.ID}); err != nil {
		return err
	}
	if err := s.people.put(ctx, keyLink+l.ID, nil); err != nil {
		return err
	}
	who.Rev, who.Hash = who.Rev+1, hash
	if err := s.people.put(ctx, keyPerson+who.Name, &who); err != nil {
		return err
	}
	return s.endSessions(ctx, who.Name, "")
}

// ChangePassword sets one's own password, and ends one's other sessions.
func (s *Service) ChangePassword(ctx context.Context, p Principal, old, password string) error {
	if err := p.need(RightSelf); err != nil {
		return err
	}
	if err := s.tryAll(p.Name, p.From); err != nil {
		return err
	}
	who, ok := s.people.person(p.Name)
	if !ok || who.Hash == "" || !checkPassword(old, who.Hash) {
		return s.deny(ctx, p, "set password", schemas.Entity{}, "asked for", forbidden("the old password is wrong"))
	}
	s.pace.names.right(p.Name)
	s.pace.from.right(networkOf(p.From))
	if err := goodPassword(p.Name, password); err != nil {
		return err
	}
	hash := hashPassword(password, s.cfg.Password)
	return s.change(ctx, p, p.Name, schemas.Operator{Act: "set password", Why: "asked for"}, func(x *Person) error { x.Hash = hash; return nil },
		func() error { return s.endSessions(ctx, p.Name, p.Via) })
}

// NewCode is a second factor that is being set up.
type NewCode struct {
	Secret string `json:"secret"`
	URI    string `json:"uri"` // for a QR code
}

// BeginTOTP makes a secret for a second factor, which is in force once a code of it was
// shown.
func (s *Service) BeginTOTP(ctx context.Context, p Principal) (NewCode, error) {
	if err := p.need(RightSelf); err != nil {
		return NewCode{}, err
	}
	k, err := totp.Generate(totp.GenerateOpts{Issuer: "Holdfast", AccountName: p.Name})
	if err != nil {
		return NewCode{}, err
	}
	err = s.change(ctx, p, p.Name, schemas.Operator{Act: "begin second factor", Why: "asked for"}, func(x *Person) error { x.Pending = k.Secret(); return nil })
	return NewCode{k.Secret(), k.URL()}, err
}

// SetTOTP puts the second factor in force by a code of it.
func (s *Service) SetTOTP(ctx context.Context, p Principal, code string) error {
	if err := p.need(RightSelf); err != nil {
		return err
	}
	if err := s.tryAll(p.Name, p.From); err != nil {
		return err
	}
	return s.change(ctx, p, p.Name, schemas.Operator{Act: "set second factor", Why: "asked for"}, func(x *Person) error {
		step, ok := matchCode(x.Pending, code, s.now())
		if x.Pending == "" || !ok {
			return invalid("code", "the code is wrong, or no second factor was begun")
		}
		s.pace.names.right(p.Name)
		s.pace.from.right(networkOf(p.From))
		x.TOTP, x.Pending, x.Step = x.Pending, "", step
		return nil
	})
}
