package app

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"holdfast/alerting/api"
	"holdfast/ingest/embedded/folder"
)

// localTokenFile is where in the data folder the token of the user who runs it stands.
const localTokenFile = "token"

// localTokenLife is how long it works; each start makes another.
const localTokenLife = 30 * 24 * time.Hour

// notOfNames is what a person's name cannot have.
var notOfNames = regexp.MustCompile(`[^a-z0-9._@-]+`)

// localName is the user of this machine as a person's name.
func localName() string {
	name := strings.Trim(notOfNames.ReplaceAllString(strings.ToLower(Actor()), "-"), "-._@")
	if name == "" || name == "operator" || name == "holdfast" {
		return "local"
	}
	return name
}

// welcome makes the token of the user who runs the embedded engines, and the first admin's
// link where nobody is known.
func (a *App) welcome(ctx context.Context, s *api.Service) error {
	if a.engines.broker == nil {
		return nil
	}
	select {
	case <-s.Ready():
	case <-ctx.Done():
		return ctx.Err()
	}
	link, made, err := s.FirstAdmin(ctx, "admin")
	if err != nil {
		return fmt.Errorf("make the first admin: %w", err)
	}
	if made {
		a.link = a.at.API + link.Path
	}
	t, err := s.LocalToken(ctx, localName(), api.RoleAdmin, localTokenLife)
	if err != nil {
		return fmt.Errorf("make the token of the user of this machine: %w", err)
	}
	path := filepath.Join(a.cfg.DataDir, localTokenFile)
	if err := folder.WriteFile(path, []byte(t.Secret+"\n")); err != nil {
		return fmt.Errorf("write the token of the user of this machine: %w", err)
	}
	a.at.TokenFile = path
	return os.Chmod(path, 0o600)
}

// FirstLink is where the first admin sets a password, once, after Ready; empty where
// somebody is known.
func (a *App) FirstLink() string { return a.link }

// AddUser adds somebody who signs in to the console by a password, which it makes and
// returns; who is there already gets another one. The demo calls it, after Ready.
func (a *App) AddUser(ctx context.Context, name string, role api.Role, why string) (password string, err error) {
	p := api.Principal{Name: "holdfast", Role: api.RoleAdmin}
	link, err := a.service.AddPerson(ctx, p, api.NewPerson{Name: name, Role: role, Why: why})
	if err != nil && api.AsProblem(err).Code == api.CodeConflict {
		link, err = a.service.ResetLink(ctx, p, name, why)
	}
	if err != nil {
		return "", err
	}
	text := strings.ToLower(rand.Text())
	password = text[:5] + "-" + text[5:10] + "-" + text[10:15] + "-" + text[15:20]
	_, err = a.service.UseLink(ctx, api.NewPassword{Link: link.Link, Password: password}, "127.0.0.1", "holdfast")
	return password, err
}
