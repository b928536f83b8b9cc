package plugins

import (
	"errors"
	"sync/atomic"
)

// defaultBudget is the memory of all plugins where no configuration says more,
// in bytes.
const defaultBudget = 256 << 20

// budget bounds the memory of all instances of all plugins together. A plugin
// that has a quarter of it leaves the last quarter to the others, so that one
// that takes what it can get doesn't keep them from working. Safe for concurrent
// use.
type budget struct {
	limit atomic.Int64
	used  atomic.Int64
}

// errBudget is why a request got no instance although its plugin may have one.
var errBudget = errors.New("the memory of all plugins (memory_budget) is used up")

// take takes n bytes for a plugin. It takes nothing and reports false when the
// budget hasn't as much for it.
func (b *budget) take(c *counters, n int64) bool {
	if b.used.Add(n); b.left(c) < 0 {
		b.used.Add(-n)
		return false
	}
	c.memory.Add(n)
	return true
}

// left is how many bytes a plugin could take; below zero when there is less than
// nothing.
func (b *budget) left(c *counters) int64 {
	limit := b.limit.Load()
	if c.memory.Load() >= limit/4 {
		limit -= limit / 4
	}
	return limit - b.used.Load()
}

// force takes n bytes, or gives them back if n is below zero.
func (b *budget) force(c *counters, n int64) {
	b.used.Add(n)
	c.memory.Add(n)
}

// room reports whether there are n bytes for a plugin, after closing idle
// instances if need be: those of plugins that have the most first.
func (h *Host) room(c *counters, n uint64) bool {
	for h.budget.left(c) < int64(n) {
		var most *plugin
		count := 0
		h.mu.Lock()
		for _, p := range h.plugins {
			if n := p.idleCount(); n > count {
				most, count = p, n
			}
		}
		h.mu.Unlock()
		if most == nil || !most.dropIdle() {
			return false
		}
	}
	return true
}
