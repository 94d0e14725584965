// Package chdb loads the ClickHouse engine as a shared library (libchdb.so) and
// runs statements on it, without cgo.
//
// An Engine is one data folder, opened once in a process and held until the
// process ends: the library keeps a single engine and shutting it down and
// starting it again in one process is not safe. Statements run on sessions; a
// session runs one statement at a time, several sessions run side by side, and
// what one of them sets holds for it alone.
//
// The library is C++ inside this process: a fault in it ends the process. That
// is why only the ClickHouse child process loads it. Its own handlers for deadly
// signals are switched off (they sleep for minutes before the process ends) and
// Go's are put back after each call that resets them.
package chdb

import (
	"errors"
	"fmt"
	"sync"
	"unsafe"

	"github.com/ebitengine/purego"
)

// library holds the entry points of libchdb.so that are used.
type library struct {
	connect           func(argc int32, argv unsafe.Pointer) unsafe.Pointer
	closeConn         func(conn unsafe.Pointer)
	queryParams       func(conn, query unsafe.Pointer, queryLen uintptr, format unsafe.Pointer, formatLen uintptr, names, nameLens, values, valueLens unsafe.Pointer, n uintptr) unsafe.Pointer
	streamParams      func(conn, query unsafe.Pointer, queryLen uintptr, format unsafe.Pointer, formatLen uintptr, names, nameLens, values, valueLens unsafe.Pointer, n uintptr) unsafe.Pointer
	streamFetch       func(conn, stream unsafe.Pointer) unsafe.Pointer
	streamCancel      func(conn, stream unsafe.Pointer)
	destroy           func(result unsafe.Pointer)
	buffer            func(result unsafe.Pointer) unsafe.Pointer
	length            func(result unsafe.Pointer) uintptr
	errorText         func(result unsafe.Pointer) unsafe.Pointer
	rowsRead          func(result unsafe.Pointer) uint64
	storageRowsRead   func(result unsafe.Pointer) uint64
	storageBytesRead  func(result unsafe.Pointer) uint64
	rowsWritten       func(result unsafe.Pointer) uint64
	bytesWritten      func(result unsafe.Pointer) uint64
	setSignalHandlers func(enabled int32)
}

// load opens the library and binds every entry point; a missing one is an error
// that names it, because it means another version of the library.
func load(path string) (lib *library, err error) {
	handle, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, fmt.Errorf("chdb: load %s: %w (run `make setup` to fetch it again)", path, err)
	}
	lib = new(library)
	for name, fn := range map[string]any{
		"chdb_connect":                     &lib.connect,
		"chdb_close_conn":                  &lib.closeConn,
		"chdb_query_with_params_n":         &lib.queryParams,
		"chdb_stream_query_with_params_n":  &lib.streamParams,
		"chdb_stream_fetch_result":         &lib.streamFetch,
		"chdb_stream_cancel_query":         &lib.streamCancel,
		"chdb_destroy_query_result":        &lib.destroy,
		"chdb_result_buffer":               &lib.buffer,
		"chdb_result_length":               &lib.length,
		"chdb_result_error":                &lib.errorText,
		"chdb_result_rows_read":            &lib.rowsRead,
		"chdb_result_storage_rows_read":    &lib.storageRowsRead,
		"chdb_result_storage_bytes_read":   &lib.storageBytesRead,
		"chdb_result_rows_written":         &lib.rowsWritten,
		"chdb_result_bytes_written":        &lib.bytesWritten,
		"chdb_set_signal_handlers_enabled": &lib.setSignalHandlers,
	} {
		symbol, err := purego.Dlsym(handle, name)
		if err != nil {
			return nil, fmt.Errorf("chdb: %s has no %s: it is another version than the one this program was built for; run `make setup`: %w", path, name, err)
		}
		purego.RegisterFunc(fn, symbol)
	}
	return lib, nil
}

// Engine is an open data folder.
type Engine struct {
	lib  *library
	args []string // of every connection

	mu    sync.Mutex // opening and closing sessions, which touch signal handlers
	first *Session   // held to the end: the last session to close stops the engine
}

var (
	opened   sync.Mutex
	isOpened bool
)

// Open loads the library at lib and opens the data folder dir with it, with the
// server settings of a ClickHouse configuration file unless config is empty. A
// process can do this once.
func Open(lib, dir, config string) (*Engine, error) {
	opened.Lock()
	defer opened.Unlock()
	if isOpened {
		return nil, errors.New("chdb: this process has opened an engine already; it can hold only one")
	}
	l, err := load(lib)
	if err != nil {
		return nil, err
	}
	isOpened = true
	e := &Engine{lib: l, args: []string{"clickhouse", "--path=" + dir}}
	if config != "" {
		e.args = append(e.args, "--config-file="+config)
	}
	saved := saveSignals()
	l.setSignalHandlers(0)
	saved.restore()
	if e.first, err = e.Session(); err != nil {
		return nil, fmt.Errorf("chdb: open data folder %s: %w", dir, err)
	}
	return e, nil
}

// Close ends the engine: it writes what it still holds and lets go of the folder.
// Every other session must have been closed.
func (e *Engine) Close() {
	e.first.Close()
}
