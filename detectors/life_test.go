package detectors

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"holdfast/schemas"
)

// life makes the events of a small platform, with attacks that touch every
// detector: accounts with rhythms, campaigns and strangers, several sources, logins
// that are guessed and keys that are made after them, outcomes, connections, a
// takeover of an employee whose loot is used, gaps of months. Much of it happens
// around midnight, where days meet.
type life struct {
	rng   *rand.Rand
	start int64
	out   []timed
	n     int
}

type timed struct {
	ms   int64
	data string
}

func (l *life) add(ms int64, format string, args ...any) {
	l.n++
	t := time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z")
	l.out = append(l.out, timed{ms, fmt.Sprintf(`{"id":"e%06d","time":%q,`, l.n, t) + fmt.Sprintf(format, args...) + "}"})
}

func (l *life) send(ms int64, account, key, ip string, recipients []string) {
	l.mail(ms, account, key, ip, "", fmt.Sprintf(`"recipients":["%s"]`, strings.Join(recipients, `","`)))
}

// mail adds a send and, now and then, what becomes of it: a bounce may be told
// before its send is.
func (l *life) mail(ms int64, account, key, ip, sender, to string) {
	id := fmt.Sprintf("m%d", l.n)
	if ip != "" {
		to += fmt.Sprintf(`,"ip":%q`, ip)
	}
	if sender != "" {
		to += fmt.Sprintf(`,"sender":%q`, sender)
	}
	l.add(ms, `"type":"send","account":%q,"credential":%q,"message_id":%q,%s`, account, key, id, to)
	share := 60
	if strings.HasPrefix(ip, "198.51.") {
		share = 6 // what thieves send to is not there
	}
	if l.rng.IntN(share) == 0 {
		outcome := []string{"hard_bounce", "hard_bounce", "complaint", "soft_bounce"}[l.rng.IntN(4)]
		after := int64(l.rng.IntN(12*msMinute)) - 3*msMinute
		l.add(ms+after, `"type":"delivery","account":%q,"message_id":%q,"outcome":%q`, account, id, outcome)
		for range l.rng.IntN(3) { // of its other recipients
			l.add(ms+max(after, 0)+int64(l.rng.IntN(msMinute)), `"type":"delivery","account":%q,"message_id":%q,"outcome":"hard_bounce"`, account, id)
		}
	}
}

func (l *life) people(pool, n, from int) (out []string) {
	for range n {
		out = append(out, fmt.Sprintf("p%d@x.example", from+l.rng.IntN(pool)))
	}
	return out
}

// moment is a time of a day, often around its beginning.
func (l *life) moment(day int) int64 {
	at := l.start + int64(day)*msDay
	if l.rng.IntN(2) == 0 {
		return at + int64(l.rng.IntN(40*msMinute)) - 20*msMinute
	}
	return at + int64(l.rng.IntN(msDay))
}

const accounts = 8

func acct(a int) string { return fmt.Sprintf("acct-%d", a) }

func newLife(seed uint64, days int) *life {
	l := &life{rng: rand.New(rand.NewPCG(seed, 7)), start: time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC).UnixMilli()}
	for a := range accounts {
		l.habits(a, days)
	}
	l.staff(days)
	l.attacks(days)
	l.breakIns(days)
	slices.SortStableFunc(l.out, func(a, b timed) int { return int(a.ms - b.ms) })
	return l
}

// habits are what an account does day by day. Some are silent for long, one has
// never sent at all, two send as their customers.
func (l *life) habits(a, days int) {
	id := acct(a)
	l.add(l.start+int64(l.rng.IntN(msHour)), `"type":"account","account":%q,"plan":"flex","created":"2024-01-01T00:00:00Z"`, id)
	for day := range days {
		if l.rng.IntN(3) == 0 {
			l.add(l.moment(day), `"type":"login","account":%q,"user":"u%d","outcome":%q,"ip":"10.0.%d.0"`, id, a, []string{"success", "failure"}[l.rng.IntN(2)], a)
		}
		if a == 7 || a >= 4 && day > 3 && day < days-2 && l.rng.IntN(6) > 0 {
			continue
		}
		for range 2 + l.rng.IntN(8) {
			at := l.start + int64(day)*msDay + int64(8+l.rng.IntN(12))*msHour + int64(l.rng.IntN(msHour))
			if l.rng.IntN(12) == 0 {
				at += 9 * msHour // around midnight too
			}
			sender := ""
			if a < 2 {
				sender = fmt.Sprintf("hello@shop%d.acct.example", l.rng.IntN(4))
			}
			l.mail(at, id, "key-"+id, fmt.Sprintf("10.0.%d.%d", a, l.rng.IntN(2)), sender, fmt.Sprintf(`"recipients":["%s"]`, strings.Join(l.people(40, 1+l.rng.IntN(3), a*1000), `","`)))
		}
		if l.rng.IntN(7) == 0 {
			l.send(l.moment(day), id, "key-"+id, fmt.Sprintf("192.0.2.%d", l.rng.IntN(50)), l.people(40, 2, a*1000))
		}
	}
}

