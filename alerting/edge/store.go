package edge

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/go-json-experiment/json"
	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"holdfast/schemas"
)

// Store is the copy on disk, one bbolt file: the standing of each entity and up to which
// offset of each partition the status topic has been read. A batch of changes and the
// offsets behind it are written in one transaction, so that a cut leaves both or neither.
type Store struct{ db *bbolt.DB }

var (
	bucketStatus = []byte("status")
	bucketAt     = []byte("offsets")
	bucketMeta   = []byte("meta")
	keyLog       = []byte("installation")
	keyAsOf      = []byte("as_of")
)

// OpenStore opens or creates the file, which only its owner can read. An error says that
// another process holds it.
func OpenStore(path string) (*Store, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: 2 * time.Second})
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, fmt.Errorf("the edge's copy %s is held by another process: end that, or set edge.file to another path", path)
	}
	if err != nil {
		if _, stat := os.Stat(path); stat == nil {
			return nil, fmt.Errorf("open the edge's copy %s: %w: if it is damaged, delete it: it is made again from the status topic", path, err)
		}
		return nil, fmt.Errorf("create the edge's copy %s: %w", path, err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{bucketStatus, bucketAt, bucketMeta} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("prepare the edge's copy %s: %w", path, err), db.Close())
	}
	return &Store{db: db}, nil
}

// Close ends its use.
func (s *Store) Close() error { return s.db.Close() }

// Load reads the whole copy: each standing, the next offset of each partition, the
// installation that they are of, and when the copy last held all that the log had.
func (s *Store) Load(each func(key string, st Standing)) (at map[int32]int64, installation string, asOf time.Time, err error) {
	at = map[int32]int64{}
	err = s.db.View(func(tx *bbolt.Tx) error {
		meta := tx.Bucket(bucketMeta)
		installation = string(meta.Get(keyLog))
		if v := meta.Get(keyAsOf); len(v) == 8 {
			asOf = time.UnixMilli(int64(binary.BigEndian.Uint64(v))).UTC()
		}
		err := tx.Bucket(bucketAt).ForEach(func(k, v []byte) error {
			if len(k) != 4 || len(v) != 8 {
				return errors.New("an offset is damaged")
			}
			at[int32(binary.BigEndian.Uint32(k))] = int64(binary.BigEndian.Uint64(v))
			return nil
		})
		if err != nil {
			return err
		}
		return tx.Bucket(bucketStatus).ForEach(func(k, v []byte) error {
			var st schemas.Status
			if err := json.Unmarshal(v, &st); err != nil {
				return fmt.Errorf("the status of %q: %w", k, err)
			}
			each(string(k), standingOf(&st))
			return nil
		})
	})
	if err != nil {
		return nil, "", time.Time{}, fmt.Errorf("read the edge's copy: %w: delete it, and it is made again from the status topic", err)
	}
	return at, installation, asOf, nil
}

// Write adds a batch: its changes, and up to where the partitions are read now.
func (s *Store) Write(b *Batch, asOf time.Time) error {
	err := s.db.Update(func(tx *bbolt.Tx) error {
		status, at := tx.Bucket(bucketStatus), tx.Bucket(bucketAt)
		for _, c := range b.Changes {
			if c.Status == nil {
				if err := status.Delete([]byte(c.Key)); err != nil {
					return err
				}
				continue
			}
			v, err := json.Marshal(c.Status)
			if err != nil {
				return err
			}
			if err := status.Put([]byte(c.Key), v); err != nil {
				return err
			}
		}
		for p, offset := range b.Next {
			if err := at.Put(binary.BigEndian.AppendUint32(nil, uint32(p)), binary.BigEndian.AppendUint64(nil, uint64(offset))); err != nil {
				return err
			}
		}
		meta := tx.Bucket(bucketMeta)
		if b.Installation != "" {
			if err := meta.Put(keyLog, []byte(b.Installation)); err != nil {
				return err
			}
		}
		if asOf.IsZero() {
			return nil
		}
		return meta.Put(keyAsOf, binary.BigEndian.AppendUint64(nil, uint64(asOf.UnixMilli())))
	})
	if err != nil {
		return fmt.Errorf("write the edge's copy: %w", err)
	}
	return nil
}
