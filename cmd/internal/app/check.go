package app

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"

	"holdfast/cmd/internal/config"
	"holdfast/ingest/embedded/folder"
)

// CheckOptions says what a configuration is checked for.
type CheckOptions struct {
	// Roles are those that will run; none: all.
	Roles []Role
	// Starting reports an address as in use even where the instance that runs on the
	// data folder has it: another one cannot start there.
	Starting bool
}

// Check returns every mistake of a configuration: those that Load found, those that only
// the parts that carry it out understand, and what this machine does not allow, such as
// a port that is in use. `holdfast config check` and `holdfast run` both report these
// and nothing else. It opens the addresses to listen on for a moment, and no connection.
func Check(cfg *config.Config, places config.Places, loaded error, o CheckOptions) []error {
	found := flat(loaded)
	if m := (*config.Mistake)(nil); loaded != nil && !errors.As(loaded, &m) {
		return found // there is no file to check
	}
	var parts []error
	parts = append(parts, CheckParts(cfg, places)...)
	wrong := func(key string, err error) { parts = append(parts, places.Mistakes(key, err)...) }
	checkConnections(cfg, wrong)
	switch st, err := os.Stat(cfg.DataDir); {
	case err == nil && !st.IsDir():
		wrong("data_dir", fmt.Errorf("%s is a file: name a folder", cfg.DataDir))
	case err == nil:
		_, err := folder.CheckPrivate(cfg.DataDir)
		wrong("data_dir", err)
	}
	for _, r := range o.Roles {
		if !slices.Contains(Roles(), r) {
			wrong("--roles", fmt.Errorf("%s is unknown: use some of %v", r, Roles()))
		}
	}
	checkPorts(cfg, o, wrong)
	loading := slices.Clone(found)
	for _, err := range parts {
		if !reported(err, found) && !ofToken(err, loading) {
			found = append(found, err)
		}
	}
	slices.SortStableFunc(found, byLine)
	return found
}

// byLine orders mistakes as they stand in the file; those without a line come last.
func byLine(a, b error) int {
	line := func(err error) int {
		if m := (*config.Mistake)(nil); errors.As(err, &m) && m.Line > 0 {
			return m.Line
		}
		return math.MaxInt
	}
	return cmp.Compare(line(a), line(b))
}

// ofToken says whether err is about an intake token of which a mistake is known: what was
// left at its default because of that need not be said.
func ofToken(err error, earlier []error) bool {
	var m *config.Mistake
	if !errors.As(err, &m) || !strings.HasPrefix(m.Key, "intake.http.tokens[") {
		return false
	}
	return slices.ContainsFunc(earlier, func(e error) bool {
		var before *config.Mistake
		return errors.As(e, &before) && strings.HasPrefix(before.Key, m.Key)
	})
}

// flat lists the errors that err joins.
func flat(err error) []error {
	if all, ok := err.(interface{ Unwrap() []error }); ok {
		return all.Unwrap()
	}
	if err == nil {
		return nil
	}
	return []error{err}
}

// reported says whether an earlier mistake is the same one: it stands in the same section
// of the file, and its words stand in the later one's.
func reported(err error, earlier []error) bool {
	var m *config.Mistake
	if !errors.As(err, &m) {
		return false
	}
	return slices.ContainsFunc(earlier, func(e error) bool {
		var before *config.Mistake
		return errors.As(e, &before) && strings.HasPrefix(before.Key, m.Key) && strings.Contains(m.What, before.What)
	})
}

// checkConnections reads the certificates and passwords by which we speak to others.
func checkConnections(cfg *config.Config, wrong func(key string, err error)) {
	for key, c := range map[string]config.TLS{"kafka.tls": cfg.Kafka.TLS, "clickhouse.tls": cfg.ClickHouse.TLS} {
		if (c.CertFile == "") == (c.KeyFile == "") {
			_, err := tlsConfig(c)
			wrong(key, err)
		}
	}
	if h := cfg.Intake.HTTP; h.CertFile != "" && h.KeyFile != "" {
		_, err := tls.LoadX509KeyPair(h.CertFile, h.KeyFile)
		wrong("intake.http", err)
	}
	if h := cfg.API; h.CertFile != "" && h.KeyFile != "" {
		_, err := tls.LoadX509KeyPair(h.CertFile, h.KeyFile)
		wrong("api", err)
	}
	_, err := newOIDC(cfg.API)
	wrong("api.oidc", err)
	_, err = config.Secret("", cfg.Kafka.SASL.PasswordFile)
	wrong("kafka.sasl.password_file", err)
	_, err = config.Secret("", cfg.ClickHouse.PasswordFile)
	wrong("clickhouse.password_file", err)
}

// checkPorts tries each address to listen on.
func checkPorts(cfg *config.Config, o CheckOptions, wrong func(key string, err error)) {
	running, alive := Endpoints{}, false
	if e, err := readEndpoints(cfg.DataDir); err == nil {
		running, alive = e, true
	}
	for _, l := range cfg.Listeners() {
		of := map[string]Role{"intake.http.listen": RoleIntake, "api.listen": RoleServe}[l.Key]
		if l.Addr == "" || of != "" && len(o.Roles) > 0 && !slices.Contains(o.Roles, of) {
			continue
		}
		_, port, err := net.SplitHostPort(l.Addr)
		if err == nil {
			_, err = net.DefaultResolver.LookupPort(context.Background(), "tcp", port)
		}
		if err != nil {
			continue // reported before
		}
		s, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", l.Addr)
		switch {
		case err == nil:
			_ = s.Close()
		case errors.Is(err, syscall.EADDRINUSE) && givesWay(l.Key, l.Addr):
		case errors.Is(err, syscall.EADDRINUSE) && alive && running.has(l.Addr):
			if o.Starting {
				wrong(l.Key, fmt.Errorf("%s is in use by process %d, which runs on the same data_dir: stop it, or set another port", l.Addr, running.PID))
			}
		case errors.Is(err, syscall.EADDRINUSE):
			wrong(l.Key, fmt.Errorf("%s is in use by another process: stop that, or set another port", l.Addr))
		case errors.Is(err, syscall.EACCES):
			wrong(l.Key, fmt.Errorf("%s is not allowed for this user: use a port above 1023", l.Addr))
		default:
			wrong(l.Key, fmt.Errorf("%s cannot be listened on: %w", l.Addr, err))
		}
	}
}

// has reports whether the instance listens on addr, whatever host either names.
func (e Endpoints) has(addr string) bool {
	_, port, err := net.SplitHostPort(addr)
	at := append(append([]string{e.Intake, e.Observability, e.API}, e.Kafka...), e.ClickHouse...)
	return err == nil && slices.ContainsFunc(at, func(a string) bool { return strings.HasSuffix(a, ":"+port) })
}
