package gateway

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"holdfast/ingest/embedded/folder"
	"holdfast/ingest/intake"
	"holdfast/schemas"
)

// Config says who may send, and bounds a request. Zero values take the defaults.
type Config struct {
	Tokens          []Token       `yaml:"tokens"`
	MaxBody         int64         `yaml:"max_body"`         // bytes as sent; default 32 MiB
	MaxDecompressed int64         `yaml:"max_decompressed"` // bytes; default 256 MiB
	MaxLines        int           `yaml:"max_lines"`        // default 200,000
	MaxRefused      int           `yaml:"max_refused"`      // refused lines that an answer lists; default 100
	MaxConcurrent   int           `yaml:"max_concurrent"`   // requests at once; default 64
	Timeout         time.Duration `yaml:"timeout"`          // of one request; default 60 s
	MinRate         int64         `yaml:"min_rate"`         // bytes a second at which a body must come; default 4096
}

// Token is one credential of a sender. Exactly one of SecretFile and SHA256 says
// what it must present.
type Token struct {
	Name       string              `yaml:"name"`        // becomes the source "http:name"
	SecretFile string              `yaml:"secret_file"` // holds the token; white space around it is ignored
	SHA256     string              `yaml:"sha256"`      // of the token, in hexadecimal
	Types      []schemas.EventType `yaml:"types"`       // what it may send; none means all
	Origin     schemas.Origin      `yaml:"origin"`      // live (default), or import for what must stop nobody

	intake.Limits `yaml:",inline"`
}

func (c *Config) setDefaults() {
	setDefault(&c.MaxBody, 32<<20)
	setDefault(&c.MaxDecompressed, 256<<20)
	setDefault(&c.MaxLines, 200_000)
	setDefault(&c.MaxRefused, 100)
	setDefault(&c.MaxConcurrent, 64)
	setDefault(&c.Timeout, time.Minute)
	setDefault(&c.MinRate, 4096)
}

func setDefault[T comparable](v *T, to T) {
	var zero T
	if *v == zero {
		*v = to
	}
}

// Validate returns every mistake, joined.
func (c *Config) Validate() error {
	var all []error
	for name, v := range map[string]int64{
		"max_body": c.MaxBody, "max_decompressed": c.MaxDecompressed, "max_lines": int64(c.MaxLines),
		"max_refused": int64(c.MaxRefused), "max_concurrent": int64(c.MaxConcurrent), "timeout": int64(c.Timeout), "min_rate": c.MinRate,
	} {
		if v < 0 {
			all = append(all, fmt.Errorf("%s: %d is negative: write a positive value, or leave it out for the default", name, v))
		}
	}
	seen := map[string]bool{}
	for i, t := range c.Tokens {
		if seen[t.Name] && t.Name != "" {
			all = append(all, fmt.Errorf("tokens[%d]: the name %q appears twice: sources are told apart by it", i, t.Name))
		}
		seen[t.Name] = true
		for _, err := range t.Mistakes() {
			all = append(all, fmt.Errorf("tokens[%d] (%s): %w", i, t.Name, err))
		}
	}
	return errors.Join(all...)
}

// Mistakes is what is wrong with a token, without a look at its file.
func (t *Token) Mistakes() (all []error) {
	if t.Name == "" || len(t.Name) > 64 {
		all = append(all, errors.New("name: write 1 to 64 bytes"))
	}
	if (t.SecretFile == "") == (t.SHA256 == "") {
		all = append(all, errors.New("write exactly one of token_file and sha256"))
	}
	if b, err := hex.DecodeString(t.SHA256); t.SHA256 != "" && (err != nil || len(b) != sha256.Size) {
		all = append(all, errors.New("sha256: write 64 hexadecimal digits, as sha256sum prints them"))
	}
	for _, typ := range t.Types {
		if !slices.Contains(schemas.EventTypes(), typ) {
			all = append(all, fmt.Errorf("types: %q is unknown: use some of %v", typ, schemas.EventTypes()))
		}
	}
	if t.Origin != "" && t.Origin != schemas.OriginLive && t.Origin != schemas.OriginImport {
		all = append(all, fmt.Errorf("origin: %q is unknown: use live or import", t.Origin))
	}
	return append(all, t.Limits.Mistakes()...)
}

// minSecret is the least length of a token in a file: shorter ones can be guessed.
const minSecret = 16

// CheckSecrets reads every token's file and reports those that cannot be used.
func (c *Config) CheckSecrets() error {
	var all []error
	for i := range c.Tokens {
		_, err := c.Tokens[i].sender()
		all = append(all, err)
	}
	return errors.Join(all...)
}

// sender is a token as requests are held against it.
type sender struct {
	digest [sha256.Size]byte
	source intake.Source
}

func (t *Token) sender() (sender, error) {
	s := sender{source: intake.Source{Name: "http:" + t.Name, Types: t.Types, Origin: t.Origin}}
	s.source.Bind(t.Limits)
	setDefault(&s.source.Origin, schemas.OriginLive)
	if t.SHA256 != "" {
		_, err := hex.Decode(s.digest[:], []byte(t.SHA256))
		return s, err
	}
	if err := folder.CheckSecret(t.SecretFile); err != nil {
		return s, fmt.Errorf("gateway: token %s: %w", t.Name, err)
	}
	secret, err := os.ReadFile(t.SecretFile)
	if err != nil {
		return s, fmt.Errorf("gateway: token %s: cannot read its secret: %w", t.Name, err)
	}
	secret = bytes.TrimSpace(secret)
	if len(secret) < minSecret {
		return s, fmt.Errorf("gateway: token %s: %s holds %d bytes: write at least %d, for example from `openssl rand -hex 32`", t.Name, t.SecretFile, len(secret), minSecret)
	}
	s.digest = sha256.Sum256(secret)
	return s, nil
}
