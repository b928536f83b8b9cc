package plugins

import (
	"slices"
	"strings"
	"time"

	"github.com/tetratelabs/wazero/api"

	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/http1"
	"github.com/postern-gateway/postern/sdk/abi"
)

// proxyWasmABI is the ABI of plugins for Envoy, Istio, Higress and others:
// proxy-wasm 0.2.1, 0.2.0 and 0.1.0. ABI.md says what of it there is.
// Source: github.com/proxy-wasm/spec, abi-versions; "Envoy:" marks what the
// specification leaves open and plugins expect because Envoy does it.
type proxyWasmABI struct{}

// The status that a proxy-wasm function returns: proxy_status_t.
type wasmStatus uint32

const (
	statusOK            wasmStatus = 0
	statusNotFound      wasmStatus = 1
	statusBadArgument   wasmStatus = 2
	statusParse         wasmStatus = 4
	statusMemory        wasmStatus = 6
	statusEmpty         wasmStatus = 7
	statusCASMismatch   wasmStatus = 8
	statusInternal      wasmStatus = 10
	statusUnimplemented wasmStatus = 12
)

// versionMarker begins the names of the exports that tell the version.
const versionMarker = "proxy_abi_version_"

// wasmVersions are the versions that run here, by their marker.
func wasmVersions() []string {
	return []string{versionMarker + "0_2_1", versionMarker + "0_2_0", versionMarker + "0_1_0"}
}

// rootContext is the number of the plugin's own context; streams have others.
const rootContext = 1

// proxyWasm is what an instance of a proxy-wasm module has of its own.
type proxyWasm struct {
	in      *instance
	on      wasmCallbacks
	ancient bool // version 0.1.0: a header that isn't there reads as empty
	edits   bool // it imports what changes content

	// The contexts of exchanges, by number. Only who holds the instance looks here.
	streams   map[uint32]*wasmStream
	spare     []*wasmStream
	leaving   []*wasmStream // are to be forgotten after the callback
	last      uint32        // the number given out last
	lingering int           // streams whose exchange is over but whose guest isn't done

	// The callback that runs.
	owner   *wasmFlow  // whose it is; nil for the plugin's own context
	flow    *wasmFlow  // whose view the guest has: the owner's, unless it named another
	context uint32     // the number of the context that it named last
	reply   *wasmReply // the answer that proxy_on_http_call_response is about

	period time.Duration // between two ticks; 0 for none
	due    int64         // the next tick, in the host's monotonic time; 0 for none
	tokens uint32        // the number of the last request of the guest's own
	sent   int           // requests of the plugin's own context that aren't answered yet

	allocating bool
	arguments  [5]uint64
	allocation [1]uint64
	list       http1.Fields // of pairs
	scratch    []byte
}

// wasmCallbacks are what the host calls in a module; nil for what it lacks.
type wasmCallbacks struct {
	allocate, create, done, log, delete             api.Function
	requestHeaders, requestBody, requestTrailers    api.Function
	responseHeaders, responseBody, responseTrailers api.Function
	tick, httpCallResponse, queueReady              api.Function

	requestEnds, responseEnds bool // …Headers are told whether there is content
}

// wasmExport is an export that the host calls.
type wasmExport struct {
	name       string
	signatures []string // parameters and results, any of these
	to         func(on *wasmCallbacks) *api.Function
}

