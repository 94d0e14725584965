package config

import "time"

// Slack is one channel of Slack: by an app's token, which puts what follows in a case below its
// first message, or by an incoming webhook, which cannot.
type Slack struct {
	Name      string        `yaml:"name"`                     // in notices and metrics; unique among all channels
	TokenFile string        `yaml:"token_file" file:"secret"` // holds an app's bot token (xoxb-) with chat:write
	Channel   string        `yaml:"channel"`                  // with a token: the channel's id
	URL       string        `yaml:"url"`                      // of chat.postMessage; empty: Slack's own
	URLFile   string        `yaml:"url_file" file:"secret"`   // or the incoming webhook's URL
	Timeout   time.Duration `yaml:"timeout"`                  // 0: 10 s
}

// PagerDuty is one service's integration for Events API v2.
type PagerDuty struct {
	Name    string        `yaml:"name"`                           // in notices and metrics; unique among all channels
	KeyFile string        `yaml:"routing_key_file" file:"secret"` // holds the integration key
	URL     string        `yaml:"url"`                            // empty: PagerDuty's own
	All     bool          `yaml:"all"`                            // events for every notice, not for pages alone
	Timeout time.Duration `yaml:"timeout"`                        // of one attempt; 0: 10 s
}

// SharedSignals is one receiver of security event tokens (RISC and CAEP 1.0, RFC 8417, 8935).
type SharedSignals struct {
	Name      string        `yaml:"name"`                                                                                                                   // in notices and metrics; unique among all channels
	URL       string        `yaml:"url"`                                                                                                                    // where it takes tokens
	Issuer    string        `yaml:"issuer"`                                                                                                                 // who we are to it, an https address
	Audience  string        `yaml:"audience"`                                                                                                               // who it is
	KeyFile   string        `yaml:"key_file" file:"secret"`                                                                                                 // signing key, PEM: EC P-256, or RSA
	KeyID     string        `yaml:"key_id"`                                                                                                                 // by which it finds the public key
	TokenFile string        `yaml:"token_file" file:"secret"`                                                                                               // holds its bearer token; empty: none
	Subject   string        `yaml:"subject" one:",iss_sub,opaque"`                                                                                          // how accounts are named; empty: iss_sub
	Events    []string      `yaml:"events" one:"account-disabled,account-enabled,credential-compromise,account-credential-change-required,session-revoked"` // none: all
	Timeout   time.Duration `yaml:"timeout"`                                                                                                                // of one attempt; 0: 10 s
}

// Alertmanager is one Alertmanager, by version 2 of its API.
type Alertmanager struct {
	Name         string        `yaml:"name"`                    // in notices and metrics; unique among all channels
	URL          string        `yaml:"url"`                     // https://host:port
	UserFile     string        `yaml:"user_file" file:"secret"` // user:password; empty: no login
	ResolveAfter time.Duration `yaml:"resolve_after"`           // how long an alert lasts that nothing follows; 0: 24 h
	Timeout      time.Duration `yaml:"timeout"`                 // of one attempt; 0: 10 s
	// Labels are added to every alert.
	Labels map[string]string `yaml:"labels"`
}

// Words are what notices are written with.
type Words struct {
	Language    string     `yaml:"language"`     // of all that no other rule is about: en, de, or one of templates
	Languages   []Language `yaml:"languages"`    // who is told in another one
	Templates   string     `yaml:"templates"`    // folder of files that take the place of Holdfast's own; empty: none
	CaseURL     string     `yaml:"case_url"`     // where operators look at a case: https://…/{case}; also {kind}, {id}, {account}
	CustomerURL string     `yaml:"customer_url"` // where the customer does; also {token}; empty: the console's own page, where api.origin is set
	Support     string     `yaml:"support"`      // how customers reach a person; empty: by answering
	Brand       string     `yaml:"brand"`        // who writes, at the head of mails
}

// Language says in which language some are told.
type Language struct {
	Language string   `yaml:"language"` // en, de, or one of words.templates
	Plans    []string `yaml:"plans"`    // customers of these plans
	Domains  []string `yaml:"domains"`  // customers whose mail address ends so: de, example.at
	Channels []string `yaml:"channels"` // operators who are told by these
}

// Route says which notices go where. What is left out matches anything.
type Route struct {
	Audience   string        `yaml:"audience" one:",operator,customer,system"`                    // empty: operator
	Happened   []string      `yaml:"happened"`                                                    // opened, slowed, stopped, …
	Verdicts   []string      `yaml:"verdicts" one:"review,throttle,suspend,block,revoke,release"` // of the decision
	Severities []string      `yaml:"severities" one:"low,medium,high,critical"`                   // of the case
	Policies   []string      `yaml:"policies"`                                                    // names, or patterns with *
	Plans      []string      `yaml:"plans"`                                                       // of the account
	Kinds      []string      `yaml:"kinds" one:"account,ip,employee"`                             // of the entity
	To         []string      `yaml:"to"`                                                          // channels; none: nobody is told
	Continue   bool          `yaml:"continue"`                                                    // the routes below may add channels
	Language   string        `yaml:"language"`                                                    // of these notices
	Wait       time.Duration `yaml:"wait"`                                                        // 0: enforce.wait
	AtOnce     bool          `yaml:"at_once"`                                                     // they wait for nothing
	Spree      Spree         `yaml:"spree"`                                                       // without alone: enforce.spree
	GroupBy    []string      `yaml:"group_by" one:"what,verdict,severity,policy,plan,kind"`       // counts a spree by these
}

// Spree gathers notices to operators that come in great number.
type Spree struct {
	Alone int           `yaml:"alone"` // so many go by themselves within quiet; 0: all do
	Quiet time.Duration `yaml:"quiet"` // the time between two notices about several
}
