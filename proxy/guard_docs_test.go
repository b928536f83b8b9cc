package proxy_test

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/postern-gateway/postern/proxy/config"
)

var update = flag.Bool("update", false, "write the generated parts of README.md and its appendices")

func readFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// What the documents show as configuration, and every example, is one.
func TestGuardTOML(t *testing.T) {
	blocks := 0
	walk(t, func(name string) {
		switch {
		case strings.HasPrefix(name, "examples/") && filepath.Ext(name) == ".toml":
			blocks++
			loads(t, name, readFile(t, name))
		case filepath.Ext(name) == ".md":
			for _, block := range fenced(readFile(t, name), "toml") {
				blocks++
				loads(t, fmt.Sprintf("%s:%d", name, block.line), block.text)
			}
		}
	})
	if blocks < 2 {
		t.Errorf("%d configurations found: is the search right?", blocks)
	}
}

// block is a fenced block of a Markdown file.
type block struct {
	line int
	text string
}

func fenced(text, language string) []block {
	var all []block
	inside, wanted := false, false
	for i, row := range strings.Split(text, "\n") {
		fence, isFence := strings.CutPrefix(row, "```")
		switch {
		case isFence && inside:
			inside, wanted = false, false
		case isFence:
			inside, wanted = true, strings.TrimSpace(fence) == language
			if wanted {
				all = append(all, block{line: i + 1})
			}
		case wanted:
			all[len(all)-1].text += row + "\n"
		}
	}
	return all
}

// loads checks that text is a whole, good configuration. Files that it names
// needn't be there: they are made for the test.
func loads(t *testing.T, name, text string) {
	t.Helper()
	dir := t.TempDir()
	for _, m := range regexp.MustCompile(`\b(?:module|cert|key|ca|roots|truststore|revoked) *= *\[?"([^"]+)"`).FindAllStringSubmatch(text, -1) {
		file := filepath.Join(dir, filepath.FromSlash(m[1]))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte("stand-in"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range regexp.MustCompile(`\$\{env:([A-Z_]+)\}`).FindAllStringSubmatch(text, -1) {
		t.Setenv(m[1], "stand-in")
	}
	file := filepath.Join(dir, "postern.toml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, findings := config.Load(file); len(findings) > 0 {
		t.Errorf("%s isn't a good configuration:\n%s", name, findings.Text())
	}
}

// The findings that README shows are those that its example gives when the line
// that they show stands in it.
func TestGuardReadmeFindings(t *testing.T) {
	text := readFile(t, "README.md")
	var shown string
	for _, b := range fenced(text, "") {
		if strings.HasPrefix(b.text, "postern.toml:") {
			shown = b.text
		}
	}
	m := regexp.MustCompile(`(?m)^ +(\d+) \| (.*)$`).FindStringSubmatch(shown)
	if m == nil {
		t.Fatal("README.md shows no findings")
	}
	line, err := strconv.Atoi(m[1])
	if err != nil {
		t.Fatal(err)
	}
	example := strings.Split(fenced(text, "toml")[0].text, "\n")
	example[line-1] = m[2]
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{"postern.toml": strings.Join(example, "\n"), "greeter.wasm": "stand-in"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, findings := config.Load("postern.toml")
	if got := findings.Text(); got != shown {
		t.Errorf("README.md shows other findings than its example has\n got:\n%s\nwant:\n%s", got, shown)
	}
}

// parityRow is one line of testdata/parity.txt.
type parityRow struct{ id, status, code, scenario, text string }

// rows returns the lines of a table of testdata: fields between bars.
func rows(t *testing.T, name string, fields int) [][]string {
	t.Helper()
	var all [][]string
	for i, line := range strings.Split(readFile(t, name), "\n") {
		if strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#") {
			continue
		}
		parts := strings.SplitN(line, "|", fields)
		if len(parts) != fields {
			t.Errorf("%s:%d: %d fields, want %d", name, i+1, len(parts), fields)
			continue
		}
		for j := range parts {
			parts[j] = strings.TrimSpace(parts[j])
		}
		all = append(all, parts)
	}
	return all
}

func parity(t *testing.T) []parityRow {
	t.Helper()
	var all []parityRow
	for _, r := range rows(t, "testdata/parity.txt", 5) {
		all = append(all, parityRow{r[0], r[1], r[2], r[3], r[4]})
	}
	return all
}

func TestGuardParity(t *testing.T) {
	declared := declaredTests(t)
	seen := map[string]bool{}
	named := map[string]bool{}
	for _, r := range parity(t) {
		if seen[r.id] {
			t.Errorf("parity.txt: %s stands there twice", r.id)
		}
		seen[r.id] = true
		if !strings.Contains(" same differs part missing ", " "+r.status+" ") {
			t.Errorf("parity.txt: %s: no status %q", r.id, r.status)
		}
		files := []string{r.code}
		if !isTest(r.scenario) {
			files = append(files, "testdata/scenarios/"+r.scenario+".txtar")
		} else if !declared[r.scenario] {
			t.Errorf("parity.txt: %s: no test %s", r.id, r.scenario)
		}
		for _, file := range files {
			if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(file))); err != nil {
				t.Errorf("parity.txt: %s: %v", r.id, err)
			}
		}
		named[r.code] = true
	}
	// A deliberate difference is said where it is made, and for users.
	for _, f := range product(t) {
		for _, group := range f.ast.Comments {
			if strings.Contains(group.Text(), "Differs from AWS") && !named[f.path] {
				t.Errorf("%s differs from AWS, but no line of parity.txt names the file", f.place(group.Pos()))
			}
		}
	}
}

