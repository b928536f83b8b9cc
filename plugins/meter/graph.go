package meter

const (
	// freeCall is what a function may cost at most to have no charge of its own:
	// those who call it pay. One in a table is paid by all who may mean it.
	freeCall  = 1000
	freeTable = 40

	// freeRegion is how much of called functions and of loops that are paid in
	// advance a function or a loop may hold, so that the next charge is never far.
	freeRegion = 10_000

	// freeTurn is what a turn of a loop may cost that is paid by what it calls.
	freeTurn = 100

	// freeChain is how many levels of calls that nobody counts may follow upon
	// each other.
	freeChain = 500

	// freeEntry bounds what of these a function counts that may come back to itself
	// with the host's help and without: most levels of it have none of them.
	freeEntry = 10
)

// graph finds out which functions may be called again before they return: no
// others can run for ever without a loop, or be open more than once. Its nodes
// are the module's own functions, and behind them the types by which functions are
// called through tables.
//
// Tarjan, "Depth-first search and linear graph algorithms" (1972): what is called
// is finished before those who call it.
type graph struct {
	*rewriter
	byType  [][]uint32 // functions in tables, by their type
	dearest []uint32   // by type, the most that a call of one of these costs and it doesn't charge

	seen       uint32
	index, low []uint32 // from 1; 0 is not seen yet
	stack      []uint32
	waiting    []bool // on the stack

	outside []bool   // may come to call what is imported
	chain   []uint32 // levels that calls of it take, and nobody counts
}

// analyze decides what each function counts and charges.
func (w *rewriter) analyze() {
	n := len(w.code) + len(w.types)
	g := &graph{
		rewriter: w, byType: make([][]uint32, len(w.types)), dearest: make([]uint32, len(w.types)),
		index: make([]uint32, n), low: make([]uint32, n), waiting: make([]bool, n),
		outside: make([]bool, n), chain: make([]uint32, n),
	}
	for i, f := range w.code {
		index := w.imported + uint32(i)
		f.taken = w.referred[index]
		f.entry = w.entries[index] || f.taken && w.openTables
		if f.taken {
			t := w.alike[w.functions[index]]
			g.byType[t] = append(g.byType[t], uint32(i))
		}
	}
	for i := range uint32(len(w.code)) {
		if g.index[i] == 0 {
			g.visit(i)
		}
	}
}

// leads calls f for each node that node leads to.
func (g *graph) leads(node uint32, f func(uint32)) {
	own := uint32(len(g.code))
	if node >= own {
		for _, to := range g.byType[node-own] {
			f(to)
		}
		return
	}
	for _, s := range g.code[node].sites {
		f(s.callee)
	}
	for _, s := range g.code[node].indirect {
		f(own + s.callee)
	}
}

func (g *graph) visit(node uint32) {
	g.seen++
	g.index[node], g.low[node] = g.seen, g.seen
	g.stack, g.waiting[node] = append(g.stack, node), true
	round := false // there is a way back to it
	g.leads(node, func(to uint32) {
		switch {
		case g.index[to] == 0:
			g.visit(to)
			g.low[node] = min(g.low[node], g.low[to])
		case g.waiting[to]:
			g.low[node] = min(g.low[node], g.index[to])
			round = round || to == node
		}
	})
	if g.low[node] != g.index[node] {
		return
	}
	at := len(g.stack) - 1
	for g.stack[at] != node {
		at--
	}
	g.finish(g.stack[at:], round || at < len(g.stack)-1)
	g.stack = g.stack[:at]
}

// finish decides about functions that may all come to call each other, or about
// one alone; round reports whether it may come to call itself.
func (g *graph) finish(component []uint32, round bool) {
	own := uint32(len(g.code))
	outside, chain := false, uint32(0)
	for _, node := range component {
		g.waiting[node] = false
		outside = outside || node < own && (g.code[node].outside || len(g.code[node].indirect) > 0 && g.openTables)
		g.leads(node, func(to uint32) {
			outside = outside || g.outside[to]
			chain = max(chain, g.chain[to])
		})
	}
	for _, node := range component {
		g.outside[node], g.chain[node] = outside, chain
		if node >= own {
			continue
		}
		f := g.code[node]
		switch {
		case !f.calls: // nothing stands on it
		case round:
			f.counted = true
			if f.entry && outside { // also what the host may put on top each time
				f.depth = min(f.depth+min(chain, freeEntry), g.limits.Depth+1)
			}
		case g.plain, f.entry && outside, chain+f.depth > freeChain:
			// It may be called again by way of the host, or has too much below it: it
			// counts that as well.
			f.counted = true
			f.depth = min(f.depth+chain, g.limits.Depth+1)
			g.chain[node] = 0
		default:
			g.chain[node] = chain + f.depth
		}
		f.charged = f.counted
	}
	for _, node := range component {
		if node >= own { // of what is in the component, all have charges already
			g.dearest[node-own] = g.most(g.byType[node-own])
		}
	}
	for _, node := range component {
		if node < own {
			g.price(g.code[node])
		}
	}
}

// most returns what the most expensive one of functions that don't charge costs.
func (g *graph) most(functions []uint32) (cost uint32) {
	for _, i := range functions {
		if f := g.code[i]; !f.charged {
			cost = max(cost, f.regions[0].cost)
		}
	}
	return cost
}

// price decides what f charges, and where.
func (g *graph) price(f *function) {
	if g.sum(f) > freeRegion { // too much without a charge
		for _, s := range f.sites {
			callee := g.code[s.callee]
			callee.charged = callee.charged || callee.regions[0].cost > freeTable
		}
		g.sum(f)
	}
	limit := uint32(freeCall)
	if f.taken || g.plain {
		limit = freeTable
	}
	f.charged = f.charged || f.regions[0].cost > limit
}

// sum adds to each region what it calls and holds without a charge, and returns
// the highest cost of a region.
func (g *graph) sum(f *function) (highest uint32) {
	for i := range f.regions {
		f.regions[i].cost, f.regions[i].metered = f.regions[i].own, i > 0
	}
	for _, s := range f.sites {
		if callee := g.code[s.callee]; !callee.charged {
			r := &f.regions[s.region]
			r.cost = min(r.cost+callee.regions[0].cost, maxCost)
		}
	}
	for _, s := range f.indirect {
		r := &f.regions[s.region]
		r.cost = min(r.cost+g.dearest[s.callee], maxCost)
	}
	for i := len(f.regions) - 1; i >= 0; i-- { // what is inside comes behind
		r := &f.regions[i]
		highest = max(highest, r.cost)
		if i == 0 || g.plain {
			continue
		}
		outer := &f.regions[r.outer]
		most := uint64(r.turns) * uint64(r.cost)
		if r.callee > 0 && g.code[r.callee-1].charged {
			most = uint64(r.cost) // each turn pays in what it calls
			if most > freeTurn {
				continue
			}
		}
		if most > 0 && uint64(outer.cost)+most <= freeRegion {
			outer.cost += uint32(most)
			r.metered = false
		}
	}
	return highest
}
