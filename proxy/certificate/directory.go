package certificate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Directory is a Store in a folder, for processes of one machine. Documents are
// files that only the owner of the process can read.
type Directory struct {
	root string

	mu   sync.Mutex // guards what follows
	seen map[string]sighting
}

// sighting is a claim of somebody else's as it was seen first.
type sighting struct {
	content string
	at      time.Time // with the monotonic clock: whoever sets the time steals no claims
}

// Names in the folder. Documents and claims don't mix; half-written files are none.
const (
	documentDir = "documents"
	claimDir    = "claims"
	guardFile   = "claims.lock"
	halfSuffix  = ".half"
)

// NewDirectory returns the store in the folder root, which the first document makes.
func NewDirectory(root string) *Directory {
	return &Directory{root: root, seen: map[string]sighting{}}
}

// file returns where the document or claim called key is, below dir.
func (d *Directory) file(dir, key string) (string, error) {
	if !filepath.IsLocal(key) || strings.HasSuffix(key, halfSuffix) || strings.ContainsAny(key, "\\\x00") || key == "." {
		return "", fmt.Errorf("certificate store: %q isn't a key", key)
	}
	return filepath.Join(d.root, dir, filepath.FromSlash(key)), nil
}

// Get implements Store.
func (d *Directory) Get(ctx context.Context, key string) ([]byte, time.Time, error) {
	if err := ctx.Err(); err != nil {
		return nil, time.Time{}, err
	}
	name, err := d.file(documentDir, key)
	if err != nil {
		return nil, time.Time{}, err
	}
	f, err := os.Open(name)
	if errors.Is(err, syscall.ENOTDIR) {
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, time.Time{}, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, time.Time{}, err
	}
	if st.IsDir() {
		return nil, time.Time{}, fs.ErrNotExist
	}
	value := make([]byte, st.Size()+1)
	n := 0
	for n < len(value) {
		m, err := f.Read(value[n:])
		n += m
		if m == 0 || err != nil {
			break // too short a file fails its checksum
		}
	}
	return value[:n], st.ModTime(), nil
}

// Put implements Store.
func (d *Directory) Put(ctx context.Context, key string, value []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	name, err := d.file(documentDir, key)
	if err != nil {
		return err
	}
	return write(name, value)
}

// write replaces the file called name.
func write(name string, value []byte) error {
	for tries := 0; ; tries++ {
		// Another process that deletes what was last in a folder deletes the folder.
		if err := writeOnce(name, value); tries == writeTries || !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
}

// writeTries is how often a folder may be deleted before something is in it.
const writeTries = 20

// writeOnce has a new file that is on the disk take the place of the one called
// name, and then brings the folder to the disk, too.
func writeOnce(name string, value []byte) error {
	dir := filepath.Dir(name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, filepath.Base(name)+".*"+halfSuffix) // with mode 0600
	if err != nil {
		return err
	}
	half := f.Name()
	_, err = f.Write(value)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(half, name)
	}
	if err != nil {
		_ = os.Remove(half) // it never counts
		return err
	}
	if folder, err := os.Open(dir); err == nil {
		_ = folder.Sync() // not every file system can; the file itself is safe
		_ = folder.Close()
	}
	return nil
}

// Delete implements Store.
func (d *Directory) Delete(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	name, err := d.file(documentDir, key)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(name); err != nil && !errors.Is(err, syscall.ENOTDIR) {
		return err
	}
	// Folders that nothing is in any more; the first that is of use ends it.
	top := filepath.Join(d.root, documentDir)
	for dir := filepath.Dir(name); dir != top && syscall.Rmdir(dir) == nil; {
		dir = filepath.Dir(dir)
	}
	return nil
}

// List implements Store.
func (d *Directory) List(ctx context.Context, key string) ([]string, error) {
	top := filepath.Join(d.root, documentDir)
	from := top
	if key != "" {
		var err error
		if from, err = d.file(documentDir, key); err != nil {
			return nil, err
		}
	}
	var keys []string
	err := filepath.WalkDir(from, func(name string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
			return nil // deleted meanwhile, or never there
		}
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		if e.IsDir() || name == from || strings.HasSuffix(name, halfSuffix) {
			return nil
		}
		rel, err := filepath.Rel(top, name)
		keys = append(keys, filepath.ToSlash(rel))
		return err
	})
	slices.Sort(keys) // WalkDir has "a/b" before "a.c"
	return keys, err
}

// Claim implements Store. A claim is a file with its owner and a number that grows
// with each renewal. One that somebody else has is theirs until it didn't change for
// the time it was claimed for, as this process's monotonic clock tells: jumps of the
// system's time end no claims.
func (d *Directory) Claim(ctx context.Context, name, owner string, ttl time.Duration) (bool, error) {
	file, err := d.file(claimDir, name)
	if err != nil {
		return false, err
	}
	var mine bool
	err = d.guarded(ctx, func() error {
		content, err := os.ReadFile(file)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		had, number, patience := parseClaim(content)
		if had != "" && had != owner && !d.stale(name, string(content), patience) {
			return nil
		}
		mine = true
		if err := write(file, fmt.Appendf(nil, "%s %d %d\n", owner, number+1, ttl)); err != nil {
			mine = false
			return err
		}
		d.forget(name)
		return nil
	})
	return mine, err
}

// parseClaim returns what a claim's file says; had is "" when it says nothing, as
// after a crash of the machine.
func parseClaim(content []byte) (had string, number int64, patience time.Duration) {
	if !bytes.HasSuffix(content, []byte("\n")) {
		return "", 0, 0
	}
	if n, err := fmt.Sscanf(string(content), "%s %d %d\n", &had, &number, &patience); n != 3 || err != nil {
		return "", 0, 0
	}
	return had, number, patience
}

// stale reports whether a claim stayed as it is for longer than patience.
func (d *Directory) stale(name, content string, patience time.Duration) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	if s, known := d.seen[name]; known && s.content == content {
		return now.Sub(s.at) > patience
	}
	d.seen[name] = sighting{content, now}
	return false
}

func (d *Directory) forget(name string) {
	d.mu.Lock()
	delete(d.seen, name)
	d.mu.Unlock()
}

// Release implements Store.
func (d *Directory) Release(ctx context.Context, name, owner string) error {
	file, err := d.file(claimDir, name)
	if err != nil {
		return err
	}
	return d.guarded(context.WithoutCancel(ctx), func() error {
		content, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if had, _, _ := parseClaim(content); err == nil && had == owner {
			err = os.Remove(file)
		}
		d.forget(name)
		return err
	})
}

// guarded runs f while no other process, and nobody else in this one, looks at
// claims or changes them. The kernel opens the lock when a process ends.
func (d *Directory) guarded(ctx context.Context, f func() error) error {
	if err := os.MkdirAll(d.root, 0o700); err != nil {
		return err
	}
	guard, err := os.OpenFile(filepath.Join(d.root, guardFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer guard.Close() // and so unlocks
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := syscall.Flock(int(guard.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return f()
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return fmt.Errorf("lock %s: %w", guard.Name(), err)
		}
		// Whoever has it writes one small file.
		select {
		case <-ctx.Done():
		case <-time.After(2 * time.Millisecond):
		}
	}
}
