package console

import (
	"bytes"
	"encoding/base64"
	"image/png"
	"net/http"
	"strconv"
	"strings"

	"github.com/pquerna/otp"

	"holdfast/alerting/api"
)

// peopleData is what the page of people shows. Link is shown once, to who made it.
type peopleData struct {
	People   api.Page[api.PersonView]
	Sessions api.Page[api.SessionView]
	Tokens   api.Page[api.TokenView]
	Roles    []api.Role
	Manage   bool
	Link     *api.OneTime
	Origin   string
}

func (c *Console) peoplePage(w http.ResponseWriter, r *http.Request, p api.Principal) error {
	return c.people(w, r, p, nil)
}

func (c *Console) people(w http.ResponseWriter, r *http.Request, p api.Principal, link *api.OneTime) error {
	d := peopleData{Roles: api.Roles(), Manage: p.May(api.RightManage), Link: link, Origin: c.origin(r)}
	var err error
	if d.People, err = c.service.ListPeople(r.Context(), p); err != nil {
		return err
	}
	if d.Sessions, err = c.service.Sessions(r.Context(), p, true); err != nil {
		return err
	}
	if d.Tokens, err = c.service.Tokens(r.Context(), p, true); err != nil {
		return err
	}
	return c.show(w, r, http.StatusOK, view{Page: "people", Title: c.text.say("nav.people"), Who: p, Data: d})
}

// origin is where people reach this server, as the request came.
func (c *Console) origin(r *http.Request) string {
	if c.cfg.Secure {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// peopleAct adds and changes people. A one-time link is in the answer itself, since it is
// in no address and in no cookie.
func (c *Console) peopleAct(w http.ResponseWriter, r *http.Request, p api.Principal) error {
	name, why := strings.TrimSpace(r.PostFormValue("name")), strings.TrimSpace(r.PostFormValue("why"))
	var link api.OneTime
	var err error
	switch r.PostFormValue("do") {
	case "add":
		link, err = c.service.AddPerson(r.Context(), p, api.NewPerson{Name: name, Role: api.Role(r.PostFormValue("role")), Mail: strings.TrimSpace(r.PostFormValue("mail")), Why: why})
	case "link":
		link, err = c.service.ResetLink(r.Context(), p, name, why)
	case "role":
		role := api.Role(r.PostFormValue("role"))
		_, err = c.service.ChangePerson(r.Context(), p, name, api.PersonChange{Role: &role, Why: why})
	case "disable", "enable":
		off := r.PostFormValue("do") == "disable"
		_, err = c.service.ChangePerson(r.Context(), p, name, api.PersonChange{Disabled: &off, Why: why})
	case "session":
		err = c.service.EndSession(r.Context(), p, r.PostFormValue("id"))
	case "token":
		err = c.service.DropToken(r.Context(), p, r.PostFormValue("id"))
	default:
		return refusal(http.StatusBadRequest, c.text.say("problem.form"))
	}
	if err == nil && link.Link != "" {
		return c.people(w, r, p, &link)
	}
	return c.after(w, r, "/people", c.text.say("people.changed"), err)
}

// meData is what somebody sees of oneself. Secrets are shown once, in the answer to what
// made them.
type meData struct {
	Me       api.Me
	Sessions api.Page[api.SessionView]
	Tokens   api.Page[api.TokenView]
	Token    *api.TokenView
	TOTP     *api.NewCode
	QR       string
}

func (c *Console) mePage(w http.ResponseWriter, r *http.Request, p api.Principal) error {
	return c.me(w, r, p, meData{})
}

func (c *Console) me(w http.ResponseWriter, r *http.Request, p api.Principal, d meData) error {
	var err error
	if d.Me, err = c.service.Me(r.Context(), p); err != nil {
		return err
	}
	if d.Sessions, err = c.service.Sessions(r.Context(), p, false); err != nil {
		return err
	}
	if d.Tokens, err = c.service.Tokens(r.Context(), p, false); err != nil {
		return err
	}
	return c.show(w, r, http.StatusOK, view{Page: "me", Title: c.text.say("nav.me"), Who: p, Data: d})
}

func (c *Console) meAct(w http.ResponseWriter, r *http.Request, p api.Principal) error {
	ctx := r.Context()
	var err error
	said := "me.changed"
	switch r.PostFormValue("do") {
	case "password":
		if r.PostFormValue("password") != r.PostFormValue("again") {
			err = refusal(http.StatusBadRequest, c.text.say("welcome.differ"))
			break
		}
		err, said = c.service.ChangePassword(ctx, p, r.PostFormValue("old"), r.PostFormValue("password")), "me.password.done"
		if q := api.AsProblem(err); err != nil && q.Status == http.StatusForbidden {
			err = refusal(http.StatusBadRequest, q.Detail) // it goes back to the form
		}
	case "totp":
		code, err := c.service.BeginTOTP(ctx, p)
		if err != nil {
			return err
		}
		return c.me(w, r, p, meData{TOTP: &code, QR: qr(code.URI)})
	case "code":
		err, said = c.service.SetTOTP(ctx, p, strings.ReplaceAll(r.PostFormValue("code"), " ", "")), "me.totp.done"
	case "session":
		err = c.service.EndSession(ctx, p, r.PostFormValue("id"))
	case "token":
		days, _ := strconv.Atoi(r.PostFormValue("days"))
		in := api.NewToken{Name: strings.TrimSpace(r.PostFormValue("name")), Days: days, Why: strings.TrimSpace(r.PostFormValue("why"))}
		if r.PostFormValue("only") == "read" {
			in.Only = []api.Right{api.RightRead}
		}
		t, err := c.service.MakeToken(ctx, p, in)
		if err != nil {
			return c.after(w, r, "/me", "", err)
		}
		return c.me(w, r, p, meData{Token: &t})
	case "drop":
		err = c.service.DropToken(ctx, p, r.PostFormValue("id"))
	default:
		err = refusal(http.StatusBadRequest, c.text.say("problem.form"))
	}
	return c.after(w, r, "/me", c.text.say(said), err)
}

// qr is a picture of a second factor's secret, as a data: address.
func qr(uri string) string {
	k, err := otp.NewKeyFromURL(uri)
	if err != nil {
		return ""
	}
	img, err := k.Image(180, 180)
	if err != nil {
		return ""
	}
	var b bytes.Buffer
	if png.Encode(&b, img) != nil {
		return ""
	}
	return "data:image/png;base64," + base64.StdEncoding.EncodeToString(b.Bytes())
}
