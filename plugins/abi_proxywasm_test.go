package plugins

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/http1"
)

// published returns a file of a Go module of others: from the module cache, or
// from a proxy that has it.
func published(t testing.TB, module, path string) string {
	t.Helper()
	cmd := exec.Command("go", "mod", "download", "-json", module)
	cmd.Dir = t.TempDir() // outside of our module, which needn't know of it
	out, err := cmd.Output()
	var got struct{ Dir string }
	if err != nil || json.Unmarshal(out, &got) != nil || got.Dir == "" {
		t.Skipf("the Go module %s isn't there: %v %s", module, err, out)
	}
	return filepath.Join(got.Dir, filepath.FromSlash(path))
}

// sdkGuest builds the test plugin that uses proxy-wasm's Go SDK.
func sdkGuest(t testing.TB) string {
	t.Helper()
	file := filepath.Join(built.dir, "proxywasm.wasm")
	if _, err := os.Stat(file); err == nil {
		return file
	}
	cmd := exec.Command("go", "build", "-trimpath", "-buildmode=c-shared", "-o", file, ".")
	cmd.Dir, cmd.Env = "../testdata/wasm/proxywasm", append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return file
}

// rawGuest builds the test plugin that uses none.
func rawGuest(t testing.TB) string {
	t.Helper()
	return compileC(t, "../testdata/wasm/proxywasm/raw.c")
}

// compileC compiles a guest in C that uses no SDK.
func compileC(t testing.TB, source string) string {
	t.Helper()
	compiler, err := exec.LookPath("clang-19")
	if err != nil {
		t.Skip("no clang-19: sdk/toolchains.sh installs it")
	}
	file := filepath.Join(t.TempDir(), "raw.wasm")
	cmd := exec.Command(compiler, "--target=wasm32", "-O2", "-nostdlib", "-std=c11", "-mbulk-memory", "-fno-builtin",
		"-Wl,--no-entry,-z,stack-size=65536,--stack-first", "-o", file, source)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return file
}

// wasmRig is a proxy-wasm filter and what it says.
type wasmRig struct {
	*rig
	host *Host
	logs *observer.ObservedLogs
}

func newWasmRig(t testing.TB, module string, options ...string) *wasmRig {
	t.Helper()
	core, logs := observer.New(zapcore.DebugLevel)
	h := newHost(t, Options{Logger: zap.New(core)})
	g := begin(t, h, pluginTOML(module, options...))
	w := &wasmRig{newRig(t), h, logs}
	steps, err := g.Kinds()[2].New(w.build(), proxy.Options{Plugin: "p"})
	if err != nil {
		t.Fatal(err)
	}
	w.steps = steps
	return w
}

// request runs the filter for a request with content, if it isn't "".
func (w *wasmRig) request(content string, headers ...string) (*proxy.Exchange, proxy.Verdict, error) {
	ex := w.exchange(headers...)
	if content != "" {
		ex.Method, ex.In.Method, ex.In.Content = "POST", "POST", []byte(content)
	}
	verdict, err := w.steps[proxy.MethodRequest].Run(context.Background(), ex)
	return ex, verdict, err
}

// response runs the filter for a response of 200 with content.
func (w *wasmRig) response(ex *proxy.Exchange, content string) error {
	ex.Reply = proxy.Response{Status: 200, Content: []byte(content), Length: int64(len(content)), Fields: ex.Reply.Fields[:0]}
	_, err := w.steps[proxy.MethodResponse].Run(context.Background(), ex)
	return err
}

// said lists what the guest has logged since.
func (w *wasmRig) said() string {
	var b strings.Builder
	for _, e := range w.logs.TakeAll() {
		if text, ok := e.ContextMap()["text"].(string); ok {
			fmt.Fprintf(&b, "%s %s\n", e.Level, text)
		}
	}
	return b.String()
}

const (
	mosn     = "mosn.io/mosn@v1.2.0"
	mosnHost = "mosn.io/proxy-wasm-go-host@v0.2.0"
	mosnData = "pkg/filter/stream/proxywasm/data/"
)

