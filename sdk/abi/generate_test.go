package abi

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/constant"
	"go/format"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"
)

var update = flag.Bool("update", false, "write what is generated from the tables")

const generated = "Code generated from sdk/abi by `go test ./sdk/abi -update`. DO NOT EDIT."

// What the SDKs and the reference say is what the tables say.
func TestGenerated(t *testing.T) {
	numbers := readNumbers(t)
	f := func(file string, want []byte) {
		t.Helper()
		file = filepath.Join("..", filepath.FromSlash(file))
		got, err := os.ReadFile(file)
		if bytes.Equal(got, want) {
			return
		}
		if !*update {
			t.Errorf("%s is stale (%v); run: go test ./sdk/abi -update", file, err)
			return
		}
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	f("c/postern.h", cHeader(numbers))
	f("go/raw.go", goExterns(t))
	f("rust/src/raw.rs", rustExterns(numbers))
	f("assemblyscript/assembly/raw.ts", assemblyScriptExterns(numbers))
	f("zig/raw.zig", zigExterns(numbers))
	document, err := os.ReadFile("../../plugins/ABI.md")
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := bytes.Cut(document, []byte("<!-- begin reference -->\n"))
	_, after, ok2 := bytes.Cut(rest, []byte("<!-- end reference -->\n"))
	if !ok || !ok2 {
		t.Fatal("plugins/ABI.md has lost the marks around its reference")
	}
	f("../plugins/ABI.md", slices.Concat(before, []byte("<!-- begin reference -->\n"), reference(numbers), []byte("<!-- end reference -->\n"), after))
}

// The tables name every number once, and every phase that a role has.
func TestTablesAreWhole(t *testing.T) {
	numbers := readNumbers(t)
	f := func(prefix string, parts []Part) {
		t.Helper()
		named := map[int64]bool{}
		for i, p := range parts {
			if p.Number != int32(i+1) || p.Name == "" || p.Doc == "" || p.Readable|p.Writable == 0 {
				t.Errorf("part %+v at %d", p, i)
			}
			named[int64(p.Number)] = true
		}
		for _, n := range numbers {
			if strings.HasPrefix(n.name, prefix) && !named[n.value] {
				t.Errorf("%s isn't described", n.name)
			}
		}
	}
	f("Field", FieldParts())
	f("Map", MapParts())
	f("Body", BodyParts())
	phases := Start
	for i, r := range Roles() {
		if r.Bit != 1<<i || r.Export != "postern_"+r.Name || r.Verb == "" {
			t.Errorf("role %+v at %d", r, i)
		}
		phases |= r.Phase
	}
	if phases != Always {
		t.Errorf("the roles' phases are %b, want %b", phases, Always)
	}
	seen := map[string]bool{}
	for _, fn := range Functions() {
		name := fn.Module + "." + fn.Name
		if seen[name] || fn.Phases == 0 || fn.Doc == "" || fn.Gives == "" || !slices.ContainsFunc(Groups(), func(g Group) bool { return g.Module == fn.Module }) {
			t.Errorf("%s: %+v", name, fn)
		}
		seen[name] = true
		for _, a := range fn.Arguments() {
			if !strings.ContainsRune("iImfytdb", rune(a.Kind)) {
				t.Errorf("%s: argument %s has the kind %c", name, a.Name, a.Kind)
			}
		}
	}
}

// number is a numeric constant of this package.
type number struct {
	name  string
	value int64
	doc   string // the comment at its line
	block string // the comment over its block; only at the first of one
}

// readNumbers returns the constants in the order of the source.
func readNumbers(t *testing.T) []number {
	t.Helper()
	set := token.NewFileSet()
	var files []*ast.File
	for _, name := range []string{"abi.go", "message.go", "functions.go"} {
		file, err := parser.ParseFile(set, name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	// "strings" stays unknown, which hurts no constant.
	config := types.Config{Error: func(error) {}}
	pkg, _ := config.Check("abi", set, files, nil)
	var all []number
	for _, file := range files {
		for _, d := range file.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.CONST {
				continue
			}
			block := strings.TrimSpace(g.Doc.Text())
			for _, s := range g.Specs {
				spec := s.(*ast.ValueSpec)
				for _, name := range spec.Names {
					c := pkg.Scope().Lookup(name.Name).(*types.Const)
					value, exact := constant.Int64Val(constant.ToInt(c.Val()))
					if c.Val().Kind() != constant.Int || !exact || strings.HasSuffix(c.Type().String(), "Phase") {
						continue
					}
					doc := strings.TrimSpace(spec.Comment.Text())
					if doc == "" {
						doc = described(name.Name, int32(value))
					}
					all = append(all, number{name.Name, value, doc, block})
					block = ""
				}
			}
		}
	}
	if len(all) < 60 {
		t.Fatalf("only %d constants were found", len(all))
	}
	return all
}

// described is what the tables say of a field, a map or a body.
func described(name string, n int32) string {
	for prefix, parts := range map[string][]Part{"Field": FieldParts(), "Map": MapParts(), "Body": BodyParts()} {
		if strings.HasPrefix(name, prefix) {
			return parts[n-1].Doc
		}
	}
	return ""
}

// snake writes a Go name with "_" between its words, in capitals.
func snake(name string) string {
	switch name {
	case "FieldAPIID":
		return "FIELD_API_ID"
	case "EdDSA":
		return "EDDSA"
	}
	var b strings.Builder
	runes := []rune(name)
	for i, r := range runes {
		if i > 0 && unicode.IsUpper(r) && (!unicode.IsUpper(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1])) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToUpper(r))
	}
	return b.String()
}

