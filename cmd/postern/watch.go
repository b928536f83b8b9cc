package main

import (
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
	"go.uber.org/zap"
)

const (
	// quiet is how long files must rest before a change counts: editors and
	// compilers write in several steps.
	quiet = 150 * time.Millisecond
	// restless is how long a change waits for quiet at most: a log file in the
	// same folder never rests.
	restless = time.Second
)

// watcher tells when files change. It watches their folders: a file that an
// editor replaces by renaming is gone for whoever watches the file itself, and a
// mounted volume changes by a symbolic link above it.
type watcher struct {
	changed chan struct{} // one token: something changed since
	logger  *zap.Logger
	notify  *fsnotify.Watcher
	done    chan struct{}

	mu    sync.Mutex             // guards what follows
	files map[string]os.FileInfo // nil for one that isn't there
}

func newWatcher(logger *zap.Logger) (*watcher, error) {
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	w := &watcher{changed: make(chan struct{}, 1), logger: logger, notify: notify, done: make(chan struct{})}
	go w.run()
	return w, nil
}

// watch makes files, absolute paths of files and folders, the ones to watch.
func (w *watcher) watch(files []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := w.files
	w.files = make(map[string]os.FileInfo, len(files))
	folders := make(map[string]bool)
	for _, name := range files {
		w.files[name] = look(name)
		for _, folder := range foldersOf(name) {
			folders[folder] = true
		}
	}
	for _, folder := range w.notify.WatchList() {
		if !folders[folder] {
			_ = w.notify.Remove(folder) // gone with the folder otherwise
		}
		delete(folders, folder)
	}
	for folder := range folders {
		if err := w.notify.Add(folder); err != nil {
			w.logger.Warn("a folder can't be watched, SIGHUP reloads what is in it",
				zap.String("folder", folder), zap.Error(err))
		}
	}
	// What changed between its reading and the first look at it, or while the
	// folder wasn't watched yet, has no event. The receiver compares contents.
	for name := range w.files {
		if old, known := before[name]; !known || differs(old, w.files[name]) {
			w.tell()
			return
		}
	}
}

// foldersOf returns where events about name come from: the folder that has it,
// and for a symbolic link the folder of what it leads to.
func foldersOf(name string) []string {
	folders := []string{filepath.Dir(name)}
	st, err := os.Stat(name)
	if err == nil && st.IsDir() {
		folders = append(folders, name)
	}
	if real, err := filepath.EvalSymlinks(name); err == nil && real != name {
		folders = append(folders, filepath.Dir(real))
	}
	return folders
}

func look(name string) os.FileInfo {
	st, err := os.Stat(name)
	if err != nil {
		return nil
	}
	return st
}

func differs(a, b os.FileInfo) bool {
	if a == nil || b == nil {
		return a != b
	}
	return !os.SameFile(a, b) || a.Size() != b.Size() || !a.ModTime().Equal(b.ModTime())
}

// run waits for events until close.
func (w *watcher) run() {
	defer close(w.done)
	rest := time.NewTimer(time.Hour)
	rest.Stop()
	var first time.Time // event since the last look; zero for none
	for {
		select {
		case _, open := <-w.notify.Events:
			if !open {
				return
			}
			if first.IsZero() {
				first = time.Now()
			}
			if time.Since(first) < restless {
				rest.Reset(quiet)
			}
		case err, open := <-w.notify.Errors:
			if !open {
				return
			}
			// Events may be lost, for one because there are too many of them.
			w.logger.Warn("watching files", zap.Error(err))
			rest.Reset(quiet)
		case <-rest.C:
			first = time.Time{}
			if w.looksChanged() {
				w.tell()
			}
		}
	}
}

// looksChanged reports whether a file isn't what it was at the last look.
func (w *watcher) looksChanged() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	changed := false
	for name, old := range w.files {
		if now := look(name); differs(old, now) {
			w.files[name] = now
			changed = true
		}
	}
	return changed
}

func (w *watcher) tell() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// close ends the watcher.
func (w *watcher) close() {
	_ = w.notify.Close() // it has nothing to lose
	<-w.done
}
