// Package config is Holdfast's one configuration: a YAML file over defaults,
// environment variables over both. It promises that Load reports every mistake at
// once, each with its line and how to fix it, that an unknown key is never
// ignored, and that a printed configuration is complete and shows no secret. It
// opens no connection; what a file that it names holds is checked by whoever
// uses it, that it is there is checked here.
package config

import (
	"path/filepath"
	"time"

	"holdfast/schemas"
)

// Config is the whole of it. Tags: yaml names the key; file says that the value is
// a path that must exist, file:"secret" that others may not read or write it; secret that it is never printed; one lists the values
// that are allowed.
type Config struct {
	DataDir       string        `yaml:"data_dir"` // folder of the embedded engines, of secrets and of import progress
	Kafka         Kafka         `yaml:"kafka"`
	ClickHouse    ClickHouse    `yaml:"clickhouse"`
	Embedded      Embedded      `yaml:"embedded"`
	Intake        Intake        `yaml:"intake"`
	Enrichment    Enrichment    `yaml:"enrichment"`
	Detect        Detect        `yaml:"detect"`
	Respond       Respond       `yaml:"respond"`
	Record        Record        `yaml:"record"`
	Proof         Proof         `yaml:"proof"`
	Pressure      Pressure      `yaml:"pressure"`
	Enforce       Enforce       `yaml:"enforce"`
	Edge          Edge          `yaml:"edge"`
	API           API           `yaml:"api"`
	Observability Observability `yaml:"observability"`
}

// Kafka says where the log is. Without brokers the embedded one is used.
type Kafka struct {
	Brokers     []string `yaml:"brokers"`                         // host:port of each; empty: the embedded broker
	ClientID    string   `yaml:"client_id"`                       // how the process names itself to Kafka
	Prefix      string   `yaml:"prefix"`                          // beginning of every topic and group
	Lanes       int      `yaml:"lanes"`                           // fixed when the topics are created; 0: 64, embedded 8
	Replication int      `yaml:"replication"`                     // of new topics; left out: 3, embedded 1
	Compression string   `yaml:"compression" one:"none,lz4,zstd"` // of what Holdfast writes
	TLS         TLS      `yaml:"tls"`
	SASL        SASL     `yaml:"sasl"`
	// Listen is the embedded broker's address, on loopback.
	Listen string `yaml:"listen"`
}

// Embedded is about the embedded broker and ClickHouse together.
type Embedded struct {
	// Auth says whom they ask for a password, one of the secrets in the data folder. peer:
	// all but processes of the user that runs Holdfast, and of root, which could read the
	// secrets anyway; the kernel knows whose a loopback connection is. password: everybody.
	Auth string `yaml:"auth" one:"peer,password"`
}

// TLS of a connection to a server.
type TLS struct {
	Enabled    bool   `yaml:"enabled"`                // connect with TLS
	CAFile     string `yaml:"ca_file" file:"yes"`     // certificates to trust, PEM; empty: the system's
	CertFile   string `yaml:"cert_file" file:"yes"`   // client certificate, PEM
	KeyFile    string `yaml:"key_file" file:"secret"` // its key, PEM
	ServerName string `yaml:"server_name"`            // name in the server's certificate; empty: the host
}

// SASL proves who we are to Kafka.
type SASL struct {
	Mechanism    string `yaml:"mechanism" one:",PLAIN,SCRAM-SHA-256,SCRAM-SHA-512"` // empty: no SASL
	User         string `yaml:"user"`                                               // needed with a mechanism
	Password     string `yaml:"password" secret:"yes"`                              // better in password_file
	PasswordFile string `yaml:"password_file" file:"secret"`                        // holds the password
}

// ClickHouse says where the audit store is. Without an address the embedded one is used.
type ClickHouse struct {
	Addr         []string `yaml:"addr"`                       // host:port of each; empty: the embedded engine
	Protocol     string   `yaml:"protocol" one:"native,http"` // native or http
	TLS          TLS      `yaml:"tls"`
	User         string   `yaml:"user"`                        // who Holdfast is to ClickHouse
	Password     string   `yaml:"password" secret:"yes"`       // better in password_file
	PasswordFile string   `yaml:"password_file" file:"secret"` // holds the password
	Database     string   `yaml:"database"`                    // holds the tables
	// TTL is how long rows are kept, by table; "off" keeps them for ever.
	TTL map[string]Limit `yaml:"ttl"`
	// TTLByPlan is how long events and findings about an account are kept where its plan is
	// kept for less than ttl says, by the plan that its newest snapshot names.
	TTLByPlan map[string]Limit `yaml:"ttl_by_plan"`
	// Listen is the embedded engine's address, on loopback.
	Listen string `yaml:"listen"`
	// MaxMemory is how much the embedded engine may use, in bytes; 0: half of the machine's.
	MaxMemory int64 `yaml:"max_memory"`
}