// lines writes text as comment lines of at most 100 characters.
func lines(b *bytes.Buffer, mark, text string) {
	width := 0
	for i, word := range strings.Fields(text) {
		if i > 0 && width+len(word) < 96 {
			b.WriteByte(' ')
			width++
		} else {
			if i > 0 {
				b.WriteByte('\n')
			}
			b.WriteString(mark + " ")
			width = len(mark) + 1
		}
		b.WriteString(word)
		width += len(word)
	}
	b.WriteByte('\n')
}

// about is the comment for a function.
func (f *Function) about() string {
	if f.Gives == "0" {
		return f.Doc
	}
	return f.Doc + " Returns: " + f.Gives + "."
}

// prefixed is f's name behind its group's.
func (f *Function) prefixed() string {
	for _, g := range Groups() {
		if g.Module == f.Module && g.Name != "" {
			return g.Name + "_" + f.Name
		}
	}
	return f.Name
}

// parameters writes the parameters of f: one writes those that are one value,
// and pair those that are address and length.
func (f *Function) parameters(one func(name string, wide bool) string, pair func(name string, kind byte) string) string {
	var all []string
	for _, a := range f.Arguments() {
		switch a.Kind {
		case 't', 'd', 'b':
			all = append(all, pair(a.Name, a.Kind))
		default:
			all = append(all, one(a.Name, a.Kind == 'I'))
		}
	}
	return strings.Join(all, ", ")
}

func pick(wide bool, yes, no string) string {
	if wide {
		return yes
	}
	return no
}

// rule says what is the same for all functions.
const rule = "A result below 0 is one of the codes. A function that fills a buffer returns the length that is needed, and writes nothing if that is more than the size."

func writeNumbers(b *bytes.Buffer, numbers []number, mark, format, close string) {
	for _, n := range numbers {
		if n.block != "" {
			b.WriteByte('\n')
			lines(b, mark, n.block)
		}
		fmt.Fprintf(b, format, snake(n.name), n.value)
		if n.doc != "" {
			b.WriteString(" " + mark + " " + n.doc + close)
		}
		b.WriteByte('\n')
	}
}

func cHeader(numbers []number) []byte {
	var b bytes.Buffer
	b.WriteString("// " + generated + "\n//\n")
	lines(&b, "//", "The functions and numbers of postern's plugin ABI, for C and C++ with --target=wasm32 (clang). "+rule)
	b.WriteString("#ifndef POSTERN_H\n#define POSTERN_H\n\n#include <stddef.h>\n#include <stdint.h>\n\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n")
	b.WriteString("#define POSTERN_IMPORT(module, name) __attribute__((import_module(module), import_name(name)))\n")
	b.WriteString("// An exported function of a plugin: POSTERN_EXPORT(\"postern_request\") int32_t request(void) { … }\n")
	b.WriteString("#define POSTERN_EXPORT(name) __attribute__((export_name(name)))\n")
	writeNumbers(&b, numbers, "//", "#define POSTERN_%s (%d)", "")
	for _, g := range Groups() {
		b.WriteByte('\n')
		lines(&b, "//", g.Module+": "+g.Doc)
		for _, f := range Functions() {
			if f.Module != g.Module {
				continue
			}
			parameters := f.parameters(
				func(name string, wide bool) string { return pick(wide, "int64_t ", "int32_t ") + name },
				func(name string, kind byte) string {
					switch kind {
					case 't':
						return "const char *" + name + ", size_t " + name + "_len"
					case 'd':
						return "const void *" + name + ", size_t " + name + "_len"
					}
					return "void *" + name + ", size_t " + name + "_size"
				})
			if parameters == "" {
				parameters = "void"
			}
			b.WriteByte('\n')
			lines(&b, "//", f.about())
			fmt.Fprintf(&b, "POSTERN_IMPORT(%q, %q)\n%s postern_%s(%s);\n", f.Module, f.Name, pick(f.Result == 'I', "int64_t", "int32_t"), f.prefixed(), parameters)
		}
	}
	b.WriteString("\n#ifdef __cplusplus\n}\n#endif\n\n#endif\n")
	return b.Bytes()
}

