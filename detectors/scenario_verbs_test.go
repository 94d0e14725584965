package detectors

import (
	"fmt"
	"strconv"
	"strings"

	"holdfast/schemas"
)

func (s *scenario) account(id string, a *args) {
	s.life.add(a.when(s.life.start), `"type":"account","account":%q,"plan":%q,"created":"%sT00:00:00Z"`, id, a.text("plan", "flex"), a.text("created", "2024-01-01"))
}

// mailing is what sends of one line have in common.
type mailing struct {
	account, key, from, to, sender string
	each, total                    int
	test                           bool
	bounces, soft, complaints      float64
}

func (s *scenario) mailing(id string, a *args) *mailing {
	return &mailing{account: id, key: a.text("key", "key-"+id), from: a.text("from", "192.0.2.1"), to: a.text("to", "regular:30"), sender: a.text("sender", ""),
		each: a.int("each", 1), total: a.int("count", 0), test: a.text("test", "false") == "true",
		bounces: a.float("bounces"), soft: a.float("soft"), complaints: a.float("complaints")}
}

// send adds one message, and what becomes of it some minutes later.
func (s *scenario) send(at int64, m *mailing) {
	s.messages++
	id := fmt.Sprintf("m%d@%s", s.messages, m.account)
	more := fmt.Sprintf(`"recipient_count":%d`, m.total)
	if m.total == 0 {
		more = fmt.Sprintf(`"recipients":["%s"]`, strings.Join(s.recipients(m.account, m.to, m.each), `","`))
	}
	if ip := s.source(m.from); ip != "" {
		more += fmt.Sprintf(`,"ip":%q`, ip)
	}
	if m.sender != "" {
		more += fmt.Sprintf(`,"sender":%q`, strings.ReplaceAll(m.sender, "{i}", strconv.Itoa(s.messages)))
	}
	if m.test {
		more += `,"test":true`
	}
	s.life.add(at, `"type":"send","account":%q,"credential":%q,"message_id":%q,%s`, m.account, m.key, id, more)
	for _, o := range [...]struct {
		share   float64
		outcome string
	}{{m.bounces, "hard_bounce"}, {m.soft, "soft_bounce"}, {m.complaints, "complaint"}} {
		if o.share > 0 && s.rng.Float64() < o.share {
			s.life.add(at+5000+s.rng.Int64N(8*msMinute), `"type":"delivery","account":%q,"message_id":%q,"outcome":%q`, m.account, id, o.outcome)
		}
	}
}

// eachDay calls do for the days of a line that has days=, hours= and weekdays=, with
// a way to draw a time of that day.
func (s *scenario) eachDay(a *args, do func(at func() int64)) {
	d0, d1 := a.span("days", "1-20")
	h0, h1 := a.span("hours", "9-17")
	w0, w1 := a.span("weekdays", "1-7")
	for d := d0; d <= d1; d++ {
		if wd := (d-1)%7 + 1; wd < w0 || wd > w1 {
			continue
		}
		do(func() int64 {
			return s.life.start + int64(d-1)*msDay + int64(h0)*msHour + s.rng.Int64N(int64(h1-h0)*msHour)
		})
	}
}

func (s *scenario) habit(id string, a *args) {
	sends, growth, m := float64(a.int("sends", 10)), 1+a.float("growth"), s.mailing(id, a)
	s.eachDay(a, func(at func() int64) {
		for range int(sends) {
			s.send(at(), m)
		}
		sends *= growth
	})
}

func (s *scenario) burst(id string, a *args) {
	if _, ok := a.m["to"]; !ok {
		a.m["to"] = "new"
	}
	at, over, sends, m := a.when(s.life.start), a.lasts("over", "0s"), a.int("sends", 100), s.mailing(id, a)
	for i := range sends {
		s.send(at+over*int64(i)/int64(sends), m)
	}
}

// whose is the field of an account or employee, and its id.
func whose(who string) (field, id string) {
	if e, ok := strings.CutPrefix(who, "employee:"); ok {
		return "employee", e
	}
	return "account", who
}

func (s *scenario) signIn(at int64, who, user, outcome, from, more string) {
	field, id := whose(who)
	if user == "" {
		user = id
	}
	s.life.add(at, `"type":"login",%q:%q,"user":%q,"outcome":%q,"ip":%q%s`, field, id, user, outcome, from, more)
}

