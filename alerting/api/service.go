package api

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v7"
	"github.com/go-json-experiment/json"
	"github.com/oklog/ulid/v2"

	"holdfast/schemas"
)

// Config bounds what people may do. The zero value is completed with the defaults.
type Config struct {
	SessionIdle time.Duration // a session ends when it was not used for so long; 8 h
	SessionEnd  time.Duration // and so long after signing in at the latest; 7 days
	LinkEnd     time.Duration // a one-time link works for so long; 24 h
	TokenEnd    time.Duration // the longest life of a token; 365 days
	BulkMax     int           // entities of one bulk act; 1,000
	ApproveFor  time.Duration // a bulk act waits for its second person so long; 24 h
	PersonRate  float64       // requests a second of one person or token; 50
	AddressRate float64       // requests a second from one address (IPv6: /64); 100
	// Password is what hashing costs; see DefaultPassword. Tests make it cheap.
	Password PasswordCost
}

func (c *Config) setDefaults() {
	c.SessionIdle = cmp.Or(c.SessionIdle, 8*time.Hour)
	c.SessionEnd = cmp.Or(c.SessionEnd, 7*24*time.Hour)
	c.LinkEnd = cmp.Or(c.LinkEnd, 24*time.Hour)
	c.TokenEnd = cmp.Or(c.TokenEnd, 365*24*time.Hour)
	c.BulkMax = cmp.Or(c.BulkMax, 1000)
	c.ApproveFor = cmp.Or(c.ApproveFor, 24*time.Hour)
	c.PersonRate = cmp.Or(c.PersonRate, 50)
	c.AddressRate = cmp.Or(c.AddressRate, 100)
	c.Password = cmp.Or(c.Password, DefaultPassword)
}

// Deps is what a Service needs of the rest.
type Deps struct {
	Requester Requester
	Journal   Journal
	Feed      Feed
	Store     Store
	History   History
	Incidents Incidents // nil: what they ask of the past is not answered
	Receivers Receivers // nil: nothing is known of them
	System    System
	// Key seals cursors and links: 32 bytes that every process of the installation has.
	Key    []byte
	Logger *slog.Logger
	Now    func() time.Time // nil: time.Now
}

// Service answers every question and takes every act. Its methods may be called by any
// number of goroutines.
type Service struct {
	cfg       Config
	requester Requester
	journal   Journal
	feed      Feed
	history   History
	past      Incidents
	receivers Receivers
	system    System
	key       []byte
	log       *slog.Logger
	now       func() time.Time

	book   *Book
	people *People
	again  *again
	pace   *pace
	bulks  sync.Map // ids of bulk acts that this process carries out
}

// New returns a service that has touched nothing yet; Run keeps its copies.
func New(cfg Config, d Deps) *Service {
	cfg.setDefaults()
	s := &Service{
		cfg: cfg, requester: d.Requester, journal: d.Journal, feed: d.Feed, history: d.History, past: d.Incidents, receivers: d.Receivers, system: d.System,
		key: d.Key, log: d.Logger, now: d.Now, book: NewBook(d.Feed), again: newAgain(), pace: newPace(cfg),
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.people = newPeople(cfg, d.Store, s.now)
	return s
}

// Book is the live copy.
func (s *Service) Book() *Book { return s.book }

// People are who may do what.
func (s *Service) People() *People { return s.people }

// Ready is closed once the copies are whole. Before it nobody is let in.
func (s *Service) Ready() <-chan struct{} { return s.book.Ready() }

// Run follows the topics until ctx ends. While the broker is away the copies stay as they
// were.
func (s *Service) Run(ctx context.Context) error {
	pause := &backoff.ExponentialBackOff{InitialInterval: 100 * time.Millisecond, MaxInterval: 5 * time.Second, Multiplier: 2, RandomizationFactor: 0.3}
	each := func(r Record) {
		apply := s.book.Apply
		if r.Topic == schemas.TopicPeople {
			apply = s.people.apply
		}
		if err := apply(r); err != nil {
			s.log.Error("a record cannot be read: what was known before it stays in force", "topic", r.Topic, "key", r.Key, "error", err)
		}
	}
	go s.resumeBulks(ctx)
	for {
		err := s.feed.Follow(ctx, each, func() { s.book.whole(); pause.Reset() })
		if ctx.Err() != nil {
			return nil //nolint:nilerr // being told to stop is no failure
		}
		s.log.Warn("the copy of cases and statuses stays as it is until the broker answers", "error", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause.NextBackOff()):
		}
	}
}

// record writes an operator record of what no lane knows of. An act is not done before its
// record stands, so the caller does nothing on an error.
func (s *Service) record(ctx context.Context, p Principal, op schemas.Operator) error {
	op.ID = cmp.Or(op.ID, "opr_"+ulid.Make().String())
	op.Time, op.Actor, op.Address = s.now().UTC().Truncate(time.Millisecond), cmp.Or(op.Actor, p.Name), p.From
	if op.Actor == "" {
		op.Actor = "nobody"
	}
	if err := s.journal.Write(ctx, op); err != nil {
		return away(errors.New("the log does not take the record of this act, so that it is not done: " + err.Error()))
	}
	return nil
}

// deny records that an act was refused for want of a right, and returns the refusal.
func (s *Service) deny(ctx context.Context, p Principal, act string, e schemas.Entity, why string, refusal error) error {
	if p.Name == "" {
		return refusal // nobody is known: the access log has it, the journal is not filled by strangers
	}
	if err := s.record(ctx, p, schemas.Operator{Act: clip(act, 64), Entity: e, Why: clip(why, maxWhy), Refused: clip(refusal.Error(), maxWhy)}); err != nil {
		s.log.Error("a refused act was not recorded", "actor", p.Name, "act", act, "error", err)
	}
	return refusal
}

// Bounds of what people write, in bytes.
const (
	maxWhy  = 2048
	maxText = 8192
	maxItem = 512
)

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "")
}

// asText writes a value so that two that mean the same are the same.
func asText(v any) string {
	b, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		return ""
	}
	return string(b)
}

// etagOf names a case's version, or a status's.
func etagOf(id string, version int) string { return `"` + id + "." + strconv.Itoa(version) + `"` }

// versionOf reads an ETag of id; any is true for *.
func versionOf(tag, id string) (version int, whichever bool, err error) {
	tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/")
	if tag == "*" {
		return 0, true, nil
	}
	rest, ok := strings.CutPrefix(strings.Trim(tag, `"`), id+".")
	version, err = strconv.Atoi(rest)
	if !ok || err != nil || version < 0 {
		return 0, false, invalid("If-Match", "If-Match %s does not belong to %s: send back the ETag of what was read", clip(tag, 100), id)
	}
	return version, false, nil
}

// sortedBy returns items in the order of a key.
func sortedBy[T any, K cmp.Ordered](items []T, key func(T) K) []T {
	slices.SortStableFunc(items, func(a, b T) int { return cmp.Compare(key(a), key(b)) })
	return items
}