// Plugins that others have built for other gateways run as they are.
func TestPublishedProxyWasm(t *testing.T) {
	f := func(name, module, path string, want func(t *testing.T, w *wasmRig)) {
		t.Run(name, func(t *testing.T) {
			want(t, newWasmRig(t, published(t, module, path), `config = { k = "v" }`))
		})
	}
	says := func(t *testing.T, said string, want ...string) {
		t.Helper()
		for _, line := range want {
			if !strings.Contains(said, line+"\n") {
				t.Errorf("it didn't say %q, but\n%s", line, said)
			}
		}
	}
	// Both directions of one exchange.
	both := func(t *testing.T, w *wasmRig) *proxy.Exchange {
		t.Helper()
		ex, verdict, err := w.request("a question", "X-A", "b")
		if err != nil || verdict != proxy.Continue {
			t.Fatal(verdict, err)
		}
		if err := w.response(ex, "an answer"); err != nil {
			t.Fatal(err)
		}
		ex.End()
		return ex
	}
	f("TinyGo, 0.1.0", mosn, "etc/wasm/filter.wasm", func(t *testing.T, w *wasmRig) {
		ex := both(t, w)
		if got := ex.In.Fields.Get("go-wasm-header"); got != "hello wasm" {
			t.Errorf("go-wasm-header is %q", got)
		}
		says(t, w.said(), "info request header from go wasm --> x-a: b", "info request header from go wasm --> :method: POST",
			"info proxywasm.GetHttpRequestBody [a question]")
	})
	f("TinyGo, edits", mosn, mosnData+"test-go.wasm", func(t *testing.T, w *wasmRig) {
		ex := both(t, w)
		if got := ex.In.Fields.Get("requestHeaderKey3"); got != "newValue" {
			t.Errorf("requestHeaderKey3 is %q", got)
		}
		says(t, w.said(), `info plugin config: {"k":"v"}`, "info request header from go wasm --> requestheaderkey3: newValue")
	})
	f("C++", mosn, mosnData+"test-c.wasm", func(t *testing.T, w *wasmRig) {
		both(t, w)
		says(t, w.said(), "warn [myproject.cc:32]::onCreate() onCreate 2", "info [myproject.cc:40]::onRequestHeaders() x-a -> b",
			"error [myproject.cc:47]::onRequestBody() onRequestBody a question", "warn [myproject.cc:51]::onDone() onDone 2",
			"warn [myproject.cc:53]::onLog() onLog 2", "warn [myproject.cc:55]::onDelete() onDelete 2")
	})
	f("C++, Emscripten", mosnHost, "example/data/http.wasm", func(t *testing.T, w *wasmRig) {
		both(t, w)
		says(t, w.said(), "info [http_wasm_example.cc:38]::onRequestHeaders() print from wasm, x-a -> b")
	})
	f("traps", mosn, "pkg/wasm/runtime/wasmer/testdata/data.wasm", func(t *testing.T, w *wasmRig) {
		ex, _, err := w.request("a question")
		wantFault(t, err, proxy.PluginFailure)
		if err := w.response(ex, "an answer"); err != nil {
			t.Errorf("the response of an exchange that has failed already: %v", err)
		}
		ex.End()
		// Only content makes it panic.
		if ex, _, err := w.request(""); err != nil || w.response(ex, "") != nil {
			t.Errorf("the next request: %v", err)
		}
		if s := stats(t, w.host); s.Traps != 1 || s.Started != 2 {
			t.Errorf("%d traps, %d instances; want 1 and 2", s.Traps, s.Started)
		}
	})
	t.Run("calls", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:22164") // the plugin has no other in it
		if err != nil {
			t.Skip(err)
		}
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, r.URL, " ", r.Header.Get("x-a"))
		}))
		_ = server.Listener.Close()
		server.Listener = l
		server.Start()
		defer server.Close()
		w := newWasmRig(t, published(t, mosn, mosnData+"httpCall.wasm"), `http = { allow = ["http://127.0.0.1:22164"], private = true, timeout = "1m" }`)
		both(t, w)
		const want = "httpCallResponseCallback response body: /haha?name=wasm b\n"
		said := w.said()
		for deadline := time.Now().Add(time.Minute); !strings.Contains(said, want) && time.Now().Before(deadline); said += w.said() {
			time.Sleep(time.Millisecond)
		}
		says(t, said, "info "+strings.TrimSpace(want))
	})
	t.Run("for another purpose", func(t *testing.T) {
		h := newHost(t, Options{})
		g, findings := h.Begin(context.Background(), parse(t, pluginTOML(published(t, mosn, "etc/wasm/bolt-go.wasm"))))
		g.Discard()
		if text := findings.Text(); !strings.Contains(text, "proxy_abi_mosn_version_0_2_0") {
			t.Error(text)
		}
	})
}

