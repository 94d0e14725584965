package app

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/oklog/ulid/v2"

	"holdfast/cmd/internal/config"
	"holdfast/ingest/clickhouse"
	"holdfast/ingest/embedded/secret"
	"holdfast/ingest/kafka"
	"holdfast/ingest/proof"
	"holdfast/schemas"
)

// proofSecret is the file of the key that signs checkpoints, among the secrets.
const proofSecret = "proof"

// ProofKeyFile is where the key pair is that signs checkpoints and certificates.
func ProofKeyFile(cfg *config.Config) string {
	if cfg.Proof.KeyFile != "" {
		return cfg.Proof.KeyFile
	}
	return secret.Path(cfg.DataDir, proofSecret)
}

// ProofKeys reads the key pair, or makes the one that is kept among the secrets.
func ProofKeys(cfg *config.Config, installation string) (*proof.Keys, error) {
	if cfg.Proof.KeyFile != "" {
		return proof.ReadKeys(cfg.Proof.KeyFile)
	}
	keys, err := proof.ReadKeys(ProofKeyFile(cfg))
	if errors.Is(err, fs.ErrNotExist) && installation != "" {
		return proof.EnsureKeys(ProofKeyFile(cfg), "holdfast/"+installation)
	}
	return keys, err
}

// ProofTargets are the places that checkpoints are sent to.
func ProofTargets(cfg *config.Config) ([]proof.Target, error) {
	var out []proof.Target
	for i, t := range cfg.Proof.Targets {
		switch {
		case t.Dir != "" && t.URL == "":
			out = append(out, proof.Folder{Dir: t.Dir})
		case t.URL != "" && t.Dir == "":
			tls, err := targetTLS(t)
			if err != nil {
				return nil, fmt.Errorf("proof.targets[%d]: %w", i, err)
			}
			w := proof.Web{URL: t.URL, Client: &http.Client{
				Transport:     &http.Transport{TLSClientConfig: tls, Proxy: http.ProxyFromEnvironment},
				CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			}}
			if t.TokenFile != "" {
				w.Token = func() (string, error) { return config.Secret("", t.TokenFile) }
			}
			out = append(out, w)
		default:
			return nil, fmt.Errorf("proof.targets[%d] needs exactly one of dir and url", i)
		}
	}
	return out, nil
}

func targetTLS(t config.ProofTarget) (*tls.Config, error) {
	if t.CAFile == "" {
		return nil, nil
	}
	return tlsConfig(config.TLS{Enabled: true, CAFile: t.CAFile})
}

// newProver makes what keeps the log of proof beside the recorder; nil where it is off.
func (a *App) newProver(store *clickhouse.Client) (*proof.Prover, error) {
	if !a.cfg.Proof.Enabled {
		return nil, nil
	}
	keys, err := ProofKeys(&a.cfg, a.install.ID)
	if err != nil {
		return nil, err
	}
	targets, err := ProofTargets(&a.cfg)
	if err != nil {
		return nil, err
	}
	return proof.New(proof.Config{
		Prefix: a.cfg.Kafka.Prefix, Lanes: a.install.Lanes, LogID: a.install.LogID, NewLog: a.opts.NewLog,
		Dir: a.cfg.ProofDir(), Every: a.cfg.Proof.Every,
	}, proof.Deps{Broker: a.client, Store: store, Keys: keys, Targets: targets, Metrics: a.reg, Logger: a.log, After: a.sweeper(store)})
}

// sweepEvery is the time between two looks at what is over its time.
const sweepEvery = time.Hour

// sweeper deletes what is over its time, at a start and once an hour.
func (a *App) sweeper(store *clickhouse.Client) func(context.Context) error {
	var last time.Time
	return func(ctx context.Context) error {
		if time.Since(last) < sweepEvery {
			return nil
		}
		holds, err := ReadHolds(ctx, a.client, &a.cfg)
		if err != nil {
			return err
		}
		if err := remover(a.client, &a.cfg, store).Sweep(ctx, time.Now(), retention(&a.cfg), holds); err != nil {
			return err
		}
		last = time.Now()
		return nil
	}
}

func remover(c *kafka.Client, cfg *config.Config, store *clickhouse.Client) *proof.Remover {
	return &proof.Remover{Store: store, Write: func(ctx context.Context, e proof.Entry) error {
		return proof.WriteEntries(ctx, c, cfg.Kafka.Prefix, []proof.Entry{e})
	}}
}

// ReadHolds reads the holds, those that have ended too.
func ReadHolds(ctx context.Context, c *kafka.Client, cfg *config.Config) ([]proof.Hold, error) {
	all, err := lastValues(ctx, c, cfg.Kafka.Prefix+string(schemas.TopicControl), []int32{0}, func(k string) bool { return k == proof.ControlHolds })
	if err != nil {
		return nil, err
	}
	return proof.ReadHolds(all[proof.ControlHolds])
}

