package config

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

const good = `#:schema ./postern.schema.json
[listen.public]
address = ":8080"

[plugin.greeter]
module = "greeter.wasm"
memory = "16MiB"
env = { TOKEN = "${env:TOKEN}", PLAIN = "plain" }
config = { deep = [{ secret = "hush" }], n = 3 }

[authorizer.corp]
type = "wasm"
plugin = "greeter"

[backend.pool]
targets = ["127.0.0.1:9000", { address = "127.0.0.1:9001", weight = 3 }]
health = { path = "/health" }

[api.hello]
type = "rest"
description = "from ${env:TOKEN}, not $${env:TOKEN} nor ${stageVariables.x} nor $context.x"

[api.hello.route."GET /hello/{name}"]
integration = { type = "wasm", plugin = "greeter" }
authorizer = "corp"

[api.hello.route."ANY /legacy/{proxy+}"]
authorizer = "none"

[api.hello.route."ANY /legacy/{proxy+}".integration]
type = "http_proxy"
url = "http://${stageVariables.host}/{proxy}"
backend = "pool"
upgrade = false

[api.hello.route."GET /version"]
integration = { type = "mock" }
[api.hello.route."GET /version".response.default]
template."application/json" = '{"version":1}'

[api.hello.stage.prod]
variables = { host = "127.0.0.1:9000" }

[domain."localhost".map]
"/" = "hello:prod"
`

