package api

import (
	"context"
	"net/http"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"holdfast/schemas"
)

// routes is the table of requests.
func routes() []route {
	type S = *Service
	type C = context.Context
	type P = Principal
	get, post, put, del := http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete
	all := []route{
		ask(get, "/v1/cases", RightRead, "cases", "listCases", "Cases by stage and due time, a page at a time.", func(s S, c C, p P, in *CasesIn) (Page[CaseLine], error) { return s.Cases(c, p, *in) }),
		ask(get, "/v1/cases/counts", RightRead, "cases", "countCases", "How many cases there are by stage.", func(s S, c C, p P, _ *none) (Counts, error) { return s.Count(c, p) }),
		ask(post, "/v1/cases/next", "act.assign", "cases", "nextCase", "Take the next case that is nobody's: no two people get the same one.", func(s S, c C, p P, _ *none) (CaseView, error) { return s.Next(c, p) }),
		ask(get, "/v1/cases/{id}", RightRead, "cases", "getCase", "A case as it is now, with its version as ETag.", func(s S, c C, p P, in *caseIn) (CaseView, error) { return s.Case(c, p, in.ID) }),
		ask(get, "/v1/cases/{id}/detail", RightRead, "cases", "getCaseDetail", "A case's decisions with the signals behind them, what was done and who was told.", func(s S, c C, p P, in *caseIn) (CaseDetail, error) { return s.CaseDetail(c, p, in.ID) }),
		ask(get, "/v1/cases/{id}/reach", RightRead, "cases", "getCaseReach", "What was reached within a case's window, counted.", func(s S, c C, p P, in *caseIn) (Reach, error) { return s.CaseReach(c, p, in.ID) }),
		ask(post, "/v1/cases/{id}/acts", RightSelf, "acts", "actOnCase", "Carry out an act on a case, as it was seen (If-Match).", actOnCase),
		ask(get, "/v1/entities", RightRead, "entities", "listStanding", "Entities that are stopped, throttled or to be reviewed, and how far that is carried out.", func(s S, c C, p P, in *StandingIn) (Page[StandingLine], error) { return s.Standing(c, p, *in) }),
		ask(get, "/v1/entities/{entity}", RightRead, "entities", "getEntity", "The present state of an entity.", func(s S, c C, p P, in *entityIn) (EntityView, error) {
			e, err := EntityOf(in.Entity)
			if err != nil {
				return EntityView{}, err
			}
			return s.Entity(c, p, e)
		}),
		ask(post, "/v1/entities/{entity}/acts", RightSelf, "acts", "actOnEntity", "Carry out an act on an entity.", actOnEntity),
		ask(get, "/v1/entities/{entity}/timeline", RightRead, "entities", "getTimeline", "An entity's past, the newest first: events, signals, decisions, acts.", func(s S, c C, p P, in *TimelineIn) (Page[Entry], error) { return s.Timeline(c, p, *in) }),
		ask(get, "/v1/entities/{entity}/accounts", RightRead, "entities", "getTouched", "Accounts that an address was used for, or that an employee reached.", func(s S, c C, p P, in *SpanIn) (Page[Touch], error) { return s.Touched(c, p, *in) }),
		ask(get, "/v1/entities/{entity}/sources", RightRead, "entities", "getSources", "Addresses that an account was used from.", func(s S, c C, p P, in *SpanIn) (Page[Source], error) { return s.Sources(c, p, *in) }),
		ask(get, "/v1/entities/{entity}/credentials", RightRead, "entities", "getCredentials", "An account's credentials, with their last use.", func(s S, c C, p P, in *SpanIn) (Page[Credential], error) { return s.Credentials(c, p, *in) }),
		ask(get, "/v1/entities/{entity}/snapshot", RightRead, "entities", "getSnapshot", "An account's newest snapshot.", func(s S, c C, p P, in *entityIn) (jsontext.Value, error) {
			e, err := EntityOf(in.Entity)
			if err != nil {
				return nil, err
			}
			return s.Snapshot(c, p, e)
		}),
		ask(get, "/v1/entities/{entity}/volume", RightRead, "entities", "getVolume", "An account's recipients, bounces and complaints by step.", func(s S, c C, p P, in *VolumeIn) (Page[Bucket], error) { return s.Volume(c, p, *in) }),
		ask(post, "/v1/bulk", RightBulk, "acts", "bulk", "Ask for one act on many entities; with dry_run, say whom it would reach. Grave ones wait for a second person.", func(s S, c C, p P, in *bulkIn) (BulkView, error) {
			in.Body.Key = in.Key
			return s.Bulk(c, p, in.Body)
		}).withBig(),
		ask(get, "/v1/bulk", RightRead, "acts", "listBulks", "Acts on many entities, the newest first.", func(s S, c C, p P, _ *none) (Page[BulkView], error) { return s.Bulks(c, p) }),
		ask(get, "/v1/bulk/{id}", RightRead, "acts", "getBulk", "One act on many entities, with whom it reaches.", func(s S, c C, p P, in *idIn) (BulkView, error) { return s.BulkByID(c, p, in.ID) }),
		ask(post, "/v1/bulk/{id}/approve", RightApprove, "acts", "approveBulk", "Approve an act on many entities as the second person.", func(s S, c C, p P, in *answerIn) (BulkView, error) { return s.Approve(c, p, in.ID, true, in.Body.Why) }),
		ask(post, "/v1/bulk/{id}/reject", RightApprove, "acts", "rejectBulk", "Reject an act on many entities.", func(s S, c C, p P, in *answerIn) (BulkView, error) { return s.Approve(c, p, in.ID, false, in.Body.Why) }),
		ask(get, "/v1/acts", RightSelf, "acts", "listActs", "The acts that there are, and which of them one may carry out.", func(s S, c C, p P, _ *none) (Page[ActInfo], error) { return s.Acts(c, p) }),
		ask(get, "/v1/operators", RightAudit, "audit", "listOperators", "What people did, refused acts too, the newest first.", func(s S, c C, p P, in *OperatorsIn) (Page[Entry], error) { return s.Operators(c, p, *in) }),
		ask(get, "/v1/expected", RightRead, "policies", "listExpected", "Snoozes and allowances in force, with what each has hidden.", func(s S, c C, p P, _ *none) (Expected, error) { return s.Expected(c, p) }),
		ask(get, "/v1/policies", RightRead, "policies", "listPolicies", "Policies in force with their volume and live precision.", func(s S, c C, p P, in *PoliciesIn) (Page[Policy], error) { return s.Policies(c, p, *in) }),
		ask(get, "/v1/brake", RightRead, "policies", "getBrake", "How the brake on automatic stops stands.", func(s S, c C, p P, _ *none) (Brake, error) { return s.Brake(c, p) }),
		ask(post, "/v1/brake/release", RightBrake, "policies", "releaseBrake", "Release the brake after having looked.", func(s S, c C, p P, in *whyIn) (ActOut, error) { return s.ReleaseBrake(c, p, in.Body.Why, in.Key) }),
		ask(get, "/v1/receivers", RightRead, "system", "listUndelivered", "What receivers have not confirmed yet.", func(s S, c C, p P, _ *none) (Page[Receipt], error) { return s.Undelivered(c, p) }),
		ask(post, "/v1/receivers/retry", RightRetry, "system", "retry", "Tell receivers again now.", func(s S, c C, p P, in *retryIn) (retryOut, error) {
			n, err := s.Retry(c, p, in.Body)
			return retryOut{n}, err
		}),
		ask(get, "/v1/system", RightRead, "system", "getSystem", "What the process says of itself.", func(s S, c C, p P, _ *none) (About, error) { return s.About(c, p) }),
		ask(post, "/v1/query", RightQuery, "audit", "query", "Ask the audit store by SQL: read only, bounded.", func(s S, c C, p P, in *queryIn) (Table, error) { return s.Query(c, p, in.Body) }),
		ask(get, "/v1/views", RightRead, "audit", "listViews", "Saved questions.", func(s S, c C, p P, _ *none) (Page[View], error) { return s.Views(c, p) }),
		ask(post, "/v1/views", RightQuery, "audit", "saveView", "Save a question under a name.", func(s S, c C, p P, in *viewIn) (View, error) {
			return s.SaveView(c, p, View{Name: in.Body.Name, Query: in.Body.Query, Shared: in.Body.Shared})
		}).withStatus(http.StatusCreated),
		ask(del, "/v1/views/{id}", RightQuery, "audit", "dropView", "Forget a saved question.", func(s S, c C, p P, in *idIn) (empty, error) { return empty{}, s.DropView(c, p, in.ID) }).withStatus(http.StatusNoContent),
	}
	_ = put
	return slices.Concat(all, incidentRoutes(), peopleRoutes(), rawRoutes())
}