// declaredTests returns the functions of all tests by folder and name.
func declaredTests(t *testing.T) map[string]bool {
	t.Helper()
	declared := map[string]bool{}
	for _, f := range parseAll(t) {
		for _, decl := range f.ast.Decls {
			if d, ok := decl.(*ast.FuncDecl); ok && f.test && d.Recv == nil {
				declared[f.dir+"."+d.Name.Name] = true
			}
		}
	}
	return declared
}

// isTest reports whether a name is a test's, as cmd/postern.TestDeploy, or else a
// scenario's.
func isTest(name string) bool { return strings.Contains(name, ".Test") }

// Each fault that is listed is produced by tests that exist.
func TestGuardFaults(t *testing.T) {
	declared := declaredTests(t)
	seen := map[string]bool{}
	for _, r := range rows(t, "testdata/faults.txt", 4) {
		id, tests := r[0], r[3]
		if seen[id] {
			t.Errorf("faults.txt: %s stands there twice", id)
		}
		seen[id] = true
		for _, test := range strings.Split(tests, ", ") {
			if isTest(test) {
				if !declared[test] {
					t.Errorf("faults.txt: %s: no test %s", id, test)
				}
			} else if _, err := os.Stat(filepath.Join(root, "testdata/scenarios", filepath.FromSlash(test)+".txtar")); err != nil {
				t.Errorf("faults.txt: %s: %v", id, err)
			}
		}
	}
}