// A guest that does what it mustn't costs itself a status, or its call.
func TestRogueProxyWasm(t *testing.T) {
	w := newWasmRig(t, rawGuest(t))
	status := func(do, want string) {
		t.Helper()
		ex, _, err := w.request("", "do", do)
		if err != nil {
			t.Errorf("%s: %v", do, err)
		}
		if got := ex.In.Fields.Get("status"); got != want {
			t.Errorf("%s: status %q, want %q", do, got, want)
		}
		ex.End()
	}
	fails := func(do, what string) {
		t.Helper()
		started := stats(t, w.host).Started
		ex, _, err := w.request("", "do", do)
		wantFault(t, err, proxy.PluginFailure)
		if got := ex.Notes.PluginFailure; got != what {
			t.Errorf("%s: %q, want %q", do, got, what)
		}
		ex.End()
		status("pointers", "00") // the next request finds a new instance
		if now := stats(t, w.host).Started; now != started+1 {
			t.Errorf("%s: %d instances were started, want 1", do, now-started)
		}
	}
	status("pointers", "00")
	status("maps", "00")
	status("values that aren't there", "00")
	status("header fields", "00")
	status("nothing from the allocator", "06")
	status("outside of the memory", "06")
	fails("allocator that asks", "trap")
	fails("trap in the allocator", "trap")
	fails("x is no action", "answer")
	fails("quit", "fail")

	ex, _, err := w.request("0123456789", "do", "write")
	if got := string(ex.In.Content); err != nil || got != "--3!" {
		t.Errorf("content is %q, %v", got, err)
	}
	ex.End()
}

// A stream that isn't done when its exchange is over lives until it says so.
func TestLingeringStream(t *testing.T) {
	w := newWasmRig(t, rawGuest(t), "max_instances = 1")
	run := func(do string) *proxy.Exchange {
		t.Helper()
		ex, _, err := w.request("", "do", do)
		if err != nil {
			t.Fatal(err)
		}
		ex.End()
		return ex
	}
	run("linger")
	if said := w.said(); said != "" {
		t.Errorf("it said %q before it was done", said)
	}
	if ex := run("done"); ex.In.Fields.Get("status") != "00" {
		t.Errorf("proxy_done: %q", ex.In.Fields.Get("status"))
	}
	if said := w.said(); said != "info logged\ninfo deleted\n" {
		t.Errorf("it said %q when it was done", said)
	}
	for range 2 * maxLingering {
		run("linger")
	}
	for _, in := range w.bound().all {
		if n := len(in.proxyWasm.streams); n > maxLingering {
			t.Errorf("%d streams linger, at most %d may", n, maxLingering)
		}
	}
}

func (w *wasmRig) bound() *boundPool {
	w.host.mu.Lock()
	defer w.host.mu.Unlock()
	for _, p := range w.host.plugins {
		return p.bound
	}
	return nil
}

// pieces gives them one at a time.
type pieces struct {
	rest     []string
	trailers http1.Fields
	fails    error
}

func (b *pieces) Read(p []byte) (int, error) {
	if len(b.rest) == 0 {
		if b.fails != nil {
			return 0, b.fails
		}
		return 0, io.EOF
	}
	n := copy(p, b.rest[0])
	if b.rest[0] = b.rest[0][n:]; b.rest[0] == "" {
		b.rest = b.rest[1:]
	}
	return n, nil
}

func (b *pieces) Trailers() http1.Fields { return b.trailers }

