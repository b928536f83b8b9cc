package meter

// The functions that a rewritten module exports, each without parameters and
// results, so that the host can bring an instance back to an earlier state.
// Save notes the values of the module's variables, and how large its memory is.
// Restore sets them to what Save noted; the content of the memory is the host's
// part: that of the first pages as it was at Save, zeros behind them.
//
// A module that may change a table, drops a segment, or imports memory or a
// variable has neither: nothing could bring those back.
//
// Memory can't shrink. After Restore, the pages that came since Save are hidden:
// memory.size doesn't count them, and memory.grow gives them out before it asks
// for new ones. A guest that reads or writes there without growing is not
// stopped; it sees zeros. That is the one difference to a new instance.
const (
	Save    = "postern_meter.save"
	Restore = "postern_meter.restore"
)

// variable is a mutable global.
type variable struct {
	index uint32
	kind  byte
}

// changes reports whether a bulk instruction does what Restore can't undo.
func changes(sub uint32) bool {
	return sub == bulkDatumDrop || sub >= bulkTableInit && sub <= bulkTableGrow || sub == bulkTableFill
}

func (w *rewriter) resettable() bool { return !w.changes }

// virtual reports whether there may be hidden memory.
func (w *rewriter) virtual() bool { return w.grows && w.resettable() }

// visible appends what takes the hidden pages off the number on the stack.
func (w *rewriter) visible(out []byte) []byte {
	if !w.virtual() {
		return out
	}
	out = appendU32(append(out, opGlobalGet), w.hidden)
	return append(out, opI32Sub)
}

// grow appends memory.grow, whose operand n is on the stack: hidden pages first.
// In the end none is hidden, or the result is -1 and nothing has changed.
func (w *rewriter) grow(out []byte, f *function) []byte {
	const memory = 0
	if !w.virtual() {
		return append(out, opMemoryGrow, memory)
	}
	n := f.scratch
	out = appendU32(append(out, opLocalTee), n)
	out = appendU32(append(out, opGlobalGet), w.hidden)
	out = append(out, opI32LeU, opIf, typeI32)
	out = w.visible(append(out, opMemorySize, memory))
	out = appendU32(append(out, opGlobalGet), w.hidden)
	out = appendU32(append(out, opLocalGet), n)
	out = appendU32(append(out, opI32Sub, opGlobalSet), w.hidden)
	out = append(out, opElse)
	out = appendU32(append(out, opLocalGet), n)
	out = appendU32(append(out, opGlobalGet), w.hidden)
	out = appendU32(append(out, opI32Sub, opMemoryGrow, memory, opLocalTee), n)
	out = append(out, opI32Const, 0x7f, opI32Eq, opIf, typeI32, opI32Const, 0x7f, opElse)
	out = appendU32(append(out, opLocalGet), n)
	out = w.visible(out)
	out = appendU32(append(out, opI32Const, 0, opGlobalSet), w.hidden)
	return append(out, opEnd, opEnd)
}

// reset returns the code of Save and Restore.
func (w *rewriter) reset() (save, restore []byte) {
	move := func(out []byte, from, to uint32) []byte {
		out = appendU32(append(out, opGlobalGet), from)
		return appendU32(append(out, opGlobalSet), to)
	}
	for i, v := range w.mutable {
		save = move(save, v.index, w.shades+uint32(i))
		restore = move(restore, w.shades+uint32(i), v.index)
	}
	restore = appendS64(append(w.keep(restore, ^levels), opI64Const), w.ground())
	restore = appendU32(append(restore, opI64Or, opGlobalSet), w.gauge)
	if w.memory && w.virtual() {
		save = w.visible(append(save, opMemorySize, 0))
		save = appendU32(append(save, opGlobalSet), w.pages)
		restore = appendU32(append(restore, opMemorySize, 0, opGlobalGet), w.pages)
		restore = appendU32(append(restore, opI32Sub, opGlobalSet), w.hidden)
	}
	return save, restore
}
