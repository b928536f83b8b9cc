// Package scaffold begins plugins and builds them, in every language that has an
// SDK: one line of languages and one template for each.
package scaffold

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"text/template"

	"github.com/postern-gateway/postern/sdk"
)

//go:embed templates
var templates embed.FS

// Language is one in which plugins can be begun and built.
type Language struct {
	Name   string // for --lang
	Title  string
	Source string // the file that has the plugin's code
	// SDK are the folders and files of package sdk that go into the plugin's
	// folder "postern": FROM, or FROM>TO.
	SDK      []string
	template string
	build    func(b *build) error
}

// Languages returns all of them, in the order in which they are offered.
func Languages() []Language {
	return []Language{
		{"go", "Go", "main.go", []string{"go>.", "abi>abi"}, "go.tmpl", buildGo},
		{"tinygo", "Go, for TinyGo", "main.go", []string{"go>.", "abi>abi"}, "go.tmpl", buildTinyGo},
		{"rust", "Rust", "plugin.rs", []string{"rust>."}, "rust.tmpl", buildRust},
		{"c", "C", "plugin.c", []string{"c>."}, "c.tmpl", buildC},
		{"assemblyscript", "AssemblyScript", "plugin.ts", []string{"assemblyscript>."}, "assemblyscript.tmpl", buildAssemblyScript},
		{"zig", "Zig", "plugin.zig", []string{"zig>."}, "zig.tmpl", buildZig},
		{"js", "JavaScript", "plugin.js", []string{"js>js", "c>c", "toolchains.sh>toolchains.sh"}, "js.tmpl", buildJS},
	}
}

// find returns the language called name.
func find(name string) (Language, error) {
	var names []string
	for _, l := range Languages() {
		if l.Name == name {
			return l, nil
		}
		names = append(names, l.Name)
	}
	return Language{}, fmt.Errorf("no language %q: there are %s", name, strings.Join(names, ", "))
}

// Roles returns the names of those that a project can have. The roles about pieces
// of content are for who knows the others: sdk/README.md.
func Roles() []string {
	return []string{"authorize", "integrate", "request", "response", "map_request", "map_response", "validate", "dns", "certify"}
}

// does says for each role what the template's plugin does.
func does(role string) string {
	switch role {
	case "authorize":
		return "It lets in who knows the token of its configuration."
	case "integrate":
		return "It greets whom the path names."
	case "request":
		return "It adds a header to every request."
	case "response":
		return "It adds a header to every answer."
	case "map_request":
		return "It adds a header to what goes to the backend."
	case "map_response":
		return "It adds a header to the backend's answer."
	case "validate":
		return "It wants a name in the query."
	case "dns":
		return "It tells a server which records belong into which zones."
	case "certify":
		return "It lets names that begin with shop have certificates."
	}
	return ""
}

// Project is a plugin to begin.
type Project struct {
	Language string
	Role     string
	Name     string // 1 to 64 lower-case letters, digits and "-"
	Dir      string // that mustn't exist, or be empty
}

// view is what templates see.
type view struct {
	Name, Role, Does, Language, Source, Build, Try, RunArguments string
	Seen                                                         string // the line of an outcome that shows what it did
	Filter, Mapping, Names                                       bool
}

func (p *Project) view(l *Language) *view {
	v := &view{Name: p.Name, Role: p.Role, Does: does(p.Role), Language: l.Title, Source: l.Source, Build: p.BuildCommand(), RunArguments: "/hello"}
	target := "/hello"
	switch p.Role {
	case "authorize":
		v.RunArguments = "-H 'Authorization: Bearer sesame' /hello"
	case "integrate":
		v.RunArguments, target = "--resource '/hello/{name}' /hello/Ada", "/hello/Ada"
	case "validate":
		v.RunArguments, target = "'/hello?name=Ada'", "/hello?name=Ada"
	case "request":
		v.Seen, v.Filter = "sent X-Plugin", true
	case "response":
		v.Seen, v.Filter = "header X-Plugin", true
	case "map_request":
		v.Seen, v.Mapping = "sent X-Plugin", true
	case "map_response":
		v.Seen, v.Mapping = "header X-Plugin", true
	}
	if l.Source != "main.go" {
		v.Seen = strings.ReplaceAll(v.Seen, "X-Plugin", "x-plugin") // they set it so
	}
	v.Names = p.Role == "dns" || p.Role == "certify" // which are about no request
	v.Try = "curl -i 'http://127.0.0.1:8080" + target + "'"
	if p.Role == "authorize" {
		v.Try = "curl -i -H 'Authorization: Bearer sesame' http://127.0.0.1:8080/hello"
	}
	return v
}

