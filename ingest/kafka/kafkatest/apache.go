package kafkatest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
)

// BrokersVariable names brokers, separated by commas, that tests use instead of
// starting Apache Kafka themselves.
const BrokersVariable = "HOLDFAST_TEST_KAFKA"

// errMissing says that this machine lacks what Apache Kafka needs.
var errMissing = errors.New("Apache Kafka cannot be started here")

var apache struct {
	once    sync.Once
	brokers []string
	err     error
}

// Apache returns a running Apache Kafka, which the first call in a test process
// starts and the end of the process stops.
func Apache(tb testing.TB) []string {
	tb.Helper()
	apache.once.Do(func() { apache.brokers, apache.err = startApache() })
	switch {
	case errors.Is(apache.err, errMissing) && os.Getenv("CI") != "true":
		tb.Skip(apache.err)
	case apache.err != nil:
		tb.Fatal(apache.err)
	}
	return apache.brokers
}

func startApache() ([]string, error) {
	if brokers := os.Getenv(BrokersVariable); brokers != "" {
		return strings.Split(brokers, ","), nil
	}
	for name, pack := range map[string]string{"java": "openjdk-17-jre-headless", "mvn": "maven"} {
		if _, err := exec.LookPath(name); err != nil {
			return nil, fmt.Errorf("%w: %s is missing; install it (Debian: %s), or name a running broker in %s", errMissing, name, pack, BrokersVariable)
		}
	}
	script, err := scriptPath()
	if err != nil {
		return nil, err
	}
	removeLeftovers()
	dir := filepath.Join(os.TempDir(), leftoverPrefix+strconv.Itoa(os.Getpid()))
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	controller, err := freePort()
	if err != nil {
		return nil, err
	}
	broker := "127.0.0.1:" + strconv.Itoa(port)
	ended, output := run(script, "--dir", dir, "--port", strconv.Itoa(port), "--controller-port", strconv.Itoa(controller))
	if err := waitReady(broker, ended); err != nil {
		return nil, fmt.Errorf("Apache Kafka (%s): %w\n%s", script, err, output)
	}
	return []string{broker}, nil
}

// run starts the script, which becomes the broker, in such a way that it ends
// when this process does, however that happens.
func run(script string, args ...string) (<-chan error, *tail) {
	output, ended := new(tail), make(chan error, 1)
	go func() {
		// The kernel sends the signal when the thread that started the
		// process ends, so the thread stays with this goroutine for good.
		runtime.LockOSThread()
		cmd := exec.Command(script, args...)
		cmd.Env = append(os.Environ(), "KAFKA_HEAP_OPTS=-Xms256m -Xmx512m")
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
		cmd.Stdout, cmd.Stderr = output, output
		ended <- cmd.Run()
	}()
	return ended, output
}

func waitReady(broker string, ended <-chan error) error {
	deadline := time.Now().Add(3 * time.Minute) // the first time fetches 43 MB
	for time.Now().Before(deadline) {
		select {
		case err := <-ended:
			return fmt.Errorf("ended before it answered: %w", err)
		case <-time.After(100 * time.Millisecond):
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		conn, err := kafka.DialContext(ctx, "tcp", broker)
		cancel()
		if err != nil {
			continue
		}
		_, err = conn.Brokers()
		_ = conn.Close()
		if err == nil {
			return nil
		}
	}
	return errors.New("did not answer within three minutes")
}

const leftoverPrefix = "holdfast-kafkatest-"

// removeLeftovers removes the data folders of test processes that have ended.
func removeLeftovers() {
	dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), leftoverPrefix+"*"))
	for _, dir := range dirs {
		pid, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(dir), leftoverPrefix))
		if err == nil && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			_ = os.RemoveAll(dir)
		}
	}
}

// scriptPath finds deploy/kafka/start-kafka.sh from a test's folder upwards.
func scriptPath() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		path := filepath.Join(dir, "deploy", "kafka", "start-kafka.sh")
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("deploy/kafka/start-kafka.sh stands in none of the folders above this test")
		}
		dir = parent
	}
}

// tail keeps the last bytes that a process wrote.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

func (t *tail) Write(p []byte) (int, error) {
	const keep = 8 << 10
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if len(t.buf) > keep {
		t.buf = bytes.Clone(t.buf[len(t.buf)-keep:])
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.buf)
}
