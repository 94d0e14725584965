package proof

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"time"
)

// Target takes checkpoints away to where whoever runs Holdfast cannot change them.
type Target interface {
	// Put stores a checkpoint for good; it may be called again with the same one.
	Put(ctx context.Context, c *Checkpoint) error
	String() string
}

// Folder is a target on a file system: a mount that only grows, a medium that is taken
// out. Each checkpoint is a file named for its size, and the newest is "checkpoint".
type Folder struct{ Dir string }

// Put writes the files.
func (f Folder) Put(_ context.Context, c *Checkpoint) error {
	if err := writeFile(filepath.Join(f.Dir, name(c)), c.Note); err != nil {
		return err
	}
	return writeFile(filepath.Join(f.Dir, "checkpoint"), c.Note)
}

func (f Folder) String() string { return f.Dir }

func name(c *Checkpoint) string { return fmt.Sprintf("checkpoint.%012d", c.Size) }

// Web is a target that takes PUT, as object stores do: one object for each checkpoint,
// beneath URL. With a bucket that keeps versions or locks objects nobody can replace one.
type Web struct {
	URL    string
	Token  func() (string, error) // bearer token, where one is needed
	Client *http.Client
}

// Put sends the object.
func (w Web) Put(ctx context.Context, c *Checkpoint) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, strings.TrimSuffix(w.URL, "/")+"/"+name(c), bytes.NewReader(c.Note))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "text/plain; charset=utf-8")
	if w.Token != nil {
		t, err := w.Token()
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "Bearer "+t)
	}
	resp, err := w.Client.Do(req)
	if err != nil {
		return fmt.Errorf("send a checkpoint: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("send a checkpoint: %s answers %s", w, resp.Status)
	}
	return nil
}

// String leaves out what may be secret in the address.
func (w Web) String() string {
	u, err := url.Parse(w.URL)
	if err != nil {
		return "an address that cannot be read"
	}
	return u.Scheme + "://" + u.Host + u.Path
}
