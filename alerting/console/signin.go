package console

import (
	"net/http"
	"strings"

	"holdfast/alerting/api"
)

// signInData is what the page for signing in needs.
type signInData struct {
	Next, Name, Wrong, Provider string
}

func (c *Console) signInPage(w http.ResponseWriter, r *http.Request) error {
	next := local(r.URL.Query().Get("next"), "/queue")
	if p, err := c.who.Principal(r); err == nil && p.Name != "" {
		return to(w, r, next)
	}
	return c.signInAgain(w, r, http.StatusOK, signInData{Next: next})
}

func (c *Console) signInAgain(w http.ResponseWriter, r *http.Request, status int, d signInData) error {
	d.Provider = c.cfg.Provider
	return c.show(w, r, status, view{Page: "signin", Title: c.text.say("signin.title"), Bare: true, Data: d})
}

// signIn begins a session. It is always a new one, whatever cookie came.
func (c *Console) signIn(w http.ResponseWriter, r *http.Request) error {
	next := local(r.PostFormValue("next"), "/queue")
	l := api.Login{Name: strings.TrimSpace(r.PostFormValue("name")), Password: r.PostFormValue("password"), Code: strings.ReplaceAll(r.PostFormValue("code"), " ", "")}
	got, err := c.service.SignIn(r.Context(), l, c.who.Address(r), r.UserAgent())
	if err != nil {
		q := api.AsProblem(err)
		if q.Status >= http.StatusInternalServerError {
			return err
		}
		return c.signInAgain(w, r, q.Status, signInData{Next: next, Name: l.Name, Wrong: q.Detail})
	}
	c.who.SetSession(w, got)
	return to(w, r, next)
}

func (c *Console) signOut(w http.ResponseWriter, r *http.Request, p api.Principal) error {
	if err := c.service.SignOut(r.Context(), p); err != nil {
		return err
	}
	c.who.DropSession(w)
	return to(w, r, "/signin")
}

// welcomeData is what the page of a one-time link needs.
type welcomeData struct {
	Link, Name, Wrong string
}

func (c *Console) welcomePage(w http.ResponseWriter, r *http.Request) error {
	link := r.URL.Query().Get("link")
	name, err := c.service.LinkFor(link, c.who.Address(r))
	if err != nil {
		return err
	}
	w.Header().Set("Referrer-Policy", "no-referrer") // the address holds the secret
	return c.show(w, r, http.StatusOK, view{Page: "welcome", Title: c.text.say("welcome.title"), Bare: true, Data: welcomeData{Link: link, Name: name}})
}

func (c *Console) welcome(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Referrer-Policy", "no-referrer")
	in := api.NewPassword{Link: r.PostFormValue("link"), Password: r.PostFormValue("password")}
	again := func(status int, wrong string) error {
		name, err := c.service.LinkFor(in.Link, c.who.Address(r))
		if err != nil {
			return err
		}
		return c.show(w, r, status, view{Page: "welcome", Title: c.text.say("welcome.title"), Bare: true, Data: welcomeData{Link: in.Link, Name: name, Wrong: wrong}})
	}
	if in.Password != r.PostFormValue("again") {
		return again(http.StatusBadRequest, c.text.say("welcome.differ"))
	}
	got, err := c.service.UseLink(r.Context(), in, c.who.Address(r), r.UserAgent())
	if q := api.AsProblem(err); err != nil && q.Field == "password" {
		return again(q.Status, q.Detail)
	}
	if err != nil {
		return err
	}
	c.who.SetSession(w, got)
	return to(w, r, "/queue")
}
