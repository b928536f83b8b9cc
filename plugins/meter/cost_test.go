package meter

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// clang builds a program of testdata/wasm/meter.
func clang(t testing.TB, source string) []byte {
	t.Helper()
	compiler := ""
	for _, name := range []string{"clang-19", "clang"} {
		if path, err := exec.LookPath(name); err == nil {
			compiler = path
			break
		}
	}
	if compiler == "" {
		t.Skip("no clang: make test brings it from Debian")
	}
	out := filepath.Join(t.TempDir(), "program.wasm")
	cmd := exec.Command(compiler, "-O2", "--target=wasm32", "-nostdlib", "-Wl,--no-entry", "-Wl,--export-memory", "-o", out,
		filepath.Join("..", "..", "testdata", "wasm", "meter", source))
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	wasm, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return wasm
}

// byteLoop takes a page a byte at a time, h = step(h, byte), and returns h after
// as many rounds as its argument says. Nothing suffers more from a meter than the
// shortest loops.
func byteLoop(step ...byte) []byte {
	code := []byte{
		opI32Const, 0x01, opLocalSet, 1, // h
		opLoop, typeEmpty,
		opI32Const, 0, opLocalSet, 2, // i = 0
		opLoop, typeEmpty,
		opLocalGet, 1, opLocalGet, 2, 0x2d, 0, 0, // h, mem[i]
	}
	code = append(code, step...)
	code = append(code,
		opLocalSet, 1,
		opLocalGet, 2, opI32Const, 1, opI32Add, opLocalTee, 2,
		opI32Const, 0x80, 0x80, 0x04, 0x49, opBrIf, 0, // < 65536
		opEnd,
		opLocalGet, 0, opI32Const, 1, opI32Sub, opLocalTee, 0, opBrIf, 0,
		opEnd, opLocalGet, 1,
	)
	return assemble(
		section(sectionType, 1, typeFunction, 1, typeI32, 1, typeI32),
		section(sectionFunction, 1, 0),
		section(sectionMemory, 1, 0, 1),
		section(sectionExport, 2, 1, 'f', kindFunction, 0, 1, 'm', kindMemory, 0),
		section(sectionCode, append([]byte{1}, body([]byte{1, 2, typeI32}, code...)...)...),
	)
}

// padded returns the module with n more instructions in its first function, which
// move the code of all others: how fast a short loop is depends on where it lies, by
// more than what is measured here.
func padded(t testing.TB, wasm []byte, n int) []byte {
	t.Helper()
	w := &rewriter{}
	if err := w.split(wasm); err != nil {
		t.Fatal(err)
	}
	r := reader{b: w.sections[sectionCode]}
	out := appendU32(nil, r.count())
	body := reader{b: r.take(uint64(r.u32()))}
	for range body.count() {
		body.u32()
		valueType(&body)
	}
	code := append([]byte{}, body.b[:body.pos]...)
	for range n {
		code = append(code, opI32Const, 0x10, opI32Const, 0, 0x36, 2, 0) // i32.store
	}
	code = append(code, body.b[body.pos:]...)
	out = append(append(appendU32(out, uint32(len(code))), code...), r.b[r.pos:]...)
	w.sections[sectionCode] = out
	return w.join(len(wasm))
}

// cost returns how many times as long the rewritten function takes, and how many
// times when nothing is taken for granted: the best of several rounds of each, in
// turns, so that what else the machine does hits all of them, and the mean over
// places where the code lies.
func cost(t testing.TB, wasm []byte, name string, arg uint64) (metered, plain float64) {
	t.Helper()
	ctx := context.Background()
	r := newRuntime(t, 1_000_000, nil)
	const places = 4
	var took [3]time.Duration
	for place := range places {
		modules := [3][]byte{padded(t, wasm, place)}
		for i := range 2 {
			var err error
			if modules[1+i], err = rewrite(modules[0], roomy(), i == 1); err != nil {
				t.Fatal(err)
			}
		}
		var f [3]api.Function
		for i, b := range modules {
			m, err := r.InstantiateWithConfig(ctx, b, wazero.NewModuleConfig().WithName(""))
			if err != nil {
				t.Fatal(err)
			}
			f[i] = m.ExportedFunction(name)
		}
		var best [3]time.Duration
		var results [3]uint64
		for round := range 300 {
			for i := range f {
				begin := time.Now()
				res, err := f[i].Call(ctx, arg)
				took := time.Since(begin)
				if err != nil {
					t.Fatal(err)
				}
				if results[i] = res[0]; round == 0 || took < best[i] {
					best[i] = took
				}
			}
		}
		if results[0] != results[1] || results[0] != results[2] {
			t.Fatalf("%s: the original returns %d, the rewritten %d and %d", name, results[0], results[1], results[2])
		}
		for i := range took {
			took[i] += best[i]
		}
	}
	return float64(took[1]) / float64(took[0]), float64(took[2]) / float64(took[0])
}

// report runs cost for a benchmark.
func report(b *testing.B, wasm []byte, name string, arg uint64) {
	for b.Loop() {
		metered, plain := cost(b, wasm, name, arg)
		b.ReportMetric(metered, "times")
		b.ReportMetric(plain, "plain-times")
	}
}

// BenchmarkCost reports what metered code costs in units of the original's time, and
// what it costs when each loop and each call that leads on is charged.
func BenchmarkCost(b *testing.B) {
	for name, step := range map[string][]byte{
		"bytes/sum": {opI32Add},
		"bytes/fnv": {0x73, opI32Const, 0x93, 0x83, 0x80, 0x08, 0x6c}, // (h ^ b) * 16777619
	} {
		b.Run(name, func(b *testing.B) { report(b, byteLoop(step...), "f", 2) })
	}
	program := clang(b, "programs.c")
	for _, p := range []struct {
		name string
		arg  uint64
	}{{"hash", 2}, {"json", 2}, {"sha256", 1}, {"sort", 1}, {"matrix", 1}, {"fib", 21}} {
		b.Run(p.name, func(b *testing.B) { report(b, program, p.name, p.arg) })
	}
}
