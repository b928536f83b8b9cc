package plugins

import (
	"github.com/tetratelabs/wazero/experimental"
)

// linearMemory is an instance's memory. Its methods are called by whoever has
// the instance.
type linearMemory interface {
	experimental.LinearMemory

	// discard makes the bytes in [from, to) zeros, and gives what they took back
	// to the system where that is possible.
	discard(from, to int)
}

// memories hands out an instance's linear memory and counts it.
type memories struct {
	budget   *budget
	counters *counters
	linear   linearMemory
	refused  bool // the plugins, or the system, had no more
}

// Allocate reserves address space for limit bytes, of which none is used yet:
// memory then grows in place, and goes back to the system when it is freed.
func (m *memories) Allocate(_, limit uint64) experimental.LinearMemory {
	if region, ok := reserve(limit); ok {
		m.linear = &reserved{memories: m, region: region}
	} else {
		m.linear = &heap{memories: m}
	}
	return m.linear
}

// free gives back the memory of an instance that didn't come to be: wazero
// frees only that of modules it closes.
func (m *memories) free() {
	if m.linear != nil {
		m.linear.Free()
	}
}

// heap is linear memory from Go's heap, for systems where none can be reserved.
type heap struct {
	*memories
	buf []byte
}

// Reallocate grows the memory to size bytes; nil when the plugins have no more.
func (m *heap) Reallocate(size uint64) []byte {
	if !m.budget.take(m.counters, int64(size)-int64(len(m.buf))) {
		m.refused = true
		return nil
	}
	if size <= uint64(cap(m.buf)) {
		m.buf = m.buf[:size]
		return m.buf
	}
	m.buf = append(m.buf, make([]byte, size-uint64(len(m.buf)))...)
	return m.buf
}

// Free gives the memory up.
func (m *heap) Free() {
	m.budget.force(m.counters, -int64(len(m.buf)))
	m.buf = nil
}

func (m *heap) discard(from, to int) { clear(m.buf[from:to]) }

// reserved is linear memory in a reserved range of addresses.
type reserved struct {
	*memories
	region []byte
	used   uint64
}

// Reallocate makes the first size bytes usable; nil when the system refuses, or
// the plugins have no more.
func (m *reserved) Reallocate(size uint64) []byte {
	if size > uint64(len(m.region)) {
		return nil
	}
	if !m.budget.take(m.counters, int64(size)-int64(m.used)) {
		m.refused = true
		return nil
	}
	if size > m.used && !commit(m.region[m.used:size]) {
		m.budget.force(m.counters, int64(m.used)-int64(size))
		m.refused = true
		return nil
	}
	m.used = size
	return m.region[:size:size]
}

// Free gives the range back.
func (m *reserved) Free() {
	if m.region == nil {
		return
	}
	m.budget.force(m.counters, -int64(m.used))
	unreserve(m.region)
	m.region, m.used = nil, 0
}

func (m *reserved) discard(from, to int) {
	if !zero(m.region[from:to]) {
		clear(m.region[from:to])
	}
}
