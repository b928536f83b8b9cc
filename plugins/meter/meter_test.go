package meter

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// The tests write modules by hand: sections of bytes.

func section(id byte, content ...byte) []byte {
	return appendSection(nil, id, content)
}

func assemble(sections ...[]byte) []byte {
	return append([]byte("\x00asm\x01\x00\x00\x00"), bytes.Join(sections, nil)...)
}

// body is a function's code without the final end.
func body(locals []byte, code ...byte) []byte {
	b := append(append([]byte{}, locals...), code...)
	b = append(b, opEnd)
	return append(appendU32(nil, uint32(len(b))), b...)
}

// one is a module with one exported function "f" of type (i32) -> i32, a memory
// and a table.
func one(code ...byte) []byte {
	return assemble(
		section(sectionType, 1, typeFunction, 1, typeI32, 1, typeI32),
		section(sectionFunction, 1, 0),
		section(sectionTable, 1, 0x70, 0, 1),
		section(sectionMemory, 1, 0, 1),
		section(sectionExport, 2, 1, 'f', kindFunction, 0, 1, 'm', kindMemory, 0),
		section(sectionElement, 1, 0, opI32Const, 0, opEnd, 1, 0),
		section(sectionCode, append([]byte{1}, body([]byte{0}, code...)...)...),
	)
}

func smallLimits() Limits { return Limits{MemoryPages: 4, TableElements: 10, Depth: 1000} }