// The generated parts of README and its two appendices are what their sources say.
func TestGuardReadme(t *testing.T) {
	for file, parts := range map[string]map[string]string{
		"README.md":                 {"limits": limitsTable(t), "fixed limits": fixedLimits(t)},
		"proxy/config/REFERENCE.md": {"config": configTables(t)},
		"testdata/PARITY.md":        {"parity": parityTable(t)},
	} {
		text := readFile(t, file)
		changed := text
		for name, want := range parts {
			begin, end := "<!-- begin "+name+" -->\n", "<!-- end "+name+" -->"
			before, rest, found := strings.Cut(changed, begin)
			_, after, closed := strings.Cut(rest, end)
			if !found || !closed {
				t.Errorf("%s has no part %q", file, name)
				continue
			}
			changed = before + begin + "\n" + want + "\n" + end + after
		}
		if changed == text {
			continue
		}
		if !*update {
			t.Errorf("%s's generated parts are old: go test ./proxy -run TestGuardReadme -update, and read the difference", file)
			continue
		}
		if err := os.WriteFile(filepath.Join(root, filepath.FromSlash(file)), []byte(changed), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func parityTable(t *testing.T) string {
	var b strings.Builder
	b.WriteString("| feature | | what to know | scenario, or test |\n|---|---|---|---|\n")
	for _, r := range parity(t) {
		shown := "`" + r.scenario + "`"
		if !isTest(r.scenario) {
			shown = fmt.Sprintf("[%s](scenarios/%s.txtar)", r.scenario, r.scenario)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", r.id, r.status, cell(r.text), shown)
	}
	return b.String()
}

// cell makes text fit into a cell of a Markdown table.
func cell(text string) string {
	text = strings.ReplaceAll(strings.TrimSpace(text), "|", `\|`)
	return strings.NewReplacer("*", `\*`, "<", `\<`).Replace(text)
}

// option is one key of the configuration.
type option struct {
	table string // "[listen.NAME]"
	key   string
	kind  string // Go type
	doc   string
	tag   reflect.StructTag
}

// configTypes returns the tables of the configuration, by the names of their Go types.
func configTypes(t *testing.T) map[string]*ast.StructType {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(root, "proxy/config/types*.go"))
	if err != nil || len(paths) == 0 {
		t.Fatal("no types of the configuration", err)
	}
	types := map[string]*ast.StructType{}
	for _, path := range paths {
		tree, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range tree.Decls {
			if gen, ok := decl.(*ast.GenDecl); ok && gen.Tok == token.TYPE {
				for _, spec := range gen.Specs {
					if s, ok := spec.(*ast.TypeSpec).Type.(*ast.StructType); ok {
						types[spec.(*ast.TypeSpec).Name.Name] = s
					}
				}
			}
		}
	}
	return types
}

// options returns every key of the configuration, from its Go types.
func options(t *testing.T) []option {
	t.Helper()
	types := configTypes(t)
	var all []option
	var visit func(table, typ string)
	visit = func(table, typ string) {
		var below []func()
		for _, f := range types[typ].Fields.List {
			if f.Tag == nil {
				continue // not a key
			}
			raw, err := strconv.Unquote(f.Tag.Value)
			if err != nil {
				t.Fatal(err)
			}
			tag := reflect.StructTag(raw)
			o := option{table: table, key: tag.Get("toml"), kind: typeName(f.Type), doc: strings.Join(strings.Fields(f.Doc.Text()), " "), tag: tag}
			if o.doc == "" {
				t.Errorf("proxy/config: %s.%s has no comment", typ, o.key)
			}
			all = append(all, o)
			path := strings.TrimPrefix(table+"."+o.key, ".")
			name := strings.TrimLeft(o.kind, "*")
			if elem, isMap := strings.CutPrefix(name, "map[string]"); isMap && types[elem] != nil {
				below = append(below, func() { visit(path+"."+placeholder(o.key), elem) })
			} else if elem, isList := strings.CutPrefix(name, "[]"); isList && types[elem] != nil {
				below = append(below, func() { visit(path+"[]", elem) })
			} else if types[name] != nil {
				below = append(below, func() { visit(path, name) })
			}
		}
		for _, f := range below {
			f()
		}
	}
	visit("", "Config")
	return all
}

func typeName(expr ast.Expr) string {
	var b bytes.Buffer
	if err := printer.Fprint(&b, token.NewFileSet(), expr); err != nil {
		return err.Error()
	}
	return b.String()
}

// placeholder is how a table's names are written in the reference.
func placeholder(key string) string {
	if key == "route" {
		return `"VERB /path"`
	}
	return "NAME"
}

func configTables(t *testing.T) string {
	var b strings.Builder
	table := "-"
	for _, o := range options(t) {
		// An API's authorizers are those of the gateway, once more.
		if strings.HasPrefix(o.table, "api.NAME.authorizer.") {
			continue
		}
		if o.table != table {
			table = o.table
			title := "`[" + table + "]`"
			if table == "" {
				title = "Top level"
			}
			fmt.Fprintf(&b, "\n#### %s\n\n| key | value | default | meaning |\n|---|---|---|---|\n", title)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", o.key, cell(o.value()), cell(o.fallback()), cell(o.doc))
	}
	return strings.TrimLeft(b.String(), "\n")
}

// value says what a key takes.
func (o option) value() string {
	kind := strings.TrimLeft(o.kind, "*")
	words := map[string]string{
		"string": "text", "int": "number", "bool": "true or false", "Duration": "time", "Size": "size", "Rate": "number",
		"[]string": "list of text", "map[string]string": "table of text", "map[string]any": "table",
	}
	what, known := words[kind]
	if !known {
		what = "table"
		if strings.HasPrefix(kind, "map[") {
			what = "tables by name"
		} else if strings.HasPrefix(kind, "[]") {
			what = "list of tables"
			if o.tag.Get("short") != "" {
				what = "list of text or tables"
			}
		}
	}
	if enum := o.tag.Get("enum"); enum != "" {
		quoted := "`" + strings.ReplaceAll(enum, ",", "`, `") + "`"
		if kind == "[]string" {
			return "list of " + quoted
		}
		return quoted
	}
	if min, max := o.tag.Get("min"), o.tag.Get("max"); min != "" {
		what += ", " + min + " to " + max
	}
	return what
}

func (o option) fallback() string {
	if o.tag.Get("required") != "" {
		if types := o.tag.Get("for"); types != "" {
			return "required for " + strings.ReplaceAll(types, ",", ", ")
		}
		return "required"
	}
	if def := o.tag.Get("default"); def != "" {
		return "`" + def + "`"
	}
	return ""
}

// limitsTable lists the keys that bound something.
func limitsTable(t *testing.T) string {
	var b strings.Builder
	b.WriteString("| key | unit | default | range | bounds |\n|---|---|---|---|---|\n")
	units := map[string]string{"Duration": "time", "Size": "bytes", "int": "count"}
	for _, o := range options(t) {
		unit := units[o.kind]
		if unit == "" || o.tag.Get("max") == "" || o.key == "status" {
			continue
		}
		if o.tag.Get("default") == "" && !strings.Contains(o.doc, "Default: ") {
			t.Errorf("%s.%s bounds something and has no default", o.table, o.key)
		}
		def := o.fallback()
		if def == "" {
			def = "see right"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s to %s | %s |\n", o.table+"."+o.key, unit, def, o.tag.Get("min"), o.tag.Get("max"), cell(o.doc))
	}
	return b.String()
}

// fixedLimits lists the constants that bound something.
func fixedLimits(t *testing.T) string {
	var b strings.Builder
	b.WriteString("| bounds | limit | where |\n|---|---|---|\n")
	for _, r := range rows(t, "testdata/limits.txt", 4) {
		name, file, unit, text := r[0], r[1], r[2], r[3]
		value := constant(t, file, name)
		if value == "" {
			t.Errorf("limits.txt: %s has no constant %s", file, name)
		}
		if unit != "time" {
			value += " " + unit
		}
		fmt.Fprintf(&b, "| %s | %s | [%s](%s) |\n", cell(text), cell(value), file, file)
	}
	return b.String()
}

// constant returns the value of a package constant as it should be read.
func constant(t *testing.T, file, name string) string {
	t.Helper()
	tree, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, file), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	value := ""
	ast.Inspect(tree, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		for i, id := range spec.Names {
			if id.Name == name && i < len(spec.Values) {
				value = readable(typeName(spec.Values[i]))
			}
		}
		return true
	})
	return value
}

// readable writes a constant's source as people write figures.
func readable(source string) string {
	for _, unit := range []struct{ suffix, name string }{{"time.Second", "s"}, {"time.Minute", "min"}, {"time.Millisecond", "ms"}} {
		if source == unit.suffix {
			return "1 " + unit.name
		}
		if n, found := strings.CutSuffix(strings.ReplaceAll(source, " ", ""), "*"+unit.suffix); found {
			return n + " " + unit.name
		}
	}
	if source == "wire.Large" {
		return "64 Ki"
	}
	compact := strings.ReplaceAll(source, " ", "")
	if n, found := strings.CutSuffix(compact, "<<20"); found {
		return n + " Mi"
	}
	if n, found := strings.CutSuffix(compact, "<<10"); found {
		return n + " Ki"
	}
	return strings.TrimSuffix(strings.ReplaceAll(source, "_", ","), ".0")
}

// README's map has every folder with code that users of the module may look for.
func TestGuardReadmeMap(t *testing.T) {
	text := readFile(t, "README.md")
	missing := map[string]bool{}
	walk(t, func(name string) {
		dir := filepath.ToSlash(filepath.Dir(name))
		top, _, _ := strings.Cut(dir, "/")
		if top != "proxy" && top != "builtins" && top != "plugins" || filepath.Ext(name) != ".go" || strings.Contains(dir, "testdata") {
			return
		}
		rig := strings.HasSuffix(dir, "test") && strings.Count(dir, "/") > 1 // of the package above
		if !rig && !strings.Contains(text, "]("+dir+")") {
			missing[dir] = true
		}
	})
	for dir := range missing {
		t.Errorf("README.md's map doesn't have %s", dir)
	}
}

// Links of the documents lead somewhere, and the path of a request that README
// tells names functions that are there.
func TestGuardLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:]+)\)`)
	heading, unspoken := regexp.MustCompile(`(?m)^#+ (.*)$`), regexp.MustCompile(`[^a-z0-9 _-]`)
	inside := regexp.MustCompile(`\]\(#([^)]+)\)`)
	step := regexp.MustCompile(`(?m)^\d+\. \[[^]]*\]\(([^)]+\.go)\)[:,] ` + "`([A-Za-z]+)`")
	walk(t, func(name string) {
		if filepath.Ext(name) != ".md" {
			return
		}
		text := readFile(t, name)
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join(root, filepath.Dir(name), filepath.FromSlash(m[1]))); err != nil {
				t.Errorf("%s: the link to %s leads nowhere", name, m[1])
			}
		}
		anchors := map[string]bool{}
		for _, m := range heading.FindAllStringSubmatch(text, -1) {
			anchors[strings.ReplaceAll(unspoken.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")] = true
		}
		for _, m := range inside.FindAllStringSubmatch(text, -1) {
			if !anchors[m[1]] {
				t.Errorf("%s: no heading is #%s", name, m[1])
			}
		}
		for _, m := range step.FindAllStringSubmatch(text, -1) {
			source := readFile(t, filepath.Join(filepath.Dir(name), m[1]))
			if !regexp.MustCompile(`(?m)^(func (\([^)]*\) )?|type )` + m[2] + `\b`).MatchString(source) {
				t.Errorf("%s: %s has no %s", name, m[1], m[2])
			}
		}
	})
}
