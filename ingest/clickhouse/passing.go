package clickhouse

import (
	"errors"
	"io"
	"net"
	"syscall"

	chgo "github.com/ClickHouse/clickhouse-go/v2"
)

// passing are the codes by which ClickHouse says that it cannot now what it can once
// its disk, memory, files, time or peers allow it.
var passing = map[int32]bool{
	74: true, 75: true, 76: true, // reading, writing and opening files
	159: true, 209: true, 210: true, // timeouts, the network
	202: true, 252: true, // too many queries, too many parts
	225: true, 242: true, 999: true, // its coordinator is away
	236: true,            // aborted, as at a shutdown
	241: true, 243: true, // memory, space on the disk
	1001: true, // an exception of the system's, as of a file system without room
}

// Passing reports whether err is the store being away or short of something, which
// passes by itself, and not its word that something is wrong.
func Passing(err error) bool {
	if e, ok := errors.AsType[*chgo.Exception](err); ok {
		return passing[e.Code]
	}
	if e, ok := errors.AsType[*Refused](err); ok {
		return passing[int32(e.Code)] // #nosec G115 -- the code came as a small number
	}
	_, network := errors.AsType[net.Error](err)
	return network || errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNREFUSED)
}
