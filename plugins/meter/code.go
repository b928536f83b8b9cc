package meter

import (
	"errors"
	"fmt"
)

// What instructions cost, in units of fuel. One is a plain instruction.
const (
	costCall     = 10
	costHostCall = 100 // roughly what the way out and back takes
	costGrow     = 200

	// freeLeaf is the size up to which a function without loops and calls has no
	// meter: its caller's charge covers it.
	freeLeaf = 40

	// Bytes and elements are copied several per unit: 1<<shift.
	memoryShift = 4
	tableShift  = 2

	// localsPerDepth is how many locals count as one level of calls: it is the
	// stack's memory that the limit protects.
	localsPerDepth = 64

	// maxCost keeps a charge and the debt it may leave far from overflow.
	maxCost = 1 << 28
)

// function is what the first pass over a function finds out for the second.
type function struct {
	body    []byte // instructions, after the locals
	locals  []byte // encoded groups
	groups  uint32
	scratch uint32 // index of the local that the meters use
	depth   uint32 // levels that a call of it counts
	calls   bool
	metered bool
	results []byte
	costs   []uint32 // of the function's own code, then of each loop in order
}

func (w *rewriter) rewriteCode() error {
	defined := uint32(len(w.functions)) - w.imported
	if !w.present[sectionCode] {
		if defined > 0 {
			return errors.New("functions without code")
		}
		return nil
	}
	r := reader{b: w.sections[sectionCode]}
	n := r.count()
	if n != defined {
		return fmt.Errorf("%d functions, but code of %d", defined, n)
	}
	out := appendU32(make([]byte, 0, len(r.b)+len(r.b)/4), n)
	var buf []byte
	for i := range n {
		body := r.take(uint64(r.u32()))
		if r.err != nil {
			return r.err
		}
		f, err := w.scan(body, w.types[w.functions[w.imported+i]])
		if err != nil {
			return fmt.Errorf("function %d: %w", w.imported+i, err)
		}
		buf = w.emit(buf[:0], f)
		out = appendU32(out, uint32(len(buf)))
		out = append(out, buf...)
	}
	w.sections[sectionCode] = out
	return r.end()
}

// scan decodes a function and adds up what its code costs.
func (w *rewriter) scan(body []byte, t funcType) (*function, error) {
	f := &function{results: t.results, costs: []uint32{0}}
	r := reader{b: body}
	f.groups = r.count()
	start := r.pos
	total := uint64(len(t.params))
	for range f.groups {
		total += uint64(r.u32())
		valueType(&r)
	}
	if total > 1<<20 {
		return nil, errors.New("too many locals")
	}
	f.locals, f.scratch = body[start:r.pos], uint32(total)
	f.depth = 1 + uint32(total)/localsPerDepth
	f.body = body[r.pos:]
	r = reader{b: f.body}
	open := []int{0} // regions of costs, by block
	dynamic := false
	count := 0
	for len(open) > 0 && r.err == nil {
		in := r.next()
		count++
		region := open[len(open)-1]
		f.costs[region] = min(f.costs[region]+w.cost(in), maxCost)
		switch in.op {
		case opBlock, opIf:
			open = append(open, region)
		case opLoop:
			f.costs = append(f.costs, 0)
			open = append(open, len(f.costs)-1)
		case opEnd:
			open = open[:len(open)-1]
		case opCall, opCallIndirect, opReturnCall, opReturnCallIndirect:
			f.calls = true
		case opPrefixBulk:
			_, sized := bulkShift(in.sub)
			dynamic = dynamic || sized
		}
	}
	f.metered = f.calls || dynamic || len(f.costs) > 1 || count > freeLeaf
	return f, r.end()
}

func (w *rewriter) cost(in instruction) uint32 {
	switch in.op {
	case opCall, opReturnCall:
		if in.index < w.imported {
			return costHostCall
		}
		return costCall
	case opCallIndirect, opReturnCallIndirect:
		return costCall
	case opMemoryGrow:
		return costGrow
	case opPrefixBulk:
		if in.sub == bulkTableGrow {
			return costGrow
		}
	}
	return 1
}

// bulkShift tells for an instruction whose work grows with its last operand how
// many bytes or elements are a unit of fuel.
func bulkShift(sub uint32) (shift byte, sized bool) {
	switch sub {
	case bulkMemoryInit, bulkMemoryCopy, bulkMemoryFill:
		return memoryShift, true
	case bulkTableInit, bulkTableCopy, bulkTableFill:
		return tableShift, true
	}
	return 0, false
}

