package detectors

import (
	"fmt"
	"strings"
)

func (s *scenario) account(id string, a *args) {
	at, _ := a.when(s.life.start)
	s.life.add(at, `"type":"account","account":%q,"plan":%q,"created":"%sT00:00:00Z"`, id, a.text("plan", "flex"), a.text("created", "2024-01-01"))
}

func (s *scenario) habit(id string, a *args) {
	d0, d1 := a.span("days", "1-20")
	h0, h1 := a.span("hours", "9-17")
	w0, w1 := a.span("weekdays", "1-7")
	sends, each, key, from, to := a.int("sends", 10), a.int("each", 1), a.text("key", "key-"+id), a.text("from", "192.0.2.1"), a.text("to", "regular:30")
	for d := d0; d <= d1; d++ {
		if wd := (d-1)%7 + 1; wd < w0 || wd > w1 {
			continue
		}
		for range sends {
			at := s.life.start + int64(d-1)*msDay + int64(h0)*msHour + s.rng.Int64N(int64(h1-h0)*msHour)
			s.life.send(at, id, key, s.source(from), s.recipients(id, to, each))
		}
	}
}

func (s *scenario) burst(id string, a *args) {
	at, over := a.when(s.life.start)
	sends, each, key, from, to := a.int("sends", 100), a.int("each", 1), a.text("key", "key-"+id), a.text("from", "192.0.2.1"), a.text("to", "new")
	total, test := a.int("count", 0), a.text("test", "false")
	for i := range sends {
		ms := at + over*int64(i)/int64(sends)
		if total > 0 {
			s.life.add(ms, `"type":"send","account":%q,"credential":%q,"ip":%q,"recipient_count":%d`, id, key, s.source(from), total)
			continue
		}
		list := s.recipients(id, to, each)
		s.life.add(ms, `"type":"send","account":%q,"credential":%q,"ip":%q,"test":%s,"recipients":["%s"]`, id, key, s.source(from), test, strings.Join(list, `","`))
	}
}

func (s *scenario) login(who string, a *args) {
	at, _ := a.when(s.life.start)
	field, id := "account", who
	if e, ok := strings.CutPrefix(who, "employee:"); ok {
		field, id = "employee", e
	}
	s.life.add(at, `"type":"login",%q:%q,"user":%q,"outcome":%q,"ip":%q`, field, id, id, a.text("outcome", "success"), s.source(a.text("from", "192.0.2.1")))
}

func (s *scenario) access(at int64, who, action, account, from, ticket string, rows int) {
	more := ""
	if account != "" {
		more += fmt.Sprintf(`,"account":%q,"resource":"account:%s"`, account, account)
	}
	if ticket != "" {
		more += fmt.Sprintf(`,"ticket":%q`, ticket)
	}
	if rows > 0 {
		more += fmt.Sprintf(`,"rows":%d`, rows)
	}
	s.life.add(at, `"type":"access","employee":%q,"action":%q,"ip":%q%s`, who, action, s.source(from), more)
}

func (s *scenario) staff(who string, a *args) {
	d0, d1 := a.span("days", "1-20")
	h0, h1 := a.span("hours", "9-17")
	views, customers, from := a.int("views", 3), a.int("customers", 50), a.text("from", "198.18.0.1")
	action, ticket := a.text("action", "view_secret"), a.text("ticket", "")
	for d := d0; d <= d1; d++ {
		for range views {
			at := s.life.start + int64(d-1)*msDay + int64(h0)*msHour + s.rng.Int64N(int64(h1-h0)*msHour)
			s.access(at, who, action, fmt.Sprintf("cust-%d", s.rng.IntN(customers)), from, ticket, 0)
		}
	}
}

func (s *scenario) reads(who string, a *args) {
	at, over := a.when(s.life.start)
	views, first, from := a.int("views", 30), a.int("first", 0), a.text("from", "198.18.0.1")
	action, ticket, rows := a.text("action", "view_secret"), a.text("ticket", ""), a.int("rows", 0)
	for i := range views {
		account := fmt.Sprintf("cust-%d", first+i)
		if rows > 0 {
			account = ""
		}
		s.access(at+over*int64(i)/int64(views), who, action, account, from, ticket, rows)
	}
}
