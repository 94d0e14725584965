package notify

import (
	"time"

	"holdfast/schemas"
)

// Letter is a message on its way to one receiver on one channel, a record of the topic
// outbox: a notice without its outcome. Its words are made when it is sent, of Occasion; one
// that was written by an earlier version brings them along.
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
	Subject  string          `json:"subject,omitempty"`
	Body     string          `json:"body,omitempty"`
	Page     bool            `json:"page,omitzero"`

	Occasion *Occasion `json:"occasion,omitempty"`
	Language string    `json:"language,omitempty"`
	// Key is that of the record: all letters of one key are sent by one process, in their
	// order. Empty: the entity's.
	Key string `json:"key,omitempty"`
	// Wait is how long it waits for what may follow in its case, of which only the newest is
	// sent then.
	Wait Span `json:"wait,omitzero"`
	// Spree is whether and how it is gathered where many come at once.
	Spree *Spree `json:"spree,omitempty"`
}

// Spree says how messages are gathered that come in great number: of one Name the first
// Alone within Quiet go by themselves, the others as one message each time Quiet has passed.
type Spree struct {
	Name  string `json:"name"`
	Alone int    `json:"alone"`
	Quiet Span   `json:"quiet"`
}

// RecordKey is the key of its record in the outbox, and of its notice's.
func (l *Letter) RecordKey() string {
	if l.Key != "" {
		return l.Key
	}
	return l.Entity.Key()
}

// Case is the case that it is about.
func (l *Letter) Case() string {
	if l.Occasion != nil {
		return l.Occasion.Case
	}
	return ""
}

// Message is what the channel sends, with the words that w makes of it.
func (l *Letter) Message(w *Writer) Message {
	m := Message{
		ID: l.ID, Time: l.Time, Address: Address{Audience: l.Audience, To: l.To}, Language: l.Language, Subject: l.Subject, Body: l.Body, Page: l.Page,
		Decision: schemas.Decision{ID: l.Decision, Entity: l.Entity, Account: l.Account, Verdict: l.Verdict, Policy: l.Policy},
	}
	if l.Occasion != nil {
		m.Occasion = *l.Occasion
		m.set(w.Write(l.Audience, l.Language, []*Occasion{l.Occasion}))
		m.CaseURL, m.Button = w.caseURL(l.Audience, l.Occasion), w.button(l.Audience, l.Language)
	}
	return m
}

// Digest is one message about several letters of one receiver, oldest first: of each case it
// tells the newest. id names it.
func Digest(w *Writer, id string, letters []*Letter) Message {
	first := letters[0]
	m := Message{ID: id, Time: first.Time, Address: Address{Audience: first.Audience, To: first.To}, Language: first.Language}
	newest := map[string]int{}
	for i, l := range letters {
		newest[l.Case()] = i
	}
	var about []*Occasion
	for i, l := range letters {
		if newest[l.Case()] != i {
			continue
		}
		one := l.Message(w)
		m.Parts = append(m.Parts, one)
		m.Page = m.Page || one.Page
		about = append(about, l.Occasion)
	}
	last := m.Parts[len(m.Parts)-1]
	m.Decision, m.Spree = last.Decision, first.Spree.Name
	m.set(w.Write(first.Audience, first.Language, about))
	return m
}

func (m *Message) set(t Text) { m.Subject, m.Body, m.HTML = t.Subject, t.Body, t.HTML }

// Notice is its record without an outcome.
func (l *Letter) Notice() schemas.Notice {
	n := schemas.Notice{
		ID: l.ID, Decision: l.Decision, Entity: l.Entity, Account: l.Account, Audience: l.Audience, Channel: l.Channel,
		To: l.To, Subject: l.Subject, Body: l.Body, Case: l.Case(), Language: l.Language,
	}
	if l.Occasion != nil {
		n.What = string(l.Occasion.What)
	}
	return n
}
