package plugins

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/http1"
)

const (
	httpWasmHost   = "github.com/http-wasm/http-wasm-host-go@v0.7.0"
	httpWasmTinyGo = "github.com/http-wasm/http-wasm-guest-tinygo@v0.4.0"
)

// HTTPWasmAlone returns a function that has the module answer requests as a filter
// without a gateway around it; there is nothing behind it.
func HTTPWasmAlone(t *testing.T, module string) func(*http.Request) (*http.Response, error) {
	r, steps := filterSteps(t, newHost(t, Options{}), module)
	return func(request *http.Request) (*http.Response, error) {
		ex := r.exchange()
		ex.Method, ex.In.Method, ex.Path = request.Method, request.Method, request.URL.Path
		for name := range request.Header {
			ex.In.Fields = append(ex.In.Fields, http1.NewField(name, request.Header.Get(name)))
		}
		verdict, err := steps[proxy.MethodRequest].Run(context.Background(), ex)
		if err == nil && verdict == proxy.Continue {
			ex.Reply.Status = 200
			_, err = steps[proxy.MethodResponse].Run(context.Background(), ex)
		}
		answer := &http.Response{StatusCode: ex.Reply.Status, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(ex.Reply.Content))}
		for i := range ex.Reply.Fields {
			answer.Header.Add(ex.Reply.Fields[i].Name, ex.Reply.Fields[i].Value)
		}
		return answer, err
	}
}

// httpWasmRig is an http-wasm filter and what it says.
type httpWasmRig struct {
	*rig
	host *Host
	logs *observer.ObservedLogs
}

func newHTTPWasmRig(t testing.TB, module string, options ...string) *httpWasmRig {
	t.Helper()
	core, logs := observer.New(zapcore.InfoLevel)
	h := newHost(t, Options{Logger: zap.New(core)})
	r, steps := filterSteps(t, h, module, options...)
	r.steps = steps
	return &httpWasmRig{r, h, logs}
}

// both runs the filter for a request with content and, if it lets that pass, for a
// response of 200 with content.
func (w *httpWasmRig) both(change func(*proxy.Exchange), question, answer string, headers ...string) (ex *proxy.Exchange, passed bool, err error) {
	ex = w.exchange(headers...)
	ex.In.Content = []byte(question)
	change(ex)
	verdict, err := w.steps[proxy.MethodRequest].Run(context.Background(), ex)
	if verdict == proxy.Answered || err != nil {
		return ex, false, err
	}
	return ex, true, w.answered(ex, answer)
}

// answered runs the filter for a response.
func (w *httpWasmRig) answered(ex *proxy.Exchange, answer string) error {
	ex.Reply = proxy.Response{Status: 200, Content: []byte(answer), Length: int64(len(answer)), Fields: append(ex.Reply.Fields[:0], http1.NewField("X-Own", "1"))}
	_, err := w.steps[proxy.MethodResponse].Run(context.Background(), ex)
	return err
}

func nothing(*proxy.Exchange) {}

// said lists what the guest has logged since.
func (w *httpWasmRig) said() string {
	var lines []string
	for _, e := range w.logs.TakeAll() {
		if text, ok := e.ContextMap()["text"].(string); ok {
			lines = append(lines, text)
		}
	}
	return strings.Join(lines, "\n")
}

// shape is what an exchange came to, in a line.
func shape(ex *proxy.Exchange, passed bool) string {
	if passed {
		return fmt.Sprintf("passed %s %s?%s %q, then %d %q", ex.Rewrite.Method, ex.Rewrite.Path, ex.In.RawQuery, ex.In.Content, ex.Reply.Status, ex.Reply.Content)
	}
	return fmt.Sprintf("answered %d %q %q", ex.Reply.Status, ex.Reply.Content, lines(ex.Reply.Fields))
}