// staff look at secrets, with a ticket or without; one of them begins to look more.
func (l *life) staff(days int) {
	for m := range 3 {
		for day := range days {
			looks := l.rng.IntN(4)
			if m == 2 && day > days-3 {
				looks += 3 + l.rng.IntN(14)
			}
			for range looks {
				more := ""
				if l.rng.IntN(8) > 0 && (m < 2 || day <= days-3) {
					more = `,"ticket":"T-1"`
				}
				at := l.start + int64(day)*msDay + int64(9+l.rng.IntN(8))*msHour + int64(l.rng.IntN(msHour))
				if l.rng.IntN(6) == 0 {
					at = l.moment(day)
				}
				l.add(at, `"type":"access","employee":"emp-%d","action":%q,"account":"acct-%d","resource":"account:x","user_agent":"firefox","ip":"172.16.0.%d"%s`,
					m, []string{"view_secret", "view_pii", "view_logs", "export"}[l.rng.IntN(4)], l.rng.IntN(accounts), m, more)
			}
		}
	}
	// An odd login and a look at secrets, at about the same time.
	for range 2 {
		m, at := l.rng.IntN(3), l.moment(days-1-l.rng.IntN(3))
		agent := []string{"firefox", "curl"}[l.rng.IntN(2)]
		l.add(at, `"type":"login","employee":"emp-%d","user":"emp-%d","outcome":"success","ip":"203.0.113.70","user_agent":%q`, m, m, agent)
		for range 1 + l.rng.IntN(3) {
			l.add(at+int64(l.rng.IntN(30*msMinute))-5*msMinute, `"type":"access","employee":"emp-%d","action":"view_pii","account":"acct-1","user_agent":%q,"ip":"203.0.113.70"`, m, agent)
		}
	}
	at := l.moment(days - 2)
	l.add(at, `"type":"login","employee":"emp-0","user":"emp-0","outcome":"success","ip":"203.0.113.9"`)
	for _, n := range l.rng.Perm(20 + l.rng.IntN(30)) {
		at += int64(l.rng.IntN(200_000))
		l.add(at, `"type":"access","employee":"emp-0","action":"view_secret","account":"acct-%d","resource":"api_key:key-acct-%d","ip":"203.0.113.9"`, n, n)
	}
	for a := range accounts {
		use := at + int64(l.rng.IntN(3*msDay)) - msDay
		l.send(use, acct(a), "key-"+acct(a), []string{"203.0.113.9", "198.51.100.200"}[a%2], l.people(100000, 5, 900000))
	}
}

// attacks are floods of mail: from one address or many, from none, as one sender
// or a new one each time, to people with names or without, at one account or all.
func (l *life) attacks(days int) {
	for range 4 {
		at, id, spread := l.moment(days-1-l.rng.IntN(3)), acct(l.rng.IntN(accounts)), 1+l.rng.IntN(24)
		kind := l.rng.IntN(6)
		for i := range 20 + l.rng.IntN(90) {
			at += int64(l.rng.IntN(40_000))
			ip, sender, to := fmt.Sprintf("198.51.100.%d", l.rng.IntN(spread)), "", fmt.Sprintf(`"recipients":["%s"]`, strings.Join(l.people(100000, 1+l.rng.IntN(4), 900000), `","`))
			switch kind {
			case 0:
				ip = ""
			case 1:
				sender = fmt.Sprintf("x@s%d.prize.example", i)
			case 2:
				to = fmt.Sprintf(`"recipient_count":%d`, 1+l.rng.IntN(30))
			case 3:
				at += int64(l.rng.IntN(12 * msMinute)) // slowly
			}
			l.mail(at, id, "key-"+id, ip, sender, to)
		}
	}
	at := l.moment(days - 1)
	for range 80 + l.rng.IntN(160) {
		at += int64(l.rng.IntN(30_000))
		id := acct(l.rng.IntN(accounts))
		l.send(at, id, "key-"+id, fmt.Sprintf("198.51.100.%d", 50+l.rng.IntN(2)), l.people(100000, 1+l.rng.IntN(3), 900000))
	}
	at = l.moment(days - 1)
	l.ownBadList(at)
	for range 150 {
		at += int64(l.rng.IntN(20_000))
		l.add(at, `"type":"connection","ip":"203.0.113.80","state":%q`, []string{"open", "open", "open", "close"}[l.rng.IntN(4)])
	}
	l.add(at+40*msMinute, `"type":"connection","ip":"203.0.113.80","state":"open"`)
}