func goExterns(t *testing.T) []byte {
	var b bytes.Buffer
	b.WriteString("// " + generated + "\n\n//go:build wasip1\n\npackage postern\n\nimport \"unsafe\"\n")
	for _, f := range Functions() {
		parameters := f.parameters(
			func(name string, wide bool) string { return safe(name) + pick(wide, " int64", " int32") },
			func(name string, _ byte) string { return safe(name) + " unsafe.Pointer, " + name + "Len uint32" })
		b.WriteByte('\n')
		lines(&b, "//", f.about())
		fmt.Fprintf(&b, "//\n//go:wasmimport %s %s\nfunc raw%s(%s) %s\n", f.Module, f.Name, camel(f.prefixed()), parameters, pick(f.Result == 'I', "int64", "int32"))
	}
	text, err := format.Source(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// safe keeps a parameter from being called like a keyword of Go.
func safe(name string) string {
	if token.IsKeyword(name) {
		return name + "At"
	}
	return name
}

func camel(name string) string {
	var b strings.Builder
	for part := range strings.SplitSeq(name, "_") {
		b.WriteString(strings.ToUpper(part[:1]) + part[1:])
	}
	return b.String()
}

func rustExterns(numbers []number) []byte {
	var b bytes.Buffer
	b.WriteString("// " + generated + "\n\n")
	lines(&b, "//!", "The functions and numbers of postern's plugin ABI as they are. "+rule)
	writeNumbers(&b, numbers, "//", "pub const %s: i32 = %d;", "")
	for _, g := range Groups() {
		b.WriteByte('\n')
		lines(&b, "//", g.Module+": "+g.Doc)
		fmt.Fprintf(&b, "#[link(wasm_import_module = %q)]\nextern \"C\" {\n", g.Module)
		for _, f := range Functions() {
			if f.Module != g.Module {
				continue
			}
			parameters := f.parameters(
				func(name string, wide bool) string { return name + pick(wide, ": i64", ": i32") },
				func(name string, kind byte) string {
					if kind == 'b' {
						return name + ": *mut u8, " + name + "_size: usize"
					}
					return name + ": *const u8, " + name + "_len: usize"
				})
			lines(&b, "    ///", f.about())
			if f.prefixed() != f.Name {
				fmt.Fprintf(&b, "    #[link_name = %q]\n", f.Name)
			}
			fmt.Fprintf(&b, "    pub fn %s(%s) -> %s;\n", f.prefixed(), parameters, pick(f.Result == 'I', "i64", "i32"))
		}
		b.WriteString("}\n")
	}
	return b.Bytes()
}

func assemblyScriptExterns(numbers []number) []byte {
	var b bytes.Buffer
	b.WriteString("// " + generated + "\n\n")
	lines(&b, "//", "The functions and numbers of postern's plugin ABI as they are. "+rule)
	writeNumbers(&b, numbers, "//", "export const %s: i32 = %d;", "")
	for _, f := range Functions() {
		parameters := f.parameters(
			func(name string, wide bool) string { return name + pick(wide, ": i64", ": i32") },
			func(name string, kind byte) string {
				return name + ": usize, " + name + pick(kind == 'b', "_size", "_len") + ": usize"
			})
		b.WriteByte('\n')
		lines(&b, "//", f.about())
		fmt.Fprintf(&b, "// @ts-ignore: decorator\n@external(%q, %q)\nexport declare function %s(%s): %s;\n", f.Module, f.Name, f.prefixed(), parameters, pick(f.Result == 'I', "i64", "i32"))
	}
	return b.Bytes()
}

func zigExterns(numbers []number) []byte {
	var b bytes.Buffer
	b.WriteString("// " + generated + "\n\n")
	lines(&b, "//!", "The functions and numbers of postern's plugin ABI as they are. "+rule)
	writeNumbers(&b, numbers, "//", "pub const %s: i32 = %d;", "")
	for _, g := range Groups() {
		b.WriteByte('\n')
		name := g.Name
		lines(&b, "///", g.Module+": "+g.Doc)
		if name == "" {
			name = "core"
		}
		fmt.Fprintf(&b, "pub const %s = struct {\n", name)
		for _, f := range Functions() {
			if f.Module != g.Module {
				continue
			}
			parameters := f.parameters(
				func(name string, wide bool) string { return unshadowed(name) + pick(wide, ": i64", ": i32") },
				func(name string, kind byte) string {
					if kind == 'b' {
						return name + "_ptr: [*]u8, " + name + "_size: usize"
					}
					return name + "_ptr: [*]const u8, " + name + "_len: usize"
				})
			lines(&b, "    ///", f.about())
			fmt.Fprintf(&b, "    pub extern %q fn %s(%s) %s;\n", f.Module, f.Name, parameters, pick(f.Result == 'I', "i64", "i32"))
		}
		b.WriteString("};\n")
	}
	return b.Bytes()
}

// unshadowed keeps a parameter from being called like a declaration around it,
// which Zig refuses.
func unshadowed(name string) string {
	if slices.ContainsFunc(Groups(), func(g Group) bool { return g.Name == name }) ||
		slices.ContainsFunc(Functions(), func(f Function) bool { return f.Name == name }) {
		return name + "_number"
	}
	return name
}

// words says in which phases something is possible.
func words(p Phase) string {
	switch p {
	case 0:
		return "—"
	case Always:
		return "always"
	case Calls:
		return "all roles"
	case Requests:
		return "all roles about requests"
	}
	var in, out, apart []string
	if p&Start != 0 {
		in = append(in, "start")
	}
	for _, r := range Roles() {
		switch {
		case p&r.Phase != 0:
			in = append(in, r.Name)
			continue
		case r.Phase&Requests != 0:
			apart = append(apart, r.Name)
		}
		out = append(out, r.Name)
	}
	if p&(DNS|Certify) == 0 && len(apart) < len(in) {
		return "all roles about requests but " + strings.Join(apart, ", ")
	}
	if p&Start == 0 && len(out) < len(in) {
		return "all roles but " + strings.Join(out, ", ")
	}
	return strings.Join(in, ", ")
}

// reference is the tables as Markdown.
func reference(numbers []number) []byte {
	var b bytes.Buffer
	b.WriteString("### Roles\n\n| bit | export, () → i32 | does |\n|---|---|---|\n")
	for _, r := range Roles() {
		fmt.Fprintf(&b, "| %d | `%s` | %s |\n", r.Bit, r.Export, r.Doc)
	}
	for _, g := range Groups() {
		fmt.Fprintf(&b, "\n### Functions of `%s`\n\n%s\n\n| function | parameters | result | in | does |\n|---|---|---|---|---|\n", g.Module, g.Doc)
		for _, f := range Functions() {
			if f.Module == g.Module {
				fmt.Fprintf(&b, "| %s | %s | %c: %s | %s | %s |\n", f.Name, f.signature(), f.Result, f.Gives, words(f.Phases), f.Doc)
			}
		}
	}
	for _, table := range []struct {
		title string
		parts []Part
	}{{"Fields", FieldParts()}, {"Maps", MapParts()}, {"Bodies", BodyParts()}} {
		fmt.Fprintf(&b, "\n### %s\n\n| | | read in | changed in | |\n|---|---|---|---|---|\n", table.title)
		for _, p := range table.parts {
			fmt.Fprintf(&b, "| %d | %s | %s | %s | %s |\n", p.Number, p.Name, words(p.Readable), words(p.Writable), p.Doc)
		}
	}
	b.WriteString("\n### Codes and limits\n\n| number | | |\n|---|---|---|\n")
	for _, n := range numbers {
		if n.value < 0 || strings.HasPrefix(n.name, "Max") {
			fmt.Fprintf(&b, "| %d | %s | %s |\n", n.value, strings.ToLower(strings.ReplaceAll(snake(n.name), "_", " ")), n.doc)
		}
	}
	return b.Bytes()
}

// signature writes parameters as "ii: name, i: index".
func (f *Function) signature() string {
	var all []string
	for _, a := range f.Arguments() {
		switch a.Kind {
		case 't', 'd', 'b':
			all = append(all, "ii: "+a.Name)
		case 'I':
			all = append(all, "I: "+a.Name)
		default:
			all = append(all, "i: "+a.Name)
		}
	}
	return strings.Join(all, ", ")
}
