package console

import (
	"net/http"
	"slices"

	"crypto/hmac"
	"encoding/base64"
	"encoding/binary"
	"holdfast/alerting/api"
	"holdfast/schemas"
	"strings"
	"time"
)

// customerLink is how long a customer's link works.
const customerLink = 30 * 24 * time.Hour

// CustomerPath is the path of the page on which the people of an account see how its case
// stands, what there is to do, and answer. It is signed with the console's key, names one
// account and one case, and works until a time; it needs no sign-in, so it belongs in a
// mail to the account's own contacts and nowhere else.
func CustomerPath(key []byte, account, id string, until time.Time) string {
	b := binary.AppendUvarint(nil, uint64(max(until.Unix(), 0)))
	b = append(b, account+"\x00"+id...)
	return "/c/" + base64.RawURLEncoding.EncodeToString(append(sealOf(key, "customer", b), b...))
}

// customerOf reads a customer's token.
func customerOf(key []byte, token string, now time.Time) (account, id string, ok bool) {
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(token) > 2048 || len(b) <= sealSize || !hmac.Equal(b[:sealSize], sealOf(key, "customer", b[sealSize:])) {
		return "", "", false
	}
	until, n := binary.Uvarint(b[sealSize:])
	if n <= 0 || now.Unix() >= int64(until) { // #nosec G115 -- signed by ourselves
		return "", "", false
	}
	account, id, ok = strings.Cut(string(b[sealSize+n:]), "\x00")
	return account, id, ok
}

// customerData is what the customer's page shows: nothing of how it was found.
type customerData struct {
	Account, Status, Reason, Support string
	Steps                            []customerStep
	Done                             int
	History                          []customerLine
}

type customerStep struct {
	ID, Text, How string
	Done, Answer  bool
	Ask, Button   string
	At            time.Time
}

type customerLine struct {
	At   time.Time
	Text string
}

// customerOfRequest checks a customer's link.
func (c *Console) customerOfRequest(r *http.Request) (account, id string, err error) {
	if _, err := c.who.Principal(r); err != nil && api.AsProblem(err).Status != http.StatusUnauthorized && api.AsProblem(err).Status != http.StatusForbidden {
		return "", "", err // too fast, or starting; who is signed in does not matter here
	}
	account, id, ok := customerOf(c.cfg.Key, r.PathValue("token"), c.now())
	if !ok {
		return "", "", refusal(http.StatusNotFound, c.text.say("customer.over"))
	}
	return account, id, nil
}

func (c *Console) customerPage(w http.ResponseWriter, r *http.Request) error {
	account, id, err := c.customerOfRequest(r)
	if err != nil {
		return err
	}
	k, st, err := c.service.CustomerCase(r.Context(), account, id)
	if err != nil {
		return err
	}
	w.Header().Set("Referrer-Policy", "no-referrer") // the address is what lets in
	w.Header().Set("X-Robots-Tag", "noindex")
	d := customerData{Account: account, Status: customerStatus(&k, &st), Support: c.cfg.Support}
	if d.Status != "active" && d.Status != "closed" {
		d.Reason = st.Reason
	}
	over := k.Stage == schemas.StageProbation || k.Stage == schemas.StageClosed
	for i := range k.Steps {
		s := &k.Steps[i]
		if s.Kind == schemas.StepSessions && !s.Done() {
			continue // that is the platform's to do
		}
		x := customerStep{ID: s.ID, Text: c.text.step(*s), Done: s.Done() || over}
		if s.Done() {
			d.Done++
			x.At = s.Proof.At
		} else if !over {
			x.How = c.text.say("customer.how." + s.Kind)
			switch s.Kind {
			case schemas.StepInvestigation:
				x.Answer, x.Ask, x.Button = true, c.text.say("customer.ask.investigation"), c.text.say("customer.answer")
			case schemas.StepConfirmation:
				x.Answer, x.Button = true, c.text.say("customer.confirm")
			}
		}
		d.Steps = append(d.Steps, x)
	}
	for _, x := range []customerLine{{k.Contained, c.text.say("customer.event.contained")}, {k.Released, c.text.say("customer.event.released")}, {k.Closed, c.text.say("customer.event.closed")}} {
		if !x.At.IsZero() {
			d.History = append(d.History, x)
		}
	}
	for i := range k.Steps {
		if p := k.Steps[i].Proof; p != nil && p.What != schemas.ProofWaived {
			d.History = append(d.History, customerLine{p.At, c.text.say("customer.event.step", c.text.step(k.Steps[i]))})
		}
	}
	slices.SortStableFunc(d.History, func(a, b customerLine) int { return b.At.Compare(a.At) })
	return c.show(w, r, http.StatusOK, view{Page: "customer", Title: c.text.say("customer.title", account), Bare: true, Data: d})
}

// customerStatus is how an account stands, in the customer's words.
func customerStatus(k *schemas.Case, st *schemas.Status) string {
	switch {
	case k.Stage == schemas.StageClosed:
		return "closed"
	case k.Stage == schemas.StageProbation:
		return "probation"
	case st.Status == "suspended" || st.Status == "throttled" || st.Status == "revoked":
		return st.Status
	}
	return "active"
}

func (c *Console) customerAct(w http.ResponseWriter, r *http.Request) error {
	account, id, err := c.customerOfRequest(r)
	if err != nil {
		return err
	}
	in := api.ActIn{Act: "tick", Item: r.PostFormValue("step"), Text: strings.TrimSpace(r.PostFormValue("text")), Key: id + r.PostFormValue("key")}
	said := c.text.say("customer.thanks")
	if r.PostFormValue("do") == "person" {
		in.Act, in.Item, in.Text = "note", "", c.text.say("customer.note", in.Text)
		said = c.text.say("customer.person.thanks")
	}
	err = c.service.CustomerAct(r.Context(), account, id, c.who.Address(r), in)
	return c.after(w, r, r.URL.EscapedPath(), said, err)
}
