package meter

// The gauge is a global of the rewritten module: the fuel that is left, above the
// number of levels that calls nest. The latter starts so that the bit tooDeep is
// set when there are too many. So one addition counts both, and one comparison
// tells whether anything is wrong.
const (
	fuelShift = 16
	tooDeep   = 1 << (fuelShift - 1)
	levels    = 1<<fuelShift - 1
	wrong     = -1<<63 | tooDeep // fuel below zero, or too deep

	// maxDepth leaves room for the levels of one function beyond the bit.
	maxDepth = tooDeep/2 - 1
)

// ground is the gauge without fuel and without a call.
func (w *rewriter) ground() int64 { return tooDeep - 1 - int64(w.limits.Depth) }

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

// emit appends the function with its meters. One that counts levels has its code
// in a block, so that every way out of it, a return included, leads past the place
// where they are counted down.
func (w *rewriter) emit(out []byte, f *function) []byte {
	out = append(appendU32(out, f.groups+1), f.locals...)
	out = append(out, 1, typeI32)
	if f.charged {
		out = w.enter(out, f)
	}
	if f.counted {
		out = append(out, opBlock)
		out = w.blockType(out, f.kind.results)
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
			if f.counted {
				out = appendU32(append(out, opBr), open.depth)
				continue
			}
		case opLoop:
			loops++
			if f.regions[loops].metered {
				out = w.loop(out, f, in, &open, f.regions[loops].cost)
				continue
			}
			open.push(1, 0)
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

// loop appends a loop's beginning with its charge. The call for fuel stands
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
//	    (refill, and what the loop will take again)
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
		return w.charge(append(out, f.body[in.start:in.end]...), cost)
	}
	out = append(append(out, opBlock), kind...)
	out = append(append(out, opLoop), kind...)
	out = append(out, opBlock, typeEmpty)
	out = append(append(out, opLoop), kind...)
	open.push(4, cost)
	out = w.add(out, -int64(cost)<<fuelShift)
	out = appendU32(append(out, opGlobalGet), w.gauge)
	return append(out, opI64Const, 0, opI64LtS, opBrIf, 1)
}

// end appends the end of a block, and what belongs there.
func (w *rewriter) end(out []byte, f *function, open *blocks) []byte {
	out = append(out, opEnd)
	switch cost, inner := open.pop(); {
	case !inner && f.counted:
		return append(w.leave(out, f), opEnd)
	case cost > 0:
		out = appendU32(append(out, opBr, 2, opEnd, opCall), w.refill())
		out = w.add(out, int64(cost)<<fuelShift)
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
	if f.counted && (in.op == opReturnCall || in.op == opReturnCallIndirect) {
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
	return appendS32(out, int32(w.addType(nil, results)))
}

// addType returns the index of a type behind the module's own and the meters'.
func (w *rewriter) addType(params, results []byte) uint32 {
	code := append(appendU32([]byte{typeFunction}, uint32(len(params))), params...)
	code = append(appendU32(code, uint32(len(results))), results...)
	index, known := w.additional[string(code)]
	if !known {
		index = w.tick + 2 + uint32(len(w.additional))
		w.additional[string(code)] = index
		w.added = append(w.added, code...)
	}
	return index
}

// add adds n to the gauge. wazero has instructions with small constants that are
// above zero.
func (w *rewriter) add(out []byte, n int64) []byte {
	out = appendU32(append(out, opGlobalGet), w.gauge)
	if n < 0 {
		out = append(appendS64(append(out, opI64Const), -n), opI64Sub)
	} else {
		out = append(appendS64(append(out, opI64Const), n), opI64Add)
	}
	return appendU32(append(out, opGlobalSet), w.gauge)
}

// enter charges for a call, and counts it in if the function does that. When
// something is wrong, the function is called anew with all that was counted taken
// back. Nothing needs to survive the way to the host so, which would cost the
// registers that hold the parameters; and no way leads back into the code.
func (w *rewriter) enter(out []byte, f *function) []byte {
	n := -int64(f.regions[0].cost) << fuelShift
	if f.counted {
		n += int64(f.depth)
	}
	out = appendU32(append(w.add(out, n), opGlobalGet), w.gauge)
	if f.counted {
		out = append(appendS64(append(out, opI64Const), wrong), opI64And, opI64Eqz)
	} else {
		out = append(out, opI64Const, 0, opI64GeS)
	}
	out = append(out, opIf, typeEmpty, opElse)
	for i := range uint32(len(f.kind.params)) {
		out = appendU32(append(out, opLocalGet), i)
	}
	out = appendS64(append(out, opI64Const), -n)
	out = appendU32(append(out, opCall), w.refillFor(f.kind.params))
	out = appendU32(append(out, opCall), f.index)
	return append(out, opReturn, opEnd)
}

// leave counts a call out.
func (w *rewriter) leave(out []byte, f *function) []byte { return w.add(out, -int64(f.depth)) }

// charge takes cost from the fuel, and asks for more when nothing is left.
func (w *rewriter) charge(out []byte, cost uint32) []byte {
	return w.check(w.add(out, -int64(cost)<<fuelShift))
}

// chargeSized takes the operand on top of the stack, shifted, from the fuel and
// leaves it there.
func (w *rewriter) chargeSized(out []byte, f *function, shift byte) []byte {
	out = appendU32(append(out, opLocalTee), f.scratch)
	out = appendU32(append(out, opGlobalGet), w.gauge)
	out = appendU32(append(out, opLocalGet), f.scratch)
	out = append(out, opI32Const, shift, opI32ShrU, opI64ExtendI32U, opI64Const, fuelShift, opI64Shl, opI64Sub)
	return w.check(appendU32(append(out, opGlobalSet), w.gauge))
}

// check asks for fuel when there is less than none: a debt never wraps around.
func (w *rewriter) check(out []byte) []byte {
	out = appendU32(append(out, opGlobalGet), w.gauge)
	out = append(out, opI64Const, 0, opI64GeS, opIf, typeEmpty, opElse, opCall)
	return append(appendU32(out, w.refill()), opEnd)
}
