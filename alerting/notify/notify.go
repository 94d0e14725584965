// Package notify names what enforcement sends out: a change of an entity's
// standing to the platform, and messages to people. It holds what all channels
// share: the words of the messages, which never tell a customer a threshold, and
// the one table that says which HTTP status is worth another try. It sends
// nothing itself; each channel is a package below it.
package notify

import (
	"time"

	"holdfast/schemas"
)

// Change is what the platform is told: the new standing of one entity.
type Change = schemas.Change

// The audiences.
const (
	AudienceOperator = "operator"
	AudienceCustomer = "customer"
)

// Address is one receiver of messages.
type Address struct {
	Audience string
	To       string // a mail address, or a webhook's name
}

// Message is one notice to one receiver.
type Message struct {
	ID       string // the notice's id: the same message always has the same
	Time     time.Time
	Address  Address
	Subject  string
	Body     string // plain text
	Decision schemas.Decision
	Page     bool // wants a person at once
}
