package plugins

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"aead.dev/minisign"

	"github.com/postern-gateway/postern/plugins/manifest"
	"github.com/postern-gateway/postern/plugins/supply"
	"github.com/postern-gateway/postern/plugins/supply/supplytest"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/sdk/abi"
)

// smallest is a native plugin that allows everybody, with a manifest unless
// said is "".
func smallest(t testing.TB, said string) []byte {
	t.Helper()
	wasm, err := os.ReadFile(wasmFile(t, nil, map[string]int32{abi.ExportVersion: abi.Version, abi.ExportAuthorize: abi.Allow}))
	if err == nil && said != "" {
		wasm, err = manifest.Add(wasm, []byte(said))
	}
	if err != nil {
		t.Fatal(err)
	}
	return wasm
}

// finds begins a generation of text and wants one finding, at key.
func finds(t *testing.T, h *Host, text, key, want, hint string) {
	t.Helper()
	cfg := parse(t, text)
	g, all := h.Begin(t.Context(), cfg)
	defer g.Discard()
	if len(all) != 1 || all[0].Key != key || !strings.Contains(all[0].Text, want) || !strings.Contains(all[0].Hint, hint) || all[0].Line == 0 {
		t.Errorf("got\n%swant %q at %s, with hint %q", all.Text(), want, key, hint)
	}
}

func TestModuleFromRegistry(t *testing.T) {
	registry := supplytest.New(t)
	digest := registry.Push("guard", "v1", supplytest.Layer{MediaType: "application/wasm", Content: smallest(t, "")})
	reach := fmt.Sprintf("\n[registry.%q]\nplain_http = true\n", registry.Host)
	dir := t.TempDir()
	h := newHost(t, Options{ArtifactDir: dir})
	name := "oci://" + registry.Host + "/guard"
	finds(t, h, pluginTOML(name+":v1")+reach, "plugin.p.module", "is a tag", "postern plugin fetch")
	finds(t, h, pluginTOML(name+":v1@x")+reach, "plugin.p.module", "not a reference", "@sha256:")
	finds(t, h, pluginTOML(name+"@"+digest, `sha256 = "`+strings.Repeat("0", 64)+`"`)+reach, "plugin.p.module", "but sha256 says 000", "set sha256")
	begin(t, h, pluginTOML(name+"@"+digest)+reach)
	asked := len(registry.Requests())

	// What is in the store needs no network, after a restart neither.
	registry.Server.Close()
	begin(t, h, pluginTOML(name+"@"+digest)+reach)
	begin(t, newHost(t, Options{ArtifactDir: dir}), pluginTOML(name+"@"+digest))
	finds(t, newHost(t, Options{ArtifactDir: t.TempDir()}), pluginTOML(name+"@"+digest)+reach, "plugin.p.module", "can't be reached", "postern plugin fetch")
	if now := len(registry.Requests()); now != asked {
		t.Errorf("the registry was asked %d times, at first %d", now, asked)
	}
}

func TestLockedTag(t *testing.T) {
	registry := supplytest.New(t)
	digest := registry.Push("guard", "v1", supplytest.Layer{MediaType: "application/wasm", Content: smallest(t, "")})
	dir := t.TempDir()
	tag := "oci://" + registry.Host + "/guard:v1"
	file := filepath.Join(dir, "postern.toml")
	text := pluginTOML(tag) + fmt.Sprintf("\n[registry.%q]\nplain_http = true\n", registry.Host)
	for name, content := range map[string]string{file: text, filepath.Join(dir, supply.LockFile): tag + " " + digest + "\n"} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg, findings := config.Load(file)
	if findings.Failed() {
		t.Fatal(findings.Text())
	}
	g, findings := newHost(t, Options{}).Begin(t.Context(), cfg)
	defer g.Discard()
	if findings.Failed() {
		t.Fatal(findings.Text())
	}
}

