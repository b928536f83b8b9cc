package meter

import "slices"

// refillName is what traces call the function that asks for fuel.
const refillName = Module + ".refill"

// refill is the index of the function that says TooDeep to tick if the guest is,
// and else gets fuel. It stands behind the module's own.
func (w *rewriter) refill() uint32 { return uint32(len(w.functions)) + 1 }

// refillFor is the index of a function that does the same and then adds its last
// parameter to the gauge. The others, of types params, it returns.
func (w *rewriter) refillFor(params []byte) uint32 {
	n, known := w.carriers[string(params)]
	if !known {
		n = uint32(len(w.carriers))
		w.carriers[string(params)] = n
		w.carried = append(w.carried, params)
	}
	return w.refill() + 1 + n
}

// writeOwn adds the rewriter's functions behind all others.
func (w *rewriter) writeOwn() {
	void := w.tick + 1
	types, bodies, n := appendU32(nil, void), appendBody(nil, w.refillCode()), uint32(1)
	for _, params := range w.carried {
		types = appendU32(types, w.addType(append(slices.Clone(params), typeI64), params))
		bodies = appendBody(bodies, w.carrierCode(uint32(len(params))))
		n++
	}
	if w.resettable() {
		save, restore := w.reset()
		types = appendU32(appendU32(types, void), void)
		bodies = appendBody(appendBody(bodies, save), restore)
		exports := append(appendName(nil, Save), kindFunction)
		exports = appendU32(exports, w.refill()+n)
		exports = append(appendName(exports, Restore), kindFunction)
		w.extend(sectionExport, 2, appendU32(exports, w.refill()+n+1))
		n += 2
	}
	w.extend(sectionFunction, n, types)
	w.extend(sectionCode, n, bodies)
}

// refillCode is the code of refill.
func (w *rewriter) refillCode() []byte {
	tick := w.imported
	code := w.keep(nil, tooDeep)
	code = append(code, opI64Eqz, opIf, typeEmpty, opElse, opI32Const, TooDeep, opCall)
	code = append(appendU32(code, tick), opDrop, opEnd)
	code = appendU32(append(code, opI32Const, OutOfFuel, opCall), tick)
	code = append(code, opI64ExtendI32U, opI64Const, fuelShift, opI64Shl)
	code = append(w.keep(code, levels), opI64Or, opGlobalSet)
	return appendU32(code, w.gauge)
}

// carrierCode is the code of a refillFor with n parameters besides its last one.
func (w *rewriter) carrierCode(n uint32) []byte {
	code := appendU32([]byte{opCall}, w.refill())
	code = appendU32(append(code, opGlobalGet), w.gauge)
	code = appendU32(append(code, opLocalGet), n)
	code = appendU32(append(code, opI64Add, opGlobalSet), w.gauge)
	for i := range n {
		code = appendU32(append(code, opLocalGet), i)
	}
	return code
}

// appendBody appends a function without locals.
func appendBody(out, code []byte) []byte {
	out = append(appendU32(out, uint32(len(code))+2), 0)
	return append(append(out, code...), opEnd)
}

// nameOwn appends what traces call the functions that ask for fuel, and returns
// how many those are.
func (w *rewriter) nameOwn(out []byte) (names []byte, n uint32) {
	n = 1 + uint32(len(w.carried))
	for i := range n {
		out = appendName(appendU32(out, w.refill()+i), refillName)
	}
	return out, n
}

// keep pushes the gauge's bits in mask.
func (w *rewriter) keep(out []byte, mask int64) []byte {
	out = appendU32(append(out, opGlobalGet), w.gauge)
	return append(appendS64(append(out, opI64Const), mask), opI64And)
}

// extend adds n entries to a section.
func (w *rewriter) extend(id int, n uint32, entries []byte) {
	count, rest := uint32(0), []byte(nil)
	if w.present[id] {
		r := reader{b: w.sections[id]}
		count = r.u32()
		rest = r.b[r.pos:]
	}
	out := append(appendU32(make([]byte, 0, len(rest)+len(entries)+5), count+n), rest...)
	w.sections[id], w.present[id] = append(out, entries...), true
}
