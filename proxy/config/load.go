package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sort"
	"strings"
)

// origin is where a configuration came from.
type origin struct {
	root     *place
	first    *source
	schema   *node
	files    []string
	expanded map[string]string // path → string before ${env:…} and ${file:…} were expanded
	learned  map[string]string // what such expressions stood for → the expression
}

// loader reads files and collects findings.
type loader struct {
	origin
	findings Findings
	env      func(string) (string, bool)
	opened   []opened

	// A file is missing or broken: what isn't there may stand in it.
	incomplete bool
}

// opened is a file that was read, to know it again.
type opened struct {
	name    string
	st      fs.FileInfo
	reading bool // its includes are being read
}

// Limits of what is read, so that a mistaken path can't exhaust memory.
const (
	maxFile    = 16 << 20 // bytes of one file
	maxFiles   = 10000
	maxNesting = 1000 // unclosed brackets; far beyond use
)

// Load reads the configuration from the file path and those it includes, checks
// all of it and decodes it. The findings are sorted by file and place; it can be
// used unless they have Failed. The Config is nil only when nothing could be
// decoded; after an error it holds what was right.
func Load(path string) (*Config, Findings) {
	l := newLoader()
	text, st, err := read(path)
	if err != nil {
		l.findings = Findings{{Severity: SeverityError, File: path, Text: "can't read the configuration: " + cause(err)}}
		return nil, l.findings
	}
	return l.load(path, text, st)
}

// Parse is Load for a text that is already read; name stands for the file in
// findings and for relative paths.
func Parse(name string, text []byte) (*Config, Findings) {
	return newLoader().load(name, text, nil)
}

func newLoader() *loader {
	return &loader{origin: origin{expanded: map[string]string{}}, env: os.LookupEnv}
}

func (l *loader) load(name string, text []byte, st fs.FileInfo) (*Config, Findings) {
	l.schema = schemaOf(reflect.TypeFor[Config]())
	tree, root, includes := l.file(name, text, st)
	if tree == nil {
		l.findings.sort()
		return nil, l.findings
	}
	l.root, l.first = root, root.src
	c := &checker{loader: l, spoiled: map[string]bool{}}
	cfg := new(Config)
	c.table(l.schema, tree, root, reflect.ValueOf(cfg).Elem())
	cfg.Include = includes
	c.cross(cfg, tree)
	slices.Sort(l.files)
	l.files = slices.Compact(l.files)
	cfg.origin = &l.origin
	l.findings.sort()
	return cfg, l.findings
}

// read reads a file that has a finite size.
func read(path string) ([]byte, fs.FileInfo, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("larger than %v", Size(maxFile))
	}
	return text, st, err
}

// cause returns err without the operation and path that the message has anyway.
func cause(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return err.Error()
}

// lookedAt is the hint for a path that isn't there.
func lookedAt(path string) string {
	if full, err := filepath.Abs(path); err == nil {
		return "looked at " + full + "; paths are relative to the file that holds them"
	}
	return ""
}

// watch remembers a file or folder that the configuration depends on.
func (l *loader) watch(path string) {
	if len(l.files) == 0 || l.files[len(l.files)-1] != path {
		l.files = append(l.files, path)
	}
}

// add adds a finding about the value of path, at sp of at's file. at may be nil.
func (l *loader) add(severity string, at *place, sp span, path []string, text, hint string) {
	l.findings = append(l.findings, l.origin.finding(severity, at, sp, path, text, hint))
}

func (o *origin) finding(severity string, at *place, sp span, path []string, text, hint string) Finding {
	f := Finding{Severity: severity, Key: keyPath(path, o.root), Text: o.unlearned(text), Hint: o.unlearned(hint)}
	src := o.first
	if at != nil {
		src = at.src
	}
	if src != nil {
		f.File, f.order = src.name, src.order
		f.Line, f.Column, f.Width, f.Source = src.locate(sp)
	}
	return f
}

// Finding returns an error about the value of path, such as {"api", "hello",
// "route", "GET /x", "integration", "url"}; elements of arrays are "0", "1", ….
// It points at the value; when the key isn't there, at the table that lacks it.
// A Config that wasn't loaded gives a Finding without a place.
func (c *Config) Finding(path []string, text, hint string) Finding {
	if c.origin == nil {
		return Finding{Severity: SeverityError, Key: keyPath(path, nil), Text: text, Hint: hint}
	}
	at := c.origin.nearest(path)
	return c.origin.finding(SeverityError, at, at.whole(), path, text, hint)
}

// nearest returns the place of path, or of the innermost table on the way.
func (o *origin) nearest(path []string) *place {
	at := o.root
	for _, part := range path {
		k := at.kid(part)
		if k == nil {
			break
		}
		at = k
	}
	return at
}

// Files returns what the configuration was made from, sorted: every file read or
// referred to, and the folders in which include patterns look. A watcher loads
// again when one of them changes.
func (c *Config) Files() []string {
	if c.origin == nil {
		return nil
	}
	return slices.Clone(c.origin.files)
}

// File returns value as a path relative to the file that holds the key path.
// Load has done that already for the options that are files.
func (c *Config) File(value string, path ...string) string {
	if filepath.IsAbs(value) || c.origin == nil {
		return value
	}
	return filepath.Join(filepath.Dir(c.origin.nearest(path).src.name), value)
}

// file parses one file with what it includes, and returns the merged values and
// places, nil when its syntax is wrong, and its include option.
func (l *loader) file(name string, text []byte, st fs.FileInfo) (map[string]any, *place, []string) {
	l.watch(name)
	l.opened = append(l.opened, opened{name, st, true})
	self := len(l.opened) - 1
	src := newSource(name, self, text)
	tree, root := l.parse(src)
	if tree == nil {
		return nil, nil, nil
	}
	patterns := l.include(tree, root)
	l.opened[self].reading = false
	return tree, root, patterns
}

