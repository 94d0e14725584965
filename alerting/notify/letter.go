package notify

import (
	"time"

	"holdfast/schemas"
)

// Letter is a message on its way to one receiver on one channel, a record of the topic
// outbox: a notice without its outcome.
type Letter struct {
	ID       string          `json:"id"` // the notice's id: the same message always has the same
	Time     time.Time       `json:"time"`
	Decision string          `json:"decision"`
	Entity   schemas.Entity  `json:"entity"`
	Account  string          `json:"account,omitempty"`
	Verdict  schemas.Verdict `json:"verdict"`
	Policy   string          `json:"policy"`
	Audience string          `json:"audience"`
	Channel  string          `json:"channel"`
	To       string          `json:"to"`
	Subject  string          `json:"subject"`
	Body     string          `json:"body"`
	Page     bool            `json:"page,omitzero"`
}

// Message is what the channel sends.
func (l *Letter) Message() Message {
	return Message{
		ID: l.ID, Time: l.Time, Address: Address{Audience: l.Audience, To: l.To}, Subject: l.Subject, Body: l.Body, Page: l.Page,
		Decision: schemas.Decision{ID: l.Decision, Entity: l.Entity, Account: l.Account, Verdict: l.Verdict, Policy: l.Policy},
	}
}

// Notice is its record without an outcome.
func (l *Letter) Notice() schemas.Notice {
	return schemas.Notice{
		ID: l.ID, Decision: l.Decision, Entity: l.Entity, Account: l.Account, Audience: l.Audience, Channel: l.Channel,
		To: l.To, Subject: l.Subject, Body: l.Body,
	}
}
