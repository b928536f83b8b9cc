package plugins

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// store keeps rewritten modules between runs, so that a module that was
// validated and rewritten once needs neither again. An entry is the SHA-256 of
// what follows it. The zero store keeps nothing.
type store struct{ dir string }

// load returns the module kept under name, or nil. A damaged entry is none.
func (s store) load(name string) []byte {
	if s.dir == "" {
		return nil
	}
	b, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil || len(b) < sha256.Size {
		return nil
	}
	sum := sha256.Sum256(b[sha256.Size:])
	if !bytes.Equal(sum[:], b[:sha256.Size]) {
		return nil
	}
	return b[sha256.Size:]
}

// save keeps module under name. It is only a matter of speed whether that
// works: a full disk must not keep a plugin from starting.
func (s store) save(name string, module []byte) error {
	if s.dir == "" {
		return nil
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(s.dir, name+".*")
	if err != nil {
		return err
	}
	sum := sha256.Sum256(module)
	_, err = tmp.Write(append(sum[:], module...))
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(tmp.Name(), filepath.Join(s.dir, name))
	}
	if err != nil {
		_ = os.Remove(tmp.Name()) // what is left of it is only waste
	}
	return err
}

// cacheMost is how much the folder of compiled modules may hold, in bytes.
const cacheMost = 1024 << 20

// trimCache deletes files below dir until at most most bytes are left, those
// first whose last use is longest ago: their last access, where the file system
// notes it (Linux does, at least once a day), else when they were written. A
// file that is still in use is only made again at the next start.
func trimCache(dir string, most int64) error {
	type entry struct {
		path string
		size int64
		used time.Time
	}
	var all []entry
	total := int64(0)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		st, err := d.Info()
		if err != nil {
			return nil // gone meanwhile
		}
		all = append(all, entry{path, st.Size(), lastUse(st)})
		total += st.Size()
		return nil
	})
	slices.SortFunc(all, func(a, b entry) int { return a.used.Compare(b.used) })
	for _, e := range all {
		if total <= most {
			break
		}
		if rerr := os.Remove(e.path); rerr != nil {
			err = errors.Join(err, rerr)
			continue
		}
		total -= e.size
	}
	return err
}

func digestName(sum [sha256.Size]byte) string { return hex.EncodeToString(sum[:]) }
