package proof

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Certificate says to one account whether an incident reached it, what was looked at and
// what could not be. It can be checked with the log's public key alone: the statement is
// in the tree of a run, the run is a leaf of the log, the log is that of a signed
// checkpoint. So nobody can be told something else later, and no two customers different
// things of one run.
type Certificate struct {
	Account  string    `json:"account"`
	Result   string    `json:"result"`
	Entity   string    `json:"entity"`
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
	Run      string    `json:"run"`
	Time     time.Time `json:"time"`
	Query    string    `json:"query"`
	Code     string    `json:"code"`
	Policies string    `json:"policies"`
	Reached  int       `json:"reached"`
	Accounts int       `json:"accounts"`
	Bulk     int64     `json:"bulk"`
	Blind    int64     `json:"blind"`
	Covered  []Covered `json:"covered"`
	Gaps     []string  `json:"gaps"`

	Leaf       string      `json:"leaf"` // the run's, as it stands in the log
	Index      int64       `json:"index"`
	Size       int64       `json:"size"`
	Proof      []tlog.Hash `json:"proof"` // of the leaf in the log
	Checkpoint string      `json:"checkpoint"`
	Number     int64       `json:"number"` // of the statement in the run
	Salt       Hash        `json:"salt"`
	Statement  []tlog.Hash `json:"statement"` // proof of the statement in the run
}

const dataLine = "data "

// text is what is signed: the face, for people, and all of it in one line of JSON.
func (c *Certificate) text() (string, error) {
	b, err := json.Marshal(c, json.Deterministic(true))
	if err != nil {
		return "", err
	}
	var out strings.Builder
	say := func(format string, a ...any) { fmt.Fprintf(&out, format+"\n", a...) }
	line := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	say("holdfast certificate")
	say("account %s: %s", line(c.Account), c.Result)
	say("incident: what %s reached from %s to %s", line(c.Entity), c.From.Format(time.RFC3339), c.To.Format(time.RFC3339))
	share := 0.0
	if c.Accounts > 0 {
		share = float64(c.Reached) / float64(c.Accounts) * 100
	}
	say("reached: %d of %d accounts (%.1f %%); %d reads of many, %d of them name no account", c.Reached, c.Accounts, share, c.Bulk, c.Blind)
	say("run %s of %s, Holdfast %s, policies %s", c.Run, c.Time.Format(time.RFC3339), line(c.Code), line(c.Policies))
	say("query: %s", line(c.Query))
	for _, x := range c.Covered {
		say("covered: %s/%d, offsets %d to %d, arrived from %s to %s", x.Topic, x.Partition, x.From, x.To-1, x.Since.Format(time.RFC3339), x.Until.Format(time.RFC3339))
	}
	for _, g := range c.Gaps {
		say("not covered: %s", line(g))
	}
	if len(c.Gaps) == 0 {
		say("not covered: no gap is known")
	}
	out.WriteString(dataLine + string(b) + "\n")
	return out.String(), nil
}

// ErrNotYet says that no checkpoint covers the run yet.
var ErrNotYet = errors.New("no checkpoint covers the run yet; one is signed each minute")

