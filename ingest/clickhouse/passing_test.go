package clickhouse

import (
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"

	chgo "github.com/ClickHouse/clickhouse-go/v2"

	embedded "holdfast/ingest/embedded/clickhouse"
	"holdfast/ingest/embedded/clickhouse/clickhousetest"
)

func TestPassing(t *testing.T) {
	for _, err := range []error{
		io.EOF, syscall.ECONNREFUSED, &net.OpError{Op: "dial", Err: errors.New("no route")},
		&chgo.Exception{Code: 243}, &chgo.HTTPError{StatusCode: 500, Err: &chgo.Exception{Code: 241}}, &Refused{Code: 252},
	} {
		if !Passing(fmt.Errorf("noting migration 6: %w", err)) {
			t.Errorf("%v does not pass", err)
		}
	}
	for _, err := range []error{nil, errors.New("x"), ErrNewerStore, &chgo.HTTPError{StatusCode: 404, Err: &chgo.Exception{Code: 60}}, &Refused{Code: 62}, &Refused{}} {
		if Passing(err) {
			t.Errorf("%v passes", err)
		}
	}
}

// A disk that is full while the store is migrated is no reason to give up: once there is
// room, the next try goes on.
func TestMigrateOnAFullDisk(t *testing.T) {
	dir := clickhousetest.SmallDisk(t, "64")
	c := openAt(t, clickhousetest.Supervise(t, embedded.Config{Dir: dir}).Addr())
	empty := clickhousetest.Fill(t, dir)
	if _, err := Migrate(t.Context(), c, MigrateOptions{}); err == nil || !Passing(err) {
		t.Errorf("on a full disk: %v, want an error that passes", err)
	}
	empty()
	if _, err := Migrate(t.Context(), c, MigrateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := Check(t.Context(), c); err != nil {
		t.Error(err)
	}
}