type caseIn struct {
	ID string `path:"id" doc:"The case."`
}

type idIn struct {
	ID string `path:"id" doc:"Its id."`
}

type entityIn struct {
	Entity string `path:"entity" doc:"kind:id, for example account:acct-1, ip:192.0.2.1 or employee:emp-1; / is written %2F."`
}

type actOnCaseIn struct {
	ID    string `path:"id" doc:"The case."`
	Match string `header:"If-Match" doc:"The ETag of the case as it was seen, or * for any. Acts that only add something need none."`
	Key   string `header:"Idempotency-Key" doc:"The act is done once for each key, within a day."`
	Body  ActIn  `body:"json"`
}

type actOnEntityIn struct {
	Entity string `path:"entity" doc:"kind:id."`
	Match  string `header:"If-Match" doc:"The ETag of the entity's newest case or of its status as it was seen; without it any."`
	Key    string `header:"Idempotency-Key" doc:"The act is done once for each key, within a day."`
	Body   ActIn  `body:"json"`
}

type bulkIn struct {
	Key  string `header:"Idempotency-Key" doc:"The act is done once for each key."`
	Body BulkIn `body:"json"`
}

type why struct {
	Why string `json:"why"`
}

type answerIn struct {
	ID   string `path:"id" doc:"The bulk act."`
	Body why    `body:"json"`
}

