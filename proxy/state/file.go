package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
)

// CopySuffix is what the name of a file's copy has more than the file's.
const CopySuffix = ".copy"

// lockPatience is how long another process may take to let go of the file.
const lockPatience = 500 * time.Millisecond

// File is a Store in one file, for one process at a time. It keeps what Update took
// through a kill -9, and through a loss of power as far as the disk does.
type File struct {
	path   string
	db     *bbolt.DB
	closed atomic.Bool
	broken atomic.Pointer[string] // why nothing is read or written any more
}

// Open opens the file at path, and makes it if it isn't there. All of an old one is
// checked first. The error is an ErrInUse when another process has the file, an
// ErrBroken when what is in it can't be trusted; it says what to do.
func Open(path string) (_ *File, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("state: %w", err)
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = damaged(path, fmt.Errorf("%v", r))
		}
	}()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{
		FreelistType: bbolt.FreelistMapType, NoFreelistSync: true, NoStatistics: true, OpenFile: openVerified,
	})
	var bad *damage
	switch {
	case errors.As(err, &bad):
		return nil, damaged(path, bad)
	case err != nil:
		return nil, fmt.Errorf("state: %w", err)
	}
	return &File{path: path, db: db}, nil
}

// openVerified opens, locks and checks the file before the database maps it: it
// panics, even on goroutines of its own, and faults over what isn't as it should be.
func openVerified(path string, flag int, mode fs.FileMode) (*os.File, error) {
	f, err := os.OpenFile(path, flag, mode)
	if err != nil {
		return nil, err
	}
	if err := lock(f); err != nil {
		_ = f.Close() // nothing was written
		return nil, err
	}
	st, err := f.Stat()
	if err == nil && st.Size() > 0 {
		err = verify(f, st.Size())
	}
	if err != nil {
		_ = f.Close() // nothing was written
		return nil, err
	}
	return f, nil
}

// lock takes the lock that the database will find taken by itself.
func lock(f *os.File) error {
	for began := time.Now(); ; time.Sleep(lockPatience / 20) {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return fmt.Errorf("lock %s: %w", f.Name(), err)
		}
		if time.Since(began) < lockPatience {
			continue
		}
		who := ""
		if pid := holder(f); pid != 0 {
			who = fmt.Sprintf(" (number %d)", pid)
		}
		return fmt.Errorf("%s is %w%s; stop it, or ask it through its admin socket", f.Name(), ErrInUse, who)
	}
}

// damaged explains what to do about a file that can't be trusted.
func damaged(path string, cause error) error {
	advice := "move it away to begin with an empty one: keys made by command and the use of quotas are lost then"
	if st, err := os.Stat(path + CopySuffix); err == nil {
		advice = fmt.Sprintf("%s is what it was at %s: move it to its place, or both away to begin with an empty one", path+CopySuffix, st.ModTime().UTC().Format(time.RFC3339))
	}
	return fmt.Errorf("state: %s is %w: %w; %s", path, ErrBroken, cause, advice)
}

// guard runs f so that what the database finds wrong while it runs is an error.
func (s *File) guard(f func() error) (err error) {
	if s.closed.Load() {
		return ErrClosed
	}
	if why := s.broken.Load(); why != nil {
		return damaged(s.path, errors.New(*why))
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			why := fmt.Sprint(r)
			s.broken.Store(&why) // its locks may be held for ever
			err = damaged(s.path, errors.New(why))
		}
	}()
	err = f()
	if errors.Is(err, bbolt.ErrDatabaseNotOpen) {
		return ErrClosed
	}
	return err
}

// Each implements Store.
func (s *File) Each(table, from, to string, f func(Entry) error) error {
	return s.guard(func() error {
		return s.db.View(func(tx *bbolt.Tx) error {
			b := tx.Bucket([]byte(table))
			if b == nil {
				return nil
			}
			c := b.Cursor()
			for key, value := c.Seek([]byte(from)); key != nil; key, value = c.Next() {
				if to != "" && string(key) >= to {
					return nil
				}
				e, err := decode(table, key, value)
				if err != nil {
					return damaged(s.path, err)
				}
				if err := f(e); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// Update implements Store.
func (s *File) Update(changes []Change) error {
	if err := check(changes); err != nil {
		return err
	}
	return s.guard(func() error {
		return s.db.Update(func(tx *bbolt.Tx) error {
			var b *bbolt.Bucket
			for i := range changes {
				c := &changes[i]
				if i == 0 || c.Table != changes[i-1].Table {
					var err error
					if b, err = tx.CreateBucketIfNotExists([]byte(c.Table)); err != nil {
						return err
					}
				}
				if err := s.change(b, c); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

func (s *File) change(b *bbolt.Bucket, c *Change) error {
	key := []byte(c.Key)
	if c.Delete {
		return b.Delete(key)
	}
	if c.Value != nil {
		return b.Put(key, encode(c.Table, key, document, c.Value))
	}
	count := int64(0)
	if old := b.Get(key); old != nil {
		e, err := decode(c.Table, key, old)
		if err != nil {
			return damaged(s.path, err)
		}
		count = e.Count
	}
	c.Count = count + c.Add
	return b.Put(key, encode(c.Table, key, counter, binary.BigEndian.AppendUint64(nil, uint64(c.Count))))
}

// Copy writes what is in the file now to its copy. Meanwhile everything goes on.
func (s *File) Copy() error {
	return s.guard(func() error {
		to := s.path + CopySuffix
		f, err := os.OpenFile(to+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		err = s.db.View(func(tx *bbolt.Tx) error {
			_, err := tx.WriteTo(f)
			return err
		})
		if err == nil {
			err = f.Sync()
		}
		if closing := f.Close(); err == nil {
			err = closing
		}
		if err == nil {
			err = os.Rename(f.Name(), to)
		}
		return err
	})
}

// Close implements Store.
func (s *File) Close() error {
	return s.guard(func() error {
		if s.closed.Swap(true) {
			return ErrClosed
		}
		return s.db.Close()
	})
}

// What an entry is: the first byte of its value. Then comes what it holds, then a
// checksum of table, key and all that, because the database itself has none.
const (
	document = 'd'
	counter  = 'c'
)

const checksumSize = 4

func encode(table string, key []byte, sort byte, value []byte) []byte {
	b := append(append(make([]byte, 0, 1+len(value)+checksumSize), sort), value...)
	return binary.BigEndian.AppendUint32(b, checksum(table, key, b))
}

func checksum(table string, key, value []byte) uint32 {
	castagnoli := crc32.MakeTable(crc32.Castagnoli) // made once, by the package
	sum := crc32.Checksum([]byte(table), castagnoli)
	return crc32.Update(crc32.Update(sum, castagnoli, key), castagnoli, value)
}

func decode(table string, key, stored []byte) (Entry, error) {
	at := len(stored) - checksumSize
	if at < 1 || binary.BigEndian.Uint32(stored[at:]) != checksum(table, key, stored[:at]) {
		return Entry{}, &damage{fmt.Sprintf("the checksum of an entry is wrong (%.40q)", key)}
	}
	e := Entry{Key: string(key)}
	switch value := stored[1:at]; {
	case stored[0] == document:
		e.Value = bytes.Clone(value)
		if e.Value == nil {
			e.Value = []byte{}
		}
	case stored[0] == counter && len(value) == 8:
		e.Count = int64(binary.BigEndian.Uint64(value))
	default:
		return Entry{}, &damage{fmt.Sprintf("an entry is of no known sort (%.40q); perhaps a newer version wrote it", key)}
	}
	return e, nil
}

var _ Store = (*File)(nil)
