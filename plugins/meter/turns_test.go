package meter

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// analyzed returns the functions of a module as the second pass sees them.
func analyzed(t testing.TB, wasm []byte) []*function {
	t.Helper()
	w := &rewriter{
		limits: roomy(), additional: map[string]uint32{}, carriers: map[string]uint32{},
		entries: map[uint32]bool{}, referred: map[uint32]bool{},
	}
	if err := w.split(wasm); err != nil {
		t.Fatal(err)
	}
	for _, step := range []func() error{
		w.readTypes, w.readImports, w.readFunctions, w.rewriteTables, w.rewriteMemories, w.rewriteGlobals,
		w.rewriteExports, w.rewriteElements, w.scanCode,
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	return w.code
}

// Locals of the functions in these tests, behind the parameter.
const (
	localI = 1 + iota
	localJ
	localN
)

// looping is a module whose function counts in $n the turns of a loop.
func looping(code ...byte) []byte {
	full := append(code, opLocalGet, localN)
	return assemble(
		section(sectionType, 1, typeFunction, 1, typeI32, 1, typeI32),
		section(sectionFunction, 1, 0),
		section(sectionMemory, 1, 0, 1),
		section(sectionExport, 1, 1, 'f', kindFunction, 0),
		section(sectionCode, append([]byte{1}, body([]byte{1, 3, typeI32}, full...)...)...),
	)
}

func number(v int32) []byte { return appendS32([]byte{opI32Const}, v) }

// counting is such a loop, with its numbers and what else is inside.
func counting(from, step, to int32, compared byte, inside ...byte) []byte {
	code := append(number(from), opLocalSet, localI, opLoop, typeEmpty)
	code = append(code, opLocalGet, localN, opI32Const, 1, opI32Add, opLocalSet, localN)
	code = append(code, inside...)
	code = append(append(code, opLocalGet, localI), number(step)...)
	code = append(code, opI32Add, opLocalTee, localI)
	if compared != opI32Ne || to != 0 {
		code = append(append(code, number(to)...), compared)
	}
	return append(code, opBrIf, 0, opEnd)
}

// What is known of a loop is never less than the turns that it takes, and no loop
// without an end is thought to have one.
func TestTurnsAreBounds(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 5))
	small := func() int32 { return int32(random.IntN(200)) - 100 }
	r := newRuntime(t, 1<<20, nil)
	known := 0
	for range 2000 {
		from, step, to := small(), small()/10, small()
		switch random.IntN(8) {
		case 0:
			from = int32(random.Uint32())
		case 1:
			to = int32(random.Uint32())
		case 2:
			step = int32(random.Uint32())
		case 3:
			from, to = from+(1<<31-1), to-(1<<31-1)
		}
		compared := []byte{opI32Ne, opI32LtU, opI32LtS}[random.IntN(3)]
		wasm := looping(counting(from, step, to, compared)...)
		region := analyzed(t, wasm)[0].regions[1]
		if region.turns == 0 {
			continue
		}
		known++
		m, err := r.InstantiateWithConfig(context.Background(), wasm, wazero.NewModuleConfig().WithName(""))
		if err != nil {
			t.Fatal(err)
		}
		got, err := call(m, 0) // for ever, if it was thought to end and doesn't
		if err != nil {
			t.Fatal(err)
		}
		if got > uint64(region.turns) {
			t.Errorf("from %d by %d to %d, %#x: %d turns, thought to be %d", from, step, to, compared, got, region.turns)
		}
		_ = m.Close(context.Background())
	}
	if known < 100 {
		t.Errorf("only %d loops of 2000 were known", known)
	}
}