// ownBadList is an account's own mail to a list that does not exist.
func (l *life) ownBadList(at int64) {
	for i := range 90 {
		at += int64(l.rng.IntN(50_000))
		l.add(at, `"type":"send","account":"acct-3","credential":"key-acct-3","message_id":"o%d","ip":"10.0.3.0","recipients":["o%d@x.example"]`, i, i)
		if l.rng.IntN(3) == 0 {
			l.add(at-2*msMinute+int64(l.rng.IntN(9*msMinute)), `"type":"delivery","account":"acct-3","message_id":"o%d","outcome":"hard_bounce"`, i)
		}
	}
	l.send(at+90*msMinute, "acct-3", "key-acct-3", "10.0.3.0", []string{"p3000@x.example"})
}

// breakIns are guesses, and what is done once one was right.
func (l *life) breakIns(days int) {
	for n := range 5 {
		a, at := l.rng.IntN(accounts), l.moment(days-1-l.rng.IntN(4))
		ip := []string{fmt.Sprintf("10.0.%d.0", a), "198.51.100.1", "203.0.113.30", "203.0.113.31"}[l.rng.IntN(4)]
		for range 2 + l.rng.IntN(20) {
			at += int64(l.rng.IntN(4 * msMinute))
			l.add(at, `"type":"login","account":%q,"user":"u%d","outcome":"failure","ip":%q`, acct(a), a, ip)
		}
		if l.rng.IntN(4) > 0 {
			at += int64(l.rng.IntN(20*msMinute)) - 15*msMinute
			l.add(at, `"type":"login","account":%q,"user":"u%d","outcome":"success","ip":%q`, acct(a), a, ip)
		}
		// Whether a key was made by the account's own people has to be known when it is
		// used: the sends begin more than the lateness after it.
		key, made := fmt.Sprintf("key-new-%d", n), at+int64(l.rng.IntN(80*msMinute))-10*msMinute
		at = max(at, made) + 21*msMinute
		l.add(made, `"type":"credential","account":%q,"credential":%q,"kind":"api_key","change":"created","actor":"customer","ip":%q`, acct(a), key, ip)
		for range l.rng.IntN(40) {
			l.send(at+int64(l.rng.IntN(3*msHour)), acct(a), key, fmt.Sprintf("198.51.100.%d", 100+l.rng.IntN(3)), l.people(100000, 1+l.rng.IntN(3), 900000))
		}
	}
	at, tried := l.moment(days-2), []string{"203.0.113.30", "203.0.113.32"}[l.rng.IntN(2)]
	for n := range 12 + l.rng.IntN(16) {
		at += int64(l.rng.IntN(5 * msMinute))
		reason := ""
		if n%3 == 0 {
			reason = `,"reason":"unknown_user"`
		}
		l.add(at, `"type":"login","account":%q,"user":"guess%d","outcome":"failure","ip":%q%s`, acct(n%accounts), n, tried, reason)
	}
	// Twice around the world in an hour.
	for range 3 {
		a := l.rng.IntN(2)
		l.add(l.moment(days-1), `"type":"login","account":%q,"user":"u%d","outcome":"success","ip":"203.0.113.%d"`, acct(a), a, 90+l.rng.IntN(3))
	}
}

// lifeNetworks is where some of the addresses are.
var lifeNetworks = map[string]schemas.Network{
	"203.0.113.90": {Country: "DE", Located: true, Lat: 52.5, Lon: 13.4},
	"203.0.113.91": {Country: "US", Located: true, Lat: 40.7, Lon: -74},
	"203.0.113.92": {Country: "JP", Located: true, Lat: 35.7, Lon: 139.7},
	"203.0.113.70": {Country: "NL", Hosting: true},
}

// lifeParameters are the defaults but for the connections, of which a life has few.
const lifeParameters = `{"held_sockets":{"some":20,"many":60}}`