func TestSignedModule(t *testing.T) {
	public, private, err := minisign.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	wasm := smallest(t, "")
	module := write(t, string(wasm))
	key := fmt.Sprintf("public_key = %q", public.String())
	h := newHost(t, Options{})
	finds(t, h, pluginTOML(module, key), "plugin.p.public_key", "its signature can't be read", "minisign -Sm")
	signature := minisign.Sign(private, wasm)
	if err := os.WriteFile(module+".minisig", signature, 0o600); err != nil {
		t.Fatal(err)
	}
	begin(t, h, pluginTOML(module, key))
	elsewhere := write(t, string(signature))
	finds(t, h, pluginTOML(module, fmt.Sprintf("signature = %q", elsewhere)), "plugin.p.signature", "nothing tells whose", "set public_key")
	finds(t, h, pluginTOML(module, `public_key = "RWQ"`), "plugin.p.public_key", "not a minisign public key", "RW")
	other := write(t, string(smallest(t, `{"name":"guard","version":"1"}`)))
	finds(t, h, pluginTOML(other, key, fmt.Sprintf("signature = %q", elsewhere)), "plugin.p.public_key", "isn't what was signed", "don't use it")

	registry := supplytest.New(t)
	reach := fmt.Sprintf("\n[registry.%q]\nplain_http = true\n", registry.Host)
	layer := supplytest.Layer{MediaType: "application/wasm", Content: wasm}
	bare := "oci://" + registry.Host + "/guard@" + registry.Push("guard", "", layer)
	finds(t, h, pluginTOML(bare, key)+reach, "plugin.p.public_key", "the artifact has no signature", "as a layer")
	signed := "oci://" + registry.Host + "/guard@" + registry.Push("guard", "", layer, supplytest.Layer{MediaType: "text/plain", Title: "guard.wasm.minisig", Content: signature})
	begin(t, h, pluginTOML(signed, key)+reach)
}

func TestManifestChecksConfig(t *testing.T) {
	said := `{"name":"guard","version":"1.0","config":{"type":"object","additionalProperties":false,"required":["word"],
		"properties":{"word":{"type":"string"},"deep":{"type":"object","properties":{"n":{"type":"integer"}}}}}}`
	module := write(t, string(smallest(t, said)))
	h := newHost(t, Options{})
	begin(t, h, pluginTOML(module)+"config = { word = \"x\" }\n")
	finds(t, h, pluginTOML(module), "plugin.p.config", "needs the key word", "")
	finds(t, h, pluginTOML(module)+"config = { word = 3 }\n", "plugin.p.config.word", "wants string, got number", "")
	finds(t, h, pluginTOML(module)+"[plugin.p.config]\nword = \"x\"\ndeep.n = 1.5\n", "plugin.p.config.deep.n", "wants integer", "")
	finds(t, h, pluginTOML(module)+"config = { word = \"x\", wrod = \"x\" }\n", "plugin.p.config.wrod", "knows no such key", "")
	finds(t, h, pluginTOML(write(t, string(smallest(t, `{"name":"guard"}`)))), "plugin.p.module", "section postern.manifest: version", "")
}

func TestManifestWantsInVain(t *testing.T) {
	module := write(t, string(smallest(t, `{"name":"guard","version":"1","wants":["crypto","metric"]}`)))
	logger, logs := observed()
	g, all := newHost(t, Options{Logger: logger}).Begin(t.Context(), parse(t, pluginTOML(module)))
	defer g.Discard()
	if len(all) != 1 || all.Failed() || all[0].Key != "plugin.p" || !strings.Contains(all[0].Text, "isn't granted: metric") {
		t.Errorf("got %s", all.Text())
	}
	if logs.FilterMessage("the plugin's manifest wants what isn't granted").Len() != 1 {
		t.Errorf("the log has %v", logs.All())
	}
}

func TestManifestHostsInVain(t *testing.T) {
	module := write(t, string(smallest(t, `{"name":"guard","version":"1","hosts":["https://api.example.com","https://a.example.org","https://b.example.org:8443"]}`)))
	const http = `http = { allow = ["https://*.example.org", "https://other.example"] }`
	g, all := newHost(t, Options{}).Begin(t.Context(), parse(t, pluginTOML(module, http)))
	defer g.Discard()
	all = slices.DeleteFunc(all, func(f config.Finding) bool { return f.Key == "plugin.p.http" }) // it imports nothing of http
	if len(all) != 1 || all.Failed() || all[0].Key != "plugin.p.http.allow" || !strings.HasSuffix(all[0].Text, "isn't allowed: https://api.example.com, https://b.example.org:8443") {
		t.Errorf("got %s", all.Text())
	}
}

func TestUpgradeIsTold(t *testing.T) {
	logger, logs := observed()
	h := newHost(t, Options{Logger: logger})
	module := write(t, string(smallest(t, `{"name":"guard","version":"1.0"}`)))
	begin(t, h, pluginTOML(module))
	begin(t, h, pluginTOML(module))
	if n := logs.FilterMessage("plugin replaced").Len(); n != 0 {
		t.Errorf("%d upgrades were told before there was one", n)
	}
	if err := os.WriteFile(module, smallest(t, `{"name":"guard","version":"2.0","hosts":["https://new.example"]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	begin(t, h, pluginTOML(module))
	told := logs.FilterMessage("plugin replaced").All()
	if len(told) != 1 || fmt.Sprint(told[0].ContextMap()["differences"]) != "[version 1.0 → 2.0 new: host https://new.example]" {
		t.Errorf("got %v", told)
	}
}
