package slack

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// PostMessage is where Slack takes messages with a token.
const PostMessage = "https://slack.com/api/chat.postMessage"

// Config is one Slack channel.
type Config struct {
	Name      string        // in records, logs and metrics
	TokenFile string        // holds a bot token
	Channel   string        // with a token: the channel's id
	URL       string        // of chat.postMessage; empty: PostMessage
	URLFile   string        // without a token: holds the incoming webhook's address, which is a secret
	Timeout   time.Duration // of one call
}

// Validate names everything that cannot be used.
func (c *Config) Validate() error {
	var errs []error
	if c.Name == "" {
		errs = append(errs, errors.New("name is missing"))
	}
	switch {
	case c.TokenFile == "" && c.URLFile == "":
		errs = append(errs, errors.New("token_file and url_file are missing: name a file with a bot token, or one with an incoming webhook's address"))
	case c.TokenFile != "" && c.URLFile != "":
		errs = append(errs, errors.New("both token_file and url_file are set: keep token_file"))
	case c.TokenFile != "" && c.Channel == "":
		errs = append(errs, errors.New("channel is missing: write the channel's id, C and then digits and letters"))
	}
	if c.URL != "" {
		if err := checkURL(c.URL); err != nil {
			errs = append(errs, fmt.Errorf("url: %w", err))
		}
	}
	if c.Timeout <= 0 {
		errs = append(errs, errors.New("timeout must be above 0"))
	}
	return errors.Join(errs...)
}

// checkURL says what is wrong with an incoming webhook's address, without quoting it.
func checkURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return errors.New("it holds no address: write https://hooks.slack.com/services/…")
	}
	if a, err := netip.ParseAddr(u.Hostname()); u.Scheme == "http" && !strings.EqualFold(u.Hostname(), "localhost") && (err != nil || !a.IsLoopback()) {
		return fmt.Errorf("its address has no TLS: use https")
	}
	return nil
}
