package schema

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/xeipuuv/gojsonschema"
)

// group is one schema of the JSON Schema Test Suite with its documents.
type group struct {
	Description string
	Schema      json.RawMessage
	Tests       []struct {
		Description string
		Data        json.RawMessage
		Valid       bool
	}
}

// suite returns the folder of the official suite that gojsonschema brings along.
func suite(t *testing.T) string {
	_ = gojsonschema.NewStringLoader // the module is there because this test is built with it
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/xeipuuv/gojsonschema").Output()
	if err != nil {
		t.Skipf("no go command that knows where modules are: %v", err)
	}
	return filepath.Join(strings.TrimSpace(string(dir)), "testdata")
}

func readGroups(t *testing.T, path string) []group {
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var groups []group
	if err := json.Unmarshal(text, &groups); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return groups
}

// remotes are the documents that the suite refers to, and draft-04's own schema.
func remotes(t *testing.T, dir string) []Source {
	module, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/santhosh-tekuri/jsonschema/v6").Output()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(module)), "metaschemas", "draft-04", "schema"))
	if err != nil {
		t.Fatal(err)
	}
	all := []Source{{Name: "draft-04", URL: "http://json-schema.org/draft-04/schema", Text: string(text)}}
	root := filepath.Join(dir, "remotes")
	err = filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel(root, path)
		all = append(all, Source{Name: name, URL: "http://localhost:1234/" + filepath.ToSlash(name), Text: string(text)})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// The official suite for draft-04, with its optional parts.
func TestSuite(t *testing.T) {
	dir := suite(t)
	others := remotes(t, dir)
	var files []string
	for _, pattern := range []string{"draft4/*.json", "draft4/optional/*.json"} {
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	if len(files) < 30 {
		t.Fatalf("only %d files in %s", len(files), dir)
	}
	count := 0
	for _, file := range files {
		name := filepath.Base(file)
		for _, g := range readGroups(t, file) {
			sources := append([]Source{{Name: "tested", URL: "http://tested.example/schema.json", Text: string(g.Schema)}}, others...)
			all, wrong := Compile(sources)
			if len(wrong) > 0 {
				t.Errorf("%s: %s: %v", name, g.Description, wrong[0])
				continue
			}
			for _, one := range g.Tests {
				if strings.Contains(one.Description, `no support for \Z`) {
					continue // as in AWS's library, "\Z" is a "Z" in a strange spelling
				}
				count++
				got := all[0].Check(one.Data)
				if (got == "") != one.Valid {
					t.Errorf("%s: %s: %s: %s: want %v, got %q", name, g.Description, one.Description, one.Data, one.Valid, got)
				}
			}
		}
	}
	t.Logf("%d documents of %d files", count, len(files))
}

// Every document of a file of the suite against every schema in it, those that were
// written for another one too: the library must say the same.
func TestAgreesWithLibrary(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(suite(t), "draft4", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, file := range files {
		groups := readGroups(t, file)
		for _, g := range groups {
			if strings.Contains(string(g.Schema), "http") {
				continue // the library would have to fetch it
			}
			ours, theirs := compile(t, string(g.Schema)), library(t, string(g.Schema))
			for _, other := range groups {
				for _, one := range other.Tests {
					agree(t, ours, theirs, one.Data)
					seen++
				}
			}
		}
	}
	if seen < 1000 {
		t.Errorf("only %d comparisons", seen)
	}
}

// agree compares two verdicts.
func agree(t testing.TB, ours *Schema, theirs *jsonschema.Schema, text []byte) {
	t.Helper()
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	want, got := theirs.Validate(value), ours.Check(text)
	if (got == "") != (want == nil) {
		t.Errorf("%s: the library says %v, we say %q", text, want, got)
	}
	if got == "[]" {
		t.Errorf("%s: it doesn't fit, and nobody knows why", text)
	}
}

func compile(t testing.TB, text string) *Schema {
	t.Helper()
	all, wrong := Compile([]Source{{Name: "tested", URL: "http://tested.example/schema.json", Text: text}})
	if len(wrong) > 0 {
		t.Fatalf("%s: %v", text, wrong[0])
	}
	return all[0]
}

func library(t testing.TB, text string) *jsonschema.Schema {
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft4)
	if err := c.AddResource("http://tested.example/schema.json", value); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("http://tested.example/schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}
