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
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/postern-gateway/postern/proxy/pausetest"
)

// faulty is a store whose documents can't be put while it is broken.
type faulty struct {
	Store
	broken atomic.Pointer[error]
	puts   atomic.Int64 // that went well
}

func (f *faulty) fail(err error) {
	if err == nil {
		f.broken.Store(nil)
		return
	}
	f.broken.Store(&err)
}

func (f *faulty) Put(ctx context.Context, key string, value []byte) error {
	if err := f.broken.Load(); err != nil {
		return *err
	}
	err := f.Store.Put(ctx, key, value)
	if err == nil {
		f.puts.Add(1)
	}
	return err
}

func (f *faulty) Claim(ctx context.Context, name, owner string, ttl time.Duration) (bool, error) {
	if err := f.broken.Load(); err != nil {
		return false, *err
	}
	return f.Store.Claim(ctx, name, owner, ttl)
}

const site = "certificates/ca/a.test/a.test"

func storeSite(s *storage, key, chain, note string) error {
	for _, part := range []struct{ extension, value string }{{".key", key}, {".crt", chain}, {".json", note}} {
		if err := s.Store(context.Background(), site+part.extension, []byte(part.value)); err != nil {
			return err
		}
	}
	return nil
}

func loaded(s *storage, key string) string {
	value, err := s.Load(context.Background(), key)
	if err != nil {
		return "error: " + err.Error()
	}
	return string(value)
}

// A certificate's parts are put together or not at all: others see those of before
// until the last one came, and those of before stay when it can't be put.
func TestStoragePair(t *testing.T) {
	disk := &faulty{Store: NewDirectory(t.TempDir())}
	s, other := newStorage(disk, zap.NewNop()), newStorage(disk, zap.NewNop())
	if err := storeSite(s, "key1", "chain1", "note1"); err != nil {
		t.Fatal(err)
	}
	if n := disk.puts.Load(); n != 1 {
		t.Errorf("%d documents for one certificate", n)
	}
	check := func(s *storage, key, chain string) {
		t.Helper()
		if k, c := loaded(s, site+".key"), loaded(s, site+".crt"); k != key || c != chain {
			t.Errorf("got %q, %q; want %q, %q", k, c, key, chain)
		}
	}
	check(other, "key1", "chain1")
	if err := s.Store(t.Context(), site+".key", []byte("key2")); err != nil {
		t.Fatal(err)
	}
	check(other, "key1", "chain1")
	disk.fail(syscall.ENOSPC)
	if err := storeSite(s, "key2", "chain2", "note2"); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("a full disk: %v", err)
	}
	// As certmagic does when storing fails.
	for _, extension := range []string{".crt", ".key"} {
		if err := s.Delete(t.Context(), site+extension); err != nil {
			t.Error(err)
		}
	}
	check(s, "key1", "chain1")
	check(other, "key1", "chain1")
	if s.failed.Load() != 1 {
		t.Errorf("%d failures counted", s.failed.Load())
	}
	disk.fail(nil)
	if err := storeSite(s, "key3", "chain3", "note3"); err != nil {
		t.Fatal(err)
	}
	check(other, "key3", "chain3")
	if err := s.Delete(t.Context(), "certificates/ca/a.test"); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Load(t.Context(), site+".key"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after it was deleted: %v", err)
	}
}

// certmagic's view: folders, and each part of a certificate by itself.
func TestStorageList(t *testing.T) {
	s := newStorage(NewDirectory(t.TempDir()), zap.NewNop())
	if err := storeSite(s, "k", "c", "n"); err != nil {
		t.Fatal(err)
	}
	if err := s.Store(t.Context(), "accounts/ca/me", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	f := func(prefix string, recursive bool, want ...string) {
		t.Helper()
		got, err := s.List(t.Context(), prefix, recursive)
		if want == nil && !errors.Is(err, fs.ErrNotExist) || want != nil && err != nil || !slices.Equal(got, want) {
			t.Errorf("below %q: %q, %v; want %q", prefix, got, err, want)
		}
	}
	f("", false, "accounts", "certificates")
	f("certificates", false, "certificates/ca")
	f("certificates/ca/a.test", false, site+".crt", site+".json", site+".key")
	f("certificates", true, "certificates/ca", "certificates/ca/a.test", site+".crt", site+".json", site+".key")
	f("none", true)
	if !s.Exists(t.Context(), "certificates/ca") || !s.Exists(t.Context(), site+".crt") || s.Exists(t.Context(), "certificates/c") {
		t.Error("Exists is wrong about folders or files")
	}
	info, err := s.Stat(t.Context(), site+".key")
	if err != nil || !info.IsTerminal || info.Size != 1 || time.Since(info.Modified).Abs() > time.Minute {
		t.Errorf("%+v, %v", info, err)
	}
	if info, err := s.Stat(t.Context(), "certificates"); err != nil || info.IsTerminal {
		t.Errorf("a folder: %+v, %v", info, err)
	}
	if _, err := s.Stat(t.Context(), "none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing: %v", err)
	}
}