// emit appends the function with its meters. One that calls has its code in a
// block, so that every way out of it, a return included, leads past the place
// where the depth is counted down.
func (w *rewriter) emit(out []byte, f *function) []byte {
	if !f.metered {
		out = append(appendU32(out, f.groups), f.locals...)
		return w.copyBody(out, f)
	}
	out = append(appendU32(out, f.groups+1), f.locals...)
	out = append(out, 1, typeI32)
	if f.calls {
		out = w.enter(out, f)
	}
	out = w.charge(out, f, f.costs[0])
	if f.calls {
		out = append(out, opBlock)
		out = w.blockType(out, f.results)
	}
	return w.copyBody(out, f)
}

// copyBody appends the instructions, with shifted indices and the meters that
// stand inside.
func (w *rewriter) copyBody(out []byte, f *function) []byte {
	r := reader{b: f.body}
	loops, nesting := 0, uint32(0)
	for !r.done() {
		in := r.next()
		switch in.op {
		case opCall, opRefFunc:
			out = appendU32(append(out, in.op), w.shift(in.index))
			continue
		case opReturnCall:
			out = w.leave(out, f)
			out = appendU32(append(out, in.op), w.shift(in.index))
			continue
		case opReturnCallIndirect:
			out = w.leave(out, f)
		case opReturn:
			if f.calls {
				out = appendU32(append(out, opBr), nesting)
				continue
			}
		case opBlock, opIf, opLoop:
			nesting++
		case opPrefixBulk:
			if shift, sized := bulkShift(in.sub); sized {
				out = w.chargeSized(out, f, shift)
			}
		case opEnd:
			if nesting == 0 && f.calls {
				out = w.leave(append(out, opEnd), f)
			}
			nesting--
		}
		out = append(out, f.body[in.start:in.end]...)
		if in.op == opLoop {
			loops++
			out = w.charge(out, f, f.costs[loops])
		}
	}
	return out
}

// blockType appends the type of a block without parameters.
func (w *rewriter) blockType(out []byte, results []byte) []byte {
	switch len(results) {
	case 0:
		return append(out, typeEmpty)
	case 1:
		return append(out, results[0])
	}
	index, known := w.results[string(results)]
	if !known {
		index = uint32(len(w.types)) + 1 + uint32(len(w.results)) // behind tick's
		w.results[string(results)] = index
		w.added = append(w.added, typeFunction, 0)
		w.added = append(appendU32(w.added, uint32(len(results))), results...)
	}
	return appendS32(out, int32(index))
}

// enter counts a call in.
func (w *rewriter) enter(out []byte, f *function) []byte {
	out = appendU32(append(out, opGlobalGet), w.depth)
	out = appendS32(append(out, opI32Const), int32(f.depth))
	out = append(out, opI32Add)
	out = appendU32(append(out, opLocalTee), f.scratch)
	out = appendU32(append(out, opGlobalSet), w.depth)
	out = appendU32(append(out, opLocalGet), f.scratch)
	out = appendS32(append(out, opI32Const), int32(w.limits.Depth))
	out = append(out, opI32GtU, opIf, typeEmpty, opI32Const, TooDeep)
	out = appendU32(append(out, opCall), w.imported)
	return append(out, opDrop, opEnd)
}

// leave counts a call out.
func (w *rewriter) leave(out []byte, f *function) []byte {
	out = appendU32(append(out, opGlobalGet), w.depth)
	out = appendS32(append(out, opI32Const), int32(f.depth))
	out = append(out, opI32Sub)
	return appendU32(append(out, opGlobalSet), w.depth)
}

// charge takes cost from the fuel.
func (w *rewriter) charge(out []byte, f *function, cost uint32) []byte {
	out = appendU32(append(out, opGlobalGet), w.fuel)
	out = appendS32(append(out, opI32Const), int32(cost))
	return w.spend(out, f)
}

// chargeSized takes the operand on top of the stack, shifted, from the fuel and
// leaves it there.
func (w *rewriter) chargeSized(out []byte, f *function, shift byte) []byte {
	out = appendU32(append(out, opLocalTee), f.scratch)
	out = appendU32(append(out, opGlobalGet), w.fuel)
	out = appendU32(append(out, opLocalGet), f.scratch)
	out = append(out, opI32Const, shift, opI32ShrU)
	return w.spend(out, f)
}

// spend subtracts what is on the stack and calls tick when nothing is left. It
// asks for less than zero, so that a debt never wraps around.
func (w *rewriter) spend(out []byte, f *function) []byte {
	out = append(out, opI32Sub)
	out = appendU32(append(out, opLocalTee), f.scratch)
	out = appendU32(append(out, opGlobalSet), w.fuel)
	out = appendU32(append(out, opLocalGet), f.scratch)
	out = append(out, opI32Const, 0, opI32LtS, opIf, typeEmpty, opI32Const, OutOfFuel)
	out = appendU32(append(out, opCall), w.imported)
	out = appendU32(append(out, opGlobalSet), w.fuel)
	return append(out, opEnd)
}
