package supply

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// LockFile is the name of the lock file, beside the configuration.
const LockFile = "postern.lock"

// Lock holds which digest each tag meant when somebody looked: a reload never
// runs another module than the one that was tried. One reference a line, sorted,
// so that version control merges it. Not safe for concurrent use.
type Lock struct {
	path    string
	digests map[string]string // by reference with a tag
}

// ReadLock reads the lock file at path. A file that isn't there is an empty
// lock.
func ReadLock(path string) (*Lock, error) {
	l := &Lock{path: path, digests: map[string]string{}}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the lock file: %w", err)
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Fields(line)
		if len(fields) != 2 || !isDigest(fields[1]) {
			return nil, &Error{
				Text: fmt.Sprintf("%s:%d: want a reference and its digest, got %q", path, n, line),
				Hint: "remove the line, then run: postern plugin fetch",
			}
		}
		l.digests[fields[0]] = fields[1]
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read the lock file %s: %w", path, err)
	}
	return l, nil
}

func isDigest(s string) bool {
	ok, err := regexp.MatchString(`^sha256:[0-9a-f]{64}$`, s)
	return ok && err == nil
}

// Pin returns r by digest: as it is, or as the lock says. The error is an *Error
// for a tag that isn't in the lock.
func (l *Lock) Pin(r Reference) (Reference, error) {
	if r.Digest != "" {
		return r, nil
	}
	digest := l.digests[r.String()]
	if digest == "" {
		return r, &Error{
			Text: fmt.Sprintf("%s is a tag, which may mean another module tomorrow, and %s doesn't pin it", r, l.path),
			Hint: "run: postern plugin fetch",
		}
	}
	return Reference{Registry: r.Registry, Repository: r.Repository, Digest: digest}, nil
}

// Set pins the tag of r to digest.
func (l *Lock) Set(r Reference, digest string) { l.digests[r.String()] = digest }

// Keep forgets every reference that isn't among used.
func (l *Lock) Keep(used []Reference) {
	maps.DeleteFunc(l.digests, func(ref, _ string) bool {
		return !slices.ContainsFunc(used, func(r Reference) bool { return r.String() == ref })
	})
}

// Save writes the lock file, at once or not at all; an empty lock has none.
func (l *Lock) Save() error {
	if len(l.digests) == 0 {
		if err := os.Remove(l.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove the empty lock file: %w", err)
		}
		return nil
	}
	var b bytes.Buffer
	b.WriteString("# Written by \"postern plugin fetch\": what the tags in the configuration mean.\n")
	for _, ref := range slices.Sorted(maps.Keys(l.digests)) {
		fmt.Fprintf(&b, "%s %s\n", ref, l.digests[ref])
	}
	if old, err := os.ReadFile(l.path); err == nil && bytes.Equal(old, b.Bytes()) {
		return nil
	}
	return replace(l.path, b.Bytes(), 0o644)
}

// replace writes content to path so that nobody ever reads half of it.
func replace(path string, content []byte, mode fs.FileMode) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(content)
	if err == nil {
		err = tmp.Chmod(mode)
	}
	if err == nil {
		err = tmp.Sync()
	}
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		_ = os.Remove(tmp.Name()) // what is left of it is only waste
	}
	return err
}
