package proxy_test

import (
	"go/ast"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

const (
	fileCap     = 600 // lines of a file
	functionCap = 80  // lines of a function
)

func TestGuardSizes(t *testing.T) {
	for _, f := range product(t) {
		if n := f.set.File(f.ast.Pos()).LineCount(); n > fileCap {
			t.Errorf("%s: %d lines, at most %d: one concept a file", f.path, n, fileCap)
		}
		for _, decl := range f.ast.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if n := f.set.Position(fn.End()).Line - f.set.Position(fn.Pos()).Line + 1; n > functionCap {
				t.Errorf("%s: %s has %d lines, at most %d", f.place(fn.Pos()), fn.Name.Name, n, functionCap)
			}
		}
	}
}

func TestGuardNoInit(t *testing.T) {
	for _, f := range hosted(t) {
		for _, decl := range f.ast.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s: init: what a thing needs comes in through its constructor", f.place(fn.Pos()))
			}
		}
	}
}

// emptyWords say nothing about what a thing is.
const emptyWords = " util utils common helper helpers manager base misc data info impl service handler middleware "

func empty(word string) bool {
	return strings.Contains(emptyWords, " "+strings.ToLower(word)+" ")
}

// words splits aName, a_name or AName into its words.
func words(name string) []string {
	var all []string
	start := 0
	for i, r := range name {
		switch {
		case r == '_' || r == '-' || r == '.':
			all = append(all, name[start:i])
			start = i + 1
		case i > start && unicode.IsUpper(r) && !unicode.IsUpper(rune(name[i-1])):
			all = append(all, name[start:i])
			start = i
		}
	}
	return append(all, name[start:])
}

func TestGuardNames(t *testing.T) {
	check := func(place, what, name string) {
		for _, w := range words(name) {
			if empty(w) {
				t.Errorf("%s: the word %q in the name of %s %s says nothing", place, w, what, name)
			}
		}
	}
	for _, f := range product(t) {
		check(f.path, "package", f.ast.Name.Name)
		check(f.path, "file", strings.TrimSuffix(path.Base(f.path), ".go"))
		for _, decl := range f.ast.Decls {
			gen, ok := decl.(*ast.GenDecl)
			if !ok || gen.Tok != token.TYPE {
				continue
			}
			for _, spec := range gen.Specs {
				check(f.place(spec.Pos()), "type", spec.(*ast.TypeSpec).Name.Name)
			}
		}
	}
}

// interfaceMethods are documented by the interface that everybody knows.
const interfaceMethods = " Error String Unwrap Is Read Write Close Len Less Swap MarshalText UnmarshalText MarshalJSON UnmarshalJSON "

func TestGuardDocComments(t *testing.T) {
	dirs, groups := byDir(product(t))
	for _, dir := range dirs {
		documented := false
		for _, f := range groups[dir] {
			documented = documented || f.ast.Doc != nil
			if f.ast.Name.Name != "main" {
				docComments(t, f)
			}
		}
		if !documented {
			t.Errorf("%s: no package comment", dir)
		}
	}
}

func docComments(t *testing.T, f *goFile) {
	missing := func(n ast.Node, name string) {
		t.Errorf("%s: %s has no doc comment", f.place(n.Pos()), name)
	}
	for _, decl := range f.ast.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			name := d.Name.Name
			if d.Doc != nil || !d.Name.IsExported() {
				continue
			}
			if d.Recv != nil && (!ast.IsExported(receiver(d)) || strings.Contains(interfaceMethods, " "+name+" ")) {
				continue
			}
			missing(d, name)
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch s := spec.(type) {
				case *ast.TypeSpec:
					if s.Name.IsExported() && s.Doc == nil && d.Doc == nil {
						missing(s, s.Name.Name)
					}
				case *ast.ValueSpec:
					for _, name := range s.Names {
						// One comment may speak for a whole group.
						if name.IsExported() && s.Doc == nil && s.Comment == nil && d.Doc == nil {
							missing(s, name.Name)
						}
					}
				}
			}
		}
	}
}

// receiver returns the name of the type that d is a method of.
func receiver(d *ast.FuncDecl) string {
	expr := d.Recv.List[0].Type
	for {
		switch e := expr.(type) {
		case *ast.StarExpr:
			expr = e.X
		case *ast.IndexExpr:
			expr = e.X
		case *ast.IndexListExpr:
			expr = e.X
		case *ast.Ident:
			return e.Name
		default:
			return ""
		}
	}
}

func TestGuardText(t *testing.T) {
	// Written in pieces, so that this file passes its own test.
	forbidden := []struct {
		what string
		re   *regexp.Regexp
	}{
		{"path of one machine", regexp.MustCompile(`/(ho` + `me|ro` + `ot|Us` + `ers)/[a-z]|/wo` + `rk/|/tm` + `p/[a-z]`)},
		{"module proxy or registry", regexp.MustCompile(`GOPR` + `OXY|GOSU` + `MDB|proxy\.gol` + `ang\.org|go` + `proxy\.`)},
		{"unfinished mark", regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X|HA` + `CK)\b`)},
	}
	walk(t, func(name string) {
		if name == "LICENSE" || name == "go.sum" {
			return
		}
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Error(err)
			return
		}
		for _, bad := range forbidden {
			for _, at := range bad.re.FindAllIndex(text, -1) {
				t.Errorf("%s:%d: %s: %q", name, 1+strings.Count(string(text[:at[0]]), "\n"), bad.what, text[at[0]:at[1]])
			}
		}
	})
}
