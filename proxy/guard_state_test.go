package proxy_test

import (
	"go/ast"
	"go/token"
	"strings"
	"testing"
)

// Package variables are constants that Go can't write as constants: errors,
// embedded files, assertions, and tables that nothing changes.
func TestGuardNoPackageState(t *testing.T) {
	dirs, groups := byDir(hosted(t))
	for _, dir := range dirs {
		vars := packageVars(t, groups[dir])
		for _, f := range groups[dir] {
			for _, use := range mutations(f, vars) {
				t.Errorf("%s: %s is a package variable, and this %s", f.place(use.node.Pos()), use.name, use.what)
			}
		}
	}
}

// packageVars returns the names of a package's variables, after it reported
// those that are state by their declaration alone.
func packageVars(t *testing.T, files []*goFile) map[string]*ast.ValueSpec {
	vars := map[string]*ast.ValueSpec{}
	for _, f := range files {
		for _, decl := range f.ast.Decls {
			gen, ok := decl.(*ast.GenDecl)
			if !ok || gen.Tok != token.VAR {
				continue
			}
			for _, spec := range gen.Specs {
				s := spec.(*ast.ValueSpec)
				for _, name := range s.Names {
					if name.Name == "_" {
						continue
					}
					vars[name.Name] = s
					if why := stateful(gen, s, name.Name); why != "" {
						t.Errorf("%s: package variable %s %s", f.place(s.Pos()), name.Name, why)
					}
				}
			}
		}
	}
	return vars
}

// stateful says why a declaration is state, or "".
func stateful(gen *ast.GenDecl, s *ast.ValueSpec, name string) string {
	if embedded(gen.Doc) || embedded(s.Doc) {
		return ""
	}
	if len(s.Values) == 0 {
		return "has no value: somebody must be changing it"
	}
	if ast.IsExported(name) && !strings.HasPrefix(name, "Err") {
		return "is exported: others could change it"
	}
	why := ""
	for _, value := range s.Values {
		ast.Inspect(value, func(n ast.Node) bool {
			switch e := n.(type) {
			case *ast.FuncLit:
				return false
			case *ast.SelectorExpr:
				if pkg, ok := e.X.(*ast.Ident); ok && (pkg.Name == "sync" || pkg.Name == "atomic") {
					why = "holds a " + pkg.Name + "." + e.Sel.Name
				}
			case *ast.CallExpr:
				if fn, ok := e.Fun.(*ast.Ident); ok && (fn.Name == "make" || fn.Name == "new") {
					why = "is made empty: somebody must be filling it"
				}
			}
			return true
		})
	}
	return why
}

func embedded(doc *ast.CommentGroup) bool {
	if doc == nil {
		return false
	}
	for _, c := range doc.List {
		if strings.HasPrefix(c.Text, "//go:embed ") {
			return true
		}
	}
	return false
}

// mutation is a place where a package variable may change.
type mutation struct {
	node ast.Node
	name string
	what string
}

// mutations finds where f assigns to a variable of vars or to a part of it,
// takes its address, or hands it to a builtin that changes its argument.
func mutations(f *goFile, vars map[string]*ast.ValueSpec) []mutation {
	var found []mutation
	look := func(expr ast.Expr, what string) {
		if id := rootOf(expr); id != nil && isPackageVar(id, vars) {
			found = append(found, mutation{expr, id.Name, what})
		}
	}
	ast.Inspect(f.ast, func(n ast.Node) bool {
		switch s := n.(type) {
		case *ast.AssignStmt:
			if s.Tok != token.DEFINE {
				for _, left := range s.Lhs {
					look(left, "assigns to it")
				}
			}
		case *ast.IncDecStmt:
			look(s.X, "counts with it")
		case *ast.RangeStmt:
			if s.Tok == token.ASSIGN {
				look(s.Key, "assigns to it")
				look(s.Value, "assigns to it")
			}
		case *ast.UnaryExpr:
			if s.Op == token.AND {
				look(s.X, "takes its address")
			}
		case *ast.CallExpr:
			if fn, ok := s.Fun.(*ast.Ident); ok && len(s.Args) > 0 && fn.Obj == nil {
				switch fn.Name {
				case "append", "copy", "clear", "delete":
					look(s.Args[0], "changes it through "+fn.Name)
				}
			}
		}
		return true
	})
	return found
}

// rootOf returns the identifier that x, x.f, x[i], *x and (x) begin with.
func rootOf(expr ast.Expr) *ast.Ident {
	for {
		switch e := expr.(type) {
		case *ast.Ident:
			return e
		case *ast.SelectorExpr:
			expr = e.X
		case *ast.IndexExpr:
			expr = e.X
		case *ast.SliceExpr:
			expr = e.X
		case *ast.StarExpr:
			expr = e.X
		case *ast.ParenExpr:
			expr = e.X
		default:
			return nil
		}
	}
}

// isPackageVar reports whether id means the package's variable and not a local
// one of the same name. The parser resolves what is declared in the same file.
func isPackageVar(id *ast.Ident, vars map[string]*ast.ValueSpec) bool {
	spec, found := vars[id.Name]
	return found && (id.Obj == nil || id.Obj.Decl == spec)
}
