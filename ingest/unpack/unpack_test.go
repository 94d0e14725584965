package unpack

import (
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

const text = "{\"a\":1}\n{\"a\":2}\n"

func packed(t testing.TB, form string, s string) []byte {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	var err error
	switch form {
	case "gzip":
		w = gzip.NewWriter(&b)
	case "zstd":
		w, err = zstd.NewWriter(&b)
	case "xz":
		w, err = xz.NewWriter(&b)
	}
	if err == nil {
		_, err = io.WriteString(w, s)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// bzipped is the text, by bzip2.
func bzipped(t testing.TB) []byte {
	t.Helper()
	b, err := hex.DecodeString(bzip2Text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// Whatever a file is, its text comes, and no byte that is not of it.
func TestForms(t *testing.T) {
	zip, zeros := packed(t, "gzip", text), make([]byte, 70000)
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"plain":                          {[]byte(text), text},
		"empty":                          {nil, ""},
		"one byte":                       {[]byte("x"), "x"},
		"no newline":                     {[]byte("abc"), "abc"},
		"mark":                           {[]byte("\ufeff" + text), text},
		"a mark alone":                   {[]byte("\ufeff"), ""},
		"two marks":                      {[]byte("\ufeff\ufeff" + text), "\ufeff" + text},
		"the beginning of a mark":        {[]byte("\xef\xbb"), "\xef\xbb"},
		"gzip":                           {zip, text},
		"gzip of nothing":                {packed(t, "gzip", ""), ""},
		"gzip with a mark":               {packed(t, "gzip", "\ufeff"+text), text},
		"gzip, two members":              {join(zip, zip), text + text},
		"gzip, zeros behind":             {join(zip, zeros), text},
		"gzip, zeros between":            {join(zip, zeros[:512], zip, zeros[:3]), text + text},
		"zstd":                           {packed(t, "zstd", text), text},
		"zstd, two frames":               {join(packed(t, "zstd", text), packed(t, "zstd", text)), text + text},
		"xz":                             {packed(t, "xz", text), text},
		"xz, two streams":                {join(packed(t, "xz", text), packed(t, "xz", text)), text + text},
		"bzip2":                          {bzipped(t), text},
		"bzip2, two streams":             {join(bzipped(t), bzipped(t)), text + text},
		"text that begins as a form may": {[]byte("BZ is no form\n"), "BZ is no form\n"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, in := range []io.Reader{bytes.NewReader(c.file), iotest.OneByteReader(bytes.NewReader(c.file)), iotest.DataErrReader(bytes.NewReader(c.file))} {
				r, err := New(in, "file", "replay")
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(r)
				if err != nil || string(got) != c.want {
					t.Fatalf("%.60q of %d bytes: %v", got, len(got), err)
				}
			}
		})
	}
}

// What cannot be read is named, with the command that makes text of it.
func TestErrorsNameTheCommand(t *testing.T) {
	for want, file := range map[string]string{
		"log is zip, which is not read here: unzip -p log | holdfast replay -":                                          "PK\x03\x04xyz",
		"log is lz4, which is not read here: lz4 -dc log | holdfast replay -":                                           "\x04\x22\x4d\x18xyz",
		"log is UTF-16, which is not read here: iconv -f UTF-16 -t UTF-8 log | holdfast replay -":                       "\xff\xfe{\x00\n\x00",
		"log is UTF-16LE, which is not read here: iconv -f UTF-16LE -t UTF-8 log | holdfast replay -":                   "{\x00\n\x00",
		"log is UTF-16BE, which is not read here: iconv -f UTF-16BE -t UTF-8 log | holdfast replay -":                   "\x00{\x00\n",
		"log is UTF-32, which is not read here: iconv -f UTF-32 -t UTF-8 log | holdfast replay -":                       "\xff\xfe\x00\x00{\x00\x00\x00",
		"log is the journal's own form, which is not read here: journalctl -o short-iso --file log | holdfast replay -": "LPKSHHRHxyz",
	} {
		_, err := New(strings.NewReader(file), "log", "replay")
		var e *Error
		if !errors.As(err, &e) || err.Error() != want {
			t.Errorf("%q: %v, want %s", file, err, want)
		}
	}
	if _, err := New(strings.NewReader("PK\x03\x04"), "my 'log'", "import --format sshd"); err == nil || !strings.Contains(err.Error(), `unzip -p 'my '\''log'\''' | holdfast import --format sshd -`) {
		t.Error(err)
	}
	if _, err := New(strings.NewReader("PK\x03\x04"), "-", "replay"); err == nil || !strings.Contains(err.Error(), "… | unzip -p | holdfast replay -") {
		t.Error(err)
	}
}

// What stands before a break comes, and the break is told.
func TestBreaks(t *testing.T) {
	long := strings.Repeat(text, 100_000)
	for _, form := range []string{"gzip", "zstd", "xz"} {
		whole := packed(t, form, long)
		r, err := New(bytes.NewReader(whole[:len(whole)/2]), "file", "replay")
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err == nil || !strings.HasPrefix(long, string(got)) {
			t.Errorf("%s: %d bytes, %v", form, len(got), err)
		}
	}
	r, err := New(bytes.NewReader(join(packed(t, "gzip", text), []byte("no gzip"))), "file", "replay")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); string(got) != text || err == nil || !strings.Contains(err.Error(), "after the last member") {
		t.Errorf("%q: %v", got, err)
	}
	if _, err := New(strings.NewReader("\x1f\x8bno gzip"), "file", "replay"); err == nil || !strings.Contains(err.Error(), "looks like gzip and is not") {
		t.Error(err)
	}
}

// A first line that comes before a second is handed on at once.
func TestWaitsForNoMoreThanALine(t *testing.T) {
	pr, pw := io.Pipe()
	go func() { _, _ = io.WriteString(pw, "{}\n") }()
	r, err := New(pr, "-", "replay")
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 10)
	if n, err := r.Read(b); err != nil || string(b[:n]) != "{}\n" {
		t.Errorf("%q: %v", b[:n], err)
	}
}

func FuzzNew(f *testing.F) {
	for _, form := range []string{"gzip", "zstd", "xz"} {
		f.Add(packed(f, form, text))
	}
	f.Add(bzipped(f))
	f.Add([]byte("\ufeff" + text))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := New(bytes.NewReader(data), "file", "replay")
		if err != nil {
			return
		}
		got, err := io.ReadAll(io.LimitReader(r, 1<<20))
		if !r.Packed && (err != nil || !bytes.HasSuffix(data, got) && len(got) < 1<<20) {
			t.Fatalf("plain text came as %q: %v", got, err)
		}
	})
}

// bzip2Text is the text, as bzip2 -c writes it.
const bzip2Text = "425a6839314159265359229de2e900000659800010100030102000000a2000310c0812807a89c226868be2ee48a70a120453bc5d20"
