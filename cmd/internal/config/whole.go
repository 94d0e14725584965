package config

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
)

// whole checks what no single value can tell.
func (r *reader) whole(c *Config) {
	for i, b := range c.Kafka.Brokers {
		r.hostPort(fmt.Sprintf("kafka.brokers[%d]", i), b)
	}
	for i, a := range c.ClickHouse.Addr {
		r.hostPort(fmt.Sprintf("clickhouse.addr[%d]", i), a)
	}
	for key, addr := range map[string]string{"intake.http.listen": c.Intake.HTTP.Listen, "observability.listen": c.Observability.Listen,
		"kafka.listen": c.Kafka.Listen, "clickhouse.listen": c.ClickHouse.Listen} {
		if addr != "" {
			r.hostPort(key, addr)
		}
	}
	r.oneSecret("kafka.sasl", c.Kafka.SASL.Password, c.Kafka.SASL.PasswordFile)
	r.oneSecret("clickhouse", c.ClickHouse.Password, c.ClickHouse.PasswordFile)
	r.pair("kafka.tls", c.Kafka.TLS.CertFile, c.Kafka.TLS.KeyFile)
	r.pair("clickhouse.tls", c.ClickHouse.TLS.CertFile, c.ClickHouse.TLS.KeyFile)
	r.pair("intake.http", c.Intake.HTTP.CertFile, c.Intake.HTTP.KeyFile)
	r.bounds(c)
	r.senders(c)
	if c.Kafka.SASL.Mechanism != "" && c.Kafka.SASL.User == "" {
		r.at("kafka.sasl.user", "is missing", "a SASL mechanism needs a user")
	}
}

func (r *reader) at(key, what, fix string) { r.bad(lineOf(r.lines, key), key, what, fix) }

// lineOf is the line of the key, or of the nearest part above it that was set.
func lineOf(lines map[string]int, key string) int {
	for key != "" {
		if n, ok := lines[key]; ok {
			return n
		}
		key = key[:max(0, strings.LastIndexAny(key, ".["))]
	}
	return 0
}

func (r *reader) hostPort(key, addr string) {
	if _, port, err := net.SplitHostPort(addr); err != nil || port == "" {
		r.at(key, fmt.Sprintf("%q is not an address", addr), "write host:port")
	}
}

func (r *reader) oneSecret(key, inline, file string) {
	if inline != "" && file != "" {
		r.at(key, "has both password and password_file", "keep password_file")
	}
}

func (r *reader) pair(key, cert, private string) {
	if (cert == "") != (private == "") {
		r.at(key, "has only one of cert_file and key_file", "give both or neither")
	}
}

func (r *reader) bounds(c *Config) {
	for _, x := range []struct {
		key    string
		n      int
		lo, hi int
	}{
		{"kafka.lanes", c.Kafka.Lanes, 1, 1024}, {"kafka.replication", c.Kafka.Replication, 1, 15},
		{"enforce.concurrency", c.Enforce.Concurrency, 1, 1024}, {"intake.http.max_concurrent", c.Intake.HTTP.MaxConcurrent, 1, 10_000},
	} {
		if x.n < x.lo || x.n > x.hi {
			r.at(x.key, fmt.Sprintf("%d is out of range", x.n), fmt.Sprintf("write %d to %d", x.lo, x.hi))
		}
	}
	if c.EmbeddedBroker() && c.Kafka.Replication != 1 {
		r.at("kafka.replication", "the embedded broker is one machine", "leave it out, or name kafka.brokers")
	}
	if !validPrefix(c.Kafka.Prefix) {
		r.at("kafka.prefix", fmt.Sprintf("%q cannot begin a topic's name", c.Kafka.Prefix), "use letters, digits, ., _ and -, at most 100")
	}
	if !validName(c.ClickHouse.Database) {
		r.at("clickhouse.database", fmt.Sprintf("%q is not a name", c.ClickHouse.Database), "use letters, digits and _")
	}
}

func (r *reader) senders(c *Config) {
	seen := map[string]bool{}
	for i, t := range c.Intake.HTTP.Tokens {
		key := fmt.Sprintf("intake.http.tokens[%d]", i)
		switch {
		case t.Name == "":
			r.at(key, "has no name", "add name: it becomes the source of what this token sends")
		case seen[t.Name]:
			r.at(key, fmt.Sprintf("the name %q stands twice", t.Name), "give each token a name of its own")
		}
		seen[t.Name] = true
		if (t.TokenFile == "") == (t.SHA256 == "") {
			r.at(key, "needs exactly one of token_file and sha256", "write `openssl rand -hex 32` into a file and name it")
		}
	}
	if c.Intake.HTTP.Listen != "" && len(c.Intake.HTTP.Tokens) == 0 {
		r.at("intake.http", "listens, but nobody may send", "add tokens:")
	}
}

const nameLetters = "_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

func validPrefix(s string) bool {
	return len(s) <= 100 && strings.Trim(s, nameLetters+".-") == ""
}

func validName(s string) bool {
	return s != "" && len(s) <= 100 && strings.Trim(s, nameLetters) == ""
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
