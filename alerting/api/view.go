package api

import (
	"context"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"
)

// View is a question that somebody saved under a name: the address of a page with its
// filters.
type View struct {
	Rev     int       `json:"rev"`
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Query   string    `json:"query"` // path and query of the page
	Who     string    `json:"who"`
	Shared  bool      `json:"shared"`
	Created time.Time `json:"created"`
}

// Views lists the saved questions of who asks, and the shared ones.
func (s *Service) Views(_ context.Context, p Principal) (Page[View], error) {
	out := Page[View]{Items: []View{}}
	if err := p.need(RightRead); err != nil {
		return out, err
	}
	s.people.mu.RLock()
	for _, v := range s.people.views {
		if v.Shared || v.Who == p.Name {
			out.Items = append(out.Items, *v)
		}
	}
	s.people.mu.RUnlock()
	out.Items = sortedBy(out.Items, func(v View) string { return v.Name + "\x00" + v.ID })
	return out, nil
}

// SaveView keeps a question under a name.
func (s *Service) SaveView(ctx context.Context, p Principal, v View) (View, error) {
	if err := p.need(RightQuery); err != nil {
		return View{}, err
	}
	if v.Name == "" || len(v.Name) > 100 || len(v.Query) > 8192 || v.Query == "" || v.Query[0] != '/' || len(v.Query) > 1 && (v.Query[1] == '/' || v.Query[1] == '\\') {
		return View{}, invalid("query", "a saved question needs a name of at most 100 bytes, and a path on this server")
	}
	s.people.write.Lock()
	defer s.people.write.Unlock()
	s.people.mu.RLock()
	n := 0
	for _, x := range s.people.views {
		if x.Who == p.Name {
			n++
		}
	}
	s.people.mu.RUnlock()
	if n >= 200 {
		return View{}, refused("you have 200 saved questions: drop one first")
	}
	v = View{ID: "view_" + ulid.Make().String(), Name: v.Name, Query: v.Query, Who: p.Name, Shared: v.Shared, Created: s.now().UTC().Truncate(time.Second)}
	return v, s.people.put(ctx, keyView+v.ID, &v)
}

// DropView forgets a saved question of who asks.
func (s *Service) DropView(ctx context.Context, p Principal, id string) error {
	if err := p.need(RightQuery); err != nil {
		return err
	}
	s.people.write.Lock()
	defer s.people.write.Unlock()
	v, ok := get(s.people, s.people.views, id)
	if !ok || v.Who != p.Name && !slices.Contains([]Role{RoleLead, RoleAdmin}, p.Role) {
		return notFound("you have no saved question %q", clip(id, 80))
	}
	return s.people.put(ctx, keyView+id, nil)
}