// BuildCommand is the command line that builds the project in its folder. A
// main.go alone is taken for one of Go.
func (p *Project) BuildCommand() string {
	if p.Language == "tinygo" {
		return "postern plugin build --lang tinygo"
	}
	return "postern plugin build"
}

// Create writes the project's files and returns their names, relative to Dir.
// It writes over nothing.
func (p *Project) Create() ([]string, error) {
	l, err := find(p.Language)
	if err != nil {
		return nil, err
	}
	if does(p.Role) == "" {
		return nil, fmt.Errorf("no role %q: there are %s", p.Role, strings.Join(Roles(), ", "))
	}
	if ok, err := regexp.MatchString(`^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$`, p.Name); err != nil || !ok {
		return nil, fmt.Errorf("a plugin's name is 1 to 64 lower-case letters, digits and \"-\", not %q", p.Name)
	}
	if entries, err := os.ReadDir(p.Dir); err == nil && len(entries) > 0 {
		return nil, fmt.Errorf("the folder %s isn't empty", p.Dir)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	files, err := p.files(&l)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, f := range files {
		file := filepath.Join(p.Dir, filepath.FromSlash(f.name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return names, err
		}
		if err := os.WriteFile(file, f.content, f.mode); err != nil {
			return names, err
		}
		names = append(names, f.name)
	}
	return names, nil
}

// file is one file of a project.
type file struct {
	name    string
	content []byte
	mode    fs.FileMode
}

// files are the project's own, then the SDK's.
func (p *Project) files(l *Language) ([]file, error) {
	var all []file
	v := p.view(l)
	for _, f := range []struct{ name, template string }{
		{l.Source, l.template}, {"manifest.json", "manifest.json.tmpl"}, {"postern.toml", "postern.toml.tmpl"},
		{"tests/first.txtar", "first.txtar.tmpl"}, {"tests/second.txtar", "second.txtar.tmpl"}, {"README.md", "README.md.tmpl"},
	} {
		text, err := v.render(f.template)
		if err != nil {
			return nil, err
		}
		if len(text) > 0 {
			all = append(all, file{f.name, text, 0o644})
		}
	}
	all = append(all, file{".gitignore", []byte("*.wasm\n"), 0o644})
	if l.Source == "main.go" {
		all = append(all, file{"go.mod", []byte("module " + p.Name + "\n\ngo 1.24\n"), 0o644})
	}
	for _, rule := range l.SDK {
		from, to, _ := strings.Cut(rule, ">")
		copied, err := copySDK(from, path.Join("postern", to), p.Name)
		if err != nil {
			return nil, err
		}
		all = append(all, copied...)
	}
	return all, nil
}

func (v *view) render(name string) ([]byte, error) {
	t, err := template.ParseFS(templates, "templates/"+name)
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	if err := t.Execute(&b, v); err != nil {
		return nil, err
	}
	return []byte(b.String()), nil
}

// copySDK returns a folder or file of package sdk as files below to, without its
// tests. In Go the SDK becomes a package of the plugin's own module.
func copySDK(from, to, module string) ([]file, error) {
	var all []file
	err := fs.WalkDir(sdk.Files, from, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(name, "_test.go") {
			return err
		}
		text, err := sdk.Files.ReadFile(name)
		if err != nil {
			return err
		}
		if path.Ext(name) == ".go" {
			text = []byte(strings.ReplaceAll(string(text), `"github.com/postern-gateway/postern/sdk/`, `"`+module+`/postern/`))
		}
		mode := fs.FileMode(0o644)
		if strings.HasPrefix(string(text), "#!") {
			mode = 0o755
		}
		all = append(all, file{path.Join(to, strings.TrimPrefix(name, from)), text, mode})
		return nil
	})
	return all, err
}
