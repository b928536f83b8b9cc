package deployment

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Archive keeps histories, documents and modules below a folder:
//
//	API/history.json       what is deployed; replaced as a whole
//	API/history.json.copy  what it was before
//	API/DIGEST.json        a document
//	.modules/DIGEST.wasm   a plugin's module
//
// What a history names was written before it, and a change counts once the history is
// in its place: whoever is killed leaves the old state or the new one. All methods are
// safe for concurrent use.
type Archive struct {
	dir string

	mu   sync.Mutex        // guards what follows
	kept map[string][]byte // files, when there is no folder
}

// NewArchive returns the archive below dir, which is made when there is something to
// keep. "" keeps all in memory.
func NewArchive(dir string) *Archive { return &Archive{dir: dir, kept: map[string][]byte{}} }

const (
	historyFile = "history.json"
	copySuffix  = ".copy"
	newSuffix   = ".new"
	badSuffix   = ".damaged"
	modulesDir  = ".modules"
	lockFile    = ".lock"
)

// sealed is a history as it is kept.
type sealed struct {
	Format  int             `json:"format"`
	Sum     string          `json:"sum"` // SHA-256 of the history without white space, in hex
	History json.RawMessage `json:"history"`
}

// History returns an API's history; a new one if it has none. If the file is damaged it
// returns what its copy has, the state before the last change, and an ErrBroken; without
// a copy nil and the error, which says what to do.
func (a *Archive) History(api string) (*History, error) {
	name := filepath.Join(api, historyFile)
	h, err := a.history(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return NewHistory(api), nil
	case err == nil:
		return h, nil
	case !errors.Is(err, ErrBroken):
		return nil, fmt.Errorf("deployments: %w", err)
	}
	before, again := a.history(name + copySuffix)
	if again != nil {
		return nil, fmt.Errorf("deployments: %w; put a backup of it into its place, or move it away to begin with deployment 1", err)
	}
	return before, fmt.Errorf("deployments: %w; what it was before its last change counts (%s)", err, a.path(name+copySuffix))
}

func (a *Archive) history(name string) (*History, error) {
	text, err := a.read(name)
	if err != nil {
		return nil, err
	}
	var s sealed
	var h History
	var plain bytes.Buffer
	err = json.Unmarshal(text, &s)
	if err == nil {
		err = json.Compact(&plain, s.History)
	}
	switch {
	case err != nil:
	case s.Format != format:
		err = fmt.Errorf("its format is %d, not %d; perhaps a newer version wrote it", s.Format, format)
	case s.Sum != sum(plain.Bytes()):
		err = errors.New("its checksum is wrong")
	default:
		err = json.Unmarshal(plain.Bytes(), &h)
	}
	if err != nil {
		return nil, fmt.Errorf("%s is %w: %w", a.path(name), ErrBroken, err)
	}
	if h.Stages == nil {
		h.Stages = map[string]*Stage{}
	}
	return &h, nil
}

// Save makes h the history of its API. All documents and modules that it names have to
// be there.
func (a *Archive) Save(h *History) error {
	plain, err := json.Marshal(h)
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(sealed{format, sum(plain), plain}, "", "  ")
	if err != nil {
		return err
	}
	name := filepath.Join(h.API, historyFile)
	text = append(text, '\n')
	if a.dir != "" && a.copyOf(name) { // the copy is older than what was damaged
		err = a.write(name+copySuffix, text)
	}
	if err == nil {
		err = a.write(name, text)
	}
	if err != nil {
		return fmt.Errorf("deployments: %w", err)
	}
	return nil
}

// copyOf keeps the present file beside the one that comes, unless it is damaged.
func (a *Archive) copyOf(name string) (damaged bool) {
	path := a.path(name)
	_, err := a.history(name)
	switch {
	case errors.Is(err, ErrBroken):
		_ = os.Rename(path, path+badSuffix) // for whoever wants to look; the copy is what counts
		return true
	case err == nil:
		_ = os.Remove(path + copySuffix) // the file itself is still there
		_ = os.Link(path, path+copySuffix)
	}
	return false
}

// Document returns a document by its digest.
func (a *Archive) Document(api, digest string) (*Document, error) {
	name := filepath.Join(api, digest+".json")
	text, err := a.read(name)
	if err != nil {
		return nil, fmt.Errorf("deployments: %w", err)
	}
	if sum(text) != digest {
		return nil, fmt.Errorf("deployments: %s is %w: it isn't what was deployed", a.path(name), ErrBroken)
	}
	d, err := ReadDocument(text)
	if err != nil {
		return nil, fmt.Errorf("deployments: %s is %w: %w", a.path(name), ErrBroken, err)
	}
	return d, nil
}

// Put keeps a document, if it isn't there already.
func (a *Archive) Put(api, digest string, text []byte) error {
	name := filepath.Join(api, digest+".json")
	if there, err := a.read(name); err == nil && bytes.Equal(there, text) {
		return nil
	}
	if err := a.write(name, text); err != nil {
		return fmt.Errorf("deployments: %w", err)
	}
	return nil
}

// PutModule keeps a plugin's module, if it isn't there already.
func (a *Archive) PutModule(digest string, wasm []byte) error {
	if a.Has(digest) {
		return nil
	}
	if err := a.write(moduleName(digest), wasm); err != nil {
		return fmt.Errorf("deployments: %w", err)
	}
	return nil
}

