package api

import (
	"context"
	"net/http"
	"slices"

	"holdfast/schemas"
)

// CustomerCase gives a case to the people of its own account. Who calls has checked that
// they are: by a signed link.
func (s *Service) CustomerCase(ctx context.Context, account, id string) (c schemas.Case, st schemas.Status, err error) {
	c, current, err := s.findCase(ctx, id)
	if err != nil {
		return c, st, err
	}
	if c.Entity != (schemas.Entity{Kind: schemas.KindAccount, ID: account}) {
		return schemas.Case{}, st, notFound("there is no case %q", clip(id, 80))
	}
	if current {
		st, _ = s.book.Status(c.Entity)
	}
	return c, st, nil
}

// customerActs are what the customer's page may ask for; the lane refuses all else too.
var customerActs = []string{"tick", "note"}

// CustomerAct answers a step of the way back, or writes a note, for the people of the
// case's own account.
func (s *Service) CustomerAct(ctx context.Context, account, id, from string, in ActIn) error {
	c, _, err := s.CustomerCase(ctx, account, id)
	if err != nil {
		return err
	}
	a, err := actOf(in.Act)
	if err != nil {
		return err
	}
	if !slices.Contains(customerActs, a.Name) {
		return problem(http.StatusForbidden, CodeForbidden, a.Name+" is not the customer's to ask for")
	}
	if _, there := s.book.Case(id); !there {
		return refused("the case is over")
	}
	if err := s.check(a, c.Entity, true, &in); err != nil {
		return err
	}
	r := s.requestOf(Principal{Name: "customer", From: from}, a, c.Entity, ActIn{Act: in.Act, Item: in.Item, Text: in.Text, Key: in.Key, Why: "through the customer's page"})
	r.From = schemas.FromCustomer
	op, err := s.once(ctx, Principal{}, r)
	if err != nil {
		return err
	}
	if op.Refused != "" {
		return refused(op.Refused)
	}
	s.book.seen(ctx, c.Entity)
	s.book.has(ctx, &op)
	return nil
}