// Plugins that others have built for other gateways run as they are.
func TestPublishedHTTPWasm(t *testing.T) {
	f := func(module, path string, want func(t *testing.T, w *httpWasmRig), options ...string) {
		t.Run(path, func(t *testing.T) { want(t, newHTTPWasmRig(t, published(t, module, path+".wasm"), options...)) })
	}
	becomes := func(t *testing.T, w *httpWasmRig, change func(*proxy.Exchange), want string, headers ...string) {
		t.Helper()
		ex, passed, err := w.both(change, "a question", "an answer", headers...)
		if got := shape(ex, passed); err != nil || got != want {
			t.Errorf("%s, %v; want %s", got, err, want)
		}
		ex.End()
	}
	const untouched = `passed  ?q+a=1%2B1&q+a=x+y&z "a question", then 200 "an answer"`
	const examples, e2e = "examples/", "internal/test/testdata/e2e/"
	f(httpWasmHost, examples+"auth", func(t *testing.T, w *httpWasmRig) {
		becomes(t, w, nothing, untouched, "Authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")
		becomes(t, w, nothing, `answered 401 "" ["WWW-Authenticate: Basic realm=\"test\""]`)
		becomes(t, w, nothing, `answered 401 "" []`, "Authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZR==")
	})
	f(httpWasmHost, examples+"log", func(t *testing.T, w *httpWasmRig) {
		becomes(t, w, nothing, untouched)
		if said := w.said(); said != "hello world" {
			t.Errorf("it said %q", said)
		}
	})
	f(httpWasmHost, examples+"redact", func(t *testing.T, w *httpWasmRig) {
		becomes(t, w, nothing, `passed  ?q+a=1%2B1&q+a=x+y&z "a #####ion", then 200 "an answer"`)
	}, `config_text = "quest"`)
	f(httpWasmHost, examples+"redact", func(t *testing.T, w *httpWasmRig) {
		becomes(t, w, nothing, `passed  ?q+a=1%2B1&q+a=x+y&z "a question", then 200 "an a#####"`)
	}, `config_text = "nswer"`)
	router := func(hello string) func(t *testing.T, w *httpWasmRig) {
		return func(t *testing.T, w *httpWasmRig) {
			becomes(t, w, nothing, `answered 200 "`+hello+`" ["Content-Type: text/plain"]`)
			becomes(t, w, func(ex *proxy.Exchange) { ex.Path = "/host/a%20b" }, `passed  /a%20b?q+a=1%2B1&q+a=x+y&z "a question", then 200 "an answer"`)
			becomes(t, w, func(ex *proxy.Exchange) { ex.Path, ex.In.RawQuery, ex.In.HasQuery = "/host", "", false }, `passed  /? "a question", then 200 "an answer"`)
		}
	}
	f(httpWasmHost, examples+"router", router("hello world"))
	f(httpWasmTinyGo, examples+"router/main", router("hello"))
	prints := func(t *testing.T, w *httpWasmRig) {
		becomes(t, w, nothing, untouched, "A", "1", "a", "2")
		said := w.said()
		for _, line := range []string{"GET /pets/a%20b?q+a=1%2B1&q+a=x+y&z HTTP/1.1", "host: pets.localhost", "a: 1", "a: 2", "a question", "HTTP/1.1 200", "x-own: 1", "an answer"} {
			if !strings.Contains(strings.ToLower(said)+"\n", strings.ToLower(line)+"\n") {
				t.Errorf("it didn't print %q, but\n%s", line, said)
			}
		}
	}
	f(httpWasmHost, examples+"wasi", prints)
	f(httpWasmTinyGo, examples+"wasi/main", prints)
	f(httpWasmHost, e2e+"uri", func(t *testing.T, w *httpWasmRig) {
		becomes(t, w, nothing, `passed  /v1.0/hello?name=teddy "/pets/a%20b?q+a=1%2B1&q+a=x+y&z", then 200 "an answer"`)
	})
	f(httpWasmHost, e2e+"method", func(t *testing.T, w *httpWasmRig) {
		becomes(t, w, nothing, `passed POST ?q+a=1%2B1&q+a=x+y&z "GET", then 200 "an answer"`)
	})
	f(httpWasmHost, e2e+"header_names", func(t *testing.T, w *httpWasmRig) {
		becomes(t, w, nothing, untouched)
		becomes(t, w, nothing, untouched, "A", "b", strings.Repeat("c", 2500), "d")
	})
	f(httpWasmHost, e2e+"header_value", func(t *testing.T, w *httpWasmRig) {
		ex, _, err := w.both(nothing, "", "", "content-type", "a", "Content-Type", "b")
		if got := fmt.Sprint(err, lines(ex.In.Fields)[2:]); got != "<nil> [Content-Type: text/plain]" {
			t.Error(got)
		}
	})
	f(httpWasmHost, e2e+"protocol_version", func(t *testing.T, w *httpWasmRig) {
		becomes(t, w, nothing, `answered 200 "HTTP/1.1" []`)
	})
	f(httpWasmHost, e2e+"handle_response", func(t *testing.T, w *httpWasmRig) {
		for range 3 {
			becomes(t, w, nothing, untouched)
		}
	})
	f(httpWasmTinyGo, e2e+"tinygo/handle_response/main", func(t *testing.T, w *httpWasmRig) {
		becomes(t, w, nothing, `passed  ?q+a=1%2B1&q+a=x+y&z "a question", then 200 "43"`)
	})
	f(httpWasmTinyGo, e2e+"tinygo/features/main", func(t *testing.T, w *httpWasmRig) {
		becomes(t, w, nothing, `answered 200 "buffer_request|buffer_response" []`)
	})
	f(httpWasmTinyGo, e2e+"tinygo/log/main", func(t *testing.T, w *httpWasmRig) {
		becomes(t, w, nothing, untouched)
		if said := w.said(); said != "before\nafter" {
			t.Errorf("it said %q", said)
		}
	})
	f("github.com/dapr/components-contrib@v1.16.0", "middleware/http/wasm/internal/testdata/rewrite", func(t *testing.T, w *httpWasmRig) {
		becomes(t, w, nothing, untouched)
		becomes(t, w, func(ex *proxy.Exchange) { ex.Path, ex.In.RawQuery = "/v1.0/hi", "name=panda" }, `passed  /v1.0/hello?name=teddy "a question", then 200 "an answer"`)
	})
}