const includeKey = "include"

// include reads the files that tree asks for and merges them into it.
func (l *loader) include(tree map[string]any, root *place) []string {
	v, there := tree[includeKey]
	if !there {
		return nil
	}
	c := &checker{loader: &loader{origin: origin{root: root, first: root.src, expanded: map[string]string{}}, env: l.env}, spoiled: map[string]bool{}}
	var patterns []string
	f := l.schema.field(includeKey)
	c.within(includeKey, func() { c.value(f, f.node, v, root.kid(includeKey), reflect.ValueOf(&patterns).Elem()) })
	l.findings = append(l.findings, c.findings...)
	l.files = append(l.files, c.files...)
	if c.findings.Failed() {
		l.incomplete = true
		return patterns
	}
	at := root.kid(includeKey)
	for i, pattern := range patterns {
		path := []string{includeKey, fmt.Sprint(i)}
		element := at.kid(path[1])
		report := func(text, hint string) {
			l.incomplete = true
			key := origin{root: root, first: root.src}
			l.findings = append(l.findings, key.finding(SeverityError, element, element.whole(), path, text, hint))
		}
		for _, name := range l.matches(root.src.name, pattern, report) {
			l.merge(tree, root, name, report)
		}
	}
	return patterns
}

// matches returns the files that an include pattern means.
func (l *loader) matches(holder, pattern string, report func(text, hint string)) []string {
	full := pattern
	if !filepath.IsAbs(pattern) {
		full = filepath.Join(filepath.Dir(holder), pattern)
	}
	if !strings.ContainsAny(pattern, `*?[`) {
		return []string{full}
	}
	folder := filepath.Dir(full)
	for strings.ContainsAny(folder, `*?[`) {
		folder = filepath.Dir(folder)
	}
	l.watch(folder)
	found, err := filepath.Glob(full)
	if err != nil {
		report("not a glob pattern", `brackets must be closed: "conf.d/[a-m]*.toml"`)
		return nil
	}
	hidden := strings.HasPrefix(filepath.Base(pattern), ".")
	found = slices.DeleteFunc(found, func(name string) bool {
		st, err := os.Stat(name)
		return !hidden && strings.HasPrefix(filepath.Base(name), ".") || err == nil && st.IsDir() || l.same(name, holder)
	})
	if len(found) == 0 {
		report("no file matches", lookedAt(full))
	}
	sort.Strings(found)
	for _, name := range found {
		l.watch(filepath.Dir(name))
	}
	return found
}

// same reports whether two names mean one file.
func (l *loader) same(a, b string) bool {
	sa, errA := os.Stat(a)
	sb, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(sa, sb)
}

// merge reads the file name and moves what it holds into tree.
func (l *loader) merge(tree map[string]any, root *place, name string, report func(text, hint string)) {
	st, err := os.Stat(name)
	if err == nil && st.IsDir() {
		report("is a folder", fmt.Sprintf("write %q", strings.TrimSuffix(name, "/")+"/*.toml"))
		return
	}
	for _, o := range l.opened {
		if err != nil || !(o.st != nil && os.SameFile(o.st, st)) && filepath.Clean(o.name) != filepath.Clean(name) {
			continue
		}
		if o.reading {
			report("include cycle: "+l.cycle(o.name), "")
		}
		return // a file that is already there
	}
	if len(l.opened) >= maxFiles {
		report(fmt.Sprintf("more than %d files", maxFiles), "")
		return
	}
	var text []byte
	if err == nil {
		text, st, err = read(name)
	}
	if err != nil {
		l.watch(filepath.Dir(name))
		report("can't read "+name+": "+cause(err), lookedAt(name))
		return
	}
	more, from, _ := l.file(name, text, st)
	if more == nil {
		return
	}
	delete(more, includeKey)
	l.mergeTable(l.schema, tree, more, root, from, nil)
}

// cycle shows the way from file name back to it.
func (l *loader) cycle(name string) string {
	var way []string
	for _, o := range l.opened {
		if o.reading && (len(way) > 0 || o.name == name) {
			way = append(way, o.name)
		}
	}
	return strings.Join(append(way, name), " → ")
}

// mergeTable moves more into tree. Tables with known keys and tables of names
// are joined; what is in both is a finding.
func (l *loader) mergeTable(n *node, tree, more map[string]any, root, from *place, path []string) {
	order := from
	if len(path) == 0 {
		order = without(from, includeKey)
	}
	for _, key := range keysOf(more, order) {
		have, twice := tree[key]
		k := from.kid(key)
		if !twice {
			tree[key] = more[key]
			if k != nil {
				root.add(k)
			}
			continue
		}
		f := n.field(key)
		a, tableA := have.(map[string]any)
		b, tableB := more[key].(map[string]any)
		if f != nil && tableA && tableB && (f.kind == tableKind || f.kind == namesKind && len(path) == 0) {
			l.mergeTable(f.node, a, b, root.kid(key), k, append(path, key))
			continue
		}
		where := ""
		if first := root.kid(key); first != nil {
			where = " at " + first.String()
		}
		l.add(SeverityError, k, k.keySpan(), append(slices.Clone(path), key),
			"already defined"+where, "a name may be defined in one file only; rename one or remove it")
	}
}

// without returns p less one of its kids; p stays what it is.
func without(p *place, name string) *place {
	if p.kid(name) == nil {
		return p
	}
	q := *p
	q.kids = slices.DeleteFunc(slices.Clone(p.kids), func(k *place) bool { return k.name == name })
	return &q
}
