package meter

// refillName is what traces call the function that asks for fuel.
const refillName = Module + ".refill"

// refill is the index of the function that says TooDeep to tick if the guest is,
// and else gets fuel. It stands behind the module's own.
func (w *rewriter) refill() uint32 { return uint32(len(w.functions)) + 1 }

// writeOwn adds the rewriter's functions behind all others.
func (w *rewriter) writeOwn() {
	tick := w.imported
	code := appendU32([]byte{0, opGlobalGet}, w.gauge) // no locals
	code = appendS64(append(code, opI64Const), tooDeep)
	code = append(code, opI64And, opI64Eqz, opIf, typeEmpty, opElse, opI32Const, TooDeep, opCall)
	code = append(appendU32(code, tick), opDrop, opEnd)
	code = appendU32(append(code, opI32Const, OutOfFuel, opCall), tick)
	code = append(code, opI64ExtendI32U, opI64Const, fuelShift, opI64Shl)
	code = w.keep(code, levels)
	code = appendU32(append(code, opI64Or, opGlobalSet), w.gauge)
	own := [][]byte{code}
	if w.resettable() {
		save, restore := w.reset()
		own = append(own, save, restore)
		exports := append(appendName(nil, Save), kindFunction)
		exports = appendU32(exports, w.refill()+1)
		exports = append(appendName(exports, Restore), kindFunction)
		w.extend(sectionExport, 2, appendU32(exports, w.refill()+2))
	}
	void := w.tick + 1
	var types, bodies []byte
	for _, f := range own {
		types = appendU32(types, void)
		f = append(f, opEnd)
		bodies = append(appendU32(bodies, uint32(len(f))), f...)
	}
	w.extend(sectionFunction, uint32(len(own)), types)
	w.extend(sectionCode, uint32(len(own)), bodies)
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
