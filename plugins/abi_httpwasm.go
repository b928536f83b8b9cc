package plugins

import (
	"slices"

	"github.com/tetratelabs/wazero/api"

	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/config"
	"github.com/postern-gateway/postern/proxy/http1"
	"github.com/postern-gateway/postern/sdk/abi"
)

// httpWasmABI is the HTTP handler ABI of http-wasm, the one of plugins for Traefik
// and Dapr. ABI.md says what of it there is.
// Source: http-wasm.io, "HTTP Handler ABI"; "net/http:" marks what that leaves
// open and plugins expect because its Go host does it.
type httpWasmABI struct{}

const (
	httpWasmModule       = "http_handler"
	exportHandleRequest  = "handle_request"
	exportHandleResponse = "handle_response"
)

// Features that a guest may ask for.
const (
	featureBufferRequest  = 1
	featureBufferResponse = 2
	// Not feature_trailers, 4: trailer fields pass without being seen.
	featuresProvided = featureBufferRequest | featureBufferResponse
)

// httpWasm is what an instance of an http-wasm module has of its own.
type httpWasm struct {
	handleRequest  api.Function
	handleResponse api.Function
	features       uint32 // asked for at the start
	enabled        uint32 // and in this call
	arguments      [2]uint64
	spare          []*httpWasmFlow
}

// httpWasmFlow is what is to be remembered about an exchange from handle_request
// to handle_response, when no instance waits.
type httpWasmFlow struct {
	context uint32        // the guest's number for the exchange; 0 for none
	enabled uint32        // features
	fields  http1.Fields  // of the response, as handle_request has set them
	content []byte        // that handle_request has written ahead of the response's
	in      *instance     // that remembers context; nil for any
	begun   bool          // handle_response was called
	next    *httpWasmFlow // of a filter that stands before in the same route
}

// maxSpareFlows is how many flows an instance keeps for later.
const maxSpareFlows = 16

// flowKey is a plugin as the key of its flows in an exchange.
type flowKey plugin

func (httpWasmABI) name() string { return "http-wasm" }

func (httpWasmABI) fresh() bool { return false }

// shares: plugins count, cache and, by the number that handle_request returns,
// keep what they know of a request for its response.
func (httpWasmABI) shares() {}

// speaks looks for imports that nobody else has, or for both exports.
func (httpWasmABI) speaks(m *module) error {
	if m.importsFrom(httpWasmModule) || m.exports[exportHandleRequest] != nil && m.exports[exportHandleResponse] != nil {
		return nil
	}
	return refuse("an http-wasm plugin is built with one of its SDKs",
		"the module neither imports from %s nor exports %s and %s, so it isn't an http-wasm plugin", httpWasmModule, exportHandleRequest, exportHandleResponse)
}

func (httpWasmABI) check(m *module) error {
	for name, want := range map[string]string{exportHandleRequest: ":I", exportHandleResponse: "ii:"} {
		if err := m.mustExport(name, want); err != nil {
			return err
		}
	}
	for _, name := range []string{abi.ExportInitialize, abi.ExportStart} {
		if err := m.checkSignature(name, ""); err != nil {
			return err
		}
	}
	return nil
}

func (httpWasmABI) checkOptions(config.Plugin) (option string, err error) { return "", nil }

// guestOfHTTPWasm returns what the instance has of this ABI. It is there before
// the module's own start function runs, which may ask for features.
func (in *instance) guestOfHTTPWasm() *httpWasm {
	if in.httpWasm == nil {
		in.httpWasm = &httpWasm{}
	}
	return in.httpWasm
}

func (httpWasmABI) start(in *instance) error {
	g := in.guestOfHTTPWasm()
	g.handleRequest = in.module.ExportedFunction(exportHandleRequest)
	g.handleResponse = in.module.ExportedFunction(exportHandleResponse)
	return in.initialize()
}

func (httpWasmABI) greet(*instance) (roles uint32, err error) {
	return abi.RoleRequest | abi.RoleResponse, nil
}

// bodies: a guest that imports read_body may read any request; of a response it
// has to say that it wants to.
func (httpWasmABI) bodies(in *instance) (request, response bool) {
	reads := slices.ContainsFunc(in.plugin.module.compiled.ImportedFunctions(), func(f api.FunctionDefinition) bool {
		from, name, _ := f.Import()
		return from == httpWasmModule && name == "read_body"
	})
	return reads, reads && in.guestOfHTTPWasm().features&featureBufferResponse != 0
}

