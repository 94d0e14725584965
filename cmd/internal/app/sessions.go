package app

import (
	"holdfast/alerting/enforce"
	"holdfast/schemas"
)

// sessionsEnded are the requests that prove a step of the way back: a platform that has
// confirmed a suspension has ended the account's sessions.
func sessionsEnded(actions []schemas.Action) (out []schemas.Request) {
	for i := range actions {
		a := &actions[i]
		if a.Outcome != enforce.OutcomeDone || a.Verdict != schemas.VerdictSuspend {
			continue
		}
		out = append(out, schemas.Request{
			ID: schemas.DeriveID("req", "sessions", a.ID), Time: a.Time, Entity: a.Entity, Act: "tick", Actor: schemas.FromHoldfast, From: schemas.FromHoldfast,
			Item: schemas.StepSessions, Text: a.Target + " has confirmed the suspension",
		})
	}
	return out
}
