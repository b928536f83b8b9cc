package meter

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// Kinds of imports and exports.
const (
	kindFunction = 0
	kindTable    = 1
	kindMemory   = 2
	kindGlobal   = 3
)

const (
	typeI32      = 0x7f
	typeI64      = 0x7e
	typeF32      = 0x7d
	typeF64      = 0x7c
	typeV128     = 0x7b
	typeFunction = 0x60
	typeEmpty    = 0x40
)

func (w *rewriter) readTypes() error {
	if !w.present[sectionType] {
		return nil
	}
	r := reader{b: w.sections[sectionType]}
	first := map[string]uint32{}
	for range r.count() {
		if form := r.byte(); form != typeFunction && r.err == nil {
			return fmt.Errorf("type %#02x isn't supported", form)
		}
		var t funcType
		t.params = valueTypes(&r)
		t.results = valueTypes(&r)
		w.types = append(w.types, t)
		signature := string(t.params) + ">" + string(t.results)
		like, known := first[signature]
		if !known {
			like = uint32(len(first))
			first[signature] = like
		}
		w.alike = append(w.alike, like)
	}
	return r.end()
}

func valueTypes(r *reader) []byte {
	n := r.count()
	start := r.pos
	for range n {
		valueType(r)
	}
	return r.b[start:r.pos]
}

// readImports counts what is imported: indices of what the module defines
// itself begin behind.
func (w *rewriter) readImports() error {
	if !w.present[sectionImport] {
		return nil
	}
	r := reader{b: w.sections[sectionImport]}
	for range r.count() {
		module := r.take(uint64(r.u32()))
		r.skip(uint64(r.u32()))
		if string(module) == Module {
			return fmt.Errorf("only the gateway may import from %s", Module)
		}
		switch kind := r.byte(); kind {
		case kindFunction:
			w.functions = append(w.functions, r.u32())
			w.imported++
		case kindTable:
			valueType(&r)
			r.limits()
			w.tables++
			w.openTables = true
		case kindMemory:
			r.limits()
			w.memory, w.changes = true, true // somebody else may grow it
		case kindGlobal:
			valueType(&r)
			w.changes = r.byte() != 0 || w.changes
			w.globals++
		default:
			if r.err == nil {
				return fmt.Errorf("import of kind %d isn't supported", kind)
			}
		}
	}
	return r.end()
}

// writeImports adds tick behind the module's own imports.
func (w *rewriter) writeImports() {
	count, rest := uint32(0), []byte(nil)
	if w.present[sectionImport] {
		r := reader{b: w.sections[sectionImport]}
		count = r.u32()
		rest = r.b[r.pos:]
	}
	out := append(appendU32(nil, count+1), rest...)
	out = appendName(appendName(out, Module), Tick)
	out = append(out, kindFunction)
	w.sections[sectionImport] = appendU32(out, w.tick)
	w.present[sectionImport] = true
}

// writeTypes adds the types that the rewriter needs behind the module's own.
func (w *rewriter) writeTypes() {
	own := w.sections[sectionType]
	if !w.present[sectionType] {
		own = []byte{0}
	}
	r := reader{b: own}
	count := r.u32()
	out := appendU32(nil, count+2+uint32(len(w.additional)))
	out = append(out, own[r.pos:]...)
	out = append(out, typeFunction, 1, typeI32, 1, typeI32, typeFunction, 0, 0)
	w.sections[sectionType] = append(out, w.added...)
	w.present[sectionType] = true
}

func (w *rewriter) readFunctions() error {
	w.tick = uint32(len(w.types))
	if !w.present[sectionFunction] {
		return nil
	}
	r := reader{b: w.sections[sectionFunction]}
	for range r.count() {
		w.functions = append(w.functions, r.u32())
	}
	if n := len(w.functions); n > maxFunctions {
		return &LimitError{"functions", uint64(n), maxFunctions}
	}
	for _, t := range w.functions {
		if uint64(t) >= uint64(len(w.types)) && r.err == nil {
			return fmt.Errorf("there is no type %d", t)
		}
	}
	return r.end()
}

// sizes are the limits of a table or memory.
type sizes struct {
	least, most uint32
	bounded     bool
}

