// Package unpack opens files of text as they come: plain, or compressed by gzip,
// zstd, bzip2 or xz, told by their first bytes and never by their names.
//
// It promises that the bytes read are the text: a byte order mark at its beginning is
// passed over, and so are zeros behind the last member of a gzip file, which tapes and
// block devices leave. What it cannot unpack, or is not UTF-8 text at all, is an error
// that names what the file is and the command that makes text of it.
package unpack

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// Reader reads the text of one file. It holds no resource that has to be closed.
type Reader struct {
	io.Reader
	// Packed says that the file is compressed.
	Packed bool
}

// form is a kind of file, known by how it begins.
type form struct {
	magic string
	name  string
	open  func(io.Reader) (io.Reader, error) // nil: it cannot be unpacked here
	text  string                             // the command that writes its text
}

var forms = []form{
	{"\x1f\x8b", "gzip", gunzip, "gzip -dc"},
	{"\x28\xb5\x2f\xfd", "zstd", unzstd, "zstd -dc"},
	{"BZh", "bzip2", unbzip2, "bzip2 -dc"},
	{"\xfd7zXZ\x00", "xz", unxz, "xz -dc"},
	{"PK\x03\x04", "zip", nil, "unzip -p"},
	{"7z\xbc\xaf\x27\x1c", "7z", nil, "7z x -so"},
	{"\x04\x22\x4d\x18", "lz4", nil, "lz4 -dc"},
	{"LZIP", "lzip", nil, "lzip -dc"},
	{"\x5d\x00\x00", "lzma", nil, "xz --format=lzma -dc"},
	{"\x1f\x9d", "compress", nil, "uncompress -c"},
	{"\x1f\xa0", "compress", nil, "uncompress -c"},
	{"Rar!", "rar", nil, "unrar p -inul"},
	{"\xff\x06\x00\x00sNaP", "snappy", nil, "snzip -dc"},
	{"LPKSHHRH", "the journal's own form", nil, "journalctl -o short-iso --file"},
}

// blockSize is how much of a compressed file is read at once.
const blockSize = 64 << 10

// maxWindow bounds the memory that a zstd file can ask for.
const maxWindow = 128 << 20

// New looks at how in begins. name stands in errors; args are those of the command that
// the text could be piped into, such as "replay".
func New(in io.Reader, name, args string) (*Reader, error) {
	br := bufio.NewReader(in) // small, so that large reads of plain text go around it
	if f := formOf(br); f != nil {
		if f.open == nil {
			return nil, &Error{Name: name, Form: f.name, Command: f.text, Args: args}
		}
		plain, err := f.open(bufio.NewReaderSize(br, blockSize))
		if err != nil {
			return nil, fmt.Errorf("%s looks like %s and is not: %w", name, f.name, err)
		}
		text := bufio.NewReaderSize(plain, 4096)
		if err := mark(text, name, args); err != nil {
			return nil, err
		}
		return &Reader{text, true}, nil
	}
	if err := mark(br, name, args); err != nil {
		return nil, err
	}
	return &Reader{br, false}, nil
}

// formOf waits for no more bytes than it needs: a first line may come before a second.
func formOf(br *bufio.Reader) *form {
	first, _ := br.Peek(1)
	if len(first) == 0 {
		return nil
	}
	for i := range forms {
		if forms[i].magic[0] != first[0] {
			continue
		}
		if head, _ := br.Peek(len(forms[i].magic)); string(head) == forms[i].magic {
			return &forms[i]
		}
	}
	return nil
}

// mark passes over a byte order mark, and refuses text that is not UTF-8.
func mark(br *bufio.Reader, name, args string) error {
	head, _ := br.Peek(1)
	if len(head) == 0 {
		return nil
	}
	switch head[0] {
	case 0xef:
		if head, _ = br.Peek(3); string(head) == "\xef\xbb\xbf" {
			_, _ = br.Discard(3)
		}
		return nil
	case 0xff, 0xfe, 0:
		head, _ = br.Peek(4)
	default:
		if head, _ = br.Peek(2); len(head) == 2 && head[1] == 0 {
			head, _ = br.Peek(4)
		}
	}
	if encoding := encodingOf(head); encoding != "" {
		return &Error{Name: name, Form: encoding, Command: "iconv -f " + encoding + " -t UTF-8", Args: args}
	}
	return nil
}

// encodingOf tells UTF-16 and UTF-32 by their marks, or by a first letter's zeros.
func encodingOf(head []byte) string {
	switch {
	case bytes.HasPrefix(head, []byte("\xff\xfe\x00\x00")), bytes.HasPrefix(head, []byte("\x00\x00\xfe\xff")):
		return "UTF-32"
	case bytes.HasPrefix(head, []byte("\xff\xfe")), bytes.HasPrefix(head, []byte("\xfe\xff")):
		return "UTF-16"
	case len(head) == 4 && head[0] != 0 && head[1] == 0 && head[2] != 0 && head[3] == 0:
		return "UTF-16LE"
	case len(head) == 4 && head[0] == 0 && head[1] != 0 && head[2] == 0 && head[3] != 0:
		return "UTF-16BE"
	}
	return ""
}

// Error is a file whose text cannot be read here.
type Error struct {
	Name    string
	Form    string // what it is
	Command string // what writes its text
	Args    string // of holdfast
}

func (e *Error) Error() string {
	name := quote(e.Name)
	if e.Name == "-" {
		return fmt.Sprintf("standard input is %s, which is not read here: write its text, … | %s | holdfast %s -", e.Form, e.Command, e.Args)
	}
	return fmt.Sprintf("%s is %s, which is not read here: %s %s | holdfast %s -", e.Name, e.Form, e.Command, name, e.Args)
}

// quote makes a name one word of a shell.
func quote(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./,:=@%+-") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

func unbzip2(in io.Reader) (io.Reader, error) { return bzip2.NewReader(in), nil }

func unxz(in io.Reader) (io.Reader, error) { return xz.NewReader(in) }

func unzstd(in io.Reader) (io.Reader, error) {
	z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return nil, err
	}
	return z, nil
}

// members reads a gzip file's members one after the other.
type members struct {
	z  *gzip.Reader
	in *bufio.Reader
}

func gunzip(in io.Reader) (io.Reader, error) {
	m := &members{in: bufio.NewReader(in)}
	if br, ok := in.(*bufio.Reader); ok {
		m.in = br
	}
	var err error
	if m.z, err = gzip.NewReader(m.in); err != nil {
		return nil, err
	}
	m.z.Multistream(false)
	return m, nil
}

// Read passes over zeros between and behind members.
func (m *members) Read(p []byte) (int, error) {
	for {
		n, err := m.z.Read(p)
		if !errors.Is(err, io.EOF) || n > 0 {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return n, err
		}
		if err := m.next(); err != nil {
			return 0, err
		}
	}
}

// next begins the next member, or returns io.EOF where there is none.
func (m *members) next() error {
	for {
		b, err := m.in.ReadByte()
		if err != nil {
			return err
		}
		if b != 0 {
			_ = m.in.UnreadByte()
			break
		}
	}
	if err := m.z.Reset(m.in); err != nil {
		return fmt.Errorf("data after the last member of the gzip file is not gzip: %w", err)
	}
	m.z.Multistream(false)
	return nil
}