// Content that streams is shown piece by piece, and changed on its way.
func TestProxyWasmStreams(t *testing.T) {
	w := newWasmRig(t, sdkGuest(t), "max_instances = 1")
	f := func(do string, body *pieces, want, trailers string) {
		t.Helper()
		ex, _, err := w.request("", "x-do", do)
		if err != nil {
			t.Fatal(err)
		}
		ex.Reply = proxy.Response{Status: 200, Body: body, Length: http1.Unknown}
		if _, err := w.steps[proxy.MethodResponse].Run(context.Background(), ex); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(ex.Reply.Body)
		if string(got) != want || err != nil && !errors.Is(err, body.fails) {
			t.Errorf("%s: %q, %v; want %q", do, got, err, want)
		}
		if got := fmt.Sprint(ex.Reply.Body.Trailers()); !strings.Contains(got, trailers) {
			t.Errorf("%s: trailers %s, want %s", do, got, trailers)
		}
		ex.End()
	}
	f("reply-chunks", &pieces{rest: []string{"ab", "c"}}, "[ab][c]", "")
	f("reply-whole", &pieces{rest: []string{"ab", "c"}}, "<ABC>", "")
	f("memory", &pieces{rest: []string{"ab", "c"}}, "abc", "")
	f("trailers", &pieces{rest: []string{"ab"}, trailers: http1.Fields{http1.NewField("Sum", "1")}}, "ab", "x-trailer added")
	f("reply-chunks", &pieces{rest: []string{"ab"}, fails: io.ErrUnexpectedEOF}, "[ab]", "")
	if s := stats(t, w.host); s.Traps != 0 || s.Started != 1 {
		t.Errorf("%+v: content that broke off isn't the guest's fault", s)
	}
}

// stuck is content that doesn't come until somebody gives up.
type stuck struct {
	pieces
	gone chan struct{}
}

func (b *stuck) Read(p []byte) (int, error) {
	if n, err := b.pieces.Read(p); err == nil {
		return n, nil
	}
	<-b.gone
	return 0, io.ErrUnexpectedEOF
}

func (b *stuck) Abort() { close(b.gone) }

// Who sends content to a backend can stop waiting for it, whether the client or the
// guest keeps it back.
func TestProxyWasmAbort(t *testing.T) {
	w := newWasmRig(t, sdkGuest(t))
	f := func(do string, body proxy.Body) {
		t.Helper()
		ex := w.exchange("x-do", do)
		ex.In.Method, ex.In.Whole, ex.In.Body, ex.In.Length = "POST", false, body, http1.Unknown
		if _, err := w.steps[proxy.MethodRequest].Run(context.Background(), ex); err != nil {
			t.Fatal(err)
		}
		read := make(chan error)
		go func() {
			_, err := io.ReadAll(ex.In.Body)
			read <- err
		}()
		ex.In.Body.(interface{ Abort() }).Abort()
		if err := <-read; err == nil {
			t.Errorf("%s: no error", do)
		}
		ex.End()
	}
	f("memory", &stuck{pieces{rest: []string{"a"}}, make(chan struct{})})
	f("hold", &pieces{rest: []string{"a", "b"}})
}

// What a guest has kept while content is on its way isn't in the memory of the exchange,
// with which somebody else is at work.
func TestProxyWasmKeepsToItself(t *testing.T) {
	w := newWasmRig(t, sdkGuest(t))
	for _, do := range []string{"remember", "stop"} {
		ex := w.exchange("x-do", do)
		ex.In.Method, ex.In.Whole, ex.In.Body, ex.In.Length = "POST", false, &pieces{rest: []string{"a", "b"}}, http1.Unknown
		if _, err := w.steps[proxy.MethodRequest].Run(context.Background(), ex); err != nil {
			t.Fatal(err)
		}
		const field = "X-Api-Id: a1b2c3"
		text := append(ex.Text.Begin(), field...)
		if _, err := io.ReadAll(ex.In.Body); err != nil && !errors.Is(err, proxy.Fault{Kind: proxy.AccessDenied}) {
			t.Fatal(err)
		}
		if got := ex.Text.Finish(text); got != field {
			t.Errorf("%s: %q has become %q", do, field, got)
		}
		ex.End()
	}
}