// A guest that fails costs its call.
func TestHTTPWasmFails(t *testing.T) {
	const failing = "internal/test/testdata/error/"
	g, findings := newHost(t, Options{}).Begin(context.Background(), parse(t, pluginTOML(published(t, httpWasmHost, failing+"panic_on_start.wasm"))))
	g.Discard()
	if !strings.Contains(findings.Text(), "the plugin doesn't start") {
		t.Error(findings.Text())
	}
	f := func(name, text string) {
		t.Helper()
		w := newHTTPWasmRig(t, published(t, httpWasmHost, failing+name+".wasm"))
		for range 2 {
			ex, _, err := w.both(nothing, "", "")
			wantFault(t, err, proxy.PluginFailure)
			if !strings.Contains(fmt.Sprint(err), text) {
				t.Errorf("%s: %v", name, err)
			}
			ex.End()
		}
	}
	f("panic_on_handle_request", "unreachable")
	f("panic_on_handle_response", "unreachable")
	f("set_request_header_after_next", "can't be changed any more")
}

// httpWasmGuest compiles a module in the text format.
func httpWasmGuest(t testing.TB, imports, request, response string) string {
	t.Helper()
	return compileWAT(t, `(module `+imports+`
		(memory (export "memory") 1)
		(data (i32.const 0) "X-Early") (data (i32.const 16) "early") (data (i32.const 32) "X-Own") (data (i32.const 48) "ahead ")
		(global $seen (mut i32) (i32.const 0))
		(func (export "handle_request") (result i64) `+request+`)
		(func (export "handle_response") (param $context i32) (param $error i32) `+response+`))`)
}