var errProofOff = errors.New("proof.enabled is false: ClickHouse itself lets rows expire then, which knows of no hold")

// AddHold keeps what is about an entity, or everything, from being erased or expiring.
func AddHold(ctx context.Context, c *kafka.Client, cfg *config.Config, h proof.Hold) (proof.Hold, error) {
	if !cfg.Proof.Enabled {
		return h, errProofOff
	}
	holds, err := ReadHolds(ctx, c, cfg)
	if err != nil {
		return h, err
	}
	h.ID, h.At = "hold_"+ulid.Make().String(), time.Now().UTC().Truncate(time.Second)
	return h, writeControl(ctx, c, cfg, proof.ControlHolds, append(holds, h), h.By, fmt.Sprintf("hold %s on %s: %s", h.ID, h.Entity, h.Why))
}

// EndHold ends one.
func EndHold(ctx context.Context, c *kafka.Client, cfg *config.Config, id, by, why string) (proof.Hold, error) {
	holds, err := ReadHolds(ctx, c, cfg)
	if err != nil {
		return proof.Hold{}, err
	}
	i := slices.IndexFunc(holds, func(h proof.Hold) bool { return h.ID == id })
	if i < 0 {
		return proof.Hold{}, fmt.Errorf("there is no hold %q: `holdfast hold list` shows them", id)
	}
	h := &holds[i]
	if !h.Ended.IsZero() {
		return *h, fmt.Errorf("the hold %s ended on %s", id, h.Ended.Format(time.RFC3339))
	}
	h.Ended, h.EndBy, h.EndWhy = time.Now().UTC().Truncate(time.Second), by, why
	return *h, writeControl(ctx, c, cfg, proof.ControlHolds, holds, by, fmt.Sprintf("hold %s on %s ended: %s", id, h.Entity, why))
}

// Erase takes away what the audit store has about an account. The operator record of it
// names the erasure and not the account.
func Erase(ctx context.Context, c *kafka.Client, cfg *config.Config, account, by, why string, waiting func()) (*proof.Taken, error) {
	store, err := OpenStore(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	defer func() { _ = store.Close() }()
	holds, err := ReadHolds(ctx, c, cfg)
	if err != nil {
		return nil, err
	}
	r := remover(c, cfg, store)
	r.Waiting = waiting
	out, err := r.Erase(ctx, account, by, why, holds)
	if err != nil || out.ID == "" {
		return out, err
	}
	return out, writeOperator(ctx, c, cfg, schemas.Operator{Actor: by, Act: "erase", Why: why, Item: out.ID})
}

// writeOperator writes down an act that is about no entity.
func writeOperator(ctx context.Context, c *kafka.Client, cfg *config.Config, op schemas.Operator) error {
	op.ID, op.Time = "opr_"+ulid.Make().String(), time.Now().UTC().Truncate(time.Millisecond)
	b, err := json.Marshal(op)
	if err != nil {
		return err
	}
	return c.Write(ctx, kafka.TopicPartition{Topic: cfg.Kafka.Prefix + string(schemas.TopicOperator)}, []kafka.Record{{
		Key: []byte("proof"), Value: b, Time: op.Time.UnixMilli(),
		Headers: []kafka.Header{{Key: schemas.HeaderKind, Value: []byte(schemas.KindOperator)}, {Key: schemas.HeaderID, Value: []byte(op.ID)}},
	}})
}

// CommitRun puts a scope into the log of proof as a run.
func CommitRun(ctx context.Context, c *kafka.Client, cfg *config.Config, store *clickhouse.Client, s *proof.Scope, by, why string) (*proof.Run, error) {
	policies, err := policiesVersion(ctx, c, cfg)
	if err != nil {
		return nil, err
	}
	r := &proof.Run{By: by, Why: why, Code: Version, Policies: policies, Scope: s}
	if err := proof.Commit(ctx, store, remover(c, cfg, store).Write, r); err != nil {
		return nil, err
	}
	return r, writeOperator(ctx, c, cfg, schemas.Operator{Actor: by, Act: "scope " + s.Entity, Why: why, Item: r.ID})
}

// policiesVersion names the policies in control: since when they hold, and their digest.
func policiesVersion(ctx context.Context, c *kafka.Client, cfg *config.Config) (string, error) {
	all, err := ReadVersions(ctx, c, cfg)
	if err != nil {
		return "", err
	}
	var v schemas.Versioned
	if b := all[schemas.ControlPolicies]; b != nil {
		if err := json.Unmarshal(b, &v); err != nil {
			return "", fmt.Errorf("control value %s: %w", schemas.ControlPolicies, err)
		}
	}
	if len(v.Versions) == 0 {
		return "none", nil
	}
	last := v.Versions[len(v.Versions)-1]
	sum := sha256.Sum256(last.Value)
	return fmt.Sprintf("since %s, SHA-256 %x", last.From.UTC().Format(time.RFC3339), sum[:8]), nil
}