type whyIn struct {
	Key  string `header:"Idempotency-Key" doc:"It is done once for each key."`
	Body why    `body:"json"`
}

type retryIn struct {
	Body RetryIn `body:"json"`
}

type retryOut struct {
	Asked int `json:"asked"`
}

type queryIn struct {
	Body QueryIn `body:"json"`
}

type viewBody struct {
	Name   string `json:"name"`
	Query  string `json:"query"`
	Shared bool   `json:"shared,omitzero"`
}

type viewIn struct {
	Body viewBody `body:"json"`
}

//nolint:revive // as ask wants it: a method of the service as a function
func actOnCase(s *Service, ctx context.Context, p Principal, in *actOnCaseIn) (ActOut, error) {
	act := in.Body
	act.Key = in.Key
	a, err := actOf(act.Act)
	if err != nil {
		return ActOut{}, err
	}
	switch {
	case in.Match != "":
		v, whichever, err := versionOf(in.Match, in.ID)
		if err != nil {
			return ActOut{}, err
		}
		if !whichever {
			act.Version = &v
		}
	case !a.Adds && !act.DryRun && p.May(a.right()):
		return ActOut{}, problem(http.StatusPreconditionRequired, CodeRequired, "If-Match is missing: send the ETag of the case as it was seen")
	}
	return s.ActOnCase(ctx, p, in.ID, act)
}

//nolint:revive // as above
func actOnEntity(s *Service, ctx context.Context, p Principal, in *actOnEntityIn) (ActOut, error) {
	e, err := EntityOf(in.Entity)
	if err != nil {
		return ActOut{}, err
	}
	act := in.Body
	act.Key = in.Key
	if in.Match != "" && in.Match != "*" {
		if err := s.matchEntity(e, in.Match, &act); err != nil {
			return ActOut{}, err
		}
	}
	return s.Act(ctx, p, e, act)
}

// matchEntity takes the ETag of an entity's status or of its case.
func (s *Service) matchEntity(e schemas.Entity, tag string, act *ActIn) error {
	if c, ok := s.book.CaseOf(e); ok {
		if v, _, err := versionOf(tag, c.ID); err == nil {
			act.Version = &v
			return nil
		}
	}
	episode, step, err := statusTag(tag)
	if err != nil {
		return conflict(changedSince + ": If-Match is of another case or status: look again")
	}
	act.Episode, act.Step = &episode, &step
	return nil
}
