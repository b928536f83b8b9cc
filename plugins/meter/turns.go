package meter

import "slices"

// A loop whose turns are counted by a variable, from a constant to a constant, ends
// by itself. When it has few turns, it needs no charge: what it is part of pays for
// all of them. Compilers write such loops in one way:
//
//	(local.set $i (i32.const FROM))
//	loop $again
//	  …                              ;; nothing else sets $i
//	  (local.tee $i (i32.add (local.get $i) (i32.const STEP)))
//	  (i32.const TO) i32.ne br_if $again
//	end
//
// or with i32.sub, i32.lt_u or i32.lt_s, and without the comparison when TO is zero.

// constant is a local variable whose value is known.
type constant struct {
	local uint32
	value int32
}

// keepConstants bounds how many of them are remembered.
const keepConstants = 32

// openLoop is a block that is being read.
type openLoop struct {
	region int // the innermost loop's
	loop   bool
	start  int        // of a loop, in the function's body
	known  []constant // where a loop begins
	ways   int        // branches to its beginning so far
	turns  uint32     // as its only one says; 0 for unknown
	local  uint32     // that counts them
}

// counted is a loop that may have few turns.
type counted struct {
	region, start, end int
	local              uint32
}

// loops finds out what can be said about a function's loops while it is read.
type loops struct {
	f       *function
	open    []openLoop
	known   []constant
	last    [7]instruction // the last one at the end
	counted []counted
}

func newLoops(f *function) *loops {
	return &loops{f: f, open: []openLoop{{}}}
}

// inside reports whether the function isn't over.
func (l *loops) inside() bool { return len(l.open) > 0 }

// region is the one that the next instruction is in.
func (l *loops) region() int { return l.open[len(l.open)-1].region }

// call notes a call of one of the module's own functions. What stands in a loop and
// in no block inside of it, before any way back, is done in each turn.
func (l *loops) call(callee uint32) {
	if in := &l.open[len(l.open)-1]; in.loop && in.ways == 0 && l.f.regions[in.region].callee == 0 {
		l.f.regions[in.region].callee = callee + 1
	}
}

// read takes note of an instruction.
func (l *loops) read(in instruction) {
	copy(l.last[:], l.last[1:])
	l.last[len(l.last)-1] = in
	inner := len(l.open) - 1
	switch in.op {
	case opBlock, opIf:
		l.open = append(l.open, openLoop{region: l.open[inner].region})
	case opLoop:
		l.f.regions = append(l.f.regions, region{outer: l.open[inner].region})
		l.open = append(l.open, openLoop{
			region: len(l.f.regions) - 1, loop: true, start: in.start, known: slices.Clone(l.known),
		})
		l.known = l.known[:0]
	case opElse:
		l.known = l.known[:0]
	case opEnd:
		l.known = l.known[:0]
		if o := l.open[inner]; o.turns > 0 && o.ways == 1 {
			l.f.regions[o.region].turns = o.turns
			l.counted = append(l.counted, counted{o.region, o.start, in.end, o.local})
		}
		l.open = l.open[:inner]
	case opBr, opBrIf:
		l.branch(in.index, in.op == opBrIf)
	case opBrTable:
		r := reader{b: l.f.body[in.start+1 : in.end]}
		for range uint64(r.u32()) + 1 {
			l.branch(r.u32(), false)
		}
	case opLocalSet, opLocalTee:
		l.set(in.index)
	}
}

// set notes that a local variable was set by the last instruction.
func (l *loops) set(local uint32) {
	l.known = slices.DeleteFunc(l.known, func(c constant) bool { return c.local == local })
	if value, ok := l.number(1); ok && len(l.known) < keepConstants {
		l.known = append(l.known, constant{local, value})
	}
}

// branch notes a branch by the last instruction.
func (l *loops) branch(label uint32, conditional bool) {
	if uint64(label) >= uint64(len(l.open)) {
		return
	}
	inner := l.open[len(l.open)-1]
	to := &l.open[len(l.open)-1-int(label)]
	if !to.loop {
		return
	}
	// From inside of another loop, the variable may go on when it has arrived.
	if to.ways++; conditional && to.ways == 1 && inner.region == to.region {
		to.local, to.turns = l.count(to.known)
	}
}

// number reads the constant that the instruction n before the last pushes.
func (l *loops) number(n int) (value int32, ok bool) {
	in := l.last[len(l.last)-1-n]
	if in.op != opI32Const {
		return 0, false
	}
	return readS32(l.f.body[in.start+1 : in.end]), true
}

// count returns how many turns a loop has at most that the last instruction, a
// br_if, continues, and the variable that says so; known is what is known where the
// loop begins. Turns are 0 when that isn't enough.
func (l *loops) count(known []constant) (local, most uint32) {
	at := func(n int) instruction { return l.last[len(l.last)-1-n] }
	compared, to, n := byte(opI32Ne), int32(0), 1
	if at(n).op != opLocalTee {
		compared = at(n).op
		value, ok := l.number(n + 1)
		if !ok {
			return 0, 0
		}
		to, n = value, n+2
	}
	set, sum, got := at(n), at(n+1).op, at(n+3)
	step, ok := l.number(n + 2)
	if !ok || set.op != opLocalTee || got.op != opLocalGet || got.index != set.index || sum != opI32Add && sum != opI32Sub {
		return 0, 0
	}
	for _, c := range known {
		if c.local == set.index {
			by := int64(step)
			if sum == opI32Sub {
				by = -by
			}
			return set.index, turns(compared, int64(c.value), by, int64(to))
		}
	}
	return 0, 0
}

// turns is how often a variable is stepped from from until it is to, or for
// opI32LtU and opI32LtS isn't below it any more; 0 if that takes long, or for ever.
func turns(compared byte, from, step, to int64) uint32 {
	way, pace := to-from, step
	if pace < 0 {
		way, pace = -way, -pace
	}
	if pace == 0 || way <= 0 || way > freeRegion*pace {
		return 0
	}
	const high = 1 << 30 // far from where numbers wrap around
	switch compared {
	case opI32Ne:
		if way%pace == 0 {
			return uint32(way / pace)
		}
	case opI32LtU:
		if step > 0 && from >= 0 && to < high && step < high {
			return uint32((way + pace - 1) / pace)
		}
	case opI32LtS:
		if step > 0 && to < high && step < high {
			return uint32((way + pace - 1) / pace)
		}
	}
	return 0
}

// settle forgets what was found out about loops whose variable is set elsewhere, too.
func (l *loops) settle() {
	if len(l.counted) == 0 {
		return
	}
	sets := map[uint32][]int{}
	for _, c := range l.counted {
		sets[c.local] = nil
	}
	for r := (&reader{b: l.f.body}); !r.done(); {
		in := r.next()
		if in.op != opLocalSet && in.op != opLocalTee {
			continue
		}
		if all, is := sets[in.index]; is {
			sets[in.index] = append(all, in.start)
		}
	}
	for _, c := range l.counted {
		all := sets[c.local]
		first, _ := slices.BinarySearch(all, c.start)
		end, _ := slices.BinarySearch(all, c.end)
		if end-first != 1 {
			l.f.regions[c.region].turns = 0
		}
	}
}
