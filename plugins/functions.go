package plugins

import (
	"context"
	"fmt"
	"slices"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/postern-gateway/postern/plugins/meter"
	"github.com/postern-gateway/postern/sdk/abi"
)

// hostCall is the code of a function that guests import. stack holds the
// arguments and takes the result; the upper half of an i32 argument is zero.
type hostCall func(in *instance, stack []uint64)

// hostFunc is a function that guests import.
type hostFunc struct {
	name    string
	params  string    // one letter per value: 'i' for i32, 'I' for i64
	results string    // the same
	phases  abi.Phase // in which it may be called, else it returns abi.WrongPhase; 0 is always
	call    hostCall
}

// hostModule is a module that guests import from, or a part of one.
type hostModule struct {
	name string
	// group is the capability that a plugin must be granted to import from the
	// module, "" for none.
	group     string
	functions []hostFunc
}

// provides lists the functions of postern's own ABI. A capability group is one
// line here and a file cap_<group>.go.
func (nativeABI) provides() []hostModule {
	return []hostModule{
		coreFunctions(),
		cryptoFunctions(),
		jsonFunctions(),
		textFunctions(),
		kvFunctions(),
		metricFunctions(),
		httpFunctions(),
	}
}

// commonModules are what guests of every ABI may import.
func commonModules() []hostModule {
	return []hostModule{
		{name: abi.WASI, functions: wasiFunctions()},
		{name: meter.Module, functions: []hostFunc{{name: meter.Tick, params: "i", results: "i", call: (*instance).tick}}},
	}
}

// native makes the part of a module that calls has the code of: signatures and
// phases are those of package abi. What isn't in calls isn't provided, so that a
// guest that imports it is refused at load.
func native(module, group string, calls map[string]hostCall) hostModule {
	m := hostModule{name: module, group: group}
	for _, f := range abi.Functions() {
		if call := calls[f.Name]; f.Module == module && call != nil {
			m.functions = append(m.functions, hostFunc{f.Name, f.Params(), f.Results(), f.Phases, call})
			delete(calls, f.Name)
		}
	}
	for name := range calls {
		panic("plugins: " + module + "." + name + " isn't in package abi")
	}
	return m
}

// provide makes the modules that guests import from.
func (h *Host) provide(ctx context.Context) error {
	parts := commonModules()
	for _, a := range guestABIs() {
		parts = append(parts, a.provides()...)
	}
	builders := map[string]wazero.HostModuleBuilder{}
	defined := map[string]bool{}
	for _, m := range parts {
		b := builders[m.name]
		if b == nil {
			b = h.runtime.NewHostModuleBuilder(m.name)
			builders[m.name] = b
		}
		for i := range m.functions {
			name := m.name + "." + m.functions[i].name
			if defined[name] {
				return fmt.Errorf("plugins: %s is provided twice", name)
			}
			defined[name] = true
			f := m.functions[i]
			h.define(b, m.name, &f)
		}
	}
	for name, b := range builders {
		if _, err := b.Instantiate(ctx); err != nil {
			return fmt.Errorf("plugins: provide %s: %w", name, err)
		}
	}
	return nil
}

// define adds a function to a module under construction. It is the one way in
// which the host gives guests anything to call.
func (h *Host) define(b wazero.HostModuleBuilder, module string, f *hostFunc) {
	var narrow []int // parameters that are i32
	for i := range len(f.params) {
		if f.params[i] == 'i' {
			narrow = append(narrow, i)
		}
	}
	told := h.tracer.wrap(module, *f)
	always := h.tracer.tell != nil
	if always {
		f = &told
	}
	phases, call := f.phases, f.call
	refused := refusal(f.results)
	counted := int64(1)
	if f.name == meter.Tick {
		counted = 0 // the guest doesn't know that it calls it
	}
	run := api.GoModuleFunc(func(ctx context.Context, mod api.Module, stack []uint64) {
		in := instanceOf(ctx)
		if in.memory == nil {
			in.memory = mod.Memory() // a start section calls before instantiation is over
		}
		in.hostCalls += counted
		if in.ex != nil && in.ex.Explain != nil && !always && !in.late {
			for _, i := range narrow {
				stack[i] = uint64(uint32(stack[i]))
			}
			told.call(in, stack)
			return
		}
		if phases != 0 && phases&in.phase == 0 {
			stack[0] = refused
			return
		}
		for _, i := range narrow {
			stack[i] = uint64(uint32(stack[i])) // the upper half isn't defined
		}
		call(in, stack)
	})
	b.NewFunctionBuilder().WithGoModuleFunction(run, valueTypes(f.params), valueTypes(f.results)).Export(f.name)
}

// refusal is the result of a function that is called in a wrong phase.
func refusal(results string) uint64 {
	if results == "I" {
		return api.EncodeI64(abi.WrongPhase)
	}
	return api.EncodeI32(abi.WrongPhase)
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

// provided is a function that a guest of some ABI may import.
type provided struct{ signature, group string }

// providedTo are the functions that a guest of a may import, by module.name.
func providedTo(a guestABI) map[string]provided {
	all := map[string]provided{}
	for _, m := range slices.Concat(commonModules(), a.provides()) {
		for _, f := range m.functions {
			all[m.name+"."+f.name] = provided{f.params + ":" + f.results, m.group}
		}
	}
	return all
}

// answer leaves an i32 on the stack.
func answer(stack []uint64, code int32) { stack[0] = api.EncodeI32(code) }
