package main

// smallGuest returns a WebAssembly authorizer as a compiler without a run-time
// system would make it: it asks the gateway for the Authorization field, compares
// it with "Bearer sesame" and sets the principal. examples/quickstart/guard does
// the same in Go.
func smallGuest() []byte {
	const (
		i32, void, function, memory = 0x7f, 0x40, 0x00, 0x02
		i32Const, i32Ne, i32Or      = 0x41, 0x47, 0x72
		i64Load, i64Ne              = 0x29, 0x52
		call, drop, when            = 0x10, 0x1a, 0x04
		giveBack, end               = 0x0f, 0x0b
	)
	// In the memory: 0 the field's name, 16 the principal, 32 what is wanted, 64
	// the field's value.
	datum := func(at byte, text string) []byte {
		return join([]byte{0, i32Const, at, end}, vector([]byte(text), len(text)))
	}
	// Not the same number of bytes, or the two halves differ: 8 bytes from the
	// start, and 8 up to the end.
	differs := func(at byte) []byte {
		return []byte{
			i32Const, 0, i64Load, 0, 32 + at, // want
			i32Const, 0, i64Load, 0, 64 + at, // got
			i64Ne,
		}
	}
	authorize := join(
		[]byte{0}, // no locals
		[]byte{
			i32Const, 1, // headers
			i32Const, 0, i32Const, 13, // their name
			i32Const, 0xc0, 0, i32Const, 32, // buffer: 64 in signed LEB128
			call, 0, // map_get
			i32Const, 13, i32Ne,
		},
		differs(0), []byte{i32Or},
		differs(5), []byte{i32Or},
		[]byte{when, void, i32Const, 2, giveBack, end},
		[]byte{i32Const, 16, i32Const, 6, call, 1, drop}, // principal_set
		[]byte{i32Const, 1, end},
	)
	version := []byte{0, i32Const, 0x80, 0x80, 4, end} // 1<<16
	return join(
		[]byte("\x00asm\x01\x00\x00\x00"),
		section(1, 3, // types
			[]byte{0x60, 5, i32, i32, i32, i32, i32, 1, i32},
			[]byte{0x60, 2, i32, i32, 1, i32},
			[]byte{0x60, 0, 1, i32}),
		section(2, 2, // imports
			name("postern_v1"), name("map_get"), []byte{function, 0},
			name("postern_v1"), name("principal_set"), []byte{function, 1}),
		section(3, 2, []byte{2, 2}),    // functions
		section(5, 1, []byte{1, 1, 1}), // memory: one page
		section(7, 3, // exports
			name("postern_abi"), []byte{function, 2},
			name("postern_authorize"), []byte{function, 3},
			name("memory"), []byte{memory, 0}),
		section(10, 2, vector(version, len(version)), vector(authorize, len(authorize))),
		section(11, 3, datum(0, "Authorization"), datum(16, "bearer"), datum(32, "Bearer sesame")),
	)
}

func join(parts ...[]byte) []byte {
	var all []byte
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

// vector puts a count before what is counted.
func vector(content []byte, n int) []byte {
	var all []byte
	for ; n >= 0x80; n >>= 7 {
		all = append(all, byte(n)|0x80)
	}
	return append(append(all, byte(n)), content...)
}

func name(text string) []byte { return vector([]byte(text), len(text)) }

// section returns a section of n entries.
func section(id byte, n int, entries ...[]byte) []byte {
	content := vector(join(entries...), n)
	return append([]byte{id}, vector(content, len(content))...)
}
