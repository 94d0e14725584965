package console_test

import (
	"net/http"
	"strings"
	"testing"

	"holdfast/schemas"
)

// within fails where a task took more clicks than it may.
func (b *tab) within(clicks int) {
	b.t.Helper()
	if b.clicks > clicks {
		b.t.Errorf("it took %d clicks, and %d are allowed", b.clicks, clicks)
	}
}

// Five tasks as a new analyst has them, from the queue, with and without JavaScript.
func TestFiveTasks(t *testing.T) {
	for name, how := range map[string]look{"with JavaScript": {}, "without JavaScript": {noJS: true}, "on a telephone": {width: 390}} {
		t.Run(name, func(t *testing.T) { fiveTasks(t, how) })
	}
}

func fiveTasks(t *testing.T, how look) {
	w := newWorld(t)
	id := w.idOf(account("acct-0007"))
	queue := func() *tab {
		b := w.open(t, "ada", how)
		b.to("/queue")
		return b
	}
	row := `a.main[href="/case/` + id + `"]`

	b := queue() // 1: why was acct-0007 stopped
	b.click(row)
	if why := b.text("#why"); !strings.Contains(why, "640 messages in 2 minutes with key-7") {
		t.Errorf("the first sentence is %q", why)
	}
	b.within(1)

	b = queue() // 2: everyone who used the same address
	b.click(row)
	b.click(`#entry a[href="/entity/ip:203.0.113.77"]`)
	b.shows("Accounts it was used for", "acct-0021", "acct-0063")
	b.within(2)

	b = queue() // 3: release with a reason, and undo it
	b.click(row)
	b.fill(`#act input[name=why]`, "their own new server, checked by phone")
	b.click(`#act button[value=release]`)
	b.shows("Released: account:acct-0007 was suspended and is active now.")
	b.click(`.flash form button`)
	b.shows("Suspended: account:acct-0007 was active and is suspended now.")
	b.within(3)
	if st, _ := w.service.Book().Status(account("acct-0007")); st.Status != "suspended" {
		t.Errorf("after undoing it is %s", st.Status)
	}

	b = queue() // 4: hand a case to a colleague with a note
	b.click(row)
	b.pick(`#hand select`, "bob")
	b.fill(`#hand textarea`, "please call them, their German is better than my French")
	b.click(`#hand button`)
	b.within(2)
	c, _ := w.service.Book().CaseOf(account("acct-0007"))
	if c.Owner != "bob" || c.Notes[len(c.Notes)-1].Text != "please call them, their German is better than my French" || c.Notes[len(c.Notes)-1].By != "ada" {
		t.Errorf("owner %q, notes %+v", c.Owner, c.Notes)
	}

	b = queue() // 5: the customers that emp-03 reached, exported
	b.click(`a.main[href="/case/` + w.idOf(employee("emp-03")) + `"]`)
	b.click(`#reach a`)
	var where string
	b.attribute(`#accounts a[download]`, "href", &where)
	b.clicks++ // the third click is the download
	b.within(3)
	r := get(t, signIn(t, w.server.URL, "ada"), w.server.URL+where)
	if body := bodyOf(t, r); r.StatusCode != http.StatusOK || !strings.HasPrefix(r.Header.Get("Content-Disposition"), "attachment") || !strings.Contains(body, "\nacct-0021,") || !strings.Contains(body, `'=HYPERLINK`) {
		t.Errorf("export: %d %q %s", r.StatusCode, r.Header.Get("Content-Disposition"), body)
	}
}