const (
	importSet   = `(import "http_handler" "set_header_value" (func $set (param i32 i32 i32 i32 i32)))`
	importWrite = `(import "http_handler" "write_body" (func $write (param i32 i32 i32)))`
	importRead  = `(import "http_handler" "read_body" (func $read (param i32 i32 i32) (result i64)))`
	importAsk   = `(import "http_handler" "enable_features" (func $ask (param i32) (result i32)))`
)

// What handle_request says of the response counts as long as the response doesn't
// say otherwise.
func TestHTTPWasmSetsAhead(t *testing.T) {
	w := newHTTPWasmRig(t, httpWasmGuest(t, importSet+importWrite, `
		(call $set (i32.const 1) (i32.const 0) (i32.const 7) (i32.const 16) (i32.const 5))
		(call $set (i32.const 1) (i32.const 32) (i32.const 5) (i32.const 16) (i32.const 5))
		(call $write (i32.const 1) (i32.const 48) (i32.const 6))
		(i64.const 1)`, ""))
	for range 3 {
		ex, _, err := w.both(nothing, "", "behind")
		if got := fmt.Sprint(err, lines(ex.Reply.Fields), string(ex.Reply.Content), " ", ex.Reply.Length); got != "<nil> [X-Own: 1 X-Early: early]ahead behind 12" {
			t.Error(got)
		}
		ex.End()
	}
}

// Who asks for the content of one response gets it, though it streams.
func TestHTTPWasmAsksForContent(t *testing.T) {
	guest := func(ask string) *httpWasmRig {
		return newHTTPWasmRig(t, httpWasmGuest(t, importAsk+importRead+importWrite, ask+`(i64.const 1)`, `
			(call $write (i32.const 1) (i32.const 100) (i32.wrap_i64 (call $read (i32.const 1) (i32.const 100) (i32.const 4))))`))
	}
	stream := func(w *httpWasmRig) (*proxy.Exchange, error) {
		ex := w.exchange()
		if _, err := w.steps[proxy.MethodRequest].Run(context.Background(), ex); err != nil {
			t.Fatal(err)
		}
		ex.Reply = proxy.Response{Status: 200, Body: streamed{strings.NewReader("streamed")}, Length: http1.Unknown}
		_, err := w.steps[proxy.MethodResponse].Run(context.Background(), ex)
		return ex, err
	}
	if ex, err := stream(guest(`(drop (call $ask (i32.const 2)))`)); err != nil || string(ex.Reply.Content) != "stre" {
		t.Errorf("%v: %q", err, ex.Reply.Content)
	}
	_, err := stream(guest(``))
	wantFault(t, err, proxy.PluginFailure)
}

type streamed struct{ *strings.Reader }

func (streamed) Trailers() http1.Fields { return nil }

// Side by side, each response gets the number that its own request has returned,
// from the instance that returned it; without one, from any.
func TestHTTPWasmKeepsContext(t *testing.T) {
	// The memory at 1000 + 4 × number says whether this instance gave the number out.
	counts := httpWasmGuest(t, "", `
		(global.set $seen (i32.add (global.get $seen) (i32.const 1)))
		(i32.store (i32.add (i32.const 1000) (i32.mul (global.get $seen) (i32.const 4))) (i32.const 1))
		(i64.or (i64.shl (i64.extend_i32_u (global.get $seen)) (i64.const 32)) (i64.const 1))`, `
		(if (i32.eqz (i32.load (i32.add (i32.const 1000) (i32.mul (local.get $context) (i32.const 4))))) (then unreachable))
		(i32.store (i32.add (i32.const 1000) (i32.mul (local.get $context) (i32.const 4))) (i32.const 0))`)
	w := newHTTPWasmRig(t, counts, "max_instances = 3")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				ex, passed, err := w.both(nothing, "", "")
				if err != nil || !passed {
					t.Error(passed, err)
				}
				ex.End()
			}
		})
	}
	wg.Wait()
	if s := stats(t, w.host); s.Traps != 0 || s.Instances > 3 {
		t.Errorf("%d traps, %d instances", s.Traps, s.Instances)
	}
	// Exchanges that wait for their backends hold nothing, however many they are.
	var waiting []*proxy.Exchange
	for range 20 {
		ex := w.exchange()
		if _, err := w.steps[proxy.MethodRequest].Run(context.Background(), ex); err != nil {
			t.Fatal(err)
		}
		waiting = append(waiting, ex)
	}
	for _, ex := range waiting[:15] {
		if err := w.answered(ex, ""); err != nil {
			t.Error(err)
		}
	}
	for _, ex := range waiting { // five of them never come to a response
		ex.End()
	}
	// With reset, only the number is there.
	r := newHTTPWasmRig(t, counts, `isolation = "reset"`)
	_, _, err := r.both(nothing, "", "")
	wantFault(t, err, proxy.PluginFailure)
}

