package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"time"

	"holdfast/cmd/internal/config"
	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

// Connect makes a client for the brokers that cfg names.
func Connect(cfg *config.Config, log *slog.Logger) (*kafka.Client, error) {
	return connect(cfg, log, 0)
}

// ConnectIntake makes a client for intake's producer, which tries again by itself:
// it looks into the log first, since the embedded broker forgets sequences when it
// is killed and a repeat that nobody looks at could double a batch.
func ConnectIntake(cfg *config.Config, log *slog.Logger) (*kafka.Client, error) {
	return connect(cfg, log, time.Millisecond)
}

func connect(cfg *config.Config, log *slog.Logger, retryFor time.Duration) (*kafka.Client, error) {
	t, err := tlsConfig(cfg.Kafka.TLS)
	if err != nil {
		return nil, fmt.Errorf("kafka.tls: %w", err)
	}
	password, err := config.Secret(cfg.Kafka.SASL.Password, cfg.Kafka.SASL.PasswordFile)
	if err != nil {
		return nil, fmt.Errorf("kafka.sasl: %w", err)
	}
	mechanism, err := kafka.Mechanism(cfg.Kafka.SASL.Mechanism, cfg.Kafka.SASL.User, password)
	if err != nil {
		return nil, fmt.Errorf("kafka.sasl: %w", err)
	}
	k := kafka.Config{Brokers: cfg.Kafka.Brokers, ClientID: cfg.Kafka.ClientID, TLS: t, SASL: mechanism, RetryFor: retryFor, Logger: log}
	if c := cfg.Kafka.Compression; c != "" && c != "none" {
		if err := k.Compression.UnmarshalText([]byte(c)); err != nil {
			return nil, fmt.Errorf("kafka.compression: %w", err)
		}
	}
	return kafka.New(k)
}

func tlsConfig(c config.TLS) (*tls.Config, error) {
	if !c.Enabled {
		return nil, nil
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.ServerName}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, err
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate in PEM form", c.CAFile)
		}
	}
	if c.CertFile != "" {
		cert, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		if err != nil {
			return nil, err
		}
		t.Certificates = []tls.Certificate{cert}
	}
	return t, nil
}

// topicSpecs says what every topic must be like on the broker.
func topicSpecs(cfg *config.Config) []kafka.TopicSpec {
	var out []kafka.TopicSpec
	for _, t := range schemas.Topics() {
		s := kafka.TopicSpec{
			Name: cfg.Kafka.Prefix + string(t.Topic), Partitions: cfg.Kafka.Lanes, ReplicationFactor: cfg.Kafka.Replication,
			Config: map[string]string{"max.message.bytes": strconv.Itoa(schemas.MaxMessageBytes)},
		}
		if t.Single {
			s.Partitions = 1
		}
		if t.Compacted {
			s.Config["cleanup.policy"] = "compact"
			s.Config["retention.ms"] = "-1"
		} else {
			s.Config["cleanup.policy"] = "delete"
			s.Config["retention.ms"] = "-1"
			if t.Days > 0 {
				s.Config["retention.ms"] = strconv.FormatInt((time.Duration(t.Days) * 24 * time.Hour).Milliseconds(), 10)
			}
			s.Config["message.timestamp.type"] = "LogAppendTime"
		}
		if cfg.Kafka.Replication >= 3 {
			s.Config["min.insync.replicas"] = "2"
		}
		out = append(out, s)
	}
	return out
}

// CreateTopics creates what is missing and leaves the rest as it is.
func CreateTopics(ctx context.Context, c *kafka.Client, cfg *config.Config) error {
	if err := c.CreateTopics(ctx, topicSpecs(cfg)); err != nil {
		return fmt.Errorf("create topics: %w", err)
	}
	return nil
}

// addTopics creates the topics that an installation of an earlier version lacks. Where
// there is no installation yet, nothing is created: whoever runs the cluster does that.
func addTopics(ctx context.Context, c *kafka.Client, cfg *config.Config) error {
	var missing []kafka.TopicSpec
	specs := topicSpecs(cfg)
	names := make([]string, len(specs))
	for i, s := range specs {
		names[i] = s.Name
	}
	is, err := c.DescribeTopics(ctx, names)
	if err != nil {
		return fmt.Errorf("describe topics: %w", err)
	}
	control, ok := is[cfg.Kafka.Prefix+string(schemas.TopicControl)]
	if !ok || control.Partitions == 0 {
		return nil
	}
	for i, t := range schemas.Topics() {
		if _, ok := is[specs[i].Name]; !ok && t.Added {
			if !t.Single {
				specs[i].Partitions = is[cfg.Kafka.Prefix+string(schemas.TopicDecisions)].Partitions
			}
			missing = append(missing, specs[i])
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if err := c.CreateTopics(ctx, missing); err != nil {
		return fmt.Errorf("create the topics that this version adds: %w: let this user create topics, or run `holdfast topics create` as one that may", err)
	}
	// The other brokers hear of them a little later.
	for range 50 {
		if is, err = c.DescribeTopics(ctx, names); err == nil && len(is) == len(names) {
			break
		}
		if err := pause(ctx, 200*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// ErrTopics says that a topic cannot be worked with as it is.
var ErrTopics = errors.New("the topics are not as they must be")

// Difference is one thing about a topic that is not as it must be. A fatal one
// keeps Holdfast from starting.
type Difference struct {
	Topic string `json:"topic"`
	What  string `json:"what"`
	Is    string `json:"is"`
	Want  string `json:"want"`
	Fatal bool   `json:"fatal"`
}

// String says it in one line.
func (d Difference) String() string {
	return fmt.Sprintf("%s: %s is %s, not %s", d.Topic, d.What, d.Is, d.Want)
}

// CheckTopics compares the topics with what they must be.
func CheckTopics(ctx context.Context, c *kafka.Client, cfg *config.Config) ([]Difference, error) {
	want := topicSpecs(cfg)
	names := make([]string, len(want))
	for i, s := range want {
		names[i] = s.Name
	}
	is, err := c.DescribeTopics(ctx, names)
	if err != nil {
		return nil, fmt.Errorf("describe topics: %w", err)
	}
	var out []Difference
	for _, w := range want {
		s, ok := is[w.Name]
		if !ok {
			out = append(out, Difference{w.Name, "the topic", "missing", "there: run `holdfast topics create`", true})
			continue
		}
		if s.Partitions != w.Partitions {
			out = append(out, Difference{w.Name, "its number of partitions", strconv.Itoa(s.Partitions), strconv.Itoa(w.Partitions), true})
		}
		for _, key := range sortedKeys(w.Config) {
			if v := s.Config[key]; v != w.Config[key] {
				out = append(out, Difference{w.Name, key, orNothing(v), w.Config[key], key == "cleanup.policy"})
			}
		}
	}
	return out, nil
}

func orNothing(s string) string {
	if s == "" {
		return "not set"
	}
	return s
}
