package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"holdfast/cmd/internal/app"
	"holdfast/cmd/internal/config"
	"holdfast/ingest/kafka"
	"holdfast/schemas"
)

// common is what every command understands.
type common struct {
	ConfigFile string `name:"config" short:"c" env:"HOLDFAST_CONFIG" placeholder:"FILE" help:"The configuration."`
	DataDir    string `name:"data-dir" placeholder:"DIR" help:"Where the embedded engines keep their data (overrides data_dir)."`
}

func (c *common) load() (config.Config, error) {
	cfg, _, err := c.places()
	return cfg, err
}

// places loads the configuration and tells where in it things stand.
func (c *common) places() (config.Config, config.Places, error) {
	environ := os.Environ()
	if c.DataDir != "" {
		environ = append(environ, config.EnvPrefix+"DATA_DIR="+c.DataDir)
	}
	return config.LoadPlaces(c.ConfigFile, environ)
}

// of is c with another configuration, where one is named.
func (c *common) of(file string) *common {
	if file == "" {
		return c
	}
	return &common{ConfigFile: file, DataDir: c.DataDir}
}

// running loads the configuration and completes it with what runs here.
func (c *common) running() (config.Config, error) {
	return c.find(func(cfg *config.Config) error {
		_, err := app.FindRunning(cfg)
		return err
	})
}

// find loads the configuration and completes it. Where nothing is named and nothing
// runs, a demonstration that does is meant.
func (c *common) find(complete func(*config.Config) error) (config.Config, error) {
	cfg, err := c.load()
	if err != nil {
		return cfg, err
	}
	err = complete(&cfg)
	if !errors.Is(err, app.ErrNotRunning) || c.ConfigFile != "" || c.DataDir != "" {
		return cfg, err
	}
	demo := cfg
	demo.DataDir = filepath.Join(cfg.DataDir, demoFolder)
	if complete(&demo) != nil {
		return cfg, err
	}
	fmt.Fprintf(os.Stderr, "(the demonstration in %s)\n", demo.DataDir)
	return demo, nil
}

// demoFolder is where in the data folder the demonstration keeps its own.
const demoFolder = "demo"

// cluster connects to the brokers that the configuration names or that run here.
func (c *common) cluster() (config.Config, *kafka.Client, error) {
	cfg, err := c.find(app.FindBroker)
	if err != nil {
		return cfg, nil, err
	}
	client, err := app.Connect(&cfg, quiet())
	return cfg, client, err
}

func logger(cfg config.Log) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(cfg.Level)) // the configuration was checked
	o := &slog.HandlerOptions{Level: level}
	if cfg.Format == "json" {
		return slog.New(slog.NewJSONHandler(os.Stderr, o))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, o))
}

// quiet is the log of commands that end soon: warnings and worse.
func quiet() *slog.Logger {
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
}

func printJSON(v any) error {
	b, err := json.Marshal(v, jsontext.WithIndent("  "), json.Deterministic(true))
	if err != nil {
		return err
	}
	_, err = fmt.Println(string(escaped(b)))
	return err
}

// jsonLine writes one object of NDJSON.
func jsonLine(out io.Writer, v any) error {
	b, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s\n", escaped(b))
	return err
}

// escaped writes every character of a JSON text that cannot be shown as \u and
// digits: JSON itself lets those above U+007F through, which a terminal may obey.
// Outside of ASCII they stand in strings only.
func escaped(b []byte) []byte {
	out := b[:0:0]
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r < utf8.RuneSelf && r != 0x7f || isGraphic(r) {
			out = append(out, b[i:i+n]...)
		} else {
			for _, unit := range utf16.AppendRune(nil, r) {
				out = fmt.Appendf(out, `\u%04x`, unit)
			}
		}
		i += n
	}
	return out
}

// entity reads kind:id; a bare address is one, any other bare word an account. An
// IPv6 address is watched as its network, so that is what is meant.
func entity(s string) (schemas.Entity, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return schemas.IPEntity(a), nil
	}
	if s != "" && !strings.Contains(s, ":") {
		return schemas.Entity{Kind: schemas.KindAccount, ID: s}, nil
	}
	e, err := schemas.ParseEntity(s)
	if a, aerr := netip.ParseAddr(e.ID); err == nil && aerr == nil && e.Kind == schemas.KindIP {
		return schemas.IPEntity(a), nil
	}
	return e, err
}

// entity is what s means here: an address below one of the operator's own NAT64 prefixes
// is the IPv4 address inside it.
func (c *common) entity(s string) (schemas.Entity, error) {
	if a, err := netip.ParseAddr(strings.TrimPrefix(s, string(schemas.KindIP)+":")); err == nil && a.Is6() {
		cfg, err := c.load()
		if err != nil {
			return schemas.Entity{}, err
		}
		nat64, err := schemas.ParseNAT64(cfg.Enrichment.NAT64Prefixes)
		if err != nil {
			return schemas.Entity{}, fmt.Errorf("enrichment.nat64_prefixes: %w", err)
		}
		return schemas.IPEntity(nat64.IP(a)), nil
	}
	return entity(s)
}

type versionCmd struct {
	JSON bool `help:"As JSON."`
}

// Run prints the version.
func (v *versionCmd) Run() error {
	if v.JSON {
		return printJSON(map[string]string{"version": app.Version})
	}
	_, err := fmt.Println("holdfast", app.Version)
	return err
}

type schemaCmd struct {
	Type string `arg:"" help:"send, delivery, login, credential, access, connection, account, a finding such as signal, or change: what the platform is told."`
}

// Run prints the schema.
func (s *schemaCmd) Run() error {
	b, err := schemas.JSONSchema(s.Type)
	if err != nil {
		return err
	}
	_, err = fmt.Println(strings.TrimSpace(string(b)))
	return err
}

func isCancelled(err error) bool { return errors.Is(err, context.Canceled) }

func isGraphic(r rune) bool { return unicode.IsGraphic(r) }

// count names so many of something.
func count[N int | int64](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// short writes a length of time as people do: 48h0m0s is 2d.
func short(length string) string {
	d, err := time.ParseDuration(length)
	if err != nil {
		return length
	}
	return config.FormatDuration(d)
}