// Certify makes the certificate of a run for one account, from the log in a folder.
func Certify(r *Run, seed Seed, e *Entry, account, dir string, keys *Keys) ([]byte, error) {
	number, ok := slices.BinarySearch(r.All, account)
	if !ok {
		return nil, fmt.Errorf("no event before %s names the account %q: nothing can be certified of it", r.Scope.To.Format(time.RFC3339), account)
	}
	leaf, err := e.Bytes()
	if err != nil {
		return nil, err
	}
	b, err := os.ReadFile(filepath.Join(dir, checkpointFile)) // #nosec G304 -- the operator's folder
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotYet, err)
	}
	cp, err := OpenCheckpoint(b, keys.Verifier)
	if err != nil {
		return nil, err
	}
	index := int64(-1)
	err = Leaves(dir, 0, cp.Size, func(n int64, l []byte) error {
		if string(l) == string(leaf) {
			index = n
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if index < 0 {
		return nil, ErrNotYet
	}
	tree, err := OpenTree(dir)
	if err != nil {
		return nil, err
	}
	proof, err := tlog.ProveRecord(cp.Size, index, tree)
	if err != nil {
		return nil, fmt.Errorf("proof: %w", err)
	}
	at, commitments := r.commitments(seed)
	statements, err := batchTree(at, commitments)
	if err != nil {
		return nil, err
	}
	statement, err := tlog.ProveRecord(int64(len(at)), int64(number), statements)
	if err != nil {
		return nil, fmt.Errorf("proof: %w", err)
	}
	c := &Certificate{
		Account: account, Result: r.Result(account), Entity: r.Scope.Entity, From: r.Scope.From, To: r.Scope.To, Run: r.ID, Time: r.Time, Query: r.Scope.Query,
		Code: r.Code, Policies: r.Policies, Reached: len(r.Scope.Reached), Accounts: len(r.All), Bulk: r.Scope.Bulk, Blind: r.Scope.Blind, Covered: r.Covered, Gaps: r.Gaps,
		Leaf: string(leaf), Index: index, Size: cp.Size, Proof: proof, Checkpoint: string(b), Number: int64(number), Salt: Hash(seed.Salt(int64(number))), Statement: statement,
	}
	text, err := c.text()
	if err != nil {
		return nil, err
	}
	out, err := note.Sign(&note.Note{Text: text}, keys.Signer)
	if err != nil {
		return nil, fmt.Errorf("proof: sign: %w", err)
	}
	return out, c.check(keys.Verifier)
}

// OpenCertificate reads a certificate and checks all of it.
func OpenCertificate(b []byte, v note.Verifier) (*Certificate, error) {
	n, err := note.Open(b, note.VerifierList(v))
	if err != nil {
		return nil, fmt.Errorf("the certificate is not signed by the key %s: %w", v.Name(), err)
	}
	i := strings.LastIndex(n.Text, "\n"+dataLine)
	if i < 0 {
		return nil, errors.New("the certificate has no data")
	}
	c := &Certificate{}
	if err := json.Unmarshal([]byte(strings.TrimSuffix(n.Text[i+1+len(dataLine):], "\n")), c); err != nil {
		return nil, fmt.Errorf("the certificate's data cannot be read: %w", err)
	}
	if text, err := c.text(); err != nil || text != n.Text {
		return nil, errors.New("the certificate's face does not say what its data say")
	}
	return c, c.check(v)
}

// check follows the proofs from the statement to the checkpoint.
func (c *Certificate) check(v note.Verifier) error {
	cp, err := OpenCheckpoint([]byte(c.Checkpoint), v)
	if err != nil {
		return err
	}
	if cp.Size != c.Size {
		return errors.New("the certificate's checkpoint is of another size")
	}
	if err := tlog.CheckRecord(c.Proof, cp.Size, cp.Root, c.Index, leafHash([]byte(c.Leaf))); err != nil {
		return fmt.Errorf("the run is not in the log of the checkpoint: %w", err)
	}
	e, err := ReadEntry([]byte(c.Leaf))
	if err != nil {
		return err
	}
	if e.Kind != KindScope || e.ID != c.Run || e.Rows != c.Accounts {
		return errors.New("the leaf is not that of the run")
	}
	statement := appendText(appendText(appendText(nil, c.Run), c.Account), c.Result)
	var h hasher
	row := rowHash(c.Number, h.commit([32]byte(c.Salt), statement))
	if err := tlog.CheckRecord(c.Statement, int64(e.Rows), tlog.Hash(e.Root), c.Number, row); err != nil {
		return fmt.Errorf("the run does not say this of the account: %w", err)
	}
	return nil
}
