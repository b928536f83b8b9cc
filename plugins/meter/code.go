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

// scanCode is the first pass over the code.
func (w *rewriter) scanCode() error {
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
	w.code = make([]*function, 0, n)
	for i := range n {
		body := r.take(uint64(r.u32()))
		if r.err != nil {
			return r.err
		}
		f, err := w.scan(body, w.types[w.functions[w.imported+i]])
		if err != nil {
			return fmt.Errorf("function %d: %w", w.imported+i, err)
		}
		w.code = append(w.code, f)
	}
	return r.end()
}

// rewriteCode is the second pass.
func (w *rewriter) rewriteCode() error {
	if !w.present[sectionCode] {
		return nil
	}
	size := len(w.sections[sectionCode])
	out := appendU32(make([]byte, 0, size+size/4), uint32(len(w.code)))
	var buf []byte
	for _, f := range w.code {
		buf = w.emit(buf[:0], f)
		out = appendU32(out, uint32(len(buf)))
		out = append(out, buf...)
	}
	w.sections[sectionCode] = out
	return nil
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
	sized := false
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
		case opMemoryGrow:
			w.grows, sized = true, true
		case opTableSet:
			w.changes = true
		case opPrefixBulk:
			_, bulk := bulkShift(in.sub)
			sized = sized || bulk
			w.changes = w.changes || changes(in.sub)
		}
	}
	f.metered = f.calls || sized || len(f.costs) > 1 || count > freeLeaf
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
	loops := 0
	var open blocks
	for !r.done() {
		in := r.next()
		switch in.op {
		case opCall, opCallIndirect, opReturnCall, opReturnCallIndirect:
			out = w.call(out, f, in)
			continue
		case opRefFunc:
			out = appendU32(append(out, in.op), w.shift(in.index))
			continue
		case opBr, opBrIf:
			out = appendU32(append(out, in.op), open.label(in.index))
			continue
		case opBrTable:
			out = open.table(append(out, in.op), f.body[in.start+1:in.end])
			continue
		case opReturn:
			if f.calls {
				out = appendU32(append(out, opBr), open.depth)
				continue
			}
		case opLoop:
			loops++
			out = w.loop(out, f, in, &open, f.costs[loops])
			continue
		case opBlock, opIf:
			open.push(1, 0)
		case opMemoryGrow:
			out = w.grow(out, f)
			continue
		case opPrefixBulk:
			if shift, sized := bulkShift(in.sub); sized {
				out = w.chargeSized(out, f, shift)
			}
		case opEnd:
			out = w.end(out, f, &open)
			continue
		}
		out = append(out, f.body[in.start:in.end]...)
		if in.op == opMemorySize {
			out = w.visible(out)
		}
	}
	return out
}

// loop appends a loop's beginning with its charge. The call of tick stands
// outside of the loop, in one around it that ends when its code is done:
//
//	block $done
//	  loop $again
//	    block $empty
//	      loop        ;; the module's
//	        (charge, br_if $empty)
//	        …
//	      end
//	      br $done
//	    end
//	    (tick, and what the loop will take again)
//	    br $again
//	  end
//	end
//
// A call inside of it, even one that never happens, would cost the registers
// that hold the loop's variables. A loop with parameters has its call inside:
// nothing could carry them around.
func (w *rewriter) loop(out []byte, f *function, in instruction, open *blocks, cost uint32) []byte {
	kind := f.body[in.start+1 : in.end]
	if w.takes(kind) {
		open.push(1, 0)
		return w.charge(append(out, f.body[in.start:in.end]...), f, cost)
	}
	out = append(append(out, opBlock), kind...)
	out = append(append(out, opLoop), kind...)
	out = append(out, opBlock, typeEmpty)
	out = append(append(out, opLoop), kind...)
	open.push(4, cost)
	return append(w.take(out, f, cost), opI32LtS, opBrIf, 1)
}

// end appends the end of a block, and what belongs there.
func (w *rewriter) end(out []byte, f *function, open *blocks) []byte {
	out = append(out, opEnd)
	switch cost, inner := open.pop(); {
	case !inner && f.calls:
		return append(w.leave(out, f), opEnd)
	case cost > 0:
		out = w.tickCall(append(out, opBr, 2, opEnd))
		out = appendS32(append(out, opI32Const), int32(cost))
		out = appendU32(append(out, opI32Add, opGlobalSet), w.fuel)
		return append(out, opBr, 0, opEnd, opEnd)
	}
	return out
}

// takes reports whether a block has parameters.
func (w *rewriter) takes(kind []byte) bool {
	if len(kind) == 1 && kind[0]&0x40 != 0 { // a negative number: empty, or one result
		return false
	}
	r := reader{b: kind}
	t := r.u32()
	return uint64(t) >= uint64(len(w.types)) || len(w.types[t].params) > 0
}

// call appends a call with its function shifted. One that takes the function's
// place leaves it first.
func (w *rewriter) call(out []byte, f *function, in instruction) []byte {
	if in.op == opReturnCall || in.op == opReturnCallIndirect {
		out = w.leave(out, f)
	}
	if in.op == opCall || in.op == opReturnCall {
		return appendU32(append(out, in.op), w.shift(in.index))
	}
	return append(out, f.body[in.start:in.end]...)
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
		index = w.tick + 2 + uint32(len(w.results)) // behind the meters' own
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
	out = append(out, opI32LeU, opIf, typeEmpty, opElse, opI32Const, TooDeep)
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

// charge takes cost from the fuel, and asks for more when nothing is left.
func (w *rewriter) charge(out []byte, f *function, cost uint32) []byte {
	return w.check(w.take(out, f, cost))
}

// take takes cost from the fuel and leaves the rest on the stack, and a zero to
// compare it with.
func (w *rewriter) take(out []byte, f *function, cost uint32) []byte {
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
	return w.check(w.spend(out, f))
}

// spend subtracts what is on the stack from the fuel below it. What is left may
// be below zero, so that a debt never wraps around.
func (w *rewriter) spend(out []byte, f *function) []byte {
	out = appendU32(append(out, opI32Sub, opLocalTee), f.scratch)
	out = appendU32(append(out, opGlobalSet), w.fuel)
	out = appendU32(append(out, opLocalGet), f.scratch)
	return append(out, opI32Const, 0)
}

// check asks for fuel when the number below the zero on the stack is less. The
// call is in the other branch because wazero allocates registers for the first.
func (w *rewriter) check(out []byte) []byte {
	out = w.tickCall(append(out, opI32GeS, opIf, typeEmpty, opElse))
	return append(appendU32(append(out, opGlobalSet), w.fuel), opEnd)
}

func (w *rewriter) tickCall(out []byte) []byte {
	return appendU32(append(out, opI32Const, OutOfFuel, opCall), w.imported)
}
