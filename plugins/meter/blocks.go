package meter

// blocks are the open blocks of the code being read, and how many there are in
// the code being written: a branch counts those between it and its target.
type blocks struct {
	depth uint32 // blocks written
	open  []openBlock
}

type openBlock struct {
	cost   uint32 // of the loop, when it is one whose tick stands outside
	before uint32 // blocks written before it
	target uint32 // the block that a branch to it means, counted from the outermost
}

// push opens a block for which n are written, the last of which is its own.
func (b *blocks) push(n, cost uint32) {
	b.open = append(b.open, openBlock{cost, b.depth, b.depth + n})
	b.depth += n
}

// pop closes the innermost block. inner is false at the end of the function.
func (b *blocks) pop() (cost uint32, inner bool) {
	n := len(b.open)
	if n == 0 {
		return 0, false
	}
	last := b.open[n-1]
	b.open, b.depth = b.open[:n-1], last.before
	return last.cost, true
}

// label translates a branch's label. One beyond the blocks means the function.
func (b *blocks) label(l uint32) uint32 {
	if uint64(l) >= uint64(len(b.open)) {
		return b.depth
	}
	return b.depth - b.open[uint32(len(b.open))-1-l].target
}

// table appends the labels of a br_table.
func (b *blocks) table(out, labels []byte) []byte {
	r := reader{b: labels}
	n := r.u32()
	out = appendU32(out, n)
	for range uint64(n) + 1 {
		out = appendU32(out, b.label(r.u32()))
	}
	return out
}
