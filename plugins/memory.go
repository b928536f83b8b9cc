package plugins

import (
	"github.com/tetratelabs/wazero/experimental"
)

// memories hands out an instance's linear memory and counts it.
type memories struct {
	counters *counters
	linear   experimental.LinearMemory
}

// Allocate reserves address space for limit bytes, of which none is used yet:
// memory then grows in place, and goes back to the system when it is freed.
func (m *memories) Allocate(_, limit uint64) experimental.LinearMemory {
	if region, ok := reserve(limit); ok {
		m.linear = &reserved{counters: m.counters, region: region}
	} else {
		m.linear = &heap{counters: m.counters}
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
	counters *counters
	buf      []byte
}

// Reallocate grows the memory to size bytes.
func (m *heap) Reallocate(size uint64) []byte {
	m.counters.memory.Add(int64(size) - int64(len(m.buf)))
	if size <= uint64(cap(m.buf)) {
		m.buf = m.buf[:size]
		return m.buf
	}
	m.buf = append(m.buf, make([]byte, size-uint64(len(m.buf)))...)
	return m.buf
}

// Free gives the memory up.
func (m *heap) Free() {
	m.counters.memory.Add(-int64(len(m.buf)))
	m.buf = nil
}

// reserved is linear memory in a reserved range of addresses.
type reserved struct {
	counters *counters
	region   []byte
	used     uint64
}

// Reallocate makes the first size bytes usable; nil when the system refuses.
func (m *reserved) Reallocate(size uint64) []byte {
	if size > uint64(len(m.region)) || size > m.used && !commit(m.region[m.used:size]) {
		return nil
	}
	m.counters.memory.Add(int64(size) - int64(m.used))
	m.used = size
	return m.region[:size:size]
}

// Free gives the range back.
func (m *reserved) Free() {
	if m.region == nil {
		return
	}
	m.counters.memory.Add(-int64(m.used))
	unreserve(m.region)
	m.region, m.used = nil, 0
}
