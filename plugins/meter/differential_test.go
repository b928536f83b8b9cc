package meter

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// program makes a valid module of whatever bytes it is given: each byte is a
// choice. All its functions end, because they share a budget.
type program struct {
	choices []byte
	wild    bool // addresses may lie anywhere
	lasting bool // with what no reset undoes

	out    []byte
	sig    signature // of the function being made
	labels [][]byte  // what a branch takes, outermost first
	nested int
}

type signature struct{ params, results []byte }

const (
	progI32, progI64, progF64 = typeI32, typeI64, typeF64
	budget                    = 150
)

// signatures are the program's types; its functions have the first ones, in turn.
func signatures() []signature {
	return []signature{
		{[]byte{progI32}, []byte{progI32}},
		{nil, nil},
		{[]byte{progI32, progI64}, []byte{progI32, progI64}},
		{[]byte{progF64}, []byte{progF64}},
		{[]byte{progI32, progI32}, []byte{progI32}},
	}
}

func (p *program) choose(n int) int {
	if len(p.choices) == 0 {
		return 0
	}
	c := p.choices[0]
	p.choices = p.choices[1:]
	return int(c) % n
}

func (p *program) put(code ...byte) { p.out = append(p.out, code...) }

func (p *program) number() {
	v := int32(p.choose(256)) - 100
	if p.choose(5) == 0 {
		v *= 1 << p.choose(24)
	}
	p.out = appendS32(append(p.out, opI32Const), v)
}

// local pushes or sets one of the locals of type t: parameters may have others,
// so there are two locals of each type behind them.
func (p *program) local(op byte, t byte) {
	at := map[byte]int{progI32: 0, progI64: 2, progF64: 4}[t]
	p.put(op, byte(len(p.sig.params)+at+p.choose(2)))
}

func (p *program) global(op byte, t byte) {
	p.put(op, map[byte]byte{progI32: 1, progI64: 2, progF64: 3}[t])
}

// address pushes an address.
func (p *program) address() {
	p.value(progI32)
	if !p.wild {
		p.put(opI32Const, 0xff, 0xff, 0x00, 0x71) // & 0x3fff
	}
}

// values pushes one value of each type.
func (p *program) values(types []byte) {
	for _, t := range types {
		p.value(t)
	}
}

func (p *program) drop(n int) {
	for range n {
		p.put(opDrop)
	}
}

// value pushes a value of type t.
func (p *program) value(t byte) {
	p.nested++
	defer func() { p.nested-- }()
	if p.nested > 6 || len(p.choices) == 0 {
		p.local(opLocalGet, t)
		return
	}
	switch p.choose(10) {
	case 0:
		p.local(opLocalGet, t)
	case 1:
		p.global(opGlobalGet, t)
	case 2:
		p.put(opBlock, t)
		p.inside([]byte{t}, []byte{t})
	case 3:
		p.value(progI32)
		p.put(opIf, t)
		p.labels = append(p.labels, []byte{t})
		p.value(t)
		p.put(opElse)
		p.value(t)
		p.labels = p.labels[:len(p.labels)-1]
		p.put(opEnd)
	case 4:
		p.put(opLoop, t)
		p.inside(nil, []byte{t})
	case 5: // a loop with a parameter: type 0 or 3 is (t) -> t
		if t == progI64 {
			p.put(opI64Const, byte(p.choose(64)))
			return
		}
		p.value(t)
		p.put(opLoop, map[byte]byte{progI32: 0, progF64: 3}[t])
		p.local(opLocalSet, t)
		p.inside([]byte{t}, []byte{t})
	case 6: // a branch; what follows it can't be reached
		p.branch()
	default:
		p.arithmetic(t)
	}
}

// inside makes the inside of a block: statements and its results. label is what
// a branch to it takes.
func (p *program) inside(label, results []byte) {
	p.spend()
	p.labels = append(p.labels, label)
	p.statements()
	p.values(results)
	p.labels = p.labels[:len(p.labels)-1]
	p.put(opEnd)
}