func wasmExports() []wasmExport {
	headers := []string{"iii:i", "ii:i"} // 0.1.0 doesn't say whether there is content
	return []wasmExport{
		{"proxy_on_memory_allocate", []string{"i:i"}, func(on *wasmCallbacks) *api.Function { return &on.allocate }},
		{"malloc", []string{"i:i"}, func(on *wasmCallbacks) *api.Function { return &on.allocate }},
		{"proxy_on_context_create", []string{"ii:"}, func(on *wasmCallbacks) *api.Function { return &on.create }},
		{"proxy_on_done", []string{"i:i"}, func(on *wasmCallbacks) *api.Function { return &on.done }},
		{"proxy_on_log", []string{"i:"}, func(on *wasmCallbacks) *api.Function { return &on.log }},
		{"proxy_on_delete", []string{"i:"}, func(on *wasmCallbacks) *api.Function { return &on.delete }},
		{"proxy_on_request_headers", headers, func(on *wasmCallbacks) *api.Function { return &on.requestHeaders }},
		{"proxy_on_request_body", []string{"iii:i"}, func(on *wasmCallbacks) *api.Function { return &on.requestBody }},
		{"proxy_on_request_trailers", []string{"ii:i"}, func(on *wasmCallbacks) *api.Function { return &on.requestTrailers }},
		{"proxy_on_response_headers", headers, func(on *wasmCallbacks) *api.Function { return &on.responseHeaders }},
		{"proxy_on_response_body", []string{"iii:i"}, func(on *wasmCallbacks) *api.Function { return &on.responseBody }},
		{"proxy_on_response_trailers", []string{"ii:i"}, func(on *wasmCallbacks) *api.Function { return &on.responseTrailers }},
		{"proxy_on_tick", []string{"i:"}, func(on *wasmCallbacks) *api.Function { return &on.tick }},
		{"proxy_on_http_call_response", []string{"iiiii:"}, func(on *wasmCallbacks) *api.Function { return &on.httpCallResponse }},
		{"proxy_on_queue_ready", []string{"ii:"}, func(on *wasmCallbacks) *api.Function { return &on.queueReady }},
	}
}

// wasmStarts are the exports that are called once, and their signatures.
func wasmStarts() map[string]string {
	return map[string]string{
		abi.ExportInitialize: ":", abi.ExportStart: ":", "main": "ii:i",
		"proxy_on_vm_start": "ii:i", "proxy_on_configure": "ii:i",
	}
}

func (proxyWasmABI) name() string { return "proxy-wasm" }

func (proxyWasmABI) fresh() bool { return false }

// stateful: a stream's context lives in its instance.
func (proxyWasmABI) stateful() {}

// speaks looks for a marker of the version, or for imports that nobody else has.
func (proxyWasmABI) speaks(m *module) error {
	for name := range m.exports {
		if strings.HasPrefix(name, versionMarker) {
			return nil
		}
	}
	for _, f := range m.compiled.ImportedFunctions() {
		if from, name, _ := f.Import(); from == "env" && strings.HasPrefix(name, "proxy_") {
			return nil
		}
	}
	return refuse("a proxy-wasm plugin is built with one of its SDKs", "the module neither exports %s… nor imports env.proxy_…, so it isn't a proxy-wasm plugin", versionMarker)
}

func (proxyWasmABI) check(m *module) error {
	if !slices.ContainsFunc(wasmVersions(), func(marker string) bool { return m.exports[marker] != nil }) {
		var markers []string
		for name := range m.exports {
			if strings.HasPrefix(name, "proxy_abi_") {
				markers = append(markers, name)
			}
		}
		slices.Sort(markers)
		return refuse("build it for proxy-wasm 0.2.1", "the module exports none of %s, which tell its version of proxy-wasm, but %q",
			strings.Join(wasmVersions(), ", "), markers)
	}
	handles := false
	for _, e := range wasmExports() {
		f := m.exports[e.name]
		if f == nil {
			continue
		}
		got := letters(f.ParamTypes()) + ":" + letters(f.ResultTypes())
		if !slices.Contains(e.signatures, got) {
			return refuse("", "the module exports %s as (%s), but it is (%s)", e.name, got, e.signatures[0])
		}
		handles = handles || strings.HasPrefix(e.name, "proxy_on_re")
	}
	for name, want := range wasmStarts() {
		if f := m.exports[name]; f != nil && letters(f.ParamTypes())+":"+letters(f.ResultTypes()) != want {
			return refuse("", "the module exports %s with a signature that isn't (%s)", name, want)
		}
	}
	if !handles {
		return refuse("a plugin for TCP streams or for a background task can't run here",
			"the module has none of the callbacks for HTTP: proxy_on_request_headers, proxy_on_response_headers, …")
	}
	if m.exports["proxy_on_memory_allocate"] == nil && m.exports["malloc"] == nil {
		return refuse("export malloc", "the module exports neither proxy_on_memory_allocate nor malloc: nothing could be handed to it")
	}
	return nil
}

func (proxyWasmABI) checkOptions(config.Plugin) (option string, err error) { return "", nil }

// newProxyWasm makes what an instance of this ABI has. It is there before the
// module's own start function runs, which may call anything.
func newProxyWasm(in *instance) *proxyWasm {
	return &proxyWasm{in: in, streams: map[uint32]*wasmStream{}, context: rootContext, last: rootContext}
}