// Has reports whether a module of that digest is kept. Plugins check the digest when
// they read it.
func (a *Archive) Has(digest string) bool {
	if a.dir == "" {
		_, err := a.read(moduleName(digest))
		return err == nil
	}
	_, err := os.Stat(a.path(moduleName(digest)))
	return err == nil
}

func moduleName(digest string) string { return filepath.Join(modulesDir, digest+".wasm") }

// Module returns the path of a module that PutModule kept; "" when it isn't in a file.
func (a *Archive) Module(digest string) string {
	if a.dir == "" {
		return ""
	}
	return a.path(moduleName(digest))
}

// Sweep removes what no history names: documents of this API, and what a process that
// was killed left. It returns the modules of documents that it removed, for
// SweepModules. Errors leave files that do no harm.
func (a *Archive) Sweep(h *History) (released []string) {
	named := map[string]bool{historyFile: true, historyFile + copySuffix: true, historyFile + badSuffix: true}
	for _, d := range h.Deployments {
		named[d.Digest+".json"] = true
	}
	if before, err := a.history(filepath.Join(h.API, historyFile+copySuffix)); err == nil {
		for _, d := range before.Deployments {
			named[d.Digest+".json"] = true
		}
	}
	names, _ := a.names(h.API) // what isn't seen stays
	for _, name := range names {
		if named[name] || !strings.HasSuffix(name, ".json") && !strings.Contains(name, newSuffix) {
			continue
		}
		name = filepath.Join(h.API, name)
		if text, err := a.read(name); err == nil {
			if d, err := ReadDocument(text); err == nil {
				released = slices.AppendSeq(released, maps.Values(d.Modules))
			}
		}
		a.remove(name)
	}
	return released
}

// SweepModules removes those of released, which are digests, that no document of any
// API names. Documents that are still to come must not name them. Errors leave files
// that do no harm.
func (a *Archive) SweepModules(released []string) {
	left := map[string]bool{}
	for _, digest := range released {
		left[digest] = true
	}
	apis, err := a.names("")
	if err != nil {
		return
	}
	for _, api := range apis {
		names, err := a.names(api)
		if err != nil && !errors.Is(err, syscall.ENOTDIR) {
			return // who knows what it names
		}
		for _, name := range names {
			if len(left) == 0 {
				return
			}
			if !strings.HasSuffix(name, ".json") || name == historyFile {
				continue
			}
			text, err := a.read(filepath.Join(api, name))
			if err != nil {
				return
			}
			maps.DeleteFunc(left, func(digest string, _ bool) bool { return bytes.Contains(text, []byte(digest)) })
		}
	}
	for digest := range left {
		a.remove(moduleName(digest))
	}
}

// names returns what is in a folder, in no particular order; "" is the archive's.
func (a *Archive) names(folder string) ([]string, error) {
	all := map[string]bool{}
	if a.dir != "" {
		entries, err := os.ReadDir(a.path(folder))
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			all[e.Name()] = true
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for name := range a.kept { // nothing if there is a folder
		if folder == "" {
			all[filepath.Dir(name)] = true
		} else if filepath.Dir(name) == folder {
			all[filepath.Base(name)] = true
		}
	}
	return slices.Collect(maps.Keys(all)), nil
}

func (a *Archive) remove(name string) {
	if a.dir != "" {
		_ = os.Remove(a.path(name)) // what stays does no harm
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.kept, name)
}

// Lock keeps other processes from changing anything until the function it returns is
// called. The error is ErrBusy when one is about to.
func (a *Archive) Lock() (unlock func(), err error) {
	if a.dir == "" {
		return func() {}, nil
	}
	if err := os.MkdirAll(a.dir, 0o700); err != nil {
		return nil, fmt.Errorf("deployments: %w", err)
	}
	f, err := os.OpenFile(a.path(lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("deployments: %w", err)
	}
	for began := time.Now(); ; time.Sleep(lockPatience / 20) {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil // which lets go
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) || time.Since(began) > lockPatience {
			break
		}
	}
	_ = f.Close() // it isn't locked
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, ErrBusy
	}
	return nil, fmt.Errorf("deployments: lock %s: %w", f.Name(), err)
}

// lockPatience is how long another process may take with its change.
const lockPatience = 300 * time.Millisecond

func (a *Archive) path(name string) string {
	if a.dir == "" {
		return name
	}
	return filepath.Join(a.dir, name)
}

func (a *Archive) read(name string) ([]byte, error) {
	if a.dir != "" {
		return os.ReadFile(a.path(name))
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	text, there := a.kept[name]
	if !there {
		return nil, fs.ErrNotExist
	}
	return text, nil
}

// write puts a file into its place in one step; it is on the disk when write returns.
func (a *Archive) write(name string, text []byte) error {
	if a.dir == "" {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.kept[name] = text
		return nil
	}
	path := a.path(name)
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(folder, filepath.Base(path)+newSuffix) // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // what is left of it is only waste
		return err
	}
	return syncFolder(folder)
}

// syncFolder has the disk know the folder's entries.
func syncFolder(folder string) error {
	f, err := os.Open(folder)
	if err != nil {
		return err
	}
	err = f.Sync()
	if closing := f.Close(); err == nil {
		err = closing
	}
	return err
}
