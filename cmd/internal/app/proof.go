package app

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net/http"

	"holdfast/cmd/internal/config"
	"holdfast/ingest/clickhouse"
	"holdfast/ingest/embedded/secret"
	"holdfast/ingest/proof"
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
	}, proof.Deps{Broker: a.client, Store: store, Keys: keys, Targets: targets, Metrics: a.reg, Logger: a.log})
}
