package plugins

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/postern-gateway/postern/proxy"
)

const extismSDK = "github.com/extism/go-sdk@v1.7.1"

// extismRig is an integration that is a function of one of the plugins that
// Extism's own Go SDK is tested with. It takes and makes content.
func extismRig(t testing.TB, h *Host, module, function string, options ...string) *rig {
	t.Helper()
	options = append(options, `abi = "extism"`, `payload = "body"`, fmt.Sprintf("function = %q", function))
	return integrationRig(t, begin(t, h, pluginTOML(published(t, extismSDK, "wasm/"+module+".wasm"), options...)))
}

// post runs the integration with content.
func (r *rig) post(content string) (*proxy.Exchange, error) {
	ex := r.exchange()
	ex.In.Content = []byte(content)
	_, err := r.steps[proxy.Integration].Run(context.Background(), ex)
	return ex, err
}

// Plugins in seven languages that others have built run as they are.
func TestPublishedExtism(t *testing.T) {
	core, logs := observed()
	h := newHost(t, Options{Logger: core})
	f := func(module, function, input, want string, options ...string) {
		t.Run(module, func(t *testing.T) {
			r := extismRig(t, h, module, function, options...)
			for range 3 { // what one call leaves behind is no harm to the next
				ex, err := r.post(input)
				if err != nil {
					t.Fatal(err)
				}
				if got := string(ex.Back.Content); got != want {
					t.Errorf("got %q, want %q", got, want)
				}
			}
		})
	}
	f("count_vowels", "count_vowels", "this is a test", `{"count":4,"total":4,"vowels":"aeiouAEIOU"}`, `isolation = "fresh"`) // Rust
	f("count_vowels", "count_vowels", "", `{"count":0,"total":0,"vowels":"x"}`, `config = { vowels = "x" }`)
	f("count_vowels_std", "_start", "hello world", `{"count": 3, "config": "<unset by host>", "a": "this is var a"}`, `isolation = "fresh"`) // Go
	f("hello", "run_test", "", "Hello, world!")                                                                                              // C
	f("alloc", "run_test", "", "")
	f("config", "run_test", "", `{"config": "hello"}`, `config = { thing = "hello" }`) // TinyGo
	f("config", "run_test", "", `{"config": "<unset by host>"}`, `isolation = "shared"`)
	f("hello_haskell", "testing", "Benjamin", "Hello, Benjamin", `memory = "64MiB"`)
	f("input_offset", "input_offset_length", strings.Repeat("x", 1234), "\xd2\x04\x00\x00\x00\x00\x00\x00") // WAT
	f("var", "run_test", "", "a: 0", `isolation = "reset"`)
	f("println", "run_test", "", "")
	f("log", "run_test", "", "")
	said := map[string]bool{}
	for _, line := range logs.All() {
		said[fmt.Sprint(line.Level, " ", line.ContextMap()["text"])] = true
	}
	for _, want := range []string{"info this is an info log", "warn this is a warning log", "error this is an error log"} {
		if !said[want] {
			t.Errorf("the log has no %q, but %v", want, said)
		}
	}
	t.Run("exit", func(t *testing.T) {
		ex, err := extismRig(t, h, "exit", "_start", `isolation = "fresh"`, `config = { code = "500" }`).post("")
		wantFault(t, err, proxy.BadIntegration)
		if ex.Notes.PluginFailure != "exit" || !strings.Contains(fmt.Sprint(err), "exit status 500") {
			t.Errorf("%s: %v", ex.Notes.PluginFailure, err)
		}
	})
	t.Run("sleep", func(t *testing.T) {
		g := begin(t, h, pluginTOML(published(t, extismSDK, "wasm/sleep.wasm"), `timeout = "50ms"`, `function = "run_test"`, `config = { duration = "3" }`))
		_, err := integrationRig(t, g).post("")
		wantFault(t, err, proxy.IntegrationTimeout)
	})
	t.Run("fail", func(t *testing.T) {
		ex, err := extismRig(t, h, "fail", "run_test").post("")
		wantFault(t, err, proxy.BadIntegration)
		if ex.Notes.PluginFailure != "fail" || !strings.Contains(fmt.Sprint(err), "Some error message") {
			t.Errorf("%s: %v", ex.Notes.PluginFailure, err)
		}
	})
}

// What a plugin can't have is said at load.
func TestExtismRefusals(t *testing.T) {
	h := newHost(t, Options{})
	f := func(module, options string, want ...string) {
		t.Helper()
		g, findings := h.Begin(context.Background(), parse(t, pluginTOML(published(t, extismSDK, "wasm/"+module+".wasm"), options)))
		g.Discard()
		for _, w := range want {
			if !strings.Contains(findings.Text(), w) {
				t.Errorf("%s, %s: no %q in\n%s", module, options, w, findings.Text())
			}
		}
	}
	f("hello", "", "exports none of authorize, handle and integrate", "set function")
	f("hello", `function = "nothing"`, "doesn't export nothing")
	f("count_vowels_std", `function = "_start"`, `isolation = "fresh"`)
	f("host", `function = "run_test"`, "extism:host/user.mult")
	f("http", `function = "run_test"`, "isn't granted: http", "http = { allow")
	f("hello", `abi = "native"`, "postern_abi")
	f("noop", "abi = \"extism\"\nfunction = \"run_test\"", "doesn't import from extism:host/env")
}

