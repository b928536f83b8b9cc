package meter

import "fmt"

// Opcodes that the rewriter looks at or writes.
const (
	opBlock              = 0x02
	opLoop               = 0x03
	opIf                 = 0x04
	opElse               = 0x05
	opEnd                = 0x0b
	opBr                 = 0x0c
	opBrIf               = 0x0d
	opBrTable            = 0x0e
	opReturn             = 0x0f
	opCall               = 0x10
	opCallIndirect       = 0x11
	opReturnCall         = 0x12
	opReturnCallIndirect = 0x13
	opDrop               = 0x1a
	opSelectTyped        = 0x1c
	opLocalGet           = 0x20
	opLocalSet           = 0x21
	opLocalTee           = 0x22
	opGlobalGet          = 0x23
	opGlobalSet          = 0x24
	opTableSet           = 0x26
	opMemorySize         = 0x3f
	opMemoryGrow         = 0x40
	opI32Const           = 0x41
	opI64Const           = 0x42
	opF32Const           = 0x43
	opF64Const           = 0x44
	opI32Eq              = 0x46
	opI32Ne              = 0x47
	opI32LtS             = 0x48
	opI32LtU             = 0x49
	opI32LeU             = 0x4d
	opI64Eqz             = 0x50
	opI64LtS             = 0x53
	opI64GeS             = 0x59
	opI32Add             = 0x6a
	opI32Sub             = 0x6b
	opI32ShrU            = 0x76
	opI64Add             = 0x7c
	opI64Sub             = 0x7d
	opI64And             = 0x83
	opI64Or              = 0x84
	opI64Shl             = 0x86
	opI64ExtendI32U      = 0xad
	opRefNull            = 0xd0
	opRefFunc            = 0xd2
	opPrefixBulk         = 0xfc
	opPrefixVector       = 0xfd
)

// Opcodes behind opPrefixBulk.
const (
	bulkMemoryInit = 8
	bulkDatumDrop  = 9
	bulkMemoryCopy = 10
	bulkMemoryFill = 11
	bulkTableInit  = 12
	bulkElemDrop   = 13
	bulkTableCopy  = 14
	bulkTableGrow  = 15
	bulkTableFill  = 17
)

// vectorConst is v128.const behind opPrefixVector.
const vectorConst = 12

// instruction is one decoded instruction. Its bytes are b[start:end].
type instruction struct {
	op         byte
	sub        uint32 // behind a prefix
	index      uint32 // of the function, type, label, local, global or table; not of br_table
	start, end int
}

// next decodes the next instruction: all of Core 2.0, and tail calls. Source:
// WebAssembly Core 2.0, "Binary Format", "Instructions".
func (r *reader) next() instruction {
	in := instruction{start: r.pos}
	in.op = r.byte()
	switch op := in.op; {
	case op == opBlock || op == opLoop || op == opIf:
		r.skipLEB(5)
	case op == opBr || op == opBrIf:
		in.index = r.u32()
	case op == opBrTable:
		for range r.count() {
			r.u32()
		}
		r.u32()
	case op == opCall || op == opReturnCall || op == opRefFunc:
		in.index = r.u32()
	case op == opCallIndirect || op == opReturnCallIndirect:
		in.index = r.u32() // of the type
		r.u32()
	case op == opSelectTyped:
		for range r.count() {
			valueType(r)
		}
	case op >= opLocalGet && op <= opTableSet: // local, global and table access
		in.index = r.u32()
	case op >= 0x28 && op <= 0x3e: // loads and stores
		memoryArgument(r)
	case op == opMemorySize || op == opMemoryGrow:
		r.u32()
	case op == opI32Const:
		r.skipLEB(5)
	case op == opI64Const:
		r.skipLEB(10)
	case op == opF32Const:
		r.skip(4)
	case op == opF64Const:
		r.skip(8)
	case op == opRefNull:
		valueType(r)
	case op == opPrefixBulk:
		in.sub = r.u32()
		bulkArguments(r, in.sub)
	case op == opPrefixVector:
		in.sub = r.u32()
		vectorArguments(r, in.sub)
	case op <= 0x01, op == opElse, op == opEnd, op == opReturn, op == opDrop, op == 0x1b,
		op >= 0x45 && op <= 0xc4, op == 0xd1:
	default:
		r.fail(fmt.Errorf("instruction %#02x isn't supported", op))
	}
	in.end = r.pos
	return in
}

// memoryArgument skips alignment and offset of a load or store.
func memoryArgument(r *reader) {
	if r.u32() >= 64 { // the bit that names a memory
		r.fail(fmt.Errorf("several memories aren't supported"))
	}
	r.u32()
}

func bulkArguments(r *reader, sub uint32) {
	switch sub {
	case 0, 1, 2, 3, 4, 5, 6, 7: // saturating truncation
	case bulkDatumDrop, bulkMemoryFill, bulkElemDrop, bulkTableGrow, 16, bulkTableFill:
		r.u32()
	case bulkMemoryInit, bulkMemoryCopy, bulkTableInit, bulkTableCopy:
		r.u32()
		r.u32()
	default:
		r.fail(fmt.Errorf("instruction 0xfc %d isn't supported", sub))
	}
}

func vectorArguments(r *reader, sub uint32) {
	switch {
	case sub <= 11, sub == 92, sub == 93: // loads and stores
		memoryArgument(r)
	case sub == vectorConst, sub == 13: // and i8x16.shuffle
		r.skip(16)
	case sub >= 21 && sub <= 34: // lanes
		r.byte()
	case sub >= 84 && sub <= 91: // loads and stores of a lane
		memoryArgument(r)
		r.byte()
	case sub > 255:
		r.fail(fmt.Errorf("instruction 0xfd %d (relaxed SIMD) isn't supported", sub))
	}
}

// valueType reads a value type of Core 2.0.
func valueType(r *reader) byte {
	t := r.byte()
	switch t {
	case 0x7f, 0x7e, 0x7d, 0x7c, 0x7b, 0x70, 0x6f:
	default:
		if r.err == nil {
			r.fail(fmt.Errorf("type %#02x isn't supported", t))
		}
	}
	return t
}
