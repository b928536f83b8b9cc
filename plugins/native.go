package plugins

import (
	"context"
	"io"
	"slices"
	"unicode/utf8"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/postern-gateway/postern/plugins/meter"
	"github.com/postern-gateway/postern/proxy"
	"github.com/postern-gateway/postern/proxy/event"
	"github.com/postern-gateway/postern/sdk/abi"
)

// hostFunc is a function that guests import. stack holds the arguments and
// takes the result.
type hostFunc func(in *instance, stack []uint64)

// provide makes the modules that guests import from.
func (h *Host) provide(ctx context.Context) error {
	native := h.runtime.NewHostModuleBuilder(abi.Module)
	functions := nativeFunctions()
	for _, f := range abi.Functions() {
		call := functions[f.Name]
		phases, wide := f.Phases, f.Results == "I"
		define(native, f.Name, f.Params, f.Results, func(in *instance, stack []uint64) {
			switch {
			case phases&in.phase != 0:
				call(in, stack)
			case wide:
				stack[0] = api.EncodeI64(abi.WrongPhase)
			default:
				stack[0] = api.EncodeI32(abi.WrongPhase)
			}
		})
	}
	if _, err := native.Instantiate(ctx); err != nil {
		return err
	}
	wasi := h.runtime.NewHostModuleBuilder(abi.WASI)
	for _, f := range wasiFunctions() {
		define(wasi, f.name, f.params, f.results, f.call)
	}
	if _, err := wasi.Instantiate(ctx); err != nil {
		return err
	}
	fuel := h.runtime.NewHostModuleBuilder(meter.Module)
	define(fuel, meter.Tick, "i", "i", (*instance).tick)
	_, err := fuel.Instantiate(ctx)
	return err
}

// define adds a function to a module under construction.
func define(b wazero.HostModuleBuilder, name, params, results string, call hostFunc) {
	run := api.GoModuleFunc(func(ctx context.Context, mod api.Module, stack []uint64) {
		in := instanceOf(ctx)
		if in.memory == nil {
			in.memory = mod.Memory() // a start section calls before instantiation is over
		}
		for i := range len(params) {
			if params[i] == 'i' {
				stack[i] = uint64(uint32(stack[i])) // the upper half isn't defined
			}
		}
		call(in, stack)
	})
	b.NewFunctionBuilder().WithGoModuleFunction(run, valueTypes(params), valueTypes(results)).Export(name)
}

func valueTypes(letters string) []api.ValueType {
	var types []api.ValueType
	for _, c := range letters {
		if c == 'I' {
			types = append(types, api.ValueTypeI64)
			continue
		}
		types = append(types, api.ValueTypeI32)
	}
	return types
}

// nativeFunctions are the functions of abi.Functions by name.
func nativeFunctions() map[string]hostFunc {
	return map[string]hostFunc{
		"field_get": func(in *instance, s []uint64) {
			value, ok := in.field(int32(s[0]))
			if !ok {
				s[0] = api.EncodeI32(abi.BadArgument)
				return
			}
			s[0] = api.EncodeI32(in.put(s[1], s[2], value))
		},
		"map_count": func(in *instance, s []uint64) { s[0] = api.EncodeI32(in.mapCount(int32(s[0]))) },
		"map_get": func(in *instance, s []uint64) {
			value, code := in.mapGet(int32(s[0]), in.text(s[1], s[2]))
			if code == abi.OK {
				code = in.put(s[3], s[4], value)
			}
			s[0] = api.EncodeI32(code)
		},
		"map_entry": func(in *instance, s []uint64) {
			name, value, code := in.mapEntry(int32(s[0]), uint32(s[1]))
			if code != abi.OK {
				s[0] = api.EncodeI64(int64(code))
				return
			}
			n := in.put(s[2], s[3], name)
			s[0] = uint64(n)<<32 | uint64(in.put(s[4], s[5], value))
		},
		"principal_set": func(in *instance, s []uint64) { s[0] = api.EncodeI32(in.setPrincipal(in.text(s[0], s[1]))) },
		"context_set": func(in *instance, s []uint64) {
			s[0] = api.EncodeI32(in.setContext(in.text(s[0], s[1]), in.text(s[2], s[3])))
		},
		"event_read":   func(in *instance, s []uint64) { s[0] = api.EncodeI32(in.readEvent(s[0], s[1])) },
		"result_write": func(in *instance, s []uint64) { s[0] = api.EncodeI32(in.writeResult(in.view(s[0], s[1]))) },
		"config_read": func(in *instance, s []uint64) {
			s[0] = api.EncodeI32(in.put(s[0], s[1], in.plugin.config))
		},
		"log":           func(in *instance, s []uint64) { s[0] = api.EncodeI32(in.logLine(s[0], in.view(s[1], s[2]))) },
		"log_enabled":   func(in *instance, s []uint64) { s[0] = api.EncodeI32(in.logEnabled(s[0])) },
		"time":          func(in *instance, s []uint64) { s[0] = uint64(in.plugin.host.clock().UnixNano()) },
		"random":        func(in *instance, s []uint64) { s[0] = api.EncodeI32(in.random(s[0], s[1])) },
		"deadline_left": func(in *instance, s []uint64) { s[0] = api.EncodeI64(max(0, int64(in.left()))) },
		"fail":          func(in *instance, s []uint64) { s[0] = api.EncodeI32(in.fail(in.text(s[1], s[2]), int32(s[0]))) },
	}
}

