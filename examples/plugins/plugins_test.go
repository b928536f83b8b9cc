package plugins_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/postern-gateway/postern/proxy/proxytest"
	"github.com/postern-gateway/postern/sdk/guests"
)

// languages are those with an SDK: the folder here, and the ending of its files.
var languages = []struct{ name, ending string }{
	{"c", ".c"}, {"rust", ".rs"}, {"zig", ".zig"}, {"assemblyscript", ".ts"}, {"js", ".js"}, {"go", ""},
}

// Every language has an example for every role, and all of them pass the same
// scenarios, which are in testdata.
func TestLanguages(t *testing.T) {
	scenarios, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(scenarios) == 0 {
		t.Fatal("no scenarios", err)
	}
	start := proxytest.Starter(t.TempDir())
	for _, l := range languages {
		for _, file := range scenarios {
			example := strings.TrimSuffix(filepath.Base(file), ".txtar")
			t.Run(l.name+"/"+example, func(t *testing.T) {
				play(t, file, guests.Build(t, filepath.Join("examples/plugins", l.name, example+l.ending)), start)
			})
		}
	}
}

// Content in pieces, in the languages whose guides show it.
func TestPieces(t *testing.T) {
	start := proxytest.Starter(t.TempDir())
	for name, source := range map[string]string{"c": "c/pieces.c", "rust": "rust/pieces.rs", "go": "go/pieces", "zig": "zig/pieces.zig"} {
		t.Run(name, func(t *testing.T) {
			play(t, "testdata/pieces/pieces.txtar", guests.Build(t, "examples/plugins/"+source), start)
		})
	}
	t.Run("tinygo", func(t *testing.T) {
		play(t, "testdata/pieces/pieces.txtar", guests.Build(t, "examples/plugins/go/pieces", "GO=tinygo"), start)
	})
}

// What has no SDK of its own uses C's header, or declares the functions itself.
func TestRecipes(t *testing.T) {
	start := proxytest.Starter(t.TempDir())
	for _, source := range []string{"cpp/filter.cc", "d/filter.d", "nim/filter.nim", "wat/filter.wat"} {
		t.Run(filepath.Dir(source), func(t *testing.T) {
			play(t, "testdata/filter.txtar", guests.Build(t, "examples/plugins/"+source), start)
		})
	}
}

// The Go examples compile with TinyGo unchanged.
func TestTinyGo(t *testing.T) {
	start := proxytest.Starter(t.TempDir())
	for _, example := range []string{"guard", "filter", "mapping", "hello"} {
		t.Run(example, func(t *testing.T) {
			play(t, filepath.Join("testdata", example+".txtar"), guests.Build(t, "examples/plugins/go/"+example, "GO=tinygo"), start)
		})
	}
}

// play plays a scenario with module in place of the word MODULE. more are other
// words and what stands in their place.
func play(t *testing.T, file, module string, start func(*testing.T) proxytest.Gateway, more ...string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	text = []byte(strings.NewReplacer(append(more, "MODULE", filepath.ToSlash(module))...).Replace(string(text)))
	if err := os.WriteFile(filepath.Join(dir, filepath.Base(file)), text, 0o600); err != nil {
		t.Fatal(err)
	}
	proxytest.Run(t, dir, start)
}
