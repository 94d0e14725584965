package api

import (
	"context"
	"net/http"
)

type everybodyIn struct {
	Of string `query:"of" enum:"me,everybody" doc:"everybody: those of all people, for who may see people."`
}

type personIn struct {
	Body NewPerson `body:"json"`
}

type changeIn struct {
	Name string       `path:"name" doc:"The person."`
	Body PersonChange `body:"json"`
}

type linkIn struct {
	Name string `path:"name" doc:"The person."`
	Body why    `body:"json"`
}

type tokenIn struct {
	Body NewToken `body:"json"`
}

type passwords struct {
	Old string `json:"old"`
	New string `json:"new"`
}

type passwordIn struct {
	Body passwords `body:"json"`
}

type code struct {
	Code string `json:"code"`
}

type codeIn struct {
	Body code `body:"json"`
}

func peopleRoutes() []route {
	type S = *Service
	type C = context.Context
	type P = Principal
	get, post, del := http.MethodGet, http.MethodPost, http.MethodDelete
	return []route{
		ask(get, "/v1/me", RightSelf, "people", "getMe", "Who asks, and what one may do.", func(s S, c C, p P, _ *none) (Me, error) { return s.Me(c, p) }),
		ask(post, "/v1/me/password", RightSelf, "people", "changePassword", "Change one's own password; one's other sessions end.", func(s S, c C, p P, in *passwordIn) (empty, error) {
			return empty{}, s.ChangePassword(c, p, in.Body.Old, in.Body.New)
		}).withStatus(http.StatusNoContent),
		ask(post, "/v1/me/totp", RightSelf, "people", "beginTotp", "Begin a second factor: its secret.", func(s S, c C, p P, _ *none) (NewCode, error) { return s.BeginTOTP(c, p) }).withoutKey(),
		ask(post, "/v1/me/totp/confirm", RightSelf, "people", "confirmTotp", "Put the second factor in force by a code of it.", func(s S, c C, p P, in *codeIn) (empty, error) {
			return empty{}, s.SetTOTP(c, p, in.Body.Code)
		}).withStatus(http.StatusNoContent),
		ask(get, "/v1/names", RightRead, "people", "listNames", "Whom a case can be assigned to.", func(s S, c C, p P, _ *none) (Page[string], error) { return s.Names(c, p) }),
		ask(get, "/v1/people", RightPeople, "people", "listPeople", "Who may do what.", func(s S, c C, p P, _ *none) (Page[PersonView], error) { return s.ListPeople(c, p) }),
		ask(post, "/v1/people", RightManage, "people", "addPerson", "Add somebody; the answer has the one-time link.", func(s S, c C, p P, in *personIn) (OneTime, error) { return s.AddPerson(c, p, in.Body) }).withStatus(http.StatusCreated).withoutKey(),
		ask(http.MethodPatch, "/v1/people/{name}", RightManage, "people", "changePerson", "Change somebody's role, or disable them.", func(s S, c C, p P, in *changeIn) (PersonView, error) { return s.ChangePerson(c, p, in.Name, in.Body) }),
		ask(post, "/v1/people/{name}/link", RightManage, "people", "resetLink", "Make a new one-time link for somebody; a second factor is taken away.", func(s S, c C, p P, in *linkIn) (OneTime, error) { return s.ResetLink(c, p, in.Name, in.Body.Why) }).withStatus(http.StatusCreated).withoutKey(),
		ask(get, "/v1/tokens", RightSelf, "people", "listTokens", "Tokens, without what proves them.", func(s S, c C, p P, in *everybodyIn) (Page[TokenView], error) {
			return s.Tokens(c, p, in.Of == "everybody")
		}),
		ask(post, "/v1/tokens", RightSelf, "people", "makeToken", "Make a token; its secret is in the answer and nowhere else.", func(s S, c C, p P, in *tokenIn) (TokenView, error) { return s.MakeToken(c, p, in.Body) }).withStatus(http.StatusCreated).withoutKey(),
		ask(del, "/v1/tokens/{id}", RightSelf, "people", "dropToken", "Make a token worthless.", func(s S, c C, p P, in *idIn) (empty, error) { return empty{}, s.DropToken(c, p, in.ID) }).withStatus(http.StatusNoContent),
		ask(get, "/v1/sessions", RightSelf, "people", "listSessions", "Sessions.", func(s S, c C, p P, in *everybodyIn) (Page[SessionView], error) {
			return s.Sessions(c, p, in.Of == "everybody")
		}),
		ask(del, "/v1/sessions/{id}", RightSelf, "people", "endSession", "End a session.", func(s S, c C, p P, in *idIn) (empty, error) { return empty{}, s.EndSession(c, p, in.ID) }).withStatus(http.StatusNoContent),
	}
}
