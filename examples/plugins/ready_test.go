package plugins_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/postern-gateway/postern/plugins/manifest"
	"github.com/postern-gateway/postern/proxy/proxytest"
	"github.com/postern-gateway/postern/sdk/guests"
)

// readyFolders are the plugins that are useful as they are.
func readyFolders(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob("ready/*/manifest.json")
	if err != nil || len(found) == 0 {
		t.Fatal("no ready plugins", err)
	}
	var folders []string
	for _, file := range found {
		folders = append(folders, filepath.Dir(file))
	}
	return folders
}

// readyModule builds a ready plugin with its manifest in it, as `make plugins`
// does.
func readyModule(t *testing.T, folder string) string {
	t.Helper()
	source := filepath.Join("examples/plugins", folder)
	if single, err := filepath.Glob(filepath.Join(folder, "plugin.*")); err == nil && len(single) == 1 {
		source = filepath.Join("examples/plugins", single[0])
	}
	wasm, err := os.ReadFile(guests.Build(t, source))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(folder, "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	if m, err := manifest.Parse(text); err != nil {
		t.Fatalf("%s: manifest.json: %v", folder, err)
	} else if m.Name != filepath.Base(folder) || m.Config == nil {
		t.Errorf("%s: the manifest's name is %s, and its schema %s", folder, m.Name, m.Config)
	}
	if wasm, err = manifest.Add(wasm, text); err != nil {
		t.Fatal(err)
	}
	module := filepath.Join(t.TempDir(), filepath.Base(folder)+".wasm")
	if err := os.WriteFile(module, wasm, 0o600); err != nil {
		t.Fatal(err)
	}
	return module
}

// What a ready plugin's README shows is a configuration that works with it.
func TestReadyGuides(t *testing.T) {
	for name, value := range map[string]string{
		"GITHUB_WEBHOOK_SECRET": "a long secret", "REPAIR_SECRET": "a long secret", "BACKEND_SECRET": "a secret of 16 bytes and more",
	} {
		t.Setenv(name, value)
	}
	start := proxytest.Starter(t.TempDir())
	for _, folder := range readyFolders(t) {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			guide, err := os.ReadFile(filepath.Join(folder, "README.md"))
			if err != nil {
				t.Fatal(err)
			}
			_, block, found := strings.Cut(string(guide), "\n```toml\n")
			block, _, ends := strings.Cut(block, "\n```\n")
			name := filepath.Base(folder) + ".wasm"
			if !found || !ends || !strings.Contains(block, `module = "`+name+`"`) {
				t.Fatalf("no configuration with %s", name)
			}
			block = strings.NewReplacer(name, filepath.ToSlash(readyModule(t, folder)), `":8080"`, `"127.0.0.1:0"`).Replace(block)
			file := filepath.Join(t.TempDir(), "postern.toml")
			if err := os.WriteFile(file, []byte(block), 0o600); err != nil {
				t.Fatal(err)
			}
			g := start(t)
			defer g.Close()
			if findings := g.Apply(file); findings != "" {
				t.Error(findings)
			}
		})
	}
}

// Every ready plugin passes its scenarios.
func TestReady(t *testing.T) {
	start := proxytest.Starter(t.TempDir())
	headers := readyModule(t, "ready/headers") // shows others' scenarios what only plugins see
	for _, folder := range readyFolders(t) {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			scenarios, err := filepath.Glob(filepath.Join(folder, "testdata/*.txtar"))
			if err != nil || len(scenarios) == 0 {
				t.Fatal("no scenarios", err)
			}
			module := readyModule(t, folder)
			for _, file := range scenarios {
				t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { play(t, file, module, start, "HEADERS", headers) })
			}
		})
	}
}