// A tick lets go of requests that wait for it, whatever they ask with.
func TestProxyWasmTick(t *testing.T) {
	w := newWasmRig(t, sdkGuest(t), `config_text = "tick"`, "max_instances = 1")
	var all sync.WaitGroup
	for range 5 {
		all.Go(func() {
			for _, content := range []string{"", "question"} {
				ex, verdict, err := w.request(content, "x-do", "postpone")
				if err != nil || verdict != proxy.Continue || ex.In.Fields.Get("x-resumed") != "by a tick" {
					t.Errorf("%v, %v, %v", verdict, err, ex.In.Fields)
				}
				ex.End()
			}
		})
	}
	all.Wait()
	if said := w.said(); strings.Contains(said, "error") {
		t.Error(said)
	}
}

// A new item in a queue calls somebody who takes it.
func TestProxyWasmQueue(t *testing.T) {
	w := newWasmRig(t, sdkGuest(t))
	ex, _, err := w.request("", "x-do", "enqueue")
	if err == nil {
		err = w.response(ex, "")
	}
	if err != nil {
		t.Fatal(err)
	}
	ex.End()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if strings.Contains(w.said(), "info queue 1: job <nil>\n") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("nobody took the item")
		}
	}
}

// A request of the guest's own: the exchange waits for its answer without holding
// the instance, and gets what the guest makes of it.
func TestProxyWasmCalls(t *testing.T) {
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		content, _ := io.ReadAll(r.Body)
		if string(content) != "question" || r.URL.String() != "/check?x=1" || r.Header.Get("X-Asked-By") != "guest" || r.Method != "POST" {
			w.WriteHeader(400)
		}
		fmt.Fprint(w, "yes")
	}))
	defer server.Close()
	address := strings.TrimPrefix(server.URL, "http://")
	rules := fmt.Sprintf("http = { allow = [%q, \"http://127.0.0.1:1\"], private = true, timeout = \"1m\" }", server.URL)
	w := newWasmRig(t, sdkGuest(t), rules, "max_instances = 1")
	var all sync.WaitGroup
	for range 5 {
		all.Go(func() {
			for _, upstream := range []string{address, server.URL, "127.0.0.1", "outbound|" + address[strings.IndexByte(address, ':')+1:] + "||127.0.0.1"} {
				ex, verdict, err := w.request("content", "x-do", "call="+upstream)
				if err != nil || verdict != proxy.Continue || ex.In.Fields.Get("x-answer") != "yes" {
					t.Errorf("%s: %v, %v, %v, %s", upstream, verdict, err, ex.In.Fields, ex.Reply.Content)
				}
				if ex.Notes.PluginRequests != 1 || ex.Notes.PluginWaiting == 0 {
					t.Errorf("%d requests, waited %v", ex.Notes.PluginRequests, ex.Notes.PluginWaiting)
				}
				ex.End()
			}
		})
	}
	all.Wait()
	answers := func(upstream string, status int, content string) {
		t.Helper()
		ex, verdict, err := w.request("", "x-do", "call="+upstream)
		if err != nil || verdict != proxy.Answered || ex.Reply.Status != status || !strings.Contains(string(ex.Reply.Content), content) {
			t.Errorf("%s: %v, %v, %d %s", upstream, verdict, err, ex.Reply.Status, ex.Reply.Content)
		}
		ex.End()
	}
	answers("127.0.0.1:1", 503, "no answer") // nobody listens there
	before := asked.Load()
	answers("10.0.0.1", 500, "bad argument") // it isn't allowed
	answers("localhost", 500, "bad argument")
	if now := asked.Load(); now != before {
		t.Errorf("%d requests went out all the same", now-before)
	}
	if s := stats(t, w.host); s.Traps != 0 || s.Started != 1 {
		t.Errorf("%+v", s)
	}
	costs := stats(t, w.host).Costs
	if len(costs) != 1 || costs[0].Requests != 21 || costs[0].Rejected != 1 {
		t.Errorf("%+v, want 21 requests, 1 of them without an answer", costs)
	}
}