// Loops whose variable does something else than to count, or that have another way
// back, or that are long, are charged; short ones that only count aren't.
func TestWhichLoopsAreCharged(t *testing.T) {
	f := func(what string, want bool, code ...byte) {
		t.Helper()
		functions := analyzed(t, looping(code...))
		if got := functions[0].regions[1].metered; got != want {
			t.Errorf("%s: charged is %v, want %v", what, got, want)
		}
	}
	f("a short loop", false, counting(0, 1, 64, opI32Ne)...)
	f("down to zero", false, counting(64, -1, 0, opI32Ne)...)
	f("a long one", true, counting(0, 1, 1<<20, opI32Ne)...)
	f("never there", true, counting(0, 3, 64, opI32Ne)...)
	f("away from it", true, counting(0, -1, 64, opI32Ne)...)
	f("set inside", true, counting(0, 1, 64, opI32Ne, opI32Const, 0, opLocalSet, localI)...)
	f("set in a loop inside", true, counting(0, 1, 64, opI32Ne, opLoop, typeEmpty, opI32Const, 0, opLocalTee, localI, opDrop, opEnd)...)
	f("another way back", true, counting(0, 1, 64, opI32Ne, opLocalGet, 0, opBrIf, 0)...)
	f("by a table", true, counting(0, 1, 64, opI32Ne, opLocalGet, 0, opBrTable, 1, 0, 0)...)
	// The step is in a loop of its own, which goes on when the variable has arrived.
	inner := []byte{
		opI32Const, 0, opLocalSet, localI, opLoop, typeEmpty, opLoop, typeEmpty,
		opLocalGet, localI, opI32Const, 1, opI32Add, opLocalTee, localI, opI32Const, 5, opI32Ne, opBrIf, 1, opBr, 0, opEnd, opEnd,
	}
	f("from inside of another", true, inner...)
	// It is a constant on one of two ways only.
	either := []byte{opLocalGet, 0, opIf, typeEmpty, opI32Const, 0, opLocalSet, localI, opEnd}
	f("a constant perhaps", true, append(either, counting(0, 1, 64, opI32Ne)[4:]...)...)
	// The beginning of the outer loop sets it once, the inner one runs again and again.
	again := append([]byte{opI32Const, 0, opLocalSet, localI, opLoop, typeEmpty}, counting(0, 1, 64, opI32Ne)[4:]...)
	if got := analyzed(t, looping(append(again, opLocalGet, 0, opBrIf, 0, opEnd)...))[0].regions[2].metered; !got {
		t.Error("a constant of an outer loop's first turn: the loop isn't charged")
	}
}

// graphModule has functions of type () -> () with these bodies, the first of which is
// exported; an import that they may call stands before them. table is what is in one.
func graphModule(table []byte, bodies ...[]byte) []byte {
	functions, code := []byte{byte(len(bodies))}, []byte{byte(len(bodies))}
	for _, b := range bodies {
		functions = append(functions, 0)
		code = append(code, body([]byte{0}, b...)...)
	}
	elements := append([]byte{1, 0, opI32Const, 0, opEnd, byte(len(table))}, table...)
	return assemble(
		section(sectionType, 1, typeFunction, 0, 0),
		section(sectionImport, 1, 3, 'e', 'n', 'v', 1, 'h', kindFunction, 0),
		section(sectionFunction, functions...),
		section(sectionTable, 1, 0x70, 0, 9),
		section(sectionExport, 1, 1, 'f', kindFunction, 1),
		section(sectionElement, elements...),
		section(sectionCode, code...),
	)
}

func TestWhichFunctionsCount(t *testing.T) {
	f := func(what, want string, table []byte, bodies ...[]byte) {
		t.Helper()
		got := ""
		for _, f := range analyzed(t, graphModule(table, bodies...)) {
			switch {
			case f.counted:
				got += "c"
			case f.charged:
				got += "$"
			default:
				got += "-"
			}
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", what, got, want)
		}
	}
	to := func(n byte) []byte { return []byte{opCall, n} }
	tail := func(n byte) []byte { return []byte{opReturnCall, n} }
	through := []byte{opI32Const, 0, opCallIndirect, 0, 0}
	f("a line", "---", nil, to(2), to(3), nil)
	f("itself", "c", nil, to(1))
	f("each other", "-cc-", nil, to(2), to(3), append(to(2), to(4)...), nil)
	f("each other in their place", "-cc", nil, to(2), tail(3), tail(2))
	f("through the table", "-cc", []byte{3}, to(2), through, to(2))
	f("through a table without it", "---", []byte{3}, to(2), through, nil)
	f("by way of the host", "c-", nil, to(2), to(0))
	long := make([]byte, 2000)
	for i := range long {
		long[i] = 0x01 // nop
	}
	f("much to do", "-$", nil, to(2), long)
}

// Who comes back to itself by way of the host, too, counts what lies between.
func TestWayOfTheHostCounts(t *testing.T) {
	all := analyzed(t, graphModule(nil, []byte{opCall, 1, opCall, 2}, []byte{opCall, 3}, []byte{opCall, 0}))
	if got := all[0].depth; got != 3 {
		t.Errorf("a call counts as %d levels, want 3", got)
	}
}

// A chain of calls that nobody counts isn't longer than a part of what is allowed.
func TestLongChainsCount(t *testing.T) {
	var bodies [][]byte
	for i := range 2000 {
		bodies = append(bodies, appendU32([]byte{opCall}, uint32(i)+2))
	}
	bodies = append(bodies, nil)
	functions, code := appendU32(nil, uint32(len(bodies))), appendU32(nil, uint32(len(bodies)))
	for _, b := range bodies {
		functions = append(functions, 0)
		code = append(code, body([]byte{0}, b...)...)
	}
	wasm := assemble(
		section(sectionType, 1, typeFunction, 0, 0),
		section(sectionImport, 1, 3, 'e', 'n', 'v', 1, 'h', kindFunction, 0),
		section(sectionFunction, functions...),
		section(sectionCode, code...),
	)
	free, levels := uint32(0), uint32(0)
	for _, f := range analyzed(t, wasm) {
		if f.counted {
			free, levels = 0, levels+f.depth
			continue
		}
		if free++; free > freeChain+1 {
			t.Fatalf("%d calls in a row that nobody counts", free)
		}
	}
	if levels < 2000-freeChain-1 {
		t.Errorf("2000 calls count as %d levels", levels)
	}
}

