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
	AudienceSystem   = "system" // another platform's, by shared signals
)

// Address is one receiver of messages.
type Address struct {
	Audience string
	To       string // a mail address, or a webhook's name
}

// Message is one notice to one receiver, or several in one where many came at once.
type Message struct {
	ID       string // the notice's id: the same message always has the same
	Time     time.Time
	Address  Address
	Language string
	Subject  string
	Body     string // plain text
	HTML     string // the same for mail programs; may be empty
	Decision schemas.Decision
	Page     bool // wants a person at once

	// Occasion is zero where the message was written by an earlier version, and in a
	// message of several Parts.
	Occasion Occasion
	CaseURL  string // where people look at the case; empty where no console is configured
	Button   string // what the link to it says
	Spree    string // of several Parts: what they are gathered by
	Parts    []Message
	// Thread is what the receiver called the first message of the case, where it is known.
	Thread string
}

// Case is the case that the message is about; of several there is none.
func (m *Message) Case() string { return m.Occasion.Case }
