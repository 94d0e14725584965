package clickhouse

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"syscall"

	"holdfast/ingest/embedded/chdb"
)

// ClickHouse's own error codes, as far as they are given here.
const (
	codeBadArguments    = 36
	codeNotImplemented  = 48
	codeSyntax          = 62
	codeUnknownSetting  = 115
	codeTooManyQueries  = 202
	codeTooLarge        = 307
	codeAuthentication  = 516
	codeCannotReadInput = 23
	codeCannotWrite     = 75
	codeNotEnoughSpace  = 243
	codeNoAnswer        = 1002
	codeReadOnly        = 164
	codeQuota           = 201
	codeFixedSetting    = 452
	codeDenied          = 497
)

// fault is a refusal in ClickHouse's words: a code, its name and a text.
type fault struct {
	code int
	text string
}

func (f *fault) Error() string { return f.text }

// refuse makes a refusal that looks as the server's own do.
func refuse(code int, name, format string, args ...any) *fault {
	return &fault{code: code, text: fmt.Sprintf("Code: %d. DB::Exception: %s. (%s)", code, fmt.Sprintf(format, args...), name)}
}

// fileFault is a fault of this machine's files, not of the client or of its rows.
type fileFault struct{ error }

func (f fileFault) Unwrap() error { return f.error }

// asFault turns what the engine said into a refusal with its code.
func asFault(err error) *fault {
	var f *fault
	if errors.As(err, &f) {
		return f
	}
	var engine *chdb.Error
	if errors.As(err, &engine) {
		return &fault{code: codeOf(engine.Text), text: strings.TrimRight(engine.Text, "\n")}
	}
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return refuse(codeTooLarge, "TOO_MANY_BYTES", "the request is larger than %d bytes; send it in parts", large.Limit)
	}
	var file fileFault
	if errors.As(err, &file) {
		if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
			return refuse(codeNotEnoughSpace, "NOT_ENOUGH_SPACE", "%v: make room on the file system of the data folder", err)
		}
		return refuse(codeCannotWrite, "CANNOT_WRITE_TO_FILE_DESCRIPTOR", "%v", err)
	}
	return refuse(codeCannotReadInput, "CANNOT_READ_FROM_ISTREAM", "%v", err)
}

// codeOf reads the number in "Code: 60. DB::Exception: …".
func codeOf(text string) int {
	rest, ok := strings.CutPrefix(text, "Code: ")
	if !ok {
		return codeNoAnswer
	}
	digits, _, _ := strings.Cut(rest, ".")
	code, err := strconv.Atoi(digits)
	if err != nil {
		return codeNoAnswer
	}
	return code
}

// status is the HTTP status that the ClickHouse server gives with a code.
func status(code int) int {
	switch code {
	case codeAuthentication, codeDenied, 192, 193, 194: // wrong or missing password, no right, unknown user
		return http.StatusForbidden
	case 6, 25, 26, 27, 28, 38, 41, 42, 43, 44, 53, 69, 70, 72, 117, 386, 467, // cannot parse, wrong types
		codeBadArguments, codeSyntax, 63, 158, codeReadOnly, 168, 306, 396, codeFixedSetting, 456, 457:
		return http.StatusBadRequest
	case 16, 46, 47, 50, 56, 60, 73, 81, codeUnknownSetting, 218: // unknown column, function, identifier, type, engine, table, format, database, setting
		return http.StatusNotFound
	case 78: // unknown type of query
		return http.StatusNotFound
	case codeTooLarge:
		return http.StatusRequestEntityTooLarge
	case codeNotImplemented:
		return http.StatusNotImplemented
	case 209, 159: // socket timeout, timeout exceeded
		return http.StatusRequestTimeout
	case codeQuota:
		return http.StatusTooManyRequests
	case codeTooManyQueries, 439:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}