// Fault 23: whatever became of a file, it is what was put, or absent and told once.
func TestStorageDamage(t *testing.T) {
	dir := t.TempDir()
	core, logs := observer.New(zapcore.ErrorLevel)
	s := newStorage(NewDirectory(dir), zap.New(core))
	if err := s.Store(t.Context(), "accounts/ca/me", []byte("a secret of some length")); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, documentDir, "accounts", "ca", "me")
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(file)
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
	if st, err := os.Stat(filepath.Dir(file)); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("mode of the folder %v, %v", st.Mode(), err)
	}
	flipped := bytes.Clone(good)
	flipped[len(flipped)-1] ^= 1
	for n, bad := range [][]byte{{}, good[:10], good[:len(good)-1], append(bytes.Clone(good), 'x'), flipped, []byte("-----BEGIN CERTIFICATE-----\n"), bytes.Repeat([]byte{0}, 4096)} {
		if err := os.WriteFile(file, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, err := s.Load(t.Context(), "accounts/ca/me"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%q: %v", bad, err)
			}
		}
		if s.Exists(t.Context(), "accounts/ca/me") && n > 0 {
			t.Errorf("%q exists", bad)
		}
		if got := logs.Len(); got != 1 {
			t.Errorf("told %d times", got)
		}
	}
	if err := s.Store(t.Context(), "accounts/ca/me", []byte("new")); err != nil {
		t.Fatal(err)
	}
	if got := loaded(s, "accounts/ca/me"); got != "new" {
		t.Errorf("after it was stored anew: %q", got)
	}
	if s.corrupt.Load() != 1 || strings.Contains(logs.All()[0].Message, "secret") {
		t.Errorf("%d counted, %v", s.corrupt.Load(), logs.All())
	}
}

// A lock is one's until it is given back, however long that takes; one whose process
// ended is free soon.
func TestStorageLock(t *testing.T) {
	const lease = 400 * time.Millisecond
	pausetest.Run(t, lease/4, func(t testing.TB) { storageLock(t, t.TempDir(), lease) })
}

func storageLock(t testing.TB, dir string, lease time.Duration) {
	open := func() *storage {
		s := newStorage(NewDirectory(dir), zap.NewNop())
		s.lease = lease
		return s
	}
	a, b := open(), open()
	t.Cleanup(func() { // of a try that failed
		_ = a.Unlock(context.Background(), "*.a.test")
		_ = b.Unlock(context.Background(), "*.a.test")
	})
	if err := a.Lock(t.Context(), "*.a.test"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*a.lease)
	defer cancel()
	if err := b.Lock(ctx, "*.a.test"); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("two have it: %v", err)
	}
	if err := a.Unlock(t.Context(), "*.a.test"); err != nil {
		t.Fatal(err)
	}
	if err := a.Unlock(t.Context(), "*.a.test"); err == nil {
		t.Error("given back twice")
	}
	if err := b.Lock(t.Context(), "*.a.test"); err != nil {
		t.Fatal(err)
	}
	if err := b.Unlock(t.Context(), "*.a.test"); err != nil {
		t.Fatal(err)
	}
	// As a process leaves it that was killed.
	if _, err := b.store.Claim(t.Context(), certmagic.StorageKeys.Safe("*.a.test"), "dead", b.lease); err != nil {
		t.Fatal(err)
	}
	if err := a.Lock(t.Context(), "*.a.test"); err != nil {
		t.Fatal(err)
	}
	_ = a.Unlock(t.Context(), "*.a.test")
}

// Those who wait in one process exclude each other, too.
func TestStorageLockHammer(t *testing.T) {
	const lease = 200 * time.Millisecond // waits are a quarter of it
	pausetest.Run(t, lease/4, func(t testing.TB) {
		s := newStorage(NewDirectory(t.TempDir()), zap.NewNop())
		s.lease = lease
		var inside, most atomic.Int32
		var work sync.WaitGroup
		for range 6 {
			work.Go(func() {
				for range 3 {
					if err := s.Lock(t.Context(), "n"); err != nil {
						t.Error(err)
						return
					}
					if n := inside.Add(1); n > most.Load() {
						most.Store(n)
					}
					time.Sleep(time.Millisecond)
					inside.Add(-1)
					if err := s.Unlock(t.Context(), "n"); err != nil {
						t.Error(err)
					}
				}
			})
		}
		work.Wait()
		if most.Load() != 1 {
			t.Errorf("%d were inside at once", most.Load())
		}
	})
}

// Who deletes a folder's last document doesn't get into the way of who writes the next.
func TestDirectoryFoldersComeAndGo(t *testing.T) {
	dir := t.TempDir()
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			d := NewDirectory(dir)
			key := fmt.Sprintf("a/b/c/%d", i)
			for range 300 {
				if err := d.Put(t.Context(), key, []byte("x")); err != nil {
					t.Error(err)
					return
				}
				if err := d.Delete(t.Context(), key); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}
