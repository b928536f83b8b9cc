package meter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

const testFeatures = api.CoreFeaturesV2 | experimental.CoreFeaturesExtendedConst | experimental.CoreFeaturesTailCall

// roomy limits are never reached by the tests of the specification.
func roomy() Limits { return Limits{MemoryPages: 65536, TableElements: 1 << 31, Depth: 10_000} }

var (
	errTestDeep = errors.New("test: too deep")
	errTestStop = errors.New("test: stopped")
)

// newRuntime has the meter's import; each tick gives fuel, and the call ends
// after as many ticks as ticks allows.
func newRuntime(t testing.TB, fuel int32, ticks *int) wazero.Runtime {
	t.Helper()
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler().WithCoreFeatures(testFeatures))
	t.Cleanup(func() { _ = r.Close(ctx) })
	tick := func(_ context.Context, stack []uint64) {
		if uint32(stack[0]) == TooDeep {
			panic(errTestDeep)
		}
		if ticks != nil {
			if *ticks--; *ticks < 0 {
				panic(errTestStop)
			}
		}
		stack[0] = api.EncodeI32(fuel)
	}
	_, err := r.NewHostModuleBuilder(Module).NewFunctionBuilder().
		WithGoFunction(api.GoFunc(tick), []api.ValueType{api.ValueTypeI32}, []api.ValueType{api.ValueTypeI32}).
		Export(Tick).Instantiate(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// wazeroDir is where wazero's sources are, which come with modules to try.
func wazeroDir(t testing.TB) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/tetratelabs/wazero").Output()
	dir := strings.TrimSpace(string(out))
	if err != nil || dir == "" {
		t.Skip("wazero's sources aren't there")
	}
	return dir
}

type specValue struct {
	Type     string          `json:"type"`
	LaneType string          `json:"lane_type"`
	Value    json.RawMessage `json:"value"`
}

type specCommand struct {
	Type       string `json:"type"`
	Line       int    `json:"line"`
	Name       string `json:"name"`
	As         string `json:"as"`
	Filename   string `json:"filename"`
	ModuleType string `json:"module_type"`
	Action     struct {
		Type   string      `json:"type"`
		Field  string      `json:"field"`
		Module string      `json:"module"`
		Args   []specValue `json:"args"`
	} `json:"action"`
}

// words returns a value's bits as wazero takes them.
func (v specValue) words(t *testing.T) []uint64 {
	number := func(s string, bits int) uint64 {
		if s == "null" {
			return 0
		}
		if strings.HasPrefix(s, "-") {
			n, err := strconv.ParseInt(s, 10, bits)
			if err != nil {
				t.Fatal(err)
			}
			return uint64(n) & (1<<bits - 1)
		}
		n, err := strconv.ParseUint(s, 10, bits)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if v.Type != "v128" {
		var s string
		if err := json.Unmarshal(v.Value, &s); err != nil {
			return []uint64{0}
		}
		bits := 64
		if strings.HasSuffix(v.Type, "32") {
			bits = 32
		}
		return []uint64{number(s, bits)}
	}
	var lanes []string
	if err := json.Unmarshal(v.Value, &lanes); err != nil {
		t.Fatal(err)
	}
	width := 128 / len(lanes)
	words := []uint64{0, 0}
	for i, s := range lanes {
		at := i * width
		words[at/64] |= number(s, width) << (at % 64)
	}
	return words
}

// world is one runtime with the modules of a test, rewritten or not.
type world struct {
	r       wazero.Runtime
	rewrite bool
	named   map[string]api.Module
	last    api.Module
}

func (w *world) instantiate(wasm []byte, name string) (api.Module, error) {
	if w.rewrite {
		var err error
		if wasm, err = Rewrite(wasm, roomy()); err != nil {
			return nil, fmt.Errorf("rewrite: %w", err)
		}
	}
	return w.r.InstantiateWithConfig(context.Background(), wasm, wazero.NewModuleConfig().WithName(name))
}

func (w *world) invoke(t *testing.T, c *specCommand) ([]uint64, error) {
	m := w.last
	if c.Action.Module != "" {
		m = w.named[c.Action.Module]
	}
	if m == nil {
		return nil, errors.New("no module")
	}
	if c.Action.Type == "get" {
		return []uint64{m.ExportedGlobal(c.Action.Field).Get()}, nil
	}
	var args []uint64
	for _, a := range c.Action.Args {
		args = append(args, a.words(t)...)
	}
	return m.ExportedFunction(c.Action.Field).Call(context.Background(), args...)
}

// kindOf is what an error says before its trace.
func kindOf(err error) string {
	if err == nil {
		return ""
	}
	first, _, _ := strings.Cut(err.Error(), "\n")
	if _, rest, found := strings.Cut(first, "start function["); found {
		_, first, _ = strings.Cut(rest, "]") // its number is another one
	}
	return first
}

// The tests of the specification behave after rewriting as before: the same
// results bit by bit, and the same traps.
func TestRewrittenSpecTests(t *testing.T) {
	root := filepath.Join(wazeroDir(t), "internal", "integration_test", "spectest")
	helper, err := os.ReadFile(filepath.Join(root, "testdata", "spectest.wasm"))
	if err != nil {
		t.Skip(err)
	}
	modules, calls := 0, 0
	for _, suite := range []string{"v1", "v2", "extended-const", "tail-call"} {
		files, _ := filepath.Glob(filepath.Join(root, suite, "testdata", "*.json"))
		for i, file := range files {
			if testing.Short() && i%8 != 0 {
				continue
			}
			t.Run(suite+"/"+strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
				m, c := runSpec(t, file, helper)
				modules, calls = modules+m, calls+c
			})
		}
	}
	t.Logf("%d modules, %d calls", modules, calls)
	if !testing.Short() && calls < 10_000 {
		t.Errorf("only %d calls compared", calls)
	}
}