// spend takes one from the budget and traps when nothing is left.
func (p *program) spend() {
	p.put(opGlobalGet, 0, opI32Const, 1, opI32Sub, opLocalTee, byte(len(p.sig.params)+6), opGlobalSet, 0)
	p.put(opLocalGet, byte(len(p.sig.params)+6), 0x45 /* i32.eqz */, opIf, typeEmpty, 0x00, opEnd)
}

func (p *program) arithmetic(t byte) {
	switch t {
	case progI32:
		switch p.choose(6) {
		case 0:
			p.number()
		case 1:
			p.put(opMemorySize, 0)
		case 2:
			p.value(progI32)
			p.put(opMemoryGrow, 0)
		case 3:
			p.address()
			p.put(0x2d, 0, 1) // i32.load8_u
		default:
			p.value(t)
			p.value(t)
			p.put([]byte{opI32Add, opI32Sub, 0x6c, 0x6d /* div_s */, 0x71, 0x73, 0x48, opI32ShrU}[p.choose(8)])
		}
	case progI64:
		p.value(progI32)
		p.put(0xac) // i64.extend_i32_s
		p.value(t)
		p.put(0x7c)
	default:
		p.value(progI32)
		p.put(0xb7) // f64.convert_i32_s
	}
}

// branch makes an unconditional branch out of some block, or a return.
func (p *program) branch() {
	switch p.choose(4) {
	case 0:
		p.values(p.sig.results)
		p.put(opReturn)
	case 1:
		p.tailCall()
	case 2:
		l := p.choose(len(p.labels))
		p.values(p.labels[len(p.labels)-1-l])
		p.put(opBr, byte(l))
	default: // all targets of one type
		l := p.choose(len(p.labels))
		want := p.labels[len(p.labels)-1-l]
		targets := []byte{byte(l)}
		for i := range p.labels {
			if bytes.Equal(p.labels[len(p.labels)-1-i], want) {
				targets = append(targets, byte(i))
			}
		}
		p.values(want)
		p.value(progI32)
		p.put(opBrTable, byte(len(targets)-1))
		p.put(targets...)
	}
}

// tailCall calls a function of the same results in place of this one.
func (p *program) tailCall() {
	for i, s := range signatures() {
		if bytes.Equal(s.results, p.sig.results) && p.choose(2) == 0 {
			p.values(s.params)
			if p.choose(2) == 0 {
				p.put(opReturnCall, byte(1+i))
				return
			}
			p.value(progI32)
			p.put(opReturnCallIndirect, byte(i), 0)
			return
		}
	}
	p.put(0x00)
}

func (p *program) statements() {
	for range p.choose(5) {
		p.statement()
	}
}

func (p *program) statement() {
	p.nested++
	defer func() { p.nested-- }()
	if p.nested > 6 || len(p.choices) == 0 {
		p.put(0x01)
		return
	}
	types := []byte{progI32, progI64, progF64}
	switch p.choose(13) {
	case 0:
		t := types[p.choose(3)]
		p.value(t)
		p.local(opLocalSet, t)
	case 1:
		t := types[p.choose(3)]
		p.value(t)
		p.global(opGlobalSet, t)
	case 2:
		p.address()
		p.value(progI32)
		p.put(0x36, 2, 0) // i32.store
	case 3:
		p.value(progI32)
		p.put(opCall, 0) // note
	case 4:
		i := p.choose(len(signatures()))
		s := signatures()[i]
		p.values(s.params)
		if p.choose(2) == 0 {
			p.put(opCall, byte(1+i))
		} else {
			p.value(progI32)
			p.put(opI32Const, 7, 0x71, opCallIndirect, byte(i), 0) // one of the first elements
		}
		p.drop(len(s.results))
	case 5:
		p.put(opBlock, typeEmpty)
		p.inside(nil, nil)
	case 6:
		p.value(progI32)
		p.put(opIf, typeEmpty)
		p.inside(nil, nil)
	case 7: // a loop that goes on while something
		p.put(opLoop, typeEmpty)
		p.spend()
		p.labels = append(p.labels, nil)
		p.statements()
		p.value(progI32)
		p.put(opBrIf, 0)
		p.labels = p.labels[:len(p.labels)-1]
		p.put(opEnd)
	case 8:
		l := p.choose(len(p.labels))
		want := p.labels[len(p.labels)-1-l]
		p.values(want)
		p.value(progI32)
		p.put(opBrIf, byte(l))
		p.drop(len(want))
	case 9:
		p.address()
		p.value(progI32)
		p.value(progI32)
		p.put(opI32Const, 0xff, 0x3f, 0x71, opPrefixBulk, bulkMemoryFill, 0)
	case 10:
		p.address()
		p.address()
		p.put(opI32Const, 0xff, 0x00, opPrefixBulk, bulkMemoryCopy, 0, 0)
	case 11:
		p.put(opBlock, 1) // () -> ()
		p.inside(nil, nil)
	default:
		if p.lasting {
			p.put([][]byte{
				{opI32Const, 3, opRefNull, 0x70, opTableSet, 0},
				{opRefNull, 0x70, opI32Const, 1, opPrefixBulk, bulkTableGrow, 0, opDrop},
				{opI32Const, 0, opRefFunc, 2, opI32Const, 2, opPrefixBulk, bulkTableFill, 0},
				{opPrefixBulk, bulkDatumDrop, 0},
			}[p.choose(4)]...)
			return
		}
		p.put(opI32Const, 0, opI32Const, 1, opI32Const, 2, opPrefixBulk, bulkMemoryInit, 0, 0)
	}
}