// Between two ticks a guest does what its fuel pays for, and little more, whatever it
// makes of loops and calls that aren't charged. The programs count what they do.
func TestFuelBoundsWork(t *testing.T) {
	const fuel, ticks = 20_000, 30
	work := []byte{opGlobalGet, 0, opI32Const, 1, opI32Add, opGlobalSet, 0}
	nested := work
	for depth := range byte(6) { // 9^6 turns, by a variable for each loop
		loop := []byte{opI32Const, 0, opLocalSet, depth, opLoop, typeEmpty}
		loop = append(loop, nested...)
		nested = append(loop, opLocalGet, depth, opI32Const, 1, opI32Add, opLocalTee, depth, opI32Const, 9, opI32Ne, opBrIf, 0, opEnd)
	}
	chain := [][]byte{{opCall, 2}} // 20^20 calls
	for i := range byte(20) {
		chain = append(chain, bytes.Repeat([]byte{opCall, i + 3}, 20))
	}
	forever := func(code ...byte) []byte { return append(append([]byte{opLoop, typeEmpty}, code...), opBr, 0, opEnd) }
	for name, bodies := range map[string][][]byte{
		"loops in loops": {forever(nested...)},
		"calls of calls": append(chain, work),
		// The loop is paid by the function that it calls, which returns at once.
		"a loop of calls": {forever(append(append([]byte{}, work...), opCall, 2)...), {opGlobalGet, 0, opIf, typeEmpty, opElse, opCall, 2, opEnd}},
		"tail calls":      {append(append([]byte{}, work...), opReturnCall, 2), append(append([]byte{}, work...), opReturnCall, 1)},
		"short functions": {forever(opCall, 2, opCall, 2, opCall, 2), bytes.Repeat(work, 30)},
	} {
		ctx := context.Background()
		r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler().WithCoreFeatures(testFeatures))
		var before, most uint32
		n := 0
		tick := func(_ context.Context, m api.Module, stack []uint64) {
			if uint32(stack[0]) == TooDeep {
				panic(errTestDeep)
			}
			now := uint32(m.ExportedGlobal("n").Get())
			most = max(most, now-before)
			before = now
			if n++; n == ticks {
				panic(errTestStop)
			}
			stack[0] = fuel
		}
		i32 := []api.ValueType{api.ValueTypeI32}
		_, err := r.NewHostModuleBuilder(Module).NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(tick), i32, i32).Export(Tick).Instantiate(ctx)
		if err != nil {
			t.Fatal(err)
		}
		nothing := api.GoFunc(func(context.Context, []uint64) {})
		if _, err := r.NewHostModuleBuilder("env").NewFunctionBuilder().WithGoFunction(nothing, nil, nil).Export("h").Instantiate(ctx); err != nil {
			t.Fatal(err)
		}
		m := rewritten(t, r, counter(bodies...), roomy())
		if _, err := m.ExportedFunction("f").Call(ctx); !errors.Is(err, errTestStop) {
			t.Errorf("%s: got %v, want %v", name, err, errTestStop)
		}
		if 4*most > fuel+freeRegion { // to count takes four
			t.Errorf("%s: %d instructions with fuel for %d", name, 4*most, fuel)
		}
		if most < 100 {
			t.Errorf("%s: at most %d between two ticks: that is no work", name, most)
		}
		_ = r.Close(ctx)
	}
}

// counter is graphModule with six local variables and an exported global.
func counter(bodies ...[]byte) []byte {
	functions, code := []byte{byte(len(bodies))}, []byte{byte(len(bodies))}
	for _, b := range bodies {
		functions = append(functions, 0)
		code = append(code, body([]byte{1, 6, typeI32}, b...)...)
	}
	return assemble(
		section(sectionType, 2, typeFunction, 0, 0, typeFunction, 1, typeI32, 1, typeI32),
		section(sectionImport, 1, 3, 'e', 'n', 'v', 1, 'h', kindFunction, 0),
		section(sectionFunction, functions...),
		section(sectionGlobal, 1, typeI32, 1, opI32Const, 0, opEnd),
		section(sectionExport, 2, 1, 'f', kindFunction, 1, 1, 'n', kindGlobal, 0),
		section(sectionCode, code...),
	)
}