// An answer of the guest's own is nothing for its handle_response; one of the
// gateway's is, as an error.
func TestHTTPWasmSeesItsOwnResponses(t *testing.T) {
	w := newHTTPWasmRig(t, httpWasmGuest(t, importSet, `(i64.const 1)`, `
		(if (i32.eqz (local.get $error)) (then unreachable))
		(call $set (i32.const 1) (i32.const 0) (i32.const 7) (i32.const 16) (i32.const 5))`))
	ex, _, err := w.both(func(ex *proxy.Exchange) { ex.Fault = &proxy.Fault{Kind: proxy.AccessDenied} }, "", "")
	if err != nil || ex.Reply.Fields.Get("X-Early") != "early" {
		t.Error(err, lines(ex.Reply.Fields))
	}
	// Nor is that of a request that never came to it.
	ex = w.exchange()
	if err := w.answered(ex, "x"); err != nil || string(ex.Reply.Content) != "x" {
		t.Error(err)
	}
	never := newHTTPWasmRig(t, httpWasmGuest(t, "", `(i64.const 0)`, `unreachable`))
	ex, passed, err := never.both(nothing, "", "")
	if err != nil || passed || ex.Reply.Status != 200 {
		t.Error(passed, err, ex.Reply.Status)
	}
	if err := never.answered(ex, ""); err != nil {
		t.Error(err)
	}
}