func (r *reader) limits() sizes {
	var s sizes
	switch flag := r.byte(); flag {
	case 0:
		s.least = r.u32()
	case 1:
		s.least, s.most, s.bounded = r.u32(), r.u32(), true
	default:
		if r.err == nil {
			r.fail(errors.New("shared or 64-bit memory isn't supported"))
		}
	}
	return s
}

// bound appends s with at most limit as its maximum.
func (s sizes) bound(out []byte, what string, limit uint32) ([]byte, error) {
	if s.least > limit {
		return nil, &LimitError{what, uint64(s.least), uint64(limit)}
	}
	if !s.bounded || s.most > limit {
		s.most = limit
	}
	return appendU32(appendU32(append(out, 1), s.least), s.most), nil
}

func (w *rewriter) rewriteTables() error {
	if !w.present[sectionTable] {
		return nil
	}
	r := reader{b: w.sections[sectionTable]}
	n := r.count()
	if w.tables += int(n); w.tables > maxTables {
		return &LimitError{"tables", uint64(w.tables), maxTables}
	}
	out := appendU32(nil, n)
	for range n {
		out = append(out, valueType(&r))
		s := r.limits()
		if r.err != nil {
			return r.err
		}
		var err error
		if out, err = s.bound(out, "table", w.limits.TableElements); err != nil {
			return err
		}
	}
	w.sections[sectionTable] = out
	return r.end()
}

func (w *rewriter) rewriteMemories() error {
	if !w.present[sectionMemory] {
		return nil
	}
	r := reader{b: w.sections[sectionMemory]}
	n := r.count()
	out := appendU32(nil, n)
	for range n {
		w.memory = true
		s := r.limits()
		if r.err != nil {
			return r.err
		}
		var err error
		if out, err = s.bound(out, "memory", w.limits.MemoryPages); err != nil {
			return err
		}
	}
	w.sections[sectionMemory] = out
	return r.end()
}

// rewriteGlobals adds the meters' own globals behind the module's.
func (w *rewriter) rewriteGlobals() error {
	r := reader{b: w.sections[sectionGlobal]}
	n := uint32(0)
	if w.present[sectionGlobal] {
		n = r.count()
	}
	var out []byte
	for i := range n {
		t, mutable := valueType(&r), r.byte()
		out = w.constant(append(out, t, mutable), &r)
		if mutable != 0 {
			w.mutable = append(w.mutable, variable{w.globals + i, t})
		}
	}
	if r.err != nil {
		return r.err
	}
	next := w.globals + n
	w.gauge, w.hidden, w.pages = next, next+1, next+2
	out = append(append(out, typeI64, 1, opI64Const), appendS64(nil, w.ground())...)
	out = append(out, opEnd)
	for range 2 {
		out = appendVariable(out, typeI32)
	}
	for _, s := range w.mutable {
		out = appendVariable(out, s.kind)
	}
	w.shades = next + 3
	out = append(appendU32(nil, n+3+uint32(len(w.mutable))), out...)
	w.sections[sectionGlobal], w.present[sectionGlobal] = out, true
	return r.end()
}

// appendVariable appends a global of type t that begins as zero or null.
func appendVariable(out []byte, t byte) []byte {
	const mutable = 1
	out = append(out, t, mutable)
	switch t {
	case typeI32:
		out = append(out, opI32Const, 0)
	case typeI64:
		out = append(out, opI64Const, 0)
	case typeF32:
		out = append(out, opF32Const, 0, 0, 0, 0)
	case typeF64:
		out = append(out, opF64Const, 0, 0, 0, 0, 0, 0, 0, 0)
	case typeV128:
		out = append(append(out, opPrefixVector, vectorConst), make([]byte, 16)...)
	default:
		out = append(out, opRefNull, t)
	}
	return append(out, opEnd)
}

// constant appends a constant expression with its function indices shifted.
func (w *rewriter) constant(out []byte, r *reader) []byte {
	for r.err == nil {
		in := r.next()
		switch in.op {
		case opRefFunc:
			out = appendU32(append(out, opRefFunc), w.refer(in.index))
			continue
		case opBlock, opLoop, opIf:
			r.fail(errors.New("a constant expression has no blocks"))
		}
		out = append(out, r.b[in.start:in.end]...)
		if in.op == opEnd {
			break
		}
	}
	return out
}

