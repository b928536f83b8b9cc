package meter

import (
	"context"
	"errors"
	"testing"
)

// pyramid is a module whose functions call through a table, twice each, one of the
// next of so many levels: none can call itself, and the last is called 1<<levels times.
func pyramid(levels int) []byte {
	kinds := []byte{typeI32, typeI64, typeF32, typeF64}
	zeros := map[byte][]byte{
		typeI32: {opI32Const, 0}, typeI64: {opI64Const, 0}, typeF32: {opF32Const, 0, 0, 0, 0}, typeF64: {opF64Const, 0, 0, 0, 0, 0, 0, 0, 0},
	}
	params := func(level int) []byte { // of a type for each level
		return []byte{kinds[level&3], kinds[level>>2&3], kinds[level>>4&3]}
	}
	types := []byte{byte(levels + 1), typeFunction, 1, typeI32, 1, typeI32}
	functions := []byte{byte(levels + 1), 0}
	elements := []byte{1, 0, opI32Const, 0, opEnd, byte(levels)}
	code := []byte{byte(levels + 1)}
	for level := range levels + 1 {
		if level > 0 {
			types = append(append(types, typeFunction, 3), append(params(level), 0)...)
			functions = append(functions, byte(level))
			elements = append(elements, byte(level))
		}
		var own []byte
		if level < levels {
			for range 2 {
				for _, p := range params(level + 1) {
					own = append(own, zeros[p]...)
				}
				own = append(append(own, number(int32(level))...), opCallIndirect, byte(level+1), 0)
			}
		}
		if level == 0 {
			own = append(own, opLocalGet, 0)
		}
		code = append(code, body([]byte{0}, own...)...)
	}
	return assemble(
		section(sectionType, types...),
		section(sectionFunction, functions...),
		section(sectionTable, 1, 0x70, 0, byte(levels)),
		section(sectionExport, 1, 1, 'f', kindFunction, 0),
		section(sectionElement, elements...),
		section(sectionCode, code...),
	)
}

// Calls through tables can't multiply without being charged.
func TestCallsThroughTablesAreCharged(t *testing.T) {
	ticks := 10
	m := rewritten(t, newRuntime(t, 100_000, &ticks), pyramid(60), roomy())
	defer func() { _ = m.Close(context.Background()) }()
	if _, err := call(m, 0); !errors.Is(err, errTestStop) { // else it takes years
		t.Errorf("%v", err)
	}
}