// The queue moves by itself, and the keyboard works it.
func TestQueueIsLiveAndTakesKeys(t *testing.T) {
	w := newWorld(t)
	b := w.open(t, "ada", look{})
	b.to("/queue")
	b.press("j")
	b.press("j")
	b.press("k")
	b.eventually(`document.querySelector("tr.current a.main")?.textContent === "acct-0021"`)
	b.press("x")
	b.eventually(`document.querySelector("tr.current input").checked`)
	w.mu.Lock()
	w.add(schemas.Case{Entity: account("acct-0099"), Stage: schemas.StageOpen, Opened: w.now, Due: w.now, Seen: []schemas.Seen{{Share: 1, Text: "new"}}}, "review", schemas.VerdictReview)
	w.publish(account("acct-0099"))
	w.mu.Unlock()
	b.eventually(`[...document.querySelectorAll("a.main")].some(x => x.textContent === "acct-0099")`)
	b.eventually(`document.querySelector("tr.current a.main")?.textContent === "acct-0021" && document.querySelector("tr.current input").checked`)
	b.enter()
	if !strings.HasPrefix(b.at(), "/case/") {
		t.Errorf("enter went to %s", b.at())
	}
	b.press("?")
	b.eventually(`document.getElementById("keys").matches(":popover-open")`)
	b.press("?")
	b.press("r")
	b.eventually(`document.activeElement.name === "why"`)
	w.mu.Lock()
	w.cases[account("acct-0021")].Version++
	w.publish(account("acct-0021"))
	w.mu.Unlock()
	b.eventually(`!document.querySelector(".changed").hidden`)
}

// Every act of the case's page does what it says, by the forms alone.
func TestActsOfACase(t *testing.T) {
	w := newWorld(t)
	e := account("acct-0007")
	b := w.open(t, "ada", look{noJS: true})
	page := "/case/" + w.idOf(e)
	last := func() schemas.Request { w.mu.Lock(); defer w.mu.Unlock(); return w.asked[len(w.asked)-1] }
	act := func(want string, f func()) schemas.Request {
		t.Helper()
		b.to(page)
		f()
		r := last()
		if r.Act != want || r.Actor != "ada" || r.Version == nil && want != "note" && want != "ticket" && want != "watch" || !strings.HasPrefix(r.ID, "req_") {
			t.Errorf("%s: asked %+v", want, r)
		}
		return r
	}
	open := func(form string) { b.do(openDetails(form)) }
	if r := act("verdict", func() { b.pick("#judge select", "compromised:key_leaked"); b.click("#judge button") }); r.Verdict != schemas.CaseCompromised || r.Reason != "key_leaked" {
		t.Errorf("verdict: %+v", r)
	}
	if r := act("note", func() { b.fill("#notes textarea", "a note"); b.click("#notes button") }); r.Text != "a note" {
		t.Errorf("note: %+v", r)
	}
	if r := act("tick", func() {
		open(`#steps form:has([value="tick"]):has([value="investigation:"])`)
		b.fill(`#steps form:has([value=tick]):has([value="investigation:"]) textarea`, "a log of theirs held the key")
		b.click(`#steps form:has([value=tick]):has([value="investigation:"]) button`)
	}); r.Item != "investigation:" || r.Text != "a log of theirs held the key" {
		t.Errorf("tick: %+v", r)
	}
	if r := act("keep", func() {
		open(`#steps form:has([value=keep])`)
		b.fill(`#steps form:has([value=keep]) input[name=why]`, "it is theirs")
		b.click(`#steps form:has([value=keep]) button`)
	}); r.Item != "removal:key-7b" {
		t.Errorf("keep: %+v", r)
	}
	if r := act("waive", func() {
		open(`#steps form:has([value=waive]):has([value="api_key:key-7"])`)
		b.fill(`#steps form:has([value=waive]):has([value="api_key:key-7"]) input[name=why]`, "they have left")
		b.click(`#steps form:has([value=waive]):has([value="api_key:key-7"]) button`)
	}); r.Item != "api_key:key-7" || r.Why != "they have left" {
		t.Errorf("waive: %+v", r)
	}
	if r := act("ours", func() {
		open(`#entry form:has([value=ours]):has([value="203.0.113.78"])`)
		b.fill(`#entry form:has([value=ours]):has([value="203.0.113.78"]) input[name=why]`, "their office")
		b.click(`#entry form:has([value=ours]):has([value="203.0.113.78"]) button`)
	}); r.Item != "203.0.113.78" {
		t.Errorf("ours: %+v", r)
	}
	if r := act("ticket", func() {
		open(`#more form:has([value=ticket])`)
		b.fill(`#more form:has([value=ticket]) input[name=item]`, "OPS-12")
		b.fill(`#more form:has([value=ticket]) input[name=why]`, "asked")
		b.click(`#more form:has([value=ticket]) button`)
	}); r.Item != "OPS-12" {
		t.Errorf("ticket: %+v", r)
	}
	act("watch", func() { b.click(`#more button[value=watch]`) })
	other := w.idOf(account("acct-0044"))
	if r := act("merge", func() {
		open(`#more form:has([value=merge])`)
		b.fill(`#more form:has([value=merge]) input[name=other]`, other)
		b.fill(`#more form:has([value=merge]) input[name=why]`, "one cause")
		b.click(`#more form:has([value=merge]) button`)
	}); r.Item != other || r.Other != account("acct-0044") {
		t.Errorf("merge: %+v", r)
	}
	// What was seen is what is acted on: a case that changed meanwhile is not.
	b.to(page)
	w.mu.Lock()
	w.cases[e].Version += 3
	w.publish(e)
	w.mu.Unlock()
	b.fill(`#act input[name=why]`, "too late")
	b.click(`#act button[value=release]`)
	b.shows("it has changed since")
}

