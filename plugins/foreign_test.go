package plugins_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/postern-gateway/postern/plugins"
	"github.com/postern-gateway/postern/proxy/proxytest"
)

// Modules of other ABIs do in a whole gateway what the scenarios say.
func TestForeignScenarios(t *testing.T) {
	const httpWasm, extism = "github.com/http-wasm/http-wasm-host-go@v0.7.0", "github.com/extism/go-sdk@v1.7.1"
	start := proxytest.Starter(t.TempDir())
	f := func(name string, modules ...string) {
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join("testdata", "foreign", name+".txtar"))
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			scenario := strings.NewReplacer(modules...).Replace(string(text))
			if err := os.WriteFile(filepath.Join(dir, name+".txtar"), []byte(scenario), 0o600); err != nil {
				t.Fatal(err)
			}
			proxytest.Run(t, dir, start)
		})
	}
	example := func(name string) string {
		return filepath.ToSlash(plugins.Published(t, httpWasm, "examples/"+name+".wasm"))
	}
	f("httpwasm", "AUTH", example("auth"), "ROUTER", example("router"), "REDACT", example("redact"), "METHOD",
		filepath.ToSlash(plugins.Published(t, httpWasm, "internal/test/testdata/e2e/method.wasm")))
	f("opa", "POLICY", filepath.ToSlash(plugins.Authz(t)), "ECHO", filepath.ToSlash(echo(t)))
	f("extism", "VOWELS", filepath.ToSlash(plugins.Published(t, extism, "wasm/count_vowels.wasm")), "RAW", filepath.ToSlash(plugins.RawExtism(t)))
}

// echo compiles an event plugin that answers with its event.
func echo(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "echo.wasm")
	cmd := exec.Command("go", "build", "-trimpath", "-o", file, "../testdata/wasm/event")
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return file
}
