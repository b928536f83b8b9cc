package proxy_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"testing"
)

// The guard tests read the source itself with os and go/parser. They never ask
// the go command, so that `go test` sees which files they opened and doesn't
// repeat an answer that is no longer true.

// root is the project's folder, seen from this package.
const root = ".."

// module is the prefix of our import paths.
const module = "github.com/postern-gateway/postern/"

// goFile is one parsed Go file of the project.
type goFile struct {
	path  string // relative to root, with slashes
	dir   string
	test  bool
	guest bool // of a WebAssembly guest
	set   *token.FileSet
	ast   *ast.File
}

// place returns path:line of pos.
func (f *goFile) place(pos token.Pos) string {
	p := f.set.Position(pos)
	return f.path + ":" + strconv.Itoa(p.Line)
}

// walk calls f for every file of the project that belongs to its source: not
// for what git ignores.
func walk(t *testing.T, f func(path string)) {
	t.Helper()
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		switch {
		case d.IsDir() && (rel == ".git" || rel == "bin" || rel == "build"):
			return fs.SkipDir
		case d.IsDir() || !d.Type().IsRegular():
			return nil
		}
		switch path.Ext(rel) {
		case ".wasm", ".test", ".prof":
			return nil
		}
		f(rel)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// parseAll returns every Go file of the project. A file that doesn't parse
// fails the test and is left out.
func parseAll(t *testing.T) []*goFile {
	t.Helper()
	var files []*goFile
	walk(t, func(name string) {
		if path.Ext(name) != ".go" {
			return
		}
		set := token.NewFileSet()
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Error(err)
			return
		}
		tree, err := parser.ParseFile(set, name, text, parser.ParseComments)
		if err != nil {
			t.Error(err)
			return
		}
		files = append(files, &goFile{
			path: name, dir: path.Dir(name),
			test:  strings.HasSuffix(name, "_test.go"),
			guest: strings.HasPrefix(string(text), "//go:build wasip1\n"),
			set:   set, ast: tree,
		})
	})
	if len(files) < 10 {
		t.Fatalf("only %d Go files found below %s: is the project's folder right?", len(files), root)
	}
	return files
}

// product returns the files that are neither tests nor read by the go command
// as tests' data.
func product(t *testing.T) []*goFile {
	t.Helper()
	var files []*goFile
	for _, f := range parseAll(t) {
		if !f.test && !strings.HasPrefix(f.path, "testdata/") && !strings.Contains(f.path, "/testdata/") {
			files = append(files, f)
		}
	}
	return files
}

// hosted returns the files of product that run in the gateway's process. A guest
// is entered through exports without arguments, one request at a time, so it
// has nothing but package variables and init to begin with.
func hosted(t *testing.T) []*goFile {
	t.Helper()
	var files []*goFile
	for _, f := range product(t) {
		if !f.guest {
			files = append(files, f)
		}
	}
	return files
}

// byDir groups files by folder and returns the folders in order.
func byDir(files []*goFile) (dirs []string, groups map[string][]*goFile) {
	groups = map[string][]*goFile{}
	for _, f := range files {
		if groups[f.dir] == nil {
			dirs = append(dirs, f.dir)
		}
		groups[f.dir] = append(groups[f.dir], f)
	}
	sort.Strings(dirs)
	return dirs, groups
}