func rewritten(t testing.TB, r wazero.Runtime, wasm []byte, limits Limits) api.Module {
	t.Helper()
	out, err := Rewrite(wasm, limits)
	if err != nil {
		t.Fatal(err)
	}
	m, err := r.Instantiate(context.Background(), out)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func call(m api.Module, arg uint64) (uint64, error) {
	results, err := m.ExportedFunction("f").Call(context.Background(), arg)
	if err != nil {
		return 0, err
	}
	return results[0], nil
}

func TestEndlessLoopIsStopped(t *testing.T) {
	ticks := 100
	m := rewritten(t, newRuntime(t, 10_000, &ticks), one(opLoop, typeEmpty, opBr, 0, opEnd, opLocalGet, 0), smallLimits())
	if _, err := call(m, 1); !errors.Is(err, errTestStop) {
		t.Errorf("got %v, want %v", err, errTestStop)
	}
}

// A function that only calls itself has no loop; it is charged all the same,
// and its depth is bounded.
func TestRecursionIsBounded(t *testing.T) {
	m := rewritten(t, newRuntime(t, 1<<30, nil), one(opLocalGet, 0, opCall, 0), smallLimits())
	if _, err := call(m, 1); !errors.Is(err, errTestDeep) {
		t.Errorf("got %v, want %v", err, errTestDeep)
	}
	// Through the table as well.
	m = rewritten(t, newRuntime(t, 1<<30, nil), one(opLocalGet, 0, opI32Const, 0, opCallIndirect, 0, 0), smallLimits())
	if _, err := call(m, 1); !errors.Is(err, errTestDeep) {
		t.Errorf("got %v, want %v", err, errTestDeep)
	}
}

// Depth counts what is open, not what was called: every way out counts down.
func TestDepthIsCountedDown(t *testing.T) {
	// f(n) = n == 0 ? 7 : (f(n-1); return by one of several ways)
	recurse := func(out ...byte) []byte {
		code := []byte{
			opLocalGet, 0, 0x45 /* i32.eqz */, opIf, typeEmpty, opI32Const, 7, opReturn, opEnd,
			opLocalGet, 0, opI32Const, 1, opI32Sub, opCall, 0,
		}
		return one(append(code, out...)...)
	}
	for name, out := range map[string][]byte{
		"end":             {},
		"return":          {opReturn},
		"br to the end":   {opBr, 0},
		"return in block": {opDrop, opBlock, typeEmpty, opI32Const, 7, opReturn, opEnd, opI32Const, 9},
		"br_if":           {opI32Const, 1, opBrIf, 0},
		"br_table":        {opI32Const, 5, opBrTable, 1, 0, 0},
		"tail call":       {opDrop, opI32Const, 0, opReturnCall, 0},
	} {
		m := rewritten(t, newRuntime(t, 1<<30, nil), recurse(out...), smallLimits())
		for range 50 {
			if got, err := call(m, 900); err != nil || got != 7 {
				t.Fatalf("%s: got %d %v, want 7", name, got, err)
			}
		}
	}
}

func TestMemoryAndTableHaveMaxima(t *testing.T) {
	m := rewritten(t, newRuntime(t, 1<<30, nil), one(opLocalGet, 0, opMemoryGrow, 0), smallLimits())
	// From one page to the four that are allowed.
	if got, err := call(m, 3); err != nil || got != 1 {
		t.Errorf("grow by 3: got %d %v, want 1", int32(got), err)
	}
	if got, err := call(m, 1); err != nil || int32(got) != -1 {
		t.Errorf("grow by 1 more: got %d %v, want -1", int32(got), err)
	}
	m = rewritten(t, newRuntime(t, 1<<30, nil), one(opRefNull, 0x70, opLocalGet, 0, opPrefixBulk, bulkTableGrow, 0), smallLimits())
	if got, err := call(m, 9); err != nil || got != 1 {
		t.Errorf("table.grow by 9: got %d %v, want 1", int32(got), err)
	}
	if got, err := call(m, 1); err != nil || int32(got) != -1 {
		t.Errorf("table.grow by 1 more: got %d %v, want -1", int32(got), err)
	}
}

func TestMinimumAboveTheLimitIsRefused(t *testing.T) {
	limits := smallLimits()
	limits.MemoryPages = 0
	var limit *LimitError
	if _, err := Rewrite(one(opLocalGet, 0), limits); !errors.As(err, &limit) || limit.What != "memory" || limit.Need != 1 {
		t.Errorf("got %v, want a memory limit", err)
	}
	limits = smallLimits()
	limits.TableElements = 0
	if _, err := Rewrite(one(opLocalGet, 0), limits); !errors.As(err, &limit) || limit.What != "table" {
		t.Errorf("got %v, want a table limit", err)
	}
}

// One instruction that fills megabytes isn't one unit of fuel.
func TestBulkInstructionsCostBySize(t *testing.T) {
	fill := one(opI32Const, 0, opI32Const, 0, opLocalGet, 0, opPrefixBulk, bulkMemoryFill, 0, opI32Const, 1)
	ticks := 0
	r := newRuntime(t, 1000, &ticks)
	m := rewritten(t, r, fill, smallLimits())
	spend := func(n uint64) int {
		ticks = 1000
		if _, err := call(m, n); err != nil {
			t.Fatal(err)
		}
		return 1000 - ticks
	}
	spend(0) // the first fuel
	if got := spend(1); got != 0 {
		t.Errorf("filling a byte took %d ticks", got)
	}
	if got := spend(65536); got != 1 {
		t.Errorf("filling a page took %d ticks, want 1", got)
	}
}

// A collection needs all goroutines to stop; a computing guest must let it.
func TestCollectorIsNotHeldUp(t *testing.T) {
	stop := make(chan struct{})
	done := make(chan struct{})
	spin := rewritten(t, newRuntimeUntil(t, stop), one(opLoop, typeEmpty, opBr, 0, opEnd, opLocalGet, 0), smallLimits())
	go func() {
		defer close(done)
		_, _ = call(spin, 1)
	}()
	worst := time.Duration(0)
	for range 10 {
		begin := time.Now()
		runtime.GC()
		worst = max(worst, time.Since(begin))
	}
	close(stop)
	<-done
	if worst > 30*time.Second {
		t.Errorf("a collection took %v while a guest was computing", worst)
	}
}

// newRuntimeUntil gives fuel until stop is closed.
func newRuntimeUntil(t *testing.T, stop <-chan struct{}) wazero.Runtime {
	t.Helper()
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler())
	t.Cleanup(func() { _ = r.Close(ctx) })
	tick := func(_ context.Context, stack []uint64) {
		select {
		case <-stop:
			panic(errTestStop)
		default:
			stack[0] = 1_000_000
		}
	}
	_, err := r.NewHostModuleBuilder(Module).NewFunctionBuilder().
		WithGoFunction(api.GoFunc(tick), []api.ValueType{api.ValueTypeI32}, []api.ValueType{api.ValueTypeI32}).
		Export(Tick).Instantiate(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestFunctionNamesSurvive(t *testing.T) {
	names := append(appendName(nil, "name"), 1, 5, 1, 0, 2, 'm', 'e')
	wasm := append(one(0x00 /* unreachable */), section(sectionCustom, names...)...)
	m := rewritten(t, newRuntime(t, 1<<30, nil), wasm, smallLimits())
	if _, err := call(m, 1); err == nil || !strings.Contains(err.Error(), ".me(") {
		t.Errorf("the trace names no function: %v", err)
	}
}

// Without names a trace has those of the exports.
func TestExportsName(t *testing.T) {
	damaged := append(appendName(nil, "name"), 1, 5, 1, 0, 9, 'm', 'e')
	for what, wasm := range map[string][]byte{
		"no names":      one(0x00 /* unreachable */),
		"damaged names": append(one(0x00), section(sectionCustom, damaged...)...),
	} {
		m := rewritten(t, newRuntime(t, 1<<30, nil), wasm, smallLimits())
		var export string
		for export = range m.ExportedFunctionDefinitions() {
			if export != Save && export != Restore {
				break
			}
		}
		if _, err := call(m, 1); err == nil || !strings.Contains(err.Error(), "."+export+"(") {
			t.Errorf("%s: the trace doesn't name %s: %v", what, export, err)
		}
	}
}

// What can't be metered is refused and named, never passed through.
func TestUnknownIsRefused(t *testing.T) {
	f := func(wasm []byte, want string) {
		t.Helper()
		if _, err := Rewrite(wasm, smallLimits()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	f(nil, "not a WebAssembly module")
	// A component.
	f([]byte("\x00asm\x0d\x00\x01\x00"), "not a WebAssembly module")
	// Atomics, exceptions, typed function references, relaxed SIMD.
	f(one(0xfe, 0x03, 0x00), "0xfe")
	f(one(0x08, 0x00), "0x08")
	f(one(0x14, 0x00), "0x14")
	f(one(opPrefixVector, 0x80, 0x02), "relaxed SIMD")
	// Tags, 64-bit memory, somebody who imports the meter.
	f(assemble(section(13, 0)), "section 13")
	f(assemble(section(sectionMemory, 1, 4, 1)), "64-bit")
	f(assemble(section(sectionImport, append(append([]byte{1, 13}, Module...), 4, 't', 'i', 'c', 'k', 0, 0)...)), "only the gateway")
	f(assemble(section(sectionDatumSize)), "data count section")
	// Cut off.
	whole := one(opLocalGet, 0)
	f(whole[:len(whole)-3], "unexpected end")
}

func FuzzRewrite(f *testing.F) {
	f.Add(one(opLoop, typeEmpty, opBr, 0, opEnd, opLocalGet, 0))
	f.Add(one(opLocalGet, 0, opI32Const, 0, opCallIndirect, 0, 0))
	f.Add(one(opI32Const, 0, opI32Const, 0, opLocalGet, 0, opPrefixBulk, bulkMemoryFill, 0, opI32Const, 1))
	f.Add(assemble(section(sectionGlobal, 1, 0x70, 0, opRefFunc, 0, opEnd)))
	f.Add(assemble(section(sectionElement, 1, 5, 0x70, 1, opRefFunc, 0, opEnd)))
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().WithCoreFeatures(testFeatures))
	f.Cleanup(func() { _ = r.Close(ctx) })
	f.Fuzz(func(t *testing.T, wasm []byte) {
		out, err := Rewrite(wasm, smallLimits())
		if err != nil {
			return
		}
		original, err := r.CompileModule(ctx, wasm)
		if err != nil {
			return // only valid modules must stay valid
		}
		defer original.Close(ctx)
		again, err := r.CompileModule(ctx, out)
		if err != nil {
			t.Fatalf("the rewritten module isn't valid: %v\noriginal %x\nrewritten %x", err, wasm, out)
		}
		_ = again.Close(ctx)
	})
}

func BenchmarkRewrite(b *testing.B) {
	wasm := one(opLoop, typeEmpty, opBr, 0, opEnd, opLocalGet, 0)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Rewrite(wasm, smallLimits()); err != nil {
			b.Fatal(err)
		}
	}
}

// Programs of several compilers stay valid.
func TestRewrittenPrograms(t *testing.T) {
	root := wazeroDir(t)
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().WithCoreFeatures(testFeatures))
	defer r.Close(ctx)
	tried := 0
	for _, pattern := range []string{
		"examples/*/*/testdata/*.wasm", "examples/*/testdata/*.wasm", "imports/*/testdata/*/*.wasm", "imports/*/*/testdata/*/*.wasm",
	} {
		files, _ := filepath.Glob(filepath.Join(root, pattern))
		for _, file := range files {
			wasm, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if original, err := r.CompileModule(ctx, wasm); err != nil {
				continue
			} else if err := original.Close(ctx); err != nil {
				t.Fatal(err)
			}
			out, err := Rewrite(wasm, roomy())
			if err != nil {
				t.Errorf("%s: %v", file, err)
				continue
			}
			if _, err := r.CompileModule(ctx, out); err != nil {
				t.Errorf("%s: %v", file, err)
			}
			t.Logf("%s: %d bytes, %.1f %% more", filepath.Base(filepath.Dir(file)), len(wasm), 100*float64(len(out)-len(wasm))/float64(len(wasm)))
			tried++
		}
	}
	if tried == 0 {
		t.Skip("wazero came without programs")
	}
}