// Without a grant there is no request, and the log says what to add.
func TestProxyWasmMayNotCall(t *testing.T) {
	w := newWasmRig(t, sdkGuest(t))
	ex, _, err := w.request("", "x-do", "call=example.com")
	if err != nil || ex.Reply.Status != 500 || !strings.Contains(w.said(), "http = { allow") {
		t.Errorf("%v, %d", err, ex.Reply.Status)
	}
	ex.End()
}

// The plugin's metrics are on the metrics page if they may.
func TestProxyWasmMetrics(t *testing.T) {
	w := newWasmRig(t, sdkGuest(t), "metrics = true")
	for range 3 {
		ex, _, err := w.request("", "x-do", "memory")
		if err != nil {
			t.Fatal(err)
		}
		ex.End()
	}
	all := stats(t, w.host).Metrics
	if len(all) != 1 || all[0].Name != "guest_requests" || all[0].Value != 3 {
		t.Errorf("%+v", all)
	}
	f := func(name, want string) {
		t.Helper()
		if got := shownName(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
	f("waf_filter.tx.total", "waf_filter_tx")
	f("route.upstream.default.value.x_count", "route_upstream_default_value_x")
	f("5xx", "_xx")
}

// Streams that share an instance don't mix, find it again, and end with it.
func TestProxyWasmSharesInstances(t *testing.T) {
	w := newWasmRig(t, sdkGuest(t), "max_instances = 2")
	var waiting []*proxy.Exchange
	for i := range 10 { // all wait for their backends at once
		ex, _, err := w.request("", "x-do", "memory", fmt.Sprint("x-", i), "1")
		if err != nil {
			t.Fatal(err)
		}
		waiting = append(waiting, ex)
	}
	if s := stats(t, w.host); s.Instances != 2 {
		t.Errorf("%d instances, want 2", s.Instances)
	}
	slices.Reverse(waiting)
	for _, ex := range waiting[:6] {
		if err := w.response(ex, "x"); err != nil {
			t.Error(err)
		}
		ex.End()
	}
	// A trap takes those with it that its instance remembers, and nobody else.
	if _, _, err := w.request("", "x-do", "panic"); err == nil {
		t.Error("no failure")
	}
	lost := 0
	for _, ex := range waiting[6:] {
		if err := w.response(ex, "x"); err != nil {
			wantFault(t, err, proxy.PluginFailure)
			if ex.Notes.PluginFailure != "lost" {
				t.Errorf("failure %q", ex.Notes.PluginFailure)
			}
			lost++
		}
		ex.End()
	}
	if lost == 0 || lost == 4 {
		t.Errorf("%d of 4 were lost", lost)
	}
	// An instance of its own for each, as long as there are enough.
	for i := range 3 {
		ex, _, err := w.request("", "x-do", "memory")
		if err != nil || w.response(ex, "x") != nil {
			t.Error(i, err)
		}
		ex.End()
	}
}

// Many exchanges at once over few instances, with traps among them.
func TestProxyWasmUnderLoad(t *testing.T) {
	w := newWasmRig(t, sdkGuest(t), "max_instances = 3", `config_text = "tick"`)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 40 {
				do := []string{"memory headers", "state shared", "whole reply-whole", "deny", "postpone"}[(i+j)%5]
				ex, verdict, err := w.request("content", "x-do", do)
				if err == nil && verdict == proxy.Continue {
					err = w.response(ex, "answer")
				}
				switch {
				case err != nil:
					t.Errorf("%s: %v", do, err)
				case do == "whole reply-whole" && (string(ex.In.Content) != "<CONTENT>" || string(ex.Reply.Content) != "<ANSWER>"):
					t.Errorf("%q, %q", ex.In.Content, ex.Reply.Content)
				}
				ex.End()
			}
		})
	}
	all.Wait()
	if s := stats(t, w.host); s.Instances > 3 {
		t.Errorf("%d instances", s.Instances)
	}
}

