package plugins

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"

	"github.com/postern-gateway/postern/plugins/meter"
	"github.com/postern-gateway/postern/sdk/abi"
)

// A module of the ABI is provided whole or not at all, the one that needs no
// grant always. That nothing is provided besides, native sees to.
func TestModulesAreProvidedWhole(t *testing.T) {
	modules, functions := map[string]bool{abi.Module: true}, map[string]bool{}
	for _, m := range (nativeABI{}).provides() {
		modules[m.name] = true
		for _, f := range m.functions {
			functions[m.name+"."+f.name] = true
		}
	}
	for _, f := range abi.Functions() {
		if modules[f.Module] && !functions[f.Module+"."+f.Name] {
			t.Errorf("%s.%s has no code", f.Module, f.Name)
		}
	}
}

// Each module finds its own ABI, and insisting on another one is refused with what
// it lacks for that.
func TestModulesFindTheirABI(t *testing.T) {
	modules := map[string][]string{
		"native":     {guest(t, "native"), readsHeader(t), editsHeaders(t)},
		"event":      {guest(t, "command")},
		"proxy-wasm": {sdkGuest(t), published(t, mosn, "etc/wasm/filter.wasm"), published(t, mosnHost, "example/data/http.wasm")},
		"http-wasm": {
			published(t, httpWasmHost, "tck/tck.wasm"), published(t, httpWasmHost, "examples/wasi.wasm"), published(t, httpWasmTinyGo, "examples/wasi/main.wasm"),
			published(t, httpWasmHost, "internal/test/testdata/e2e/handle_response.wasm"), // has no imports
		},
		"opa":    {authz(t)},
		"extism": {published(t, extismSDK, "wasm/count_vowels_std.wasm"), published(t, extismSDK, "wasm/hello.wasm"), published(t, extismSDK, "wasm/config.wasm")},
	}
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().WithCoreFeatures(features))
	defer r.Close(ctx)
	for want, files := range modules {
		for _, file := range files {
			wasm, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			compiled, err := r.CompileModule(ctx, meter.OwnMemory(wasm))
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range append(guestABIs(), nil) {
				ask := "auto"
				if a != nil {
					ask = a.name()
				}
				m, err := newModule(moduleKey{}, compiled, ask)
				switch fits := ask == "auto" || ask == want; {
				case fits && err != nil:
					t.Errorf("%s as %s: %v", file, ask, err)
				case fits && m.abi.name() != want:
					t.Errorf("%s with %s is taken for %s, want %s", file, ask, m.abi.name(), want)
				case !fits && err == nil:
					t.Errorf("%s of %s is taken as %s", file, want, ask)
				case !fits && !strings.Contains(err.Error(), "isn't a") && !strings.Contains(err.Error(), "what isn't provided"):
					t.Errorf("%s as %s: %v", file, ask, err)
				}
			}
		}
	}
}