func runSpec(t *testing.T, file string, helper []byte) (modules, calls int) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var script struct {
		Commands []specCommand `json:"commands"`
	}
	if err := json.Unmarshal(text, &script); err != nil {
		t.Fatal(err)
	}
	worlds := []*world{
		{r: newRuntime(t, 1000, nil), named: map[string]api.Module{}},
		{r: newRuntime(t, 1000, nil), named: map[string]api.Module{}, rewrite: true},
	}
	for _, w := range worlds {
		if _, err := w.instantiate(helper, "spectest"); err != nil {
			t.Fatal(err)
		}
	}
	for i := range script.Commands {
		c := &script.Commands[i]
		switch c.Type {
		case "module":
			wasm, err := os.ReadFile(filepath.Join(filepath.Dir(file), c.Filename))
			if err != nil {
				t.Fatal(err)
			}
			name := ""
			if next := i + 1; next < len(script.Commands) && script.Commands[next].Type == "register" {
				name = script.Commands[next].As
			}
			modules++
			var kinds [2]string
			for j, w := range worlds {
				m, err := w.instantiate(wasm, name)
				if err != nil {
					kinds[j] = kindOf(err)
				}
				w.last = m
				if c.Name != "" {
					w.named[c.Name] = m
				}
			}
			if kinds[0] != kinds[1] {
				t.Errorf("line %d: instantiation of the original says %q, of the rewritten %q", c.Line, kinds[0], kinds[1])
			}
		case "assert_uninstantiable", "assert_unlinkable", "assert_invalid", "assert_malformed":
			wasm, err := os.ReadFile(filepath.Join(filepath.Dir(file), c.Filename))
			if err != nil || c.ModuleType == "text" {
				continue
			}
			_, _ = Rewrite(wasm, roomy()) // must not panic
			if c.Type == "assert_uninstantiable" {
				_, want := worlds[0].instantiate(wasm, "")
				_, got := worlds[1].instantiate(wasm, "")
				if kindOf(got) != kindOf(want) {
					t.Errorf("line %d: got %v, want %v", c.Line, got, want)
				}
			}
		case "action", "assert_return", "assert_trap":
			calls++
			want, wantErr := worlds[0].invoke(t, c)
			got, gotErr := worlds[1].invoke(t, c)
			if isReference(worlds[0], c) {
				continue // addresses differ
			}
			if kindOf(gotErr) != kindOf(wantErr) || !slices.Equal(got, want) {
				t.Errorf("line %d: %s: got %x %v, want %x %v", c.Line, c.Action.Field, got, gotErr, want, wantErr)
			}
		}
	}
	return modules, calls
}

func isReference(w *world, c *specCommand) bool {
	m := w.last
	if c.Action.Module != "" {
		m = w.named[c.Action.Module]
	}
	if m == nil || c.Action.Type == "get" {
		return m == nil || m.ExportedGlobal(c.Action.Field).Type() > api.ValueTypeI32 || m.ExportedGlobal(c.Action.Field).Type() < 0x7b
	}
	for _, r := range m.ExportedFunction(c.Action.Field).Definition().ResultTypes() {
		if r == 0x70 {
			return true
		}
	}
	return false
}