// Intake is how events come in.
type Intake struct {
	HTTP     HTTP       `yaml:"http"`
	Platform []Platform `yaml:"platform"`
}

// HTTP is the gateway. It listens only where an address is given.
type HTTP struct {
	Listen        string        `yaml:"listen"`                 // host:port; empty: no intake by HTTP
	CertFile      string        `yaml:"cert_file" file:"yes"`   // server certificate, PEM; empty: no TLS
	KeyFile       string        `yaml:"key_file" file:"secret"` // its key, PEM
	Tokens        []Token       `yaml:"tokens"`
	MaxBody       int64         `yaml:"max_body"`       // bytes of a request's body as sent
	MaxConcurrent int           `yaml:"max_concurrent"` // requests that are worked on at once
	Timeout       time.Duration `yaml:"timeout"`        // of one request, until the broker has acknowledged it
	// MinRate is how fast a body must come, in bytes a second, after 5 s of grace.
	MinRate int64 `yaml:"min_rate"`
	// MaxConnections bounds the connections at once. Above it the oldest ones that have
	// shown no token give way.
	MaxConnections int `yaml:"max_connections"`
}

// Token is one sender's credential.
type Token struct {
	Name          string   `yaml:"name"`                                                                 // becomes the source http:NAME
	TokenFile     string   `yaml:"token_file" file:"secret"`                                             // holds the token
	SHA256        string   `yaml:"sha256"`                                                               // of the token, in hexadecimal; in place of token_file
	Types         []string `yaml:"types" one:"send,delivery,login,credential,access,connection,account"` // event types that it may send; none: all
	Origin        string   `yaml:"origin" one:",live,import"`                                            // import: what it sends teaches and stops nobody
	Accounts      []string `yaml:"accounts"`                                                             // accounts that it may name; without these and a prefix: all
	AccountPrefix string   `yaml:"account_prefix"`                                                       // also all accounts whose id begins with it
	Employees     bool     `yaml:"employees"`                                                            // also of employees, where it is bound to accounts
	Trust         string   `yaml:"trust" one:",full,evidence"`                                           // evidence: never enough for an automatic stop; empty: full
	Rate          int      `yaml:"rate"`                                                                 // records a second; 0: any
	Burst         int      `yaml:"burst"`                                                                // records at once; 0: those of ten seconds
}

// Enrichment names files that tell of addresses; none is needed. That they are there
// and can be read is checked by whoever reads them: intake goes on without one that is
// missing or broken, until it is fixed.
type Enrichment struct {
	HostingFiles []string      `yaml:"hosting_files"` // ranges of data centres
	VPNFiles     []string      `yaml:"vpn_files"`     // ranges by which people hide where they are
	CityFile     string        `yaml:"city_file"`     // an MMDB file of cities or countries
	ASNFile      string        `yaml:"asn_file"`      // an MMDB file of autonomous systems
	ReloadEvery  time.Duration `yaml:"reload_every"`  // how often the files are looked at
	// NAT64Prefixes are the prefixes (RFC 6052, for example 2001:db8:64::/96) by which the
	// operator's own gateways write IPv4 addresses as IPv6: the IPv4 address counts.
	// 64:ff9b::/96 and 64:ff9b:1::/48 need not be listed. It is looked up when an event
	// comes in, so a change is for events from then on.
	NAT64Prefixes []string `yaml:"nat64_prefixes"`
}

// Detect is the detectors' part.
type Detect struct {
	SaveEvery time.Duration `yaml:"save_every"` // how long a change of state may stay unsaved
}

// Respond says what follows from signals.
type Respond struct {
	// PoliciesFile replaces the policies and detectors' numbers that Holdfast brings.
	PoliciesFile string `yaml:"policies_file" file:"yes"`
	// AgeLimit is how long after it happened an event may arrive and still stop
	// somebody without a person being asked.
	AgeLimit Limit `yaml:"age_limit"`
	// Brake limits automatic stops.
	Brake bool `yaml:"brake"`
	// SnoozeMax is how long a snooze may last at most.
	SnoozeMax time.Duration `yaml:"snooze_max"`
}

