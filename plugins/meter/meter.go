// Package meter rewrites WebAssembly modules so that they can be stopped: it is
// what keeps a plugin's endless loop, recursion or growth from being anybody
// else's problem.
//
// A rewritten module counts the instructions it runs in a global of its own, at
// the head of each loop and function that could run for ever or for long (graph.go,
// turns.go), and calls the host when its fuel is used up. That call is where the
// host checks a deadline, and where Go's scheduler gets its turn. The module also
// counts how deeply its calls nest (emit.go), its memory and tables have maxima, and
// it can go back to the state of an earlier moment (reset.go).
//
// The package is pure. It expects a module that was validated; whatever else it
// is given, it returns an error and doesn't panic.
package meter

import (
	"errors"
	"fmt"
)

// Version changes whenever equal input gives different output.
const Version = 6

// The function that a rewritten module imports: tick(reason i32) -> i32. The
// result is the fuel for the next slice, in instructions, above zero and at most
// 1<<30. To end the guest's call, the host panics in it.
const (
	Module = "postern_meter"
	Tick   = "tick"
)

// Reasons for which tick is called.
const (
	OutOfFuel = 0
	TooDeep   = 1 // the result is ignored, and the host is expected to panic
)

// Limits are what a rewritten module is held to.
type Limits struct {
	MemoryPages   uint32 // maximum of its memory, in pages of 64 KiB; at most 65536
	TableElements uint32 // maximum of each table
	Depth         uint32 // how deeply calls nest, at most 16383; a function with many locals counts for several
}

// LimitError is a module that starts with more than a limit allows.
type LimitError struct {
	What string // "memory" (pages), "table" (elements), "tables" or "functions" (how many)
	Need uint64
	Have uint64
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("%s: the module needs %d, at most %d are allowed", e.What, e.Need, e.Have)
}

const (
	maxFunctions = 100_000
	maxTables    = 16
)

// Sections of a module.
const (
	sectionCustom    = 0
	sectionType      = 1
	sectionImport    = 2
	sectionFunction  = 3
	sectionTable     = 4
	sectionMemory    = 5
	sectionGlobal    = 6
	sectionExport    = 7
	sectionStart     = 8
	sectionElement   = 9
	sectionCode      = 10
	sectionDatum     = 11
	sectionDatumSize = 12

	sectionCount = 13
)

// rewriter is one module on its way.
type rewriter struct {
	limits   Limits
	plain    bool // with a charge for each loop and call, whatever can be known about them
	sections [sectionCount][]byte
	present  [sectionCount]bool
	names    []byte // content of the name section
	customs  [][]byte
	exported []export // functions

	types     []funcType
	alike     []uint32 // for each type, a number that equal ones share
	functions []uint32 // type of each function, imported ones first
	imported  uint32   // functions
	globals   uint32   // imported ones
	tables    int
	memory    bool // there is one

	entries    map[uint32]bool // functions that others may call
	referred   map[uint32]bool // functions that may be in a table
	openTables bool            // what is in them may be others', or called by others

	code    []*function
	grows   bool       // memory
	changes bool       // what a reset can't bring back
	mutable []variable // the module's own globals that aren't constant

	additional map[string]uint32 // types beyond the module's own
	added      []byte            // these, encoded
	carriers   map[string]uint32 // functions of refillFor, by their parameters
	carried    [][]byte          // these parameters

	tick   uint32 // type of tick; behind it that of save and restore
	gauge  uint32 // global, as the following
	hidden uint32 // pages of memory that there are, but not for the guest
	pages  uint32 // of memory when Save was called
	shades uint32 // the first of the globals in which Save keeps the mutable ones
}

// export is an exported function, by its index in the rewritten module.
type export struct {
	name     string
	function uint32
}

// funcType is a function's signature, as encoded value types.
type funcType struct{ params, results []byte }

// Rewrite returns the module with its meters. Its behaviour is that of the
// original, but for the limits. The result has one more imported function,
// behind the module's own, and two more exports, Save and Restore, unless the
// module changes what they can't bring back; custom sections other than the
// function names and those that begin with "postern." are dropped.
func Rewrite(wasm []byte, limits Limits) ([]byte, error) {
	return rewrite(wasm, limits, false)
}

