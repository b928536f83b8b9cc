package plugins

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"unsafe"

	"go.uber.org/zap/zapcore"

	"github.com/postern-gateway/postern/proxy/http1"
	"github.com/postern-gateway/postern/sdk/abi"
)

// errAllocate ends the call of a guest whose allocator calls what allocates.
var errAllocate = errors.New("the guest's allocator asked for memory")

// wasmFunction is the code of a function of proxy-wasm. The arguments stand in s.
type wasmFunction func(g *proxyWasm, s []uint64) wasmStatus

// provides lists the functions of proxy-wasm 0.2.1 and those that 0.2.0 and 0.1.0
// had besides. WASI is the common one, also under its older name.
func (proxyWasmABI) provides() []hostModule {
	env := hostModule{name: "env"}
	for _, part := range [][]wasmEntry{wasmContextCalls(), wasmMessageCalls(), wasmSharedCalls(), wasmAbsentCalls()} {
		for _, e := range part {
			run := e.run
			env.functions = append(env.functions, hostFunc{name: e.name, params: e.params, results: "i", call: func(in *instance, s []uint64) {
				s[0] = uint64(run(in.guestOfProxyWasm(), s))
			}})
		}
	}
	// Emscripten tells so that JavaScript can look at the memory anew.
	env.functions = append(env.functions, hostFunc{name: "emscripten_notify_memory_growth", params: "i", call: func(*instance, []uint64) {}})
	return []hostModule{env, {name: "wasi_unstable", functions: oldWASI()}}
}

// oldWASI are the functions whose meaning didn't change between WASI's first
// version and preview 1.
func oldWASI() []hostFunc {
	var same []hostFunc
	for _, f := range wasiFunctions() {
		switch f.name {
		case "poll_oneoff", "fd_filestat_get", "path_filestat_get": // they had other layouts
		default:
			same = append(same, f)
		}
	}
	return same
}

type wasmEntry struct {
	name, params string
	run          wasmFunction
}

// wasmContextCalls are about contexts, the log, time and properties.
func wasmContextCalls() []wasmEntry {
	return []wasmEntry{
		{"proxy_log", "iii", (*proxyWasm).log},
		{"proxy_get_log_level", "i", func(g *proxyWasm, s []uint64) wasmStatus { return g.put32(s[0], g.logLevel()) }},
		{"proxy_get_current_time_nanoseconds", "i", func(g *proxyWasm, s []uint64) wasmStatus {
			return g.put64(s[0], uint64(g.in.plugin.host.clock().UnixNano()))
		}},
		{"proxy_set_tick_period_milliseconds", "i", func(g *proxyWasm, s []uint64) wasmStatus { return g.setPeriod(s[0]) }},
		{"proxy_set_effective_context", "i", func(g *proxyWasm, s []uint64) wasmStatus { return g.name(uint32(s[0])) }},
		{"proxy_done", "", func(g *proxyWasm, _ []uint64) wasmStatus { return g.finish() }},
		{"proxy_get_property", "iiii", (*proxyWasm).getProperty},
		{"proxy_set_property", "iiii", (*proxyWasm).setProperty},
		{"proxy_get_configuration", "ii", func(g *proxyWasm, s []uint64) wasmStatus { return g.hand(s[0], s[1], g.configuration()) }},
		{"proxy_get_status", "iii", (*proxyWasm).getStatus},
		{"proxy_continue_stream", "i", func(g *proxyWasm, s []uint64) wasmStatus { return g.resume(uint32(s[0])) }},
		{"proxy_close_stream", "i", func(g *proxyWasm, s []uint64) wasmStatus { return g.closeStream(uint32(s[0])) }},
		{"proxy_continue_request", "", func(g *proxyWasm, _ []uint64) wasmStatus { return g.resume(streamRequest) }},
		{"proxy_continue_response", "", func(g *proxyWasm, _ []uint64) wasmStatus { return g.resume(streamResponse) }},
		{"proxy_clear_route_cache", "", func(*proxyWasm, []uint64) wasmStatus { return statusOK }}, // there is none
		{"proxy_send_local_response", "iiiiiiii", (*proxyWasm).localResponse},
	}
}