func (in *instance) setPrincipal(id string) int32 {
	if !utf8.ValidString(id) {
		return abi.BadArgument
	}
	if len(id) > abi.MaxPrincipal {
		return abi.Limit
	}
	in.principal = in.ex.Text.Concat(id)
	return abi.OK
}

// setContext sets one entry of the authorizer's context. A name that was set
// before gets the new value.
func (in *instance) setContext(name, value string) int32 {
	if name == "" || !utf8.ValidString(name) || !utf8.ValidString(value) {
		return abi.BadArgument
	}
	at := slices.IndexFunc(in.context, func(p proxy.Param) bool { return p.Name == name })
	if in.contextSize+len(name)+len(value) > abi.MaxContext || at < 0 && len(in.context) >= abi.MaxContextEntries {
		return abi.Limit
	}
	in.contextSize += len(name) + len(value)
	if at >= 0 {
		in.context[at].Value = in.ex.Text.Concat(value)
		return abi.OK
	}
	in.context = append(in.context, proxy.Param{Name: in.ex.Text.Concat(name), Value: in.ex.Text.Concat(value)})
	return abi.OK
}

// readEvent renders the event on its first use.
func (in *instance) readEvent(at, size uint64) int32 {
	if !in.rendered {
		in.event = event.AppendRequest(in.event[:0], in.ex)
		in.rendered = true
	}
	b := in.view(at, size)
	if len(in.event) <= len(b) {
		copy(b, in.event)
	}
	return int32(len(in.event))
}

// writeResult copies the answer: it has to outlive the instance's next call.
func (in *instance) writeResult(b []byte) int32 {
	if len(b) > abi.MaxResult {
		return abi.Limit
	}
	in.result = append([]byte(nil), b...)
	in.answered = true
	return abi.OK
}

func (in *instance) logLine(n uint64, text []byte) int32 {
	l, ok := level(n)
	if !ok {
		return abi.BadArgument
	}
	if !in.log(l, text) {
		return abi.Limit
	}
	return abi.OK
}

func (in *instance) logEnabled(n uint64) int32 {
	l, ok := level(n)
	switch {
	case !ok:
		return abi.BadArgument
	case in.plugin.logger.Core().Enabled(l):
		return 1
	}
	return 0
}

func (in *instance) random(at, n uint64) int32 {
	b := in.view(at, n)
	if len(b) > abi.MaxRandom {
		return abi.Limit
	}
	if _, err := io.ReadFull(in.plugin.host.entropy, b); err != nil {
		panic(err)
	}
	return abi.OK
}

// fail notes why the guest can't do what it was asked. The first reason counts.
func (in *instance) fail(text string, code int32) int32 {
	if in.failed {
		return abi.OK
	}
	if len(text) > abi.MaxFailure {
		text = text[:abi.MaxFailure]
	}
	in.failed, in.failure = true, failureText(code, text)
	return abi.OK
}
