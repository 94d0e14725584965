package kafka_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"holdfast/ingest/kafka"
)

func cluster(t *testing.T, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// TestLeadersMove reads and writes while leaders change, with metadata that
// would stay wrong for the length of the test if it were not renewed.
func TestLeadersMove(t *testing.T) {
	k := cluster(t, kfake.NumBrokers(3), kfake.SeedTopics(4, "t"))
	c := newClient(t, k.ListenAddrs(), func(cfg *kafka.Config) { cfg.MetadataTTL = 10 * time.Minute })
	ctx := timeout(t)
	p, err := c.InitProducer(ctx, "mover")
	if err != nil {
		t.Fatal(err)
	}
	positions := make([]kafka.Position, 4)
	for i := range positions {
		positions[i].TopicPartition = kafka.TopicPartition{Topic: "t", Partition: int32(i)}
	}
	for round := range int32(6) {
		for i := range positions {
			if err := k.MoveTopicPartition("t", int32(i), (round+int32(i))%3); err != nil {
				t.Fatal(err)
			}
		}
		for _, pos := range positions {
			if offset, err := c.Produce(ctx, pos.TopicPartition, p, round, values("x")); err != nil || offset != int64(round) {
				t.Fatal(offset, err)
			}
		}
		for i := range positions {
			if err := k.MoveTopicPartition("t", int32(i), (round+int32(i)+1)%3); err != nil {
				t.Fatal(err)
			}
		}
		readOn(t, c, positions, int64(round)+1)
	}
}

// readOn fetches until every position has come to the given offset.
func readOn(t *testing.T, c *kafka.Client, positions []kafka.Position, to int64) {
	t.Helper()
	ctx := timeout(t)
	for behind := true; behind; {
		got, err := c.Fetch(ctx, positions, kafka.FetchOptions{MaxWait: 100 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		behind = false
		for i, f := range got {
			if f.Err != nil && !kafka.Retriable(f.Err) {
				t.Fatal(f.Err)
			}
			if int64(len(f.Records)) != f.Next-positions[i].Offset {
				t.Fatalf("from %s: %s", positions[i], f)
			}
			positions[i].Offset = f.Next
			behind = behind || f.Next < to
		}
	}
}

// TestOneIdleLeaderDelaysNobody waits long on two leaders; only one has news.
func TestOneIdleLeaderDelaysNobody(t *testing.T) {
	k := cluster(t, kfake.NumBrokers(2), kfake.SeedTopics(2, "t"))
	for p := range int32(2) {
		if err := k.MoveTopicPartition("t", p, p); err != nil {
			t.Fatal(err)
		}
	}
	c := newClient(t, k.ListenAddrs())
	busy, idle := kafka.TopicPartition{Topic: "t"}, kafka.TopicPartition{Topic: "t", Partition: 1}
	go func() {
		time.Sleep(100 * time.Millisecond) // after the fetch began; earlier only makes the test weaker
		if err := c.Write(context.WithoutCancel(t.Context()), busy, values("x")); err != nil {
			t.Error(err)
		}
	}()
	start := time.Now()
	got, err := c.Fetch(timeout(t), []kafka.Position{{TopicPartition: idle}, {TopicPartition: busy}}, kafka.FetchOptions{MaxWait: 20 * time.Second})
	if took := time.Since(start); err != nil || len(got[1].Records) != 1 || took > 10*time.Second {
		t.Errorf("after %s: %v, %v", took, got, err)
	}
}

func TestUnreachableBrokers(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().String()
	_ = l.Close()
	c := newClient(t, []string{nobody}, func(cfg *kafka.Config) { cfg.RetryFor = 100 * time.Millisecond })
	tp := kafka.TopicPartition{Topic: "t"}
	if _, err := c.Fetch(timeout(t), []kafka.Position{{TopicPartition: tp}}, kafka.FetchOptions{}); err == nil || !kafka.Retriable(err) {
		t.Errorf("fetching gave %v", err)
	}
	if err := c.Write(timeout(t), tp, values("x")); err == nil || !kafka.Retriable(err) {
		t.Errorf("writing gave %v", err)
	}
}

func TestTLSAndSASL(t *testing.T) {
	server, pool := certificate(t)
	for _, name := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
		t.Run(name, func(t *testing.T) {
			k := cluster(t, kfake.EnableSASL(), kfake.Superuser(name, "holdfast", "secret"),
				kfake.TLS(&tls.Config{Certificates: []tls.Certificate{server}}), kfake.SeedTopics(1, "t"))
			secured := func(password string) func(*kafka.Config) {
				return func(cfg *kafka.Config) {
					m, err := kafka.Mechanism(name, "holdfast", password)
					if err != nil {
						t.Fatal(err)
					}
					cfg.SASL, cfg.TLS, cfg.RetryFor = m, &tls.Config{RootCAs: pool, ServerName: "localhost"}, time.Second
				}
			}
			c := newClient(t, k.ListenAddrs(), secured("secret"))
			tp := kafka.TopicPartition{Topic: "t"}
			if err := c.Write(timeout(t), tp, values("x")); err != nil {
				t.Fatal(err)
			}
			if got := readAll(t, c, tp, kafka.FetchOptions{}); len(got) != 1 {
				t.Errorf("read %d records", len(got))
			}
			g, err := c.Join(timeout(t), kafka.GroupConfig{ID: "g", Topics: []string{"t"}, Lanes: 1})
			if err != nil {
				t.Fatal(err)
			}
			defer g.Close()
			if gen, err := g.Next(timeout(t)); err != nil || len(gen.Lanes) != 1 {
				t.Errorf("%+v, %v", gen, err)
			}
			wrong := newClient(t, k.ListenAddrs(), secured("guess"))
			if _, err := wrong.Partitions(timeout(t), "t"); err == nil {
				t.Error("a wrong password was accepted")
			}
		})
	}
	if _, err := kafka.Mechanism("MD5", "a", "b"); err == nil {
		t.Error("an unknown mechanism was taken")
	}
}

// certificate makes one for localhost that signs itself.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}
