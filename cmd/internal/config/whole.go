package config

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"holdfast/schemas"
)

// whole checks what no single value can tell.
func (r *reader) whole(c *Config) {
	for i, b := range c.Kafka.Brokers {
		r.hostPort(fmt.Sprintf("kafka.brokers[%d]", i), b)
	}
	for i, a := range c.ClickHouse.Addr {
		r.hostPort(fmt.Sprintf("clickhouse.addr[%d]", i), a)
	}
	r.listeners(c)
	r.oneSecret("kafka.sasl", c.Kafka.SASL.Password, c.Kafka.SASL.PasswordFile)
	r.oneSecret("clickhouse", c.ClickHouse.Password, c.ClickHouse.PasswordFile)
	r.pair("kafka.tls", c.Kafka.TLS.CertFile, c.Kafka.TLS.KeyFile)
	r.pair("clickhouse.tls", c.ClickHouse.TLS.CertFile, c.ClickHouse.TLS.KeyFile)
	r.pair("intake.http", c.Intake.HTTP.CertFile, c.Intake.HTTP.KeyFile)
	r.api(&c.API)
	r.bounds(c)
	r.senders(c)
	r.platforms(c)
	r.ttl(c)
	r.proof(c)
	for i, n := range c.Enforce.Notices {
		if w := c.Enforce.Webhook; w.Name == n.Name && w.URL != "" && n.URL != "" {
			r.at(fmt.Sprintf("enforce.notices[%d].name", i), fmt.Sprintf("%q is the name of enforce.webhook too", n.Name), "give each receiver a name of its own")
		}
	}
	if c.Kafka.SASL.Mechanism != "" && c.Kafka.SASL.User == "" {
		r.at("kafka.sasl.user", "is missing", "a SASL mechanism needs a user")
	}
}

// at reports what is wrong with a key, unless it was reported before.
func (r *reader) at(key, what, fix string) {
	if !r.wrong[key] {
		r.bad(lineOf(r.lines, key), key, what, fix)
	}
}

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
	_, port, err := net.SplitHostPort(addr)
	if err != nil || port == "" {
		r.at(key, fmt.Sprintf("%q is not an address", addr), "write host:port")
		return
	}
	if _, err := net.DefaultResolver.LookupPort(context.Background(), "tcp", port); err != nil {
		r.at(key, fmt.Sprintf("%q has no port that exists", addr), "write a port from 1 to 65535")
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
		{"intake.http.max_connections", c.Intake.HTTP.MaxConnections, 1, 100_000}, {"intake.http.min_rate", int(c.Intake.HTTP.MinRate), 1, 1 << 30},
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
			r.at(key, fmt.Sprintf("the name %q is used twice", t.Name), "give each token a name of its own")
		}
		seen[t.Name] = true
		if (t.TokenFile == "") == (t.SHA256 == "") {
			r.at(key, "needs exactly one of token_file and sha256", "write `openssl rand -hex 32` into a file and name it")
		}
	}
	if len(c.Intake.HTTP.Tokens) > 0 && c.Intake.HTTP.Listen == "" {
		r.at("intake.http.tokens", "are set, but intake.http.listen is not", "set listen: to an address, for example :8080")
	}
	if c.Intake.HTTP.Listen != "" && len(c.Intake.HTTP.Tokens) == 0 {
		r.at("intake.http", "listens, but nobody may send", "add tokens:")
	}
}

// platforms checks the names and topics of intake.platform: a name is a consumer group
// and a source, and two of one name would share their offsets.
func (r *reader) platforms(c *Config) {
	names := map[string]bool{}
	ours := map[string]bool{}
	for _, t := range schemas.Topics() {
		ours[c.Kafka.Prefix+string(t.Topic)] = true
	}
	for i, p := range c.Intake.Platform {
		key := fmt.Sprintf("intake.platform[%d]", i)
		switch {
		case p.Name == "":
			r.at(key, "has no name", "add name: it becomes the consumer group and the source")
		case !validPrefix(p.Name):
			r.at(key+".name", fmt.Sprintf("%q cannot be part of a consumer group's name", p.Name), "use letters, digits, ., _ and -, at most 100")
		case names[p.Name]:
			r.at(key+".name", fmt.Sprintf("the name %q is used twice", p.Name), "give each entry a name of its own")
		}
		names[p.Name] = true
		if len(p.Topics) == 0 {
			r.at(key+".topics", "is empty", "list the platform's topics to read, or remove the entry")
		}
		for j, t := range p.Topics {
			if ours[t] {
				r.at(fmt.Sprintf("%s.topics[%d]", key, j), fmt.Sprintf("%s is a topic of Holdfast's own", t), "list the platform's topics, or change kafka.prefix")
			}
		}
	}
}

// ttl checks the tables named and that each limit is whole days: rows are dropped by
// the day.
func (r *reader) ttl(c *Config) {
	var tables []string
	for _, t := range schemas.Tables() {
		tables = append(tables, t.Name)
	}
	for _, name := range sortedKeys(c.ClickHouse.TTL) {
		key := join("clickhouse.ttl", name)
		if !slices.Contains(tables, name) {
			r.at(key, "is not a table", suggest(name, tables))
			continue
		}
		if d := c.ClickHouse.TTL[name].Duration(); d%(24*time.Hour) != 0 {
			r.at(key, fmt.Sprintf("%s is not a number of whole days", FormatDuration(d)), "write for example 90d, or off")
		}
	}
}

// listeners checks the addresses to listen on, each by itself and against the others.
func (r *reader) listeners(c *Config) {
	seen := map[string][2]string{} // by port: key and host
	for _, l := range c.Listeners() {
		if l.Addr == "" {
			continue
		}
		r.hostPort(l.Key, l.Addr)
		host, port, err := net.SplitHostPort(l.Addr)
		if err != nil || port == "0" || port == "" {
			continue
		}
		if other, ok := seen[port]; ok && (other[1] == host || anyHost(other[1]) || anyHost(host)) {
			r.at(l.Key, fmt.Sprintf("%s is the address of %s too", l.Addr, other[0]), "give each a port of its own")
			continue
		}
		seen[port] = [2]string{l.Key, host}
	}
}

func anyHost(h string) bool { return h == "" || h == "0.0.0.0" || h == "::" }

const nameLetters = "_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

func validPrefix(s string) bool {
	return len(s) <= 100 && strings.Trim(s, nameLetters+".-") == ""
}

func validName(s string) bool {
	return s != "" && len(s) <= 100 && strings.Trim(s, nameLetters) == ""
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