// module makes the whole module.
func (p *program) module() []byte {
	p.wild, p.lasting = p.choose(4) == 1, p.choose(4) == 1
	sigs := signatures()
	types := []byte{byte(len(sigs) + 1)}
	for _, s := range sigs {
		types = append(append(types, typeFunction, byte(len(s.params))), s.params...)
		types = append(append(types, byte(len(s.results))), s.results...)
	}
	types = append(types, typeFunction, 1, typeI32, 0) // of note
	functions, exports, elements := []byte{byte(len(sigs))}, []byte{byte(len(sigs) + 5)}, []byte{1, 0, opI32Const, 0, opEnd, byte(len(sigs))}
	code := []byte{byte(len(sigs))}
	for i, s := range sigs {
		functions = append(functions, byte(i))
		exports = append(exports, 1, 'a'+byte(i), kindFunction, byte(1+i))
		elements = append(elements, byte(1+i))
		p.sig, p.out, p.labels = s, nil, [][]byte{s.results}
		p.spend()
		p.statements()
		p.values(s.results)
		code = append(code, body([]byte{4, 2, progI32, 2, progI64, 2, progF64, 1, progI32}, p.out...)...)
	}
	exports = append(exports, 1, 'm', kindMemory, 0)
	for i := range byte(4) {
		exports = append(exports, 1, '0'+i, kindGlobal, i)
	}
	return assemble(
		section(sectionType, types...),
		section(sectionImport, 1, 3, 'e', 'n', 'v', 4, 'n', 'o', 't', 'e', kindFunction, byte(len(sigs))),
		section(sectionFunction, functions...),
		section(sectionTable, 1, 0x70, 0, 6),
		section(sectionMemory, 1, 1, 1, 4),
		section(sectionGlobal, append([]byte{
			4, typeI32, 1, opI32Const, 0, opEnd, typeI32, 1, opI32Const, 5, opEnd, typeI64, 1, opI64Const, 7, opEnd, typeF64, 1, opF64Const,
		}, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, opEnd)...),
		section(sectionExport, exports...),
		section(sectionElement, elements...),
		section(sectionDatumSize, 1),
		section(sectionCode, code...),
		section(sectionDatum, 1, 1, 3, 'a', 'b', 'c'),
	)
}