// newBorder makes a life that happens at the borders of hours and days, where a
// record's neighbours belong to other windows: volumes that vary by orders of
// magnitude, recipients that come back just before and just after they are known,
// sources that return after two days or ninety. Its parameters are so touchy that
// every window is near a threshold.
func newBorder(seed uint64, days int) *life {
	l := &life{rng: rand.New(rand.NewPCG(seed, 8)), start: time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC).UnixMilli()}
	border := func(hour int64) int64 { return l.start + hour*msHour + int64(l.rng.IntN(16*msMinute)) - 8*msMinute }
	for h := int64(1); h < int64(days)*24; h++ {
		if h%24 == 0 {
			l.midnight(int(h/24), func() int64 { return border(h) })
		}
		if l.rng.IntN(3) == 0 {
			continue
		}
		for a := range 3 {
			for range 1 + l.rng.IntN(2+2*a) {
				l.send(border(h), acct(a), []string{"key-0", "key-9"}[l.rng.IntN(8)*a/14], fmt.Sprintf("10.0.0.%d", l.rng.IntN(6)), l.people(3+int(h)*a, 1+l.rng.IntN(3), 0))
			}
		}
		for range int(h/(16*24)) * (l.rng.IntN(20) / 19) * 9 { // later on a small key is used from everywhere
			l.send(border(h), acct(2), "key-9", fmt.Sprintf("10.0.0.%d", l.rng.IntN(60)), l.people(9, 1, 0))
		}
		for range l.rng.IntN(5) - 2 {
			ticket := []string{"", `,"ticket":"T"`}[l.rng.IntN(2)]
			l.add(border(h), `"type":"access","employee":"emp-0","action":"view_secret","account":"acct-%d","ip":"10.1.0.%d"%s`, l.rng.IntN(30), l.rng.IntN(days), ticket)
		}
	}
	slices.SortStableFunc(l.out, func(a, b timed) int { return int(a.ms - b.ms) })
	return l
}

// midnight is what happens where two days meet.
func (l *life) midnight(day int, at func() int64) {
	for range l.rng.IntN(5) {
		l.send(at(), acct(0), "key-0", fmt.Sprintf("10.1.0.%d", max(0, day-l.rng.IntN(4))), l.people(50, 1, 0))
	}
	for range l.rng.IntN(6) {
		ip := fmt.Sprintf("10.2.0.%d", max(0, day-l.rng.IntN(3)))
		l.add(at(), `"type":"login","account":"acct-0","user":"u%d","outcome":%q,"ip":%q`, l.rng.IntN(2), []string{"failure", "failure", "success"}[l.rng.IntN(3)], ip)
		if l.rng.IntN(3) == 0 {
			l.add(at(), `"type":"credential","account":"acct-0","credential":"key-%d","kind":"api_key","change":"created","ip":%q`, l.rng.IntN(3), ip)
		}
	}
	for range 1 + l.rng.IntN(3) {
		l.mail(at(), acct(0), "key-0", "", "", fmt.Sprintf(`"recipient_count":%d`, 1+l.rng.IntN(9)))
		l.mail(at(), acct(1), "key-0", fmt.Sprintf("198.51.100.%d", l.rng.IntN(60)), fmt.Sprintf("x@h%d.border.example", l.rng.IntN(9)), fmt.Sprintf(`"recipients":["b%d@x.example"]`, l.rng.IntN(400)))
		l.add(at(), `"type":"connection","ip":"10.3.0.1","state":%q`, []string{"open", "open", "close"}[l.rng.IntN(3)])
		l.add(at(), `"type":"login","employee":"emp-0","user":"emp-0","outcome":"success","ip":"10.4.0.%d","user_agent":"a%d"`, day, l.rng.IntN(day+1))
	}
}

const touchy = `{"volume":{"rarity":0.1,"floor_1h":1,"floor_5m":1,"floor_24h":1,"above_p95":1,"cohort_1h":8},
	"strangers":{"rarity":0.1,"floor_1h":1,"floor_24h":1,"share":0.1},
	"new_source":{"rarity":0.7,"learn_days":2,"floor":1,"medium":1,"high":2,"slow_floor":1,"blind_floor":1},
	"fan_out":{"floor":2,"rarity":1}, "dormancy":{"days":7,"watched":1,"floor":1}, "identity_churn":{"floor":2,"times":1},
	"takeover":{"guesses":2,"many":2,"known_guesses":2,"known_many":3,"distributed":5}, "fresh_credential":{"minutes":10},
	"bad_outcomes":{"floor_bounce":2,"floor_complaint":2,"floor_fast":2},
	"brute_force":{"attempts":2,"many":5}, "password_spray":{"some":3,"users":4}, "credential_stuffing":{"users":3,"unknown":1},
	"flood":{"some":2,"accounts":3}, "held_sockets":{"some":10,"many":12},
	"unexplained":{"some":1,"many":2,"days":2,"rarity":0.5}, "staff_login":{"learn_days":2,"hours":1},
	"reach":{"rarity":0.1,"floor":2,"ceiling_1h":2,"ceiling_24h":4,"learn_days":2}}`

func sortTimed(events []timed) {
	slices.SortStableFunc(events, func(a, b timed) int { return int(a.ms - b.ms) })
}

func clockOf(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z") }
