package meter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
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
	return newRuntimeOf(t, testFeatures, fuel, ticks)
}

func newRuntimeOf(t testing.TB, features api.CoreFeatures, fuel int32, ticks *int) wazero.Runtime {
	t.Helper()
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler().WithCoreFeatures(features))
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
	Text       string `json:"text"`
	Action     struct {
		Type   string      `json:"type"`
		Field  string      `json:"field"`
		Module string      `json:"module"`
		Args   []specValue `json:"args"`
	} `json:"action"`
	Expected []specValue `json:"expected"`
}

// lanes are a value's parts as text, and how many bits each has.
func (v specValue) lanes(t *testing.T) (lanes []string, bits int, float bool) {
	t.Helper()
	kind := v.Type
	if v.Type == "v128" {
		if err := json.Unmarshal(v.Value, &lanes); err != nil {
			t.Fatal(err)
		}
		return lanes, 128 / len(lanes), v.LaneType[0] == 'f'
	}
	lanes = []string{"null"}
	if len(v.Value) > 0 {
		if err := json.Unmarshal(v.Value, &lanes[0]); err != nil {
			t.Fatal(err)
		}
	}
	bits = 64
	if strings.HasSuffix(kind, "32") {
		bits = 32
	}
	return lanes, bits, kind[0] == 'f' && kind != "funcref"
}

// number reads a lane. wazero takes an external reference of zero for null.
func (v specValue) number(t *testing.T, s string, bits int) uint64 {
	t.Helper()
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
	if v.Type == "externref" {
		n++
	}
	return n
}

// words returns a value's bits as wazero takes them.
func (v specValue) words(t *testing.T) []uint64 {
	t.Helper()
	lanes, bits, _ := v.lanes(t)
	words := make([]uint64, max(1, len(lanes)*bits/64))
	for i, s := range lanes {
		words[i*bits/64] |= v.number(t, s, bits) << (i * bits % 64)
	}
	return words
}

// matches compares a result with what the specification expects: NaNs by kind,
// everything else bit by bit. It returns what is left of the results.
func (v specValue) matches(t *testing.T, got []uint64) (rest []uint64, ok bool) {
	t.Helper()
	lanes, bits, float := v.lanes(t)
	n := max(1, len(lanes)*bits/64)
	if len(got) < n {
		return nil, false
	}
	ok = true
	for i, s := range lanes {
		lane := got[i*bits/64] >> (i * bits % 64) & (1<<bits - 1)
		quiet := uint64(0x7ff8) << 48 // exponent and first bit of the fraction
		if bits == 32 {
			quiet = 0x7fc0 << 16
		}
		switch {
		case float && s == "nan:canonical":
			ok = ok && lane&(1<<(bits-1)-1) == quiet
		case float && s == "nan:arithmetic":
			ok = ok && lane&quiet == quiet
		default:
			ok = ok && lane == v.number(t, s, bits)
		}
	}
	return got[n:], ok
}

// trapText is what wazero says where the specification says text.
func trapText(text string) string {
	switch text {
	case "indirect call type mismatch", "indirect call":
		return "indirect call type mismatch"
	case "undefined element", "undefined", "out of bounds table access", "uninitialized", "uninitialized element":
		return "invalid table access"
	}
	if strings.HasPrefix(text, "uninitialized element") {
		return "invalid table access"
	}
	return text
}

// script runs one file of the specification's tests with rewritten modules.
type script struct {
	t         *testing.T
	dir       string
	r         wazero.Runtime
	modules   []api.Module // all that live
	last      []byte       // the last one's code, as it came
	named     map[string]api.Module
	resetable bool // all modules are

	assertions, again int
}

func (s *script) instantiate(wasm []byte, name string) (api.Module, error) {
	rewritten, err := Rewrite(wasm, roomy())
	if err != nil {
		return nil, fmt.Errorf("rewrite: %w", err)
	}
	return s.r.InstantiateWithConfig(context.Background(), rewritten, wazero.NewModuleConfig().WithName(name))
}

func (s *script) invoke(c *specCommand) ([]uint64, error) {
	m := s.modules[len(s.modules)-1]
	switch {
	case c.Action.Module != "":
		m = s.named[c.Action.Module]
	case c.Type == "assert_exhaustion": // what is too deep leaves a depth behind
		var err error
		if m, err = s.instantiate(s.last, ""); err != nil {
			s.t.Fatal(err)
		}
	}
	if c.Action.Type == "get" {
		return []uint64{m.ExportedGlobal(c.Action.Field).Get()}, nil
	}
	var args []uint64
	for _, a := range c.Action.Args {
		args = append(args, a.words(s.t)...)
	}
	return m.ExportedFunction(c.Action.Field).Call(context.Background(), args...)
}

// check runs one assertion.
func (s *script) check(c *specCommand) {
	s.t.Helper()
	got, err := s.invoke(c)
	switch c.Type {
	case "action":
	case "assert_return":
		rest, ok := got, err == nil
		for _, want := range c.Expected {
			if ok {
				rest, ok = want.matches(s.t, rest)
			}
		}
		if !ok || len(rest) > 0 {
			s.t.Errorf("line %d: %s: got %x %v, want %s", c.Line, c.Action.Field, got, err, c.Expected)
		}
	case "assert_trap":
		if err == nil || !strings.Contains(err.Error(), trapText(c.Text)) {
			s.t.Errorf("line %d: %s: got %x %v, want %q", c.Line, c.Action.Field, got, err, c.Text)
		}
	case "assert_exhaustion":
		if !errors.Is(err, errTestDeep) {
			s.t.Errorf("line %d: %s: got %x %v, want %v", c.Line, c.Action.Field, got, err, errTestDeep)
		}
	default:
		s.t.Errorf("line %d: nothing checks %q", c.Line, c.Type)
	}
}

