package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/postern-gateway/postern/plugins"
	"github.com/postern-gateway/postern/proxy/config"
)

// sources are file, which cfg was read from, what it includes and refers to, and
// the lock file of its plugins, be it there or not: what to watch, as absolute paths in order. cfg is nil when file is unreadable.
func sources(file string, cfg *config.Config) []string {
	all := []string{file}
	if cfg != nil {
		all = append(all, cfg.Files()...)
		all = append(all, plugins.LockFile(cfg))
	}
	for i := range all {
		if path, err := filepath.Abs(all[i]); err == nil {
			all[i] = path
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// digest returns the hash of the names and contents of files; of a folder the
// names in it count, for a new file may belong to an include pattern. What can't
// be read counts as such.
func digest(files []string) string {
	sum := sha256.New()
	for _, name := range files {
		content := sha256.New()
		state := "read"
		if err := readInto(content, name); err != nil {
			state = "unreadable"
		}
		fmt.Fprintf(sum, "%q %s %x\n", name, state, content.Sum(nil))
	}
	return "sha256:" + hex.EncodeToString(sum.Sum(nil))
}

// tick is how far a file's time may lag behind the clock.
const tick = 20 * time.Millisecond

// touchedSince reports whether one of files was changed at or after t.
func touchedSince(files []string, t time.Time) bool {
	for _, name := range files {
		if st, err := os.Stat(name); err == nil && st.ModTime().After(t.Add(-tick)) {
			return true
		}
	}
	return false
}

// readInto writes what makes up a file or folder into w.
func readInto(w io.Writer, name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if !st.IsDir() {
		_, err = io.Copy(w, f)
		return err
	}
	names, err := f.Readdirnames(-1)
	slices.Sort(names)
	for _, name := range names {
		if !strings.HasPrefix(name, ".") { // swap files of editors
			fmt.Fprintf(w, "%q\n", name)
		}
	}
	return err
}
