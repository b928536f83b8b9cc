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
	index   uint32 // in the rewritten module
	kind    funcType
	depth   uint32   // levels that a call of it counts
	regions []region // the function's own code, then each loop in order

	calls    bool   // something
	outside  bool   // what is imported
	sites    []site // calls of the module's own functions
	indirect []site // calls through tables, by type
	entry    bool   // others may call it
	taken    bool   // it may be in a table

	counted bool // it counts how deeply calls nest
	charged bool // it charges at its beginning
}

// region is a part of a function that is charged at once.
type region struct {
	outer  int    // the region that the loop is in
	turns  uint32 // of the loop, at most; 0 when nobody knows
	callee uint32 // a function that each turn calls before anything else can end it, from 1; 0 for none

	own     uint32 // cost of its instructions
	cost    uint32 // and of what they call and hold that nobody else charges
	metered bool   // the loop charges at its head
}

// site is a call of one of the module's own functions, numbered without the
// imported ones, or of whatever in a table has a type.
type site struct {
	region int
	callee uint32
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
		f.index = w.shift(w.imported + i)
		w.code = append(w.code, f)
	}
	w.analyze()
	return r.end()
}

// scan decodes a function and adds up what its code costs.
func (w *rewriter) scan(body []byte, t funcType) (*function, error) {
	f := &function{kind: t, regions: []region{{}}}
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
	f.depth = min(1+uint32(total)/localsPerDepth, w.limits.Depth+1)
	f.body = body[r.pos:]
	r = reader{b: f.body}
	turns := newLoops(f)
	for turns.inside() && r.err == nil {
		in := r.next()
		region := turns.region()
		f.regions[region].own = min(f.regions[region].own+w.cost(in), maxCost)
		switch in.op {
		case opCall, opReturnCall:
			f.calls = true
			if in.index < w.imported {
				f.outside = true
			} else if callee := in.index - w.imported; uint64(in.index) < uint64(len(w.functions)) {
				f.sites = append(f.sites, site{region, callee})
				turns.call(callee)
			}
		case opCallIndirect, opReturnCallIndirect:
			f.calls = true
			if uint64(in.index) < uint64(len(w.alike)) {
				f.indirect = append(f.indirect, site{region, w.alike[in.index]})
			}
		case opRefFunc:
			w.refer(in.index)
		case opMemoryGrow:
			w.grows = true
		case opTableSet:
			w.changes = true
		case opPrefixBulk:
			w.changes = w.changes || changes(in.sub)
		}
		turns.read(in)
	}
	turns.settle()
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
