package config

import "time"

// Edge says how `holdfast edge` answers mail servers. It listens only where an address is
// given: host:port, or unix:PATH for Postfix and the line protocol.
type Edge struct {
	File       string        `yaml:"file"`        // the copy on disk; empty: edge.db in data_dir
	StaleAfter time.Duration `yaml:"stale_after"` // answers from older knowledge say that they are stale
	HTTP       EdgeHTTP      `yaml:"http"`
	Postfix    EdgePostfix   `yaml:"postfix"`
	Line       EdgeLine      `yaml:"line"`
	KumoMTA    EdgeKumoMTA   `yaml:"kumomta"`
}

// EdgeHTTP is the lookup by HTTP, with lists, bulk and a stream of changes.
type EdgeHTTP struct {
	Listen     string   `yaml:"listen"`                    // host:port; empty: no lookups by HTTP
	CertFile   string   `yaml:"cert_file" file:"yes"`      // server certificate, PEM; empty: no TLS
	KeyFile    string   `yaml:"key_file" file:"secret"`    // its key, PEM
	TokenFiles []string `yaml:"token_files" file:"secret"` // any of these tokens is taken
}

// EdgePostfix is Postfix's policy delegation. The actions are as access(5) has them.
type EdgePostfix struct {
	Listen     []string        `yaml:"listen"`      // host:port or unix:PATH of each; empty: off
	Accounts   []EdgeAttribute `yaml:"accounts"`    // ways in which a request names an account; the first that has a value is used.
	Address    string          `yaml:"address"`     // attribute with the client's address; empty: not looked at
	Suspended  string          `yaml:"suspended"`   // action for a suspended account, as in access(5)
	Credential string          `yaml:"credential"`  // attribute with the credential's id; empty: not looked at
	Revoked    string          `yaml:"revoked"`     // action for a revoked credential of an account that goes on
	Blocked    string          `yaml:"blocked"`     // action for a blocked address
	Throttled  string          `yaml:"throttled"`   // action above rate for a throttled account, above the day's limit in probation
	Unknown    string          `yaml:"unknown"`     // action where nothing is known of the account; see stale_limit
	StaleLimit time.Duration   `yaml:"stale_limit"` // beyond it unknown is the action; 0: never
	Rate       int             `yaml:"rate"`        // recipients an hour for a throttled account
}

// EdgeAttribute is a way in which a policy request names an account.
type EdgeAttribute struct {
	Attribute string `yaml:"attribute"`                           // of the policy request, such as sasl_username
	Take      string `yaml:"take" one:",whole,local_part,domain"` // part of the value that counts; empty: whole
	MapFile   string `yaml:"map_file" file:"yes"`                 // lines of value,account
}

// EdgeLine is the protocol of one line, as Exim's readsocket speaks it.
type EdgeLine struct {
	Listen []string `yaml:"listen"` // host:port or unix:PATH of each; empty: off
}

// EdgeKumoMTA is the KumoMTA node beside the edge, whose suspensions it keeps. Without a
// url there is none.
type EdgeKumoMTA struct {
	URL      string        `yaml:"url"`      // of the node's HTTP API; empty: no KumoMTA
	Prefix   string        `yaml:"prefix"`   // before the account in a tenant's name
	Duration time.Duration `yaml:"duration"` // of each suspension; it is renewed before its end
	Timeout  time.Duration `yaml:"timeout"`  // of one request
}

func defaultEdge() Edge {
	return Edge{StaleAfter: 30 * time.Second, KumoMTA: EdgeKumoMTA{Duration: 5 * time.Minute, Timeout: 5 * time.Second}, Postfix: EdgePostfix{
		Address:   "client_address",
		Suspended: "550 5.7.1 This account is suspended. The account's owner has been sent what to do.",
		Revoked:   "550 5.7.1 This credential is revoked. The account's owner has been sent what to do.",
		Blocked:   "550 5.7.1 Mail from this address is not accepted.",
		Throttled: "450 4.7.1 This account is limited for now. Try again later.",
		Unknown:   "DUNNO", Rate: 60,
	}}
}
