package api

import (
	"regexp"
	"slices"
	"time"
)

// Person is somebody who may ask and act. What others may see of it is PersonView.
type Person struct {
	Rev      int       `json:"rev"` // grows with each change
	Name     string    `json:"name"`
	Mail     string    `json:"mail,omitempty"`
	Role     Role      `json:"role"`
	Hash     string    `json:"hash,omitempty"` // of the password: $argon2id$…; empty: none
	TOTP     string    `json:"totp,omitempty"` // base32; empty: no second factor
	Pending  string    `json:"pending,omitempty"`
	Step     uint64    `json:"step,omitzero"`     // the newest TOTP step that was used: each works once
	Subject  string    `json:"subject,omitempty"` // issuer and subject of OIDC
	Disabled bool      `json:"disabled,omitzero"`
	Created  time.Time `json:"created"`
	By       string    `json:"by,omitempty"`
	Seen     time.Time `json:"seen,omitzero"` // signed in last
}

// PersonView is a person as others see it.
type PersonView struct {
	Name     string    `json:"name"`
	Mail     string    `json:"mail,omitempty"`
	Role     Role      `json:"role"`
	Rights   []Right   `json:"rights"`
	Password bool      `json:"password"` // has one
	TOTP     bool      `json:"totp"`     // has a second factor
	OIDC     bool      `json:"oidc"`     // signs in by the provider
	Disabled bool      `json:"disabled"`
	Created  time.Time `json:"created"`
	By       string    `json:"by,omitempty"`
	Seen     time.Time `json:"seen,omitzero"`
	Sessions int       `json:"sessions"`
	Tokens   int       `json:"tokens"`
}

// Token lets a program act as a person, with the person's rights or fewer.
type Token struct {
	Rev     int       `json:"rev"`
	ID      string    `json:"id"`
	Person  string    `json:"person"`
	Name    string    `json:"name"`
	Hash    string    `json:"hash"` // SHA-256 of the secret
	Only    []Right   `json:"only,omitempty"`
	Created time.Time `json:"created"`
	Until   time.Time `json:"until"`
	By      string    `json:"by"`
}

// TokenView is a token without what proves it.
type TokenView struct {
	ID      string    `json:"id"`
	Person  string    `json:"person"`
	Name    string    `json:"name"`
	Only    []Right   `json:"only,omitempty"`
	Created time.Time `json:"created"`
	Until   time.Time `json:"until"`
	By      string    `json:"by"`
	// Secret is shown once, when it is made.
	Secret string `json:"secret,omitempty"`
}

func (t *Token) view() TokenView {
	return TokenView{ID: t.ID, Person: t.Person, Name: t.Name, Only: t.Only, Created: t.Created, Until: t.Until, By: t.By}
}

// Session is a person who has signed in with a browser.
type Session struct {
	Rev     int       `json:"rev"`
	ID      string    `json:"id"`
	Person  string    `json:"person"`
	Hash    string    `json:"hash"` // SHA-256 of the cookie's value
	Created time.Time `json:"created"`
	Seen    time.Time `json:"seen"`
	Until   time.Time `json:"until"` // ends then at the latest
	From    string    `json:"from,omitempty"`
	Agent   string    `json:"agent,omitempty"`
	Method  string    `json:"method"` // password, totp, oidc, link
}

// SessionView is a session without what proves it.
type SessionView struct {
	ID      string    `json:"id"`
	Person  string    `json:"person"`
	Created time.Time `json:"created"`
	Seen    time.Time `json:"seen"`
	Until   time.Time `json:"until"`
	From    string    `json:"from,omitempty"`
	Agent   string    `json:"agent,omitempty"`
	Method  string    `json:"method"`
	Current bool      `json:"current"` // that of who asks
}

// Link lets a person set a password, once.
type Link struct {
	Rev     int       `json:"rev"`
	ID      string    `json:"id"`
	Person  string    `json:"person"`
	Hash    string    `json:"hash"`
	Created time.Time `json:"created"`
	Until   time.Time `json:"until"`
	By      string    `json:"by"`
}

var goodName = regexp.MustCompile(`^[a-z0-9][a-z0-9._@-]{0,63}$`)

func checkName(name string) error {
	if !goodName.MatchString(name) || slices.Contains([]string{"me", "none", "nobody", "operator", "holdfast", "policy", "brake"}, name) {
		return invalid("name", "name %q: write 1 to 64 of a to z, 0 to 9 and . _ @ -, and none of Holdfast's own words", clip(name, 80))
	}
	return nil
}
