package clickhouse

import (
	"fmt"
	"io"

	"github.com/ClickHouse/ch-go/compress"
	"github.com/ClickHouse/ch-go/proto"
)

// helloQuery is what clickhouse-go asks first. It decodes the answer at its own
// revision, and everything later at the revision that the answer names: 0, the
// plain Native format that the engine writes.
const helloQuery = "SELECT displayName(), version(), revision(), timezone()"

func writeHello(w io.Writer, clientRevision int, version, timezone string) error {
	var name, ver, zone proto.ColStr
	var revision proto.ColUInt32
	name.Append("holdfast")
	ver.Append(version)
	revision.Append(0)
	zone.Append(timezone)
	columns := []proto.InputColumn{
		{Name: "displayName()", Data: name},
		{Name: "version()", Data: ver},
		{Name: "revision()", Data: revision},
		{Name: "timezone()", Data: zone},
	}
	var buf proto.Buffer
	block := proto.Block{Info: proto.BlockInfo{BucketNum: -1}, Columns: len(columns), Rows: 1}
	if err := block.EncodeBlock(&buf, clientRevision, columns); err != nil {
		return fmt.Errorf("encode hello: %w", err)
	}
	_, err := w.Write(buf.Buf)
	return err
}

// nativeWriter cuts what is written into ClickHouse's own compressed blocks.
type nativeWriter struct {
	to     io.Writer
	writer *compress.Writer
	buf    []byte
}

// nativeBlock is the size of a block before compression, as the server cuts it.
const nativeBlock = 1 << 20

func newNativeWriter(to io.Writer, method compress.Method) *nativeWriter {
	return &nativeWriter{to: to, writer: compress.NewWriter(compress.LevelZero, method)}
}

func (w *nativeWriter) Write(p []byte) (int, error) {
	written := len(p)
	for len(p) > 0 {
		n := min(nativeBlock-len(w.buf), len(p))
		w.buf = append(w.buf, p[:n]...)
		p = p[n:]
		if len(w.buf) == nativeBlock {
			if err := w.Flush(); err != nil {
				return 0, err
			}
		}
	}
	return written, nil
}

func (w *nativeWriter) Flush() error {
	if len(w.buf) == 0 {
		return nil
	}
	if err := w.writer.Compress(w.buf); err != nil {
		return err
	}
	w.buf = w.buf[:0]
	_, err := w.to.Write(w.writer.Data)
	return err
}
