package meter

import "slices"

// OwnMemory returns the module with a memory of its own in the place of the one
// that it imports as env.memory: nobody else has any use for it, and what is a
// module's own can be bounded and reset. Everything else, and a module that
// imports no such memory, stays as it is; so does one that can't be read, which
// whoever validates it tells more about.
func OwnMemory(wasm []byte) []byte {
	const header = 8
	if len(wasm) < header {
		return wasm
	}
	out := slices.Clone(wasm[:header])
	var memory []byte // the memory's limits, until they are written
	found := false
	for r := (&reader{b: wasm, pos: header}); !r.done(); {
		id := r.byte()
		content := r.take(uint64(r.u32()))
		if r.err != nil || found && id == sectionMemory { // two memories are no valid module
			return wasm
		}
		if id == sectionImport {
			if content, memory = withoutMemory(content); memory == nil {
				return wasm
			}
			found = true
		}
		if memory != nil && id > sectionMemory {
			out = appendSection(out, sectionMemory, append([]byte{1}, memory...))
			memory = nil
		}
		out = appendSection(out, id, content)
	}
	if !found || memory != nil {
		return wasm
	}
	return out
}

// withoutMemory returns an import section without env.memory, and that memory's
// limits as they are encoded; nil when it isn't there or the section can't be
// read.
func withoutMemory(section []byte) (rest, limits []byte) {
	r := reader{b: section}
	count := r.count()
	for range count {
		start := r.pos
		module := string(r.take(uint64(r.u32())))
		name := string(r.take(uint64(r.u32())))
		kind, at := r.byte(), r.pos
		switch kind {
		case kindFunction:
			r.u32()
		case kindTable:
			valueType(&r)
			r.limits()
		case kindMemory:
			r.limits()
		case kindGlobal:
			valueType(&r)
			r.byte()
		default:
			return nil, nil
		}
		if r.err != nil {
			return nil, nil
		}
		if kind == kindMemory && module == "env" && name == "memory" && limits == nil {
			limits = section[at:r.pos]
			continue
		}
		rest = append(rest, section[start:r.pos]...)
	}
	if limits == nil || r.end() != nil {
		return nil, nil
	}
	return append(appendU32(nil, count-1), rest...), limits
}