// wasmMessageCalls are about header fields and content.
func wasmMessageCalls() []wasmEntry {
	edits := func(what change) wasmFunction {
		return func(g *proxyWasm, s []uint64) wasmStatus {
			name, ok := g.text(s[1], s[2])
			if !ok {
				return statusMemory
			}
			if what == removeValue {
				return g.edit(int32(s[0]), what, name, "")
			}
			value, ok := g.text(s[3], s[4])
			if !ok {
				return statusMemory
			}
			return g.edit(int32(s[0]), what, name, value)
		}
	}
	return []wasmEntry{
		{"proxy_get_header_map_size", "ii", func(g *proxyWasm, s []uint64) wasmStatus {
			if _, ok := g.fieldsIn(int32(s[0])); !ok {
				return statusBadArgument
			}
			return g.put32(s[1], uint32(pairsSize(g.pairs(int32(s[0])))))
		}},
		{"proxy_get_header_map_pairs", "iii", (*proxyWasm).getPairs},
		{"proxy_set_header_map_pairs", "iii", func(g *proxyWasm, s []uint64) wasmStatus {
			b, ok := g.bytes(s[1], s[2])
			if !ok {
				return statusMemory
			}
			return g.setPairs(int32(s[0]), b)
		}},
		{"proxy_get_header_map_value", "iiiii", func(g *proxyWasm, s []uint64) wasmStatus {
			name, ok := g.text(s[1], s[2])
			if !ok {
				return statusMemory
			}
			value, status := g.value(int32(s[0]), name)
			if status != statusOK {
				return status
			}
			return g.hand(s[3], s[4], value)
		}},
		{"proxy_add_header_map_value", "iiiii", edits(addValue)},
		{"proxy_replace_header_map_value", "iiiii", edits(replaceValue)},
		{"proxy_remove_header_map_value", "iii", edits(removeValue)},
		{"proxy_get_buffer_bytes", "iiiii", (*proxyWasm).getBuffer},
		{"proxy_get_buffer_status", "iii", (*proxyWasm).bufferSize},
		{"proxy_set_buffer_bytes", "iiiii", (*proxyWasm).setBuffer},
	}
}

// wasmAbsentCalls are there because SDKs import them, and say that they do
// nothing here.
func wasmAbsentCalls() []wasmEntry {
	absent := func(*proxyWasm, []uint64) wasmStatus { return statusUnimplemented }
	return []wasmEntry{
		{"proxy_grpc_call", "iiiiiiiiiiii", absent},
		{"proxy_grpc_stream", "iiiiiiiii", absent},
		{"proxy_grpc_send", "iiii", absent},
		{"proxy_grpc_cancel", "i", absent},
		{"proxy_grpc_close", "i", absent},
		{"proxy_call_foreign_function", "iiiiii", func(*proxyWasm, []uint64) wasmStatus { return statusNotFound }},
	}
}

func (g *proxyWasm) put32(at uint64, v uint32) wasmStatus {
	if !g.set32(at, v) {
		return statusMemory
	}
	return statusOK
}

func (g *proxyWasm) put64(at, v uint64) wasmStatus {
	if !g.in.memory.WriteUint64Le(uint32(at), v) {
		return statusMemory
	}
	return statusOK
}

// viewString is b as a string, for as long as b stays as it is.
func viewString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// wasmLevels are the levels of proxy_log_level_t: trace, debug, info, warn, error,
// critical.
var wasmLevels = [...]zapcore.Level{zapcore.DebugLevel, zapcore.DebugLevel, zapcore.InfoLevel, zapcore.WarnLevel, zapcore.ErrorLevel, zapcore.ErrorLevel}

func (g *proxyWasm) log(s []uint64) wasmStatus {
	b, ok := g.bytes(s[1], s[2])
	switch {
	case s[0] >= uint64(len(wasmLevels)):
		return statusBadArgument
	case !ok:
		return statusMemory
	}
	g.in.log(wasmLevels[s[0]], b)
	return statusOK
}

// logLevel is the lowest level that is kept.
func (g *proxyWasm) logLevel() uint32 {
	core := g.in.plugin.logger.Core()
	for i, l := range wasmLevels {
		if core.Enabled(l) {
			return uint32(i)
		}
	}
	return uint32(len(wasmLevels) - 1)
}

// finish is proxy_done: the guest lets go of a stream whose exchange is over.
func (g *proxyWasm) finish() wasmStatus {
	s := g.streams[g.context]
	if s == nil || s.ex != nil || s.leaving {
		return statusNotFound
	}
	s.leaving = true
	g.lingering--
	g.leaving = append(g.leaving, s) // its last callbacks can't run within one
	return statusOK
}

// The streams that proxy_continue_stream and proxy_close_stream name:
// proxy_stream_type_t.
const (
	streamRequest  = 0
	streamResponse = 1
	streamUpstream = 3 // the last of them
)

// directed returns the direction of the stream that the callback is about.
func (g *proxyWasm) directed(kind uint32) *wasmFlow {
	switch {
	case g.flow == nil:
		return nil
	case kind == streamRequest:
		return &g.flow.stream.request
	}
	return &g.flow.stream.response
}

func (g *proxyWasm) resume(kind uint32) wasmStatus {
	if kind > streamResponse {
		if kind > streamUpstream {
			return statusBadArgument
		}
		return statusUnimplemented
	}
	if f := g.directed(kind); f != nil {
		f.resumed = true
		f.poke()
	}
	return statusOK
}

func (g *proxyWasm) closeStream(kind uint32) wasmStatus {
	if kind > streamUpstream {
		return statusBadArgument
	}
	if f := g.flow; f != nil { // neither direction goes on without the other
		f.closed = true
		f.poke()
	}
	return statusOK
}

