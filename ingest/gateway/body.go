package gateway

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
)

var mediaTypes = []string{"application/x-ndjson", "application/ndjson", "application/jsonl", "application/json", "text/plain", "application/octet-stream"}

// checkMedia refuses bodies that are not NDJSON, plain or gzip.
func checkMedia(h http.Header) *problem {
	if value := h.Get("Content-Type"); value != "" {
		media, _, err := mime.ParseMediaType(value)
		if err != nil || !slices.Contains(mediaTypes, media) {
			return &problem{Status: http.StatusUnsupportedMediaType, Detail: "send one JSON object a line as application/x-ndjson"}
		}
	}
	switch strings.ToLower(h.Get("Content-Encoding")) {
	case "", "identity", "gzip":
		return nil
	}
	return &problem{Status: http.StatusUnsupportedMediaType, Detail: "compress with gzip or not at all"}
}

var errTooMuch = errors.New("the decompressed body is too large")

// body is a request's lines.
type body struct {
	lines  *bufio.Reader
	unpack *gzip.Reader
}

var (
	buffers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 64<<10) }}
	gunzips = sync.Pool{New: func() any { return new(gzip.Reader) }}
)

func (g *Gateway) open(w http.ResponseWriter, r *http.Request) (*body, *problem) {
	if r.ContentLength > g.cfg.MaxBody {
		return nil, g.tooLarge()
	}
	in := io.Reader(http.MaxBytesReader(w, r.Body, g.cfg.MaxBody))
	b := &body{}
	if strings.EqualFold(r.Header.Get("Content-Encoding"), "gzip") {
		b.unpack = gunzips.Get().(*gzip.Reader)
		if err := b.unpack.Reset(in); err != nil {
			b.close()
			return nil, g.unreadable(err)
		}
		in = &bounded{r: b.unpack, left: g.cfg.MaxDecompressed}
	}
	b.lines = buffers.Get().(*bufio.Reader)
	b.lines.Reset(in)
	switch head, _ := b.lines.Peek(3); {
	case bytes.Equal(head, []byte("\xef\xbb\xbf")): // a byte order mark
		_, _ = b.lines.Discard(3)
	case bytes.HasPrefix(head, []byte("\xff\xfe")), bytes.HasPrefix(head, []byte("\xfe\xff")):
		b.close()
		return nil, &problem{Status: http.StatusUnsupportedMediaType, Detail: "the body is UTF-16: encode text as UTF-8"}
	}
	return b, nil
}

func (b *body) close() {
	if b.unpack != nil {
		gunzips.Put(b.unpack)
	}
	if b.lines != nil {
		b.lines.Reset(nil)
		buffers.Put(b.lines)
	}
}

// bounded fails when more than left bytes come.
type bounded struct {
	r    io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, errTooMuch
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left+1)])
	if b.left -= int64(n); b.left < 0 {
		return max(n-1, 0), errTooMuch
	}
	return n, err
}

func (g *Gateway) tooLarge() *problem {
	return &problem{Status: http.StatusRequestEntityTooLarge, Detail: fmt.Sprintf(
		"the body may have %d bytes, %d when decompressed, and %d lines: send it in parts", g.cfg.MaxBody, g.cfg.MaxDecompressed, g.cfg.MaxLines)}
}

// unreadable tells apart why reading a body failed.
func (g *Gateway) unreadable(err error) *problem {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok || errors.Is(err, errTooMuch) {
		return g.tooLarge()
	}
	if errors.Is(err, errSlow) {
		return &problem{Status: http.StatusRequestTimeout, Detail: fmt.Sprintf(
			"the body came more slowly than %d bytes a second, or took longer than %s: send it again, in smaller parts", g.cfg.MinRate, g.cfg.Timeout)}
	}
	return &problem{Status: http.StatusBadRequest, Detail: "the body ends early or is not gzip: send it again whole"}
}
