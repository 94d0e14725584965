package api

import (
	"net/http"
	"strings"
	"testing"

	"holdfast/alerting/gate"
	"holdfast/schemas"
)

// sample is a request of a route that could succeed.
func sample(r *route, caseID string) (path string, body any, headers []string) {
	path = strings.NewReplacer("{id}", caseID, "{entity}", "account:acct-1", "{name}", "somebody").Replace(r.path)
	switch r.id {
	case "getTouched":
		path = "/v1/entities/ip:192.0.2.1/accounts"
	case "listTokens", "listSessions":
		path += "?of=everybody"
	case "actOnCase", "actOnEntity":
		body, headers = ActIn{Act: "note", Text: "a note", DryRun: true}, []string{"If-Match", "*"}
	case "bulk":
		body = map[string]any{"act": "note", "text": "a note", "why": "w", "entities": []string{"account:acct-1"}, "dry_run": true}
	case "approveBulk", "rejectBulk", "releaseBrake", "resetLink", "retry", "changePerson":
		body = why{"a reason"}
	case "actOnIncident":
		body, headers = IncidentActIn{Act: "note", Text: "a note"}, []string{"If-Match", "*"}
	case "openIncident":
		body = NewIncident{Cause: "other", Title: "t", Why: "w"}
	case "runScope", "runHunt":
		body = map[string]any{"why": "w"}
	case "query":
		body = QueryIn{SQL: "SELECT 1"}
	case "saveView":
		body = viewBody{Name: "mine", Query: "/queue"}
	case "addPerson":
		body = NewPerson{Name: "new", Role: RoleViewer, Why: "w"}
	case "makeToken":
		body = NewToken{Name: "t", Days: 100_000} // never made
	case "changePassword":
		body = passwords{"wrong", goodPasswordText}
	case "confirmTotp":
		body = code{"000000"}
	case "signIn":
		body = Login{Name: "nobody-here", Password: "x"}
	case "useLink":
		body = NewPassword{"hfl_none", goodPasswordText}
	}
	return path, body, headers
}

// Every route is asked by everybody: who lacks the right gets 401 or 403, and nothing of
// what it would have told or done; who has it does not.
func TestEveryRouteForEveryRole(t *testing.T) {
	w := newWorld(t)
	c := w.open("acct-1")
	tokens := map[Role]string{"": ""}
	for _, r := range Roles() {
		tokens[r] = w.add(string(r), r)
	}
	want := map[Right]string{ // by who may, beside self and none
		RightRead: "viewer analyst lead auditor admin", RightAudit: "lead auditor admin", RightPeople: "auditor admin", RightManage: "admin",
		RightQuery: "analyst lead auditor admin", RightBulk: "analyst lead admin", RightApprove: "lead admin", RightBrake: "lead admin",
		RightRetry: "analyst lead admin", RightIncident: "analyst lead admin", "act.assign": "analyst lead admin",
	}
	asked := 0
	for _, r := range routes() {
		if r.id == "streamChanges" || r.id == "signOut" {
			continue // the first has no end, the second is of a session: see below
		}
		for role, token := range tokens {
			path, body, headers := sample(&r, c.ID)
			if token != "" {
				headers = append(headers, bearerOf(token)...)
			}
			before := w.asks()
			got := w.do(r.method, path, body, headers...)
			asked++
			allowed := r.right == RightNone || role != "" && (r.right == RightSelf || strings.Contains(" "+want[r.right]+" ", " "+string(role)+" "))
			switch r.id {
			case "listTokens", "listSessions": // of everybody
				allowed = role == RoleAuditor || role == RoleAdmin
			case "actOnCase", "actOnEntity":
				allowed = role == RoleAnalyst || role == RoleLead || role == RoleAdmin
			case "changePassword": // the old one is wrong
				allowed = false
			case "signIn":
				if got.Code != http.StatusUnauthorized && got.Code != http.StatusTooManyRequests {
					t.Errorf("signing in as nobody: %d", got.Code)
				}
				continue
			}
			refused := got.Code == http.StatusUnauthorized || got.Code == http.StatusForbidden
			switch {
			case allowed && refused, allowed && got.Code >= 500:
				t.Errorf("%s %s as %q: %d %s", r.method, path, role, got.Code, got.Body)
			case !allowed && role == "" && got.Code != http.StatusUnauthorized && r.id != "changePassword":
				t.Errorf("%s %s without a token: %d", r.method, path, got.Code)
			case !allowed && role != "" && !refused && got.Code != http.StatusTooManyRequests:
				t.Errorf("%s %s as %q: %d %s, want 403", r.method, path, role, got.Code, got.Body)
			case !allowed && w.asks() != before:
				t.Errorf("%s %s as %q was refused, and reached the lane", r.method, path, role)
			}
		}
	}
	if asked < 200 {
		t.Errorf("%d requests only", asked)
	}
}

