package plugins

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/document"
)

// policy compiles a policy of testdata/wasm/opa, with OPA's own compiler.
func policy(t testing.TB, name, entrypoints string) string {
	t.Helper()
	source := "../testdata/wasm/opa"
	compiler := filepath.Join(built.dir, "opa")
	if _, err := os.Stat(compiler); err != nil {
		cmd := exec.Command("go", "build", "-o", compiler, ".")
		cmd.Dir = source
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Skipf("OPA's compiler can't be built: %v\n%s", err, out)
		}
	}
	file := filepath.Join(built.dir, name+".wasm")
	if out, err := exec.Command(compiler, file, entrypoints, filepath.Join(source, name+".rego")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return file
}

// authz compiles the policy authz with all of its entrypoints.
func authz(t testing.TB) string {
	t.Helper()
	rules := []string{"allow", "decision", "maybe", "seen", "computed", "token", "strange", "long", "endless", "conflict"}
	return policy(t, "authz", "authz/"+strings.Join(rules, ",authz/"))
}

// opaRig is an authorizer that is a policy's entrypoint.
func opaRig(t testing.TB, h *Host, file, entrypoint, facts string) *rig {
	t.Helper()
	return authorizerRig(t, begin(t, h, pluginTOML(file, fmt.Sprintf("timeout = %q", map[bool]string{true: "50ms", false: "1m"}[entrypoint == "authz/endless"]), fmt.Sprintf("config = { entrypoint = %q, data = { %s } }", entrypoint, facts))))
}

func TestOPADecides(t *testing.T) {
	file, h := authz(t), newHost(t, Options{})
	ask := func(rule string, headers ...string) (*proxy.Exchange, error) {
		t.Helper()
		r := opaRig(t, h, file, "authz/"+rule, `roles = { anna = ["admin"], bob = ["guest"] }`)
		ex := r.exchange(headers...)
		if rule != "allow" {
			ex.Method = "PUT"
		}
		_, err := r.steps[proxy.MethodRequest].Run(context.Background(), ex)
		return ex, err
	}
	// A rule that is true, or has a default.
	if _, err := ask("allow"); err != nil {
		t.Error(err)
	}
	// An object says who calls, and what is to be known of it.
	ex, err := ask("decision", "X-User", "anna")
	if got := fmt.Sprintf("%v %v %v", err, ex.Caller.Principal, ex.Caller.Context); got != "<nil> anna [{path pets|a b} {admin true} {level 3}]" {
		t.Error(got)
	}
	// One that refuses may say how, and why.
	_, err = ask("decision")
	wantFault(t, err, proxy.Unauthorized)
	ex, err = ask("decision", "X-User", "bob")
	wantFault(t, err, proxy.AccessDenied)
	if f := err.(proxy.Fault); f.Message != "bob may not PUT" || ex.Caller.Principal != "" {
		t.Errorf("message %q, caller %v", f.Message, ex.Caller)
	}
	// What is undefined is no permission.
	if _, err := ask("maybe", "X-User", "anna"); err != nil {
		t.Error(err)
	}
	_, err = ask("maybe", "X-User", "bob")
	wantFault(t, err, proxy.AccessDenied)
	// Neither is what makes no sense, or fails.
	for rule, want := range map[string]string{
		"strange": "allow is of a wrong type", "long": "context isn't made of texts", "conflict": "var assignment conflict", "endless": "deadline",
	} {
		_, err := ask(rule)
		wantFault(t, err, proxy.AuthorizerFailure)
		if !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%s: %v", rule, err)
		}
	}
}