// Record is the recorder's part.
type Record struct {
	// CheckEvery is the time between two comparisons of the audit store with the log.
	CheckEvery time.Duration `yaml:"check_every"`
}

// Pressure says how much of the machine intake leaves free: below it HTTP answers 507
// (disk) or 503, and reading of topics and files pauses, until there is room again.
type Pressure struct {
	// DiskFree is in bytes, of the file system of data_dir, where an engine is embedded;
	// 0: 5 % of it, between 16 and 256 MiB.
	DiskFree int64 `yaml:"disk_free"`
	// MemoryFree is in bytes, of the machine or the control group; 0: 2 %, at most 256 MiB.
	MemoryFree int64 `yaml:"memory_free"`
	// FilesFree is how many more files the process may open; 0: 5 % of its limit, at most 64.
	FilesFree int `yaml:"files_free"`
}

// Enforce says how decisions are carried out.
type Enforce struct {
	Webhook Webhook `yaml:"webhook"`
	SES     SES     `yaml:"ses"`
	// Channels of notices, each as often as there are receivers of its kind.
	SMTP          []SMTP          `yaml:"smtp"`
	Notices       []Webhook       `yaml:"notices"` // webhooks that take notices to operators
	Slack         []Slack         `yaml:"slack"`
	PagerDuty     []PagerDuty     `yaml:"pagerduty"`
	Alertmanager  []Alertmanager  `yaml:"alertmanager"`
	SharedSignals []SharedSignals `yaml:"shared_signals"`
	Words         Words           `yaml:"words"`
	// Routes say who is told of what. The first that matches decides; what none matches goes
	// to every channel.
	Routes []Route `yaml:"routes"`
	// Wait is how long notices to operators that are no stop wait for what follows in their
	// case, of which only the newest is sent.
	Wait time.Duration `yaml:"wait"`
	// CustomerWait is the same for customers whose mail is slowed down.
	CustomerWait  time.Duration `yaml:"customer_wait"`
	Spree         Spree         `yaml:"spree"`
	NotifyReviews bool          `yaml:"notify_reviews"` // operators are told of reviews too
	Concurrency   int           `yaml:"concurrency"`    // calls at once, for each receiver and channel
	// GiveUp is how long a notice is tried. A status is told until it is confirmed.
	GiveUp time.Duration `yaml:"give_up"`
	// MaxBackoff is the longest pause between two attempts at a status.
	MaxBackoff time.Duration `yaml:"max_backoff"`
	// PageAfter: operators are paged when a status is not confirmed for longer.
	PageAfter time.Duration `yaml:"page_after"`
	// ReconcileEvery is how often the platform is asked for its statuses, or told again
	// where webhook.status_url is not set.
	ReconcileEvery Limit `yaml:"reconcile_every"`
}

// Webhook is one receiver of signed requests.
type Webhook struct {
	Name       string        `yaml:"name"`                          // stands for the receiver in records and metrics
	URL        string        `yaml:"url" secret:"yes"`              // https://host/path
	SecretFile string        `yaml:"secret_file" file:"secret"`     // signing secret, whsec_ and base64
	OldSecret  string        `yaml:"old_secret_file" file:"secret"` // the secret before, while it is changed
	Timeout    time.Duration `yaml:"timeout"`                       // of one attempt; 0: 10 s
	AllowHTTP  bool          `yaml:"allow_http"`                    // no TLS, on a network that is trusted
	// StatusURL is where the platform says which status it keeps of {entity}.
	StatusURL string `yaml:"status_url" secret:"yes"`
}

// SMTP is a mail server for notices.
type SMTP struct {
	Name         string        `yaml:"name"`                         // in notices and metrics; unique among all channels; empty: smtp
	Host         string        `yaml:"host"`                         // mail server; empty: no mail
	Port         int           `yaml:"port"`                         // of the mail server; 0: 587
	TLS          string        `yaml:"tls" one:",starttls,tls,none"` // none is for a relay on this machine; empty: starttls
	User         string        `yaml:"user"`                         // logs in; with password_file
	PasswordFile string        `yaml:"password_file" file:"secret"`  // holds the password
	CAFile       string        `yaml:"ca_file" file:"yes"`           // certificates to trust, PEM
	From         string        `yaml:"from"`                         // sender
	Operators    []string      `yaml:"operators"`                    // addresses that are told of stops and questions
	Customers    bool          `yaml:"customers"`                    // contacts of a stopped or released account are told
	Timeout      time.Duration `yaml:"timeout"`                      // of one attempt; 0: 10 s
}

