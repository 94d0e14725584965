package proof

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Checkpoint is a signed statement of the whole log (C2SP tlog-checkpoint): its origin,
// how many leaves it has, their root, and as an extension when it was signed.
type Checkpoint struct {
	Origin string
	Size   int64
	Root   tlog.Hash
	Time   time.Time
	Note   []byte // as signed
}

const timeLine = "holdfast-time "

func (c *Checkpoint) text() string {
	return fmt.Sprintf("%s\n%d\n%s\n%s%s\n", c.Origin, c.Size, base64.StdEncoding.EncodeToString(c.Root[:]), timeLine, c.Time.UTC().Format(time.RFC3339))
}

// sign signs it.
func (c *Checkpoint) sign(s note.Signer) error {
	var err error
	c.Note, err = note.Sign(&note.Note{Text: c.text()}, s)
	return err
}

// OpenCheckpoint reads a checkpoint that one of the verifiers' keys has signed.
func OpenCheckpoint(b []byte, v note.Verifier) (*Checkpoint, error) {
	n, err := note.Open(b, note.VerifierList(v))
	if err != nil {
		return nil, fmt.Errorf("the checkpoint is not signed by the key %s: %w", v.Name(), err)
	}
	lines := strings.Split(n.Text, "\n")
	if len(lines) < 4 {
		return nil, errors.New("the checkpoint has fewer than three lines")
	}
	c := &Checkpoint{Origin: lines[0], Note: b}
	if c.Size, err = strconv.ParseInt(lines[1], 10, 64); err != nil || c.Size < 0 {
		return nil, fmt.Errorf("the checkpoint's size %q is no number", lines[1])
	}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		return nil, fmt.Errorf("the checkpoint's root %q is no hash", lines[2])
	}
	copy(c.Root[:], root)
	for _, l := range lines[3:] {
		if s, ok := strings.CutPrefix(l, timeLine); ok {
			if c.Time, err = time.Parse(time.RFC3339, s); err != nil {
				return nil, fmt.Errorf("the checkpoint's time: %w", err)
			}
		}
	}
	if c.Origin != v.Name() {
		return nil, fmt.Errorf("the checkpoint is of the log %q, not %q", c.Origin, v.Name())
	}
	return c, nil
}

// Keys is the key pair that signs checkpoints and certificates: Ed25519, as signed notes
// have it. Its name is the log's origin.
type Keys struct {
	Signer   note.Signer
	Verifier note.Verifier
	Public   string // the verifier's key as text
}

// EnsureKeys reads the key pair from a file, or makes one with the given origin. The
// file is for its owner alone; the public part stands beside it in FILE.pub.
func EnsureKeys(file, origin string) (*Keys, error) {
	k, err := ReadKeys(file)
	if !errors.Is(err, fs.ErrNotExist) {
		return k, err
	}
	private, public, err := note.GenerateKey(rand.Reader, origin)
	if err != nil {
		return nil, fmt.Errorf("proof: make a key: %w", err)
	}
	// The public part first: a private key without it would be useless.
	if err := writeFile(file+".pub", []byte(public+"\n")); err != nil {
		return nil, err
	}
	if err := writeFile(file, []byte(private+"\n")); err != nil {
		return nil, err
	}
	return ReadKeys(file)
}

// ReadKeys reads a key pair.
func ReadKeys(file string) (*Keys, error) {
	private, err := os.ReadFile(file) // #nosec G304 -- the configuration names it
	if err != nil {
		return nil, fmt.Errorf("proof: %w", err)
	}
	s, err := note.NewSigner(strings.TrimSpace(string(private)))
	if err != nil {
		return nil, fmt.Errorf("proof: %s holds no key of a signed note: %w", file, err)
	}
	v, public, err := ReadVerifier(file + ".pub")
	if err != nil {
		return nil, err
	}
	if v.KeyHash() != s.KeyHash() || v.Name() != s.Name() {
		return nil, fmt.Errorf("proof: %s and %s.pub are not of one pair", file, file)
	}
	return &Keys{Signer: s, Verifier: v, Public: public}, nil
}

// ReadVerifier reads a public key from a file.
func ReadVerifier(file string) (note.Verifier, string, error) {
	b, err := os.ReadFile(file) // #nosec G304 -- the configuration or the user names it
	if err != nil {
		return nil, "", fmt.Errorf("proof: %w", err)
	}
	public := strings.TrimSpace(string(b))
	v, err := note.NewVerifier(public)
	if err != nil {
		return nil, "", fmt.Errorf("proof: %s holds no public key of a signed note: %w", file, err)
	}
	return v, public, nil
}