// With on_error = "continue" an exchange goes on without its plugin, unless the
// guest has taken content that can't be given back.
func TestProxyWasmOptional(t *testing.T) {
	w := newWasmRig(t, sdkGuest(t), `on_error = "continue"`)
	ex, _, err := w.request("", "x-do", "panic")
	if err != nil || w.response(ex, "x") != nil || string(ex.Reply.Content) != "x" {
		t.Errorf("%v, %q", err, ex.Reply.Content)
	}
	ex.End()

	ex = w.exchange("x-do", "after-body end-panic")
	ex.In.Method, ex.In.Whole, ex.In.Body, ex.In.Length = "POST", false, &pieces{rest: []string{"a", "b"}}, http1.Unknown
	_, err = w.steps[proxy.MethodRequest].Run(context.Background(), ex)
	wantFault(t, err, proxy.PluginFailure)
	ex.End()

	// A client that breaks off isn't the guest's failure.
	ex = w.exchange("x-do", "after-body")
	fault := proxy.Fault{Kind: proxy.BadRequest}
	ex.In.Method, ex.In.Whole, ex.In.Body, ex.In.Length = "POST", false, &pieces{rest: []string{"a"}, fails: fault}, http1.Unknown
	traps := stats(t, w.host).Traps
	_, err = w.steps[proxy.MethodRequest].Run(context.Background(), ex)
	wantFault(t, err, proxy.BadRequest)
	if s := stats(t, w.host); s.Traps != traps || ex.Notes.PluginFailure != "" {
		t.Errorf("%d traps, %q", s.Traps-traps, ex.Notes.PluginFailure)
	}
	ex.End()
}

// What maps look like in memory, both ways.
func FuzzWasmPairs(f *testing.F) {
	f.Add([]byte("\x02\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00a\x001\x00b\x0022\x00"))
	f.Add([]byte{})
	f.Add([]byte{0})
	f.Fuzz(func(t *testing.T, b []byte) {
		all, ok := readPairs(b)
		if !ok {
			return
		}
		var fields http1.Fields
		for name, value, more := all.next(); more; name, value, more = all.next() {
			fields = append(fields, http1.Field{Name: strings.ToLower(name), Value: value})
		}
		again := make([]byte, pairsSize(fields))
		writePairs(again, fields)
		all, ok = readPairs(again)
		for i := range fields {
			name, value, more := all.next()
			if !ok || !more || strings.ToLower(name) != fields[i].Name || value != fields[i].Value {
				t.Fatalf("%d: %q %q is not %v", i, name, value, fields[i])
			}
		}
		if len(all.lengths) > 0 {
			t.Errorf("%d bytes of lengths are left", len(all.lengths))
		}
	})
}

// wasmRun returns a function that takes an exchange through a filter: request,
// response, and the end.
func wasmRun(t testing.TB, w *wasmRig, headers ...string) func() {
	ex, ctx := w.exchange(append([]string{"Accept", "*/*", "User-Agent", "curl/8.5.0"}, headers...)...), context.Background()
	in, given := ex.In, slices.Clone(ex.In.Fields)
	return func() {
		ex.Begin(ex.Start, nil)
		fields := append(ex.In.Fields[:0], given...)
		ex.Route, ex.In = w.route, in
		ex.In.Fields = fields
		if _, err := w.steps[proxy.MethodRequest].Run(ctx, ex); err != nil {
			t.Fatal(err)
		}
		ex.Reply.Status = 200
		if _, err := w.steps[proxy.MethodResponse].Run(ctx, ex); err != nil {
			t.Fatal(err)
		}
		ex.End()
	}
}

// BenchmarkProxyWasm is a whole exchange of a filter that reads one header and
// sets one: context, callbacks of request and response, done, log, delete.
func BenchmarkProxyWasm(b *testing.B) {
	f := func(name string, w *wasmRig, headers ...string) {
		b.Run(name, func(b *testing.B) {
			run := wasmRun(b, w, headers...)
			b.ReportAllocs()
			for b.Loop() {
				run()
			}
		})
	}
	f("c", newWasmRig(b, rawGuest(b)), "do", "copy")
	f("go", newWasmRig(b, sdkGuest(b)), "x-do", "memory")
}

func TestProxyWasmAllocatesNothing(t *testing.T) {
	run := wasmRun(t, newWasmRig(t, rawGuest(t)), "do", "copy")
	for range 100 {
		run()
	}
	if n := testing.AllocsPerRun(500, run); n != 0 {
		t.Errorf("%v allocations an exchange, want 0", n)
	}
}