func (w *rewriter) rewriteExports() error {
	if !w.present[sectionExport] {
		return nil
	}
	r := reader{b: w.sections[sectionExport]}
	n := r.count()
	out := appendU32(nil, n)
	for range n {
		start := r.pos
		name := string(r.take(uint64(r.u32())))
		if name == Save || name == Restore {
			return fmt.Errorf("only the gateway may export %s", name)
		}
		kind := r.byte()
		out = append(out, r.b[start:r.pos]...)
		index := r.u32()
		w.openTables = w.openTables || kind == kindTable
		if kind == kindFunction {
			w.entries[index] = true
			index = w.shift(index)
			w.exported = append(w.exported, export{name, index})
		}
		out = appendU32(out, index)
	}
	w.sections[sectionExport] = out
	return r.end()
}

func (w *rewriter) rewriteStart() error {
	if !w.present[sectionStart] {
		return nil
	}
	r := reader{b: w.sections[sectionStart]}
	w.sections[sectionStart] = appendU32(nil, w.shift(r.u32()))
	return r.end()
}

// rewriteElements shifts the functions in element segments. The bits of a
// segment's flag: 1 passive or declarative, 2 explicit table (or declarative),
// 4 expressions instead of indices.
func (w *rewriter) rewriteElements() error {
	if !w.present[sectionElement] {
		return nil
	}
	r := reader{b: w.sections[sectionElement]}
	n := r.count()
	out := appendU32(nil, n)
	for range n {
		flag := r.u32()
		if flag > 7 && r.err == nil {
			return fmt.Errorf("element segment of kind %d isn't supported", flag)
		}
		out = appendU32(out, flag)
		if flag&1 == 0 { // active
			if flag&2 != 0 {
				out = appendU32(out, r.u32())
			}
			out = w.constant(out, &r)
		}
		if flag&3 != 0 {
			out = append(out, r.byte()) // kind or type of the elements
		}
		m := r.count()
		out = appendU32(out, m)
		for range m {
			if flag&4 != 0 {
				out = w.constant(out, &r)
				continue
			}
			out = appendU32(out, w.refer(r.u32()))
		}
		if r.err != nil {
			return r.err
		}
	}
	w.sections[sectionElement] = out
	return r.end()
}

// rewriteNames returns the name section with the module's and the functions'
// names. When it is damaged or has none of functions, those that are exported are
// called by their exports: names are for traces only.
func (w *rewriter) rewriteNames() []byte {
	const moduleName, functionNames = 0, 1
	out := appendName(nil, "name")
	r := reader{b: w.names}
	named := false
	for !r.done() {
		id := r.byte()
		content := r.take(uint64(r.u32()))
		switch id {
		case moduleName:
			out = appendSection(out, id, content)
		case functionNames:
			names := reader{b: content}
			n := names.count()
			var shifted []byte
			for range n {
				shifted = appendU32(shifted, w.shift(names.u32()))
				start := names.pos
				names.skip(uint64(names.u32()))
				shifted = append(shifted, content[start:names.pos]...)
			}
			if names.err != nil {
				return w.exportNames()
			}
			shifted, own := w.nameOwn(shifted)
			out, named = appendSection(out, id, append(appendU32(nil, n+own), shifted...)), n > 0
		}
	}
	if r.err != nil || !named {
		return w.exportNames()
	}
	return out
}

// exportNames returns a name section with the names by which functions are
// exported, and that of refill.
func (w *rewriter) exportNames() []byte {
	const functionNames = 1
	slices.SortStableFunc(w.exported, func(a, b export) int { return cmp.Compare(a.function, b.function) })
	all := slices.CompactFunc(w.exported, func(a, b export) bool { return a.function == b.function })
	var names []byte
	for _, e := range all {
		names = appendName(appendU32(names, e.function), e.name)
	}
	names, own := w.nameOwn(names)
	names = append(appendU32(nil, uint32(len(all))+own), names...)
	return appendSection(appendName(nil, "name"), functionNames, names)
}