// asked: a guest may also say so about one exchange, or write ahead of it.
func (httpWasmABI) asked(p *plugin, ex *proxy.Exchange) bool {
	f := httpWasmFlowOf(p, ex)
	return f != nil && (f.enabled&featureBufferResponse != 0 || len(f.content) > 0)
}

// httpWasmFlowOf returns the latest flow of p in ex whose response hasn't begun.
// Who filters last on the way in filters first on the way out.
func httpWasmFlowOf(p *plugin, ex *proxy.Exchange) *httpWasmFlow {
	f, _ := ex.Kept((*flowKey)(p)).(*httpWasmFlow)
	for f != nil && f.begun {
		f = f.next
	}
	return f
}

// boundTo: handle_response is for who went on with the request.
func (httpWasmABI) boundTo(p *plugin, ex *proxy.Exchange) (in *instance, sees bool) {
	f := httpWasmFlowOf(p, ex)
	if f == nil {
		return nil, false
	}
	return f.in, true
}

// request runs handle_request. The lower half of what it returns is 1 to go on,
// the upper half a number for handle_response.
func (httpWasmABI) request(in *instance) (verdict int32, err error) {
	g := in.guestOfHTTPWasm()
	g.enabled = g.features
	if err := in.run(g.handleRequest); err != nil {
		return 0, err
	}
	result := in.stack[0]
	if uint32(result) != 1 {
		return abi.Answer, nil
	}
	f := g.newFlow()
	f.context, f.enabled = uint32(result>>32), g.enabled
	if in.draft.changes&(changedFields<<responseSide) != 0 {
		f.fields = append(f.fields[:0], in.draft.fields[responseSide]...)
	}
	f.content = in.draft.content[responseSide]
	f.next, _ = in.ex.Kept((*flowKey)(in.plugin)).(*httpWasmFlow)
	in.ex.Keep((*flowKey)(in.plugin), f)
	if pool := in.plugin.bound; pool != nil && f.context != 0 {
		f.in = in
		pool.remember(in)
		in.ex.OnDone(f.forget)
	}
	return abi.Continue, nil
}

func (g *httpWasm) newFlow() *httpWasmFlow {
	if n := len(g.spare); n > 0 {
		f := g.spare[n-1]
		g.spare = g.spare[:n-1]
		return f
	}
	return &httpWasmFlow{}
}

// forget tells the pool that the instance needn't remember the exchange any more.
func (f *httpWasmFlow) forget() { f.in.plugin.bound.forget(f.in) }

// response runs handle_response, with the number that handle_request has returned
// and with 1 when the answer is the gateway's own.
func (httpWasmABI) response(in *instance) error {
	f := httpWasmFlowOf(in.plugin, in.ex)
	if f == nil {
		return nil
	}
	f.begun = true
	g := in.guestOfHTTPWasm()
	g.enabled = f.enabled
	in.addEarlier(f)
	g.arguments = [2]uint64{uint64(f.context)}
	if in.ex.Fault != nil {
		g.arguments[1] = 1
	}
	in.calls++
	if err := g.handleResponse.CallWithStack(in, g.arguments[:]); err != nil {
		return in.judge(err)
	}
	if f.in == nil && f.next == nil && len(g.spare) < maxSpareFlows {
		in.ex.Keep((*flowKey)(in.plugin), nil)
		clear(f.fields)
		*f = httpWasmFlow{fields: f.fields[:0]}
		g.spare = append(g.spare, f)
	}
	return nil
}

// addEarlier adds to a response what handle_request has said of it. net/http: fields
// that come later have the last word, content comes after what was there.
func (in *instance) addEarlier(f *httpWasmFlow) {
	reply := &in.ex.Reply
	if len(f.content) > 0 && reply.Status != 101 && !withoutContent(reply.Status) && in.ex.In.Method != "HEAD" {
		reply.Content = slices.Concat(f.content, reply.Content)
		reply.Length = int64(len(reply.Content))
	}
	for i := range f.fields {
		earlier := &f.fields[i]
		if !slices.ContainsFunc(reply.Fields, func(o http1.Field) bool { return sameName(o.Name, earlier.Name) }) {
			in.addField(responseSide, earlier.Name, earlier.Value) // one too many is left out
		}
	}
}