// folder makes a folder with files, given as name and content by turns, and
// makes it the working folder.
func folder(t *testing.T, files ...string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for i := 0; i < len(files); i += 2 {
		if err := os.MkdirAll(filepath.Dir(files[i]), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(files[i], []byte(files[i+1]), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

func mustLoad(t *testing.T, name string) *Config {
	t.Helper()
	c, fs := Load(name)
	if len(fs) > 0 {
		t.Fatalf("findings:\n%s", fs.Text())
	}
	return c
}

func TestLoadDecodesAndFillsDefaults(t *testing.T) {
	folder(t, "etc/postern.toml", good, "etc/greeter.wasm", "x")
	t.Setenv("TOKEN", "t0p")
	c := mustLoad(t, "etc/postern.toml")

	same := func(what string, got, want any) {
		t.Helper()
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, want %v", what, got, want)
		}
	}
	route := c.API["hello"].Route
	proxy := route["ANY /legacy/{proxy+}"].Integration
	// What the file says beats the default, also when it is the zero value.
	same("upgrade", proxy.Upgrade, false)
	same("timeout", proxy.Timeout, Duration(29*time.Second))
	same("forwarded", proxy.Forwarded, "set")
	// A default doesn't come to a type that doesn't use the key.
	same("timeout of a mock", route["GET /version"].Integration.Timeout, Duration(0))
	same("timeout of wasm", route["GET /hello/{name}"].Integration.Timeout, Duration(29*time.Second))
	same("status", route["GET /version"].Response["default"].Status, 200)
	same("limits", c.Listen["public"].Limits.Line, Size(10272))
	same("tls", c.Listen["public"].TLS, (*ListenTLS)(nil))
	same("log", c.Log.Access, "stdout")
	same("region", c.Gateway.Region, "local")
	same("drain", c.Drain.Timeout, Duration(30*time.Second))
	same("id", c.API["hello"].ID, "hello")
	same("memory", c.Plugin["greeter"].Memory, Size(16<<20))
	// Paths are relative to the file that holds them.
	same("module", c.Plugin["greeter"].Module, "etc/greeter.wasm")
	same("File", c.File("other", "plugin", "greeter", "module"), "etc/other")
	same("File, absolute", c.File("/other", "plugin"), "/other")
	same("env", c.Plugin["greeter"].Env["TOKEN"], "t0p")
	same("config", c.Plugin["greeter"].Config["n"], int64(3))
	same("expanded", c.API["hello"].Description, "from t0p, not ${env:TOKEN} nor ${stageVariables.x} nor $context.x")
	same("files", c.Files(), []string{"etc/greeter.wasm", "etc/postern.toml"})
}

func TestDefaultsAreNotShared(t *testing.T) {
	text := strings.ReplaceAll(good, `address = ":8080"`, "address = \":8080\"\ntls.certificates = [{ cert = \"c\", key = \"k\" }]")
	folder(t, "postern.toml", text, "greeter.wasm", "x", "c", "x", "k", "x")
	t.Setenv("TOKEN", "t0p")
	c := mustLoad(t, "postern.toml")
	alpn := c.Listen["public"].TLS.ALPN
	if !slices.Equal(alpn, []string{"h2", "http/1.1"}) {
		t.Fatalf("got %v", alpn)
	}
	_ = append(alpn, "x")
	if d := mustLoad(t, "postern.toml"); len(d.Listen["public"].TLS.ALPN) != 2 {
		t.Error("an append reached another configuration")
	}
}

// Eight different mistakes give eight findings, each in its place.
func TestEightMistakes(t *testing.T) {
	folder(t, "greeter.wasm", "x")
	c, fs := Parse("postern.toml", []byte(`[listen.public]
address = ":8080"
limits = { idle_timeout = 75 }
[log]
level = "verbose"
Access = "off"
[plugin.greeter]
module = "greter.wasm"
[api.hello]
type = "rest"
[api.hello.route."GET /a/{x}"]
integraton = { type = "mock" }
[api.hello.route."GET /a/{y}"]
integration = { type = "wasm", plugin = "greting", timeout = "1ms" }
[api.hello.stage.prod]
`))
	if c == nil {
		t.Fatal("nothing was decoded")
	}
	want := []string{
		`3:27+2 listen.public.limits.idle_timeout: want a duration such as "29s", got the integer 75 | write it with its unit: "75s"`,
		`5:9+9 log.level: "verbose" isn't "debug", "info", "warn" or "error" | the default is "info"`,
		`6:1+6 log: unknown key "Access" | keys are case-sensitive: write "access"`,
		`8:10+13 plugin.greeter.module: can't read the file: no such file or directory | *`,
		`12:1+10 api.hello.route."GET /a/{x}": unknown key "integraton" | did you mean "integration"?`,
		`13:18+12 api.hello.route."GET /a/{y}": the same route as "GET /a/{x}" at postern.toml:11 | names of parameters don't tell routes apart: remove one of the two`,
		`14:41+9 api.hello.route."GET /a/{y}".integration.plugin: no plugin "greting" | plugins: greeter (postern.toml:7)`,
		`14:62+5 api.hello.route."GET /a/{y}".integration.timeout: out of range: want 50ms to 15m | the default is 29s`,
	}
	var got []string
	for _, f := range fs {
		got = append(got, fmt.Sprintf("%d:%d+%d %s: %s | %s", f.Line, f.Column, f.Width, f.Key, f.Text, f.Hint))
	}
	if len(got) != len(want) {
		t.Fatalf("%d findings instead of %d:\n%s", len(got), len(want), fs.Text())
	}
	for i := range want {
		prefix, any := strings.CutSuffix(want[i], "*")
		if got[i] != want[i] && !(any && strings.HasPrefix(got[i], prefix)) {
			t.Errorf("got  %s\nwant %s", got[i], want[i])
		}
	}
	if text := fs.Text(); !strings.HasSuffix(text, "\n8 errors in 1 file; nothing was changed\n") {
		t.Errorf("got %s", text)
	}
	if want := "postern.toml:3:27: error: listen.public.limits.idle_timeout: want a duration such as \"29s\", got the integer 75 (and 7 more)"; fs.Error() != want {
		t.Errorf("got %s\nwant %s", fs.Error(), want)
	}
}

// Later stages report at the place of a key; the closest table when it's absent.
func TestFinding(t *testing.T) {
	folder(t, "postern.toml", "include = [\"more.toml\"]\n"+good, "more.toml", "[plugin.more]\nmodule = \"greeter.wasm\"\n[plugin.more.config]\nlist = [1,\n  [2]]\n[api.more]\ntype = \"rest\"\nstage.s = {}\nroute.\"GET /\".integration = { type = \"wasm\", plugin = \"more\" }\n", "greeter.wasm", "x")
	t.Setenv("TOKEN", "t0p")
	c := mustLoad(t, "postern.toml")
	f := func(want string, path ...string) {
		t.Helper()
		got := c.Finding(path, "text", "hint")
		if s := fmt.Sprintf("%s:%d:%d+%d %s", got.File, got.Line, got.Column, got.Width, got.Key); s != want {
			t.Errorf("got %s, want %s", s, want)
		}
	}
	f(`postern.toml:25:41+9 api.hello.route."GET /hello/{name}".integration.plugin`, "api", "hello", "route", "GET /hello/{name}", "integration", "plugin")
	f(`postern.toml:25:15+37 api.hello.route."GET /hello/{name}".integration.timeout`, "api", "hello", "route", "GET /hello/{name}", "integration", "timeout")
	f(`postern.toml:31:1+52 api.hello.route."ANY /legacy/{proxy+}".integration`, "api", "hello", "route", "ANY /legacy/{proxy+}", "integration")
	f(`more.toml:4:8+3 plugin.more.config.list`, "plugin", "more", "config", "list")
	f(`more.toml:5:4+1 plugin.more.config.list[1][0]`, "plugin", "more", "config", "list", "1", "0")
	f(`postern.toml:1:1+1 nothing.here`, "nothing", "here")
	if got := new(Config).Finding([]string{"a", "b c"}, "text", ""); got.Key != `a."b c"` || got.Severity != SeverityError {
		t.Errorf("of a Config that wasn't loaded: %+v", got)
	}
}

func TestIncludeMerges(t *testing.T) {
	folder(t,
		"postern.toml", "include = [\"conf.d/*.toml\", \"conf.d/a.toml\"]\n[listen.public]\naddress = \":8080\"\n[log]\nlevel = \"warn\"\n",
		"conf.d/a.toml", "include = [\"../shared/x.toml\"]\n[plugin.p]\nmodule = \"p.wasm\"\n[log]\naccess = \"off\"\n",
		"conf.d/b.toml", "[api.b]\ntype = \"rest\"\nstage.s = {}\nroute.\"GET /\" = { authorizer = \"x\", integration = { type = \"mock\" } }\n",
		"conf.d/.swap.toml", "not toml",
		"conf.d/p.wasm", "x",
		"shared/x.toml", "[authorizer.x]\ntype = \"wasm\"\nplugin = \"p\"\n")
	if err := os.Mkdir("conf.d/d.toml", 0o777); err != nil {
		t.Fatal(err)
	}
	c := mustLoad(t, "postern.toml")
	if c.Log.Level != "warn" || c.Log.Access != "off" || c.Plugin["p"].Module != "conf.d/p.wasm" || c.Authorizer["x"].Plugin != "p" || len(c.API["b"].Route) != 1 {
		t.Errorf("got %+v", c)
	}
	want := []string{"conf.d", "conf.d/a.toml", "conf.d/b.toml", "conf.d/p.wasm", "postern.toml", "shared/x.toml"}
	if got := c.Files(); !slices.Equal(got, want) {
		t.Errorf("files: got %q, want %q", got, want)
	}
	if !slices.Equal(c.Include, []string{"conf.d/*.toml", "conf.d/a.toml"}) {
		t.Errorf("include: got %q", c.Include)
	}
}

func TestMasked(t *testing.T) {
	folder(t, "postern.toml", good, "greeter.wasm", "x")
	t.Setenv("TOKEN", "t0p")
	text, err := mustLoad(t, "postern.toml").Masked()
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"t0p", "hush", "plain"} {
		if strings.Contains(string(text), secret) {
			t.Errorf("%q isn't masked in\n%s", secret, text)
		}
	}
	var m map[string]any
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	at := func(path ...string) any {
		var v any = m
		for _, p := range path {
			v = v.(map[string]any)[p]
		}
		return v
	}
	same := func(got, want any) {
		t.Helper()
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %v, want %v in\n%s", got, want, text)
		}
	}
	same(at("listen", "public", "limits", "body"), "10MiB")
	same(at("plugin", "greeter", "env"), map[string]any{"TOKEN": "***", "PLAIN": "***"})
	same(at("plugin", "greeter", "config", "n"), "***")
	same(at("backend", "pool", "targets"), []any{
		map[string]any{"address": "127.0.0.1:9000", "backup": false, "weight": 1.0},
		map[string]any{"address": "127.0.0.1:9001", "backup": false, "weight": 3.0},
	})
	same(at("backend", "pool", "health", "interval"), "10s")
	same(at("api", "hello", "description"), "from ${env:TOKEN}, not $${env:TOKEN} nor ${stageVariables.x} nor $context.x")
	same(at("api", "hello", "route", "ANY /legacy/{proxy+}", "integration", "upgrade"), false)
	same(at("api", "hello", "route", "GET /version", "integration"), map[string]any{"type": "mock", "passthrough": "when_no_match"})
}

// What an expression became is never printed, for it may be a secret.
func TestFindingsKeepSecrets(t *testing.T) {
	t.Setenv("SECRET", "hush")
	folder(t, "secret", "hush\n")
	text := `
data_dir = "x"
[log]
level = "${env:SECRET}"
[drain]
timeout = "${file:secret}"
[gateway]
account_id = "${env:SECRET}"
[plugin.p]
sha256 = "${env:SECRET}"
memory = "${env:SECRET}"
[api.a]
type = "${env:SECRET}"
stage.s.variables = { v = "${env:SECRET} ", w = "${env:SECRET}" }
[api.a.route]
"GET /1" = { integration = { type = "http", url = "${env:SECRET}/{x}" } }
"GET /2" = { integration = { type = "http", url = "http://127.0.0.1:${stageVariables.w}" } }
"GET /3" = { integration = { type = "http", url = "http://{${env:SECRET}}" } }
[api.a.route."GET /4".response.x]
status = "${env:SECRET}"
pattern = "(${env:SECRET}"
headers = { "A" = "${env:SECRET}é" }
`
	_, fs := Parse("postern.toml", []byte(text))
	if len(fs) < 12 {
		t.Errorf("only %d findings:\n%s", len(fs), fs.Text())
	}
	if strings.Contains(fs.Text(), "hush") {
		t.Errorf("a secret shows:\n%s", fs.Text())
	}
}

func TestDurationAndSize(t *testing.T) {
	d := func(in, want string) {
		t.Helper()
		v, hint, ok := parseDuration(in)
		got := v.String()
		if !ok {
			got = "! " + hint
		}
		if got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
	d("29s", "29s")
	d("90s", "1m30s")
	d("60m", "1h")
	d("1h5s", "1h0m5s")
	d("0s", "0s")
	d("50ms", "50ms")
	d("0", `! write "0s"`)
	d("29", `! add the unit: "29s"`)
	d("2d", `! hours are the largest unit: write "48h"`)
	d("10 Seconds", `! write "10s"`)
	d("", "! the units are ms, s, m and h")

	s := func(in, want string) {
		t.Helper()
		v, hint, ok := parseSize(in)
		got := v.String()
		if !ok {
			got = "! " + hint
		}
		if got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
	s("10MiB", "10MiB")
	s("0B", "0B")
	s("1536KiB", "1536KiB")
	s("1024KiB", "1MiB")
	s("10272B", "10272B")
	s("10", `! add the unit: "10B"`)
	s("10 MB", `! write "10MiB"; the units are B, KiB, MiB, GiB and TiB`)
	s("10kib", `! write "10KiB"; the units are B, KiB, MiB, GiB and TiB`)
	s("9999999999TiB", "! the number is too large")
	s("1.5MiB", `! write a whole number and B, KiB, MiB, GiB or TiB, such as "10MiB"`)
	s("", `! write a whole number and B, KiB, MiB, GiB or TiB, such as "10MiB"`)
}

func TestClosest(t *testing.T) {
	f := func(got, want string, words ...string) {
		t.Helper()
		if c := closest(got, words); c != want {
			t.Errorf("%q among %q: got %q, want %q", got, words, c, want)
		}
	}
	f("integraton", "integration", "integration", "authorizer")
	f("adress", "address", "tls", "address")
	f("tpye", "type", "type", "id")
	f("URL", "url", "uri", "url")
	f("x", "", "y", "id")
	f("timeout", "", "type", "url", "plugin")
	f("", "", "a", "")
	f("prdo", "prod", "dev", "prod")
}

// The tags are ours: whatever they promise must be possible.
func TestSchemaIsSound(t *testing.T) {
	var walk func(n *node, path string)
	walk = func(n *node, path string) {
		if n.elem != nil {
			walk(n.elem, path+".*")
		}
		seen := map[string]bool{}
		for _, f := range n.fields {
			at := path + "." + f.key
			if f.key == "" || seen[f.key] || f.key != strings.ToLower(f.key) {
				t.Errorf("%s: bad or repeated key", at)
			}
			seen[f.key] = true
			if f.required && (f.kind == stringKind || f.kind == namesKind) && f.example == "" {
				t.Errorf("%s: required, but no example for the hint", at)
			}
			if f.name != nil && f.names == "" || f.pattern != nil && f.want == "" {
				t.Errorf("%s: a pattern without words for it", at)
			}
			for _, p := range []*pattern{f.name, f.pattern} {
				if p != nil && p.fits("\x00") { // compiles it, too
					t.Errorf("%s: the pattern takes anything", at)
				}
			}
			if f.only != nil && n.field(typeKey) == nil {
				t.Errorf("%s: depends on a type that isn't there", at)
			}
			if f.standard.IsValid() && f.kind == rateKind {
				if r := f.standard.Float(); r < float64(f.low) || r > float64(f.high) {
					t.Errorf("%s: the default is out of range", at)
				}
			} else if f.standard.IsValid() && (f.min != "" && f.standard.Int() < f.low || f.max != "" && f.standard.Int() > f.high) {
				t.Errorf("%s: the default is out of range", at)
			}
			if f.pattern != nil && f.kind == stringKind && f.def != "" && !f.pattern.fits(f.def) {
				t.Errorf("%s: the default doesn't fit the pattern", at)
			}
			walk(f.node, at)
		}
	}
	walk(schemaOf(reflect.TypeFor[Config]()), "")
}

func TestKeyError(t *testing.T) {
	if err := (&KeyError{Text: "wrong"}); err.Error() != "wrong" {
		t.Errorf("got %q", err)
	}
}