// Each act is a right of its own.
func TestEveryActForEveryRole(t *testing.T) {
	w := newWorld(t)
	w.open("acct-1")
	for _, role := range Roles() {
		token := w.add(string(role), role)
		for _, a := range acts {
			if a.Name == gate.ActRelease {
				continue
			}
			want := role == RoleLead || role == RoleAdmin || role == RoleAnalyst && !a.Lead && a.Right == ""
			before := w.asks()
			got := w.do("POST", "/v1/entities/account:acct-1/acts", ActIn{Act: a.Name, Why: "w"}, bearerOf(token)...)
			if denied := got.Code == http.StatusForbidden; denied == want {
				t.Errorf("%s as %s: %d %s", a.Name, role, got.Code, got.Body)
			}
			if !want && (w.asks() != before || !w.wrote(func(op schemas.Operator) bool {
				return op.Actor == string(role) && op.Act == a.Name && op.Refused != "" && op.Entity.ID == "acct-1"
			})) {
				t.Errorf("%s as %s was refused: it reached the lane, or was not recorded", a.Name, role)
			}
		}
	}
}

// A token may have fewer rights than its person, never more, and makes none that has more.
func TestTokensNarrow(t *testing.T) {
	w := newWorld(t)
	w.open("acct-1")
	full := w.add("ann", RoleAnalyst)
	narrow := into[TokenView](t, w.do("POST", "/v1/tokens", NewToken{Name: "notes", Only: []Right{RightRead, "act.note"}}, bearerOf(full)...))
	note := func(act string) int {
		return w.do("POST", "/v1/entities/account:acct-1/acts", ActIn{Act: act, Text: "x", Why: "w"}, bearerOf(narrow.Secret)...).Code
	}
	if got := note("note"); got != http.StatusOK {
		t.Errorf("a note: %d", got)
	}
	if got := note("suspend"); got != http.StatusForbidden {
		t.Errorf("suspend: %d", got)
	}
	if got := w.do("POST", "/v1/tokens", NewToken{Name: "more"}, bearerOf(narrow.Secret)...); got.Code != http.StatusForbidden {
		t.Errorf("a narrow token made another: %d %s", got.Code, got.Body)
	}
	if got := w.do("POST", "/v1/tokens", NewToken{Name: "more", Only: []Right{RightManage}}, bearerOf(full)...); got.Code != http.StatusBadRequest {
		t.Errorf("a token with a right that the person lacks: %d", got.Code)
	}
	if got := w.do("POST", "/v1/tokens", NewToken{Name: "theirs", Person: "root"}, bearerOf(full)...); got.Code != http.StatusForbidden {
		t.Errorf("a token for another person: %d", got.Code)
	}
}

// Ids of other people's sessions and tokens are worth nothing to whoever guesses them.
func TestOthersSessionsAndTokens(t *testing.T) {
	w := newWorld(t)
	ann, bob := w.add("ann", RoleLead), w.add("bob", RoleLead)
	their := into[Page[TokenView]](t, w.do("GET", "/v1/tokens", nil, bearerOf(bob)...)).Items[0].ID
	ses := into[Page[SessionView]](t, w.do("GET", "/v1/sessions", nil, bearerOf(bob)...)).Items[0].ID
	for _, path := range []string{"/v1/sessions/" + ses, "/v1/tokens/" + their} {
		if got := w.do("DELETE", path, nil, bearerOf(ann)...); got.Code != http.StatusNotFound {
			t.Errorf("%s by another person: %d", path, got.Code)
		}
		if got := w.do("DELETE", path, nil, bearerOf(bob)...); got.Code != http.StatusNoContent {
			t.Errorf("%s by its owner: %d %s", path, got.Code, got.Body)
		}
	}
	if got := w.do("GET", "/v1/me", nil, bearerOf(bob)...); got.Code != http.StatusUnauthorized {
		t.Errorf("a dropped token still works: %d", got.Code)
	}
}

func TestTheLastAdminStays(t *testing.T) {
	w := newWorld(t)
	admin := w.add("adm", RoleAdmin)
	role := RoleViewer
	if got := w.do("PATCH", "/v1/people/adm", PersonChange{Role: &role, Why: "w"}, bearerOf(admin)...); got.Code != http.StatusConflict {
		t.Errorf("the last admin became a viewer: %d", got.Code)
	}
	w.add("other", RoleAdmin)
	if got := w.do("PATCH", "/v1/people/adm", PersonChange{Role: &role, Why: "w"}, bearerOf(admin)...); got.Code != http.StatusOK {
		t.Errorf("with another admin: %d %s", got.Code, got.Body)
	}
	if got := w.do("GET", "/v1/people", nil, bearerOf(admin)...); got.Code != http.StatusForbidden {
		t.Errorf("a new role does not hold at once: %d", got.Code)
	}
}
