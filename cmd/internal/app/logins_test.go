package app

import (
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"holdfast/cmd/internal/config"
	"holdfast/ingest/embedded/folder"
	"holdfast/ingest/embedded/secret"
	"holdfast/ingest/kafka/kafkatest"
	"holdfast/schemas"
)

// metadata asks a broker for its topics without logging in.
func metadata(t *testing.T, addr string) error {
	t.Helper()
	transport := &kafka.Transport{}
	defer transport.CloseIdleConnections()
	_, err := (&kafka.Client{Addr: kafka.TCP(addr), Transport: transport}).Metadata(t.Context(), &kafka.MetadataRequest{})
	return err
}

// The first start makes secrets; without them nobody gets in, with them other
// commands do, and so does the next start.
func TestSecretsOfTheFirstStart(t *testing.T) {
	needEngine(t)
	dir := filepath.Join(t.TempDir(), "data")
	var before string
	for range 2 {
		strict := testConfig(t, dir)
		strict.Embedded.Auth = "password"
		a, stop := launch(t, strict, Options{})
		at, err := ReadEndpoints(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range []*Login{at.KafkaLogin, at.ClickHouseLogin, at.ReaderLogin} {
			if l == nil || l.User == "" || len(l.Password) < 40 {
				t.Fatalf("a login is %+v", l)
			}
			info, err := os.Stat(l.PasswordFile)
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: %v, %v", l.PasswordFile, info.Mode(), err)
			}
			written, err := os.ReadFile(filepath.Join(dir, endpointsFile))
			if err != nil || strings.Contains(string(written), l.Password) {
				t.Errorf("endpoints.json holds a password: %v", err)
			}
		}
		if before != "" && before != at.ClickHouseLogin.Password {
			t.Error("the second start made another secret")
		}
		before = at.ClickHouseLogin.Password
		if err := metadata(t, at.Kafka[0]); err == nil {
			t.Error("the broker answers a client that did not log in")
		}
		if code, body := get(t, at.ClickHouseURL+"/?query=SELECT+1"); code != http.StatusForbidden {
			t.Errorf("the audit store answers one that did not log in: %d %s", code, body)
		}
		if code, body := get(t, at.ClickHouseURL+"/?query=SELECT+1&user=reader&password="+at.ReaderLogin.Password); code != http.StatusOK {
			t.Errorf("the read-only user: %d %s", code, body)
		}
		cfg := testConfig(t, dir)
		if _, err := FindRunning(&cfg); err != nil {
			t.Fatal(err)
		}
		client, err := Connect(&cfg, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if in, err := ReadInstallation(t.Context(), client, &cfg); err != nil || in.ID != a.install.ID {
			t.Errorf("another command reads installation %s, %v", in.ID, err)
		}
		client.Close()
		store, err := OpenStore(&cfg, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		within(t, time.Minute, "another command at the audit store is refused", func() bool { return store.Ping(t.Context()) == nil })
		_ = store.Close()
		stop()
	}
}

// By embedded.auth: peer, the default, processes of this user need no password. One that
// gives a wrong password is refused all the same.
func TestPeersNeedNoPassword(t *testing.T) {
	needEngine(t)
	cfg := testConfig(t, filepath.Join(t.TempDir(), "data"))
	a, _ := launch(t, cfg, Options{})
	at := a.Endpoints()
	if err := metadata(t, at.Kafka[0]); err != nil {
		t.Errorf("the broker: %v", err)
	}
	for login, want := range map[string]int{"": http.StatusOK, "&user=default": http.StatusOK, "&user=default&password=any": http.StatusForbidden, "&user=reader": http.StatusForbidden} {
		if code, body := get(t, at.ClickHouseURL+"/?query=SELECT+1"+login); code != want {
			t.Errorf("%q at the audit store: %d %s", login, code, body)
		}
	}
}

// A data folder that others can open is not started on, and the line says what to do.
func TestAnOpenDataFolderIsRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	if err := errors.Join(os.MkdirAll(secret.Dir(dir), 0o700), os.Chmod(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	a, err := New(testConfig(t, dir), Options{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Run(t.Context()); !errors.Is(err, folder.ErrOpen) || !strings.Contains(err.Error(), "chmod 700 "+dir) {
		t.Errorf("started on it: %v", err)
	}
	cfg := testConfig(t, dir)
	if found := Check(&cfg, config.Places{}, nil, CheckOptions{}); !strings.Contains(errors.Join(found...).Error(), "chmod 700") {
		t.Errorf("the check finds %v", found)
	}
}

// Processes that find no installation each write one, and agree on the first.
func TestInstallationsWrittenAtOnce(t *testing.T) {
	brokers := kafkatest.Embedded(t)
	cfg := testConfig(t, t.TempDir())
	cfg.Kafka.Brokers = brokers
	client, err := Connect(&cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := CreateTopics(t.Context(), client, &cfg); err != nil {
		t.Fatal(err)
	}
	got := make([]schemas.Installation, 8)
	var all sync.WaitGroup
	for i := range got {
		all.Go(func() {
			var err error
			if got[i], err = EnsureInstallation(t.Context(), client, &cfg); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, in := range got {
		if in.ID != got[0].ID || in.LogID != got[0].LogID || string(in.HashSecret) != string(got[0].HashSecret) {
			t.Fatalf("processes work under installations %s and %s", in.ID, got[0].ID)
		}
	}
	last, err := lastValues(t.Context(), client, cfg.Kafka.Prefix+string(schemas.TopicControl), []int32{0}, func(k string) bool { return k == schemas.ControlInstallation })
	if err != nil || !strings.Contains(string(last[schemas.ControlInstallation]), got[0].ID) {
		t.Errorf("what compaction keeps is %s, %v", last[schemas.ControlInstallation], err)
	}
}
