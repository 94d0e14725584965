package kafkatest

import (
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
	"go.uber.org/goleak"
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
	controller := port
	for controller == port {
		if controller, err = freePort(); err != nil {
			return nil, err
		}
	}
	broker := "127.0.0.1:" + strconv.Itoa(port)
	ended, err := run(script, dir+".log", "--dir", dir, "--port", strconv.Itoa(port), "--controller-port", strconv.Itoa(controller))
	if err != nil {
		return nil, err
	}
	if err := waitReady(broker, ended); err != nil {
		output, _ := os.ReadFile(dir + ".log")
		return nil, fmt.Errorf("Apache Kafka (%s): %w\n%s", script, err, output[max(0, len(output)-8192):])
	}
	return []string{broker}, nil
}

// run starts the script, which becomes the broker, in such a way that it ends
// when this process does, however that happens.
func run(script, log string, args ...string) (<-chan error, error) {
	output, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go keep(script, args, output, ended)
	return ended, nil
}

// keep stays with the process. The kernel ends it when the thread that started it
// ends, so that thread stays with this goroutine.
func keep(script string, args []string, output *os.File, ended chan<- error) {
	runtime.LockOSThread()
	cmd := exec.CommandContext(context.Background(), script, args...)
	cmd.Env = append(os.Environ(), "KAFKA_HEAP_OPTS=-Xms256m -Xmx512m")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	cmd.Stdout, cmd.Stderr = output, output
	ended <- cmd.Run()
}

// IgnoreApache lets goleak pass over the goroutine that stays with Apache Kafka
// until the test process ends.
func IgnoreApache() goleak.Option {
	return goleak.IgnoreAnyFunction("holdfast/ingest/kafka/kafkatest.keep")
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
		pid, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(filepath.Base(dir), leftoverPrefix), ".log"))
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
			return "", errors.New("deploy/kafka/start-kafka.sh is in none of the folders above this test")
		}
		dir = parent
	}
}
