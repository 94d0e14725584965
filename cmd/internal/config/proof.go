package config

import (
	"fmt"
	"net/url"
	"path/filepath"
	"time"
)

// Proof is the log of proof, which the role record keeps.
type Proof struct {
	// Enabled: what is recorded from now on can be proven.
	Enabled bool          `yaml:"enabled"`
	Dir     string        `yaml:"dir"`                    // folder of its tiles; empty: proof in data_dir
	Every   time.Duration `yaml:"every"`                  // time between two checkpoints
	KeyFile string        `yaml:"key_file" file:"secret"` // signs them, one for all processes; empty: one that is made among the secrets of data_dir
	// Targets take the checkpoints away to where whoever runs Holdfast cannot change them.
	Targets []ProofTarget `yaml:"targets"`
}

// ProofTarget is one place for checkpoints: a folder, or an address.
type ProofTarget struct {
	Dir       string `yaml:"dir"`                      // a folder, for example a mount that only grows
	URL       string `yaml:"url"`                      // each checkpoint is PUT beneath it, as object stores take it
	TokenFile string `yaml:"token_file" file:"secret"` // a bearer token for url
	CAFile    string `yaml:"ca_file" file:"yes"`       // certificates to trust, PEM; empty: the system's
}

// ProofDir is the folder of the log of proof.
func (c *Config) ProofDir() string {
	if c.Proof.Dir != "" {
		return c.Proof.Dir
	}
	return filepath.Join(c.DataDir, "proof")
}

func (r *reader) proof(c *Config) {
	if c.Proof.Every < time.Second || c.Proof.Every > time.Hour {
		r.at("proof.every", fmt.Sprintf("%v is out of range", c.Proof.Every), "write 1s to 1h")
	}
	for i, t := range c.Proof.Targets {
		key := fmt.Sprintf("proof.targets[%d]", i)
		if (t.Dir == "") == (t.URL == "") {
			r.at(key, "needs exactly one of dir and url", "name a folder or an address")
		}
		if u, err := url.Parse(t.URL); t.URL != "" && (err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http") {
			r.at(key+".url", "is not an address", "write https://host/path")
		}
	}
}
