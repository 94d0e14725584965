package app

import (
	"context"
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