// Observability is how operators watch Holdfast itself.
type Observability struct {
	Listen string `yaml:"listen"` // /metrics, /healthz, /readyz
	PProf  bool   `yaml:"pprof"`  // /debug/pprof as well
	Log    Log    `yaml:"log"`
}

// Log is the process's own log, on standard error.
type Log struct {
	Level  string `yaml:"level" one:"debug,info,warn,error"` // least level that is written
	Format string `yaml:"format" one:"text,json"`            // of a line
}

// Default returns the configuration in force where nothing else is said.
func Default() Config {
	return Config{
		DataDir:    "holdfast-data",
		Kafka:      Kafka{ClientID: "holdfast", Prefix: "holdfast.", Compression: "none", Listen: "127.0.0.1:0"},
		ClickHouse: ClickHouse{Protocol: "native", User: "default", Database: "holdfast", Listen: "127.0.0.1:0"},
		Embedded:   Embedded{Auth: "peer"},
		Intake:     Intake{HTTP: HTTP{MaxBody: 32 << 20, MaxConcurrent: 64, Timeout: time.Minute, MinRate: 4096, MaxConnections: 1024}},
		Enrichment: Enrichment{ReloadEvery: 30 * time.Second},
		Detect:     Detect{SaveEvery: 30 * time.Second},
		Respond:    Respond{AgeLimit: Limit(schemas.AgeLimit), Brake: true, SnoozeMax: 30 * 24 * time.Hour},
		Record:     Record{CheckEvery: time.Hour},
		Proof:      Proof{Enabled: true, Every: time.Minute},
		Enforce: Enforce{
			Webhook: Webhook{Name: "platform", Timeout: 10 * time.Second}, SES: SES{Tenant: "{account}", Released: "ENABLED", Timeout: 10 * time.Second}, Words: Words{Language: "en"}, NotifyReviews: true,
			Wait: 2 * time.Minute, CustomerWait: 5 * time.Minute, Spree: Spree{Alone: 10, Quiet: 10 * time.Minute},
			Concurrency: 16, GiveUp: 6 * time.Hour, MaxBackoff: time.Hour, PageAfter: time.Minute, ReconcileEvery: Limit(24 * time.Hour),
		},
		Edge:          defaultEdge(),
		API:           defaultAPI(),
		Observability: Observability{Listen: "127.0.0.1:9464", Log: Log{Level: "info", Format: "text"}},
	}
}

// EmbeddedBroker reports whether the broker runs inside the process.
func (c *Config) EmbeddedBroker() bool { return len(c.Kafka.Brokers) == 0 }

// EmbeddedClickHouse reports whether the audit store runs as a child of the process.
func (c *Config) EmbeddedClickHouse() bool { return len(c.ClickHouse.Addr) == 0 }

// Listener is an address that the process listens on, and the key that sets it.
type Listener struct{ Key, Addr string }

// Listeners are the addresses to listen on with this configuration, by all roles.
func (c *Config) Listeners() []Listener {
	out := []Listener{{"observability.listen", c.Observability.Listen}, {"intake.http.listen", c.Intake.HTTP.Listen}, {"api.listen", c.API.Listen}}
	if c.EmbeddedBroker() {
		out = append(out, Listener{"kafka.listen", c.Kafka.Listen})
	}
	if c.EmbeddedClickHouse() {
		out = append(out, Listener{"clickhouse.listen", c.ClickHouse.Listen})
	}
	return out
}

// complete sets what follows from other values.
func (c *Config) complete() {
	if c.Kafka.Lanes == 0 {
		c.Kafka.Lanes = schemas.DefaultLanes
		if c.EmbeddedBroker() {
			c.Kafka.Lanes = schemas.EmbeddedLanes
		}
	}
	if c.Kafka.Replication == 0 {
		c.Kafka.Replication = 3
		if c.EmbeddedBroker() {
			c.Kafka.Replication = 1
		}
	}
	if c.EmbeddedClickHouse() {
		c.ClickHouse.Protocol = "http"
	}
	if abs, err := filepath.Abs(c.DataDir); err == nil {
		c.DataDir = abs
	}
}