// localResponse makes the client's answer.
func (g *proxyWasm) localResponse(s []uint64) wasmStatus {
	content, ok := g.bytes(s[3], s[4])
	pairs, ok2 := g.bytes(s[5], s[6])
	if _, ok3 := g.bytes(s[1], s[2]); !ok || !ok2 || !ok3 {
		return statusMemory
	}
	all, ok := readPairs(pairs)
	f, in := g.flow, g.in
	switch {
	case !ok:
		return statusParse
	case f == nil || in.ex == nil || len(content) > abi.MaxBody:
		return statusBadArgument
	case f.side == responseSide && (f.installed || f.over):
		return statusInternal // the head is on its way
	case s[0] < 200 || s[0] > 599:
		return statusBadArgument
	}
	for p := all; ; { // what is wrong is found before anything has changed
		name, value, more := p.next()
		if !more {
			break
		}
		field := http1.NewField(name, strings.Trim(value, " \t"))
		if code := in.refusedField(responseSide, &field); editStatus(addValue, name, code) != statusOK {
			return statusBadArgument
		}
	}
	d := &in.draft
	in.setStatus(int(s[0]))
	fields := in.editable(responseSide)
	clear(*fields)
	*fields, d.size[responseSide] = (*fields)[:0], 0
	for name, value, more := all.next(); more; name, value, more = all.next() {
		if in.addField(responseSide, name, value) == abi.Limit {
			return statusInternal
		}
	}
	if grpc := int32(s[7]); grpc >= 0 {
		in.scratch = strconv.AppendInt(in.scratch[:0], int64(grpc), 10)
		in.setField(responseSide, "grpc-status", in.scratched())
	}
	if len(content) > 0 && !fields.HasKnown(http1.ContentType) {
		in.setField(responseSide, "content-type", "text/plain") // Envoy
	}
	d.content[responseSide] = append([]byte(nil), content...)
	d.changes |= changedContent << responseSide
	f.answered = true
	f.poke()
	return statusOK
}

func (g *proxyWasm) getPairs(s []uint64) wasmStatus {
	if _, ok := g.fieldsIn(int32(s[0])); !ok {
		return statusBadArgument
	}
	fields := g.pairs(int32(s[0]))
	if len(fields) == 0 {
		return g.hand(s[1], s[2], "")
	}
	b, status := g.handOver(s[1], s[2], pairsSize(fields))
	if status == statusOK {
		writePairs(b, fields)
	}
	return status
}

// The buffers: proxy_buffer_type_t.
const (
	bufferRequest       = 0
	bufferResponse      = 1
	bufferCallResponse  = 4
	bufferMachineConfig = 6
	bufferPluginConfig  = 7
	bufferMost          = 8
)

// buffer returns the content of a buffer, as a view.
func (g *proxyWasm) buffer(number uint64) (string, wasmStatus) {
	switch number {
	case bufferRequest, bufferResponse:
		if f := g.content(number); f != nil {
			return viewString(f.held), statusOK
		}
	case bufferCallResponse:
		if g.reply != nil {
			return viewString(g.reply.content), statusOK
		}
	case bufferMachineConfig, bufferPluginConfig:
		return g.configuration(), statusOK
	}
	if number > bufferMost {
		return "", statusBadArgument
	}
	return "", statusNotFound
}

// content returns the flow whose content a buffer is, while the guest may see it.
func (g *proxyWasm) content(number uint64) *wasmFlow {
	if f := g.flow; f != nil && f.inContent && (f.side == requestSide) == (number == bufferRequest) {
		return f
	}
	return nil
}

func (g *proxyWasm) getBuffer(s []uint64) wasmStatus {
	b, status := g.buffer(s[0])
	start, most := s[1], s[2]
	switch {
	case status != statusOK:
		return status
	case start+most > math.MaxUint32, start > uint64(len(b)):
		return statusBadArgument
	}
	return g.hand(s[3], s[4], b[start:min(start+most, uint64(len(b)))])
}

func (g *proxyWasm) bufferSize(s []uint64) wasmStatus {
	b, status := g.buffer(s[0])
	if status != statusOK {
		return status
	}
	if !g.set32(s[1], uint32(len(b))) || !g.set32(s[2], 0) {
		return statusMemory
	}
	return statusOK
}

// setBuffer replaces a part of the content that the guest holds.
func (g *proxyWasm) setBuffer(s []uint64) wasmStatus {
	value, ok := g.bytes(s[3], s[4])
	f := g.content(s[0])
	switch {
	case !ok:
		return statusMemory
	case s[0] > bufferMost:
		return statusBadArgument
	case f == nil:
		return statusNotFound
	}
	size := uint64(len(f.held))
	start := min(s[1], size)
	end := min(start+s[2], size)
	if size-(end-start)+uint64(len(value)) > abi.MaxBody {
		return statusInternal
	}
	if f.own {
		f.held = append(f.held[:start], append(value[:len(value):len(value)], f.held[end:]...)...)
	} else {
		held := make([]byte, 0, int(size-(end-start))+len(value))
		held = append(append(append(held, f.held[:start]...), value...), f.held[end:]...)
		f.held, f.own = held, true
	}
	f.changed = true
	return statusOK
}

// getStatus tells the status of the call whose answer is there.
func (g *proxyWasm) getStatus(s []uint64) wasmStatus {
	status := 0
	if g.reply != nil {
		status = g.reply.status
	}
	if !g.set32(s[0], uint32(status)) {
		return statusMemory
	}
	return g.hand(s[1], s[2], "")
}
