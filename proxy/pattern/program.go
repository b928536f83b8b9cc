package pattern

type opcode uint8

const (
	opMatch opcode = iota
	opSingle
	opRun   // a quantified single
	opSplit // try x, later y
	opJump  // to x
	opSave  // the position to register x
	opAssert
	opBack    // what group x matched; min is 1 to fold case
	opZero    // register x becomes 0, register y -1
	opLoop    // registers x and y count the rounds and where the last one began
	opRound   // one more round of the loop at x
	opMark    // register x becomes the height of the stack, y the position
	opCut     // forget what could be tried since the mark in register x
	opReturn  // opCut, and back to the position in register y
	opRefuse  // undo all since the mark in register x, and fail
	opBehind  // try min to max characters back from the position in register y
	opArrived // fail unless at the position in register y
)

// instruction is one step of a program.
type instruction struct {
	op       opcode
	mode     mode
	assert   assertion
	x, y     int
	next     int // where to go on: of opSplit the second choice, of opLoop its end
	min, max int
	single   *single
}

// compiler makes a program of a tree.
type compiler struct {
	program   []instruction
	registers int
	tooLarge  bool
}

func (c *compiler) add(in instruction) int {
	if len(c.program) >= maxProgram {
		c.tooLarge = true
		return 0
	}
	c.program = append(c.program, in)
	return len(c.program) - 1
}

func (c *compiler) register() int {
	c.registers++
	return c.registers - 1
}

// emit appends the instructions of n.
func (c *compiler) emit(n *node) {
	if c.tooLarge {
		return
	}
	switch n.kind {
	case nodeSingle:
		c.add(instruction{op: opSingle, single: n.single})
	case nodeSequence:
		for _, part := range n.parts {
			c.emit(part)
		}
	case nodeChoice:
		c.choice(n.parts)
	case nodeGroup:
		c.add(instruction{op: opSave, x: 2 * n.group})
		c.emit(n.parts[0])
		c.add(instruction{op: opSave, x: 2*n.group + 1})
	case nodeAtomic:
		height, at := c.register(), c.register()
		c.add(instruction{op: opMark, x: height, y: at})
		c.emit(n.parts[0])
		c.add(instruction{op: opCut, x: height})
	case nodeRepeat:
		c.repeat(n)
	case nodeAhead, nodeBehind:
		c.look(n)
	case nodeAssert:
		c.add(instruction{op: opAssert, assert: n.assert})
	case nodeBack:
		in := instruction{op: opBack, x: n.group}
		if n.fold {
			in.min = 1
		}
		c.add(in)
	}
}

func (c *compiler) choice(parts []*node) {
	var ends []int
	for i, part := range parts {
		if i == len(parts)-1 {
			c.emit(part)
			break
		}
		split := c.add(instruction{op: opSplit})
		c.emit(part)
		ends = append(ends, c.add(instruction{op: opJump}))
		if c.tooLarge {
			return
		}
		c.program[split].next = len(c.program)
	}
	for _, end := range ends {
		c.program[end].x = len(c.program)
	}
}

func (c *compiler) repeat(n *node) {
	inner := n.parts[0]
	if inner.kind == nodeSingle {
		c.add(instruction{op: opRun, single: inner.single, min: n.min, max: n.max, mode: n.mode})
		return
	}
	height := 0
	if n.mode == possessive {
		height = c.register()
		c.add(instruction{op: opMark, x: height, y: c.register()})
	}
	count, begun := c.register(), c.register()
	c.add(instruction{op: opZero, x: count, y: begun})
	loop := c.add(instruction{op: opLoop, x: count, y: begun, min: n.min, max: n.max, mode: n.mode})
	c.add(instruction{op: opRound, x: loop})
	if n.mode == possessive || inner.whole {
		inner = &node{kind: nodeAtomic, parts: []*node{inner}} // Java: each round for itself
	}
	c.emit(inner)
	c.add(instruction{op: opJump, x: loop})
	if c.tooLarge {
		return
	}
	c.program[loop].next = len(c.program)
	if n.mode == possessive {
		c.add(instruction{op: opCut, x: height})
	}
}

// look emits a look-around: what is inside is tried on its own; after it the
// position is the old one.
func (c *compiler) look(n *node) {
	height, at := c.register(), c.register()
	c.add(instruction{op: opMark, x: height, y: at})
	split := -1
	if n.negative {
		split = c.add(instruction{op: opSplit})
	}
	if n.kind == nodeBehind {
		c.add(instruction{op: opBehind, y: at, min: n.min, max: n.max})
	}
	c.emit(n.parts[0])
	if n.kind == nodeBehind {
		c.add(instruction{op: opArrived, y: at})
	}
	if !n.negative {
		c.add(instruction{op: opReturn, x: height, y: at})
		return
	}
	c.add(instruction{op: opRefuse, x: height})
	if !c.tooLarge {
		c.program[split].next = len(c.program)
	}
}