func (s *scenario) login(who string, a *args) {
	s.signIn(a.when(s.life.start), who, a.text("user", ""), a.text("outcome", "success"), s.source(a.text("from", "192.0.2.1")), agent(a.text("agent", "")))
}

func agent(name string) string {
	if name == "" {
		return ""
	}
	return fmt.Sprintf(`,"user_agent":%q`, name)
}

func (s *scenario) guesses(who string, a *args) {
	at, over, tries := a.when(s.life.start), a.lasts("over", "10m"), a.int("tries", 12)
	from, user, success := a.text("from", "203.0.113.1"), a.text("user", ""), a.text("success", "false")
	more := ""
	if reason := a.text("reason", ""); reason != "" {
		more = fmt.Sprintf(`,"reason":%q`, reason)
	}
	for i := range tries {
		s.signIn(at+over*int64(i)/int64(tries), who, strings.ReplaceAll(user, "{i}", strconv.Itoa(i)), "failure", s.source(from), more)
	}
	if success == "true" {
		s.signIn(at+over, who, strings.ReplaceAll(user, "{i}", "0"), "success", s.source(from), "")
	}
}

func (s *scenario) credential(id string, a *args) {
	at, ip := a.when(s.life.start), s.source(a.text("from", "192.0.2.1"))
	more := ""
	if ip != "" {
		more = fmt.Sprintf(`,"ip":%q`, ip)
	}
	s.life.add(at, `"type":"credential","account":%q,"credential":%q,"kind":%q,"change":%q,"actor":%q%s`, id, a.text("key", "key-"+id),
		a.text("kind", "api_key"), a.text("change", "created"), a.text("actor", "customer"), more)
}

func (s *scenario) connections(ip string, a *args) {
	at, over, opens, hold := a.when(s.life.start), a.lasts("over", "10m"), a.int("opens", 1000), a.lasts("hold", "0s")
	for i := range opens {
		ms := at + over*int64(i)/int64(opens)
		s.life.add(ms, `"type":"connection","ip":%q,"state":"open","protocol":"smtp"`, ip)
		if hold > 0 {
			s.life.add(ms+hold, `"type":"connection","ip":%q,"state":"close","protocol":"smtp"`, ip)
		}
	}
}

func (s *scenario) network(ip string, a *args) {
	n := schemas.Network{Country: a.text("country", ""), ASN: uint32(a.int("asn", 0)), Hosting: a.text("hosting", "") == "true", VPN: a.text("vpn", "") == "true",
		Lat: a.float("lat"), Lon: a.float("lon")}
	n.Located = n.Lat != 0 || n.Lon != 0
	s.networks[ip] = n
}

// look is one employee's accesses of one line.
type look struct{ who, action, from, ticket, agent string }

func (s *scenario) look(who string, a *args) *look {
	return &look{who, a.text("action", "view_secret"), a.text("from", "198.18.0.1"), a.text("ticket", ""), a.text("agent", "")}
}

func (s *scenario) access(at int64, l *look, account string, rows int) {
	more := agent(l.agent)
	if account != "" {
		more += fmt.Sprintf(`,"account":%q,"resource":"account:%s"`, account, account)
	}
	if l.ticket != "" {
		more += fmt.Sprintf(`,"ticket":%q`, l.ticket)
	}
	if rows > 0 {
		more += fmt.Sprintf(`,"rows":%d`, rows)
	}
	s.life.add(at, `"type":"access","employee":%q,"action":%q,"ip":%q%s`, l.who, l.action, s.source(l.from), more)
}

func (s *scenario) staff(who string, a *args) {
	views, customers, l := a.int("views", 3), a.int("customers", 50), s.look(who, a)
	s.eachDay(a, func(at func() int64) {
		for range views {
			s.access(at(), l, fmt.Sprintf("cust-%d", s.rng.IntN(customers)), 0)
		}
	})
}

func (s *scenario) reads(who string, a *args) {
	at, over := a.when(s.life.start), a.lasts("over", "0s")
	views, first, rows, l := a.int("views", 30), a.int("first", 0), a.int("rows", 0), s.look(who, a)
	for i := range views {
		account := fmt.Sprintf("cust-%d", first+i)
		if rows > 0 {
			account = ""
		}
		s.access(at+over*int64(i)/int64(views), l, account, rows)
	}
}