// A second person approves, the first one cannot.
func TestTwoPeople(t *testing.T) {
	w := newWorld(t)
	page := "/case/" + w.idOf(account("acct-0021"))
	b := w.open(t, "ada", look{})
	b.to(page)
	b.shows("Release, asked for by ada, waits for a second person.")
	if strings.Contains(b.html(), `value="approve"`) {
		t.Error("an analyst is offered to approve")
	}
	b = w.open(t, "lea", look{})
	b.to(page)
	b.click(`button[value=approve]`)
	b.shows("Approved")
	if st, _ := w.service.Book().Status(account("acct-0021")); st.Status != "active" {
		t.Errorf("after the approval it is %s", st.Status)
	}
}

// Many at once: picked, previewed, and a grave act waits for a second person.
func TestBulk(t *testing.T) {
	w := newWorld(t)
	b := w.open(t, "ada", look{})
	b.to("/queue")
	b.tap(`input[value="account:acct-0044"]`)
	b.tap(`input[value="employee:emp-03"]`)
	b.pick(`select[name=act]`, "suspend")
	b.click(`.bulkbar button`)
	b.shows("account:acct-0044", "employee:emp-03", "A second person has to approve")
	b.fill(`input[name=why]`, "one campaign")
	b.click(`button.primary`)
	b.shows("waits for a second person")
	at := b.at()
	if st, _ := w.service.Book().Status(account("acct-0044")); st.Status != "review" {
		t.Errorf("before the approval it is %s", st.Status)
	}
	c := w.open(t, "lea", look{})
	c.to(at)
	c.fill(`input[name=why]`, "looked at both")
	c.click(`button[value=approve]`)
	c.eventually(`location.reload() || true`)
	for range 50 {
		if st, _ := w.service.Book().Status(account("acct-0044")); st.Status == "suspended" {
			return
		}
		c.to(at)
	}
	t.Error("approved, and never carried out")
}

// The customer's page tells how things stand, and takes answers; nothing else.
func TestCustomer(t *testing.T) {
	w := newWorld(t)
	b := w.open(t, "", look{width: 390})
	b.to(w.customer("acct-0007"))
	b.shows("2 of 6 are done", "Replace the API key key-7", "Reset the password of owner@acct-0007.example")
	text := b.html()
	for _, secret := range []string{"640 messages", "203.0.113", "actor", "takeover_by_key", "bob", "97 %"} {
		if strings.Contains(text, secret) {
			t.Errorf("the customer is told %q", secret)
		}
	}
	b.click(`form:has([value="confirmation:"]) button`)
	b.shows("Thank you")
	w.mu.Lock()
	r := w.asked[len(w.asked)-1]
	w.mu.Unlock()
	if r.From != schemas.FromCustomer || r.Act != "tick" || r.Item != "confirmation:" || r.Actor != "customer" {
		t.Errorf("asked: %+v", r)
	}
	b.fill(`form:has([value=person]) textarea`, "call me")
	b.click(`button[value=person]`)
	w.mu.Lock()
	r = w.asked[len(w.asked)-1]
	w.mu.Unlock()
	if r.Act != "note" || !strings.Contains(r.Text, "call me") || r.From != schemas.FromCustomer {
		t.Errorf("asked: %+v", r)
	}
}
