package config

import "time"

// Slack is one channel of Slack, by an incoming webhook.
type Slack struct {
	Name    string        `yaml:"name"`                   // in notices and metrics; unique among all channels
	URLFile string        `yaml:"url_file" file:"secret"` // holds the incoming webhook's URL
	Timeout time.Duration `yaml:"timeout"`                // 0: 10 s
}

// PagerDuty is one service's integration for Events API v2.
type PagerDuty struct {
	Name    string        `yaml:"name"`                           // in notices and metrics; unique among all channels
	KeyFile string        `yaml:"routing_key_file" file:"secret"` // holds the integration key
	URL     string        `yaml:"url"`                            // empty: PagerDuty's own
	All     bool          `yaml:"all"`                            // events for every notice, not for pages alone
	Timeout time.Duration `yaml:"timeout"`                        // of one attempt; 0: 10 s
}

// Alertmanager is one Alertmanager, by version 2 of its API.
type Alertmanager struct {
	Name         string        `yaml:"name"`                    // in notices and metrics; unique among all channels
	URL          string        `yaml:"url"`                     // https://host:port
	UserFile     string        `yaml:"user_file" file:"secret"` // user:password; empty: no login
	ResolveAfter time.Duration `yaml:"resolve_after"`           // how long an alert lasts; 0: 24 h
	Timeout      time.Duration `yaml:"timeout"`                 // of one attempt; 0: 10 s
}
