package api

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"holdfast/alerting/gate"
	"holdfast/schemas"
)

// statusTag reads the ETag of an entity's status.
func statusTag(tag string) (episode, step int, err error) {
	a, b, ok := strings.Cut(strings.Trim(strings.TrimPrefix(tag, "W/"), `"`), ".")
	if !ok || !strings.HasPrefix(a, "s") {
		return 0, 0, fmt.Errorf("no status")
	}
	if episode, err = strconv.Atoi(a[1:]); err != nil {
		return 0, 0, err
	}
	step, err = strconv.Atoi(b)
	return episode, step, err
}

// maxTries bounds the cases that are tried while others take them.
const maxTries = 20

// Next assigns the case that is due first of those that are nobody's, and gives it. Two
// people never get the same one: the lane takes the first request for the version that both
// saw and refuses the other.
func (s *Service) Next(ctx context.Context, p Principal) (CaseView, error) {
	if err := p.need("act.assign"); err != nil {
		return CaseView{}, err
	}
	list, err := s.Cases(ctx, p, CasesIn{Owner: "none", Stage: []string{string(schemas.StageOpen), string(schemas.StageContained), string(schemas.StageRecovering)}, Limit: maxTries})
	if err != nil {
		return CaseView{}, err
	}
	for _, l := range list.Items {
		v := l.Version
		_, err := s.Act(ctx, p, l.Entity, ActIn{Act: "assign", Item: p.Name, Version: &v, Why: "the next case"})
		if err == nil {
			return s.Case(ctx, p, l.ID)
		}
		if AsProblem(err).Code != CodeConflict {
			return CaseView{}, err
		}
	}
	return CaseView{}, notFound("every case is somebody's")
}

// Acts lists the acts that there are which p may carry out.
func (s *Service) Acts(_ context.Context, p Principal) (Page[ActInfo], error) {
	out := Page[ActInfo]{Items: []ActInfo{}}
	if err := p.need(RightSelf); err != nil {
		return out, err
	}
	for i := range acts {
		if a := &acts[i]; a.Name != gate.ActRelease && p.May(a.right()) {
			out.Items = append(out.Items, a.info(schemas.Entity{Kind: "kind", ID: "id"}, nil))
		}
	}
	slices.SortFunc(out.Items, func(a, b ActInfo) int { return strings.Compare(a.Act, b.Act) })
	return out, nil
}