func TestOPAInput(t *testing.T) {
	r := opaRig(t, newHost(t, Options{}), authz(t), "authz/seen", `roles = { anna = [ 1, "ä" ] }`)
	see := func(change func(ex *proxy.Exchange), headers ...string) map[string]string {
		t.Helper()
		ex := r.exchange(headers...)
		change(ex)
		if _, err := r.steps[proxy.MethodRequest].Run(context.Background(), ex); err != nil {
			t.Fatal(err)
		}
		seen := map[string]string{}
		for _, p := range ex.Caller.Context {
			seen[p.Name] = p.Value
		}
		return seen
	}
	want := func(text string, members ...string) {
		t.Helper()
		d, err := document.Parse([]byte(text))
		if err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		for i := 0; i < len(members); i += 2 {
			n, err := d.Find("$" + members[i])
			if got := string(d.Append(nil, n)); err != nil || got != members[i+1] {
				t.Errorf("%s is %s (%v), want %s", members[i], got, err, members[i+1])
			}
		}
	}
	seen := see(func(*proxy.Exchange) {}, "X-User", "änna\xff\"", "Cookie", "a", "X-Forwarded-For", "1.2.3.4", "ACCEPT", "b", "cookie", "c", "accept", "d")
	want(seen["input"], ".method", `"GET"`, ".path", `["pets","a b"]`, ".raw_path", `"/pets/a%20b"`, ".raw_query", `"q+a=1%2B1&q+a=x+y&z"`,
		".query['q a']", `["1+1","x y"]`, ".query.z", `[""]`, ".params.id", `"a b"`, ".stage_variables.color", `"blue"`,
		".host", `"pets.localhost"`, ".scheme", `"http"`, ".protocol", `"HTTP/1.1"`, ".source_ip", `"192.0.2.7"`, ".route", `"GET /pets/{id}"`,
		".resource", `"/pets/{id}"`, ".api", `"pets"`, ".stage", `"prod"`, ".request_id", `"id-1"`)
	want(seen["headers"], "['x-user']", "\"änna\uFFFD\\\"\"", ".cookie", `"a; c"`, ".accept", `"b, d"`, ".host", `"pets.localhost"`)
	want(seen["data"], ".anna", `[1,"ä"]`)
	if strings.Contains(seen["headers"], "forwarded") {
		t.Errorf("what the client says of itself is there: %s", seen["headers"])
	}
	path := func(raw, list string) {
		t.Helper()
		want(see(func(ex *proxy.Exchange) { ex.Path, ex.In.RawQuery = raw, "" })["input"], ".path", list, ".query", "{}")
	}
	path("/", `[]`)
	path("/a", `["a"]`)
	path("/a/", `["a",""]`)
	path("//a%2Fb/+", `["","a/b","+"]`)
	// A long request makes the policy's memory grow, whether or not it is the first.
	r = opaRig(t, newHost(t, Options{}), authz(t), "authz/allow", "")
	for _, n := range []int{200_000, 10, 400_000, 10, 1 << 20} {
		ex := r.exchange()
		ex.In.RawQuery = "a=" + strings.Repeat("x", n)
		_, err := r.steps[proxy.MethodRequest].Run(context.Background(), ex)
		if n == 1<<20 {
			wantFault(t, err, proxy.AuthorizerFailure)
		} else if err != nil {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func TestOPABuiltins(t *testing.T) {
	log, logs := observed()
	h := newHost(t, Options{Logger: log, Clock: func() time.Time { return time.Date(2030, 6, 1, 0, 0, 0, 0, time.UTC) }})
	r := opaRig(t, h, authz(t), "authz/computed", "")
	ex := r.exchange()
	if _, err := r.steps[proxy.MethodRequest].Run(context.Background(), ex); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"year": "2030", "same": "true", "sprintf": `a 7 1.5 [1,"x"]`, "hex": "äb", "query": "a b&c", "time": "946684800000000000", "duration": "60000000000",
		"sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "undefined": "0",
		"hmac": "5031fe3d989c6d1537a013fa6e739da23463fdaec3b70137d828e36ace221bd0",
	}
	for _, p := range ex.Caller.Context {
		if p.Value != want[p.Name] {
			t.Errorf("%s is %q, want %q", p.Name, p.Value, want[p.Name])
		}
		delete(want, p.Name)
	}
	if len(want) > 0 {
		t.Errorf("not there: %v", want)
	}
	if lines := logs.All(); len(lines) != 2 || lines[0].ContextMap()["text"] != `computing {"a":"GET"} <undefined>` || lines[1].ContextMap()["text"] != "traced" {
		t.Errorf("what the policy printed isn't in the log: %v", lines)
	}
}

func TestOPAVerifiesTokens(t *testing.T) {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	encode := base64.RawURLEncoding.EncodeToString
	jwk := fmt.Sprintf(`{"kty":"OKP","crv":"Ed25519","x":"%s"}`, encode(key.Public().(ed25519.PublicKey)))
	now := time.Date(2030, 6, 1, 0, 0, 0, 0, time.UTC)
	h := newHost(t, Options{Clock: func() time.Time { return now }})
	r := opaRig(t, h, authz(t), "authz/token", "keys = '"+jwk+"'")
	ask := func(claims string, key ed25519.PrivateKey) (*proxy.Exchange, error) {
		token := encode([]byte(`{"alg":"EdDSA"}`)) + "." + encode([]byte(claims))
		ex := r.exchange("Token", token+"."+encode(ed25519.Sign(key, []byte(token))))
		_, err := r.steps[proxy.MethodRequest].Run(context.Background(), ex)
		return ex, err
	}
	ex, err := ask(`{"sub":"anna","iss":"us","aud":["x","pets"],"exp":2000000000}`, key)
	if got := fmt.Sprintf("%v %v %v", err, ex.Caller.Principal, ex.Caller.Context); got != "<nil> anna [{alg EdDSA}]" {
		t.Error(got)
	}
	other := ed25519.NewKeyFromSeed(append(make([]byte, ed25519.SeedSize-1), 1))
	if _, err := ask(`{"sub":"anna","iss":"us","aud":"pets"}`, other); err == nil {
		t.Error("a token by another key is taken")
	}
	for _, claims := range []string{
		`{"sub":"anna","iss":"them","aud":"pets"}`, `{"sub":"anna","iss":"us","aud":"dogs"}`, `{"sub":"anna","iss":"us"}`, `{"sub":"anna","aud":"pets"}`,
		fmt.Sprintf(`{"sub":"anna","iss":"us","aud":"pets","exp":%d}`, now.Unix()-1), `not JSON`, `[]`,
	} {
		_, err := ask(claims, key)
		wantFault(t, err, proxy.AccessDenied)
	}
}

// What can't work is found at load, with what to do.
func TestOPARefusals(t *testing.T) {
	h, file := newHost(t, Options{}), authz(t)
	f := func(file, options string, want ...string) {
		t.Helper()
		g, findings := h.Begin(context.Background(), parse(t, pluginTOML(file, options)))
		g.Discard()
		for _, w := range want {
			if !strings.Contains(findings.Text(), w) {
				t.Errorf("%s: no %q in\n%s", options, w, findings.Text())
			}
		}
	}
	f(file, "", "several entrypoints", "authz/allow, authz/computed")
	f(file, `config = { entrypoint = "authz/nothing" }`, `no entrypoint "authz/nothing"`)
	f(file, `config = { entrypoint = 1 }`, "entrypoint", "it isn't text")
	f(file, `config = { data = "x" }`, "it isn't a table")
	f(file, `config = { rule = "x" }`, `no key "rule"`)
	f(file, `env = { A = "b" }`, "no environment variables")
	f(file, `config_text = "x"`, "config_text")
	f(file, `abi = "native"`, "postern_abi")
	f(policy(t, "send", "send/allow"), "", "http.send, net.lookup_ip_addr", "a policy sends no requests", "time.now_ns")
	bundle := filepath.Join(t.TempDir(), "bundle.tar.gz")
	if err := os.WriteFile(bundle, []byte("\x1f\x8b\x08\x00more"), 0o600); err != nil {
		t.Fatal(err)
	}
	f(bundle, "", "bundle of opa build")
}

// A module that only looks like a policy costs its call, or isn't loaded.
func TestRogueOPA(t *testing.T) {
	policy := func(malloc, dump, eval string) string {
		return compileWAT(t, `(module (import "env" "memory" (memory 2)) (export "memory" (memory 0))
			(import "env" "opa_builtin0" (func $builtin (param i32 i32) (result i32)))
			(import "env" "opa_println" (func $print (param i32)))
			(data (i32.const 16) "{\22a/b\22:0}\00") (data (i32.const 64) "[{\22result\22:true}]\00") (data (i32.const 96) "{}\00")
			(global (export "opa_wasm_abi_version") i32 (i32.const 1)) (global (export "opa_wasm_abi_minor_version") i32 (i32.const 3))
			(func (export "opa_malloc") (param i32) (result i32) `+malloc+`)
			(func (export "opa_heap_ptr_get") (result i32) (i32.const 1000)) (func (export "opa_heap_ptr_set") (param i32))
			(func (export "opa_json_dump") (param i32) (result i32) `+dump+`) (func (export "opa_value_parse") (param i32 i32) (result i32) (i32.const 1))
			(func (export "builtins") (result i32) (i32.const 96)) (func (export "entrypoints") (result i32) (i32.const 16))
			(func (export "opa_eval") (param i32 i32 i32 i32 i32 i32 i32) (result i32) `+eval+`))`)
	}
	const fine = `(i32.const 2000)`
	f := func(eval, what string) {
		t.Helper()
		r := authorizerRig(t, begin(t, newHost(t, Options{}), pluginTOML(policy(fine, `(local.get 0)`, eval))))
		ex := r.exchange()
		_, err := r.steps[proxy.MethodRequest].Run(context.Background(), ex)
		if what == "" {
			if err != nil {
				t.Error(err)
			}
			return
		}
		wantFault(t, err, proxy.AuthorizerFailure)
		if got := ex.Notes.PluginFailure; got != what {
			t.Errorf("%s: %s, %v; want %s", eval, got, err, what)
		}
	}
	f(`(i32.const 64)`, "")
	f(`(i32.const -1)`, "answer")
	f(`(i32.const 131072)`, "answer")
	f(`(memory.fill (i32.const 131000) (i32.const 32) (i32.const 72)) (i32.const 131000)`, "answer") // without an end
	f(`(i32.const 16)`, "answer")
	f(`(call $builtin (i32.const 7) (i32.const 0))`, "trap")
	f(`(call $print (i32.const -1)) (i32.const 64)`, "")
	refused := func(malloc, dump, want string) {
		t.Helper()
		g, findings := newHost(t, Options{}).Begin(context.Background(), parse(t, pluginTOML(policy(malloc, dump, fine))))
		g.Discard()
		if !strings.Contains(findings.Text(), want) {
			t.Errorf("no %q in\n%s", want, findings.Text())
		}
	}
	refused(`(i32.const -1)`, `(local.get 0)`, "outside of the guest's memory")
	refused(fine, `(i32.const -1)`, "outside of the guest's memory")
	refused(fine, `(i32.const 64)`, "the plugin doesn't start")
	refused(`unreachable`, `(local.get 0)`, "unreachable")
}

// BenchmarkOPA is one decision: the input as JSON, the evaluation, its result.
func BenchmarkOPA(b *testing.B) {
	for _, rule := range []string{"allow", "decision"} {
		b.Run(rule, func(b *testing.B) {
			r := opaRig(b, newHost(b, Options{}), authz(b), "authz/"+rule, `roles = { anna = ["admin"] }`)
			ex := r.exchange("Accept", "*/*", "User-Agent", "curl/8.5.0", "X-User", "anna")
			in, step := ex.In, r.steps[proxy.MethodRequest]
			b.ReportAllocs()
			for b.Loop() {
				ex.Begin(ex.Start, nil)
				ex.Route, ex.In, ex.Method, ex.Path = r.route, in, "GET", "/pets/a%20b"
				if _, err := step.Run(context.Background(), ex); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