// start runs the module's start functions and makes the plugin's own context.
func (proxyWasmABI) start(in *instance) error {
	g := in.guestOfProxyWasm()
	exports := in.plugin.module.exports
	g.ancient = exports[wasmVersions()[0]] == nil && exports[wasmVersions()[1]] == nil
	for _, e := range wasmExports() {
		if f := e.to(&g.on); *f == nil && exports[e.name] != nil { // the first of two wins
			*f = in.module.ExportedFunction(e.name)
		}
	}
	wide := func(name string) bool { return exports[name] != nil && len(exports[name].ParamTypes()) == 3 }
	g.on.requestEnds, g.on.responseEnds = wide("proxy_on_request_headers"), wide("proxy_on_response_headers")
	g.edits = slices.ContainsFunc(in.plugin.module.compiled.ImportedFunctions(), func(f api.FunctionDefinition) bool {
		_, name, _ := f.Import()
		return name == "proxy_set_buffer_bytes"
	})
	if err := g.initialize(); err != nil {
		return err
	}
	if err := g.call(g.on.create, rootContext, 0); err != nil {
		return err
	}
	size := uint64(len(g.configuration()))
	for _, name := range []string{"proxy_on_vm_start", "proxy_on_configure"} {
		if exports[name] == nil {
			continue
		}
		if err := g.call(in.module.ExportedFunction(name), rootContext, size); err != nil {
			return err
		}
		if uint32(g.arguments[0]) == 0 {
			return refuse("what it says about it is in the log", "%s returned false: the plugin doesn't accept its configuration", name)
		}
	}
	return nil
}

// initialize runs _initialize and main, or _start.
func (g *proxyWasm) initialize() error {
	exports := g.in.plugin.module.exports
	err := g.in.initialize()
	if err != nil || exports[abi.ExportInitialize] == nil || exports["main"] == nil {
		return err
	}
	return g.call(g.in.module.ExportedFunction("main"), 0, 0)
}

// greet: what only looks at requests' header fields needs no step for responses.
// Streams begin with the request in any case.
func (proxyWasmABI) greet(in *instance) (roles uint32, err error) {
	on := &in.proxyWasm.on
	roles = abi.RoleRequest | abi.RoleAuthorize
	for _, f := range [...]api.Function{on.requestBody, on.requestTrailers, on.responseHeaders, on.responseBody, on.responseTrailers} {
		if f != nil {
			roles |= abi.RoleResponse // an answer from a request's content is told then, too
		}
	}
	return roles, nil
}

// configuration is what the guest gets as that of its machine and as its own;
// it reads the one that it knows of.
func (g *proxyWasm) configuration() string { return g.in.plugin.configuration() }

// call calls f, if the module has it; its result is then in arguments[0]. The
// error is a *failure.
func (g *proxyWasm) call(f api.Function, arguments ...uint64) error {
	g.arguments[0] = 0
	if f == nil {
		return nil
	}
	copy(g.arguments[:], arguments)
	g.in.calls++
	if err := f.CallWithStack(g.in, g.arguments[:]); err != nil {
		return g.in.judge(err)
	}
	return nil
}

// guestOfProxyWasm returns what the instance has of this ABI.
func (in *instance) guestOfProxyWasm() *proxyWasm {
	if in.proxyWasm == nil {
		in.proxyWasm = newProxyWasm(in)
	}
	return in.proxyWasm
}

// checkWasmOptions refuses options that only plugins of other ABIs have than a.
func checkWasmOptions(a guestABI, o config.Plugin) (option string, err error) {
	_, ours := a.(proxyWasmABI)
	_, texts := a.(httpWasmABI)
	_, functions := a.(extismABI)
	switch {
	case o.RootID != "" && !ours:
		return "root_id", refuse("leave it out", "only a proxy-wasm plugin has a root id")
	case o.ConfigText != "" && !ours && !texts:
		return "config_text", refuse("use config", "only a plugin of the ABI proxy-wasm or http-wasm reads its configuration as text")
	case o.Function != "" && !functions:
		return "function", refuse("leave it out", "only a plugin of the ABI extism is called by a name of its own")
	case o.Payload != "" && !functions:
		return "payload", refuse("leave it out", "only a plugin of the ABI extism may have the content alone")
	case o.ConfigText != "" && len(o.Config) > 0:
		return "config_text", refuse("leave one of them out", "there are both config and config_text")
	}
	return "", nil
}
