package config

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// reread returns d as it comes back from a file.
func reread(t *testing.T, d Definition) Definition {
	t.Helper()
	text, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	read := json.NewDecoder(bytes.NewReader(text))
	read.UseNumber()
	var back Definition
	if err := read.Decode(&back); err != nil {
		t.Fatal(err)
	}
	return back
}

const defined1 = `
[listen.public]
address = "127.0.0.1:0"
[backend.store]
targets = ["127.0.0.1:9"]
[authorizer.wide]
type = "wasm"
plugin = "judge"
[authorizer.unused]
type = "wasm"
plugin = "idle"
[plugin.judge]
module = "m.wasm"
config = { limit = 3, ratio = 0.5, word = "${env:WORD}", deep = [{ a = true }] }
[plugin.idle]
module = "m.wasm"
[api.pets]
type = "rest"
minimum_compression_size = "1KiB"
[api.pets.route."GET /pets/{id}"]
authorizer = "wide"
integration = { type = "http", url = "http://127.0.0.1:9/{id}", backend = "store", timeout = "1500ms", template."application/json" = { file = "sub/t.vtl" }, parameters = { "integration.request.header.X-Key" = "'${file:sub/key}'", "integration.request.path.id" = "method.request.path.id" } }
[api.pets.route."GET /raw"]
integration = { type = "http_proxy", url = "http://127.0.0.1:9/", parameters = { "integration.request.header.X-Raw" = "'$${env:NO}'" }, upgrade = false }
[api.pets.stage.prod]
variables = { a = "b" }
`

// What a definition freezes comes back as it was, whatever the files say meanwhile.
func TestDefinition(t *testing.T) {
	t.Setenv("WORD", "secret-word")
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("m.wasm", "x")
	write("sub/t.vtl", `{"v":"${env:WORD} $input.body"}`)
	write("sub/key", "key-1\n")
	write("postern.toml", defined1)
	cfg, findings := Load(filepath.Join(dir, "postern.toml"))
	if findings.Failed() {
		t.Fatal(findings.Text())
	}
	d, err := cfg.Definition("pets")
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	for _, never := range []string{"secret-word", "key-1", "idle", "unused", "variables", "127.0.0.1:0"} {
		if strings.Contains(string(text), never) {
			t.Errorf("%q is in %s", never, text)
		}
	}
	write("sub/t.vtl", "changed")
	write("sub/key", "key-2")
	now, findings := Load(filepath.Join(dir, "postern.toml"))
	if findings.Failed() {
		t.Fatal(findings.Text())
	}
	then, findings := now.With("pets", reread(t, d))
	if len(findings) > 0 {
		t.Fatal(findings.Text())
	}
	in := then.API["pets"].Route["GET /pets/{id}"].Integration
	if got, want := in.Template["application/json"].Text, `{"v":"${env:WORD} $input.body"}`; got != want {
		t.Errorf("template %q, want %q", got, want)
	}
	if got, want := in.Parameters["integration.request.header.X-Key"], "'key-2'"; got != want {
		t.Errorf("parameter %q, want %q: a file of a secret counts as it is", got, want)
	}
	in.Template, in.Parameters = nil, nil
	want := cfg.API["pets"].Route["GET /pets/{id}"].Integration
	want.Template, want.Parameters = nil, nil
	if !reflect.DeepEqual(in, want) {
		t.Errorf("integration %+v, want %+v", in, want)
	}
	if got, want := then.API["pets"].Route["GET /raw"], cfg.API["pets"].Route["GET /raw"]; !reflect.DeepEqual(got, want) {
		t.Errorf("route %+v, want %+v", got, want)
	}
	if got, want := then.Plugin["judge"].Config, cfg.Plugin["judge"].Config; !reflect.DeepEqual(got, want) {
		t.Errorf("config %v, want %v", got, want)
	}
	if got := then.API["pets"].Stage["prod"].Variables["a"]; got != "b" {
		t.Errorf("variable %q: stages are live", got)
	}
	again, err := cfg.Definition("pets")
	if err != nil {
		t.Fatal(err)
	}
	if reflect.DeepEqual(again, d) {
		t.Error("another text gives the same definition")
	}
}

// A definition that can't be read back is refused with the key.
func TestWithRefuses(t *testing.T) {
	cfg, findings := Parse("x.toml", []byte("[listen.a]\naddress = \":0\"\n[api.a]\ntype = \"rest\"\nroute.\"GET /\".integration.type = \"mock\"\nstage.s = {}\n"))
	if findings.Failed() {
		t.Fatal(findings.Text())
	}
	f := func(text, want string) {
		t.Helper()
		var d Definition
		if err := json.Unmarshal([]byte(text), &d); err != nil {
			t.Fatal(err)
		}
		if _, findings := cfg.With("a", d); !strings.Contains(findings.Text(), want) {
			t.Errorf("%s: got %q, want %q", text, findings.Text(), want)
		}
	}
	f(`{}`, `missing key "api"`)
	f(`{"api": {"type": "rest"}}`, `needs a table "route"`)
	f(`{"api": {"type": "rest", "route": {"GET /": {"integration": {"type": "mock", "newer": 1}}}}}`, `unknown key "newer"`)
	f(`{"api": 1}`, "api: want a table")
}