// Host functions take what is allowed and end the call for the rest.
func TestHTTPWasmFunctions(t *testing.T) {
	f := func(imports, code, want string, change ...func(*proxy.Exchange)) {
		t.Helper()
		w := newHTTPWasmRig(t, httpWasmGuest(t, imports, code+` (i64.const 1)`, ""))
		ex, _, err := w.both(func(ex *proxy.Exchange) {
			for _, c := range change {
				c(ex)
			}
		}, "body", "")
		got := strings.TrimSpace(strings.ReplaceAll(shape(ex, err == nil), "?q+a=1%2B1&q+a=x+y&z", ""))
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, want) {
			t.Errorf("%s: %s; want %s", code, got, want)
		}
	}
	// put is a function that takes a text, which stands at address 200.
	put := func(name, text, want string) {
		t.Helper()
		f(fmt.Sprintf(`(import "http_handler" "%s" (func $f (param i32 i32))) (data (i32.const 200) "%s")`, name, text),
			fmt.Sprintf(`(call $f (i32.const 200) (i32.const %d))`, len(text)), want)
	}
	put("set_uri", "/a/../b", "not valid HTTP")
	put("set_uri", "http://other/", "not valid HTTP")
	put("set_uri", "a", "not valid HTTP")
	put("set_uri", "/a b", "not valid HTTP")
	put("set_uri", "/pets/a%20b", `passed  ? "body"`)
	put("set_uri", "*", "not valid HTTP")
	put("set_method", "CONNECT", "not valid HTTP")
	put("set_method", "", "not valid HTTP")
	put("set_method", "A B", "not valid HTTP")
	put("set_method", "GET", "passed  ")
	put("set_method", "PURGE", "passed PURGE")
	// edit sets a header: kind, name and value.
	edit := func(kind int, name, value, want string) {
		t.Helper()
		f(importSet+fmt.Sprintf(`(data (i32.const 200) "%s%s")`, name, strings.ReplaceAll(value, "\n", `\0a`)),
			fmt.Sprintf(`(call $set (i32.const %d) (i32.const 200) (i32.const %d) (i32.const %d) (i32.const %d))`, kind, len(name), 200+len(name), len(value)), want)
	}
	edit(0, "X-A", "b", "passed")
	edit(0, "Content-Length", "7", "passed") // the gateway knows better
	edit(0, "Host", "other", "passed")
	edit(0, "X-Forwarded-For", "1.2.3.4", "passed")
	edit(1, "Connection", "close", "passed")
	edit(0, "", "b", "empty header name")
	edit(0, "X A", "b", "not valid HTTP")
	edit(1, "X-A", "b\nEvil: 1", "not valid HTTP")
	edit(2, "X-A", "b", "trailer")
	edit(9, "X-A", "b", "no such kind")
	f(`(import "http_handler" "get_header_names" (func $f (param i32 i32 i32) (result i64)))`,
		`(if (i64.ne (call $f (i32.const 2) (i32.const 0) (i32.const 0)) (i64.const 0)) (then unreachable))`, "passed")
	f(`(import "http_handler" "get_header_names" (func $f (param i32 i32 i32) (result i64)))`,
		`(drop (call $f (i32.const 0) (i32.const 65534) (i32.const 2000)))`, "outside of the guest's memory")
	f(`(import "http_handler" "set_status_code" (func $f (param i32)))`, `(call $f (i32.const 99))`, "not valid HTTP")
	f(`(import "http_handler" "set_status_code" (func $f (param i32)))`, `(call $f (i32.const 101))`, "not valid HTTP")
	f(importRead, `(drop (call $read (i32.const 0) (i32.const 0) (i32.const 0)))`, "zero bytes")
	f(importRead, `(drop (call $read (i32.const 2) (i32.const 0) (i32.const 1)))`, "no such kind")
	f(importRead, `(if (i64.ne (call $read (i32.const 0) (i32.const 99) (i32.const 3)) (i64.const 3)) (then unreachable))
		(if (i64.ne (call $read (i32.const 0) (i32.const 99) (i32.const 3)) (i64.const 4294967297)) (then unreachable))
		(if (i64.ne (call $read (i32.const 0) (i32.const 99) (i32.const 3)) (i64.const 4294967296)) (then unreachable))`, "passed")
	f(importWrite, `(call $write (i32.const 0) (i32.const 0) (i32.const 0))`, `passed   "",`)
	f(importAsk, `(if (i32.ne (call $ask (i32.const 7)) (i32.const 3)) (then unreachable))`, "passed")
	f(importAsk, `(if (call $ask (i32.const 4)) (then unreachable))`, "passed")
	f(`(import "http_handler" "log" (func $f (param i32 i32 i32)))`, `(call $f (i32.const 3) (i32.const -1) (i32.const -1)) (call $f (i32.const 77) (i32.const -1) (i32.const 0))`, "passed")
	// Who asks, and from where.
	source := func(from, want string) {
		t.Helper()
		f(importWrite+`(import "http_handler" "get_source_addr" (func $f (param i32 i32) (result i32)))`,
			`(call $write (i32.const 0) (i32.const 300) (call $f (i32.const 300) (i32.const 100)))`, want,
			func(ex *proxy.Exchange) { ex.In.Client = netip.MustParseAddrPort(from) })
	}
	source("192.0.2.7:1234", `"192.0.2.7:1234"`)
	source("[::ffff:192.0.2.7]:1", `"192.0.2.7:1"`)
	source("[fe80::1%eth0]:5", `"[fe80::1]:5"`)
	// A module that asks about a request before there is one.
	h := newHost(t, Options{})
	early := compileWAT(t, `(module (import "http_handler" "get_method" (func $f (param i32 i32) (result i32))) (memory (export "memory") 1)
		(func $early (drop (call $f (i32.const 0) (i32.const 0)))) (start $early)
		(func (export "handle_request") (result i64) (i64.const 1)) (func (export "handle_response") (param i32 i32)))`)
	g, findings := h.Begin(context.Background(), parse(t, pluginTOML(early)))
	g.Discard()
	if !strings.Contains(findings.Text(), "no request to ask about") {
		t.Error(findings.Text())
	}
}