// saved is one module's state.
type saved struct {
	m      api.Module
	memory []byte
}

func (s *script) save() (states []saved) {
	for _, m := range s.modules {
		if err := call0(m, Save); err != nil {
			s.t.Fatal(err)
		}
		state := saved{m: m}
		state.memory = slices.Clone(memoryOf(m))
		states = append(states, state)
	}
	return states
}

func (s *script) restore(states []saved) {
	for _, state := range states {
		if err := call0(state.m, Restore); err != nil {
			s.t.Fatal(err)
		}
		b := memoryOf(state.m)
		clear(b[copy(b, state.memory):])
	}
}

// memoryOf is a module's memory. Without one, wazero gives an interface with a
// nil in it.
func memoryOf(m api.Module) []byte {
	mem := m.Memory()
	if reflect.ValueOf(mem).IsNil() {
		return nil
	}
	b, _ := mem.Read(0, mem.Size())
	return b
}

func call0(m api.Module, name string) error {
	_, err := m.ExportedFunction(name).Call(context.Background())
	return err
}

// run runs all commands. Between two modules, the assertions run twice, with a
// reset between: nothing may be left of the first time.
func (s *script) run(commands []specCommand) {
	for i := 0; i < len(commands); {
		c := &commands[i]
		switch c.Type {
		case "action", "assert_return", "assert_trap", "assert_exhaustion":
			end := i + 1
			for end < len(commands) && commands[end].Type != "module" && commands[end].Type != "assert_uninstantiable" {
				end++
			}
			s.group(commands[i:end])
			i = end
			continue
		case "module":
			s.module(c, commands[i+1:])
		default:
			s.refused(c)
		}
		i++
	}
}

func (s *script) group(commands []specCommand) {
	var states []saved
	if s.resetable {
		states = s.save()
	}
	for round := range 2 {
		for i := range commands {
			c := &commands[i]
			switch c.Type {
			case "action", "assert_return", "assert_trap", "assert_exhaustion":
				s.check(c)
				if s.assertions++; round > 0 {
					s.again++
				}
			default:
				s.refused(c)
			}
		}
		if !s.resetable {
			return
		}
		s.restore(states)
	}
	// What follows expects the state that the first time left behind.
	for i := range commands {
		if c := &commands[i]; c.Action.Type == "invoke" {
			_, _ = s.invoke(c)
		}
	}
}

func (s *script) module(c *specCommand, next []specCommand) {
	wasm, err := os.ReadFile(filepath.Join(s.dir, c.Filename))
	if err != nil {
		s.t.Fatal(err)
	}
	name := ""
	if len(next) > 0 && next[0].Type == "register" {
		name = next[0].As
	}
	m, err := s.instantiate(wasm, name)
	if err != nil {
		s.t.Fatalf("line %d: %v", c.Line, err)
	}
	s.modules, s.last = append(s.modules, m), wasm
	s.resetable = s.resetable && m.ExportedFunction(Restore) != nil
	if c.Name != "" {
		s.named[c.Name] = m
	}
}

// refused tries what must not run: it must not panic either.
func (s *script) refused(c *specCommand) {
	if c.ModuleType == "text" || c.Filename == "" {
		return
	}
	wasm, err := os.ReadFile(filepath.Join(s.dir, c.Filename))
	if err != nil {
		s.t.Fatal(err)
	}
	if c.Type != "assert_uninstantiable" && c.Type != "assert_unlinkable" {
		_, _ = Rewrite(wasm, roomy())
		return
	}
	_, err = s.instantiate(wasm, "")
	if c.Text == "out of bounds table access" && err == nil {
		return // wazero lets segments stand outside of a table
	}
	if err == nil || c.Type == "assert_uninstantiable" && !strings.Contains(err.Error(), trapText(c.Text)) {
		s.t.Errorf("line %d: got %v, want %q", c.Line, err, c.Text)
	}
}

// Rewritten modules do what the specification expects, bit by bit and trap by
// trap, and they do it again after a reset.
func TestSpecification(t *testing.T) {
	root := filepath.Join(wazeroDir(t), "internal", "integration_test", "spectest")
	imported, err := os.ReadFile(filepath.Join(root, "testdata", "spectest.wasm"))
	if err != nil {
		t.Skip(err)
	}
	assertions, again := 0, 0
	for suite, features := range map[string]api.CoreFeatures{
		"v1": api.CoreFeaturesV1 | api.CoreFeatureMultiValue, // which the meters use
		"v2": testFeatures, "extended-const": testFeatures, "tail-call": testFeatures,
	} {
		files, _ := filepath.Glob(filepath.Join(root, suite, "testdata", "*.json"))
		for i, file := range files {
			if testing.Short() && i%8 != 0 {
				continue
			}
			t.Run(suite+"/"+strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
				text, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				var commands struct{ Commands []specCommand }
				if err := json.Unmarshal(text, &commands); err != nil {
					t.Fatal(err)
				}
				s := &script{
					t: t, dir: filepath.Dir(file), r: newRuntimeOf(t, features, 1000, nil), named: map[string]api.Module{},
					// One file accesses memory that a reset has hidden, and expects a trap.
					resetable: filepath.Base(file) != "memory_grow.json",
				}
				if _, err := s.instantiate(imported, "spectest"); err != nil {
					t.Fatal(err)
				}
				s.run(commands.Commands)
				assertions, again = assertions+s.assertions, again+s.again
			})
		}
	}
	t.Logf("%d assertions, %d of them again after a reset", assertions, again)
	if !testing.Short() && (assertions < 100_000 || again < 50_000) {
		t.Errorf("only %d assertions, %d of them again", assertions, again)
	}
}