// outcome is everything that can be seen of a run, as text.
func outcome(m api.Module, notes *[]uint64) string {
	var b bytes.Buffer
	*notes = nil
	for i, s := range signatures() {
		m.ExportedGlobal("0").(api.MutableGlobal).Set(budget)
		args := make([]uint64, len(s.params))
		for j := range args {
			args[j] = uint64(j + 3)
		}
		results, err := m.ExportedFunction(string(rune('a'+i))).Call(context.Background(), args...)
		fmt.Fprintf(&b, "%d: %x %s\n", i, results, kindOf(err))
	}
	for i := range 4 {
		fmt.Fprintf(&b, "global %d: %x\n", i, m.ExportedGlobal(string(rune('0'+i))).Get())
	}
	fmt.Fprintf(&b, "notes: %x\n", *notes)
	memory := memoryOf(m)
	for len(memory) > 0 && memory[len(memory)-1] == 0 {
		memory = memory[:len(memory)-1]
	}
	fmt.Fprintf(&b, "memory: %x\n", memory)
	return b.String()
}

// kindOf is what an error says before its trace.
func kindOf(err error) string {
	if err == nil {
		return ""
	}
	first, _, _ := strings.Cut(err.Error(), "\n")
	return first
}

// twins are two runtimes in which a program runs, once as it is and once
// rewritten.
type twins struct {
	r     [2]wazero.Runtime
	notes []uint64
}

func newTwins(t testing.TB) *twins {
	w := &twins{}
	for i := range w.r {
		w.r[i] = newRuntime(t, 7, nil) // ticks all the time
		note := func(_ context.Context, stack []uint64) { w.notes = append(w.notes, uint64(uint32(stack[0]))) }
		_, err := w.r[i].NewHostModuleBuilder("env").NewFunctionBuilder().
			WithGoFunction(api.GoFunc(note), []api.ValueType{api.ValueTypeI32}, nil).Export("note").Instantiate(context.Background())
		if err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// compare makes a program of choices, and runs it as it is, rewritten, and once
// more after a reset.
func (w *twins) compare(t testing.TB, choices []byte) {
	t.Helper()
	ctx := context.Background()
	p := &program{choices: choices}
	wasm := p.module()
	rewritten, err := Rewrite(wasm, roomy())
	if err != nil {
		t.Fatalf("%v\n%x", err, wasm)
	}
	var m [2]api.Module
	for i, code := range [][]byte{wasm, rewritten} {
		if m[i], err = w.r[i].InstantiateWithConfig(ctx, code, wazero.NewModuleConfig().WithName("")); err != nil {
			t.Fatalf("module %d: %v\n%x", i, err, code)
		}
		defer m[i].Close(ctx)
	}
	resets := m[1].ExportedFunction(Restore) != nil
	var memory []byte
	if resets {
		if err := call0(m[1], Save); err != nil {
			t.Fatal(err)
		}
		memory = slices.Clone(memoryOf(m[1]))
	}
	want, got := outcome(m[0], &w.notes), outcome(m[1], &w.notes)
	if got != want {
		t.Fatalf("rewritten:\n%s\noriginal:\n%s\n%x", got, want, wasm)
	}
	if !resets || p.wild && len(memoryOf(m[1])) > len(memory) {
		return // hidden memory doesn't trap
	}
	if err := call0(m[1], Restore); err != nil {
		t.Fatal(err)
	}
	now := memoryOf(m[1])
	clear(now[copy(now, memory):])
	if got := outcome(m[1], &w.notes); got != want {
		t.Fatalf("after a reset:\n%s\nbefore:\n%s\n%x", got, want, wasm)
	}
}

// Programs of random choices do the same rewritten as they did before, and the
// same again after a reset.
func TestRewrittenProgramsDoTheSame(t *testing.T) {
	w := newTwins(t)
	n := 1000
	if testing.Short() {
		n = 100
	}
	for seed := range uint64(n) {
		random := rand.New(rand.NewPCG(seed, 1))
		choices := make([]byte, 100+random.IntN(1500))
		for i := range choices {
			choices[i] = byte(random.Uint32())
		}
		w.compare(t, choices)
	}
}

func FuzzExecute(f *testing.F) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		choices := make([]byte, 500)
		for i := range choices {
			choices[i] = byte(random.Uint32())
		}
		f.Add(choices)
	}
	w := newTwins(f)
	f.Fuzz(func(t *testing.T, choices []byte) { w.compare(t, choices) })
}