// What a module lacks to be one of http-wasm is said at load.
func TestHTTPWasmRefusals(t *testing.T) {
	h := newHost(t, Options{})
	f := func(text, options, want string) {
		t.Helper()
		g, findings := h.Begin(context.Background(), parse(t, pluginTOML(compileWAT(t, text), options)))
		g.Discard()
		if !strings.Contains(findings.Text(), want) {
			t.Errorf("no %q in\n%s", want, findings.Text())
		}
	}
	const request, response = `(func (export "handle_request") (result i64) (i64.const 1))`, `(func (export "handle_response") (param i32 i32))`
	const memory = `(memory (export "memory") 1)`
	f(`(module `+importSet+memory+request+`)`, "", "doesn't export handle_response")
	f(`(module `+importSet+memory+request+`(func (export "handle_response") (param i32)))`, "", "handle_response as (i:), but it is (ii:)")
	f(`(module `+memory+`)`, `abi = "http-wasm"`, "isn't an http-wasm plugin")
	f(`(module (import "http_handler" "next" (func))`+memory+request+response+`)`, "", "http_handler.next")
	f(`(module `+memory+request+response+`)`, "config_text = \"a\"\nconfig = { a = 1 }", "config_text")
	f(`(module `+memory+request+response+`)`, `function = "a"`, "function")
}

// compileWAT compiles a module in the text format.
func compileWAT(t testing.TB, text string) string {
	t.Helper()
	compiler, err := exec.LookPath("wat2wasm")
	if err != nil {
		t.Skip("no wat2wasm: sdk/toolchains.sh installs it")
	}
	source := filepath.Join(t.TempDir(), "guest.wat")
	if err := os.WriteFile(source, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	module := filepath.Join(filepath.Dir(source), "guest.wasm")
	if out, err := exec.Command(compiler, "-o", module, source).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s\n%s", err, out, text)
	}
	return module
}

// BenchmarkHTTPWasm is the whole step of a filter that sets a header and answers,
// and of one that sets one of the request and goes on; then the response.
func BenchmarkHTTPWasm(b *testing.B) {
	bench := func(name, module, path string, response bool) {
		b.Run(name, func(b *testing.B) {
			r, steps := filterSteps(b, newHost(b, Options{}), published(b, module, path), `timeout = "5s"`)
			ex := r.exchange("Accept", "*/*", "User-Agent", "curl/8.5.0", "Accept-Encoding", "gzip")
			ctx, in, fields := context.Background(), ex.In, slices.Clone(ex.In.Fields)
			b.ReportAllocs()
			for b.Loop() {
				ex.Begin(ex.Start, nil)
				fields := append(ex.In.Fields[:0], fields...)
				ex.Route, ex.In, ex.Method, ex.Path = r.route, in, "GET", "/pets/a"
				ex.In.Fields = fields
				if _, err := steps[proxy.MethodRequest].Run(ctx, ex); err != nil {
					b.Fatal(err)
				}
				if response {
					ex.Reply.Status = 200
					if _, err := steps[proxy.MethodResponse].Run(ctx, ex); err != nil {
						b.Fatal(err)
					}
				}
				ex.End()
			}
		})
	}
	const data = "internal/test/testdata/"
	bench("set_header", httpWasmHost, data+"bench/set_header_value.wasm", false)
	bench("set_header/TinyGo", httpWasmTinyGo, data+"bench/tinygo/set_header_value/main.wasm", false)
	bench("both", httpWasmHost, data+"e2e/header_value.wasm", true)
	bench("auth", httpWasmHost, "examples/auth.wasm", false)
}