func TestExtismSendsRequests(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Asked", r.Method+" "+r.URL.Path)
		w.Header().Add("X-Two", "1")
		w.Header().Add("X-Two", "2")
	}))
	t.Cleanup(server.Close)
	core, logs := observed()
	r := extismRig(t, newHost(t, Options{Logger: core}), "http_headers", "http_get", fmt.Sprintf("http = { allow = [%q], private = true }", server.URL))
	ex, err := r.post(fmt.Sprintf(`{"url":"%s/a"}`, server.URL))
	if err != nil {
		t.Fatal(err)
	}
	headers := map[string]string{}
	if err := json.Unmarshal(ex.Back.Content, &headers); err != nil || headers["x-asked"] != "GET /a" || headers["x-two"] != "1,2" {
		t.Errorf("%v: %s", err, ex.Back.Content)
	}
	if got := ex.Back.Fields.Get("content-type"); got != "application/json" {
		t.Errorf("content-type is %q", got)
	}
	for _, url := range []string{"http://127.0.0.1:1/", "ftp://example.com/", "nothing"} {
		ex, err := r.post(fmt.Sprintf(`{"url":%q}`, url))
		wantFault(t, err, proxy.BadIntegration)
		if ex.Notes.PluginFailure != "trap" {
			t.Errorf("%s: %s", url, ex.Notes.PluginFailure)
		}
	}
	if logs.FilterMessageSnippet("plugin says").Len() == 0 {
		t.Error("nobody tells the operator what isn't allowed")
	}
}

// rawExtism builds the test plugin that uses no PDK.
func rawExtism(t testing.TB) string {
	t.Helper()
	return compileC(t, "../testdata/wasm/extism/raw.c")
}

func TestExtismAuthorizes(t *testing.T) {
	h := newHost(t, Options{})
	r := authorizerRig(t, begin(t, h, pluginTOML(rawExtism(t))))
	ex, err := r.authorize("allow")
	if got := fmt.Sprintf("%v %v %v", err, ex.Caller.Principal, ex.Caller.Context); got != "<nil> anna [{level 3}]" {
		t.Error(got)
	}
	_, err = r.authorize("who")
	wantFault(t, err, proxy.Unauthorized)
	_, err = r.authorize("nothing")
	wantFault(t, err, proxy.AccessDenied)
	for _, token := range []string{"policy", "junk"} {
		_, err = r.authorize(token)
		wantFault(t, err, proxy.AuthorizerFailure)
	}
}

func TestExtismAnswersEvents(t *testing.T) {
	r := integrationRig(t, begin(t, newHost(t, Options{}), pluginTOML(rawExtism(t))))
	ex, err := r.integrate("")
	if err != nil || ex.Reply.Status != 201 || string(ex.Reply.Content) != "made" {
		t.Errorf("%v, %d %s", err, ex.Reply.Status, ex.Reply.Content)
	}
}

// Whatever a guest does with blocks costs at most its call.
func TestRogueExtism(t *testing.T) {
	h := newHost(t, Options{})
	options := []string{`function = "raw"`, `payload = "body"`}
	r := integrationRig(t, begin(t, h, pluginTOML(rawExtism(t), append(options, `isolation = "reset"`)...)))
	says := func(r *rig, do, want string) {
		t.Helper()
		ex, err := r.post(do)
		if got := string(ex.Back.Content); err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", do, got, err, want)
		}
	}
	fails := func(do, what, text string) {
		t.Helper()
		ex, err := r.post(do)
		wantFault(t, err, proxy.BadIntegration)
		if got := ex.Notes.PluginFailure; got != what || !strings.Contains(fmt.Sprint(err), text) {
			t.Errorf("%s: %s, %v; want %s", do, got, err, what)
		}
		says(r, "l", "0") // the next request finds all well
	}
	says(r, "l", "0")
	says(r, "i", "0")
	says(r, "F", "")
	says(r, "a", "5")
	says(r, "n", "")
	says(r, "z", "0")
	for _, do := range []string{"r", "R", "w", "W", "o"} {
		fails(do, "trap", "outside of the guest's memory")
	}
	fails("f", "answer", "outside of the guest's memory")
	fails("m", "trap", "67108864 bytes")
	fails("M", "trap", "67108864 bytes")
	fails("e", "trap", "no such block")
	fails("E", "fail", "\uFFFDx")
	fails("V", "trap", "1048576 bytes")
	fails("9", "fail", "returned 9")
	// Variables last as long as what the guest has in its own memory.
	for range 3 {
		says(r, "v", "1")
	}
	shared := integrationRig(t, begin(t, newHost(t, Options{}), pluginTOML(rawExtism(t), append(options, `isolation = "shared"`)...)))
	says(shared, "v", "1")
	says(shared, "v", "2")
	says(shared, "x", "0")
	says(shared, "v", "1")
}

// BenchmarkExtism is a whole step: input into a block, the call, output out of it.
func BenchmarkExtism(b *testing.B) {
	for _, module := range []string{"hello", "count_vowels"} {
		b.Run(module, func(b *testing.B) {
			function := "run_test"
			if module == "count_vowels" {
				function = module
			}
			r := extismRig(b, newHost(b, Options{}), module, function)
			ex, ctx, step := r.exchange(), context.Background(), r.steps[proxy.Integration]
			in := ex.In
			in.Content = []byte("this is a test")
			b.ReportAllocs()
			for b.Loop() {
				ex.Begin(ex.Start, nil)
				ex.Route, ex.In, ex.Method = r.route, in, "POST"
				if _, err := step.Run(ctx, ex); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
