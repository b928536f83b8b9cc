package proxy_test

import (
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"testing"
)

// secretName fits names of what an attacker must not be able to guess byte by byte,
// from how long a comparison takes.
var secretName = regexp.MustCompile(`(?i)^(secret|password|passwd|session_?token|usage_?key|signature|mac|api_?key|bearer)$`)

// openComparisons are the functions that may compare such things as they like.
var openComparisons = map[string]string{
	"plugins/supply/supplytest/registry.go": "a registry for tests",
	"plugins/anatomy.go":                    "the signature of a function",
	"plugins/module.go":                     "the signature of a function",
}

// Secrets are compared in a time that says nothing: with subtle.ConstantTimeCompare
// or hmac.Equal, never with ==, bytes.Equal or strings.EqualFold.
func TestGuardSecretComparisons(t *testing.T) {
	for _, f := range product(t) {
		if openComparisons[f.path] != "" {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.BinaryExpr:
				if (n.Op == token.EQL || n.Op == token.NEQ) && (secretly(n.X) && variable(n.Y) || secretly(n.Y) && variable(n.X)) {
					t.Errorf("%s: a secret is compared with %s", f.place(n.Pos()), n.Op)
				}
			case *ast.CallExpr:
				called, _ := n.Fun.(*ast.SelectorExpr)
				if called == nil || !slices.Contains([]string{"Equal", "EqualFold", "Compare", "Contains", "HasPrefix"}, called.Sel.Name) {
					return true
				}
				if from, is := called.X.(*ast.Ident); is && (from.Name == "bytes" || from.Name == "strings") && len(n.Args) == 2 &&
					(secretly(n.Args[0]) && variable(n.Args[1]) || secretly(n.Args[1]) && variable(n.Args[0])) {
					t.Errorf("%s: a secret is compared with %s.%s", f.place(n.Pos()), from.Name, called.Sel.Name)
				}
			}
			return true
		})
	}
}

// secretly reports whether e is called like a secret.
func secretly(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.Ident:
		return secretName.MatchString(e.Name)
	case *ast.SelectorExpr:
		return secretName.MatchString(e.Sel.Name)
	case *ast.SliceExpr:
		return secretly(e.X)
	case *ast.CallExpr:
		name, _ := e.Fun.(*ast.Ident)
		_, array := e.Fun.(*ast.ArrayType)
		conversion := array || name != nil && name.Name == "string"
		return conversion && len(e.Args) == 1 && secretly(e.Args[0])
	}
	return false
}

// variable reports whether e isn't a constant that everybody can read.
func variable(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BasicLit:
		return false
	case *ast.Ident:
		return e.Name != "nil"
	}
	return true
}
