package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/zap"
)

// watching returns a watcher and names in a new folder.
func watching(t *testing.T) (*watcher, func(name string) string) {
	t.Helper()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	w, err := newWatcher(zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	return w, at
}

func put(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// told waits for a token.
func told(t *testing.T, w *watcher, what string) {
	t.Helper()
	select {
	case <-w.changed:
	case <-time.After(patience):
		t.Fatalf("no word of: %s", what)
	}
}

// watchFrom begins to watch files. The first look at a file is a change: it may
// have changed since it was read.
func watchFrom(t *testing.T, w *watcher, files ...string) {
	t.Helper()
	w.watch(files)
	told(t, w, "files that are new to it")
	w.watch(files) // the receiver's answer to it
	select {
	case <-w.changed:
		t.Fatal("a second look at files that didn't change is a change")
	default:
	}
}

func TestWatch(t *testing.T) {
	w, at := watching(t)
	file := at("postern.toml")
	put(t, file, "1")
	watchFrom(t, w, file, at("missing.wasm"))

	put(t, file, "22")
	told(t, w, "a file written in place")

	put(t, at(".postern.toml.swp"), "333")
	if err := os.Rename(at(".postern.toml.swp"), file); err != nil {
		t.Fatal(err)
	}
	told(t, w, "a file renamed into place")

	// Once more: whoever watched the file itself has lost it by now.
	if err := os.Rename(file, file+"~"); err != nil {
		t.Fatal(err)
	}
	put(t, file, "4444")
	told(t, w, "a file written anew beside its backup")

	put(t, at("missing.wasm"), "\x00asm")
	told(t, w, "a file that wasn't there")

	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	told(t, w, "a file that is gone")

	// A busy neighbour is none of its business, and doesn't keep news back.
	stop := make(chan struct{})
	busy := make(chan struct{})
	go func() {
		defer close(busy)
		for {
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond):
				_ = os.WriteFile(at("access.log"), []byte(time.Now().String()), 0o600)
			}
		}
	}()
	time.Sleep(2 * quiet)
	select {
	case <-w.changed:
		t.Error("a file that isn't watched is news")
	default:
	}
	put(t, file, "55555")
	told(t, w, "a file beside a busy one")
	close(stop)
	<-busy
}

// Orchestrators mount a folder whose files are links through one link, which
// they replace.
func TestWatchMountedVolume(t *testing.T) {
	w, at := watching(t)
	for i, version := range []string{"v1", "v2"} {
		if err := os.Mkdir(at(version), 0o700); err != nil {
			t.Fatal(err)
		}
		put(t, filepath.Join(at(version), "postern.toml"), "same length "+string(rune('1'+i)))
	}
	for link, to := range map[string]string{"..data": "v1", "postern.toml": filepath.Join("..data", "postern.toml")} {
		if err := os.Symlink(to, at(link)); err != nil {
			t.Fatal(err)
		}
	}
	watchFrom(t, w, at("postern.toml"))
	if err := os.Symlink("v2", at("..tmp")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(at("..tmp"), at("..data")); err != nil {
		t.Fatal(err)
	}
	told(t, w, "a link on the way that leads elsewhere")
}

// A folder is what its names are.
func TestDigest(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "a.toml"), "1")
	files := []string{filepath.Join(dir, "a.toml"), dir, filepath.Join(dir, "missing")}
	before := digest(files)
	f := func(want bool, what string) {
		t.Helper()
		after := digest(files)
		if got := after != before; got != want {
			t.Errorf("%s: changed %t, want %t", what, got, want)
		}
		before = after
	}
	f(false, "nothing")
	put(t, files[0], "1")
	f(false, "the same content")
	put(t, files[0], "2")
	f(true, "another content")
	put(t, filepath.Join(dir, ".a.toml.swp"), "")
	f(false, "an editor's file")
	put(t, filepath.Join(dir, "b.toml"), "")
	f(true, "a new file in the folder")
	put(t, files[2], "")
	f(true, "a missing file that came")
}