// rewrite is Rewrite, or with plain the simple form of it that takes nothing for
// granted about a module's loops and calls.
func rewrite(wasm []byte, limits Limits, plain bool) ([]byte, error) {
	limits.Depth = min(limits.Depth, maxDepth)
	w := &rewriter{
		limits: limits, plain: plain,
		additional: map[string]uint32{}, carriers: map[string]uint32{}, entries: map[uint32]bool{}, referred: map[uint32]bool{},
	}
	if err := w.split(wasm); err != nil {
		return nil, err
	}
	steps := []struct {
		name string
		run  func() error
	}{
		{"type", w.readTypes}, {"import", w.readImports}, {"function", w.readFunctions},
		{"table", w.rewriteTables}, {"memory", w.rewriteMemories}, {"global", w.rewriteGlobals},
		{"export", w.rewriteExports}, {"start", w.rewriteStart}, {"element", w.rewriteElements},
		{"code", w.scanCode}, {"code", w.rewriteCode},
	}
	for _, s := range steps {
		if err := s.run(); err != nil {
			return nil, fmt.Errorf("%s section: %w", s.name, err)
		}
	}
	w.writeOwn()
	w.writeTypes()
	w.writeImports()
	return w.join(len(wasm)), nil
}

// split takes the module apart into sections.
func (w *rewriter) split(wasm []byte) error {
	const header = "\x00asm\x01\x00\x00\x00"
	if len(wasm) < len(header) || string(wasm[:len(header)]) != header {
		return errors.New("not a WebAssembly module of version 1")
	}
	r := reader{b: wasm, pos: len(header)}
	for !r.done() {
		id := r.byte()
		content := r.take(uint64(r.u32()))
		switch {
		case r.err != nil:
			return r.err
		case id == sectionCustom:
			w.custom(content)
		case id >= sectionCount:
			return fmt.Errorf("section %d isn't supported", id)
		case w.present[id]:
			return fmt.Errorf("section %d comes twice", id)
		case id == sectionDatum && !plausible(content):
			return errors.New("data section: unexpected end")
		case id == sectionDatumSize && !numeric(content): // wazero reads on behind it
			return errors.New("data count section: not a number")
		default:
			w.sections[id], w.present[id] = content, true
		}
	}
	return r.err
}

// plausible reports whether a vector can have as many elements as it says. The
// sections that are rewritten are read element by element.
func plausible(content []byte) bool {
	r := reader{b: content}
	r.count()
	return r.err == nil
}

// numeric reports whether content is one number.
func numeric(content []byte) bool {
	r := reader{b: content}
	r.u32()
	return r.end() == nil
}

// custom keeps the custom sections that stay true after rewriting.
func (w *rewriter) custom(content []byte) {
	r := reader{b: content}
	name := string(r.take(uint64(r.u32())))
	switch {
	case r.err != nil:
	case name == "name":
		w.names = content[r.pos:]
	case len(name) > 8 && name[:8] == "postern.":
		w.customs = append(w.customs, content)
	}
}

// join writes the module.
func (w *rewriter) join(size int) []byte {
	order := [...]int{
		sectionType, sectionImport, sectionFunction, sectionTable, sectionMemory, sectionGlobal, sectionExport,
		sectionStart, sectionElement, sectionDatumSize, sectionCode, sectionDatum,
	}
	out := append(make([]byte, 0, size+size/4), "\x00asm\x01\x00\x00\x00"...)
	for _, id := range order {
		if w.present[id] {
			out = appendSection(out, byte(id), w.sections[id])
		}
	}
	out = appendSection(out, sectionCustom, w.rewriteNames())
	for _, content := range w.customs {
		out = appendSection(out, sectionCustom, content)
	}
	return out
}

func appendSection(out []byte, id byte, content []byte) []byte {
	out = append(out, id)
	out = appendU32(out, uint32(len(content)))
	return append(out, content...)
}

// shift returns a function's index in the rewritten module.
func (w *rewriter) shift(function uint32) uint32 {
	if function < w.imported {
		return function
	}
	return function + 1
}

// refer is shift for a function that may come into a table by that.
func (w *rewriter) refer(function uint32) uint32 {
	w.referred[function] = true
	w.openTables = w.openTables || function < w.imported
	return w.shift(function)
}
