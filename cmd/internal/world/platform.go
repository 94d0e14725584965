package world

import (
	"fmt"
	"net/netip"
)

// platform is what differs between one world and the next.
type platform struct {
	style     string  // how accounts are named
	skew      float64 // exponent of the sizes' Zipf law
	young     float64 // share of accounts that are younger than 30 days or come later
	twoFactor float64 // share of users with a second factor
	typo      float64 // share of logins that begin with a mistake
	logins    float64 // of a user a day
	unticketd float64 // share of support's accesses without a ticket
	delivered float64 // share of accounts whose deliveries are reported one by one
	counted   float64 // share of accounts whose sends carry a count alone
	credRate  float64 // credential changes of an account a day
	connects  float64 // share of SMTP sends whose connection is reported
	mix       [archetypes]float64
	sources   [sourceKinds]float64
	plans     []string
	mailHosts []string
}

func newPlatform(d dice, profile string) platform {
	p := platform{
		style: one(d, []string{"acct-%05d", "acc_%06d", "cus-%05d", "t%07d"}), skew: d.between(0.6, 1.1), young: d.between(0.05, 0.3), twoFactor: d.between(0.1, 0.8), typo: d.between(0.03, 0.12),
		logins: d.size(0.1, 0.8), unticketd: d.between(0.01, 0.12), delivered: d.between(0, 0.06), counted: d.between(0, 0.15), credRate: d.size(0.002, 0.02), connects: d.between(0, 0.1),
		mix: profiles[profile], plans: one(d, [][]string{{"free", "flex", "scale"}, {"trial", "starter", "pro", "enterprise"}, {"free", "basic", "plus", "premier"}}),
	}
	if profile == "mixed" {
		for i := range p.mix {
			p.mix[i] = d.size(0.2, 2)
		}
	}
	for i := range p.sources {
		p.sources[i] = d.size(0.3, 1.5)
	}
	p.sources[fixed] += 2
	for range 40 + d.IntN(200) {
		p.mailHosts = append(p.mailHosts, fmt.Sprintf("%s%d.example", one(d, []string{"corp", "post", "inbox", "mx"}), d.IntN(1000)))
	}
	p.mailHosts = append(p.mailHosts, "gmail.example", "gmail.example", "outlook.example", "yahoo.example")
	return p
}

var agents = []string{
	"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/132.0 Safari/537.36",
	"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:134.0) Gecko/20100101 Firefox/134.0",
	"Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605.1.15 Version/17.5 Safari/605.1.15",
	"Mozilla/5.0 (X11; Linux x86_64; rv:135.0) Gecko/20100101 Firefox/135.0",
	"Mozilla/5.0 (iPhone; CPU iPhone OS 18_2 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148",
	"Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/131.0 Mobile Safari/537.36",
	"Mozilla/5.0 (Windows NT 6.1; rv:60.0) Gecko/20100101 Firefox/60.0",
}

// person is somebody who logs in.
type person struct {
	name    string
	agent   string
	second  bool // a second factor
	places  []netip.Addr
	dynamic bool // the provider gives a new address each day
	rate    float64
	day     int64
}

func newPerson(d dice, w *World, name string) person {
	p := person{name: name, agent: one(d, agents), second: d.chance(w.platform.twoFactor), dynamic: d.chance(0.25), rate: w.platform.logins * d.size(0.3, 3), day: -1}
	for range 1 + d.IntN(3) {
		p.places = append(p.places, w.nets.home(d))
	}
	return p
}

// place is where the person is at that time.
func (p *person) place(d dice, t int64) netip.Addr {
	if p.dynamic && t/day != p.day {
		p.day = t / day
		p.places[0] = again(d, p.places[0])
	}
	if d.chance(0.7) {
		return p.places[0]
	}
	return one(d, p.places)
}
