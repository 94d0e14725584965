package export

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/parquet-go/parquet-go"

	"holdfast/schemas"
)

const timeFormat = "2006-01-02T15:04:05.000Z"

// lines is NDJSON: an object a line, its members in the table's order.
type lines struct {
	t  schemas.Table
	to *bufio.Writer
}

func newLines(t schemas.Table, to io.Writer) *lines { return &lines{t, bufio.NewWriterSize(to, 1<<16)} }

func (w *lines) Write(r Row) error {
	_ = w.to.WriteByte('{')
	for i, c := range w.t.Columns {
		if i > 0 {
			_ = w.to.WriteByte(',')
		}
		name, err := jsontext.AppendQuote(nil, c.Name)
		if err != nil {
			return err
		}
		_, _ = w.to.Write(append(name, ':'))
		v := r[c.Name]
		switch x := v.(type) {
		case time.Time:
			v = x.Format(timeFormat)
		case netip.Addr:
			if v = any(nil); x.IsValid() {
				v = x.String()
			}
		}
		b, err := json.Marshal(v, jsontext.AllowInvalidUTF8(true))
		if err != nil {
			return fmt.Errorf("export: column %s: %w", c.Name, err)
		}
		_, _ = w.to.Write(b)
	}
	_, err := w.to.WriteString("}\n")
	return err
}

func (w *lines) Close() error { return w.to.Flush() }

// table is CSV (RFC 4180) with a line of names. Lists are JSON. A text that a spreadsheet
// would take for a formula has an apostrophe before it.
type table struct {
	t  schemas.Table
	to *csv.Writer
}

func newCSV(t schemas.Table, to io.Writer) (*table, error) {
	w := &table{t, csv.NewWriter(to)}
	names := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		names[i] = c.Name
	}
	return w, w.to.Write(names)
}

func (w *table) Write(r Row) error {
	out := make([]string, len(w.t.Columns))
	for i, c := range w.t.Columns {
		switch x := r[c.Name].(type) {
		case string:
			if out[i] = x; x != "" && (x[0] == '=' || x[0] == '+' || x[0] == '-' || x[0] == '@' || x[0] == '\t' || x[0] == '\r') {
				out[i] = "'" + x
			}
		case int64:
			out[i] = strconv.FormatInt(x, 10)
		case float64:
			out[i] = strconv.FormatFloat(x, 'g', -1, 64)
		case bool:
			out[i] = strconv.FormatBool(x)
		case time.Time:
			out[i] = x.Format(timeFormat)
		case netip.Addr:
			if x.IsValid() {
				out[i] = x.String()
			}
		default:
			b, err := json.Marshal(x, jsontext.AllowInvalidUTF8(true))
			if err != nil {
				return fmt.Errorf("export: column %s: %w", c.Name, err)
			}
			out[i] = string(b)
		}
	}
	return w.to.Write(out)
}

func (w *table) Close() error {
	w.to.Flush()
	return w.to.Error()
}

// columns is Parquet, packed by zstd. Times are milliseconds in UTC, addresses are texts
// and missing where there is none.
type columns struct {
	names []string // in the file's order
	to    *parquet.GenericWriter[any]
	row   parquet.Row
}

func newParquet(t schemas.Table, to io.Writer) *columns {
	group := parquet.Group{}
	for _, c := range t.Columns {
		group[c.Name] = nodeOf(c.Kind)
	}
	schema := parquet.NewSchema(t.Name, group)
	w := &columns{to: parquet.NewGenericWriter[any](to, schema, parquet.Compression(&parquet.Zstd), parquet.CreatedBy("holdfast", "", ""))}
	for _, path := range schema.Columns() {
		w.names = append(w.names, path[0])
	}
	return w
}

func nodeOf(kind schemas.ColumnKind) parquet.Node {
	switch kind {
	case schemas.ColumnInt32, schemas.ColumnUint32, schemas.ColumnInt64:
		return parquet.Int(64)
	case schemas.ColumnFloat64:
		return parquet.Leaf(parquet.DoubleType)
	case schemas.ColumnBool:
		return parquet.Leaf(parquet.BooleanType)
	case schemas.ColumnTime:
		return parquet.Timestamp(parquet.Millisecond)
	case schemas.ColumnIP:
		return parquet.Optional(parquet.String())
	case schemas.ColumnTexts:
		return parquet.Repeated(parquet.String())
	case schemas.ColumnInts:
		return parquet.Repeated(parquet.Int(64))
	case schemas.ColumnFloats:
		return parquet.Repeated(parquet.Leaf(parquet.DoubleType))
	}
	return parquet.String()
}

func (w *columns) Write(r Row) error {
	w.row = w.row[:0]
	for i, name := range w.names {
		switch x := r[name].(type) {
		case time.Time:
			w.row = append(w.row, parquet.Int64Value(x.UnixMilli()).Level(0, 0, i))
		case netip.Addr:
			if x.IsValid() {
				w.row = append(w.row, parquet.ByteArrayValue([]byte(x.String())).Level(0, 1, i))
			} else {
				w.row = append(w.row, parquet.NullValue().Level(0, 0, i))
			}
		case []string:
			w.list(i, len(x), func(k int) parquet.Value { return parquet.ByteArrayValue([]byte(x[k])) })
		case []int64:
			w.list(i, len(x), func(k int) parquet.Value { return parquet.Int64Value(x[k]) })
		case []float64:
			w.list(i, len(x), func(k int) parquet.Value { return parquet.DoubleValue(x[k]) })
		case string:
			w.row = append(w.row, parquet.ByteArrayValue([]byte(x)).Level(0, 0, i))
		case int64:
			w.row = append(w.row, parquet.Int64Value(x).Level(0, 0, i))
		case float64:
			w.row = append(w.row, parquet.DoubleValue(x).Level(0, 0, i))
		case bool:
			w.row = append(w.row, parquet.BooleanValue(x).Level(0, 0, i))
		default:
			return fmt.Errorf("export: column %s has no value", name)
		}
	}
	n, err := w.to.WriteRows([]parquet.Row{w.row})
	if err == nil && n != 1 {
		err = errors.New("export: a row was not written")
	}
	return err
}

// list appends a list's elements: the first begins it, the others go on.
func (w *columns) list(column, n int, at func(int) parquet.Value) {
	if n == 0 {
		w.row = append(w.row, parquet.NullValue().Level(0, 0, column))
	}
	for k := range n {
		w.row = append(w.row, at(k).Level(min(k, 1), 1, column))
	}
}

func (w *columns) Close() error { return w.to.Close() }
